#include "base/quantity.h"

#include <gtest/gtest.h>

namespace paceline {
namespace {

TEST(Quantity, AsKubernetesReadsThem) {
  EXPECT_EQ(*ParseBytes("40Gi"), 40ull << 30);
  EXPECT_EQ(*ParseBytes("20G"), 20'000'000'000u);
  EXPECT_EQ(*ParseBytes("1.5Mi"), 1536u << 10);
  EXPECT_EQ(*ParseBytes(" 4096 "), 4096u);
  EXPECT_EQ(*ParseBytes("0"), 0u);
  EXPECT_EQ(*ParseBytes("2k"), 2000u);
  for (const char* wrong : {"", "G", "Gi", "40i", "-1G", "1e3", "40GiB", "4 0G", "10000P", "nan"})
    EXPECT_FALSE(ParseBytes(wrong)) << wrong;
}

TEST(Quantity, ForPeopleAndForPrograms) {
  EXPECT_EQ(BytesText(512), "512 bytes");
  EXPECT_EQ(BytesText(1.5 * (1 << 30)), "1.5 GB");
  EXPECT_EQ(BytesText(-3.0 * (1 << 20)), "-3.0 MB");
  EXPECT_EQ(FormatBytes(40ull << 30), "40Gi");
  EXPECT_EQ(FormatBytes(1536u << 20), "1536Mi");
  EXPECT_EQ(FormatBytes(1000), "1000");
  EXPECT_EQ(FormatBytes(0), "0");
  for (uint64_t bytes : {1ull, 1023ull, 1024ull, 20'000'000'000ull, 1ull << 50})
    EXPECT_EQ(*ParseBytes(FormatBytes(bytes)), bytes);
}

}  // namespace
}  // namespace paceline
