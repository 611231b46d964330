// Backups of shards: made and taken back by tablets, listed and removed here.
#include "backup/catalog.h"
#include "io/blocking.h"
#include "mysqlctl.pb.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

namespace {

// Tells whose event it is.
class Relay final : public port::BackupEvents {
 public:
  Relay(const record::Tablet& tablet, port::BackupEvents& to) : tablet_(tablet), to_(to) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    port::BackupEvent told{tablet_.alias, tablet_.keyspace, tablet_.shard, event.text,
                           event.progress};
    Status sent = co_await to_.Event(told);
    co_return sent;
  }

 private:
  const record::Tablet& tablet_;
  port::BackupEvents& to_;
};

Result<backup::Catalog> OpenCatalog(const backup::StorageOptions& options,
                                    const std::string& keyspace, const std::string& shard) {
  ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> storage, backup::OpenStorage(options));
  return backup::Catalog::Of(std::move(storage), keyspace, shard);
}

}  // namespace

VTCTLD_METHOD(GetBackups) {
  backup::StorageOptions options = backups_;
  std::string keyspace = request.keyspace(), shard = request.shard();
  using Entries = Result<std::vector<std::pair<backup::BackupEntry, backup::Manifest>>>;
  bool detailed = request.detailed();
  std::function<Entries()> list = [options, keyspace, shard, detailed]() -> Entries {
    ASSIGN_OR_RETURN(backup::Catalog catalog, OpenCatalog(options, keyspace, shard));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    std::vector<std::pair<backup::BackupEntry, backup::Manifest>> complete;
    for (backup::BackupEntry& entry : entries) {
      if (!entry.complete) continue;  // it runs, or was interrupted
      backup::Manifest manifest;
      if (detailed) {
        ASSIGN_OR_RETURN(manifest, catalog.Read(entry.name));
      }
      complete.emplace_back(std::move(entry), std::move(manifest));
    }
    return complete;
  };
  Entries entries = co_await io::RunBlocking<Entries>(std::move(list));
  if (!entries) co_return Fail(entries.error());
  size_t skip = request.limit() > 0 && entries->size() > request.limit()
                    ? entries->size() - request.limit()
                    : 0;
  for (size_t i = skip; i < entries->size(); ++i) {
    const auto& [entry, manifest] = (*entries)[i];
    auto* info = response.add_backups();
    info->set_name(entry.name);
    info->set_directory(keyspace + "/" + shard);
    info->set_keyspace(keyspace);
    info->set_shard(shard);
    Fill(entry.parsed.alias, info->mutable_tablet_alias());
    info->mutable_time()->set_seconds(entry.parsed.time.unix_ns / 1'000'000'000);
    info->set_engine(manifest.engine);
    info->set_status(entry.verified == backup::Verified::kGood  ? ::mysqlctl::BackupInfo::VALID
                     : entry.verified == backup::Verified::kBad ? ::mysqlctl::BackupInfo::INVALID
                                                                : ::mysqlctl::BackupInfo::COMPLETE);
  }
  co_return Status();
}

VTCTLD_METHOD(RemoveBackup) {
  backup::StorageOptions options = backups_;
  std::string keyspace = request.keyspace(), shard = request.shard(), name = request.name();
  std::function<Status()> remove = [options, keyspace, shard, name]() -> Status {
    ASSIGN_OR_RETURN(backup::Catalog catalog, OpenCatalog(options, keyspace, shard));
    return catalog.Remove(name);
  };
  Status removed = co_await io::RunBlocking<Status>(std::move(remove));
  co_return removed;
}

io::Task<Status> Vtctld::Backup(const ::vtctldata::BackupRequest& request,
                                port::BackupEvents& events, Deadline deadline) {
  Result<Reached> reached = co_await Reach(ToRecord(request.tablet_alias()), deadline);
  if (!reached) co_return Fail(reached.error());
  tabletmanagerdata::BackupRequest order;
  order.set_allow_primary(request.allow_primary());
  order.set_concurrency(request.concurrency());
  order.set_incremental_from_pos(request.incremental_from_pos());
  order.set_upgrade_safe(request.upgrade_safe());
  if (request.has_backup_engine()) order.set_backup_engine(request.backup_engine());
  Relay relay(reached->tablet, events);
  Status done = co_await reached->manager->Backup(order, relay, deadline);
  if (!done) co_return Fail(done.error().Context("backing up " + reached->tablet.alias.ToString()));
  co_return Status();
}

io::Task<Result<Vtctld::Reached>> Vtctld::SpareTablet(record::KeyspaceShard shard,
                                                      bool allow_primary, std::string what,
                                                      Deadline deadline) {
  Result<std::vector<Reached>> tablets = co_await ReachShard(shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  const Reached* best = nullptr;
  int64_t best_lag = 0;
  for (const Reached& one : *tablets) {
    record::TabletType type = one.tablet.type;
    bool spare = type == record::TabletType::kReplica || type == record::TabletType::kRdonly ||
                 type == record::TabletType::kSpare;
    if (!spare) continue;
    agent::TabletStateRequest ask;
    agent::TabletStateResponse state;
    Deadline soon = Deadline::In(std::chrono::seconds(3)).EarlierOf(deadline);
    Status answered = co_await one.manager->TabletState(ask, state, soon);
    bool fit = answered && state.mysqld_running() && state.io_running() && state.sql_running() &&
               state.replication_lag_ms() >= 0;
    if (!fit || (best != nullptr && state.replication_lag_ms() >= best_lag)) continue;
    best = &one;
    best_lag = state.replication_lag_ms();
  }
  for (const Reached& one : *tablets) {
    if (best == nullptr && allow_primary && one.tablet.type == record::TabletType::kPrimary)
      best = &one;
  }
  if (best == nullptr) {
    co_return Fail(Code::kFailedPrecondition,
                   "no replica of {}/{} replicates: there is none to {}{}", shard.keyspace,
                   shard.shard, what, allow_primary ? "" : "; --allow-primary takes the primary");
  }
  co_return *best;
}

// Of the replica with the least lag, as Vitess does.
io::Task<Status> Vtctld::BackupShard(const ::vtctldata::BackupShardRequest& request,
                                     port::BackupEvents& events, Deadline deadline) {
  record::KeyspaceShard shard{request.keyspace(), request.shard()};
  Result<Reached> best = co_await SpareTablet(shard, request.allow_primary(), "back up", deadline);
  if (!best) co_return Fail(best.error());
  ::vtctldata::BackupRequest order;
  Fill(best->tablet.alias, order.mutable_tablet_alias());
  order.set_allow_primary(request.allow_primary());
  order.set_concurrency(request.concurrency());
  order.set_incremental_from_pos(request.incremental_from_pos());
  order.set_upgrade_safe(request.upgrade_safe());
  Status done = co_await Backup(order, events, deadline);
  co_return done;
}

io::Task<Status> Vtctld::VerifyBackup(record::KeyspaceShard shard, std::string name,
                                      bool allow_primary, port::BackupEvents& events,
                                      Deadline deadline) {
  Result<Reached> spare =
      co_await SpareTablet(shard, allow_primary, "verify a backup on", deadline);
  if (!spare) co_return Fail(spare.error());
  agent::VerifyBackupRequest order;
  order.set_backup(name);
  Relay relay(spare->tablet, events);
  Status done = co_await spare->manager->VerifyBackup(order, relay, deadline);
  if (!done) co_return Fail(done.error().Context("on " + spare->tablet.alias.ToString()));
  co_return Status();
}

io::Task<Status> Vtctld::RestoreFromBackup(const ::vtctldata::RestoreFromBackupRequest& request,
                                           port::BackupEvents& events, Deadline deadline) {
  Result<Reached> reached = co_await Reach(ToRecord(request.tablet_alias()), deadline);
  if (!reached) co_return Fail(reached.error());
  tabletmanagerdata::RestoreFromBackupRequest order;
  if (request.has_backup_time())
    order.mutable_backup_time()->set_seconds(request.backup_time().seconds());
  order.set_restore_to_pos(request.restore_to_pos());
  order.set_dry_run(request.dry_run());
  if (request.has_restore_to_timestamp())
    *order.mutable_restore_to_timestamp() = request.restore_to_timestamp();
  Relay relay(reached->tablet, events);
  Status done = co_await reached->manager->RestoreFromBackup(order, relay, deadline);
  if (!done) co_return Fail(done.error().Context("restoring " + reached->tablet.alias.ToString()));
  co_return Status();
}

}  // namespace paceline::vtctld
