#include "health/watcher.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "topo/paths.h"

namespace paceline::health {
namespace {

constexpr Duration kTick = 100ms;
constexpr Duration kSaveEvery = 250ms;  // soon: a process may be killed young

}  // namespace

// One tablet's stream. Held by the map and by its coroutine.
struct Watcher::Tablet final : port::HealthSink {
  Tablet(Watcher& owner, record::Tablet as_found) : watcher(owner), tablet(std::move(as_found)) {}
  void OnHealth(const port::TabletHealth& health) override {
    if (gone || watcher.gate_.closed()) return;
    // Another tablet took over this address.
    if (!health.alias.empty() && health.alias != tablet.alias) {
      stranger = true;
      return;
    }
    heard = true;
    bool matters = watcher.view_.Heard(tablet.alias, health, watcher.loop_.Now());
    watcher.Changed(tablet.alias, matters);
  }
  Watcher& watcher;
  record::Tablet tablet;
  port::QueryServicePtr service;
  bool gone = false;
  bool moved = false;  // the address changed: dial again at once
  bool heard = false;
  bool stranger = false;
  bool hanging_up = false;
  std::optional<Time> older_since;         // claims to be primary while a newer one is known
  std::optional<PrimaryTerm> hung_up_for;  // the newer term for which it was hung up on
  io::Event wake;                          // pulsed: gone, moved or stopping
};

Watcher::Watcher(io::Loop& loop, WatcherOptions options, topo::Server& topo, Dialer& dialer,
                 topo::Cache* cache, Rng& rng)
    : loop_(loop),
      options_(std::move(options)),
      topo_(topo),
      dialer_(dialer),
      cache_(cache),
      rng_(rng),
      view_(options_.view) {}

Watcher::~Watcher() = default;

void Watcher::Start() {
  for (const std::string& cell : options_.cells) io::Detach(WatchCell(cell));
  io::Detach(Ticks());
}

io::Task<void> Watcher::Stop() {
  for (auto& [alias, tablet] : tablets_) {
    tablet->gone = true;
    tablet->wake.Pulse();
    io::Detach(HangUp(tablet));
  }
  changed_.Pulse();
  bool left = co_await gate_.Close(Deadline::Never());
  (void)left;
  tablets_.clear();
}

io::Task<void> Watcher::HangUp(std::shared_ptr<Tablet> tablet) {
  auto pass = gate_.Enter();
  auto service = tablet->service;
  if (!pass || service == nullptr || tablet->hanging_up) co_return;
  tablet->hanging_up = true;
  co_await service->Close();
}

void Watcher::Found(const record::Tablet& tablet) {
  bool wanted = options_.keyspaces.empty() ||
                std::ranges::find(options_.keyspaces, tablet.keyspace) != options_.keyspaces.end();
  if (!wanted || gate_.closed()) return;
  bool matters = view_.Found(tablet, loop_.Now());
  auto known = tablets_.find(tablet.alias);
  if (known == tablets_.end()) {
    auto entry = std::make_shared<Tablet>(*this, tablet);
    tablets_.emplace(tablet.alias, entry);
    io::Detach(WatchTablet(entry));
  } else {
    record::Tablet& before = known->second->tablet;
    bool moved = before.hostname != tablet.hostname || before.port_map != tablet.port_map;
    before = tablet;
    if (moved) {
      known->second->moved = true;
      io::Detach(HangUp(known->second));
      known->second->wake.Pulse();
    }
  }
  if (matters) Changed(tablet.alias, true);
}

void Watcher::Gone(const record::TabletAlias& alias) {
  const TabletStatus* status = view_.Find(alias);
  if (status == nullptr) return;
  TabletStatus last = *status;
  last.connected = last.serving = false;
  view_.Gone(alias);
  auto known = tablets_.find(alias);
  if (known != tablets_.end()) {
    auto tablet = known->second;
    tablets_.erase(known);
    tablet->gone = true;
    io::Detach(HangUp(tablet));
    tablet->wake.Pulse();
  }
  Tell(last, true);
}

void Watcher::Changed(const record::TabletAlias& alias, bool matters) {
  const TabletStatus* status = view_.Find(alias);
  if (status != nullptr) Tell(*status, matters);
}

void Watcher::Tell(const TabletStatus& status, bool matters) {
  TabletStatus copy = status;
  for (auto& [id, listener] : listeners_) {
    if (matters || listener.beats) listener.call(copy);
  }
  if (matters) changed_.Pulse();
}

io::Task<void> Watcher::WatchCell(std::string cell) {
  auto pass = gate_.Enter();
  bool told = false;
  if (cache_ != nullptr) {
    std::map<std::string, std::string> remembered = cache_->List(cell, "tablets");
    for (const auto& [path, bytes] : remembered) {
      Result<record::Tablet> tablet = topo::Decode<record::Tablet>(bytes);
      if (tablet) Found(*tablet);
    }
    if (!remembered.empty()) {
      told = true;
      ++cells_told_;
      changed_.Pulse();
    }
  }
  while (pass && !gate_.closed()) {
    Deadline limit = Deadline::At(loop_.Now() + 2s);
    Result<std::unique_ptr<topo::TabletWatch>> watch = co_await topo_.WatchTablets(cell, limit);
    if (!watch) LOG_WARNING("health: cell {}: {}", cell, watch.error().ToString());
    // What the cache told and the topology does not know any more goes when the watch is in sync.
    std::vector<record::TabletAlias> unconfirmed;
    for (const auto& [alias, tablet] : tablets_) {
      if (alias.cell == cell) unconfirmed.push_back(alias);
    }
    while (watch && !gate_.closed()) {
      // Short, so that Stop need not know of every watch.
      Deadline turn = Deadline::At(loop_.Now() + 200ms);
      Result<topo::TabletEvent> event = co_await (*watch)->Next(turn);
      if (!event && event.error().code() == Code::kDeadlineExceeded) continue;
      if (!event && event.error().code() == Code::kDataLoss) {
        LOG_WARNING("health: {}", event.error().ToString());
        continue;
      }
      if (!event) break;
      if (event->synced) {
        for (const record::TabletAlias& alias : unconfirmed) {
          Gone(alias);
          if (cache_ != nullptr) cache_->Remove(cell, topo::TabletPath(alias));
        }
        unconfirmed.clear();
        if (!std::exchange(told, true)) ++cells_told_;
        changed_.Pulse();
        continue;
      }
      std::erase(unconfirmed, event->alias);
      if (event->tablet) {
        Found(event->tablet->value);
        if (cache_ != nullptr)
          cache_->Put(cell, topo::TabletPath(event->alias), event->tablet->raw);
      } else {
        Gone(event->alias);
        if (cache_ != nullptr) cache_->Remove(cell, topo::TabletPath(event->alias));
      }
    }
    Deadline again = Deadline::At(loop_.Now() + 500ms);
    bool open = co_await io::Sleep(gate_, again);
    if (!open) break;
  }
}

io::Task<void> Watcher::WatchTablet(std::shared_ptr<Tablet> tablet) {
  auto pass = gate_.Enter();
  Duration pause = options_.redial_first;
  record::TabletAlias alias = tablet->tablet.alias;
  Time lost = loop_.Now();
  while (pass && !tablet->gone && !gate_.closed()) {
    tablet->moved = tablet->heard = tablet->stranger = tablet->hanging_up = false;
    tablet->service = dialer_.Dial(tablet->tablet);
    auto service = tablet->service;
    Status ended = Fail(Code::kUnavailable, "no way to reach {}", alias.ToString());
    if (service != nullptr) {
      Deadline forever = Deadline::Never();
      Status streamed = co_await service->StreamHealth(*tablet, forever);
      ended = streamed;
      if (!tablet->hanging_up) {
        tablet->hanging_up = true;
        co_await service->Close();
      }
    }
    tablet->service = nullptr;
    if (tablet->gone || gate_.closed()) break;
    std::string why = ended ? "the health stream ended" : ended.error().ToString();
    if (tablet->stranger) why = "another tablet answers at its address";
    bool matters = view_.Broke(alias, why);
    if (matters) Changed(alias, true);
    if (tablet->moved) continue;
    if (tablet->heard) lost = loop_.Now();
    bool soon = loop_.Now() - lost < options_.redial_soon;
    pause = soon ? options_.redial_first : std::min(pause * 2, options_.redial_max);
    Duration spread(static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(pause.count() / 4 + 1))));
    Deadline again = Deadline::At(loop_.Now() + pause + spread);
    bool woken = co_await tablet->wake.Wait(again);
    (void)woken;
  }
}

io::Task<void> Watcher::Ticks() {
  auto pass = gate_.Enter();
  Time saved = loop_.Now();
  while (pass) {
    Deadline next = Deadline::At(loop_.Now() + kTick);
    bool open = co_await io::Sleep(gate_, next);
    if (!open) break;
    Time now = loop_.Now();
    for (const record::TabletAlias& alias : view_.Tick(now)) Changed(alias, true);
    for (auto& [alias, tablet] : tablets_) {
      const TabletStatus* status = view_.Find(alias);
      bool silent = status != nullptr && status->connected &&
                    now - status->last_beat > options_.hang_up_after;
      bool older = status != nullptr && OfOlderTerm(*tablet, *status, now);
      if (silent || older || tablet->stranger) io::Detach(HangUp(tablet));
    }
    if (cache_ != nullptr && cache_->changed() && now - saved >= kSaveEvery) {
      saved = now;
      Status written = co_await cache_->Save();
      if (!written) LOG_WARNING("{}", written.error().ToString());
    }
  }
}

std::optional<TabletStatus> Watcher::PickPrimary(const std::string& keyspace,
                                                 const std::string& shard) const {
  const TabletStatus* status = view_.PickPrimary(keyspace, shard);
  if (status == nullptr) return std::nullopt;
  return *status;
}

std::optional<TabletStatus> Watcher::PickReplica(const record::Target& target,
                                                 const std::vector<record::TabletAlias>& avoid) {
  const TabletStatus* status = view_.Pick(target, options_.local_cell, options_.cells, avoid, rng_);
  if (status == nullptr) return std::nullopt;
  return *status;
}

io::Task<Result<TabletStatus>> Watcher::WaitForPrimary(std::string keyspace, std::string shard,
                                                       PrimaryTerm than, Deadline deadline) {
  auto pass = gate_.Enter();
  bool any = than.term == 0 && than.start.unix_ns == 0;
  for (;;) {
    if (!pass || gate_.closed()) co_return Fail(Code::kCanceled, "the health watcher was stopped");
    const TabletStatus* status = view_.PickPrimary(keyspace, shard);
    if (status != nullptr && (any || status->primary_term.NewerThan(than))) co_return *status;
    bool woken = co_await changed_.Wait(deadline);
    if (!woken) break;
  }
  std::string why = WhyNoPrimary(keyspace, shard);
  co_return Fail(Code::kDeadlineExceeded, "{}", why);
}

std::string Watcher::WhyNoPrimary(const std::string& keyspace, const std::string& shard) const {
  std::string known;
  for (const TabletStatus& status : view_.List()) {
    if (status.target.keyspace != keyspace || status.target.shard != shard) continue;
    known += fmt::format("; {} {}: {}", record::TabletTypeName(status.target.type),
                         status.tablet.alias.ToString(),
                         status.healthy()        ? "serving"
                         : !status.connected     ? "unreachable: " + status.error
                         : status.suspect        ? "silent"
                         : !status.error.empty() ? "not serving: " + status.error
                                                 : "not serving");
  }
  return fmt::format("{}/{} has no healthy primary{}", keyspace, shard,
                     known.empty() ? "; no tablet of it is known" : known);
}

// Once for each newer term.
bool Watcher::OfOlderTerm(Tablet& tablet, const TabletStatus& status, Time now) const {
  const PrimaryTerm newest = view_.HighestTerm(status.target.keyspace, status.target.shard);
  const bool older = status.connected && status.target.type == record::TabletType::kPrimary &&
                     newest.NewerThan(status.primary_term);
  if (!older) {
    tablet.older_since.reset();
    return false;
  }
  if (tablet.hung_up_for && !newest.NewerThan(*tablet.hung_up_for)) return false;
  if (!tablet.older_since) tablet.older_since = now;
  if (now - *tablet.older_since < options_.hang_up_older_after) return false;
  tablet.hung_up_for = newest;
  return true;
}

io::Task<Status> Watcher::WaitForTablets(record::Target target, Deadline deadline) {
  auto pass = gate_.Enter();
  std::vector<record::TabletAlias> avoid;
  for (;;) {
    if (!pass || gate_.closed()) co_return Fail(Code::kCanceled, "the health watcher was stopped");
    if (PickReplica(target, avoid)) co_return Status();
    bool woken = co_await changed_.Wait(deadline);
    if (!woken)
      co_return Fail(Code::kDeadlineExceeded, "no healthy tablet for {}", target.ToString());
  }
}

io::Task<Status> Watcher::WaitForDiscovery(Deadline deadline) {
  auto pass = gate_.Enter();
  for (;;) {
    if (!pass || gate_.closed()) co_return Fail(Code::kCanceled, "the health watcher was stopped");
    if (cells_told_ >= options_.cells.size()) co_return Status();
    bool woken = co_await changed_.Wait(deadline);
    if (!woken) {
      co_return Fail(Code::kDeadlineExceeded, "the topology told the tablets of {} of {} cells",
                     cells_told_, options_.cells.size());
    }
  }
}

int Watcher::AddListener(Listener listener, bool beats) {
  listeners_.emplace(next_listener_, Registered{std::move(listener), beats});
  return next_listener_++;
}

void Watcher::RemoveListener(int id) { listeners_.erase(id); }

}  // namespace paceline::health
