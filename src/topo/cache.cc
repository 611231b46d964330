#include "topo/cache.h"

#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/file.h"

namespace paceline::topo {
namespace {

// Text lines "<hex key> <hex value>" between a first line and a last one, so that a cut file is
// seen as damaged.
constexpr std::string_view kFirstLine = "paceline topology cache 1";
constexpr std::string_view kLastLine = "end";

std::string KeyOf(std::string_view cell, std::string_view path) {
  return fmt::format("{}/{}", cell, path);
}

}  // namespace

Cache::~Cache() = default;

std::unique_ptr<Cache> Cache::Open(std::string file) {
  std::unique_ptr<Cache> cache(new Cache(std::move(file)));
  std::ifstream in(cache->file_);
  std::string line;
  if (!in || !std::getline(in, line)) return cache;
  std::map<std::string, std::string, std::less<>> entries;
  bool whole = false;
  if (line == kFirstLine) {
    while (std::getline(in, line)) {
      whole = line == kLastLine;
      if (whole) break;
      size_t space = line.find(' ');
      if (space == std::string::npos) break;
      std::optional<std::string> key = HexDecode(std::string_view(line).substr(0, space));
      std::optional<std::string> value = HexDecode(std::string_view(line).substr(space + 1));
      if (!key || !value) break;
      entries.emplace(std::move(*key), std::move(*value));
    }
  }
  if (!whole) {
    LOG_WARNING("topology cache {} is damaged and is not used", cache->file_);
    return cache;
  }
  cache->entries_ = std::move(entries);
  struct stat info;
  if (stat(cache->file_.c_str(), &info) == 0) {
    cache->saved_at_ = {info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
  }
  return cache;
}

std::optional<std::string> Cache::Get(std::string_view cell, std::string_view path) const {
  auto found = entries_.find(KeyOf(cell, path));
  if (found == entries_.end()) return std::nullopt;
  return found->second;
}

std::map<std::string, std::string> Cache::List(std::string_view cell, std::string_view dir) const {
  std::string prefix = dir.empty() ? fmt::format("{}/", cell) : fmt::format("{}/{}/", cell, dir);
  std::map<std::string, std::string> below;
  for (auto at = entries_.lower_bound(prefix);
       at != entries_.end() && at->first.starts_with(prefix); ++at) {
    below.emplace(at->first.substr(cell.size() + 1), at->second);
  }
  return below;
}

void Cache::Put(std::string_view cell, std::string_view path, std::string_view bytes) {
  std::string& entry = entries_[KeyOf(cell, path)];
  // An empty record is a record too, so a new entry always counts as a change.
  if (!entry.empty() && entry == bytes) return;
  entry = bytes;
  changed_ = true;
}

void Cache::Remove(std::string_view cell, std::string_view path) {
  if (entries_.erase(KeyOf(cell, path)) > 0) changed_ = true;
}

std::unique_ptr<Cache> Cache::OpenToRead(std::string file) {
  std::unique_ptr<Cache> cache = Open(std::move(file));
  cache->writes_ = false;
  return cache;
}

io::Task<Status> Cache::Save() {
  if (!writes_) co_return Status();
  Status locked = co_await saving_.Lock(Deadline::Never());
  if (!locked) co_return locked;
  if (!changed_) {
    saving_.Unlock();
    co_return Status();
  }
  changed_ = false;
  std::string text = std::string(kFirstLine) + "\n";
  for (const auto& [key, value] : entries_) text += HexEncode(key) + " " + HexEncode(value) + "\n";
  text += std::string(kLastLine) + "\n";
  std::function<Status()> work = [file = file_, text = std::move(text)]() -> Status {
    Status saved = io::ReplaceFile(file, text);
    if (!saved) return Fail(saved.error().Context("topology cache"));
    return Status();
  };
  Status saved = co_await io::RunBlocking<Status>(work);
  if (saved)
    saved_at_ = SystemClock().WallNow();
  else
    changed_ = true;
  saving_.Unlock();
  co_return saved;
}

}  // namespace paceline::topo
