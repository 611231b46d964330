#include "health/view.h"

#include <algorithm>
#include <tuple>

namespace paceline::health {

bool View::Found(const record::Tablet& tablet, Time now) {
  auto [place, fresh] = tablets_.try_emplace(tablet.alias);
  TabletStatus& status = place->second;
  bool changed = fresh || status.tablet != tablet;
  status.tablet = tablet;
  if (!status.connected) {
    // Until the tablet speaks, the topology's word for display; it does not make it healthy.
    status.target = {tablet.keyspace, tablet.shard, tablet.type, tablet.alias.cell};
  }
  if (fresh) status.last_beat = now;
  return changed;
}

bool View::Gone(const record::TabletAlias& alias) {
  auto found = tablets_.find(alias);
  if (found == tablets_.end()) return false;
  record::KeyspaceShard shard{found->second.target.keyspace, found->second.target.shard};
  tablets_.erase(found);
  // A shard without tablets is forgotten, so that one of the same name made anew starts afresh.
  bool last = std::ranges::none_of(tablets_, [&](const auto& entry) {
    return entry.second.target.keyspace == shard.keyspace &&
           entry.second.target.shard == shard.shard;
  });
  if (last) highest_.erase(shard);
  return true;
}

bool View::Heard(const record::TabletAlias& alias, const port::TabletHealth& health, Time now) {
  auto found = tablets_.find(alias);
  if (found == tablets_.end()) return false;
  TabletStatus& status = found->second;
  PrimaryTerm term{health.term, health.primary_term_start};
  bool was_healthy = status.healthy();
  record::Target target = health.target;
  if (target.cell.empty()) target.cell = alias.cell;
  bool changed = status.target != target || term.NewerThan(status.primary_term) ||
                 status.primary_term.NewerThan(term) || status.error != health.error;
  status.target = std::move(target);
  status.serving = health.serving;
  status.primary_term = term;
  status.replication_lag = health.replication_lag;
  status.qps = health.qps;
  status.position = health.position;
  status.error = health.error;
  status.connected = true;
  status.suspect = false;
  status.last_beat = now;
  if (status.target.type == record::TabletType::kPrimary) {
    auto [highest, fresh] =
        highest_.try_emplace({status.target.keyspace, status.target.shard}, term);
    if (!fresh && term.NewerThan(highest->second)) {
      highest->second = term;
      changed = true;
    }
  }
  return changed || was_healthy != status.healthy();
}

bool View::Broke(const record::TabletAlias& alias, std::string why) {
  auto found = tablets_.find(alias);
  if (found == tablets_.end()) return false;
  TabletStatus& status = found->second;
  bool was_connected = status.connected;
  status.connected = false;
  status.serving = false;
  status.error = std::move(why);
  return was_connected;
}

std::vector<record::TabletAlias> View::Tick(Time now) {
  std::vector<record::TabletAlias> silent;
  for (auto& [alias, status] : tablets_) {
    if (!status.connected || status.suspect || now - status.last_beat <= options_.suspect_after)
      continue;
    status.suspect = true;
    silent.push_back(alias);
  }
  return silent;
}

const TabletStatus* View::Find(const record::TabletAlias& alias) const {
  auto found = tablets_.find(alias);
  return found == tablets_.end() ? nullptr : &found->second;
}

PrimaryTerm View::HighestTerm(const std::string& keyspace, const std::string& shard) const {
  auto found = highest_.find({keyspace, shard});
  return found == highest_.end() ? PrimaryTerm() : found->second;
}

const TabletStatus* View::PickPrimary(const std::string& keyspace, const std::string& shard) const {
  PrimaryTerm floor = HighestTerm(keyspace, shard);
  const TabletStatus* best = nullptr;
  for (const auto& [alias, status] : tablets_) {
    const record::Target& target = status.target;
    if (target.type != record::TabletType::kPrimary || target.keyspace != keyspace ||
        target.shard != shard)
      continue;
    if (!status.healthy() || floor.NewerThan(status.primary_term)) continue;
    if (best == nullptr || status.primary_term.NewerThan(best->primary_term)) best = &status;
  }
  return best;
}

const TabletStatus* View::Pick(const record::Target& target, const std::string& cell,
                               const std::vector<std::string>& also_cells,
                               const std::vector<record::TabletAlias>& avoid, Rng& rng) const {
  if (target.type == record::TabletType::kPrimary)
    return PickPrimary(target.keyspace, target.shard);
  // The lower the rank the better: avoided, then far, then lagging.
  using Rank = std::tuple<bool, int, bool>;
  std::optional<Rank> best;
  std::vector<const TabletStatus*> chosen;
  for (const auto& [alias, status] : tablets_) {
    if (!status.healthy() || status.target.type != target.type ||
        status.target.keyspace != target.keyspace || status.target.shard != target.shard ||
        status.replication_lag > options_.lag_high) {
      continue;
    }
    int distance = alias.cell == cell                                              ? 0
                   : std::ranges::find(also_cells, alias.cell) != also_cells.end() ? 1
                                                                                   : 2;
    Rank rank{std::ranges::find(avoid, alias) != avoid.end(), distance,
              status.replication_lag > options_.lag_low};
    if (best && rank > *best) continue;
    if (!best || rank < *best) {
      best = rank;
      chosen.clear();
    }
    chosen.push_back(&status);
  }
  if (chosen.empty()) return nullptr;
  return chosen[rng.Below(chosen.size())];
}

std::vector<TabletStatus> View::List() const {
  std::vector<TabletStatus> list;
  for (const auto& [alias, status] : tablets_) list.push_back(status);
  std::ranges::stable_sort(list, {}, [](const TabletStatus& status) {
    return std::tuple(status.target.keyspace, status.target.shard, status.target.type,
                      status.tablet.alias);
  });
  return list;
}

}  // namespace paceline::health
