#include "base/time_text.h"

#include <gtest/gtest.h>

namespace paceline {
namespace {

TEST(Rfc3339, IsReadAsPeopleWriteIt) {
  const int64_t at = 1'795'816'343'000'000'000;
  for (const char* text : {"2026-11-27T21:52:23Z", "2026-11-27T21:52:23.999Z",
                           "2026-11-27T23:52:23+02:00", "2026-11-27T16:22:23-05:30"}) {
    Result<WallTime> read = ParseRfc3339(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(read->unix_ns, at) << text;
  }
  for (const char* text :
       {"", "yesterday", "2026-11-27", "2026-11-27T21:52:23", "2026-11-27 21:52:23Z",
        "2026-13-27T21:52:23Z", "2026-02-30T21:52:23Z", "2026-11-27T24:00:00Z",
        "2026-11-27T21:52:23.Z", "2026-11-27T21:52:23+2:00", "9999-11-27T21:52:23Z"}) {
    EXPECT_FALSE(ParseRfc3339(text)) << text;
  }
}

TEST(Rfc3339, ToTheSecondAndTheMillisecond) {
  const WallTime when{1'795'816'343'042'900'000};
  EXPECT_EQ(Rfc3339(when), "2026-11-27T21:52:23Z");
  EXPECT_EQ(Rfc3339Millis(when), "2026-11-27T21:52:23.042Z");
  EXPECT_EQ(Rfc3339({0}), "1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace paceline
