#include "port/progress.h"

#include <fmt/format.h>

namespace paceline::port {
namespace {

// Long enough to be calm, short enough to show that a disk or a network has become slower.
constexpr Duration kWindow = std::chrono::seconds(10);
constexpr Duration kSampleEvery = std::chrono::milliseconds(200);

std::string Megabytes(uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string Left(int64_t seconds) {
  if (seconds < 120) return fmt::format("{} s left", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} min left", (seconds + 59) / 60);
  return fmt::format("{} h {} min left", seconds / 3600, seconds % 3600 / 60);
}

}  // namespace

std::string ToText(const TransferProgress& progress) {
  std::string text = progress.phase.empty() ? "beginning" : progress.phase;
  if (progress.bytes == 0) return text;
  text += " " + Megabytes(progress.bytes);
  if (progress.total > 0) {
    double share = static_cast<double>(progress.bytes) / static_cast<double>(progress.total);
    text += fmt::format(" of {} ({:.0f}%)", Megabytes(progress.total), share * 100);
  }
  if (progress.rate > 0) text += fmt::format(", {}/s", Megabytes(progress.rate));
  if (progress.left_s >= 0) text += ", " + Left(progress.left_s);
  return text;
}

TransferProgress ProgressMeter::Observe(std::string phase, uint64_t bytes, uint64_t total,
                                        Time now) {
  bool anew = phase != phase_ || samples_.empty() || bytes < samples_.back().bytes;
  if (anew) {
    phase_ = phase;
    samples_.clear();
  }
  if (anew || now - samples_.back().at >= kSampleEvery) samples_.push_back({now, bytes});
  while (samples_.size() > 2 && now - samples_[1].at >= kWindow) samples_.pop_front();
  TransferProgress progress;
  progress.phase = std::move(phase);
  progress.bytes = bytes;
  progress.total = bytes > total ? 0 : total;
  double seconds = std::chrono::duration<double>(now - samples_.front().at).count();
  double rate = static_cast<double>(bytes - samples_.front().bytes) / seconds;
  if (seconds < 0.1 || rate < 1) return progress;
  progress.rate = static_cast<uint64_t>(rate);
  if (progress.total > 0)
    progress.left_s = static_cast<int64_t>(static_cast<double>(progress.total - bytes) / rate) + 1;
  if (progress.bytes == progress.total) progress.left_s = 0;
  return progress;
}

}  // namespace paceline::port
