#include "web/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "web/testing.h"
#include "web/views.h"

namespace paceline::web {
namespace {

using testing::Answer;
using testing::Get;
using ::testing::HasSubstr;
using ::testing::Not;

record::Tablet SomeTablet(uint32_t uid, record::TabletType type) {
  record::Tablet tablet;
  tablet.alias = {"zone1", uid};
  tablet.keyspace = "ks";
  tablet.shard = "0";
  tablet.type = type;
  tablet.hostname = "host<1>";
  tablet.port_map["grpc"] = 16000;
  return tablet;
}

class PagesTest : public ::testing::Test {
 protected:
  PagesTest() : server_(loop_, ServerOptions{"127.0.0.1", 0, {}}) {
    Program program{"vtgate", "zone1", "0.1.0", "abc", {{"cell", "<zone1>"}, {"db-password", "x"}}};
    pages_ = std::make_unique<Pages>(server_, metrics_, program, [this] { return ready_; });
  }
  void Start() {
    ASSERT_TRUE(server_.Start());
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void TearDown() override {
    loop_.Stop();
    if (thread_.joinable()) thread_.join();
    server_.Stop();
  }
  Answer Page(std::string_view path) { return Get(server_.port(), path); }

  io::Loop loop_;
  Metrics metrics_;
  Status ready_;
  Server server_;
  std::unique_ptr<Pages> pages_;
  std::thread thread_;
};

TEST_F(PagesTest, CommonPages) {
  metrics_.AddCounter("Hits", "Hits").Add(5);
  Start();
  EXPECT_EQ(Page("/healthz").body, "ok");
  EXPECT_EQ(Page("/readyz").status, 200);
  EXPECT_EQ(Page("/debug/health").body, "ok");
  EXPECT_EQ(Page("/version").body, "Version: 0.1.0 (abc) vtgate\n");
  const Answer metrics = Page("/metrics");
  EXPECT_THAT(metrics.Header("content-type"), HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("\nvtgate_hits 5\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\nprocess_resident_memory_bytes "));
  EXPECT_THAT(metrics.body, HasSubstr("vtgate_build_information{build_version=\"0.1.0\""));
  const Answer vars = Page("/debug/vars");
  EXPECT_THAT(vars.Header("content-type"), HasSubstr("application/json"));
  EXPECT_THAT(vars.body, HasSubstr("\"BuildVersion\": \"0.1.0\""));
  EXPECT_THAT(vars.body, HasSubstr("\"Hits\": 5"));
  const Answer status = Page("/debug/status");
  EXPECT_THAT(status.Header("content-type"), HasSubstr("text/html"));
  EXPECT_THAT(status.body, HasSubstr("&lt;zone1&gt;"));
  EXPECT_THAT(status.body, HasSubstr("(not shown)"));
  EXPECT_THAT(status.body, HasSubstr("href=\"../debug/vars\""));
  EXPECT_THAT(Page("/").body, HasSubstr("href=\"./debug/vars\""));
}

TEST_F(PagesTest, NotReadySaysWhy) {
  ready_ = Fail(Code::kUnavailable, "no primary for ks/0");
  Start();
  EXPECT_EQ(Page("/healthz").status, 200);
  EXPECT_EQ(Page("/readyz").status, 503);
  EXPECT_EQ(Page("/readyz").body, "not ok: no primary for ks/0\n");
  EXPECT_EQ(Page("/debug/health").status, 500);
  EXPECT_THAT(Page("/").body, HasSubstr("role=\"alert\">Not ready: no primary for ks/0"));
}

TEST_F(PagesTest, GateTellsWhatItSees) {
  GateView view;
  view.cell = "zone1";
  view.tablets = {{SomeTablet(100, record::TabletType::kPrimary), true, {}, "", ""},
                  {SomeTablet(101, record::TabletType::kReplica), true, 1500ms, "", ""},
                  {SomeTablet(102, record::TabletType::kReplica), true, {}, "", ""},
                  {SomeTablet(103, record::TabletType::kReplica), false, {}, "", "no <beat>"}};
  pages_->AddGate([view] { return view; }, [] { return std::string("{\"keyspaces\": {}}"); });
  Start();
  EXPECT_THAT(Page("/debug/vars").body,
              HasSubstr("\"HealthcheckConnections\": {\"ks.0.primary\": 1, \"ks.0.replica\": 2}"));
  EXPECT_EQ(Page("/debug/vschema").body, "{\"keyspaces\": {}}");
  const std::string page = Page("/").body;
  EXPECT_THAT(page, HasSubstr("zone1-0000000103"));
  EXPECT_THAT(page, HasSubstr("no &lt;beat&gt;"));
  EXPECT_THAT(page, HasSubstr("1.5 s"));
  EXPECT_THAT(page, HasSubstr("host&lt;1&gt;:16000"));
  EXPECT_THAT(page, Not(HasSubstr("<beat>")));
}

TEST_F(PagesTest, TabletTellsItsState) {
  TabletView view;
  view.tablet = SomeTablet(100, record::TabletType::kReplica);
  view.mysqld_alive = true;
  view.source = "host2:3306";
  view.io_running = true;
  view.replication_error = "cannot <connect>";
  view.pools = {{"app", 16, 3, 1}};
  view.more = {{"Transactions", {"Id"}, {}, "none open"}};
  pages_->AddTablet([&view] { return view; });
  Start();
  std::string vars = Page("/debug/vars").body;
  EXPECT_THAT(vars, HasSubstr("\"TabletType\": \"replica\""));
  EXPECT_THAT(vars, HasSubstr("\"TabletStateName\": \"NOT_SERVING\""));
  EXPECT_THAT(vars, HasSubstr("\"TabletState\": 1"));
  EXPECT_THAT(vars, HasSubstr("\"TabletServerState\": {\"NOT_SERVING\": 1}"));
  EXPECT_THAT(Page("/debug/status_details").body,
              HasSubstr("{\"Key\": \"Current State\", \"Class\": \"unhealthy\", \"Value\": "
                        "\"REPLICA: Not Serving\"}"));
  const std::string page = Page("/debug/status").body;
  EXPECT_THAT(page, HasSubstr("cannot &lt;connect&gt;"));
  EXPECT_THAT(page, HasSubstr("host2:3306"));
  EXPECT_THAT(page, HasSubstr("none open"));
}

io::Task<Result<ClusterView>> ReadCluster() {
  ClusterView view;
  view.cells.push_back({"zone1", {"localhost:2379", "/vitess/zone1"}});
  view.keyspaces.push_back({"ks", {}});
  view.shards.push_back({{"ks", "0"}, {}});
  view.tablets.push_back({SomeTablet(100, record::TabletType::kPrimary), true, {}, "", ""});
  co_return view;
}

io::Task<Result<ClusterView>> ReadNothing() { co_return Fail(Code::kUnavailable, "etcd is away"); }

TEST_F(PagesTest, ClusterFromACoroutine) {
  pages_->AddCluster(FromTask<ClusterView>(&ReadCluster));
  Start();
  for (const char* path : {"/", "/debug/status"}) {
    const std::string page = Page(path).body;
    for (const char* text : {"/vitess/zone1", "zone1-0000000100", "Keyspaces", "Shards",
                             "<th scope=\"col\">Primary since</th>"}) {
      EXPECT_THAT(page, HasSubstr(text)) << path;
    }
  }
}

TEST_F(PagesTest, ClusterThatCannotBeReadIsANotice) {
  pages_->AddCluster(FromTask<ClusterView>(&ReadNothing));
  Start();
  const Answer page = Page("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr("reading the cluster: etcd is away"));
}

TEST_F(PagesTest, GoneBeforeTheServer) {
  pages_.reset();
  Start();
  EXPECT_EQ(Page("/").status, 503);
  EXPECT_EQ(Page("/debug/vars").status, 503);
  EXPECT_EQ(metrics_.VarsJson(), "{\n\n}\n");
}

TEST(Html, TextsOfTimes) {
  EXPECT_EQ(WallText({}), "");
  EXPECT_EQ(WallText({1'700'000'000'000'000'000}), "2023-11-14 22:13:20 UTC");
  EXPECT_EQ(UptimeText(3661s), "01:01:01");
  EXPECT_EQ(UptimeText(90061s), "1d 01:01:01");
}

}  // namespace
}  // namespace paceline::web
