#include "reparent/force.h"

#include "reparent/decide.h"

namespace paceline::reparent {

std::string GivenUpByForce(const View& view, const Request& request) {
  Request unforced = request;
  unforced.force = false;
  Step first = NextStep(view, unforced, Attempt());
  const auto* refuse = std::get_if<Refuse>(&first);
  if (refuse == nullptr || refuse->may_be_lost.empty()) return {};
  return fmt::format("{}. What may be lost: {}", refuse->why, refuse->may_be_lost);
}

}  // namespace paceline::reparent
