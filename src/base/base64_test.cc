#include "base/base64.h"

#include <gtest/gtest.h>

namespace paceline {
namespace {

TEST(Base64Test, ThereAndBack) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {"", ""},        {"f", "Zg=="},          {"fo", "Zm8="},
      {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {std::string_view("\0\xff\x80", 3), "AP+A"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(Base64Encode(bytes), text);
    EXPECT_EQ(Base64Decode(text), bytes);
  }
  EXPECT_EQ(Base64Decode("Zg"), "f");
  EXPECT_EQ(Base64Decode("Z!g="), "");
}

}  // namespace
}  // namespace paceline
