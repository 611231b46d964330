// Commands of backups.
#include "backup/catalog.h"
#include "vtctld/command/command.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {
namespace {

using Arguments = std::vector<std::string>;

// Each event on a line of its own, as it comes.
class Printer final : public port::BackupEvents {
 public:
  explicit Printer(Call& call) : call_(call) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    call_.Event(fmt::format("{}/{} ({}): {}", event.keyspace, event.shard, event.tablet.ToString(),
                            event.text));
    co_return Status();
  }

 private:
  Call& call_;
};

}  // namespace

io::Task<Status> GetBackups(Call& call) {
  vtctldata::GetBackupsRequest request;
  vtctldata::GetBackupsResponse response;
  int64_t limit = 0;
  FlagSet flags = call.Flags();
  flags.Int("limit", &limit, "the newest so many only");
  flags.Alias("l", "limit");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_limit(static_cast<uint32_t>(limit));
  request.set_detailed(call.json);
  Status done = co_await call.vtctld.GetBackups(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const auto& backup : response.backups()) call.Line(backup.name());
  co_return done;
}

io::Task<Status> RemoveBackup(Call& call) {
  vtctldata::RemoveBackupRequest request;
  vtctldata::RemoveBackupResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_name(args[1]);
  Status done = co_await call.vtctld.RemoveBackup(request, response, call.deadline);
  co_return done;
}

io::Task<Status> Backup(Call& call) {
  vtctldata::BackupRequest request;
  bool allow_primary = false, upgrade_safe = false;
  int64_t concurrency = 4;
  std::string engine, incremental;
  FlagSet flags = call.Flags();
  flags.Bool("allow-primary", &allow_primary, "also when the tablet is the primary");
  flags.Int("concurrency", &concurrency, "accepted for Vitess's sake");
  flags.Bool("upgrade-safe", &upgrade_safe, "accepted for Vitess's sake");
  flags.Text("backup-engine", &engine, "clone, mariabackup, builtin; empty: the server's own");
  flags.Text("incremental-from-pos", &incremental, "not offered");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  request.set_allow_primary(allow_primary);
  request.set_upgrade_safe(upgrade_safe);
  request.set_concurrency(static_cast<int32_t>(concurrency));
  request.set_incremental_from_pos(incremental);
  if (!engine.empty()) request.set_backup_engine(engine);
  Printer printer(call);
  Status done = co_await call.vtctld.Backup(request, printer, call.deadline);
  co_return done;
}

io::Task<Status> BackupShard(Call& call) {
  vtctldata::BackupShardRequest request;
  bool allow_primary = false, upgrade_safe = false;
  int64_t concurrency = 4;
  std::string incremental;
  FlagSet flags = call.Flags();
  flags.Bool("allow-primary", &allow_primary, "the primary where no replica will do");
  flags.Int("concurrency", &concurrency, "accepted for Vitess's sake");
  flags.Bool("upgrade-safe", &upgrade_safe, "accepted for Vitess's sake");
  flags.Text("incremental-from-pos", &incremental, "not offered");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_allow_primary(allow_primary);
  request.set_upgrade_safe(upgrade_safe);
  request.set_concurrency(static_cast<int32_t>(concurrency));
  request.set_incremental_from_pos(incremental);
  Printer printer(call);
  Status done = co_await call.vtctld.BackupShard(request, printer, call.deadline);
  co_return done;
}

io::Task<Status> RestoreFromBackup(Call& call) {
  vtctldata::RestoreFromBackupRequest request;
  std::string timestamp, to_pos, to_timestamp;
  bool dry_run = false;
  FlagSet flags = call.Flags();
  flags.Text("backup-timestamp", &timestamp,
             "the newest backup not after this time, YYYY-mm-DD.HHMMSS; empty: the newest");
  flags.Text("restore-to-pos", &to_pos, "not offered yet");
  flags.Text("restore-to-timestamp", &to_timestamp, "not offered yet");
  flags.Bool("dry-run", &dry_run, "only tell what would be restored");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  if (!to_pos.empty() || !to_timestamp.empty())
    co_return Fail(Code::kUnimplemented, "restoring to a position or a time is not offered yet");
  if (!timestamp.empty()) {
    // A backup's name begins so.
    std::optional<backup::BackupName> name = backup::ParseBackupName(timestamp + ".any-0000000001");
    if (!name) {
      co_return Fail(Code::kInvalidArgument,
                     "--backup-timestamp \"{}\" is not of the form 2026-11-27.191500", timestamp);
    }
    request.mutable_backup_time()->set_seconds(name->time.unix_ns / 1'000'000'000);
  }
  request.set_dry_run(dry_run);
  Printer printer(call);
  Status done = co_await call.vtctld.RestoreFromBackup(request, printer, call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
