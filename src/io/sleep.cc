#include "io/sleep.h"

#include "io/sync.h"

namespace paceline::io {

Task<void> SleepUntil(Deadline deadline) {
  Event never;
  bool woken = co_await never.Wait(deadline);
  (void)woken;
}

}  // namespace paceline::io
