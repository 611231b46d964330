// tabletmanagerservice.TabletManager: Backup and RestoreFromBackup; and VerifyBackup of our own.
#include "base/log.h"
#include "io/blocking.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vttablet/manager/manager.h"

namespace paceline::vttablet {

using record::TabletType;

namespace {

// Keeps the newest progress for the loop that tells it.
struct Progress final : port::SeedSink {
  bool OnProgress(const port::SeedProgress& progress) override {
    newest = progress;
    return !unwanted;
  }
  port::SeedProgress newest;
  bool unwanted = false;
};

constexpr Duration kTellEvery = 1s;

struct Running {
  Progress progress;
  bool over = false;
  io::Event told;
};

// The first phase as it begins, then a line each second.
io::Task<void> Tell(std::shared_ptr<Running> running, port::BackupEvents& events,
                    port::BackupEvent event, io::Loop& loop, io::Gate& gate) {
  port::ProgressMeter meter;
  bool begun = false;
  Time told_at = loop.Now();
  while (!running->over) {
    bool open = co_await io::Sleep(gate, Deadline::In(100ms));
    if (!open) running->progress.unwanted = true;
    if (running->over || !open) break;
    const port::SeedProgress& now = running->progress.newest;
    bool begins = !begun && !now.phase.empty();
    if (!begins && loop.Now() - told_at < kTellEvery) continue;
    begun |= begins;
    told_at = loop.Now();
    event.progress = meter.Observe(now.phase, now.bytes, now.total, told_at);
    event.text = port::ToText(*event.progress);
    Status told = co_await events.Event(event);
    if (told) continue;
    running->progress.unwanted = true;
    break;
  }
  running->told.Set();
}

// `events` hear of the work until it is over, and nothing of it after that.
io::Task<Result<std::string>> TellWhile(io::Task<Result<std::string>> work,
                                        std::shared_ptr<Running> running,
                                        port::BackupEvents& events, port::BackupEvent event,
                                        io::Loop& loop, io::Gate& gate) {
  io::Detach(Tell(running, events, std::move(event), loop, gate));
  Result<std::string> done = co_await std::move(work);
  running->over = true;
  bool ended = co_await running->told.Wait(Deadline::Never());
  (void)ended;
  co_return done;
}

// Nothing where the whole of a backup is wanted and then the shard's present.
Result<std::optional<backup::RestorePoint>> PointOf(
    const ::tabletmanagerdata::RestoreFromBackupRequest& request) {
  bool by_time = request.has_restore_to_timestamp(),
       by_position = !request.restore_to_pos().empty();
  if (by_time && by_position)
    return Fail(Code::kInvalidArgument,
                "give --restore-to-pos or --restore-to-timestamp, not both");
  std::optional<backup::RestorePoint> point;
  if (by_position) {
    ASSIGN_OR_RETURN(point, backup::ParseRestorePoint(request.restore_to_pos()));
  } else if (by_time) {
    point.emplace();
    point->kind = backup::RestorePoint::Kind::kTime;
    point->unix_s = request.restore_to_timestamp().seconds();
  }
  return point;
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
  if (unsettled()) {
    co_return Fail(Code::kUnavailable, "{} takes a seed: {}", tablet_.alias.ToString(), SeedText());
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
  order.count_rows = options_.backup_count_rows;
  port::BackupEvent event{tablet_.alias, tablet_.keyspace, tablet_.shard, "backup begins",
                          std::nullopt};
  Status told = co_await events.Event(event);
  if (!told) co_return told;
  Time began = loop_.Now();
  auto running = std::make_shared<Running>();
  io::Task<Result<std::string>> work =
      needs_.agent->Backup(std::move(order), running->progress, deadline);
  Result<std::string> name =
      co_await TellWhile(std::move(work), running, events, event, loop_, gate_);
  if (!name) co_return Fail(name.error());
  const port::SeedProgress& whole = running->progress.newest;
  double seconds = std::chrono::duration<double>(loop_.Now() - began).count();
  uint64_t rate = static_cast<uint64_t>(static_cast<double>(whole.bytes) / seconds);
  event.progress = {{"complete", whole.bytes, whole.bytes, rate, 0}};
  event.text = fmt::format("backup {} is complete: {:.1f} MB in {:.1f} s", *name,
                           static_cast<double>(whole.bytes) / 1e6, seconds);
  Status last = co_await events.Event(event);
  co_return last;
}

// The newest complete one; of those not after a time, where one is given.
io::Task<Result<backup::BackupEntry>> Manager::FindBackup(WallTime not_after) {
  port::BackupPlace place = RestorePlace();
  std::string keyspace = place.keyspace, shard = place.shard;
  std::function<Result<backup::BackupEntry>()> find = [place, keyspace, shard,
                                                       not_after]() -> Result<backup::BackupEntry> {
    ASSIGN_OR_RETURN(auto storage, backup::OpenStorage({place.storage, place.root}));
    ASSIGN_OR_RETURN(backup::Catalog catalog,
                     backup::Catalog::Of(std::move(storage), keyspace, shard));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    size_t bad = std::erase_if(entries, [](const backup::BackupEntry& entry) {
      return entry.complete && !entry.usable();
    });
    std::erase_if(entries, [&](const backup::BackupEntry& entry) {
      return !entry.complete || (not_after.unix_ns != 0 && entry.parsed.time > not_after);
    });
    if (entries.empty())
      return Fail(Code::kNotFound, "there is no backup of {}/{} to restore{}", keyspace, shard,
                  bad == 0 ? "" : fmt::format("; {} failed their verification", bad));
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
  if (is_snapshot()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} holds a snapshot of {}: for another point in time make another keyspace",
                   alias, options_.base_keyspace);
  }
  Result<std::optional<backup::RestorePoint>> point = PointOf(request);
  if (!point) co_return Fail(point.error());
  WallTime not_after{request.backup_time().seconds() * 1'000'000'000};
  PointPlan plan;
  if (*point) {
    Result<PointPlan> planned = co_await PlanPoint(**point);
    if (!planned) co_return Fail(planned.error());
    plan = std::move(*planned);
  } else {
    Result<backup::BackupEntry> entry = co_await FindBackup(not_after);
    if (!entry) co_return Fail(entry.error());
    plan.text = plan.backup = entry->name;
  }
  port::BackupEvent event{tablet_.alias, tablet_.keyspace, tablet_.shard, "", std::nullopt};
  if (request.dry_run()) {
    event.text = "would restore backup " + plan.text;
    Status told = co_await events.Event(event);
    co_return told;
  }
  if (seeding_)
    co_return Fail(Code::kAlreadyExists, "{} takes a seed already: {}", alias, seed_progress_);
  event.text = "restoring backup " + plan.text;
  Status told = co_await events.Event(event);
  if (!told) co_return told;
  seed_error_.clear();
  replayed_.clear();
  restore_ = plan.backup;
  restore_point_ = *point;
  NeedSeed("restoring backup " + plan.backup, false);
  // It goes on whoever listens; its data is replaced in one exchange or not at all.
  std::string last, last_phase;
  Time told_at{};
  while (seeding_ && told) {
    bool open = co_await io::Sleep(gate_, Deadline::In(200ms));
    if (!open) co_return Fail(Code::kCanceled, "the tablet is stopping");
    if (deadline.Passed(loop_.Now()))
      co_return Fail(Code::kDeadlineExceeded, "the restore goes on: {}", seed_progress_);
    if (seed_progress_ == last || seed_progress_.empty()) continue;
    std::string phase = seed_transfer_ ? seed_transfer_->phase : seed_progress_;
    if (phase == last_phase && loop_.Now() - told_at < kTellEvery) continue;
    last = seed_progress_;
    last_phase = phase;
    told_at = loop_.Now();
    event.text = last;
    event.progress = seed_transfer_;
    told = co_await events.Event(event);
  }
  event.progress.reset();
  if (!told) co_return told;
  if (!seed_error_.empty()) co_return Fail(Code::kInternal, "{}", seed_error_);
  event.text = "restored backup " + plan.backup + replayed_;
  told = co_await events.Event(event);
  co_return told;
}

io::Task<Status> Manager::VerifyBackup(const agent::VerifyBackupRequest& request,
                                       port::BackupEvents& events, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the tablet is stopping");
  if (needs_.agent == nullptr) {
    co_return Fail(Code::kFailedPrecondition, "{} has no mysqlctld to verify a backup with",
                   tablet_.alias.ToString());
  }
  port::VerifyOrder order;
  order.place = RestorePlace();
  order.backup = request.backup();
  if (order.backup.empty()) {
    WallTime no_time;
    Result<backup::BackupEntry> newest = co_await FindBackup(no_time);
    if (!newest) co_return Fail(newest.error());
    order.backup = newest->name;
  }
  std::string name = order.backup;
  port::BackupEvent event{tablet_.alias, tablet_.keyspace, tablet_.shard,
                          "verifying backup " + name, std::nullopt};
  Status told = co_await events.Event(event);
  if (!told) co_return told;
  auto running = std::make_shared<Running>();
  io::Task<Result<std::string>> work =
      needs_.agent->VerifyBackup(std::move(order), running->progress, deadline);
  Result<std::string> verdict =
      co_await TellWhile(std::move(work), running, events, event, loop_, gate_);
  if (!verdict) co_return Fail(verdict.error());
  event.text = "backup " + name + " is good: " + *verdict;
  Status last = co_await events.Event(event);
  co_return last;
}

io::Task<Status> Manager::SeedFromNewestBackup(gtid::Set leader_has) {
  std::function<Result<std::string>()> find = [place = RestorePlace(),
                                               leader_has]() -> Result<std::string> {
    ASSIGN_OR_RETURN(auto storage, backup::OpenStorage({place.storage, place.root}));
    ASSIGN_OR_RETURN(backup::Catalog catalog,
                     backup::Catalog::Of(std::move(storage), place.keyspace, place.shard));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (!entry->usable()) continue;
      ASSIGN_OR_RETURN(backup::Manifest manifest, catalog.Read(entry->name));
      Result<gtid::Set> position = gtid::Set::ParseEncoded(manifest.position);
      if (position && leader_has.Contains(*position)) return entry->name;
    }
    return Fail(Code::kNotFound, "no backup of {}/{} in {} is a part of what the primary has",
                place.keyspace, place.shard, catalog.storage()->Describe());
  };
  Result<std::string> name = co_await io::RunBlocking<Result<std::string>>(std::move(find));
  if (!name) co_return Fail(name.error());
  LOG_INFO("no tablet of this shard can be copied: taking backup {}", *name);
  Status seeded = co_await SeedFromBackup(*name);
  co_return seeded;
}

io::Task<Status> Manager::SeedFromBackup(std::string name) {
  struct Told final : port::SeedSink {
    bool OnProgress(const port::SeedProgress& progress) override {
      port::TransferProgress seen =
          meter.Observe(progress.phase, progress.bytes, progress.total, self->loop_.Now());
      std::string text = fmt::format("from backup {}: {}", name, port::ToText(seen));
      self->TellSeeding(std::move(text), std::move(seen));
      return !self->gate_.closed();
    }
    Manager* self = nullptr;
    std::string name;
    port::ProgressMeter meter;
  } told;
  told.self = this;
  told.name = name;
  port::SeedOrder order;
  order.way = port::SeedOrder::Way::kBackup;
  order.place = RestorePlace();
  order.backup = name;
  Result<std::string> position =
      co_await needs_.agent->Seed(std::move(order), told, Deadline::In(std::chrono::hours(24)));
  if (!position) co_return Fail(position.error());
  LOG_INFO("restored backup {}, up to {}", name, *position);
  co_return Status();
}

}  // namespace paceline::vttablet
