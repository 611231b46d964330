// reparent/force.h - what a person gives up who forces a reparent. Pure.
#pragma once

#include <string>

#include "reparent/view.h"

namespace paceline::reparent {

// What a run with Request::force gives up, as far as the first look tells; empty: nothing. To be
// shown before it begins.
std::string GivenUpByForce(const View& view, const Request& request);

}  // namespace paceline::reparent
