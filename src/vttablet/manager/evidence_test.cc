#include "vttablet/manager/evidence.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

using Fate = port::AttemptOutcome::Fate;
const record::TabletAlias kOld{"zone1", 100}, kNew{"zone1", 101}, kThird{"zone1", 102};
constexpr uint32_t kAttempt = port::kAttemptMin + 5;
constexpr int64_t kNow = 1'000'000'000'000'000;

gtid::Set Set(std::string_view text) { return *gtid::Set::Parse(gtid::Flavor::kMariadb, text); }

// Transactions 0-1-`first`..`last` of the old primary were told; some are attempts.
Promotion PromotionOf(uint64_t term, record::TabletAlias primary, const std::string& position,
                      const std::string& told, std::vector<port::WrittenAttempt> attempts = {}) {
  port::Written written;
  written.told = told.empty() ? "" : Set(told).ToEncoded();
  written.attempts = std::move(attempts);
  Promotion promotion;
  promotion.term = term;
  promotion.primary = primary;
  promotion.created_ns = kNow - 1'000'000'000;
  promotion.proof = *ProofOf(written, Set(position), {{"d", "t", 2, 3}, {"d", "u", 0, 1}});
  return promotion;
}
Promotion Bare(uint64_t term, record::TabletAlias primary) {
  Promotion promotion;
  promotion.term = term;
  promotion.primary = primary;
  return promotion;
}
port::AttemptQuestion Question(std::string since, record::TabletAlias sent_to = kOld) {
  return {kAttempt, sent_to, since.empty() ? "" : "MariaDB/" + since};
}
port::WrittenAttempt Wrote(std::string gtid) {
  port::WrittenAttempt attempt{kAttempt, std::move(gtid), 1, {}};
  attempt.changes.push_back({"d", "t", 2, 0, 0, 3, {{1, 7}, {2, 41}}});
  attempt.changes.push_back({"d", "u", 1, 0, 0, 1, {{1, 7}}});
  attempt.changes.push_back({"d", "w", 1, 0, 0, 1, {{1, 7}}});
  attempt.changes.push_back({"d", "t2", 0, 3, 1, 1, {}});
  return attempt;
}
Fate FateOf(const port::AttemptQuestion& question, const std::vector<Promotion>& promotions,
            const LogProof* own = nullptr) {
  return Judge(question, promotions, own, kNow).outcome.fate;
}

TEST(Evidence, WhatIsFoundWasCommitted) {
  std::vector<Promotion> promotions = {PromotionOf(2, kNew, "0-1-9", "0-1-6..9", {Wrote("0-1-8")}),
                                       Bare(1, kOld)};
  Judgement judgement = Judge(Question("0-1-5"), promotions, nullptr, kNow);
  EXPECT_FALSE(judgement.by_own_log);
  const port::AttemptOutcome& outcome = judgement.outcome;
  EXPECT_EQ(outcome.fate, Fate::kCommitted);
  EXPECT_EQ(outcome.gtid, "0-1-8");
  ASSERT_EQ(outcome.changes.size(), 4u);
  EXPECT_EQ(outcome.changes[0].table, "d.t");
  EXPECT_EQ(outcome.changes[0].first_insert_id, 41u);
  EXPECT_EQ(outcome.changes[1].first_insert_id, 0u) << "the table has no AUTO_INCREMENT";
  EXPECT_FALSE(outcome.changes[2].first_insert_id) << "the table is not known";
  EXPECT_EQ(outcome.changes[3].updated, 3u);
  // Also where `since` is not known, as long as the number cannot have come again.
  EXPECT_EQ(FateOf(Question(""), promotions), Fate::kCommitted);
  promotions[0].created_ns = kNow - 3600ll * 1'000'000'000;
  EXPECT_EQ(FateOf(Question(""), promotions), Fate::kUnknown);
  // An earlier attempt of the same number.
  EXPECT_EQ(FateOf(Question("0-1-8"), promotions), Fate::kNotCommitted);
}

TEST(Evidence, AbsenceIsProvenOnlyByACompleteLog) {
  std::vector<Promotion> promotions = {PromotionOf(2, kNew, "0-1-9", "0-1-6..9"), Bare(1, kOld)};
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kNotCommitted);
  EXPECT_EQ(FateOf(Question("0-1-7"), promotions), Fate::kNotCommitted);
  EXPECT_EQ(FateOf(Question("0-1-4"), promotions), Fate::kUnknown) << "0-1-5 was not read";
  EXPECT_EQ(FateOf(Question(""), promotions), Fate::kUnknown);
  EXPECT_EQ(FateOf(Question("0-1-5", {}), promotions), Fate::kUnknown) << "sent to whom?";
  EXPECT_EQ(FateOf(Question("0-1-12"), promotions), Fate::kUnknown) << "ahead of the promotion";
  promotions[0].proof.reset();
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kUnknown);
}

TEST(Evidence, WhatCarriesNoNumberMayBeTheAttempt) {
  // 0-1-7 was read, and carries no number.
  std::vector<Promotion> promotions = {PromotionOf(2, kNew, "0-1-9", "0-1-6..6,0-1-8..9"),
                                       Bare(1, kOld)};
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kUnknown);
  EXPECT_EQ(FateOf(Question("0-1-7"), promotions), Fate::kNotCommitted);
}

TEST(Evidence, WhatAProcedureWroteIsNoInsert) {
  // 0-1-7 was read; a bit tells that a procedure wrote it.
  std::vector<Promotion> promotions = {PromotionOf(2, kNew, "0-1-9", "0-1-6..6,0-1-8..9"),
                                       Bare(1, kOld)};
  promotions[0].proof->procedures = Set("0-1-7..7");
  port::AttemptQuestion question = Question("0-1-5");
  EXPECT_EQ(FateOf(question, promotions), Fate::kUnknown) << "it may have been this CALL";
  question.procedure = false;
  EXPECT_EQ(FateOf(question, promotions), Fate::kNotCommitted);
  promotions[0].proof->untold = Set("0-1-6..7");
  EXPECT_EQ(FateOf(question, promotions), Fate::kUnknown) << "0-1-6 may be anything";
}

TEST(Evidence, SeveralTransactionsOfANumberProveNothing) {
  std::vector<Promotion> promotions = {
      PromotionOf(2, kNew, "0-1-9", "0-1-6..9", {Wrote("0-1-8"), Wrote("0-1-9")}), Bare(1, kOld)};
  Judgement judgement = Judge(Question("0-1-5"), promotions, nullptr, kNow);
  EXPECT_EQ(judgement.outcome.fate, Fate::kUnknown);
  EXPECT_NE(judgement.outcome.why.find("2 transactions"), std::string::npos);
}

TEST(Evidence, OutlivesASecondFailover) {
  std::vector<Promotion> promotions = {PromotionOf(3, kThird, "0-1-9,0-2-12", "0-2-11..12", {}),
                                       PromotionOf(2, kNew, "0-1-9", "0-1-6..9", {Wrote("0-1-8")}),
                                       Bare(1, kOld)};
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kCommitted);
  promotions[1] = PromotionOf(2, kNew, "0-1-9", "0-1-6..9", {});
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kNotCommitted);
  // Both promotions saw it: it is one.
  promotions[0] = PromotionOf(3, kThird, "0-1-9", "0-1-6..9", {Wrote("0-1-8")});
  promotions[1] = PromotionOf(2, kNew, "0-1-9", "0-1-6..9", {Wrote("0-1-8")});
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kCommitted);
}

TEST(Evidence, AReignThatCameAfterIsNotCoveredByAnEarlierPromotion) {
  // The old primary leads again: what it was asked since stands in no promotion's log.
  std::vector<Promotion> promotions = {Bare(3, kOld), PromotionOf(2, kNew, "0-1-9", "0-1-6..9"),
                                       Bare(1, kOld)};
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions), Fate::kUnknown);
  port::Written written;
  written.told = Set("0-1-6..9,0-1-11..12").ToEncoded();
  LogProof own = *ProofOf(written, Set("0-1-12"), {});
  EXPECT_EQ(FateOf(Question("0-1-5"), promotions, &own), Fate::kUnknown) << "0-1-10 is not told";
  EXPECT_EQ(FateOf(Question("0-1-10"), promotions, &own), Fate::kNotCommitted);
  written.attempts = {Wrote("0-1-12")};
  own = *ProofOf(written, Set("0-1-12"), {});
  Judgement judgement = Judge(Question("0-1-10"), promotions, &own, kNow);
  EXPECT_EQ(judgement.outcome.fate, Fate::kCommitted);
  EXPECT_TRUE(judgement.by_own_log);
}

}  // namespace
}  // namespace paceline::vttablet
