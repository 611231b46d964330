#include "vtctld/resize.h"

#include <gtest/gtest.h>

namespace paceline::vtctld {
namespace {

constexpr uint64_t kGiga = 1ull << 30;

std::vector<ResizeSight> Shard() {
  return {{{"zone1", 100}, true, "", 20 * kGiga, false},
          {{"zone1", 102}, false, "", 20 * kGiga, false},
          {{"zone1", 101}, false, "", 20 * kGiga, false}};
}

TEST(Resize, ReplicasFirstThenThePrimary) {
  std::vector<ResizeSight> sights = Shard();
  std::string order;
  for (;;) {
    auto next = NextToResize(sights, 40 * kGiga);
    ASSERT_TRUE(next);
    if (!*next) break;
    order += std::to_string((*next)->uid) + " ";
    for (ResizeSight& sight : sights) {
      if (sight.alias != **next) continue;
      sight.grown = true;
      sight.bytes = 39 * kGiga;
    }
    if (order == "101 ") std::swap(sights[0].leads, sights[2].leads);  // a reparent meanwhile
  }
  EXPECT_EQ(order, "101 100 102 ");
}

TEST(Resize, NothingIsBegunWhereItCannotEnd) {
  std::vector<ResizeSight> sights = Shard();
  sights[0].bytes = 41 * kGiga;
  auto shrinks = NextToResize(sights, 40 * kGiga);
  ASSERT_FALSE(shrinks);
  EXPECT_EQ(shrinks.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(shrinks.error().message().find("zone1-0000000100 has 41.0 GB already"),
            std::string::npos)
      << shrinks.error().message();
  sights = Shard();
  sights[1].trouble = "its mysqld does not run";
  EXPECT_EQ(NextToResize(sights, 40 * kGiga).error().code(), Code::kUnavailable);
  sights = Shard();
  sights[1].bytes = 0;
  EXPECT_EQ(NextToResize(sights, 40 * kGiga).error().code(), Code::kUnavailable);
  EXPECT_FALSE(*NextToResize({}, kGiga));
}

TEST(Resize, AFileSystemHasALittleLess) {
  EXPECT_TRUE(SeesSize(40 * kGiga, 40 * kGiga));
  EXPECT_TRUE(SeesSize(38 * kGiga, 40 * kGiga));
  EXPECT_FALSE(SeesSize(30 * kGiga, 40 * kGiga));
}

}  // namespace
}  // namespace paceline::vtctld
