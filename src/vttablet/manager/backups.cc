// tabletmanagerservice.TabletManager: Backup and RestoreFromBackup.
#include "base/log.h"
#include "io/blocking.h"
#include "tabletmanagerdata.pb.h"
#include "vttablet/manager/manager.h"

namespace paceline::vttablet {

using record::TabletType;

namespace {

std::string Size(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

// Keeps the newest progress for the loop that tells it.
struct Progress final : port::SeedSink {
  bool OnProgress(const port::SeedProgress& progress) override {
    newest = progress;
    return !unwanted;
  }
  port::SeedProgress newest;
  bool unwanted = false;
};

struct Running {
  Progress progress;
  bool over = false;
  io::Event told;
};

// A line each second while something is copied.
io::Task<void> Tell(std::shared_ptr<Running> running, port::BackupEvents& events,
                    port::BackupEvent event, io::Loop& loop, io::Gate& gate) {
  Time began = loop.Now();
  std::string last;
  while (!running->over) {
    bool open = co_await io::Sleep(gate, Deadline::In(100ms));
    for (int turn = 0; turn < 9 && open && !running->over; ++turn)
      open = co_await io::Sleep(gate, Deadline::In(100ms));
    if (!open) running->progress.unwanted = true;
    if (running->over || !open) break;
    double seconds = std::chrono::duration<double>(loop.Now() - began).count();
    const port::SeedProgress& now = running->progress.newest;
    event.text =
        fmt::format("{}: {}, {}/s", now.phase.empty() ? "starting" : now.phase, Size(now.bytes),
                    Size(static_cast<uint64_t>(static_cast<double>(now.bytes) / seconds)));
    Status told = co_await events.Event(event);
    if (told) continue;
    running->progress.unwanted = true;
    break;
  }
  running->told.Set();
}

}  // namespace

io::Task<Status> Manager::Backup(const ::tabletmanagerdata::BackupRequest& request,
                                 port::BackupEvents& events, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the tablet is stopping");
  if (needs_.agent == nullptr) {
    co_return Fail(Code::kFailedPrecondition, "{} has no mysqlctld: it cannot be backed up",
                   tablet_.alias.ToString());
  }
  if (seeding_) {
    co_return Fail(Code::kUnavailable, "{} takes a seed: {}", tablet_.alias.ToString(),
                   seed_progress_);
  }
  if (is_primary() && !request.allow_primary()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} is the primary: back up a replica, or use --allow-primary",
                   tablet_.alias.ToString());
  }
  if (!request.incremental_from_pos().empty())
    co_return Fail(Code::kUnimplemented, "incremental backups are not offered");
  port::BackupOrder order;
  order.place = options_.backups;
  order.place.keyspace = tablet_.keyspace;
  order.place.shard = tablet_.shard;
  order.alias = tablet_.alias.ToString();
  order.engine = request.has_backup_engine() ? request.backup_engine() : options_.backup_engine;
  order.compression = options_.backup_compression;
  order.rate = options_.backup_rate;
  port::BackupEvent event{tablet_.alias, tablet_.keyspace, tablet_.shard, "backup begins"};
  Status told = co_await events.Event(event);
  if (!told) co_return told;
  auto running = std::make_shared<Running>();
  io::Detach(Tell(running, events, event, loop_, gate_));
  Result<std::string> name =
      co_await needs_.agent->Backup(std::move(order), running->progress, deadline);
  running->over = true;
  bool ended = co_await running->told.Wait(Deadline::Never());
  (void)ended;
  if (!name) co_return Fail(name.error());
  event.text = "backup " + *name + " is complete";
  Status last = co_await events.Event(event);
  co_return last;
}

// The newest complete one; of those not after a time, where one is given.
io::Task<Result<backup::BackupEntry>> Manager::FindBackup(WallTime not_after) {
  port::BackupPlace place = options_.backups;
  std::string keyspace = tablet_.keyspace, shard = tablet_.shard;
  std::function<Result<backup::BackupEntry>()> find = [place, keyspace, shard,
                                                       not_after]() -> Result<backup::BackupEntry> {
    ASSIGN_OR_RETURN(auto storage, backup::OpenStorage({place.storage, place.root}));
    ASSIGN_OR_RETURN(backup::Catalog catalog,
                     backup::Catalog::Of(std::move(storage), keyspace, shard));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    std::erase_if(entries, [&](const backup::BackupEntry& entry) {
      return !entry.complete || (not_after.unix_ns != 0 && entry.parsed.time > not_after);
    });
    if (entries.empty())
      return Fail(Code::kNotFound, "there is no backup of {}/{} to restore", keyspace, shard);
    return entries.back();
  };
  Result<backup::BackupEntry> found =
      co_await io::RunBlocking<Result<backup::BackupEntry>>(std::move(find));
  co_return found;
}

io::Task<Status> Manager::RestoreFromBackup(
    const ::tabletmanagerdata::RestoreFromBackupRequest& request, port::BackupEvents& events,
    Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the tablet is stopping");
  const std::string alias = tablet_.alias.ToString();
  if (needs_.agent == nullptr)
    co_return Fail(Code::kFailedPrecondition, "{} has no mysqlctld to restore with", alias);
  if (is_primary()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} is the primary: its data is not replaced; restore a replica", alias);
  }
  if (!request.restore_to_pos().empty() || request.has_restore_to_timestamp())
    co_return Fail(Code::kUnimplemented, "restoring to a position or a time is not offered yet");
  WallTime not_after{request.backup_time().seconds() * 1'000'000'000};
  Result<backup::BackupEntry> entry = co_await FindBackup(not_after);
  if (!entry) co_return Fail(entry.error());
  port::BackupEvent event{tablet_.alias, tablet_.keyspace, tablet_.shard, ""};
  if (request.dry_run()) {
    event.text = "would restore backup " + entry->name;
    Status told = co_await events.Event(event);
    co_return told;
  }
  if (seeding_)
    co_return Fail(Code::kAlreadyExists, "{} takes a seed already: {}", alias, seed_progress_);
  event.text = "restoring backup " + entry->name;
  Status told = co_await events.Event(event);
  if (!told) co_return told;
  seed_error_.clear();
  restore_ = entry->name;
  NeedSeed("restoring backup " + entry->name, false);
  // It goes on whoever listens; its data is replaced in one exchange or not at all.
  std::string last;
  while (seeding_ && told) {
    bool open = co_await io::Sleep(gate_, Deadline::In(200ms));
    if (!open) co_return Fail(Code::kCanceled, "the tablet is stopping");
    if (deadline.Passed(loop_.Now()))
      co_return Fail(Code::kDeadlineExceeded, "the restore goes on: {}", seed_progress_);
    if (seed_progress_ == last || seed_progress_.empty()) continue;
    last = seed_progress_;
    event.text = last;
    told = co_await events.Event(event);
  }
  if (!told) co_return told;
  if (!seed_error_.empty()) co_return Fail(Code::kInternal, "{}", seed_error_);
  event.text = "restored backup " + entry->name;
  told = co_await events.Event(event);
  co_return told;
}

io::Task<Status> Manager::SeedFromBackup(std::string name) {
  struct Told final : port::SeedSink {
    bool OnProgress(const port::SeedProgress& progress) override {
      self->TellSeeding(
          fmt::format("from backup {}: {} {}", name, progress.phase, Size(progress.bytes)));
      return !self->gate_.closed();
    }
    Manager* self = nullptr;
    std::string name;
  } told;
  told.self = this;
  told.name = name;
  port::SeedOrder order;
  order.way = port::SeedOrder::Way::kBackup;
  order.place = options_.backups;
  order.place.keyspace = tablet_.keyspace;
  order.place.shard = tablet_.shard;
  order.backup = name;
  Result<std::string> position =
      co_await needs_.agent->Seed(std::move(order), told, Deadline::In(std::chrono::hours(24)));
  if (!position) co_return Fail(position.error());
  LOG_INFO("restored backup {}, up to {}", name, *position);
  co_return Status();
}

}  // namespace paceline::vttablet
