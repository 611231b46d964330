// Commands of backups.
#include <nlohmann/json.hpp>

#include "backup/catalog.h"
#include "base/time_text.h"
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {
namespace {

using Arguments = std::vector<std::string>;

// Each event on a line of its own, as it comes; with --json an object a line.
class Printer : public port::BackupEvents {
 public:
  explicit Printer(Call& call) : call_(call) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    call_.Event(Text(event));
    co_return Status();
  }

 protected:
  std::string Text(const port::BackupEvent& event) const {
    return call_.json ? JsonLine(event)
                      : fmt::format("{}/{} ({}): {}", event.keyspace, event.shard,
                                    event.tablet.ToString(), event.text);
  }
  Call& call_;

 private:
  static std::string JsonLine(const port::BackupEvent& event) {
    nlohmann::ordered_json line = {{"time", Rfc3339Millis(SystemClock().WallNow())},
                                   {"keyspace", event.keyspace},
                                   {"shard", event.shard},
                                   {"tablet", event.tablet.ToString()},
                                   {"event", event.text}};
    if (event.progress) {
      const port::TransferProgress& at = *event.progress;
      line["progress"] = {{"phase", at.phase}, {"bytes", at.bytes}};
      if (at.total > 0) line["progress"]["total_bytes"] = at.total;
      if (at.rate > 0) line["progress"]["bytes_per_second"] = at.rate;
      if (at.left_s >= 0) line["progress"]["seconds_left"] = at.left_s;
    }
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
};

// Where vtctld runs the command: its output is the client's.
class Passer final : public Printer {
 public:
  using Printer::Printer;
  io::Task<Status> Event(const port::BackupEvent& event) override {
    call_.Line(Text(event));
    co_return Status();
  }
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

io::Task<Status> VerifyBackup(Call& call) {
  bool allow_primary = false;
  FlagSet flags = call.Flags();
  flags.Bool("allow-primary", &allow_primary, "on the primary where no replica will do");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 2)) co_return *end;
  Result<record::KeyspaceShard> shard = record::ParseKeyspaceShard(args[0]);
  if (!shard) co_return Fail(shard.error());
  if (call.local == nullptr) {  // the work is vtctld's
    std::vector<std::string> words = {"VerifyBackup"};
    if (allow_primary) words.push_back("--allow-primary");
    if (call.json) words.push_back("--json");
    words.insert(words.end(), args.begin(), args.end());
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  Passer passer(call);
  std::string name = args.size() > 1 ? args[1] : std::string();
  Status done = co_await call.local->VerifyBackup(*shard, std::move(name), allow_primary, passer,
                                                  call.deadline);
  co_return done;
}

io::Task<Status> RestoreFromBackup(Call& call) {
  vtctldata::RestoreFromBackupRequest request;
  std::string timestamp, to_pos, to_timestamp;
  bool dry_run = false;
  FlagSet flags = call.Flags();
  flags.Text("backup-timestamp", &timestamp,
             "the newest backup not after this time, YYYY-mm-DD.HHMMSS; empty: the newest");
  flags.Text("restore-to-pos", &to_pos,
             "then as far as this position, from the archive: a GTID set, or before:<gtid>, or "
             "upto:<gtid>; the tablet stays there, DRAINED");
  flags.Text("restore-to-timestamp", &to_timestamp,
             "then up to this time, without it, as 2026-11-22T22:40:00Z");
  flags.Bool("dry-run", &dry_run, "only tell what would be restored");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  request.set_restore_to_pos(to_pos);
  if (!to_timestamp.empty()) {
    Result<WallTime> at = ParseRfc3339(to_timestamp);
    if (!at) co_return Fail(at.error().Context("--restore-to-timestamp"));
    request.mutable_restore_to_timestamp()->set_seconds(at->unix_ns / 1'000'000'000);
  }
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
