// What is removed, and what is refused, before a disk is full: at a real mysqld of each flavor.
#include "vttablet/manager/disk_care.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "backup/archive_stream.h"
#include "base/strings.h"
#include "io/sleep.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/testing.h"

namespace paceline::vttablet {
namespace {

using mysqld::InTest;

const record::TabletAlias kAlias{"zone1", 1}, kOther{"zone1", 2};

class Other final : public port::TabletManager {
 public:
  io::Task<Status> TabletState(const agent::TabletStateRequest&,
                               agent::TabletStateResponse& response, Deadline) override {
    if (!state) co_return Fail(Code::kUnavailable, "its machine is gone");
    response = *state;
    co_return Status();
  }
  std::optional<agent::TabletStateResponse> state = agent::TabletStateResponse();
};

class DiskCareTest : public ::testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    instance = &servers.Add(1);
    server = std::make_unique<mysqld::Replication>(instance->admin(), servers.programs().version);
    Ask("SET GLOBAL read_only = OFF");
    Ask("CREATE DATABASE d");
    Ask("CREATE TABLE d.t (id INT PRIMARY KEY)");
    folder = servers.root() + "/archive";
    std::filesystem::create_directories(folder);
    ASSERT_OK(servers.Await(Found(this)));
  }
  void TearDown() override {
    if (topo != nullptr) servers.Await(Ended(this));
  }
  static io::Task<Status> Found(DiskCareTest* test) {
    record::Keyspace keyspace;
    auto opened = co_await OpenMemoryTopology(test->servers.root(), keyspace);
    if (!opened) co_return Fail(opened.error());
    test->topo = std::move(*opened);
    Status made;
    for (const record::TabletAlias& alias : {kAlias, kOther}) {
      record::Tablet tablet = TabletOf(alias);
      if (made) made = co_await test->topo->CreateTablet(tablet, InTest());
    }
    co_return made;
  }
  static io::Task<int> Ended(DiskCareTest* test) {
    bool left = co_await test->gate.Close(Deadline::In(10s));
    EXPECT_TRUE(left);
    co_await test->topo->Stop();
    co_return 0;
  }
  static record::Tablet TabletOf(const record::TabletAlias& alias) {
    record::Tablet tablet;
    tablet.alias = alias;
    tablet.hostname = "127.0.0.1";
    tablet.keyspace = "ks";
    tablet.shard = "0";
    tablet.type = record::TabletType::kReplica;
    return tablet;
  }
  std::string Ask(std::string sql) { return servers.Ask(*instance, std::move(sql)); }
  gtid::Set Position() { return *servers.Await(server->Position(InTest())); }
  // A transaction and a new log behind it; what the server has then.
  gtid::Set Log() {
    Ask("INSERT INTO d.t VALUES (" + std::to_string(++rows) + ")");
    EXPECT_TRUE(servers.Await(mysqld::RotateBinaryLog(*server, InTest())));
    return Position();
  }
  std::vector<std::string> Logs() {
    std::vector<std::string> names;
    auto logs = servers.Await(mysqld::ListBinaryLogs(*server, InTest()));
    EXPECT_TRUE(logs);
    for (const mysqld::BinaryLog& log : *logs) names.push_back(log.name);
    return names;
  }
  void ArchiveUpTo(const gtid::Set& position) {
    std::shared_ptr<backup::Storage> storage = std::move(*backup::OpenStorage({"file", folder}));
    backup::Archive archive = *backup::Archive::Of(storage, "ks", "0", "");
    backup::Segment segment;
    segment.manifest.run = backup::FormatRun({1'700'000'000'000'000'000 + rows}, kOther);
    segment.manifest.flavor = GetParam();
    segment.manifest.after = position;
    ASSERT_OK(archive.Write(segment));
  }
  void OtherHas(const gtid::Set& position) {
    other->state->set_executed_position(position.ToEncoded());
  }
  // `wanted`: bytes that must be free, of which no disk has so many.
  void Care(const char* archive = "file", uint64_t wanted = 1'000'000'000'000'000,
            Duration move_patience = 60s) {
    DiskCareOptions options;
    options.probe.file = servers.root() + "/probe";
    options.probe.every = 20ms;
    options.limits = {{0, wanted}, {0, 0}};
    options.tablet = TabletOf(kAlias);
    options.archive = {archive, folder, "", "ks", "0"};
    options.purge_every = 1ms;
    options.look = 20ms;
    options.move_patience = move_patience;
    DiskCareNeeds needs;
    needs.topo = topo.get();
    needs.call_tablet = [this](const record::Tablet&) { return other; };
    needs.server = [this] { return server.get(); };
    needs.refuse = [this](DiskRefusal refusal) { refused = refusal; };
    needs.changed = [this] { ++changes; };
    care = std::make_unique<DiskCare>(servers.loop, options, needs);
    servers.loop.Post([this] { care->Start(gate); });
  }
  bool Told(std::string words) {
    return servers.Until([&] { return care->purge_told().find(words) != std::string::npos; });
  }

  mysqld::TestServers servers{GetParam()};
  mysqld::Instance* instance = nullptr;
  std::unique_ptr<mysqld::Replication> server;
  std::string folder;
  std::unique_ptr<topo::Server> topo;
  std::shared_ptr<Other> other = std::make_shared<Other>();
  std::unique_ptr<DiskCare> care;
  io::Gate gate;
  DiskRefusal refused = DiskRefusal::kNothing;
  int rows = 0, changes = 0;
};

INSTANTIATE_TEST_SUITE_P(BothFlavors, DiskCareTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

TEST_P(DiskCareTest, ALogSaysWhatCameBeforeIt) {
  gtid::Set first = Log();
  gtid::Set second = Log();
  std::vector<std::string> logs = Logs();
  auto before = servers.Await(mysqld::BeforeBinaryLog(*server, logs.back(), InTest()));
  ASSERT_OK(before);
  EXPECT_EQ(before->ToString(), second.ToString());
  before = servers.Await(mysqld::BeforeBinaryLog(*server, logs[logs.size() - 2], InTest()));
  ASSERT_OK(before);
  EXPECT_EQ(before->ToString(), first.ToString());
  EXPECT_FALSE(servers.Await(mysqld::BeforeBinaryLog(*server, "nowhere.000001", InTest())));
}

TEST_P(DiskCareTest, OnlyWhatIsArchivedAndNobodyNeedsIsRemoved) {
  gtid::Set first = Log();
  gtid::Set second = Log();
  gtid::Set third = Log();
  const std::vector<std::string> logs = Logs();
  OtherHas(third);
  Care();
  ASSERT_TRUE(Told("nothing is archived yet"));
  EXPECT_EQ(Logs(), logs);
  ArchiveUpTo(second);
  ASSERT_TRUE(Told("were removed")) << care->purge_told();
  ASSERT_TRUE(Told("the archive does not hold all of " + logs[logs.size() - 2]));
  EXPECT_EQ(Logs().size(), 2u) << "the log of the third transaction, and the newest";
  EXPECT_EQ(care->purged_logs(), logs.size() - 2);
  EXPECT_GT(care->purged_bytes(), 0u);
  EXPECT_EQ(care->level(), DiskLevel::kPurge);
  EXPECT_EQ(refused, DiskRefusal::kNothing);
}

TEST_P(DiskCareTest, WhatAReplicaHasNotAppliedStays) {
  gtid::Set first = Log();
  gtid::Set second = Log();
  const std::vector<std::string> logs = Logs();
  ArchiveUpTo(second);
  other->state.reset();
  Care();
  ASSERT_TRUE(Told("zone1-0000000002 does not say what it has")) << care->purge_told();
  EXPECT_EQ(Logs(), logs);
  other->state.emplace();
  OtherHas(first);
  ASSERT_TRUE(Told("zone1-0000000002 has not applied all of " + logs[logs.size() - 2]))
      << care->purge_told();
  EXPECT_EQ(Logs().size(), 2u);
  // One that is being seeded takes newer data.
  other->state->set_seeding("from zone1-0000000001");
  ASSERT_TRUE(Told("no binary log is left but the one that is written to")) << care->purge_told();
  EXPECT_EQ(Logs().size(), 1u);
}

TEST_P(DiskCareTest, WithoutAnArchiveNothingIsRemoved) {
  OtherHas(Log());
  const std::vector<std::string> logs = Logs();
  Care("");
  ASSERT_TRUE(Told("not archived (--archive-binlogs)"));
  EXPECT_EQ(Logs(), logs);
}

TEST_P(DiskCareTest, NobodyIsRefusedWhileThePrimaryMayMove) {
  other->state->mutable_tablet()->set_type(topodata::REPLICA);
  other->state->set_mysqld_running(true);
  other->state->set_disk_has_room(true);
  Care("", 0, 1s);
  care->SetLimits({{0, 0}, {0, 1'000'000'000'000'000}});
  ASSERT_TRUE(servers.Until([&] { return care->low(); }));
  Time began = servers.loop.Now();
  ASSERT_TRUE(servers.Until([&] { return refused == DiskRefusal::kAllButDrops; }));
  EXPECT_GE(servers.loop.Now() - began, 900ms);
}

TEST_P(DiskCareTest, WritesAreRefusedAndTakenAgain) {
  Care("", 0);
  ASSERT_TRUE(servers.Until([&] { return care->space().bytes > 0; }));
  EXPECT_EQ(care->Trouble(), "");
  EXPECT_TRUE(care->HasRoom());
  agent::TabletStateResponse state;
  care->Fill(state);
  EXPECT_EQ(state.disk_bytes(), care->space().bytes);
  EXPECT_FALSE(state.disk_low());
  care->SetLimits({{0, 0}, {0, 1'000'000'000'000'000}});
  ASSERT_TRUE(servers.Until([&] { return refused == DiskRefusal::kAllButDrops; }));
  EXPECT_NE(care->Trouble().find("writes are refused until there is room"), std::string::npos);
  EXPECT_TRUE(care->low());
  EXPECT_FALSE(care->HasRoom());
  care->SetLimits({{0, 0}, {0, 0}});
  ASSERT_TRUE(servers.Until([&] { return refused == DiskRefusal::kNothing; }));
  EXPECT_EQ(care->Trouble(), "");
  EXPECT_FALSE(care->low());
}

}  // namespace
}  // namespace paceline::vttablet
