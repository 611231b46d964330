// base/time_text.h - instants as text, in UTC. Threads: pure functions.
#pragma once

#include <string>

#include "base/time.h"

namespace paceline {

// "2026-11-27T21:52:23Z" (RFC 3339), cut to whole seconds.
std::string Rfc3339(WallTime when);
// "2026-11-27T21:52:23.042Z"
std::string Rfc3339Millis(WallTime when);

}  // namespace paceline
