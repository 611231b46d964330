#include "port/progress.h"

#include <gtest/gtest.h>

namespace paceline::port {
namespace {

using std::chrono::seconds;

TEST(Progress, TellsRateAndWhatIsLeft) {
  ProgressMeter meter;
  Time now{};
  TransferProgress first = meter.Observe("copying", 0, 500'000'000, now);
  EXPECT_EQ(ToText(first), "copying");
  EXPECT_EQ(first.left_s, -1);
  TransferProgress at;
  for (int i = 1; i <= 4; ++i)
    at = meter.Observe("copying", i * 40'000'000ul, 500'000'000, now = now + seconds(1));
  EXPECT_EQ(at.rate, 40'000'000u);
  EXPECT_EQ(at.left_s, 9);
  EXPECT_EQ(ToText(at), "copying 160.0 MB of 500.0 MB (32%), 40.0 MB/s, 9 s left");
  at = meter.Observe("copying", 500'000'000, 500'000'000, now = now + seconds(1));
  EXPECT_EQ(at.left_s, 0);
}

TEST(Progress, TheRateIsOfTheLastSeconds) {
  ProgressMeter meter;
  Time now{};
  TransferProgress at;
  for (int i = 0; i <= 60; ++i)
    at = meter.Observe("copying", i * 50'000'000ul, 0, now = now + seconds(1));
  EXPECT_EQ(at.rate, 50'000'000u);
  uint64_t before = at.bytes;
  for (int i = 1; i <= 12; ++i)
    at = meter.Observe("copying", before + i * 1'000'000ul, 0, now = now + seconds(1));
  EXPECT_EQ(at.rate, 1'000'000u);
  EXPECT_EQ(at.left_s, -1) << "of how much is not known";
  for (int i = 1; i <= 12; ++i)
    at = meter.Observe("copying", before + 12'000'000, 0, now = now + seconds(1));
  EXPECT_EQ(at.rate, 0u) << "it stands still";
}

TEST(Progress, APhaseBeginsAnew) {
  ProgressMeter meter;
  Time now{};
  meter.Observe("cloning", 0, 100, now);
  meter.Observe("cloning", 90'000'000, 100'000'000, now = now + seconds(1));
  TransferProgress at = meter.Observe("copying", 1'000'000, 80'000'000, now = now + seconds(1));
  EXPECT_EQ(at.rate, 0u);
  EXPECT_EQ(at.phase, "copying");
  EXPECT_EQ(ToText(meter.Observe("preparing", 0, 0, now)), "preparing");
}

TEST(Progress, AnEstimateThatWasExceededIsNotTold) {
  ProgressMeter meter;
  Time now{};
  meter.Observe("copying", 0, 10'000'000, now);
  TransferProgress at = meter.Observe("copying", 12'000'000, 10'000'000, now = now + seconds(2));
  EXPECT_EQ(at.total, 0u);
  EXPECT_EQ(at.left_s, -1);
  EXPECT_EQ(ToText(at), "copying 12.0 MB, 6.0 MB/s");
}

TEST(Progress, LongTimesAreToldRoundly) {
  EXPECT_NE(ToText({"copying", 1, 2, 1, 119}).find("119 s left"), std::string::npos);
  EXPECT_NE(ToText({"copying", 1, 2, 1, 601}).find("11 min left"), std::string::npos);
  EXPECT_NE(ToText({"copying", 1, 2, 1, 7500}).find("2 h 5 min left"), std::string::npos);
}

}  // namespace
}  // namespace paceline::port
