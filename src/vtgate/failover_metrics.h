// vtgate/failover_metrics.h - what a gate counts of failovers: how many requests waited, and how
// those whose answer was lost ended. Shared by the process's loops. Threads: any.
#pragma once

#include "base/metrics.h"

namespace paceline::vtgate {

struct FailoverMetrics {
  explicit FailoverMetrics(Metrics& metrics);
  static FailoverMetrics& Process();

  Counter& buffered;         // requests that waited for a primary
  Counter& buffer_released;  // those for which one came in time
  Counter& buffer_refused;   // not let in: full, too long, too soon
  Counter& buffer_expired;   // waited in vain

  Counter& resolved_committed;      // a lost answer whose write was found committed
  Counter& resolved_not_committed;  // found not committed
  Counter& result_rebuilt;          // committed, and the client got its result
  Counter& result_lost;             // committed, but its result could not be rebuilt
  Counter& unknown;                 // neither could be proved: the connection was closed
  Counter& run_again;               // autocommit writes that were run again
  Counter& replayed;                // transactions that went on at another connection
  Counter& replay_differed;         // ended as 1213: a result came out differently
  Counter& replay_refused;          // ended as 1213: not recorded, or excluded
  Counter& state_lost;              // sessions whose state went with their connection

  Counter& read_waits;  // reads that waited for a replica to have the session's writes
  Counter& read_waits_expired;
};

}  // namespace paceline::vtgate
