#include "vtctld/backup_keeper.h"

#include <algorithm>

#include "backup/archive.h"
#include "base/log.h"
#include "io/blocking.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

constexpr Duration kLookEveryMax = std::chrono::minutes(1);
constexpr Duration kBackupMax = std::chrono::hours(24);

// Ends what it listens to when vtctld stops.
class Quiet final : public port::BackupEvents {
 public:
  explicit Quiet(io::Gate& gate) : gate_(gate) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    if (gate_.closed()) co_return Fail(Code::kCanceled, "vtctld is stopping");
    LOG_DEBUG("{}/{} ({}): {}", event.keyspace, event.shard, event.tablet.ToString(), event.text);
    co_return Status();
  }

 private:
  io::Gate& gate_;
};

}  // namespace

BackupKeeper::BackupKeeper(io::Loop& loop, topo::Server& topo, Vtctld& vtctld,
                           backup::StorageOptions storage, backup::BackupRules rules)
    : loop_(loop),
      topo_(topo),
      vtctld_(vtctld),
      storage_(std::move(storage)),
      rules_(rules),
      verifications_(Metrics::Process().AddCounters("BackupVerifications",
                                                    "verifications that came to a verdict, by it",
                                                    {"Keyspace", "Shard", "Verdict"})),
      bad_(Metrics::Process().AddGauges("BackupsBad", "backups that failed their verification",
                                        {"Keyspace", "Shard"})) {}

void BackupKeeper::Start() {
  if (rules_.any() && !storage_.kind.empty()) io::Detach(Loop(*this));
}

io::Task<void> BackupKeeper::Stop(Deadline deadline) {
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("a backup that was asked for still runs");
}

io::Task<void> BackupKeeper::Loop(BackupKeeper& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Duration pause = kLookEveryMax;
  if (self.rules_.every > Duration(0)) pause = std::min(pause, self.rules_.every / 2);
  while (pass && !self.gate_.closed()) {
    auto keyspaces = co_await self.topo_.ListKeyspaces(Deadline::In(10s));
    std::vector<std::string> names;
    if (keyspaces) names = *keyspaces;
    for (const std::string& keyspace : names) {
      auto record = co_await self.topo_.GetKeyspace(keyspace, Deadline::In(10s));
      // A snapshot is a backup's itself.
      if (!record || record->value.type == record::KeyspaceType::kSnapshot) continue;
      auto shards = co_await self.topo_.ListShards(keyspace, Deadline::In(10s));
      if (!shards) continue;
      for (const std::string& shard : *shards) {
        if (self.gate_.closed()) break;
        Status kept = co_await self.LookAt(keyspace, shard);
        if (!kept) LOG_WARNING("backups of {}/{}: {}", keyspace, shard, kept.error().ToString());
      }
    }
    bool open = co_await io::Sleep(self.gate_, Deadline::In(pause));
    if (!open) break;
  }
}

io::Task<BackupKeeper::Entries> BackupKeeper::List(std::string keyspace, std::string shard) {
  std::function<Entries()> list = [storage = storage_, keyspace, shard]() -> Entries {
    ASSIGN_OR_RETURN(auto opened, backup::OpenStorage(storage));
    ASSIGN_OR_RETURN(backup::Catalog catalog,
                     backup::Catalog::Of(std::move(opened), keyspace, shard));
    return catalog.List();
  };
  Entries entries = co_await io::RunBlocking<Entries>(std::move(list));
  co_return entries;
}

// What one of both cannot do keeps the other from nothing.
io::Task<Status> BackupKeeper::LookAt(std::string keyspace, std::string shard) {
  Status made = co_await MakeAndRemove(keyspace, shard);
  Status verified = co_await Verify(keyspace, shard);
  co_return made ? verified : made;
}

io::Task<Status> BackupKeeper::MakeAndRemove(std::string keyspace, std::string shard) {
  Entries entries = co_await List(keyspace, shard);
  if (!entries) co_return Fail(entries.error());
  if (backup::IsDue(*entries, rules_, loop_.clock().WallNow())) {
    LOG_INFO("a backup of {}/{} is due", keyspace, shard);
    ::vtctldata::BackupShardRequest request;
    request.set_keyspace(keyspace);
    request.set_shard(shard);
    Quiet quiet(gate_);
    Status made = co_await vtctld_.BackupShard(request, quiet, Deadline::In(kBackupMax));
    // None goes while none comes.
    if (!made) co_return made;
    entries = co_await List(keyspace, shard);
    if (!entries) co_return Fail(entries.error());
  }
  for (const std::string& name : backup::Expired(*entries, rules_, loop_.clock().WallNow())) {
    std::function<Status()> remove = [storage = storage_, keyspace, shard, name]() -> Status {
      ASSIGN_OR_RETURN(auto opened, backup::OpenStorage(storage));
      ASSIGN_OR_RETURN(backup::Catalog catalog,
                       backup::Catalog::Of(std::move(opened), keyspace, shard));
      Status removed = catalog.Remove(name);
      if (!removed && removed.error().code() == Code::kNotFound) return {};  // by another vtctld
      return removed;
    };
    Status removed = co_await io::RunBlocking<Status>(std::move(remove));
    if (!removed) co_return removed;
    LOG_INFO("backup {} of {}/{} has expired and was removed", name, keyspace, shard);
  }
  if (rules_.keep_count <= 0 && rules_.keep_age <= Duration(0)) co_return Status();
  Status pruned = co_await PruneArchive(keyspace, shard);
  co_return pruned;
}

io::Task<Status> BackupKeeper::Verify(std::string keyspace, std::string shard) {
  Entries entries = co_await List(keyspace, shard);
  if (!entries) co_return Fail(entries.error());
  std::string due = backup::ToVerify(*entries, rules_);
  if (!due.empty()) {
    LOG_INFO("verifying backup {} of {}/{}", due, keyspace, shard);
    Quiet quiet(gate_);
    record::KeyspaceShard at{keyspace, shard};
    Status verified =
        co_await vtctld_.VerifyBackup(at, due, false, quiet, Deadline::In(kBackupMax));
    bool found_out = verified || verified.error().code() == Code::kDataLoss;
    if (!found_out) co_return verified;
    LOG_INFO("backup {} of {}/{} {}", due, keyspace, shard, verified ? "is good" : "is bad");
    verifications_.With({keyspace, shard, verified ? "good" : "bad"}).Add();
    entries = co_await List(keyspace, shard);
    if (!entries) co_return Fail(entries.error());
  }
  int64_t bad =
      std::ranges::count(*entries, backup::Verified::kBad, &backup::BackupEntry::verified);
  bad_.With({keyspace, shard}).Set(bad);
  bool alarming = !entries->empty() && !entries->back().usable() && entries->back().complete;
  if (!alarming) co_return Status();
  co_return Fail(Code::kDataLoss,
                 "the newest, {}, failed its verification: GetBackups --json tells which are bad; "
                 "vtctldclient VerifyBackup {}/{} {} tells why",
                 entries->back().name, keyspace, shard, entries->back().name);
}

// What lies before the oldest backup leads from nowhere to nowhere.
io::Task<Status> BackupKeeper::PruneArchive(std::string keyspace, std::string shard) {
  std::function<Result<size_t>()> prune = [storage = storage_, keyspace,
                                           shard]() -> Result<size_t> {
    ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> opened, backup::OpenStorage(storage));
    std::shared_ptr<backup::Storage> shared = std::move(opened);
    ASSIGN_OR_RETURN(backup::Catalog catalog, backup::Catalog::Of(shared, keyspace, shard));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    auto oldest = std::ranges::find_if(entries, &backup::BackupEntry::complete);
    if (oldest == entries.end()) return size_t{0};
    ASSIGN_OR_RETURN(backup::Manifest manifest, catalog.Read(oldest->name));
    ASSIGN_OR_RETURN(gtid::Set position, gtid::Set::ParseEncoded(manifest.position));
    ASSIGN_OR_RETURN(backup::Archive archive, backup::Archive::Of(shared, keyspace, shard, ""));
    return archive.Prune(position);
  };
  Result<size_t> pruned = co_await io::RunBlocking<Result<size_t>>(std::move(prune));
  if (!pruned) co_return Fail(pruned.error());
  if (*pruned > 0)
    LOG_INFO("{} runs of the archive of {}/{} from before its oldest backup were removed", *pruned,
             keyspace, shard);
  co_return Status();
}

}  // namespace paceline::vtctld
