// Shards, locks, watches and the serving graph: the second half of Server.
#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "io/loop.h"
#include "topo/lock_text.h"
#include "topo/paths.h"
#include "topo/server.h"
#include "topo/server_impl.h"

namespace paceline::topo {
namespace {

bool Overlap(const std::optional<record::KeyRange>& a, const std::optional<record::KeyRange>& b) {
  // No range means the whole space.
  if (!a || !b) return true;
  bool a_before_b = !a->end.empty() && a->end <= b->start;
  bool b_before_a = !b->end.empty() && b->end <= a->start;
  return !a_before_b && !b_before_a;
}

// The shards of a partition in order must cover the key space once.
Status CheckCover(const std::string& keyspace, const std::vector<record::SrvShard>& shards) {
  if (shards.size() <= 1 && (shards.empty() || !shards[0].key_range)) return {};
  std::string at;
  bool first = true;
  for (const record::SrvShard& shard : shards) {
    record::KeyRange range = shard.key_range.value_or(record::KeyRange());
    if (first ? !range.start.empty() : at.empty() || range.start != at) {
      return Fail(Code::kFailedPrecondition,
                  "keyspace {}: the serving shards do not cover the key space once: hole or "
                  "overlap before shard {}",
                  keyspace, shard.name);
    }
    at = range.end;
    first = false;
  }
  if (!at.empty()) {
    return Fail(Code::kFailedPrecondition,
                "keyspace {}: no serving shard covers the key space from {} on", keyspace,
                HexEncode(at));
  }
  return {};
}

}  // namespace

io::Task<Result<std::vector<std::string>>> Server::ListShards(std::string keyspace,
                                                              Deadline deadline) {
  std::string dir = KeyspaceDir(keyspace) + "/shards";
  auto names_task = ListNames("global", dir, deadline);
  Result<std::vector<std::string>> names = co_await names_task;
  co_return names;
}

io::Task<Result<std::map<std::string, Stored<record::Shard>>>> Server::GetShards(
    std::string keyspace, Deadline deadline) {
  std::string dir = KeyspaceDir(keyspace) + "/shards";
  Result<std::vector<File>> files = co_await global_->List(dir, deadline);
  if (!files) co_return Fail(files.error().Context("listing shards of keyspace " + keyspace));
  std::map<std::string, Stored<record::Shard>> shards;
  for (File& file : *files) {
    if (!file.path.ends_with("/Shard")) continue;
    std::string name = file.path.substr(dir.size() + 1, file.path.size() - dir.size() - 7);
    Result<record::Shard> shard = Decode<record::Shard>(file.data);
    if (!shard) co_return Fail(shard.error().Context(file.path));
    shards.emplace(name,
                   Stored<record::Shard>{std::move(*shard), file.version, std::move(file.data)});
  }
  co_return shards;
}

io::Task<Result<Stored<record::Shard>>> Server::GetShard(std::string keyspace, std::string shard,
                                                         Deadline deadline) {
  auto read_task = Read<record::Shard>("global", ShardPath(keyspace, shard), deadline);
  Result<Stored<record::Shard>> read = co_await read_task;
  co_return read;
}

io::Task<Status> Server::CreateShard(std::string keyspace, std::string shard, Deadline deadline) {
  Status valid = record::ValidateName("shard", shard);
  if (!valid) co_return Fail(valid.error());
  Result<std::optional<record::KeyRange>> range = KeyRangeOfShardName(shard);
  if (!range) co_return Fail(range.error());
  // Two shards made at once must see each other to know which one serves.
  std::string action = "CreateShard " + shard;
  Result<LockPtr> lock = co_await LockKeyspace(keyspace, action, deadline);
  if (!lock) co_return Fail(lock.error());
  record::Shard value;
  value.key_range = *range;
  Result<std::map<std::string, Stored<record::Shard>>> others =
      co_await GetShards(keyspace, deadline);
  Status outcome;
  if (!others) {
    outcome = Fail(others.error());
  } else {
    for (const auto& [name, other] : *others) {
      if (other.value.is_primary_serving && Overlap(other.value.key_range, value.key_range)) {
        value.is_primary_serving = false;
      }
    }
    std::string bytes = Encode(value);
    std::string path = ShardPath(keyspace, shard);
    Result<Version> created = co_await global_->Create(path, bytes, deadline);
    if (!created)
      outcome = Fail(created.error().Context("creating shard " + keyspace + "/" + shard));
  }
  Status released = co_await (*lock)->Release(deadline);
  (void)released;  // ends by its lease otherwise
  co_return outcome;
}

io::Task<Result<Stored<record::Shard>>> Server::GetOrCreateShard(std::string keyspace,
                                                                 std::string shard,
                                                                 Deadline deadline) {
  Result<Stored<record::Shard>> there = co_await GetShard(keyspace, shard, deadline);
  if (there || there.error().code() != Code::kNotFound) co_return there;
  record::Keyspace plain;
  Status keyspace_made = co_await CreateKeyspace(keyspace, plain, deadline);
  if (!keyspace_made && keyspace_made.error().code() != Code::kAlreadyExists)
    co_return Fail(keyspace_made.error());
  Status shard_made = co_await CreateShard(keyspace, shard, deadline);
  if (!shard_made && shard_made.error().code() != Code::kAlreadyExists)
    co_return Fail(shard_made.error());
  Result<Stored<record::Shard>> made = co_await GetShard(keyspace, shard, deadline);
  co_return made;
}

io::Task<Result<record::Shard>> Server::UpdateShardFields(std::string keyspace, std::string shard,
                                                          ShardFn fn, Deadline deadline) {
  auto updated_task =
      Modify<record::Shard>("global", ShardPath(keyspace, shard), fn, false, deadline);
  Result<record::Shard> updated = co_await updated_task;
  co_return updated;
}

io::Task<Status> Server::DeleteShard(std::string keyspace, std::string shard, Deadline deadline) {
  auto deleted_task = DeleteFile("global", ShardPath(keyspace, shard), deadline);
  Status deleted = co_await deleted_task;
  co_return deleted;
}

// Replication and serving graph.

io::Task<Result<Stored<record::ShardReplication>>> Server::GetShardReplication(std::string cell,
                                                                               std::string keyspace,
                                                                               std::string shard,
                                                                               Deadline deadline) {
  auto read_task =
      Read<record::ShardReplication>(cell, ShardReplicationPath(keyspace, shard), deadline);
  Result<Stored<record::ShardReplication>> read = co_await read_task;
  co_return read;
}

io::Task<Status> Server::UpdateShardReplication(std::string cell, std::string keyspace,
                                                std::string shard, ReplicationFn fn,
                                                Deadline deadline) {
  auto updated_task = Modify<record::ShardReplication>(cell, ShardReplicationPath(keyspace, shard),
                                                       fn, true, deadline);
  Result<record::ShardReplication> updated = co_await updated_task;
  if (!updated)
    co_return Fail(updated.error().Context("replication graph of " + keyspace + "/" + shard));
  co_return Status();
}

io::Task<Status> Server::DeleteShardReplication(std::string cell, std::string keyspace,
                                                std::string shard, Deadline deadline) {
  auto deleted_task = DeleteFile(cell, ShardReplicationPath(keyspace, shard), deadline);
  Status deleted = co_await deleted_task;
  co_return deleted;
}

io::Task<Result<Stored<record::SrvKeyspace>>> Server::GetSrvKeyspace(std::string cell,
                                                                     std::string keyspace,
                                                                     Deadline deadline) {
  auto read_task = Read<record::SrvKeyspace>(cell, SrvKeyspacePath(keyspace), deadline);
  Result<Stored<record::SrvKeyspace>> read = co_await read_task;
  co_return read;
}

io::Task<Result<std::vector<std::string>>> Server::ListSrvKeyspaces(std::string cell,
                                                                    Deadline deadline) {
  auto names_task = ListNames(cell, "keyspaces", deadline);
  Result<std::vector<std::string>> names = co_await names_task;
  co_return names;
}

io::Task<Status> Server::UpdateSrvKeyspace(std::string cell, std::string keyspace,
                                           record::SrvKeyspace value, Deadline deadline) {
  auto written_task = Write<record::SrvKeyspace>(cell, SrvKeyspacePath(keyspace), value, deadline);
  Status written = co_await written_task;
  co_return written;
}

io::Task<Status> Server::DeleteSrvKeyspace(std::string cell, std::string keyspace,
                                           Deadline deadline) {
  auto deleted_task = DeleteFile(cell, SrvKeyspacePath(keyspace), deadline);
  Status deleted = co_await deleted_task;
  co_return deleted;
}

io::Task<Result<Stored<record::SrvVSchema>>> Server::GetSrvVSchema(std::string cell,
                                                                   Deadline deadline) {
  auto read_task = Read<record::SrvVSchema>(cell, SrvVSchemaPath(), deadline);
  Result<Stored<record::SrvVSchema>> read = co_await read_task;
  co_return read;
}

io::Task<Status> Server::UpdateSrvVSchema(std::string cell, record::SrvVSchema value,
                                          Deadline deadline) {
  auto written_task = Write<record::SrvVSchema>(cell, SrvVSchemaPath(), value, deadline);
  Status written = co_await written_task;
  co_return written;
}

io::Task<Status> Server::DeleteSrvVSchema(std::string cell, Deadline deadline) {
  auto deleted_task = DeleteFile(cell, SrvVSchemaPath(), deadline);
  Status deleted = co_await deleted_task;
  co_return deleted;
}

io::Task<Result<Stored<record::KeyspaceVSchema>>> Server::GetVSchema(std::string keyspace,
                                                                     Deadline deadline) {
  auto read_task = Read<record::KeyspaceVSchema>("global", KeyspaceVSchemaPath(keyspace), deadline);
  Result<Stored<record::KeyspaceVSchema>> read = co_await read_task;
  if (!read && read.error().code() == Code::kNotFound) co_return Stored<record::KeyspaceVSchema>();
  co_return read;
}

io::Task<Status> Server::SaveVSchema(std::string keyspace, record::KeyspaceVSchema value,
                                     Deadline deadline) {
  // The record carries its whole encoding, so what it lacks was taken out on purpose: no base.
  std::string bytes = Encode(value);
  auto written_task = global_->Update(KeyspaceVSchemaPath(keyspace), bytes, kAnyVersion, deadline);
  Result<Version> written = co_await written_task;
  if (!written) co_return Fail(written.error().Context("VSchema of " + keyspace));
  co_return Status();
}

io::Task<Result<Stored<record::RoutingRules>>> Server::GetRoutingRules(Deadline deadline) {
  auto read_task = Read<record::RoutingRules>("global", RoutingRulesPath(), deadline);
  Result<Stored<record::RoutingRules>> read = co_await read_task;
  if (!read && read.error().code() == Code::kNotFound) co_return Stored<record::RoutingRules>();
  co_return read;
}

io::Task<Status> Server::SaveRoutingRules(record::RoutingRules value, Deadline deadline) {
  auto written_task = Write<record::RoutingRules>("global", RoutingRulesPath(), value, deadline);
  Status written = co_await written_task;
  co_return written;
}

// Locks.

io::Task<Result<LockPtr>> Server::LockDir(Path dir, std::string action, bool wait, bool must_exist,
                                          Deadline deadline) {
  LockOptions lock_options;
  lock_options.contents = MakeLockText(action, io::Loop::Current().clock().WallNow());
  lock_options.lease = options_.lock_lease;
  lock_options.dir_must_exist = must_exist;
  Result<LockPtr> lock = Fail(Code::kUnknown, "not locked");
  if (wait) {
    lock = co_await global_->AcquireLock(dir, lock_options, deadline);
  } else {
    lock = co_await global_->TryLock(dir, lock_options, deadline);
  }
  if (!lock) co_return Fail(lock.error().Context(action));
  co_return lock;
}

io::Task<Result<LockPtr>> Server::LockShard(std::string keyspace, std::string shard,
                                            std::string action, Deadline deadline) {
  auto lock_task = LockDir(ShardDir(keyspace, shard), action, true, true, deadline);
  Result<LockPtr> lock = co_await lock_task;
  co_return lock;
}
io::Task<Result<LockPtr>> Server::TryLockShard(std::string keyspace, std::string shard,
                                               std::string action, Deadline deadline) {
  auto lock_task = LockDir(ShardDir(keyspace, shard), action, false, true, deadline);
  Result<LockPtr> lock = co_await lock_task;
  co_return lock;
}
io::Task<Result<LockPtr>> Server::LockKeyspace(std::string keyspace, std::string action,
                                               Deadline deadline) {
  auto lock_task = LockDir(KeyspaceDir(keyspace), action, true, true, deadline);
  Result<LockPtr> lock = co_await lock_task;
  co_return lock;
}
io::Task<Result<LockPtr>> Server::LockName(std::string name, std::string action,
                                           Deadline deadline) {
  auto lock_task = LockDir(NamedLockDir(name), action, true, false, deadline);
  Result<LockPtr> lock = co_await lock_task;
  co_return lock;
}

// Watches.

io::Task<Result<std::unique_ptr<ShardWatch>>> Server::WatchShard(std::string keyspace,
                                                                 std::string shard,
                                                                 Deadline deadline) {
  auto watch_task = WatchRecord<record::Shard>("global", ShardPath(keyspace, shard), deadline);
  Result<std::unique_ptr<ShardWatch>> watch = co_await watch_task;
  co_return watch;
}
io::Task<Result<std::unique_ptr<SrvVSchemaWatch>>> Server::WatchSrvVSchema(std::string cell,
                                                                           Deadline deadline) {
  auto watch_task = WatchRecord<record::SrvVSchema>(cell, SrvVSchemaPath(), deadline);
  Result<std::unique_ptr<SrvVSchemaWatch>> watch = co_await watch_task;
  co_return watch;
}
io::Task<Result<std::unique_ptr<SrvKeyspaceWatch>>> Server::WatchSrvKeyspace(std::string cell,
                                                                             std::string keyspace,
                                                                             Deadline deadline) {
  auto watch_task = WatchRecord<record::SrvKeyspace>(cell, SrvKeyspacePath(keyspace), deadline);
  Result<std::unique_ptr<SrvKeyspaceWatch>> watch = co_await watch_task;
  co_return watch;
}
io::Task<Result<std::unique_ptr<TabletWatch>>> Server::WatchTablets(std::string cell,
                                                                    Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  auto watch_task = (*conn)->OpenWatchRecursive("tablets", deadline);
  Result<WatchPtr> watch = co_await watch_task;
  if (!watch) co_return Fail(watch.error().Context("watching tablets of cell " + cell));
  co_return std::make_unique<TabletWatch>(std::move(*watch), "tablets of cell " + cell);
}

// Rebuilding.

io::Task<Status> Server::RebuildKeyspace(std::string keyspace, std::vector<std::string> cells,
                                         bool allow_partial, Deadline deadline) {
  Result<std::vector<std::string>> chosen = co_await CellsOrAll(cells, deadline);
  if (!chosen) co_return Fail(chosen.error());
  Result<Stored<record::Keyspace>> info = co_await GetKeyspace(keyspace, deadline);
  if (!info) co_return Fail(info.error().Context("rebuilding keyspace " + keyspace));
  Result<std::map<std::string, Stored<record::Shard>>> shards =
      co_await GetShards(keyspace, deadline);
  if (!shards) co_return Fail(shards.error());
  std::vector<record::SrvShard> serving;
  for (const auto& [name, shard] : *shards) {
    if (shard.value.is_primary_serving) serving.push_back({name, shard.value.key_range});
  }
  std::ranges::stable_sort(serving, {}, [](const record::SrvShard& shard) {
    return shard.key_range ? shard.key_range->start : std::string();
  });
  bool snapshot = info->value.type == record::KeyspaceType::kSnapshot;
  if (!allow_partial && !snapshot) {
    Status cover = CheckCover(keyspace, serving);
    if (!cover) co_return Fail(cover.error());
  }
  record::SrvKeyspace graph;
  if (!serving.empty()) {
    for (auto type : {record::TabletType::kPrimary, record::TabletType::kReplica,
                      record::TabletType::kRdonly}) {
      graph.partitions.push_back({type, serving});
    }
  }
  for (const std::string& cell : *chosen) {
    Result<Conn*> conn = co_await Cell(cell, deadline);
    if (!conn) co_return Fail(conn.error());
    Path path = SrvKeyspacePath(keyspace);
    std::string bytes = CopyThrottlerConfig(info->raw, Encode(graph));
    Result<Version> written = co_await (*conn)->Update(path, bytes, kAnyVersion, deadline);
    if (!written)
      co_return Fail(written.error().Context("serving graph of " + keyspace + " in cell " + cell));
  }
  co_return Status();
}

io::Task<Status> Server::RebuildVSchemaGraph(std::vector<std::string> cells, Deadline deadline) {
  Result<std::vector<std::string>> chosen = co_await CellsOrAll(cells, deadline);
  if (!chosen) co_return Fail(chosen.error());
  Result<std::vector<std::string>> names = co_await ListKeyspaces(deadline);
  if (!names) co_return Fail(names.error());
  std::map<std::string, std::string> keyspaces;
  for (const std::string& name : *names) {
    auto file_task = global_->Get(KeyspaceVSchemaPath(name), deadline);
    Result<File> file = co_await file_task;
    if (!file && file.error().code() != Code::kNotFound) co_return Fail(file.error());
    keyspaces[name] = file ? file->data : std::string();
  }
  std::vector<std::string> rules;
  std::vector<std::string> paths = {RoutingRulesPath(), ShardRoutingRulesPath(),
                                    KeyspaceRoutingRulesPath(), MirrorRulesPath()};
  for (const std::string& path : paths) {
    Result<File> file = co_await global_->Get(path, deadline);
    if (!file && file.error().code() != Code::kNotFound) co_return Fail(file.error());
    rules.push_back(file ? file->data : std::string());
  }
  std::string bytes = BuildSrvVSchema(keyspaces, rules[0], rules[1], rules[2], rules[3]);
  for (const std::string& cell : *chosen) {
    Result<Conn*> conn = co_await Cell(cell, deadline);
    if (!conn) co_return Fail(conn.error());
    Path path = SrvVSchemaPath();
    Result<Version> written = co_await (*conn)->Update(path, bytes, kAnyVersion, deadline);
    if (!written) co_return Fail(written.error().Context("SrvVSchema of cell " + cell));
  }
  co_return Status();
}

}  // namespace paceline::topo
