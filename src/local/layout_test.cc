#include "local/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paceline::local {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClusterOptions Kept() {
  ClusterOptions kept;
  kept.base_port = 25000;
  kept.tablets = 5;
  kept.vtorcs = 0;
  kept.flavor = "mariadb";
  kept.keyspace = "commerce";
  return kept;
}

TEST(MergeOptions, WhatIsNotGivenIsAsTheClusterWasMade) {
  std::vector<std::string> notes;
  Result<ClusterOptions> merged = MergeOptions(Kept(), ClusterOptions(), {}, &notes);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->base_port, 25000);
  EXPECT_EQ(merged->tablets, 5);
  EXPECT_EQ(merged->vtorcs, 0);
  EXPECT_EQ(merged->keyspace, "commerce");
  EXPECT_THAT(notes, IsEmpty());
}

TEST(MergeOptions, WhatMayChangeIsTold) {
  std::vector<std::string> notes;
  ClusterOptions wanted;
  wanted.vtorcs = 2;
  wanted.tablets = 6;
  Result<ClusterOptions> merged = MergeOptions(Kept(), wanted, {"vtorcs", "tablets"}, &notes);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->vtorcs, 2);
  EXPECT_THAT(notes, ElementsAre(HasSubstr("--tablets=6"), HasSubstr("--vtorcs=2")));
}

TEST(MergeOptions, WhatCannotChangeIsRefusedByName) {
  std::vector<std::string> notes;
  ClusterOptions wanted;
  wanted.data_dir = "/somewhere";
  wanted.tablets = 2;
  wanted.flavor = "mysql";
  for (const char* flag : {"base-port", "tablets", "flavor", "keyspace"}) {
    Result<ClusterOptions> merged = MergeOptions(Kept(), wanted, {flag}, &notes);
    ASSERT_FALSE(merged) << flag;
    EXPECT_THAT(merged.error().message(), HasSubstr(std::string("--") + flag));
    EXPECT_THAT(merged.error().message(), HasSubstr("/somewhere"));
  }
}

}  // namespace
}  // namespace paceline::local
