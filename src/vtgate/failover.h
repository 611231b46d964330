// vtgate/failover.h - how a session's requests ride out the loss of a primary: what may be done,
// and the errors that clients get where it cannot be hidden. Threads: values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "port/query_service.h"

namespace paceline::vtgate {

struct FailoverOptions {
  bool resolve = true;                   // ask for the fate of writes whose answer was lost
  bool rebuild = true;                   // give committed ones their result where it is exact
  bool run_again = true;                 // run again what was not committed
  bool replay = true;                    // bring open transactions to the new primary
  Duration resolve_max = 30s;            // for one write
  size_t replay_statements = 1000;       // of one transaction
  size_t replay_bytes = 1u << 20;        // of one transaction's statements and parameters
  size_t replay_bytes_all = 256u << 20;  // of all open transactions of a loop
};

// Neither number is one that drivers run a statement again on. MySQL leaves 50000 to 51999 to
// others.
inline constexpr ErrorSpec kResultLost{"VT50001", Code::kFailedPrecondition, 50001, "HY000",
                                       "The write was committed, but the connection broke before "
                                       "its result came and the result cannot "
                                       "be told exactly. Do not run it again."};
inline constexpr ErrorSpec kStateLost{
    "VT50002", Code::kFailedPrecondition, 50002, "HY000",
    "State that only the lost connection had (temporary tables, locks, user variables) is gone. "
    "The "
    "session begins anew; what its open transaction did was rolled back."};

// Numbers of attempts (port::QueryRequest::attempt) of one loop: from a random one on.
class AttemptNumbers {
 public:
  explicit AttemptNumbers(Rng& rng) : next_(static_cast<uint32_t>(rng.Next())) {}
  uint32_t Next() { return next_++ | port::kAttemptMin; }

 private:
  uint32_t next_;
};

}  // namespace paceline::vtgate
