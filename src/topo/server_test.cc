#include "topo/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/rng.h"
#include "io/blocking.h"
#include "topo/cache.h"
#include "topo/codec.h"
#include "topo/lock_text.h"
#include "topo/open.h"
#include "topo/paths.h"
#include "topodata.pb.h"
#include "vschema.pb.h"

namespace paceline::topo {
namespace {

#define NEED(condition)                     \
  if (!(condition)) {                       \
    ADD_FAILURE() << "needed: " #condition; \
    co_return false;                        \
  }

Deadline Soon() { return Deadline::In(10s); }

record::Tablet MakeTablet(uint32_t uid) {
  record::Tablet tablet;
  tablet.alias = {"zone1", uid};
  tablet.hostname = "localhost";
  tablet.port_map = {{"vt", 15002}, {"grpc", 16002}};
  tablet.keyspace = "commerce";
  tablet.shard = "0";
  tablet.type = record::TabletType::kReplica;
  tablet.tags = {{"a", "b"}};
  tablet.primary_term_start = {1'700'000'000'123'456'789};
  tablet.mysql_port = 3306;
  return tablet;
}

TEST(Codec, RecordsComeBack) {
  record::Tablet tablet = MakeTablet(101);
  tablet.key_range = record::KeyRange{"", "\x80"};
  EXPECT_EQ(*Decode<record::Tablet>(Encode(tablet)), tablet);
  record::Shard shard;
  shard.primary_alias = tablet.alias;
  shard.primary_term_start = {1'700'000'000'000'000'001};
  shard.source_shards = {{1, "a", "-80", record::KeyRange{"", "\x80"}, {"t"}}};
  shard.tablet_controls = {{record::TabletType::kReplica, {"zone1"}, {"t"}, true}};
  shard.is_primary_serving = false;
  EXPECT_EQ(*Decode<record::Shard>(Encode(shard)), shard);
  record::Keyspace keyspace;
  keyspace.durability_policy = "semi_sync";
  EXPECT_EQ(*Decode<record::Keyspace>(Encode(keyspace)), keyspace);
  record::SrvKeyspace srv{
      {{record::TabletType::kPrimary, {{"-80", record::KeyRange{"", "\x80"}}}}}};
  EXPECT_EQ(*Decode<record::SrvKeyspace>(Encode(srv)), srv);
  EXPECT_EQ(Decode<record::Tablet>("\xff\xff").error().code(), Code::kDataLoss);
}

TEST(Codec, WhatWeDoNotReadSurvives) {
  topodata::Keyspace stored;
  stored.set_durability_policy("none");
  stored.mutable_throttler_config()->set_threshold(1.5);
  std::string unknown = "\xa2\x06\x03new";  // field 100
  std::string bytes = stored.SerializeAsString() + unknown;
  auto keyspace = Decode<record::Keyspace>(bytes);
  ASSERT_TRUE(keyspace);
  keyspace->durability_policy = "semi_sync";
  topodata::Keyspace after;
  ASSERT_TRUE(after.ParseFromString(Encode(*keyspace, bytes)));
  EXPECT_EQ(after.durability_policy(), "semi_sync");
  EXPECT_EQ(after.throttler_config().threshold(), 1.5);
  EXPECT_THAT(Encode(*keyspace, bytes), testing::HasSubstr(unknown));
}

TEST(Codec, VSchemaKeepsVindexes) {
  vschema::Keyspace stored;
  stored.set_sharded(true);
  (*stored.mutable_vindexes())["hash"].set_type("xxhash");
  (*stored.mutable_tables())["t"].add_column_vindexes()->set_name("hash");
  auto value = Decode<record::KeyspaceVSchema>(stored.SerializeAsString());
  ASSERT_TRUE(value);
  value->tables["s"].type = "sequence";
  vschema::Keyspace after;
  ASSERT_TRUE(after.ParseFromString(Encode(*value)));
  EXPECT_EQ(after.vindexes().at("hash").type(), "xxhash");
  EXPECT_EQ(after.tables().at("t").column_vindexes(0).name(), "hash");
  EXPECT_EQ(after.tables().at("s").type(), "sequence");
}

TEST(Paths, KeyRangesOfShardNames) {
  EXPECT_FALSE(KeyRangeOfShardName("0")->has_value());
  EXPECT_EQ(**KeyRangeOfShardName("-80"), (record::KeyRange{"", "\x80"}));
  EXPECT_EQ(**KeyRangeOfShardName("40-80"), (record::KeyRange{"\x40", "\x80"}));
  EXPECT_FALSE(KeyRangeOfShardName("80-40"));
  EXPECT_FALSE(KeyRangeOfShardName("xy-"));
}

TEST(LockText, IsWhatVitessReads) {
  std::string json = MakeLockText("a \"b\"", {1'767'225'600'000'000'000});
  LockText text = ParseLockText(json);
  EXPECT_EQ(text.action, "a \"b\"");
  EXPECT_EQ(text.time, "2026-01-01T00:00:00Z");
  EXPECT_EQ(text.status, "Running");
  EXPECT_FALSE(text.host.empty());
  EXPECT_EQ(DescribeLock("plain"), "\"plain\"");
}

io::Task<bool> Cluster(OpenOptions options) {
  Result<std::unique_ptr<Server>> opened = OpenServer(options);
  NEED(opened);
  Server& topo = **opened;
  record::CellInfo cell{options.global_address, "/vitess/zone1"};
  Status made = co_await topo.CreateCellInfo("zone1", cell, Soon());
  NEED(made);
  Result<Conn*> unknown = co_await topo.Cell("zone9", Soon());
  NEED(!unknown);
  EXPECT_EQ(unknown.error().code(), Code::kNotFound);
  Result<Stored<record::Shard>> shard = co_await topo.GetOrCreateShard("commerce", "0", Soon());
  NEED(shard);
  EXPECT_TRUE(shard->value.is_primary_serving);
  Result<Stored<record::Shard>> same = co_await topo.GetOrCreateShard("commerce", "0", Soon());
  NEED(same);
  EXPECT_EQ(same->version, shard->version);
  Status overlap = co_await topo.CreateShard("commerce", "-80", Soon());
  NEED(overlap);
  Result<Stored<record::Shard>> half = co_await topo.GetShard("commerce", "-80", Soon());
  NEED(half);
  EXPECT_FALSE(half->value.is_primary_serving);

  Result<std::unique_ptr<TabletWatch>> tablets = co_await topo.WatchTablets("zone1", Soon());
  NEED(tablets);
  Result<TabletEvent> event = co_await (*tablets)->Next(Soon());
  NEED(event);
  EXPECT_TRUE(event->synced);
  record::Tablet tablet = MakeTablet(101);
  Status created = co_await topo.CreateTablet(tablet, Soon());
  NEED(created);
  Status twice = co_await topo.CreateTablet(tablet, Soon());
  NEED(!twice);
  EXPECT_EQ(twice.error().code(), Code::kAlreadyExists);
  event = co_await (*tablets)->Next(Soon());
  NEED(event && event->tablet);
  EXPECT_EQ(event->tablet->value, tablet);
  Result<Stored<record::ShardReplication>> graph =
      co_await topo.GetShardReplication("zone1", "commerce", "0", Soon());
  NEED(graph);
  EXPECT_THAT(graph->value.nodes, testing::ElementsAre(tablet.alias));

  Result<std::unique_ptr<ShardWatch>> watch = co_await topo.WatchShard("commerce", "0", Soon());
  NEED(watch);
  Result<std::optional<Stored<record::Shard>>> seen = co_await (*watch)->Next(Soon());
  NEED(seen && *seen);
  Server::ShardFn set_primary = [&](record::Shard& value) -> Result<bool> {
    value.primary_alias = tablet.alias;
    return true;
  };
  Result<record::Shard> updated =
      co_await topo.UpdateShardFields("commerce", "0", set_primary, Soon());
  NEED(updated);
  seen = co_await (*watch)->Next(Soon());
  NEED(seen && *seen);
  EXPECT_EQ((*seen)->value.primary_alias, tablet.alias);

  std::vector<std::string> all;
  Status rebuilt = co_await topo.RebuildKeyspace("commerce", all, false, Soon());
  NEED(rebuilt);
  Result<Stored<record::SrvKeyspace>> srv =
      co_await topo.GetSrvKeyspace("zone1", "commerce", Soon());
  NEED(srv);
  NEED(srv->value.partitions.size() == 3);
  EXPECT_EQ(srv->value.partitions[0].shards[0].name, "0");
  record::KeyspaceVSchema vschema;
  vschema.tables["t"] = {};
  Status saved = co_await topo.SaveVSchema("commerce", vschema, Soon());
  NEED(saved);
  record::RoutingRules rules{{{"a", {"commerce.t"}}}};
  Status ruled = co_await topo.SaveRoutingRules(rules, Soon());
  NEED(ruled);
  Status regraphed = co_await topo.RebuildVSchemaGraph(all, Soon());
  NEED(regraphed);
  Result<Stored<record::SrvVSchema>> srv_vschema = co_await topo.GetSrvVSchema("zone1", Soon());
  NEED(srv_vschema);
  EXPECT_TRUE(srv_vschema->value.keyspaces.at("commerce").tables.contains("t"));
  EXPECT_EQ(srv_vschema->value.routing_rules, rules);

  Result<TopologyNode> node = co_await topo.GetTopologyPath(
      "/zone1/tablets/zone1-0000000101/Tablet", Display::kJson, Soon());
  NEED(node);
  EXPECT_THAT(node->data, testing::HasSubstr("\"hostname\": \"localhost\""));
  node = co_await topo.GetTopologyPath("/", Display::kJson, Soon());
  NEED(node);
  EXPECT_THAT(node->children, testing::ElementsAre("global", "zone1"));

  Result<LockPtr> lock = co_await topo.LockShard("commerce", "0", "Testing", Soon());
  NEED(lock);
  Result<LockPtr> second = co_await topo.TryLockShard("commerce", "0", "Other", Soon());
  NEED(!second);
  EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
  Status released = co_await (*lock)->Release(Soon());
  EXPECT_TRUE(released);

  Result<TabletList> list = co_await topo.ListTabletsOfShard("commerce", "0", Soon());
  NEED(list);
  EXPECT_EQ(list->tablets.size(), 1u);
  Status deleted = co_await topo.DeleteTablet(tablet.alias, Soon());
  NEED(deleted);
  event = co_await (*tablets)->Next(Soon());
  NEED(event);
  EXPECT_FALSE(event->tablet);
  lock->reset();
  watch->reset();
  tablets->reset();
  co_await topo.Stop();
  co_return true;
}

TEST(Server, AClusterInMemory) {
  OpenOptions options;
  options.implementation = "memory";
  options.global_address = "test";
  options.global_root = "/vitess/global";
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, Cluster(options)));
}

TEST(Server, AClusterInAFile) {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("paceline-server-" + NewUuid())).string();
  OpenOptions options;
  options.implementation = "embedded";
  options.global_address = folder + "/topology.db";
  options.global_root = "/vitess/global";
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, Cluster(options)));
  std::filesystem::remove_all(folder);
}

io::Task<bool> SaveCache(std::string file) {
  auto cache = Cache::Open(file);
  EXPECT_FALSE(cache->Get("zone1", "x"));
  std::string bytes = Encode(MakeTablet(7));
  cache->Put("zone1", "tablets/zone1-0000000007/Tablet", bytes);
  cache->Put("zone1", "Empty", "");
  Status saved = co_await cache->Save();
  NEED(saved);
  auto again = Cache::Open(file);
  EXPECT_EQ(again->GetRecord<record::Tablet>("zone1", "tablets/zone1-0000000007/Tablet"),
            MakeTablet(7));
  EXPECT_EQ(again->Get("zone1", "Empty"), "");
  EXPECT_EQ(again->List("zone1", "tablets").size(), 1u);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 2);
  auto damaged = Cache::Open(file);
  EXPECT_FALSE(damaged->Get("zone1", "Empty"));
  co_return true;
}

TEST(Cache, IsWholeOrAbsent) {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("paceline-cache-" + NewUuid())).string();
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, SaveCache(folder + "/topo/cache")));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace paceline::topo
