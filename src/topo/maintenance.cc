#include "topo/maintenance.h"

#include "base/strings.h"
#include "topo/cache.h"
#include "topo/paths.h"

namespace paceline::topo {
namespace {

constexpr std::string_view kPath = "paceline/maintenance";
constexpr int kTries = 5;  // against others who write at the same time

io::Task<Status> CheckName(Server& topo, std::string name, Deadline deadline) {
  if (name == "*") co_return Status();
  size_t slash = name.find('/');
  if (slash == std::string::npos) {
    auto keyspace = co_await topo.GetKeyspace(name, deadline);
    if (!keyspace) co_return Fail(keyspace.error());
    co_return Status();
  }
  Result<record::KeyspaceShard> shard = record::ParseKeyspaceShard(name);
  if (!shard) co_return Fail(shard.error());
  auto stored = co_await topo.GetShard(shard->keyspace, shard->shard, deadline);
  if (!stored) co_return Fail(stored.error());
  co_return Status();
}

}  // namespace

Maintenance ParseMaintenance(std::string_view text) {
  Maintenance maintenance;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    size_t space = line.find(' ');
    std::string name(line.substr(0, space));
    std::string why;
    if (space != std::string_view::npos) why = Trim(line.substr(space));
    if (!name.empty()) maintenance[name] = why;
  }
  return maintenance;
}

std::string MaintenanceText(const Maintenance& maintenance) {
  std::string text;
  for (const auto& [name, why] : maintenance) {
    text += name + " " + ReplaceAll(why, "\n", " ") + "\n";
  }
  return text;
}

std::optional<std::string> InMaintenance(const Maintenance& maintenance,
                                         const record::KeyspaceShard& shard) {
  for (const std::string& name : {std::string("*"), shard.keyspace, shard.ToString()}) {
    auto found = maintenance.find(name);
    if (found != maintenance.end()) return found->second;
  }
  return std::nullopt;
}

io::Task<Result<Maintenance>> ReadMaintenance(Server& topo, Cache* copy, Deadline deadline) {
  Path path(kPath);
  Result<File> file = co_await topo.global().Get(path, deadline);
  if (file) {
    if (copy != nullptr) copy->Put(kGlobalCell, path, file->data);
    co_return ParseMaintenance(file->data);
  }
  bool none = file.error().code() == Code::kNotFound;
  if (copy != nullptr && none) copy->Remove(kGlobalCell, path);
  if (none) co_return Maintenance();
  std::optional<std::string> kept;
  if (copy != nullptr) kept = copy->Get(kGlobalCell, path);
  if (kept) co_return ParseMaintenance(*kept);
  co_return Fail(file.error());
}

io::Task<Result<Maintenance>> SetMaintenance(Server& topo, std::string name, bool on,
                                             std::string why, Deadline deadline) {
  if (name.empty() || name.find_first_of(" \n") != std::string::npos)
    co_return Fail(Code::kInvalidArgument, "\"{}\": use *, a keyspace or keyspace/shard", name);
  if (on) {
    Status known = co_await CheckName(topo, name, deadline);
    if (!known) co_return Fail(known.error());
  }
  for (int tries = 0;; ++tries) {
    Path path(kPath);
    Result<File> file = co_await topo.global().Get(path, deadline);
    if (!file && file.error().code() != Code::kNotFound) co_return Fail(file.error());
    Maintenance now = file ? ParseMaintenance(file->data) : Maintenance();
    if (on) {
      now[name] = why.empty() ? "asked for" : why;
    } else {
      now.erase(name);
    }
    Result<Version> written = Fail(Code::kUnknown, "not written");
    std::string text = MaintenanceText(now);
    if (file) {
      written = co_await topo.global().Update(path, text, file->version, deadline);
    } else {
      written = co_await topo.global().Create(path, text, deadline);
    }
    if (written) co_return now;
    bool moved = written.error().code() == Code::kFailedPrecondition ||
                 written.error().code() == Code::kAlreadyExists;
    if (!moved || tries >= kTries) co_return Fail(written.error());
  }
}

}  // namespace paceline::topo
