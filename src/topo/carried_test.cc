// A tablet's copy of the topology, and the way back into a store that was founded anew.
#include "topo/carried.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/rng.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "topo/memory/memory_conn.h"
#include "topo/paths.h"

namespace paceline::topo {
namespace {

#define NEED(condition)                     \
  if (!(condition)) {                       \
    ADD_FAILURE() << "needed: " #condition; \
    co_return false;                        \
  }

Deadline Soon() { return Deadline::In(10s); }

class OneStore final : public ConnFactory {
 public:
  OneStore(io::Loop& loop, std::shared_ptr<memory::Store> store)
      : loop_(loop), store_(std::move(store)) {}
  Result<ConnPtr> Open(std::string_view cell, std::string_view, std::string_view) override {
    return ConnPtr(memory::Open(loop_, store_, std::string(cell)));
  }

 private:
  io::Loop& loop_;
  std::shared_ptr<memory::Store> store_;
};

io::Task<bool> Has(Server& topo, Path path) {
  Result<File> file = co_await topo.global().Get(path, Soon());
  co_return file.has_value();
}

io::Task<bool> PutBack(io::Loop& loop, std::string file) {
  auto store = std::make_shared<memory::Store>();
  auto opened = Server::Open(ServerOptions(), std::make_unique<OneStore>(loop, store));
  NEED(opened);
  Server& topo = **opened;
  record::KeyspaceShard shard{"ks", "0"};
  record::Keyspace semi_sync;
  semi_sync.durability_policy = "semi_sync";
  record::CellInfo cell;
  cell.server_address = "here";
  cell.root = "/zone1";
  Status made = co_await topo.CreateCellInfo("zone1", cell, Soon());
  NEED(made);
  made = co_await topo.CreateKeyspace("ks", semi_sync, Soon());
  NEED(made);
  made = co_await topo.CreateShard("ks", "0", Soon());
  NEED(made);
  record::RoutingRules rules;
  rules.rules.push_back({"a", {"ks.b"}});
  made = co_await topo.SaveRoutingRules(rules, Soon());
  NEED(made);
  {
    Carried carried(topo, file, shard, "zone1");
    io::Gate gate;
    io::Detach(Carried::Follow(carried, gate));
    while (carried.Files().size() < 4) co_await io::SleepUntil(Deadline::In(10ms));
    EXPECT_FALSE(carried.StoreChanged());
    Status nothing = co_await carried.RestoreOwn(Soon());
    EXPECT_TRUE(nothing);
    EXPECT_FALSE(carried.rest_pending());
    // What a person deletes is gone.
    record::RoutingRules none;
    made = co_await topo.SaveRoutingRules(none, Soon());
    NEED(made);
    bool left = co_await gate.Close(Soon());
    NEED(left);
  }
  store->FoundAnew();
  {
    Carried carried(topo, file, shard, "zone1");  // the tablet too was started anew
    EXPECT_TRUE(carried.StoreChanged());
    Status own = co_await carried.RestoreOwn(Soon());
    NEED(own);
    EXPECT_FALSE(carried.StoreChanged());
    EXPECT_TRUE(carried.rest_pending());
    auto keyspace = co_await topo.GetKeyspace("ks", Soon());
    NEED(keyspace);
    EXPECT_EQ(keyspace->value.durability_policy, "semi_sync");
    bool there = co_await Has(topo, CellInfoPath("zone1"));
    EXPECT_TRUE(there);
    there = co_await Has(topo, RoutingRulesPath());
    EXPECT_FALSE(there);
  }
  {
    Carried carried(topo, file, shard, "zone1");
    EXPECT_TRUE(carried.rest_pending());
    Status rest = co_await carried.RestoreRest(Soon());
    NEED(rest);
    EXPECT_FALSE(carried.rest_pending());
    for (const CarriedFile& copy : carried.Files()) {
      Path path = copy.path;
      bool there = co_await Has(topo, path);
      EXPECT_TRUE(there) << path;
    }
  }
  co_await topo.Stop();
  co_return true;
}

TEST(Carried, IsPutBackIntoAStoreThatWasFoundedAnew) {
  io::Loop loop;
  auto folder = std::filesystem::temp_directory_path() / ("paceline-carried-" + NewUuid());
  EXPECT_TRUE(io::RunUntilDone(loop, PutBack(loop, (folder / "copy").string())));
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

}  // namespace
}  // namespace paceline::topo
