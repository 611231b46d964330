// io/sleep.h - waiting for a time alone. A loop that somebody stops sleeps at its Gate instead
// (io/sync.h).
#pragma once

#include "base/time.h"
#include "io/task.h"

namespace paceline::io {

Task<void> SleepUntil(Deadline deadline);

}  // namespace paceline::io
