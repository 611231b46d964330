// base/time_text.h - instants as text, in UTC. Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace paceline {

// "2026-11-27T21:52:23Z" (RFC 3339), cut to whole seconds.
std::string Rfc3339(WallTime when);
// "2026-11-27T21:52:23.042Z"
std::string Rfc3339Millis(WallTime when);
// Those, or with an offset, "2026-11-23T00:40:00+02:00"; a fraction of a second is cut off. Years
// 1970 to 2200. Errors: kInvalidArgument.
Result<WallTime> ParseRfc3339(std::string_view text);

}  // namespace paceline
