#include "vttablet/manager/disk_level.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMega = 1 << 20;

TEST(DiskThreshold, SharesAndBytes) {
  EXPECT_EQ(ParseDiskThreshold("15%")->Of(1000), 150u);
  EXPECT_EQ(ParseDiskThreshold("0.5%")->Of(1000), 5u);
  EXPECT_EQ(ParseDiskThreshold("512Mi")->Of(1000), 512 * kMega);
  EXPECT_EQ(ParseDiskThreshold("1.5Gi")->Of(1000), 1536 * kMega);
  EXPECT_EQ(ParseDiskThreshold("4096")->Of(1000), 4096u);
  EXPECT_EQ(ParseDiskThreshold("0")->Of(1000), 0u);
  EXPECT_EQ(ParseDiskThreshold("0%")->Of(1000), 0u);
  for (const char* wrong : {"", "x", "%", "91%", "-1", "5 M B", "12Q", "1e400G"})
    EXPECT_FALSE(ParseDiskThreshold(wrong)) << wrong;
}

class DiskLevels : public testing::Test {
 protected:
  DiskLevel With(uint64_t free) { return now_ = NextLevel(now_, {1000, free}, limits_); }
  DiskLimits limits_{{0.2, 0}, {0, 40}};
  DiskLevel now_ = DiskLevel::kRoom;
};

TEST_F(DiskLevels, BeginWhereLittleIsFree) {
  EXPECT_EQ(With(500), DiskLevel::kRoom);
  EXPECT_EQ(With(200), DiskLevel::kRoom);
  EXPECT_EQ(With(199), DiskLevel::kPurge);
  EXPECT_EQ(With(79), DiskLevel::kLow);
  EXPECT_EQ(With(39), DiskLevel::kRefuse);
  EXPECT_EQ(With(19), DiskLevel::kCritical);
}

TEST_F(DiskLevels, EndWithAQuarterMore) {
  With(0);
  EXPECT_EQ(With(24), DiskLevel::kCritical);
  EXPECT_EQ(With(25), DiskLevel::kRefuse);
  EXPECT_EQ(With(49), DiskLevel::kRefuse);
  EXPECT_EQ(With(50), DiskLevel::kLow);
  EXPECT_EQ(With(99), DiskLevel::kLow);
  EXPECT_EQ(With(100), DiskLevel::kPurge);
  EXPECT_EQ(With(249), DiskLevel::kPurge);
  EXPECT_EQ(With(250), DiskLevel::kRoom);
}

TEST_F(DiskLevels, NothingFlapsBetweenTwoLevels) {
  int changes = 0;
  for (int i = 0; i < 1000; ++i) {
    const DiskLevel before = now_;
    changes += With(38 + i % 5) != before;
  }
  EXPECT_EQ(changes, 1);
}

TEST_F(DiskLevels, ZeroIsNever) {
  limits_ = {{0, 0}, {0, 0}};
  EXPECT_EQ(With(0), DiskLevel::kRoom);
  EXPECT_TRUE(HasRoom({kMega * 1000, kMega * 64}, limits_));
  EXPECT_EQ(NextLevel(DiskLevel::kRefuse, {0, 0}, DiskLimits()), DiskLevel::kRoom);  // not known
}

TEST_F(DiskLevels, OneWithRoomIsNotLowSoon) {
  const DiskLimits limits{{0.2, 0}, {0, 100 * kMega}};
  EXPECT_FALSE(HasRoom({kMega * 1000, kMega * 399}, limits));
  EXPECT_TRUE(HasRoom({kMega * 1000, kMega * 400}, limits));
  EXPECT_EQ(NextLevel(DiskLevel::kLow, {kMega * 1000, kMega * 400}, limits), DiskLevel::kRoom);
  EXPECT_FALSE(HasRoom({kMega * 100, kMega * 63}, DiskLimits()));
}

TEST(LogsToPurge, OldestFirstAndNeverTheLast) {
  const std::vector<uint64_t> sizes{100, 200, 300, 50};
  EXPECT_EQ(LogsToPurge(sizes, 0), 0u);
  EXPECT_EQ(LogsToPurge(sizes, 1), 1u);
  EXPECT_EQ(LogsToPurge(sizes, 100), 1u);
  EXPECT_EQ(LogsToPurge(sizes, 101), 2u);
  EXPECT_EQ(LogsToPurge(sizes, 5000), 3u);
  EXPECT_EQ(LogsToPurge({100}, 5000), 0u);
  EXPECT_EQ(LogsToPurge({}, 5000), 0u);
  EXPECT_EQ(BytesToPurge({1000, 100}, {{0.2, 0}, {}}), 150u);
  EXPECT_EQ(BytesToPurge({1000, 250}, {{0.2, 0}, {}}), 0u);
}

TEST(DiskTrend, TellsHowFastItFills) {
  DiskTrend trend;
  Time now{};
  EXPECT_FALSE(trend.Growth());
  for (uint64_t second = 0; second < 60; ++second) trend.Add(now + second * 1s, second * 100);
  EXPECT_FALSE(trend.Growth()) << "too early";
  for (uint64_t second = 60; second < 3600; ++second) trend.Add(now + second * 1s, second * 100);
  ASSERT_TRUE(trend.Growth());
  EXPECT_NEAR(*trend.Growth(), 100, 0.1);
  EXPECT_NEAR(std::chrono::duration<double>(*trend.TimeLeft({100000, 36000})).count(), 360, 1);
}

TEST(DiskTrend, WhatComesAndGoesIsNoGrowth) {
  DiskTrend trend;
  Time now{};
  for (uint64_t minute = 0; minute < 24 * 60; ++minute)
    trend.Add(now + minute * 1min, 500 * kMega + (minute % 2) * 100 * kMega);
  EXPECT_NEAR(*trend.Growth(), 0, 1000);
  DiskTrend emptying;
  for (uint64_t minute = 0; minute < 10; ++minute)
    emptying.Add(now + minute * 1min, 500 * kMega - minute * kMega);
  EXPECT_LT(*emptying.Growth(), 0);
  EXPECT_FALSE(emptying.TimeLeft({1000 * kMega, 500 * kMega}));
}

TEST(DiskTrend, RemembersADayAndNotMuchMore) {
  DiskTrend trend;
  Time now{};
  for (uint64_t minute = 0; minute < 4 * 24 * 60; ++minute) {
    const uint64_t day = minute / (24 * 60);
    trend.Add(now + minute * 1min, day < 3 ? minute * 60 * 1000 : 3 * 24 * 60 * 60 * 1000);
  }
  EXPECT_NEAR(*trend.Growth(), 0, 200);
}

}  // namespace
}  // namespace paceline::vttablet
