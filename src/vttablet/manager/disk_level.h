// vttablet/manager/disk_level.h - how full a tablet's disk is, how fast it fills, and what follows
// from that. Pure. Threads: values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline::vttablet {

struct DiskSpace {
  uint64_t bytes = 0;  // of the volume; 0: not known
  uint64_t free = 0;   // for mysqld, which is not root
};

// A share of the volume or a number of bytes; zero: never.
struct DiskThreshold {
  double share = 0;
  uint64_t bytes = 0;
  uint64_t Of(uint64_t volume) const;
};
// "15%", "512Mi", "20G", "0". Errors: kInvalidArgument.
Result<DiskThreshold> ParseDiskThreshold(std::string_view text);

struct DiskLimits {
  DiskThreshold purge_below{0.15, 0};
  DiskThreshold refuse_below{0.02, 0};
};

// From good to bad; each level does what those before it do.
enum class DiskLevel : uint8_t {
  kRoom,
  kPurge,     // binary logs go that are archived and that nobody needs
  kLow,       // at twice the free bytes of kRefuse: a primary should give way to one with room
  kRefuse,    // what makes data grow is refused
  kCritical,  // at half of them: DELETE is refused too, which writes before it frees
};
std::string_view DiskLevelName(DiskLevel level);  // "room", "purge", "low", "refuse", "critical"

// A level is left for a better one only with a quarter more than what it began at.
DiskLevel NextLevel(DiskLevel now, const DiskSpace& space, const DiskLimits& limits);
// Fit to take the writes of a primary whose disk is low, with enough left not to be low soon.
bool HasRoom(const DiskSpace& space, const DiskLimits& limits);
// How many bytes must become free for kPurge to end.
uint64_t BytesToPurge(const DiskSpace& space, const DiskLimits& limits);

// How many of the oldest logs to remove for `wanted` bytes; never the last, which is written to.
size_t LogsToPurge(const std::vector<uint64_t>& sizes, uint64_t wanted);

// How fast a volume fills, by a straight line through what was used in the last hours: a day at
// most, in ever coarser steps.
class DiskTrend {
 public:
  void Add(Time now, uint64_t used);
  // Bytes a second, negative where it empties; nothing before a minute has been seen.
  std::optional<double> Growth() const;
  // Until it is full; nothing where it does not grow.
  std::optional<Duration> TimeLeft(const DiskSpace& space) const;

 private:
  static constexpr size_t kPoints = 128;
  static constexpr Duration kStepMax = std::chrono::minutes(10);
  struct Point {
    Time at{};
    uint64_t used = 0;
  };
  Duration step_ = std::chrono::seconds(5);
  std::deque<Point> points_;
};

}  // namespace paceline::vttablet
