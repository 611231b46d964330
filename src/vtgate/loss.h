// vtgate/loss.h - what to do about a statement whose call to a tablet failed. Pure.
//
// The rule behind all of it: a client is told a number on which drivers run a transaction again
// (1213) only where nothing of it can have been committed; what may have been committed is settled
// by evidence (QueryService::Resolve), and where there is none its connection ends, as with mysqld.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "plan/plan.h"
#include "port/query_service.h"

namespace paceline::vtgate {

using WriteFate = port::AttemptOutcome::Fate;

// May change something outside the session, so that running it twice is not the same as once.
inline bool MayWrite(const plan::Plan& plan) {
  return plan.writes || plan.implicit_commit || !plan.replica_ok;
}

struct Loss {
  Code code = Code::kUnknown;
  bool pinned = false;          // it ran on the connection that was the session's own
  bool reserved = false;        // which held more than a transaction
  bool in_transaction = false;  // a transaction was open there, or was begun with it
  bool timed_out = false;       // the tablet had ended the transaction because it took too long
  bool ends = false;            // COMMIT, or a statement that commits or may do so
  bool commit = false;          // COMMIT and nothing else, or what begins the next transaction
  bool rollback = false;        // ROLLBACK
  bool may_write = true;        // by itself
  bool one_write = false;       // one statement that commits as a whole or not at all
  bool begun = false;           // the client has a part of the answer
  // Allowed and possible:
  bool can_resolve = false;
  bool can_run_again = false;
  bool can_replay = false;

  // The connection, and all that was bound to it, is gone.
  bool ConnectionGone() const {
    return code == Code::kUnavailable || code == Code::kAborted ||
           (pinned && code == Code::kClusterEvent);
  }
  // mysqld may have run it.
  bool MayHaveRun() const {
    return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kCanceled;
  }
};

enum class Remedy : uint8_t {
  kTell,        // the error itself
  kDone,        // OK: what it asks for has happened
  kResult,      // OK, rebuilt from evidence; else "committed, result lost"
  kAgain,       // run it again
  kResolve,     // ask for evidence, then RemedyAfter
  kReplay,      // bring the transaction back, then run it again
  kRolledBack,  // 1213
  kStateLost,   // kStateLost of failover.h
  kClose,       // the connection ends
};

Remedy RemedyFor(const Loss& loss);
Remedy RemedyAfter(const Loss& loss, WriteFate fate);

}  // namespace paceline::vtgate
