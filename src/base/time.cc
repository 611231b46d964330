#include "base/time.h"

#include <time.h>

namespace paceline {
namespace {

int64_t Read(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

class MachineClock final : public Clock {
 public:
  Time Now() const override { return {Read(CLOCK_BOOTTIME)}; }
  WallTime WallNow() const override { return {Read(CLOCK_REALTIME)}; }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace paceline
