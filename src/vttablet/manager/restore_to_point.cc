// Back to a point in time: the newest backup from before it, and archived transactions up to it.
#include "backup/archive_replay.h"
#include "base/flags.h"
#include "base/log.h"
#include "io/blocking.h"
#include "vttablet/manager/manager.h"

namespace paceline::vttablet {

namespace {

struct Opened {
  backup::Catalog catalog;
  backup::Archive archive;
};
Result<Opened> OpenPlace(const port::BackupPlace& place) {
  ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> opened,
                   backup::OpenStorage({place.storage, place.root}));
  std::shared_ptr<backup::Storage> storage = std::move(opened);
  std::string secret;
  if (!place.key_file.empty()) {
    ASSIGN_OR_RETURN(secret, backup::ReadSecret(place.key_file));
  }
  ASSIGN_OR_RETURN(backup::Catalog catalog,
                   backup::Catalog::Of(storage, place.keyspace, place.shard));
  ASSIGN_OR_RETURN(backup::Archive archive,
                   backup::Archive::Of(storage, place.keyspace, place.shard, std::move(secret)));
  return Opened{std::move(catalog), std::move(archive)};
}

}  // namespace

port::BackupPlace Manager::RestorePlace() const {
  port::BackupPlace place = options_.backups;
  place.keyspace = is_snapshot() ? options_.base_keyspace : tablet_.keyspace;
  place.shard = tablet_.shard;
  return place;
}

io::Task<Result<Manager::PointPlan>> Manager::PlanPoint(backup::RestorePoint point) {
  std::function<Result<PointPlan>()> plan = [place = RestorePlace(), point]() -> Result<PointPlan> {
    ASSIGN_OR_RETURN(Opened opened, OpenPlace(place));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, opened.catalog.List());
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (!entry->usable()) continue;
      ASSIGN_OR_RETURN(backup::Manifest manifest, opened.catalog.Read(entry->name));
      ASSIGN_OR_RETURN(gtid::Set position, gtid::Set::ParseEncoded(manifest.position));
      if (!point.MayBeginWith(position, manifest.finished.unix_ns / 1'000'000'000)) continue;
      ASSIGN_OR_RETURN(backup::ArchiveReader reader,
                       backup::ArchiveReader::Open(opened.archive, position, point));
      return PointPlan{entry->name,
                       fmt::format("{} ({}), then at most {} segments of the archive ({} MB), up "
                                   "to {}",
                                   entry->name, manifest.position, reader.segments(),
                                   (reader.bytes() >> 20) + 1, point.ToString())};
    }
    return Fail(Code::kNotFound, "no backup of {}/{} is from before {}", place.keyspace,
                place.shard, point.ToString());
  };
  Result<PointPlan> planned = co_await io::RunBlocking<Result<PointPlan>>(std::move(plan));
  co_return planned;
}

io::Task<Status> Manager::ReplayToPoint() {
  std::function<Result<Opened>()> open = [place = RestorePlace()] { return OpenPlace(place); };
  Result<Opened> opened = co_await io::RunBlocking<Result<Opened>>(std::move(open));
  if (!opened) co_return Fail(opened.error());
  if (replication_ == nullptr) co_return Fail(Code::kUnavailable, "mysqld has not answered yet");
  std::function<bool(std::string)> told = [this](std::string text) {
    TellSeeding(std::move(text));
    return !gate_.closed();
  };
  backup::RestorePoint point = *restore_point_;
  Result<backup::ReplayReport> report =
      co_await backup::ReplayArchive(loop_, *replication_, opened->archive, point, std::move(told),
                                     Deadline::In(std::chrono::hours(24)));
  if (!report) {
    co_return Fail(report.error().Context(
        fmt::format("backup {} is in place, not so what the archive has up to {}", restore_,
                    point.ToString())));
  }
  replayed_ = fmt::format(" and {} archived transactions, up to {}: position {}",
                          report->transactions, point.ToString(), report->position.ToEncoded());
  LOG_INFO("restored{}", replayed_);
  co_return Status();
}

io::Task<Status> Manager::BeginSnapshot(Deadline deadline) {
  if (needs_.agent == nullptr)
    co_return Fail(Code::kFailedPrecondition, "there is no mysqlctld to restore a snapshot with");
  Result<gtid::Set> has = co_await replication_->Position(deadline);
  if (!has) co_return Fail(has.error());
  if (!has->Empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "the mysqld of {} holds data already, up to {}: a snapshot of {} is restored "
                   "into an empty one only",
                   tablet_.alias.ToString(), has->ToEncoded(), options_.base_keyspace);
  }
  NeedSeed("the snapshot of " + options_.base_keyspace + " is restored", false);
  co_return Status();
}

io::Task<void> Manager::PlanSnapshot() {
  Result<PointPlan> plan = co_await PlanPoint(options_.snapshot);
  if (!plan) {
    LOG_WARNING("restoring the snapshot, tried again: {}", plan.error().ToString());
    TellSeeding("restoring, tried again: " + plan.error().ToString());
    co_return;
  }
  LOG_INFO("restoring {}", plan->text);
  replayed_.clear();
  restore_ = plan->backup;
  restore_point_ = options_.snapshot;
}

}  // namespace paceline::vttablet
