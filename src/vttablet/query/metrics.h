// vttablet/query/metrics.h - what the query path counts, for export. Written by one loop, read by
// any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace paceline::vttablet {

// A counter with one writer: no locked instruction on the query path.
class Counter {
 public:
  void Add(int64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void Set(int64_t to) { value_.store(to, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

struct QueryMetrics {
  Counter queries;         // statements sent to mysqld
  Counter mysql_errors;    // of them, answered with ERR
  Counter refused;         // by state, target or admission
  Counter failed;          // calls that ended with an error of ours
  Counter rows_bytes;      // passed to sinks
  Counter query_ns;        // time from receipt to end
  Counter waits, wait_ns;  // for a connection
  Counter wait_timeouts, wait_refused;
  Counter dials, dial_errors, resets, closed_idle, closed_lifetime, closed_broken;
  Counter kills, kills_withheld;  // withheld: the session waited for a semi-sync acknowledgement
  Counter transactions, transactions_killed;
  Counter prepares, prepare_hits, prepare_repeats;
  // Gauges:
  Counter running, connections, idle, pinned, reserved, waiting;
};

}  // namespace paceline::vttablet
