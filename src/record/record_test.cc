#include "record/record.h"

#include <gtest/gtest.h>

namespace paceline::record {
namespace {

TEST(TabletAlias, PrintsTenDigitsAndParsesAnyWidth) {
  EXPECT_EQ((TabletAlias{"zone1", 100}.ToString()), "zone1-0000000100");
  EXPECT_EQ(ParseTabletAlias("zone1-100"), (TabletAlias{"zone1", 100}));
  EXPECT_EQ(ParseTabletAlias("asia-east1-0000000100"), (TabletAlias{"asia-east1", 100}));
}

TEST(TabletAlias, RefusesMalformedTextNamingIt) {
  for (const char* text :
       {"", "zone1", "zone1-", "-5", "zone1-x", "zone1-99999999999", "zo ne-1"}) {
    Result<TabletAlias> parsed = ParseTabletAlias(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument) << text;
  }
}

TEST(TabletType, KnowsOldNames) {
  EXPECT_EQ(ParseTabletType("MASTER"), TabletType::kPrimary);
  EXPECT_EQ(ParseTabletType("Replica"), TabletType::kReplica);
  EXPECT_FALSE(ParseTabletType("leader"));
}

TEST(KeyspaceShard, Parses) {
  EXPECT_EQ(ParseKeyspaceShard("ks/-80")->shard, "-80");
  for (const char* text : {"ks", "/0", "ks/", "ks/0/1", "k s/0"})
    EXPECT_FALSE(ParseKeyspaceShard(text)) << text;
}

TEST(Tablet, NamesItsDatabase) {
  Tablet tablet;
  tablet.keyspace = "commerce";
  EXPECT_EQ(tablet.DbName(), "vt_commerce");
  tablet.db_name_override = "legacy";
  EXPECT_EQ(tablet.DbName(), "legacy");
}

}  // namespace
}  // namespace paceline::record
