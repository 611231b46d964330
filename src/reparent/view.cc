#include "reparent/view.h"

#include <algorithm>

#include "reparent/decide.h"

namespace paceline::reparent {

std::string_view ActionName(Action action) {
  switch (action) {
    case Action::kPlanned:
      return "PlannedReparentShard";
    case Action::kEmergency:
      return "EmergencyReparentShard";
    case Action::kInit:
      return "InitShardPrimary";
    case Action::kReparentTablet:
      return "ReparentTablet";
  }
  return "";
}

const TabletSight* View::Find(const TabletAlias& alias) const {
  auto found = std::ranges::find(tablets, alias, &TabletSight::alias);
  return found == tablets.end() ? nullptr : &*found;
}

Duration TabletSight::GrantLeftTo(const TabletAlias& primary) const {
  Duration left{0};
  for (const Grant& grant : grants) {
    if (grant.to == primary || grant.to.empty()) left = std::max(left, grant.left);
  }
  return left;
}

TabletAlias ReigningPrimary(const View& view) {
  uint64_t newest = 0;
  for (const TabletSight& tablet : view.tablets) {
    if (tablet.reachable) newest = std::max(newest, tablet.journal_term);
  }
  auto leads = [](const TabletSight& tablet) {
    return tablet.type == record::TabletType::kPrimary && tablet.source.empty();
  };
  if (newest > 0) {
    for (const TabletSight& tablet : view.tablets) {
      bool knows = tablet.reachable && tablet.journal_term == newest;
      if (knows && !tablet.journal_primary.empty()) return tablet.journal_primary;
    }
    for (const TabletSight& tablet : view.tablets) {
      if (tablet.reachable && tablet.journal_term == newest && leads(tablet)) return tablet.alias;
    }
    // The row came down the stream from the primary that wrote it.
    for (const TabletSight& tablet : view.tablets) {
      bool knows = tablet.reachable && tablet.journal_term == newest;
      if (knows && !tablet.source.empty()) return tablet.source;
    }
    return view.shard_primary;
  }
  for (const TabletSight& tablet : view.tablets) {
    if (tablet.reachable && leads(tablet) && !tablet.read_only) return tablet.alias;
  }
  return view.shard_primary;
}

bool PromiseQuorum(const View& view, const TabletAlias& reigning,
                   const std::set<TabletAlias>& promised) {
  size_t all = view.tablets.size(), have = 0, others = 0, others_have = 0;
  for (const TabletSight& tablet : view.tablets) {
    bool has = promised.contains(tablet.alias);
    have += has;
    if (tablet.alias == reigning) continue;
    ++others;
    others_have += has;
  }
  if (all <= 2) return have > 0 && others_have == others;
  return have > all / 2;
}

}  // namespace paceline::reparent
