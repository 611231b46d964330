#include "vttablet/manager/disk_level.h"

#include <algorithm>
#include <charconv>

#include "base/quantity.h"
#include "base/strings.h"

namespace paceline::vttablet {
namespace {

constexpr double kEase = 1.25;
// Whatever the limits: less than this is no room for a primary's writes.
constexpr uint64_t kRoomMin = 64 << 20;
constexpr Duration kLeftMax = std::chrono::hours(24 * 3650);

uint64_t Grown(uint64_t bytes, double by) {
  return static_cast<uint64_t>(static_cast<double>(bytes) * by);
}

DiskLevel LevelAt(const DiskSpace& space, const DiskLimits& limits, double ease) {
  const uint64_t refuse = limits.refuse_below.Of(space.bytes);
  auto below = [&](uint64_t threshold) { return space.free < Grown(threshold, ease); };
  if (below(refuse / 2)) return DiskLevel::kCritical;
  if (below(refuse)) return DiskLevel::kRefuse;
  if (below(2 * refuse)) return DiskLevel::kLow;
  if (below(limits.purge_below.Of(space.bytes))) return DiskLevel::kPurge;
  return DiskLevel::kRoom;
}

}  // namespace

uint64_t DiskThreshold::Of(uint64_t volume) const {
  return share > 0 ? Grown(volume, share) : bytes;
}

Result<DiskThreshold> ParseDiskThreshold(std::string_view text) {
  DiskThreshold threshold;
  text = Trim(text);
  if (!text.ends_with('%')) {
    ASSIGN_OR_RETURN(threshold.bytes, ParseBytes(text));
    return threshold;
  }
  const std::string_view digits = text.substr(0, text.size() - 1);
  double percent = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), percent,
                                      std::chars_format::fixed);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || !(percent >= 0 && percent <= 90))
    return Fail(Code::kInvalidArgument, "\"{}\" is no share of a disk, such as 15%", text);
  threshold.share = percent / 100;
  return threshold;
}

std::string_view DiskLevelName(DiskLevel level) {
  static constexpr std::string_view kNames[] = {"room", "purge", "low", "refuse", "critical"};
  return kNames[static_cast<size_t>(level)];
}

DiskLevel NextLevel(DiskLevel now, const DiskSpace& space, const DiskLimits& limits) {
  if (space.bytes == 0) return DiskLevel::kRoom;
  return std::max(LevelAt(space, limits, 1), std::min(now, LevelAt(space, limits, kEase)));
}

bool HasRoom(const DiskSpace& space, const DiskLimits& limits) {
  if (space.bytes == 0) return true;
  return space.free >= std::max(kRoomMin, 4 * limits.refuse_below.Of(space.bytes));
}

uint64_t BytesToPurge(const DiskSpace& space, const DiskLimits& limits) {
  const uint64_t wanted = Grown(limits.purge_below.Of(space.bytes), kEase);
  return wanted > space.free ? wanted - space.free : 0;
}

size_t LogsToPurge(const std::vector<uint64_t>& sizes, uint64_t wanted) {
  size_t count = 0;
  for (uint64_t freed = 0; count + 1 < sizes.size() && freed < wanted; ++count)
    freed += sizes[count];
  return count;
}

void DiskTrend::Add(Time now, uint64_t used) {
  if (!points_.empty() && now - points_.back().at < step_) return;
  points_.push_back({now, used});
  if (points_.size() <= kPoints) return;
  if (step_ >= kStepMax) {
    points_.pop_front();
    return;
  }
  step_ *= 2;
  std::deque<Point> kept;
  for (size_t i = 0; i < points_.size(); i += 2) kept.push_back(points_[i]);
  points_ = std::move(kept);
}

std::optional<double> DiskTrend::Growth() const {
  if (points_.empty() || points_.back().at - points_.front().at < std::chrono::minutes(1))
    return std::nullopt;
  double times = 0, uses = 0;
  const double count = static_cast<double>(points_.size());
  auto seconds = [this](const Point& point) {
    return std::chrono::duration<double>(point.at - points_.front().at).count();
  };
  auto bytes = [this](const Point& point) {
    return static_cast<double>(point.used) - static_cast<double>(points_.front().used);
  };
  for (const Point& point : points_) {
    times += seconds(point) / count;
    uses += bytes(point) / count;
  }
  double together = 0, spread = 0;
  for (const Point& point : points_) {
    together += (seconds(point) - times) * (bytes(point) - uses);
    spread += (seconds(point) - times) * (seconds(point) - times);
  }
  return spread > 0 ? together / spread : 0;
}

std::optional<Duration> DiskTrend::TimeLeft(const DiskSpace& space) const {
  std::optional<double> growth = Growth();
  if (!growth || *growth <= 0) return std::nullopt;
  const double left = static_cast<double>(space.free) / *growth;
  const double most = std::chrono::duration<double>(kLeftMax).count();
  if (left >= most) return std::nullopt;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(left));
}

}  // namespace paceline::vttablet
