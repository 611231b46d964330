#include "topo/carried.h"

#include <set>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "topo/paths.h"

namespace paceline::topo {
namespace {

// Keys of the cache beside the copies, which stand under kGlobalCell.
constexpr std::string_view kAbout = "about";        // "identity", "rest"
constexpr std::string_view kVersions = "versions";  // "<identity> <version> <received>" by path
constexpr size_t kLargest = 1024 * 1024;

}  // namespace

Carried::Carried(Server& topo, std::string file, record::KeyspaceShard shard, std::string cell)
    : topo_(topo),
      cache_(Cache::Open(std::move(file))),
      shard_(std::move(shard)),
      cell_(std::move(cell)) {
  identity_ = cache_->Get(kAbout, "identity").value_or("");
  rest_pending_ = cache_->Get(kAbout, "rest").has_value();
}

bool Carried::StoreChanged() const {
  std::string now = topo_.global().Identity();
  return !now.empty() && !identity_.empty() && now != identity_;
}

void Carried::Take(const File& file) {
  if (file.data.size() > kLargest) return;
  std::string known = cache_->Get(kVersions, file.path).value_or("");
  std::string now = fmt::format("{} {} ", identity_, file.version.number);
  if (known.starts_with(now) && cache_->Get(kGlobalCell, file.path) == file.data) return;
  cache_->Put(kGlobalCell, file.path, file.data);
  int64_t received = SystemClock().WallNow().unix_ns;
  cache_->Put(kVersions, file.path, fmt::format("{}{}", now, received));
}

void Carried::Drop(const Path& path) {
  cache_->Remove(kGlobalCell, path);
  cache_->Remove(kVersions, path);
}

io::Task<void> Carried::Follow(Carried& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass && !gate.closed()) {
    Path root;
    Result<WatchPtr> watch =
        co_await self.topo_.global().OpenWatchRecursive(root, Deadline::In(3s));
    if (watch && self.identity_.empty()) {
      Status noted = co_await self.Remember(self.topo_.global().Identity(), false);
      if (!noted) LOG_WARNING("{}", noted.error().ToString());
    }
    std::set<Path> seen;
    while (watch && !gate.closed() && !self.StoreChanged()) {
      Result<WatchEvent> event = co_await (*watch)->Next(Deadline::In(300ms));
      if (!event && event.error().code() == Code::kDeadlineExceeded) {
        Status saved = co_await self.cache_->Save();
        if (!saved) LOG_WARNING("{}", saved.error().ToString());
        continue;
      }
      if (!event || self.StoreChanged()) break;
      if (event->kind == WatchEvent::Kind::kValue) {
        seen.insert(event->file.path);
        self.Take(event->file);
      } else if (event->kind == WatchEvent::Kind::kDeleted) {
        self.Drop(event->file.path);
      } else if (!self.rest_pending_) {  // all there is has been told
        std::map<std::string, std::string> all = self.cache_->List(kGlobalCell, "");
        for (const auto& [path, data] : all) {
          if (!seen.contains(path)) self.Drop(path);
        }
      }
    }
    bool open = co_await io::Sleep(gate, Deadline::In(500ms));
    if (!open) break;
  }
  Status saved = co_await self.cache_->Save();
  if (!saved) LOG_WARNING("{}", saved.error().ToString());
}

io::Task<Status> Carried::Remember(std::string identity, bool rest_pending) {
  identity_ = std::move(identity);
  rest_pending_ = rest_pending;
  if (!identity_.empty()) cache_->Put(kAbout, "identity", identity_);
  if (rest_pending) cache_->Put(kAbout, "rest", "1");
  if (!rest_pending) cache_->Remove(kAbout, "rest");
  Status saved = co_await cache_->Save();
  co_return saved;
}

io::Task<Status> Carried::CreateMissing(Path path, std::string data, Deadline deadline) {
  Result<Version> created = co_await topo_.global().Create(path, data, deadline);
  if (created) LOG_WARNING("the topology was founded anew without {}: put back", path);
  if (created || created.error().code() == Code::kAlreadyExists) co_return Status();
  co_return Fail(created.error().Context("putting back " + path));
}

io::Task<Status> Carried::RestoreOwn(Deadline deadline) {
  // Any answer tells which store this is.
  Result<File> there = co_await topo_.global().Get(KeyspacePath(shard_.keyspace), deadline);
  if (!there && there.error().code() != Code::kNotFound) co_return Fail(there.error());
  if (!StoreChanged()) co_return Status();
  std::string now = topo_.global().Identity();
  std::vector<Path> own = {CellInfoPath(cell_), KeyspacePath(shard_.keyspace),
                           ShardPath(shard_.keyspace, shard_.shard)};
  for (const Path& path : own) {
    std::optional<std::string> data = cache_->Get(kGlobalCell, path);
    if (!data) continue;
    Path to = path;
    Status put = co_await CreateMissing(std::move(to), std::move(*data), deadline);
    if (!put) co_return put;
  }
  Status noted = co_await Remember(now, true);
  co_return noted;
}

io::Task<Status> Carried::RestoreRest(Deadline deadline) {
  std::map<std::string, std::string> all = cache_->List(kGlobalCell, "");
  for (const auto& [path, data] : all) {
    Path to = path;
    std::string copy = data;
    Status put = co_await CreateMissing(std::move(to), std::move(copy), deadline);
    if (!put) co_return put;
  }
  std::string now = identity_;
  Status noted = co_await Remember(std::move(now), false);
  co_return noted;
}

std::vector<CarriedFile> Carried::Files() const {
  std::vector<CarriedFile> files;
  for (const auto& [path, data] : cache_->List(kGlobalCell, "")) {
    CarriedFile file;
    file.path = path;
    file.data = data;
    std::string about = cache_->Get(kVersions, path).value_or("");
    std::vector<std::string_view> parts = Split(about, ' ');
    if (parts.size() == 3) {
      file.identity = std::string(parts[0]);
      file.version = {ParseInt(parts[1]).value_or(0)};
      file.received = {ParseInt(parts[2]).value_or(0)};
    }
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace paceline::topo
