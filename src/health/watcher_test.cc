#include "health/watcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "io/blocking.h"
#include "topo/open.h"

namespace paceline::health {
namespace {

#define NEED(condition)                     \
  if (!(condition)) {                       \
    ADD_FAILURE() << "needed: " #condition; \
    co_return false;                        \
  }

Deadline Soon() { return Deadline::In(10s); }

// A tablet's health as a test says it.
class FakeTablet final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest&, port::ResultSink&,
                                           Deadline) override {
    co_return Fail(Code::kUnimplemented, "a fake");
  }
  io::Task<Status> Release(record::Target, uint64_t, Deadline) override { co_return Status(); }
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline) override {
    for (;;) {
      if (closed || !alive) co_return Fail(Code::kUnavailable, "connection refused");
      if (!mute) sink.OnHealth(health);
      bool told = co_await news.Wait(Deadline::In(50ms));
      (void)told;
    }
  }
  io::Task<void> Close() override {
    closed = true;
    news.Pulse();
    co_return;
  }
  port::TabletHealth health;
  bool alive = true, mute = false, closed = false;
  io::Event news;
};

struct World final : Dialer {
  port::QueryServicePtr Dial(const record::Tablet& tablet) override {
    auto& fake = tablets[tablet.alias.uid];
    if (fake == nullptr) return nullptr;
    fake->closed = false;
    ++dials;
    return fake;
  }
  void Add(uint32_t uid, record::TabletType type, int64_t start) {
    auto fake = std::make_shared<FakeTablet>();
    fake->health.alias = {"zone1", uid};
    fake->health.target = {"ks", "0", type, "zone1"};
    fake->health.serving = true;
    fake->health.primary_term_start = {start};
    tablets[uid] = fake;
  }
  std::map<uint32_t, std::shared_ptr<FakeTablet>> tablets;
  int dials = 0;
};

record::Tablet Tablet(uint32_t uid) {
  record::Tablet tablet;
  tablet.alias = {"zone1", uid};
  tablet.hostname = "localhost";
  tablet.keyspace = "ks";
  tablet.shard = "0";
  tablet.type = record::TabletType::kReplica;
  return tablet;
}

io::Task<bool> Failover(io::Loop& loop, std::string folder) {
  topo::OpenOptions open;
  open.implementation = "memory";
  open.global_address = "health";
  open.global_root = "/global";
  auto opened = topo::OpenServer(open);
  NEED(opened);
  topo::Server& topo = **opened;
  record::CellInfo cell{"health", "/zone1"};
  Status made = co_await topo.CreateCellInfo("zone1", cell, Soon());
  NEED(made);
  World world;
  world.Add(1, record::TabletType::kPrimary, 100);
  world.Add(2, record::TabletType::kReplica, 0);
  Status first = co_await topo.CreateTablet(Tablet(1), Soon());
  Status second = co_await topo.CreateTablet(Tablet(2), Soon());
  NEED(first && second);
  SeededRng rng(1);
  WatcherOptions options;
  options.cells = {"zone1"};
  options.local_cell = "zone1";
  options.view.suspect_after = 300ms;
  auto cache = topo::Cache::Open(folder + "/cache");
  Watcher watcher(loop, options, topo, world, cache.get(), rng);
  int told = 0;
  watcher.AddListener([&](const TabletStatus&) { ++told; });
  watcher.Start();
  Status discovered = co_await watcher.WaitForDiscovery(Soon());
  NEED(discovered);
  PrimaryTerm none;
  Result<TabletStatus> primary = co_await watcher.WaitForPrimary("ks", "0", none, Soon());
  NEED(primary);
  EXPECT_EQ(primary->tablet.alias.uid, 1u);
  record::Target replicas{"ks", "0", record::TabletType::kReplica, ""};
  Status ready = co_await watcher.WaitForTablets(replicas, Soon());
  NEED(ready);
  EXPECT_EQ(watcher.PickReplica(replicas)->tablet.alias.uid, 2u);

  // The primary goes silent, then away: nobody is chosen until a newer one exists.
  world.tablets[1]->mute = true;
  while (watcher.PickPrimary("ks", "0")) {
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(10ms));
    NEED(slept);
  }
  world.tablets[1]->alive = false;
  Result<TabletStatus> early =
      co_await watcher.WaitForPrimary("ks", "0", primary->primary_term, Deadline::In(200ms));
  NEED(!early);
  EXPECT_EQ(early.error().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(early.error().message(), testing::HasSubstr("zone1-0000000001"));
  world.tablets[2]->health.target.type = record::TabletType::kPrimary;
  world.tablets[2]->health.primary_term_start = {200};
  world.tablets[2]->news.Pulse();
  Result<TabletStatus> next =
      co_await watcher.WaitForPrimary("ks", "0", primary->primary_term, Soon());
  NEED(next);
  EXPECT_EQ(next->tablet.alias.uid, 2u);
  EXPECT_GT(told, 3);
  // The old one comes back as it was, and is found again by dialling; it is not chosen.
  int dials = world.dials;
  world.tablets[1]->alive = true;
  world.tablets[1]->mute = false;
  while (world.dials == dials || !watcher.view().Find({"zone1", 1})->connected) {
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(10ms));
    NEED(slept);
  }
  EXPECT_EQ(watcher.PickPrimary("ks", "0")->tablet.alias.uid, 2u);
  // It claims an older term, so it is hung up on, by which all that it still runs ends.
  dials = world.dials;
  while (world.dials == dials) {
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(10ms));
    NEED(slept);
  }
  // Deleted tablets go.
  record::TabletAlias old_primary{"zone1", 1};
  Status deleted = co_await topo.DeleteTablet(old_primary, Soon());
  NEED(deleted);
  while (watcher.view().size() != 1) {
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(10ms));
    NEED(slept);
  }
  Status saved = co_await cache->Save();
  NEED(saved);
  co_await watcher.Stop();
  co_await topo.Stop();
  co_return true;
}

// With the topology away for good, tablets come from the local copy.
io::Task<bool> WithoutTopology(io::Loop& loop, std::string folder) {
  topo::OpenOptions open;
  open.implementation = "etcd2";
  open.global_address = "127.0.0.1:1";
  open.global_root = "/global";
  auto opened = topo::OpenServer(open);
  NEED(opened);
  World world;
  world.Add(2, record::TabletType::kPrimary, 200);
  SeededRng rng(1);
  WatcherOptions options;
  options.cells = {"zone1"};
  auto cache = topo::Cache::Open(folder + "/cache");
  Watcher watcher(loop, options, **opened, world, cache.get(), rng);
  watcher.Start();
  PrimaryTerm none;
  Result<TabletStatus> primary = co_await watcher.WaitForPrimary("ks", "0", none, Soon());
  NEED(primary);
  EXPECT_EQ(primary->tablet.alias.uid, 2u);
  co_await watcher.Stop();
  co_await (*opened)->Stop();
  co_return true;
}

TEST(Watcher, FollowsAFailoverAndRemembersTablets) {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("paceline-health-" + NewUuid())).string();
  {
    io::Loop loop;
    EXPECT_TRUE(io::RunUntilDone(loop, Failover(loop, folder)));
  }
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, WithoutTopology(loop, folder)));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace paceline::health
