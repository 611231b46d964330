#include "vtgate/loss.h"

namespace paceline::vtgate {
namespace {

// The transaction is known to be rolled back.
Remedy AfterRollback(const Loss& loss) {
  if (loss.reserved) return Remedy::kStateLost;
  return loss.can_replay && !loss.timed_out ? Remedy::kReplay : Remedy::kRolledBack;
}

}  // namespace

Remedy RemedyFor(const Loss& loss) {
  const bool gone = loss.ConnectionGone();
  if (loss.begun) return Remedy::kClose;
  if (loss.rollback && loss.pinned && gone && !loss.reserved) return Remedy::kDone;
  if (loss.in_transaction) {
    if (!loss.pinned && loss.code == Code::kClusterEvent) return Remedy::kAgain;
    const bool ended = loss.ends && loss.MayHaveRun();
    if (ended) return loss.can_resolve ? Remedy::kResolve : Remedy::kClose;
    return gone ? AfterRollback(loss) : Remedy::kTell;
  }
  if (!loss.may_write || !loss.MayHaveRun()) {
    if (loss.pinned && gone) return loss.reserved ? Remedy::kStateLost : Remedy::kTell;
    const bool repeat = loss.code == Code::kClusterEvent || loss.code == Code::kUnavailable;
    return repeat && !loss.pinned ? Remedy::kAgain : Remedy::kTell;
  }
  return loss.can_resolve ? Remedy::kResolve : Remedy::kClose;
}

Remedy RemedyAfter(const Loss& loss, WriteFate fate) {
  if (fate == WriteFate::kUnknown) return Remedy::kClose;
  if (fate == WriteFate::kCommitted) {
    if (loss.in_transaction) return loss.commit ? Remedy::kDone : Remedy::kClose;
    // Of a procedure this may be the first of several commits.
    return loss.one_write ? Remedy::kResult : Remedy::kClose;
  }
  if (loss.in_transaction) {
    return loss.ConnectionGone() ? AfterRollback(loss) : Remedy::kRolledBack;
  }
  if (loss.reserved && loss.ConnectionGone()) return Remedy::kStateLost;
  const bool late = loss.code == Code::kDeadlineExceeded || loss.code == Code::kCanceled;
  return loss.can_run_again && !late ? Remedy::kAgain : Remedy::kTell;
}

}  // namespace paceline::vtgate
