// A tablet's will at a real mysqld of each flavor: what opens it, what its first rows need, what it
// tells.
#include "vttablet/manager/manager.h"

#include <gtest/gtest.h>

#include <utility>

#include "io/sleep.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vttablet/manager/testing.h"

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;
using mysqld::InTest;

const record::TabletAlias kAlias{"zone1", 1};

class NoQueries final : public QuerySide {
 public:
  void SetServing(record::TabletType, bool, std::string, uint64_t, bool) override {}
  void SetLease(Time) override {}
  void SetDiskRefusal(DiskRefusal refusal) override { refused = refusal; }
  void SetHealth(const port::TabletHealth& health) override { told = health; }
  io::Task<bool> Drain(Deadline) override { co_return true; }
  io::Task<AttemptsSight> HoldAttempts(std::vector<uint32_t>) override {
    co_return AttemptsSight();
  }
  void SetResolve(Resolve) override {}
  void DropConnections(const std::string&) override {}
  port::TabletHealth told;
  DiskRefusal refused = DiskRefusal::kNothing;
};

// Runs `hook` once, between the statement that contains `at` and the answer to it.
class HookedAdmin final : public mysqld::Admin {
 public:
  explicit HookedAdmin(mysqld::Admin& admin) : admin_(admin) {}
  io::Task<Result<mysql::QueryResult>> Query(std::string sql, Deadline deadline) override {
    Result<mysql::QueryResult> result = co_await admin_.Query(sql, deadline);
    Look(sql);
    co_return result;
  }
  io::Task<Status> Run(std::vector<std::string> statements, Deadline deadline) override {
    Status done = co_await admin_.Run(statements, deadline);
    for (const std::string& sql : statements) Look(sql);
    co_return done;
  }
  io::Task<Result<std::vector<mysql::QueryResult>>> QueryAll(std::string sql,
                                                             Deadline deadline) override {
    Result<std::vector<mysql::QueryResult>> results = co_await admin_.QueryAll(sql, deadline);
    Look(sql);
    co_return results;
  }
  std::string at;
  std::function<void()> hook;

 private:
  void Look(const std::string& sql) {
    if (hook && sql.find(at) != std::string::npos) std::exchange(hook, nullptr)();
  }
  mysqld::Admin& admin_;
};

// Another tablet of the shard.
class Other final : public port::TabletManager {
 public:
  io::Task<Status> TabletState(const agent::TabletStateRequest&,
                               agent::TabletStateResponse& response, Deadline) override {
    if (!state) co_return Fail(Code::kUnavailable, "its machine is gone");
    response = *state;
    co_return Status();
  }
  std::optional<agent::TabletStateResponse> state;
};

// Whoever started mysqld; it never dies by itself.
class Agent final : public port::Mysqlctl {
 public:
  io::Task<Status> WatchMysqld(port::MysqldStateSink& sink, Deadline) override {
    port::MysqldState runs;
    runs.running = true;
    runs.placing = placing;
    sink.OnState(runs);
    co_await io::SleepUntil(Deadline::In(100ms));
    co_return Fail(Code::kDeadlineExceeded, "nothing more");
  }
  io::Task<Status> SetRole(bool, Deadline) override { co_return Status(); }
  io::Task<Status> Keep(Deadline) override { co_return Status(); }
  io::Task<Status> NoteSemiSync(port::SemiSyncNote, Deadline) override { co_return Status(); }
  io::Task<Status> Kill(Deadline) override {
    ++kills;
    co_return Status();
  }
  io::Task<Result<port::RewindReport>> Rewind(port::RewindOrder, Deadline) override {
    ++rewinds;
    co_return port::RewindReport();
  }
  int kills = 0, rewinds = 0;
  bool placing = false;
};

class ManagerTest : public ::testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    instance = &servers.Add(1);
    mysql::ConnectOptions login;
    login.address = io::Address::Unix(instance->layout().socket());
    login.user = "vt_dba";
    dba = std::make_unique<mysqld::ConnectionAdmin>(login);
    hooked = std::make_unique<HookedAdmin>(*dba);
    ASSERT_OK(servers.Await(Found(this)));
    Begin();
  }
  void TearDown() override {
    if (manager != nullptr) End();
    if (topo != nullptr) servers.Await(AsValue(topo->Stop()));
  }
  static io::Task<int> AsValue(io::Task<void> task) {
    co_await task;
    co_return 0;
  }
  static io::Task<Status> Found(ManagerTest* test) {
    record::Keyspace keyspace;
    keyspace.durability_policy = "none";
    auto opened = co_await OpenMemoryTopology(test->servers.root(), keyspace);
    if (!opened) co_return Fail(opened.error());
    test->topo = std::move(*opened);
    co_return Status();
  }
  void Begin() {
    Make();
    ASSERT_OK(servers.Await(manager->Start(InTest())));
  }
  void Make() {
    ManagerOptions options;
    options.tablet.alias = kAlias;
    options.tablet.hostname = "127.0.0.1";
    options.tablet.keyspace = "ks";
    options.tablet.shard = "0";
    options.tablet.type = record::TabletType::kReplica;
    options.tablet.mysql_hostname = "127.0.0.1";
    options.tablet.mysql_port = instance->options().config.port;
    options.state_file = servers.root() + "/manager.json";
    options.replication.user = "vt_repl";
    options.status_interval = 50ms;
    Manager::Needs needs;
    needs.topo = topo.get();
    needs.dba = needs.app = needs.allprivs = hooked.get();
    needs.query = &query;
    needs.agent = agent.get();
    if (other != nullptr) needs.call_tablet = [this](const record::Tablet&) { return other; };
    manager = std::make_unique<Manager>(servers.loop, options, needs);
  }
  void End() {
    servers.Await(AsValue(manager->Stop(InTest())));
    manager.reset();
  }
  Status Promote(uint64_t term) {
    agent::PromoteRequest request;
    request.set_term(term);
    request.set_action("PlannedReparentShard");
    agent::PromoteResponse response;
    return servers.Await(manager->Promote(request, response, InTest()));
  }
  Status Demote(uint64_t term) {
    agent::DemoteRequest request;
    request.set_term(term);
    agent::DemoteResponse response;
    return servers.Await(manager->Demote(request, response, InTest()));
  }
  Status UndoDemote(uint64_t term, uint32_t acknowledgements = 0) {
    agent::UndoDemoteRequest request;
    request.set_term(term);
    request.set_acknowledgements(acknowledgements);
    agent::UndoDemoteResponse response;
    return servers.Await(manager->UndoDemote(request, response, InTest()));
  }
  // zone1-9 leads, at an address where nobody is: to be pointed at it is enough.
  static io::Task<Status> Publish(ManagerTest* test, uint64_t term) {
    record::Tablet leader;
    leader.alias = {"zone1", 9};
    leader.keyspace = "ks";
    leader.shard = "0";
    leader.type = record::TabletType::kPrimary;
    leader.mysql_hostname = "127.0.0.1";
    leader.mysql_port = 1;
    Status made = co_await test->topo->CreateTablet(leader, InTest());
    if (!made && made.error().code() != Code::kAlreadyExists) co_return made;
    topo::Server::ShardFn name = [leader, term](record::Shard& shard) -> Result<bool> {
      shard.primary_alias = leader.alias;
      shard.primary_term_start = {static_cast<int64_t>(term)};
      return true;
    };
    auto named = co_await test->topo->UpdateShardFields("ks", "0", name, InTest());
    if (!named) co_return Fail(named.error());
    co_return Status();
  }
  static io::Task<void> StartInBackground(ManagerTest* test) {
    test->started = co_await test->manager->Start(InTest());
  }
  static io::Task<void> WriteInBackground(ManagerTest* test) {
    std::string write = "CREATE DATABASE waits";
    co_await test->dba->Query(write, InTest());
    test->written = true;
  }
  static io::Task<void> PromiseInBackground(ManagerTest* test, uint64_t term) {
    agent::PromiseTermRequest request;
    request.set_term(term);
    request.set_coordinator("another one");
    agent::PromiseTermResponse response;
    Status promised = co_await test->manager->PromiseTerm(request, response, InTest());
    EXPECT_TRUE(promised) << promised.error().ToString();
    test->promised_demoted = response.state().demoted();
  }
  static io::Task<void> PromoteInBackground(ManagerTest* test, uint64_t term) {
    agent::PromoteRequest request;
    request.set_term(term);
    agent::PromoteResponse response;
    test->promoting = true;
    test->promoted = co_await test->manager->Promote(request, response, InTest());
  }
  std::string ReadOnly() { return servers.Ask(*instance, "SELECT @@global.read_only"); }
  std::string ColumnsOfSidecar() {
    return servers.Ask(
        *instance, "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = '_vt'");
  }

  mysqld::TestServers servers{GetParam()};
  mysqld::Instance* instance = nullptr;
  std::unique_ptr<mysqld::ConnectionAdmin> dba;
  std::unique_ptr<HookedAdmin> hooked;
  std::unique_ptr<topo::Server> topo;
  NoQueries query;
  std::unique_ptr<Manager> manager;
  std::optional<bool> promised_demoted;  // what PromiseTerm saw
  bool promoting = false;
  std::optional<Status> promoted, started;
  bool written = false;
  std::shared_ptr<Other> other;
  std::unique_ptr<Agent> agent;
};

TEST_P(ManagerTest, WhatAReparentClosedOnlyAReparentOpens) {
  tabletmanagerdata::SetReadWriteRequest ask;
  tabletmanagerdata::SetReadWriteResponse answer;
  ASSERT_OK(Promote(1));
  EXPECT_EQ(ReadOnly(), "0");
  ASSERT_OK(Demote(2));
  EXPECT_NE(ReadOnly(), "0");
  Status opened = servers.Await(manager->SetReadWrite(ask, answer, InTest()));
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code(), Code::kFailedPrecondition);
  EXPECT_NE(ReadOnly(), "0");
  ASSERT_OK(UndoDemote(2));
  EXPECT_EQ(ReadOnly(), "0");
  // A primary that a person closed is opened by a person, as the run-book does.
  tabletmanagerdata::SetReadOnlyRequest close;
  tabletmanagerdata::SetReadOnlyResponse closed;
  ASSERT_OK(servers.Await(manager->SetReadOnly(close, closed, InTest())));
  EXPECT_NE(ReadOnly(), "0");
  ASSERT_OK(servers.Await(manager->SetReadWrite(ask, answer, InTest())));
  EXPECT_EQ(ReadOnly(), "0");
}

TEST_P(ManagerTest, ATypeThatWaitedForAPromotionDoesNotUnmakeThePrimary) {
  servers.loop.Post([this] { io::Detach(PromoteInBackground(this, 1)); });
  ASSERT_TRUE(servers.Until([this] { return promoting; }));
  tabletmanagerdata::ChangeTypeRequest request;
  request.set_tablet_type(topodata::SPARE);
  tabletmanagerdata::ChangeTypeResponse response;
  Status changed = servers.Await(manager->ChangeType(request, response, InTest()));
  ASSERT_TRUE(servers.Until([this] { return promoted.has_value(); }));
  ASSERT_OK(*promoted);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(manager->tablet().type, record::TabletType::kPrimary);
  EXPECT_TRUE(manager->serving()) << manager->why_not_serving();
}

TEST_P(ManagerTest, AnUndoOpensNothingOnceALaterTermIsPromised) {
  ASSERT_OK(Promote(1));
  uint64_t term = 2;
  // While semi-sync is set, and while the server opens.
  for (std::string at : {"semi_sync", "GLOBAL read_only = "}) {
    ASSERT_OK(Demote(term));
    hooked->at = at;
    hooked->hook = [this, term] { io::Detach(PromiseInBackground(this, term + 1)); };
    promised_demoted.reset();
    Status undone = UndoDemote(term);
    ASSERT_FALSE(undone) << at;
    EXPECT_EQ(undone.error().code(), Code::kAborted) << undone.error().ToString();
    ASSERT_TRUE(servers.Until([this] { return promised_demoted.has_value(); }));
    EXPECT_TRUE(*promised_demoted) << "or whoever holds the later term knows that it must fence";
    EXPECT_NE(ReadOnly(), "0") << at;
    EXPECT_FALSE(manager->serving());
    term += 1;
  }
  ASSERT_OK(UndoDemote(term));
  EXPECT_EQ(ReadOnly(), "0");
}

TEST_P(ManagerTest, SessionsThatWaitForAnAcknowledgementAreNotReleased) {
  ASSERT_OK(Promote(1));
  const std::string side =
      GetParam() == gtid::Flavor::kMysql ? "rpl_semi_sync_source" : "rpl_semi_sync_master";
  servers.Ask(*instance, "SET GLOBAL " + side + "_timeout = 3600000");
  servers.Ask(*instance, "SET GLOBAL " + side + "_enabled = ON");
  servers.loop.Post([this] { io::Detach(WriteInBackground(this)); });
  auto waiting = [&] {
    return servers.Ask(*instance,
                       "SELECT variable_value FROM " +
                           std::string(GetParam() == gtid::Flavor::kMysql ? "performance_schema"
                                                                          : "information_schema") +
                           ".global_status WHERE variable_name = '" + side + "_wait_sessions'");
  };
  for (Deadline patience = InTest(20s); waiting() != "1";)
    ASSERT_FALSE(patience.Passed(servers.loop.Now())) << waiting();
  Status fixed = UndoDemote(1, 0);
  ASSERT_FALSE(fixed);
  EXPECT_EQ(fixed.error().code(), Code::kFailedPrecondition) << fixed.error().ToString();
  EXPECT_EQ(waiting(), "1");
  // Nor by the status loop, which sees that the policy wants no acknowledgement, nor by a vttablet
  // that starts again.
  auto several_looks = [count = 0]() mutable { return ++count > 100; };
  servers.Until(several_looks);
  EXPECT_EQ(waiting(), "1");
  End();
  Begin();
  servers.Until(several_looks);
  EXPECT_NE(waiting(), "0");
  EXPECT_FALSE(written);
  servers.Ask(*instance, "SET GLOBAL " + side + "_enabled = OFF");
  ASSERT_TRUE(servers.Until([this] { return written; }));
  EXPECT_TRUE(servers.Until([this] { return manager->serving(); })) << manager->why_not_serving();
}

TEST_P(ManagerTest, APrimaryThatResumesHasTheTablesItNeeds) {
  ASSERT_OK(Promote(1));
  const std::string complete = ColumnsOfSidecar();
  End();
  // As an earlier version, or Vitess, left them.
  servers.Ask(*instance, "ALTER TABLE _vt.reparent_journal DROP COLUMN term");
  servers.Ask(*instance, "DROP TABLE _vt.promotion_evidence");
  servers.Ask(*instance, "ALTER TABLE _vt.heartbeat ADD COLUMN theirs INT");
  Begin();
  EXPECT_TRUE(servers.Until([&] { return manager->serving(); })) << manager->why_not_serving();
  EXPECT_EQ(ColumnsOfSidecar(), std::to_string(std::stoi(complete) + 1));
  EXPECT_EQ(servers.Ask(*instance,
                        "SELECT term FROM _vt.reparent_journal ORDER BY term DESC, "
                        "time_created_ns DESC LIMIT 1"),
            "1");
}

TEST_P(ManagerTest, WhyTheRoleIsNotKnownIsTold) {
  EXPECT_TRUE(
      servers.Until([&] { return manager->why_not_serving() == "the shard has no primary yet"; }));
  End();
  topo::Server::ShardFn name = [](record::Shard& shard) -> Result<bool> {
    shard.primary_alias = {"zone1", 9};
    shard.primary_term_start = {1};
    return true;
  };
  ASSERT_OK(servers.Await(topo->UpdateShardFields("ks", "0", name, InTest())));
  Begin();
  auto named = [&] { return query.told.error.find("zone1-0000000009") != std::string::npos; };
  EXPECT_TRUE(servers.Until(named)) << query.told.error;
  // It stays so, look after look.
  bool stays = true;
  servers.Until([&, looks = 0]() mutable {
    stays = stays && named();
    return ++looks > 5;
  });
  EXPECT_TRUE(stays) << query.told.error;
}

TEST_P(ManagerTest, ADemotedPrimaryFollowsItsSuccessor) {
  End();
  other = std::make_shared<Other>();
  agent = std::make_unique<Agent>();
  Begin();
  uint64_t term = 0;
  for (bool lacks : {false, true}) {
    ASSERT_OK(Promote(++term));
    ASSERT_OK(Demote(++term));
    agent::TabletStateResponse state;
    state.mutable_tablet()->set_type(topodata::PRIMARY);
    state.set_journal_term(term);
    if (!lacks) {
      tabletmanagerdata::PrimaryPositionRequest request;
      tabletmanagerdata::PrimaryPositionResponse response;
      ASSERT_OK(servers.Await(manager->PrimaryPosition(request, response, InTest())));
      state.set_executed_position(response.position());
    }
    other->state = state;
    ASSERT_OK(servers.Await(Publish(this, term)));
    EXPECT_TRUE(servers.Until([&] {
      return manager->tablet().type == record::TabletType::kReplica;
    })) << lacks;
    EXPECT_EQ(agent->kills, 0) << "it was drained: nobody waits for an acknowledgement";
    EXPECT_EQ(agent->rewinds, lacks ? 1 : 0);
    EXPECT_EQ(servers.Ask(*instance, GetParam() == gtid::Flavor::kMysql
                                         ? "SELECT @@global.rpl_semi_sync_source_enabled"
                                         : "SELECT @@global.rpl_semi_sync_master_enabled"),
              "0");
    servers.Ask(*instance, GetParam() == gtid::Flavor::kMysql ? "STOP REPLICA" : "STOP SLAVE");
  }
}

TEST_P(ManagerTest, WhatAFormerProcessToldOfItsSeedIsRemoved) {
  End();
  topo::Server::TabletFn told = [](record::Tablet& tablet) -> Result<bool> {
    tablet.tags = {{"seed", "from backup x: starting"}, {"mine", "stays"}};
    return true;
  };
  ASSERT_OK(servers.Await(topo->UpdateTabletFields(kAlias, told, InTest())));
  Begin();
  auto stored = servers.Await(topo->GetTablet(kAlias, InTest()));
  ASSERT_OK(stored);
  EXPECT_EQ(stored->value.tags, (std::map<std::string, std::string>{{"mine", "stays"}}));
}

TEST_P(ManagerTest, AServerWhoseSeedTakesItsPlaceIsLeftAlone) {
  End();
  ASSERT_OK(servers.Await(Publish(this, 1)));
  agent = std::make_unique<Agent>();
  agent->placing = true;
  bool touched = false;
  hooked->at = "";
  hooked->hook = [&touched] { touched = true; };
  Make();
  servers.loop.Post([this] { io::Detach(StartInBackground(this)); });
  servers.Until([looks = 0]() mutable { return ++looks > 100; });
  EXPECT_FALSE(touched);
  EXPECT_FALSE(started);
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  ASSERT_OK(servers.Await(manager->TabletState(request, state, InTest())));
  EXPECT_NE(state.seeding(), "") << "nobody counts on it";
  agent->placing = false;
  ASSERT_TRUE(servers.Until([this] { return started.has_value(); }));
  ASSERT_OK(*started);
  EXPECT_TRUE(touched);
}

TEST_P(ManagerTest, OnlyWhoAcknowledgesNowLetsTheLastButOneGo) {
  End();
  const record::TabletAlias leader{"zone1", 9};
  topo::Server::KeyspaceFn durable = [](record::Keyspace& keyspace) -> Result<bool> {
    keyspace.durability_policy = "semi_sync";
    return true;
  };
  ASSERT_OK(servers.Await(topo->UpdateKeyspaceFields("ks", durable, InTest())));
  topo::Server::ShardFn name = [leader](record::Shard& shard) -> Result<bool> {
    shard.primary_alias = leader;
    shard.primary_term_start = {1};
    return true;
  };
  ASSERT_OK(servers.Await(topo->UpdateShardFields("ks", "0", name, InTest())));
  for (uint32_t uid : {9u, 2u}) {
    record::Tablet tablet;
    tablet.alias = {"zone1", uid};
    tablet.keyspace = "ks";
    tablet.shard = "0";
    tablet.type = uid == 9 ? record::TabletType::kPrimary : record::TabletType::kReplica;
    tablet.mysql_hostname = "leader";
    tablet.mysql_port = 3306;
    ASSERT_OK(servers.Await(topo->CreateTablet(tablet, InTest())));
  }
  other = std::make_shared<Other>();
  Begin();
  tabletmanagerdata::ChangeTypeRequest request;
  request.set_tablet_type(topodata::DRAINED);
  tabletmanagerdata::ChangeTypeResponse response;
  Status gone = servers.Await(manager->ChangeType(request, response, InTest()));
  ASSERT_FALSE(gone);
  EXPECT_NE(gone.error().message().find("zone1-0000000002 could, and does not now"),
            std::string::npos)
      << gone.error().ToString();
  agent::TabletStateResponse state;
  state.set_io_running(true);
  state.set_semi_sync_replica(true);
  state.set_source_host("leader of another term");
  state.set_source_port(3306);
  other->state = state;
  EXPECT_FALSE(servers.Await(manager->ChangeType(request, response, InTest())));
  other->state->set_source_host("leader");
  ASSERT_OK(servers.Await(manager->ChangeType(request, response, InTest())));
  EXPECT_EQ(manager->tablet().type, record::TabletType::kDrained);
}

INSTANTIATE_TEST_SUITE_P(BothFlavors, ManagerTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

}  // namespace
}  // namespace paceline::vttablet
