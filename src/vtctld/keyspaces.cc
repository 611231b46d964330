// Keyspaces.
#include "base/log.h"
#include "reparent/durability.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

void Fill(const std::string& name, const topo::Stored<record::Keyspace>& stored,
          vtctldata::Keyspace* out) {
  out->set_name(name);
  vtctld::Fill(stored, out->mutable_keyspace());
}

}  // namespace

VTCTLD_METHOD(CreateKeyspace) {
  std::string name = request.name();
  record::Keyspace keyspace;
  keyspace.type = static_cast<record::KeyspaceType>(request.type());
  keyspace.base_keyspace = request.base_keyspace();
  const vttime::Time& snapshot = request.snapshot_time();
  keyspace.snapshot_time.unix_ns = snapshot.seconds() * 1'000'000'000 + snapshot.nanoseconds();
  keyspace.durability_policy = request.durability_policy();
  if (!request.sidecar_db_name().empty()) keyspace.sidecar_db_name = request.sidecar_db_name();
  if (keyspace.durability_policy.empty()) keyspace.durability_policy = "none";
  Result<reparent::Durability> known = reparent::ParseDurability(keyspace.durability_policy);
  if (!known) co_return Fail(known.error());
  if (keyspace.type == record::KeyspaceType::kSnapshot && keyspace.base_keyspace.empty()) {
    co_return Fail(Code::kInvalidArgument, "a snapshot keyspace needs --base-keyspace");
  }
  if (keyspace.type == record::KeyspaceType::kSnapshot && !request.has_snapshot_time()) {
    co_return Fail(Code::kInvalidArgument, "a snapshot keyspace needs --snapshot-timestamp");
  }
  Status created = co_await topo_.CreateKeyspace(name, keyspace, deadline);
  bool exists = !created && created.error().code() == Code::kAlreadyExists;
  if (exists && !request.force()) {
    co_return Fail(Code::kAlreadyExists, "keyspace {} already exists (--force accepts that)", name);
  }
  if (!created && !exists) co_return created;
  auto stored = co_await topo_.GetKeyspace(name, deadline);
  if (!stored) co_return Fail(stored.error());
  Fill(name, *stored, response.mutable_keyspace());
  if (created && !request.allow_empty_v_schema()) {
    record::KeyspaceVSchema empty;
    Status saved = co_await topo_.SaveVSchema(name, empty, deadline);
    if (!saved) co_return saved;
  }
  // Gates learn of the keyspace from SrvVSchema; it can be rebuilt at any time.
  std::vector<std::string> every_cell;
  Status rebuilt = co_await topo_.RebuildVSchemaGraph(every_cell, deadline);
  if (!rebuilt)
    LOG_WARNING("rebuilding SrvVSchema after creating {}: {}", name, rebuilt.error().message());
  co_return Status();
}

VTCTLD_METHOD(GetKeyspace) {
  std::string name = request.keyspace();
  auto stored = co_await topo_.GetKeyspace(name, deadline);
  if (!stored) co_return Fail(stored.error());
  Fill(name, *stored, response.mutable_keyspace());
  co_return Status();
}

VTCTLD_METHOD(GetKeyspaces) {
  auto names = co_await topo_.ListKeyspaces(deadline);
  if (!names) co_return Fail(names.error());
  for (const std::string& name : *names) {
    auto stored = co_await topo_.GetKeyspace(name, deadline);
    // Deleted meanwhile, or a directory that only holds a VSchema.
    if (!stored && stored.error().code() == Code::kNotFound) continue;
    if (!stored) co_return Fail(stored.error());
    Fill(name, *stored, response.add_keyspaces());
  }
  co_return Status();
}

VTCTLD_METHOD(FindAllShardsInKeyspace) {
  auto keyspace = co_await topo_.GetKeyspace(request.keyspace(), deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  auto shards = co_await topo_.GetShards(request.keyspace(), deadline);
  if (!shards) co_return Fail(shards.error());
  for (const auto& [name, stored] : *shards) {
    vtctldata::Shard& shard = (*response.mutable_shards())[name];
    shard.set_keyspace(request.keyspace());
    shard.set_name(name);
    vtctld::Fill(stored, shard.mutable_shard());
  }
  co_return Status();
}

VTCTLD_METHOD(DeleteKeyspace) {
  std::string name = request.keyspace();
  topo::LockPtr lock;
  Result<topo::LockPtr> locked = co_await topo_.LockKeyspace(name, "DeleteKeyspace", deadline);
  if (!locked && !request.force()) co_return Fail(locked.error());
  if (locked) lock = std::move(*locked);
  Status outcome;
  auto shards = co_await topo_.ListShards(name, deadline);
  if (!shards && shards.error().code() != Code::kNotFound) outcome = Fail(shards.error());
  if (shards && !shards->empty() && !request.recursive()) {
    outcome = Fail(Code::kFailedPrecondition,
                   "keyspace {} still has {} shards: delete them first, or use --recursive", name,
                   shards->size());
  }
  std::vector<std::string> doomed;
  if (shards && outcome) doomed = *shards;
  for (const std::string& shard : doomed) {
    record::KeyspaceShard which{name, shard};
    Status deleted = co_await DeleteOneShard(which, true, true, true, deadline);
    if (!deleted && outcome) outcome = Fail(deleted.error());
  }
  if (outcome) {
    auto cells = co_await topo_.ListCells(deadline);
    std::vector<std::string> all;
    if (cells) all = *cells;
    for (const std::string& cell : all) {
      Status gone = co_await topo_.DeleteSrvKeyspace(cell, name, deadline);
      if (!gone && gone.error().code() != Code::kNotFound) {
        LOG_WARNING("deleting SrvKeyspace {} in {}: {}", name, cell, gone.error().message());
      }
    }
  }
  // Its lock lies in its folder: the record goes last, with the lock given up right before.
  if (lock) {
    Status released = co_await lock->Release(deadline);
    if (!released)
      LOG_WARNING("releasing the lock of keyspace {}: {}", name, released.error().message());
  }
  if (!outcome) co_return outcome;
  Status deleted = co_await topo_.DeleteKeyspace(name, deadline);
  if (!deleted) co_return deleted;
  std::vector<std::string> every_cell;
  Status rebuilt = co_await topo_.RebuildVSchemaGraph(every_cell, deadline);
  if (!rebuilt)
    LOG_WARNING("rebuilding SrvVSchema after deleting {}: {}", name, rebuilt.error().message());
  co_return Status();
}

VTCTLD_METHOD(RemoveKeyspaceCell) {
  auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
  if (!shards) co_return Fail(shards.error());
  for (const std::string& shard : *shards) {
    record::KeyspaceShard which{request.keyspace(), shard};
    Status removed = co_await RemoveCellOfShard(which, request.cell(), request.force(),
                                                request.recursive(), deadline);
    if (!removed) co_return removed;
  }
  Status gone = co_await topo_.DeleteSrvKeyspace(request.cell(), request.keyspace(), deadline);
  bool fine = gone || gone.error().code() == Code::kNotFound || request.force();
  if (!fine) co_return gone;
  co_return Status();
}

VTCTLD_METHOD(SetKeyspaceDurabilityPolicy) {
  std::string policy = request.durability_policy();
  Result<reparent::Durability> known = reparent::ParseDurability(policy);
  if (!known) co_return Fail(known.error());
  std::string name = request.keyspace();
  Result<topo::LockPtr> lock =
      co_await topo_.LockKeyspace(name, "SetKeyspaceDurabilityPolicy", deadline);
  if (!lock) co_return Fail(lock.error());
  topo::Server::KeyspaceFn set = [policy](record::Keyspace& value) -> Result<bool> {
    value.durability_policy = policy;
    return true;
  };
  auto updated = co_await topo_.UpdateKeyspaceFields(name, set, deadline);
  Status released = co_await (*lock)->Release(deadline);
  if (!released)
    LOG_WARNING("releasing the lock of keyspace {}: {}", name, released.error().message());
  if (!updated) co_return Fail(updated.error());
  vtctld::Fill(*updated, response.mutable_keyspace());
  co_return Status();
}

}  // namespace paceline::vtctld
