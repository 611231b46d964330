#include "vtgate/loss.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

constexpr Code kCodes[] = {Code::kClusterEvent,     Code::kUnavailable,       Code::kAborted,
                           Code::kDeadlineExceeded, Code::kResourceExhausted, Code::kCanceled};

// All losses that can be: 2^12 combinations for each code, less those that contradict themselves.
template <class Check>
void ForEachLoss(Check check) {
  for (Code code : kCodes) {
    for (unsigned bits = 0; bits < 1u << 12; ++bits) {
      Loss loss;
      loss.code = code;
      bool* all[] = {&loss.pinned,    &loss.reserved,    &loss.in_transaction, &loss.timed_out,
                     &loss.ends,      &loss.commit,      &loss.rollback,       &loss.may_write,
                     &loss.one_write, &loss.can_resolve, &loss.can_run_again,  &loss.can_replay};
      for (unsigned i = 0; i < 12; ++i) *all[i] = (bits >> i) & 1;
      if (loss.reserved && !loss.pinned) continue;
      if (loss.rollback && (loss.commit || loss.ends)) continue;
      check(loss);
    }
  }
}

// mysqld may have run something that, if it did, is committed.
bool MayBeCommitted(const Loss& loss) {
  return loss.MayHaveRun() && (loss.in_transaction ? loss.ends : loss.may_write);
}

TEST(Loss, WhatMayBeCommittedIsNeverRunAgainNorToldAsRolledBackWithoutEvidence) {
  ForEachLoss([](const Loss& loss) {
    const Remedy remedy = RemedyFor(loss);
    if (!MayBeCommitted(loss)) {
      EXPECT_NE(remedy, Remedy::kResolve);
      return;
    }
    const bool settled = loss.rollback && loss.in_transaction;
    EXPECT_TRUE(settled || remedy == Remedy::kResolve || remedy == Remedy::kClose ||
                (loss.rollback && remedy == Remedy::kDone))
        << static_cast<int>(remedy);
    EXPECT_EQ(RemedyAfter(loss, WriteFate::kUnknown), Remedy::kClose);
    const Remedy committed = RemedyAfter(loss, WriteFate::kCommitted);
    EXPECT_TRUE(committed == Remedy::kDone || committed == Remedy::kResult ||
                committed == Remedy::kClose);
    const Remedy not_committed = RemedyAfter(loss, WriteFate::kNotCommitted);
    EXPECT_NE(not_committed, Remedy::kDone);
    EXPECT_NE(not_committed, Remedy::kResult);
  });
}

TEST(Loss, WhatIsTurnedOffIsNotDone) {
  ForEachLoss([](const Loss& loss) {
    for (Remedy remedy : {RemedyFor(loss), RemedyAfter(loss, WriteFate::kNotCommitted)}) {
      EXPECT_TRUE((loss.can_replay && !loss.timed_out) || remedy != Remedy::kReplay);
    }
    EXPECT_TRUE(loss.can_resolve || RemedyFor(loss) != Remedy::kResolve);
    EXPECT_TRUE(loss.can_run_again ||
                RemedyAfter(loss, WriteFate::kNotCommitted) != Remedy::kAgain);
  });
}

TEST(Loss, WhatHadAConnectionOfItsOwnNeverGoesOnWithoutIt) {
  ForEachLoss([](const Loss& loss) {
    if (!loss.reserved || !loss.ConnectionGone()) return;
    for (Remedy remedy : {RemedyFor(loss), RemedyAfter(loss, WriteFate::kNotCommitted)}) {
      EXPECT_NE(remedy, Remedy::kReplay);
      EXPECT_NE(remedy, Remedy::kAgain);
      EXPECT_NE(remedy, Remedy::kRolledBack);
    }
  });
}

TEST(Loss, HalfAnAnswerEndsTheConnection) {
  ForEachLoss([](Loss loss) {
    loss.begun = true;
    EXPECT_EQ(RemedyFor(loss), Remedy::kClose);
  });
}

}  // namespace
}  // namespace paceline::vtgate
