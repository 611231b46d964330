#include "vtctld/rebuild.h"

#include <gtest/gtest.h>

#include "topo/codec.h"
#include "topo/paths.h"

namespace paceline::vtctld {
namespace {

record::Tablet Tablet(uint32_t uid, record::TabletType type, int64_t term_start = 0) {
  record::Tablet tablet;
  tablet.alias = {"zone1", uid};
  tablet.hostname = "h";
  tablet.keyspace = "ks";
  tablet.shard = "0";
  tablet.type = type;
  tablet.primary_term_start = {term_start};
  return tablet;
}

record::Shard ShardOf(const std::string& bytes) {
  return topo::Decode<record::Shard>(bytes).value_or(record::Shard());
}

const RebuildChange* Find(const std::vector<RebuildChange>& changes, std::string_view path) {
  for (const RebuildChange& change : changes)
    if (change.path == path) return &change;
  return nullptr;
}

TEST(RebuildTopology, AnEmptyTopologyGetsAllThatIsCarried) {
  std::string keyspace = topo::Encode(record::Keyspace{.durability_policy = "semi_sync"});
  record::Shard old;
  old.primary_alias = {"zone1", 100};
  old.primary_term_start = {5};
  Carrier replica{Tablet(100, record::TabletType::kReplica),
                  {{"keyspaces/ks/Keyspace", keyspace, "a", {7}, {1}},
                   {"keyspaces/ks/shards/0/Shard", topo::Encode(old), "a", {8}, {1}}}};
  Carrier primary{Tablet(101, record::TabletType::kPrimary, 9), {}};
  auto changes = PlanRebuild({replica, primary}, {});
  ASSERT_NE(Find(changes, "keyspaces/ks/Keyspace"), nullptr);
  EXPECT_EQ(Find(changes, "keyspaces/ks/Keyspace")->to, keyspace);
  const RebuildChange* shard = Find(changes, "keyspaces/ks/shards/0/Shard");
  ASSERT_NE(shard, nullptr);
  EXPECT_FALSE(shard->from);
  EXPECT_EQ(ShardOf(shard->to).primary_alias.uid, 101u);
  EXPECT_EQ(ShardOf(shard->to).primary_term_start.unix_ns, 9);
  EXPECT_NE(Find(changes, topo::TabletPath({"zone1", 100})), nullptr);
  EXPECT_NE(Find(changes, topo::TabletPath({"zone1", 101})), nullptr);
  EXPECT_EQ(changes.size(), 4u);
}

TEST(RebuildTopology, TheNewestCopyCounts) {
  Carrier stale{Tablet(100, record::TabletType::kReplica), {{"RoutingRules", "1", "a", {7}, {90}}}};
  Carrier fresh{Tablet(101, record::TabletType::kReplica), {{"RoutingRules", "2", "a", {9}, {10}}}};
  EXPECT_EQ(Find(PlanRebuild({stale, fresh}, {}), "RoutingRules")->to, "2");
  EXPECT_EQ(Find(PlanRebuild({fresh, stale}, {}), "RoutingRules")->to, "2");
  // Versions of two stores say nothing about each other.
  fresh.files[0].identity = "b";
  EXPECT_EQ(Find(PlanRebuild({stale, fresh}, {}), "RoutingRules")->to, "1");
}

TEST(RebuildTopology, WhatIsRightOrLaterStays) {
  record::Shard shard;
  shard.primary_alias = {"zone1", 101};
  shard.primary_term_start = {9};
  record::Shard later = shard;
  later.primary_alias = {"zone1", 102};
  later.primary_term_start = {11};
  record::Tablet tablet = Tablet(101, record::TabletType::kPrimary, 9);
  Carrier primary{tablet, {{"keyspaces/ks/shards/0/Shard", topo::Encode(shard), "a", {8}, {1}}}};
  record::Tablet tagged = tablet;
  tagged.tags["rack"] = "7";  // a person's, kept in the topology alone
  std::map<std::string, std::string> current = {
      {"global/keyspaces/ks/shards/0/Shard", topo::Encode(later)},
      {"global/SomethingElse", "x"},
      {"zone1/" + topo::TabletPath(tablet.alias), topo::Encode(tagged)}};
  EXPECT_TRUE(PlanRebuild({primary}, current).empty());
  current["global/keyspaces/ks/shards/0/Shard"] = topo::Encode(record::Shard());
  auto changes = PlanRebuild({primary}, current);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(ShardOf(changes[0].to).primary_alias.uid, 101u);
  EXPECT_TRUE(changes[0].from);
}

}  // namespace
}  // namespace paceline::vtctld
