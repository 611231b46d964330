// port/progress.h - how far a backup, a restore or a seed is: bytes, rate, and what is left. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/time.h"

namespace paceline::port {

struct TransferProgress {
  std::string phase;    // "copying", "preparing"
  uint64_t bytes = 0;   // of this phase; 0: nothing that is measured moves
  uint64_t total = 0;   // 0: not known
  uint64_t rate = 0;    // bytes a second; 0: not known yet
  int64_t left_s = -1;  // -1: not known
  friend bool operator==(const TransferProgress&, const TransferProgress&) = default;
};
// "copying 120.0 MB of 500.0 MB (24%), 35.0 MB/s, 11 s left"
std::string ToText(const TransferProgress& progress);

// Makes rates of what was seen in the last seconds of a phase.
class ProgressMeter {
 public:
  // `total` that was exceeded is not believed any more: it was an estimate.
  TransferProgress Observe(std::string phase, uint64_t bytes, uint64_t total, Time now);

 private:
  struct Sample {
    Time at;
    uint64_t bytes;
  };
  std::string phase_;
  std::deque<Sample> samples_;
};

}  // namespace paceline::port
