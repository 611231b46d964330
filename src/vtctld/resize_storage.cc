// ResizeStorage: the volumes of a shard's tablets, one after the other.
#include <set>

#include "base/flags.h"
#include "base/quantity.h"
#include "io/sleep.h"
#include "paceline_agent.pb.h"
#include "vtctld/method.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld {

namespace {

constexpr Duration kAnswer = 3s, kLook = 500ms;
// A tablet that is away for a moment does not end a work of many minutes.
constexpr Duration kAway = 30s;

std::string Size(uint64_t bytes) { return BytesText(static_cast<double>(bytes)); }

}  // namespace

io::Task<Result<std::vector<Vtctld::Volume>>> Vtctld::SeeVolumes(ResizeAsked asked,
                                                                 Deadline deadline) {
  Result<std::vector<Reached>> tablets = co_await ReachShard(asked.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  std::vector<Volume> volumes;
  for (Reached& one : *tablets) {
    if (!asked.only.empty() && one.tablet.alias != asked.only) continue;
    Volume volume;
    volume.sight.alias = one.tablet.alias;
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await one.manager->TabletState(request, state,
                                                        Deadline::In(kAnswer).EarlierOf(deadline));
    if (!answered) {
      volume.sight.trouble = "it does not answer: " + answered.error().message();
    } else if (!state.mysqld_running() && state.seeding().empty()) {
      volume.sight.trouble = "its mysqld does not run";
    }
    volume.sight.leads = state.tablet().type() == topodata::PRIMARY;
    volume.sight.bytes = state.disk_bytes();
    volume.folder = state.disk_folder();
    volume.tablet = std::move(one);
    volumes.push_back(std::move(volume));
  }
  if (volumes.empty()) co_return Fail(Code::kNotFound, "{} has no tablets", asked.shard.ToString());
  co_return volumes;
}

io::Task<Status> Vtctld::GrowVolume(Volume volume, ResizeAsked asked,
                                    std::function<void(std::string)> told, Deadline deadline) {
  const std::string name = volume.sight.alias.ToString();
  VolumeAsked ask{volume.tablet.tablet, volume.folder, volume.sight.bytes, asked.bytes};
  Time began = io::Loop::Current().Now();
  Result<Volumes::Progress> progress = co_await volumes_->Grow(ask, deadline);
  if (!progress) co_return Fail(progress.error().Context("growing the volume of " + name));
  std::string last = progress->told;
  if (!last.empty()) told(name + ": " + last);
  uint64_t seen = volume.sight.bytes;
  std::string why;
  while (!deadline.Passed(io::Loop::Current().Now())) {
    if (!progress->grown) progress = co_await volumes_->Look(ask, deadline);
    if (!progress) co_return Fail(progress.error().Context("growing the volume of " + name));
    if (!progress->told.empty() && progress->told != last) told(name + ": " + progress->told);
    last = progress->told;
    ResizeAsked one = asked;
    one.only = volume.sight.alias;
    auto now = co_await SeeVolumes(std::move(one), Deadline::In(kAnswer).EarlierOf(deadline));
    if (!now) co_return Fail(now.error());
    const ResizeSight& sight = now->front().sight;
    seen = std::max(seen, sight.bytes);
    why = sight.trouble;
    if (progress->grown && sight.trouble.empty() && SeesSize(sight.bytes, asked.bytes)) {
      Duration took = io::Loop::Current().Now() - began;
      told(fmt::format("{}: sees {} after {:.1f} s", name, Size(sight.bytes),
                       std::chrono::duration<double>(took).count()));
      co_return Status();
    }
    co_await io::SleepUntil(Deadline::In(kLook));
  }
  co_return Fail(
      Code::kDeadlineExceeded,
      "{} sees {} of {} after {}{}; what was asked for goes on: run the command again to "
      "wait for it",
      name, Size(seen), Size(asked.bytes), DurationText(asked.wait),
      why.empty() ? "" : ", and " + why);
}

io::Task<Status> Vtctld::ResizeStorage(ResizeAsked asked, std::function<void(std::string)> told,
                                       Deadline deadline) {
  if (volumes_ == nullptr) {
    co_return Fail(Code::kFailedPrecondition,
                   "this vtctld cannot grow volumes: start it with --resize-storage-command, or on "
                   "Kubernetes with --resize-storage-kubernetes");
  }
  std::set<record::TabletAlias> grown;
  Deadline away = Deadline::In(Duration(0));  // at the start nothing is waited for
  for (;;) {
    auto volumes = co_await SeeVolumes(asked, deadline);
    if (!volumes) co_return Fail(volumes.error());
    std::vector<ResizeSight> sights;
    for (Volume& volume : *volumes) {
      volume.sight.grown = grown.contains(volume.sight.alias);
      sights.push_back(volume.sight);
    }
    auto next = NextToResize(sights, asked.bytes);
    const bool waits = !next && next.error().code() == Code::kUnavailable &&
                       !away.EarlierOf(deadline).Passed(io::Loop::Current().Now());
    if (waits) {
      co_await io::SleepUntil(Deadline::In(kLook));
      continue;
    }
    if (!next) co_return Fail(next.error());
    if (!*next) break;
    for (Volume& volume : *volumes) {
      if (volume.sight.alias != **next) continue;
      told(fmt::format("{}: {}{}, {} {}", volume.sight.alias.ToString(), Size(volume.sight.bytes),
                       volume.sight.leads ? " (primary)" : "",
                       asked.dry_run ? "would grow to" : "grows to", FormatBytes(asked.bytes)));
      if (!asked.dry_run) {
        Status done =
            co_await GrowVolume(volume, asked, told, Deadline::In(asked.wait).EarlierOf(deadline));
        if (!done) co_return done;
      }
      grown.insert(volume.sight.alias);
    }
    away = Deadline::In(kAway);
  }
  if (!asked.dry_run)
    told(fmt::format("{} volumes have {}", grown.size(), FormatBytes(asked.bytes)));
  co_return Status();
}

}  // namespace paceline::vtctld
