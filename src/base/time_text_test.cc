#include "base/time_text.h"

#include <gtest/gtest.h>

namespace paceline {
namespace {

TEST(Rfc3339, ToTheSecondAndTheMillisecond) {
  const WallTime when{1'795'816'343'042'900'000};
  EXPECT_EQ(Rfc3339(when), "2026-11-27T21:52:23Z");
  EXPECT_EQ(Rfc3339Millis(when), "2026-11-27T21:52:23.042Z");
  EXPECT_EQ(Rfc3339({0}), "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace paceline
