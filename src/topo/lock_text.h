// topo/lock_text.h - what a lock's entry says to people and to Vitess's tools: JSON with Action,
// HostName, UserName, Time (RFC 3339), Options and Status. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace paceline::topo {

struct LockText {
  std::string action, host, user, time, status;
};
// A running lock of this process, now.
std::string MakeLockText(std::string_view action, WallTime now);
// What can be read of it; text that is not such JSON becomes the action.
LockText ParseLockText(std::string_view json);
// "\"PlannedReparentShard\" by root@host since 2026-01-01T00:00:00Z", for errors.
std::string DescribeLock(std::string_view json);

}  // namespace paceline::topo
