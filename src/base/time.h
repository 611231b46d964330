// base/time.h - instants and the Clock port. No decision reads a clock by itself: it is handed a
// Time or a Clock.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace paceline {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// An instant of a monotonic clock that goes on during suspend (CLOCK_BOOTTIME); comparable within
// one boot only.
struct Time {
  int64_t ns = 0;
  friend auto operator<=>(const Time&, const Time&) = default;
  friend Time operator+(Time t, Duration d) { return {t.ns + d.count()}; }
  friend Time operator-(Time t, Duration d) { return {t.ns - d.count()}; }
  friend Duration operator-(Time a, Time b) { return Duration(a.ns - b.ns); }
};

// Nanoseconds since 1970 UTC, for records and logs only; never for decisions about intervals.
struct WallTime {
  int64_t unix_ns = 0;
  friend auto operator<=>(const WallTime&, const WallTime&) = default;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

// The machine's clock. Threads: any.
const Clock& SystemClock();

class ManualClock final : public Clock {
 public:
  Time Now() const override { return now_; }
  WallTime WallNow() const override { return {wall_.unix_ns}; }
  void Advance(Duration by) {
    now_ = now_ + by;
    wall_.unix_ns += by.count();
  }

 private:
  Time now_{1};
  WallTime wall_{1'700'000'000'000'000'000};
};

// When an operation must have ended. Every wait takes one.
class Deadline {
 public:
  static Deadline At(Time time) { return Deadline(time); }
  static Deadline After(const Clock& clock, Duration in) { return Deadline(clock.Now() + in); }
  // After() on the system clock.
  static Deadline In(Duration in) { return After(SystemClock(), in); }
  // Only for loops that wait for work and are ended by closing what they wait on.
  static Deadline Never() { return Deadline(Time{INT64_MAX}); }

  Time time() const { return time_; }
  bool never() const { return time_.ns == INT64_MAX; }
  bool Passed(Time now) const { return now >= time_; }
  // Zero when passed.
  Duration Left(Time now) const { return Passed(now) ? Duration(0) : time_ - now; }
  Deadline EarlierOf(Deadline other) const { return other.time_ < time_ ? other : *this; }
  friend auto operator<=>(const Deadline&, const Deadline&) = default;

 private:
  explicit Deadline(Time time) : time_(time) {}
  Time time_;
};

}  // namespace paceline
