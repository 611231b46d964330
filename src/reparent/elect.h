// reparent/elect.h - which tablet may lead next, and why the others may not. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "reparent/decide.h"

namespace paceline::reparent {

std::vector<Member> MembersOf(const View& view);
// What a tablet has, with all that the takeovers imply (MariaDB).
gtid::Set ReceivedBy(const View& view, const TabletSight& tablet);
gtid::Set ExecutedBy(const View& view, const TabletSight& tablet);

struct Election {
  const TabletSight* winner = nullptr;
  // Fit to lead but for transactions it lacks and `source` has: it catches up from there first.
  const TabletSight* source = nullptr;
  std::string reasons;  // why each other tablet was refused: "zone1-0000000101: a backup runs; ..."
};

// REQUIRES of a winner: what the request and the policy allow, and (unless forced) that it contains
// `needed` and finds enough reachable ackers. `reigning` may win only where it is asked for, or is
// an unfinished promotion. Ties: asked for, the preferred cell, promotion rule, least left to
// apply, alias.
Election Elect(const View& view, const Request& request, const Attempt& attempt,
               const TabletAlias& reigning, const gtid::Set& needed);

}  // namespace paceline::reparent
