#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "backup/table_check.h"
#include "mysqlctl.pb.h"
#include "mysqlctl/agent.h"
#include "mysqld/folder.h"
#include "mysqld/testing.h"

namespace paceline::mysqlctl {
namespace {

using mysqld::InTest;

// A donor's vttablet that passes its agent's stream on.
class Donor final : public port::TabletManager {
 public:
  explicit Donor(Mysqlctld& agent) : agent_(agent) {}
  io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) override {
    return agent_.StreamData(sink, deadline);
  }

 private:
  Mysqlctld& agent_;
};

class Progress final : public port::SeedSink {
 public:
  bool OnProgress(const port::SeedProgress& progress) override {
    phases.push_back(progress.phase);
    last = progress;
    return wanted;
  }
  port::SeedProgress last;
  std::vector<std::string> phases;
  bool wanted = true;
};

class SeedTest : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    donor_options = servers.Options(100);
    options = servers.Options(101);
    donor = std::make_unique<Mysqlctld>(servers.loop, Options(), donor_options);
    donor_tablet = std::make_shared<Donor>(*donor);
    ASSERT_OK(servers.Await(donor->Begin(InTest(240s))));
    NewAgent();
    ASSERT_OK(servers.Await(agent->Begin(InTest(240s))));
    donor_dba = Dba(donor_options);
    dba = Dba(options);
    Run(*donor_dba, {"SET GLOBAL read_only = OFF", "CREATE DATABASE d",
                     "CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(100))",
                     "INSERT INTO d.t VALUES (1, 'one'), (2, 'two')"});
  }
  void TearDown() override {
    for (auto* one : {&donor, &agent}) {
      if (*one == nullptr) continue;
      EXPECT_TRUE(servers.Await((*one)->Stop(InTest(20s))));
      pid_t pid = (*one)->state().pid;
      one->reset();
      if (pid != 0) kill(pid, SIGKILL);
    }
  }
  void NewAgent() {
    agent = std::make_unique<Mysqlctld>(servers.loop, Options(), options);
    agent->SetCallTablet([this](const std::string&) { return donor_tablet; });
  }
  static std::unique_ptr<mysqld::ConnectionAdmin> Dba(const mysqld::InstanceOptions& of) {
    mysql::ConnectOptions connect;
    connect.address = io::Address::Unix(of.config.SocketPath());
    connect.user = of.users.dba.name;
    return std::make_unique<mysqld::ConnectionAdmin>(connect);
  }
  void Run(mysqld::Admin& at, std::vector<std::string> statements) {
    ASSERT_OK(servers.Await(at.Run(std::move(statements), InTest())));
  }
  std::string Ask(mysqld::Admin& at, std::string sql) {
    auto result = servers.Await(at.Query(std::move(sql), InTest()));
    return result ? result->Text(0, size_t{0}) : result.error().ToString();
  }
  std::string Position(mysqld::Admin& at) {
    mysqld::Replication replication(at, options.programs.version);
    auto position = servers.Await(replication.Position(InTest()));
    return position ? position->ToEncoded() : position.error().ToString();
  }
  port::SeedOrder Order() {
    port::SeedOrder order;
    bool mariadb = GetParam() == gtid::Flavor::kMariadb;
    order.way = mariadb ? port::SeedOrder::Way::kMariabackup : port::SeedOrder::Way::kClone;
    order.host = "127.0.0.1";
    order.port = donor_options.config.port;
    order.user = "vt_repl";
    return order;
  }
  std::string Dir(const std::string& below) { return options.config.layout.dir + below; }

  mysqld::TestServers servers{GetParam()};
  mysqld::InstanceOptions donor_options, options;
  std::unique_ptr<Mysqlctld> donor, agent;
  std::shared_ptr<Donor> donor_tablet;
  std::unique_ptr<mysqld::ConnectionAdmin> donor_dba, dba;
  Progress progress;
};

TEST_P(SeedTest, TakesTheDonorsDataAndKeepsTheOldAside) {
  Run(*dba, {"SET GLOBAL read_only = OFF", "CREATE DATABASE mine"});
  std::string server_id = Ask(*dba, "SELECT @@server_id");
  auto position = servers.Await(agent->Seed(Order(), progress, InTest(240s)));
  ASSERT_OK(position);
  EXPECT_EQ(*position, Position(*donor_dba));
  dba->CloseIdle();
  EXPECT_EQ(Position(*dba), *position);
  EXPECT_EQ(Ask(*dba, "SELECT GROUP_CONCAT(v ORDER BY id) FROM d.t"), "one,two");
  EXPECT_EQ(
      Ask(*dba, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'mine'"),
      "0");
  EXPECT_EQ(Ask(*dba, "SELECT @@global.read_only"), "1");
  EXPECT_NE(Ask(*dba, "SELECT @@server_id"), server_id);
  EXPECT_EQ(progress.phases.back(), "starting");
  EXPECT_FALSE(mysqld::IsEmptyFolder(Dir("/aside/data")));
  EXPECT_TRUE(mysqld::IsEmptyFolder(Dir("/seed")));
  ASSERT_OK(servers.Await(agent->ForgetOldData(true, InTest())));
  EXPECT_FALSE(std::filesystem::exists(Dir("/aside")));
  EXPECT_FALSE(mysqld::IsEmptyFolder(Dir("/errant")));
}

TEST_P(SeedTest, LostDataIsToldAndSeededAnew) {
  servers.Await(agent->SetRole(false, InTest()));
  pid_t pid = agent->state().pid;
  for (const char* part : {"/data", "/innodb", "/bin-logs"})
    ASSERT_OK(mysqld::RemoveTree(Dir(part)));
  kill(pid, SIGKILL);
  ASSERT_TRUE(servers.Until([this] { return !agent->state().unusable.empty(); }));
  auto position = servers.Await(agent->Seed(Order(), progress, InTest(240s)));
  ASSERT_OK(position);
  EXPECT_EQ(agent->state().unusable, "");
  dba->CloseIdle();
  EXPECT_EQ(Ask(*dba, "SELECT COUNT(*) FROM d.t"), "2");
}

TEST_P(SeedTest, APrimaryWithoutDataIsHeldAndNeverMadeAnew) {
  ASSERT_OK(servers.Await(agent->SetRole(true, InTest())));
  ASSERT_OK(servers.Await(agent->Stop(InTest())));
  kill(agent->state().pid, SIGKILL);
  ASSERT_TRUE(servers.Until([this] { return agent->state().pid == 0; }));
  ASSERT_OK(mysqld::RemoveTree(Dir("/data")));
  NewAgent();
  ASSERT_OK(servers.Await(agent->Begin(InTest(240s))));
  EXPECT_TRUE(agent->state().held);
  EXPECT_NE(agent->state().unusable, "");
  auto rewound = servers.Await(agent->Rewind({Position(*donor_dba), true}, InTest()));
  ASSERT_FALSE(rewound);
  EXPECT_EQ(rewound.error().code(), Code::kFailedPrecondition);
}

TEST_P(SeedTest, AnUnwantedSeedLeavesAllAsItWas) {
  Run(*dba, {"SET GLOBAL read_only = OFF", "CREATE DATABASE mine"});
  // Enough that it is not over before the first word of it.
  Run(*donor_dba,
      {"CREATE TABLE d.big (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)",
       "INSERT INTO d.big (v) VALUES (REPEAT('x', 8000000))",
       "INSERT INTO d.big (v) SELECT v FROM d.big", "INSERT INTO d.big (v) SELECT v FROM d.big"});
  progress.wanted = false;
  auto position = servers.Await(agent->Seed(Order(), progress, InTest(240s)));
  if (!position) {
    EXPECT_EQ(position.error().code(), Code::kCanceled) << position.error().ToString();
  }
  if (position) GTEST_SKIP() << "it was over before";
  EXPECT_EQ(
      Ask(*dba, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'mine'"),
      "1");
  EXPECT_TRUE(mysqld::IsEmptyFolder(Dir("/seed")));
  EXPECT_FALSE(std::filesystem::exists(Dir("/aside")));
}

TEST_P(SeedTest, ASeedThatStoodReadyIsCompletedByTheNextAgent) {
  // As a crash between its completion and the exchange leaves it: the marker, and the files.
  ASSERT_OK(servers.Await(agent->Seed(Order(), progress, InTest(240s))));
  dba->CloseIdle();
  std::string position = Position(*dba);
  ASSERT_OK(servers.Await(agent->Stop(InTest())));
  kill(agent->state().pid, SIGKILL);
  ASSERT_TRUE(servers.Until([this] { return agent->state().pid == 0; }));
  ASSERT_OK(mysqld::MakeFolder(Dir("/seed"), options.user));
  ASSERT_OK(mysqld::MakeFolder(Dir("/seed/new"), options.user));
  // Half of the exchange has happened.
  std::filesystem::rename(Dir("/data"), Dir("/seed/new/data"));
  bool mariadb = GetParam() == gtid::Flavor::kMariadb;
  ASSERT_OK(
      mysqld::WriteFileDurably(Dir("/seed.ready"), (mariadb ? position : "") + "\n", options.user));
  NewAgent();
  ASSERT_OK(servers.Await(agent->Begin(InTest(240s))));
  EXPECT_EQ(Ask(*dba, "SELECT COUNT(*) FROM d.t"), "2");
  EXPECT_EQ(Position(*dba), position);
  EXPECT_FALSE(std::filesystem::exists(Dir("/seed.ready")));
}

TEST_P(SeedTest, AServerThatDiedBeforeItsSeedWasSettledIsSettledByItsNextStart) {
  struct Seen final : port::MysqldStateSink {
    void OnState(const port::MysqldState& state) override { states.push_back(state); }
    static io::Task<void> Watch(Mysqlctld* agent, Seen* seen) {
      [[maybe_unused]] Status ended = co_await agent->WatchMysqld(*seen, InTest(240s));
      seen->ended = true;
    }
    std::vector<port::MysqldState> states;
    bool ended = false;
  } seen;
  servers.loop.Post([&] { io::Detach(Seen::Watch(agent.get(), &seen)); });
  auto position = servers.Await(agent->Seed(Order(), progress, InTest(240s)));
  ASSERT_OK(position);
  EXPECT_TRUE(std::ranges::any_of(seen.states, &port::MysqldState::placing));
  EXPECT_FALSE(agent->state().placing);
  // As it is between the exchange and the end.
  bool mariadb = GetParam() == gtid::Flavor::kMariadb;
  Run(*dba, {"SET GLOBAL read_only = OFF", "CREATE DATABASE later"});
  ASSERT_OK(mysqld::WriteFileDurably(Dir("/seed.ready"), (mariadb ? *position : "") + "\n",
                                     options.user));
  kill(agent->state().pid, SIGKILL);
  ASSERT_TRUE(servers.Until([this] { return !std::filesystem::exists(Dir("/seed.ready")); }));
  ASSERT_TRUE(servers.Until([this] { return !agent->state().placing; }));
  dba->CloseIdle();
  EXPECT_EQ(Ask(*dba, "SELECT COUNT(*) FROM d.t"), "2");
  if (mariadb) {
    EXPECT_EQ(Position(*dba), *position);
  }
  EXPECT_TRUE(servers.Await(agent->Stop(InTest(20s))));
  EXPECT_TRUE(servers.Until([&] { return seen.ended; }));
}

class VerifyTest : public SeedTest {
 protected:
  void SetUp() override {
    SeedTest::SetUp();
    if (IsSkipped()) return;
    root = options.config.layout.dir + "/../backups";
    std::filesystem::create_directories(root);
    place = {"file", root, "", "ks", "0"};
  }
  Result<std::string> Make() {
    port::BackupOrder order;
    order.place = place;
    order.alias = "zone1-0000000100";
    return servers.Await(donor->Backup(order, progress, InTest(240s)));
  }
  Result<std::string> Verify(const std::string& name) {
    return servers.Await(agent->VerifyBackup({place, name}, progress, InTest(240s)));
  }
  backup::Catalog Catalog() {
    return *backup::Catalog::Of(*backup::OpenStorage({place.storage, place.root}), "ks", "0");
  }
  std::string root;
  port::BackupPlace place;
};

TEST_P(VerifyTest, AGoodBackupIsFoundGoodAndItsRowsAreCounted) {
  Run(*donor_dba, {"CREATE TABLE d.`q``uoted` (a INT)", "INSERT INTO d.`q``uoted` VALUES (1)"});
  auto name = Make();
  ASSERT_OK(name);
  EXPECT_EQ(progress.last.bytes, progress.last.total);
  EXPECT_GT(progress.last.bytes, 1'000'000u);
  auto manifest = Catalog().Read(*name);
  ASSERT_OK(manifest);
  ASSERT_EQ(manifest->tables.size(), 2u) << backup::ToJson(*manifest);
  EXPECT_EQ(manifest->tables[0], (backup::TableRows{"d", "q`uoted", 1}));
  EXPECT_EQ(manifest->tables[1], (backup::TableRows{"d", "t", 2}));
  pid_t pid = agent->state().pid;
  auto verdict = Verify(*name);
  ASSERT_OK(verdict);
  EXPECT_NE(verdict->find("2 of them with the 3 rows"), std::string::npos) << *verdict;
  EXPECT_EQ(Catalog().List()->at(0).verified, backup::Verified::kGood);
  EXPECT_EQ(agent->state().pid, pid);
  EXPECT_FALSE(std::filesystem::exists(Dir("/verify")));
}

TEST_P(VerifyTest, WhatDiffersIsTold) {
  auto name = Make();
  ASSERT_OK(name);
  backup::Manifest manifest = *Catalog().Read(*name);
  manifest.tables[0].rows = 3;
  manifest.tables.push_back({"d", "lost", 0});
  manifest.tables.push_back({"d", "whatever", std::nullopt});
  ASSERT_OK(Catalog().Write(*name, manifest));
  auto verdict = Verify(*name);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code(), Code::kDataLoss);
  std::string told = verdict.error().ToString();
  EXPECT_NE(told.find("`d`.`t`: has 2 rows, 3 when it was backed up"), told.npos) << told;
  EXPECT_NE(told.find("`d`.`lost`: is missing"), told.npos) << told;
  EXPECT_EQ(told.find("whatever"), told.npos) << told;
  auto list = Catalog().List();
  ASSERT_OK(list);
  EXPECT_EQ(list->at(0).verified, backup::Verified::kBad);
  EXPECT_NE(Catalog().ReadVerdict(list->at(0))->text.find("lost"), std::string::npos);
}

TEST_P(VerifyTest, DamageIsAVerdictAndAMissingStorageIsNone) {
  auto name = Make();
  ASSERT_OK(name);
  std::string data = root + "/ks/0/" + *name + "/data";
  std::filesystem::resize_file(data, std::filesystem::file_size(data) / 2);
  auto verdict = Verify(*name);
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code(), Code::kDataLoss) << verdict.error().ToString();
  EXPECT_EQ(Catalog().List()->at(0).verified, backup::Verified::kBad);
  std::filesystem::remove(data);
  EXPECT_EQ(Verify(*name).error().code(), Code::kDataLoss);
  EXPECT_EQ(Verify("2025-11-27.190000.zone1-0000000101").error().code(), Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(Dir("/verify")));
}

// MySQL's clone is counted itself.
class CountTest : public VerifyTest {};

// What is written while the rows are counted is taken off again, by the binary log.
TEST_P(CountTest, RowsAreThoseOfTheBackupsPosition) {
  std::string position = Position(*donor_dba);
  Run(*donor_dba, {"INSERT INTO d.t VALUES (3, 'three'), (4, 'four')",
                   "DELETE FROM d.t WHERE id = 1", "FLUSH BINARY LOGS",
                   "UPDATE d.t SET v = 'zwei' WHERE id = 2", "INSERT INTO d.t VALUES (5, 'five')"});
  struct Step {
    static io::Task<Result<std::vector<backup::TableRows>>> Count(mysql::ConnectOptions options,
                                                                  std::string position,
                                                                  std::string index) {
      Deadline soon = Deadline::In(30s);
      auto connection = co_await mysql::Connection::Connect(std::move(options), soon);
      if (!connection) co_return Fail(connection.error());
      auto rows =
          co_await backup::CountRowsAt(**connection, std::move(position), std::move(index), soon);
      co_return rows;
    }
  };
  std::string index = donor_options.config.layout.bin_log_base() + ".index";
  auto rows = servers.Await(Step::Count(donor->instance().DbaConnectOptions(), position, index));
  ASSERT_OK(rows);
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->at(0), (backup::TableRows{"d", "t", 2}));
  // A definition in between: nobody can tell.
  Run(*donor_dba, {"CREATE TABLE d.later (a INT)"});
  rows = servers.Await(Step::Count(donor->instance().DbaConnectOptions(), position, index));
  ASSERT_OK(rows);
  EXPECT_TRUE(rows->empty());
}

INSTANTIATE_TEST_SUITE_P(MariaDB, CountTest, testing::Values(gtid::Flavor::kMariadb));
INSTANTIATE_TEST_SUITE_P(Flavors, VerifyTest,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "MySQL" : "MariaDB";
                         });
INSTANTIATE_TEST_SUITE_P(Flavors, SeedTest,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "MySQL" : "MariaDB";
                         });

}  // namespace
}  // namespace paceline::mysqlctl
