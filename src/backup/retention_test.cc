#include "backup/retention.h"

#include <gtest/gtest.h>

namespace paceline::backup {
namespace {

constexpr int64_t kHour = 3'600'000'000'000;
constexpr WallTime kNow{1000 * kHour};

// One made so many hours ago.
BackupEntry Made(int64_t hours, bool complete = true) {
  BackupEntry entry;
  entry.name = fmt::format("{} h", hours);
  entry.parsed.time.unix_ns = kNow.unix_ns - hours * kHour;
  entry.complete = complete;
  return entry;
}
using Names = std::vector<std::string>;

TEST(Retention, KeepsByCountAndAge) {
  std::vector<BackupEntry> all = {Made(72), Made(60, false), Made(48), Made(24), Made(1)};
  BackupRules rules;
  EXPECT_EQ(Expired(all, rules, kNow), Names{});
  rules.keep_count = 2;
  EXPECT_EQ(Expired(all, rules, kNow), (Names{"72 h", "48 h"}));
  rules.keep_age = std::chrono::hours(50);
  EXPECT_EQ(Expired(all, rules, kNow), (Names{"72 h"}));
  rules.keep_count = 0;
  EXPECT_EQ(Expired(all, rules, kNow), (Names{"72 h"}));
  // However old: it is the last.
  EXPECT_EQ(Expired({Made(500)}, rules, kNow), Names{});
}

TEST(Retention, ABackupIsDueByTheNewestCompleteOne) {
  BackupRules rules;
  EXPECT_FALSE(IsDue({}, rules, kNow));
  rules.every = std::chrono::hours(24);
  EXPECT_TRUE(IsDue({}, rules, kNow));
  EXPECT_FALSE(IsDue({Made(23)}, rules, kNow));
  EXPECT_TRUE(IsDue({Made(24), Made(1, false)}, rules, kNow));
}

BackupEntry Verified(int64_t hours, enum Verified verified) {
  BackupEntry entry = Made(hours);
  entry.verified = verified;
  return entry;
}
BackupEntry Bad(int64_t hours) { return Verified(hours, Verified::kBad); }
BackupEntry Good(int64_t hours) { return Verified(hours, Verified::kGood); }

TEST(Retention, WhatIsBadDoesNotCount) {
  BackupRules rules;
  rules.keep_count = 1;
  EXPECT_EQ(Expired({Made(72), Made(48), Bad(24), Bad(1)}, rules, kNow), (Names{"72 h"}));
  EXPECT_EQ(Expired({Bad(72), Made(48)}, rules, kNow), (Names{"72 h"}));
  EXPECT_EQ(Expired({Bad(72), Bad(48)}, rules, kNow), Names{});
  rules.keep_age = std::chrono::hours(30);
  EXPECT_EQ(Expired({Made(72), Bad(24), Made(1)}, rules, kNow), (Names{"72 h"}));
}

TEST(Retention, WhatIsBadIsReplacedSoonButNotAtOnce) {
  BackupRules rules;
  rules.every = std::chrono::hours(24);
  EXPECT_FALSE(IsDue({Made(25), Bad(5)}, rules, kNow));
  EXPECT_TRUE(IsDue({Made(25), Bad(6)}, rules, kNow));
  EXPECT_TRUE(IsDue({Bad(6)}, rules, kNow));
  EXPECT_FALSE(IsDue({Made(12), Bad(8)}, rules, kNow));
}

TEST(Retention, OneOfEachIntervalIsVerified) {
  BackupRules rules;
  EXPECT_EQ(ToVerify({Made(1)}, rules), "");
  rules.verify_every = std::chrono::hours(48);
  EXPECT_EQ(ToVerify({}, rules), "");
  EXPECT_EQ(ToVerify({Made(2, false)}, rules), "");
  EXPECT_EQ(ToVerify({Made(30), Made(1), Made(0, false)}, rules), "1 h");
  EXPECT_EQ(ToVerify({Good(30), Made(1)}, rules), "");
  EXPECT_EQ(ToVerify({Bad(30), Made(1)}, rules), "");
  EXPECT_EQ(ToVerify({Good(50), Made(1)}, rules), "1 h");
  EXPECT_EQ(ToVerify({Good(500)}, rules), "");
}

}  // namespace
}  // namespace paceline::backup
