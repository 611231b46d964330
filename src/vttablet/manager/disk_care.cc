#include "vttablet/manager/disk_care.h"

#include <algorithm>

#include "base/log.h"
#include "base/quantity.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/archiver.h"

namespace paceline::vttablet {
namespace {

// Also how long nobody is refused because it is not known yet whether another could lead.
constexpr Duration kAnswer = std::chrono::seconds(2);
// mysqld's logs grow to a gigabyte, and only whole ones can go.
constexpr uint64_t kRotateAt = 16 << 20;

std::string Text(uint64_t bytes) { return BytesText(static_cast<double>(bytes)); }

DiskRefusal RefusalAt(DiskLevel level) {
  if (level < DiskLevel::kRefuse) return DiskRefusal::kNothing;
  return level == DiskLevel::kCritical ? DiskRefusal::kAllButDrops : DiskRefusal::kGrowth;
}

DiskProbeOptions Watched(DiskProbeOptions probe, std::function<void(const DiskSpace&)> seen) {
  probe.seen = std::move(seen);
  return probe;
}

}  // namespace

DiskCare::DiskCare(io::Loop& loop, DiskCareOptions options, DiskCareNeeds needs)
    : loop_(loop),
      options_(std::move(options)),
      needs_(std::move(needs)),
      probe_(loop, Watched(options_.probe, [this](const DiskSpace& space) { Seen(space); }),
             needs_.changed) {}

void DiskCare::Start(io::Gate& gate) {
  io::Detach(DiskProbe::Loop(probe_, gate));
  io::Detach(PurgeLoop(*this, gate));
  io::Detach(RoomLoop(*this, gate));
}

void DiskCare::Seen(const DiskSpace& space) {
  if (space.bytes != space_.bytes) trend_ = DiskTrend();  // another volume, or a grown one
  space_ = space;
  trend_.Add(loop_.Now(), space.bytes - std::min(space.bytes, space.free));
  const DiskLevel next = NextLevel(level_, space, options_.limits);
  if (next == level_) return;
  const std::string free = fmt::format("{} of {} free", Text(space.free), Text(space.bytes));
  if (next > level_) {
    LOG_WARNING("the disk is filling, level {}: {}", DiskLevelName(next), free);
  } else {
    LOG_INFO("the disk has room again, level {}: {}", DiskLevelName(next), free);
  }
  if (next >= DiskLevel::kLow && level_ < DiskLevel::kLow) {
    low_since_ = loop_.Now();
    room_elsewhere_.reset();
  }
  level_ = next;
  probe_.Hurry(level_ >= DiskLevel::kLow);
  trouble_ = level_ >= DiskLevel::kLow ? "the disk is almost full (" + free + ")" : "";
  UpdateRefusal();
  needs_.changed();
}

// Where another can lead, the primary moves within seconds, and nobody need be refused.
void DiskCare::UpdateRefusal() {
  DiskRefusal refusal = RefusalAt(level_);
  Duration patience = kAnswer;
  if (room_elsewhere_) patience = *room_elsewhere_ ? options_.move_patience : Duration(0);
  const bool waits = loop_.Now() - low_since_ < patience;
  if (waits && refusal_ == DiskRefusal::kNothing) refusal = DiskRefusal::kNothing;
  if (refusal == refusal_) return;
  refusal_ = refusal;
  LOG_INFO("{}", refusal_ == DiskRefusal::kNothing ? "writes are taken again"
                                                   : "the disk is almost full: writes are refused");
  needs_.refuse(refusal_);
  needs_.changed();
}

std::string DiskCare::Trouble() const {
  if (!Error().empty()) return Error();
  const bool refuses = refusal_ != DiskRefusal::kNothing;
  return trouble_ + (refuses ? ": writes are refused until there is room" : "");
}

io::Task<bool> DiskCare::RoomElsewhere(Deadline deadline) {
  auto listed = co_await needs_.topo->ListTabletsOfShard(options_.tablet.keyspace,
                                                         options_.tablet.shard, deadline);
  if (!listed || !needs_.call_tablet) co_return false;
  for (const auto& stored : listed->tablets) {
    if (stored.value.alias == options_.tablet.alias) continue;
    std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(stored.value);
    if (manager == nullptr) continue;
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered =
        co_await manager->TabletState(request, state, Deadline::In(kAnswer).EarlierOf(deadline));
    const bool could_lead =
        answered && state.mysqld_running() && state.tablet().type() == topodata::REPLICA;
    if (could_lead && state.disk_has_room()) co_return true;
  }
  co_return false;
}

io::Task<void> DiskCare::RoomLoop(DiskCare& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass) {
    if (self.level_ >= DiskLevel::kLow) {
      bool room = co_await self.RoomElsewhere(Deadline::In(kAnswer * 2));
      self.room_elsewhere_ = room;
      self.UpdateRefusal();
    }
    const Duration pause = self.options_.look / (self.room_elsewhere_ ? 1 : 4);
    bool open = co_await io::Sleep(gate, Deadline::In(pause));
    if (!open) co_return;
  }
}

void DiskCare::Fill(agent::TabletStateResponse& out) const {
  out.set_disk_error(Error());
  out.set_disk_full(full());
  out.set_disk_has_room(HasRoom());
  out.set_disk_low(low());
  out.set_disk_bytes(space_.bytes);
  out.set_disk_free_bytes(space_.free);
  out.set_disk_folder(probe_.folder());
}

io::Task<void> DiskCare::PurgeLoop(DiskCare& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  Time next{};
  while (pass) {
    bool open = co_await io::Sleep(gate, Deadline::In(self.options_.look));
    if (!open) co_return;
    const bool wanted =
        self.level_ >= DiskLevel::kPurge && BytesToPurge(self.space_, self.options_.limits) > 0;
    if (!wanted || self.loop_.Now() < next) continue;
    Result<std::string> purged = co_await self.Purge(Deadline::In(8s));
    next = self.loop_.Now() + self.options_.purge_every;
    std::string told = purged ? *purged : purged.error().message();
    if (told != self.purge_told_) LOG_INFO("the disk is filling: {}", told);
    self.purge_told_ = std::move(told);
  }
}

io::Task<Result<DiskCare::Holder>> DiskCare::AskTablet(record::Tablet tablet, Deadline deadline) {
  const std::string name = tablet.alias.ToString();
  std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(tablet);
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  Status answered = Fail(Code::kUnavailable, "no channel");
  if (manager != nullptr) {
    answered =
        co_await manager->TabletState(request, state, Deadline::In(kAnswer).EarlierOf(deadline));
  }
  Result<gtid::Set> executed = Fail(Code::kUnavailable, "no position");
  if (answered) executed = gtid::Set::ParseEncoded(state.executed_position());
  // What it has is going to be replaced by newer data.
  if (answered && !state.seeding().empty()) co_return Holder{"", backup::ArchivePosition({})};
  if (!executed || executed->Empty()) {
    co_return Fail(Code::kUnavailable,
                   "{} does not say what it has, so no binary log is removed: bring it back, or "
                   "delete its record",
                   name);
  }
  co_return Holder{name + " has not applied", backup::ArchivePosition(std::move(*executed))};
}

io::Task<Result<std::vector<DiskCare::Holder>>> DiskCare::FindHolders(Deadline deadline) {
  using Position = Result<std::optional<gtid::Set>>;
  std::function<Position()> read = [place = options_.archive]() -> Position {
    ASSIGN_OR_RETURN(backup::Archive archive, OpenArchive(place));
    return archive.Position();
  };
  Position archived = co_await io::RunBlocking<Position>(std::move(read));
  if (!archived) co_return Fail(archived.error().Context("reading the archive"));
  if (!*archived) co_return Fail(Code::kNotFound, "nothing is archived yet");
  std::vector<Holder> holders;
  holders.push_back({"the archive does not hold", backup::ArchivePosition(std::move(**archived))});
  auto listed = co_await needs_.topo->ListTabletsOfShard(options_.tablet.keyspace,
                                                         options_.tablet.shard, deadline);
  if (!listed) co_return Fail(listed.error().Context("looking for the shard's tablets"));
  if (!listed->failed_cells.empty()) {
    co_return Fail(Code::kUnavailable,
                   "cell {} does not answer, so its tablets may need what the binary logs hold",
                   listed->failed_cells.begin()->first);
  }
  for (const auto& stored : listed->tablets) {
    if (stored.value.alias == options_.tablet.alias) continue;
    Result<Holder> holder = co_await AskTablet(stored.value, deadline);
    if (!holder) co_return Fail(holder.error());
    if (!holder->lacks.empty()) holders.push_back(std::move(*holder));
  }
  co_return holders;
}

io::Task<Result<std::string>> DiskCare::Purge(Deadline deadline) {
  mysqld::Replication* server = needs_.server();
  if (server == nullptr) co_return Fail(Code::kUnavailable, "mysqld does not run");
  if (options_.archive.storage.empty() || !needs_.call_tablet) {
    co_return Fail(Code::kFailedPrecondition,
                   "no binary log is removed, because they are not archived (--archive-binlogs)");
  }
  auto logs = co_await mysqld::ListBinaryLogs(*server, deadline);
  if (!logs) co_return Fail(logs.error());
  if (logs->back().bytes >= kRotateAt) {
    Status rotated = co_await mysqld::RotateBinaryLog(*server, deadline);
    if (!rotated) co_return Fail(rotated.error());
    logs = co_await mysqld::ListBinaryLogs(*server, deadline);
    if (!logs) co_return Fail(logs.error());
  }
  std::vector<uint64_t> sizes;
  for (const mysqld::BinaryLog& log : *logs) sizes.push_back(log.bytes);
  const size_t most = LogsToPurge(sizes, BytesToPurge(space_, options_.limits));
  if (most == 0) co_return std::string("no binary log is left but the one that is written to");
  auto holders = co_await FindHolders(deadline);
  if (!holders) co_return Fail(holders.error());
  // The first `good` may go; the first `bad` may not.
  size_t good = 0, bad = most + 1;
  std::string why;
  while (bad - good > 1) {
    const size_t middle = good + (bad - good) / 2;
    std::string name = (*logs)[middle].name;
    Result<gtid::Set> before = co_await mysqld::BeforeBinaryLog(*server, name, deadline);
    if (!before && before.error().code() != Code::kNotFound) co_return Fail(before.error());
    std::string lacks = before ? "" : before.error().message();
    for (const Holder& holder : *holders) {
      if (before && !holder.has.Covers(*before)) {
        lacks = fmt::format("{} all of {}", holder.lacks, (*logs)[middle - 1].name);
      }
    }
    if (lacks.empty()) {
      good = middle;
    } else {
      bad = middle;
      why = std::move(lacks);
    }
  }
  if (good == 0) co_return Fail(Code::kFailedPrecondition, "no binary log is removed: {}", why);
  std::string keep = (*logs)[good].name;
  Status purged = co_await mysqld::PurgeBinaryLogs(*server, keep, deadline);
  if (!purged) co_return Fail(purged.error());
  auto left = co_await mysqld::ListBinaryLogs(*server, deadline);
  if (!left) co_return Fail(left.error());
  size_t gone = 0;
  uint64_t bytes = 0;
  while (gone < good && (*logs)[gone].name != left->front().name) bytes += (*logs)[gone++].bytes;
  if (gone == 0) co_return fmt::format("a replica still reads {}", logs->front().name);
  purged_logs_ += gone;
  purged_bytes_ += bytes;
  co_return fmt::format("{} archived binary logs were removed up to {} ({})", gone, keep,
                        Text(bytes));
}

}  // namespace paceline::vttablet
