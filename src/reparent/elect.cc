#include "reparent/elect.h"

#include <algorithm>
#include <tuple>

namespace paceline::reparent {
namespace {

constexpr int kCatchUpTries = 2;

// Empty: fit to lead, apart from the transactions it has.
std::string WhyUnfit(const Request& request, const Attempt& attempt, const TabletAlias& reigning,
                     const TabletSight& tablet) {
  if (!tablet.reachable)
    return "not reachable" + (tablet.error.empty() ? "" : " (" + tablet.error + ")");
  if (!tablet.mysqld_running) return "its mysqld is down";
  bool asked = tablet.alias == request.new_primary;
  if (!request.new_primary.empty() && !asked) {
    return fmt::format("{} was asked for", request.new_primary.ToString());
  }
  if (tablet.alias == request.avoid_primary) return "to be avoided, as asked";
  if (request.ignore.contains(tablet.alias)) return "to be ignored, as asked";
  if (PromotionRuleOf(tablet.type) == PromotionRule::kMustNot) {
    return fmt::format("a tablet of type {} is never promoted",
                       record::TabletTypeName(tablet.type));
  }
  if (tablet.backup_running) return "a backup runs on it";
  if (attempt.term != 0 && tablet.promised_term != attempt.term) {
    return fmt::format("it promised term {} and not {}", tablet.promised_term, attempt.term);
  }
  // A primary that is read-only is a promotion that did not end: to end it is the smallest change.
  if (tablet.alias == reigning && !asked && !tablet.read_only) return "it leads now";
  if (tablet.alias == reigning && !asked && tablet.demoted) return "it is being replaced";
  std::string cell = request.preferred_cell.empty() ? reigning.cell : request.preferred_cell;
  if (!request.allow_cross_cell && !cell.empty() && tablet.alias.cell != cell) {
    return fmt::format("it is not in cell {}", cell);
  }
  if (request.tolerable_lag && attempt.term == 0 &&
      (!tablet.lag || *tablet.lag > *request.tolerable_lag) && tablet.alias != reigning) {
    return "it lags more than tolerated";
  }
  if (auto tries = attempt.tries.find("wait " + tablet.alias.ToString());
      tries != attempt.tries.end() && tries->second > kCatchUpTries) {
    return "it did not catch up in time";
  }
  return {};
}

// Empty: enough reachable tablets could acknowledge its commits.
std::string WhyTooFewAckers(const View& view, const TabletSight& tablet) {
  Member leader{tablet.alias, tablet.type};
  std::vector<TabletAlias> ackers = PossibleAckers(view.durability, leader, MembersOf(view));
  uint32_t required = AcksRequired(view.durability, view.flavor, ackers.size());
  auto up = std::ranges::count_if(ackers, [&](const TabletAlias& alias) {
    const TabletSight* sight = view.Find(alias);
    return sight->reachable && sight->mysqld_running;
  });
  if (static_cast<uint32_t>(up) >= required) return {};
  return fmt::format(
      "durability policy {} wants {} to acknowledge its commits, and {} of {} are up",
      DurabilityName(view.durability), required, up, ackers.size());
}

}  // namespace

std::vector<Member> MembersOf(const View& view) {
  std::vector<Member> members;
  for (const TabletSight& tablet : view.tablets) members.push_back({tablet.alias, tablet.type});
  return members;
}

gtid::Set ReceivedBy(const View& view, const TabletSight& tablet) {
  return gtid::WithHistory(tablet.received.Union(tablet.executed), view.takeovers);
}

gtid::Set ExecutedBy(const View& view, const TabletSight& tablet) {
  return gtid::WithHistory(tablet.executed, view.takeovers);
}

Election Elect(const View& view, const Request& request, const Attempt& attempt,
               const TabletAlias& reigning, const gtid::Set& needed) {
  Election election;
  std::vector<std::string> reasons;
  std::string cell = request.preferred_cell.empty() ? reigning.cell : request.preferred_cell;
  auto rank = [&](const TabletSight& tablet, bool complete) {
    return std::tuple(!tablet.disk_error.empty(), !complete, tablet.disk_low,
                      tablet.alias != reigning, !cell.empty() && tablet.alias.cell != cell,
                      PromotionRuleOf(tablet.type),
                      needed.Subtract(ExecutedBy(view, tablet)).Count(), tablet.alias);
  };
  bool winner_complete = false;
  for (const TabletSight& tablet : view.tablets) {
    std::string why = WhyUnfit(request, attempt, reigning, tablet);
    if (why.empty() && !request.force) why = WhyTooFewAckers(view, tablet);
    if (!why.empty()) {
      reasons.push_back(tablet.alias.ToString() + ": " + why);
      continue;
    }
    bool complete = ReceivedBy(view, tablet).Contains(needed);
    if (election.winner == nullptr ||
        rank(tablet, complete) < rank(*election.winner, winner_complete)) {
      election.winner = &tablet;
      winner_complete = complete;
    }
  }
  if (election.winner != nullptr && !winner_complete) {
    for (const TabletSight& tablet : view.tablets) {
      bool has = tablet.reachable && tablet.mysqld_running &&
                 (attempt.term == 0 || tablet.promised_term == attempt.term) &&
                 ReceivedBy(view, tablet).Contains(needed);
      if (has) election.source = &tablet;
    }
    if (election.source == nullptr && !request.force) {
      reasons.push_back(
          fmt::format("{}: it lacks {}", election.winner->alias.ToString(),
                      needed.Subtract(ReceivedBy(view, *election.winner)).ToString()));
      election.winner = nullptr;
    }
  }
  for (const std::string& reason : reasons) {
    if (!election.reasons.empty()) election.reasons += "; ";
    election.reasons += reason;
  }
  return election;
}

}  // namespace paceline::reparent
