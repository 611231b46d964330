#include "topo/maintenance.h"

#include <gtest/gtest.h>

#include "io/blocking.h"
#include "topo/cache.h"
#include "topo/open.h"

namespace paceline::topo {
namespace {

TEST(MaintenanceTest, CoversWhatIsNamed) {
  Maintenance maintenance = {{"ks", "new disks\nsoon"}, {"other/-80", ""}};
  maintenance = ParseMaintenance(MaintenanceText(maintenance));
  EXPECT_EQ(maintenance["ks"], "new disks soon");
  EXPECT_EQ(InMaintenance(maintenance, {"ks", "0"}), "new disks soon");
  EXPECT_EQ(InMaintenance(maintenance, {"other", "-80"}), "");
  EXPECT_EQ(InMaintenance(maintenance, {"other", "80-"}), std::nullopt);
  maintenance["*"] = "all";
  EXPECT_EQ(InMaintenance(maintenance, {"other", "80-"}), "all");
  EXPECT_TRUE(ParseMaintenance("").empty());
  EXPECT_TRUE(ParseMaintenance("\n\n").empty());
}

io::Task<bool> SetAndEnd() {
  auto opened = OpenServer({.implementation = "memory", .global_address = "maintenance"});
  std::unique_ptr<Cache> copy = Cache::Open("/nowhere/maintenance");
  Server& topo = **opened;
  record::Keyspace keyspace;
  Status made = co_await topo.CreateKeyspace("ks", keyspace, Deadline::In(1s));
  EXPECT_TRUE(made);
  auto none = co_await ReadMaintenance(topo, copy.get(), Deadline::In(1s));
  EXPECT_TRUE(none && none->empty());
  auto unknown = co_await SetMaintenance(topo, "sk", true, "", Deadline::In(1s));
  EXPECT_TRUE(!unknown && unknown.error().code() == Code::kNotFound);
  auto shard = co_await SetMaintenance(topo, "ks/0", true, "", Deadline::In(1s));
  EXPECT_TRUE(!shard && shard.error().code() == Code::kNotFound);
  auto on = co_await SetMaintenance(topo, "ks", true, "new disks", Deadline::In(1s));
  EXPECT_TRUE(on && on->at("ks") == "new disks");
  auto all = co_await SetMaintenance(topo, "*", true, "", Deadline::In(1s));
  EXPECT_TRUE(all && all->size() == 2);
  auto read = co_await ReadMaintenance(topo, copy.get(), Deadline::In(1s));
  EXPECT_TRUE(read && read->size() == 2);
  auto less = co_await SetMaintenance(topo, "*", false, "", Deadline::In(1s));
  EXPECT_TRUE(less && less->size() == 1);
  auto again = co_await ReadMaintenance(topo, copy.get(), Deadline::In(1s));
  EXPECT_TRUE(again.has_value());
  co_await topo.Stop();
  // The store is away, and the copy still says so.
  auto away = co_await ReadMaintenance(topo, copy.get(), Deadline::In(1s));
  EXPECT_TRUE(away && away->contains("ks"));
  co_return true;
}

TEST(MaintenanceTest, IsKeptInTheTopology) {
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, SetAndEnd()));
}

}  // namespace
}  // namespace paceline::topo
