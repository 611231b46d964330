#include "vtgate/failover_metrics.h"

namespace paceline::vtgate {

FailoverMetrics::FailoverMetrics(Metrics& metrics)
    : buffered(metrics.AddCounter("BufferRequestsBuffered", "requests that waited for a primary")),
      buffer_released(metrics.AddCounter("BufferRequestsDrained",
                                         "requests that waited and went on at a primary")),
      buffer_refused(metrics.AddCounter("BufferRequestsSkipped",
                                        "requests that were not allowed to wait for a primary")),
      buffer_expired(metrics.AddCounter("BufferRequestsEvicted",
                                        "requests that waited in vain for a primary")),
      resolved_committed(metrics.AddCounter(
          "FailoverResolvedCommitted", "writes whose answer was lost and that were committed")),
      resolved_not_committed(
          metrics.AddCounter("FailoverResolvedNotCommitted",
                             "writes whose answer was lost and that were not committed")),
      result_rebuilt(metrics.AddCounter("FailoverResultRebuilt",
                                        "committed writes whose result the client got after all")),
      result_lost(metrics.AddCounter("FailoverResultLost",
                                     "committed writes whose result could not be rebuilt")),
      unknown(metrics.AddCounter("FailoverUnknown",
                                 "writes whose outcome stayed unknown: the connection was closed")),
      run_again(metrics.AddCounter("FailoverRunAgain",
                                   "writes that were not committed and were run again")),
      replayed(metrics.AddCounter("FailoverReplayed",
                                  "transactions that went on, replayed, at another connection")),
      replay_differed(metrics.AddCounter(
          "FailoverReplayDiffered", "transactions whose replay gave another result: error 1213")),
      replay_refused(metrics.AddCounter("FailoverReplayRefused",
                                        "transactions that could not be replayed: error 1213")),
      state_lost(metrics.AddCounter("FailoverStateLost",
                                    "sessions whose state went with their connection")),
      read_waits(metrics.AddCounter("ReadAfterWriteWaits",
                                    "reads that waited until a replica had the session's writes")),
      read_waits_expired(
          metrics.AddCounter("ReadAfterWriteExpired", "such waits that were in vain")) {}

FailoverMetrics& FailoverMetrics::Process() {
  static FailoverMetrics metrics(Metrics::Process());
  return metrics;
}

}  // namespace paceline::vtgate
