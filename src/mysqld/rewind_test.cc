// A primary killed while its commits wait for an acknowledgement, on real servers of both flavors.
#include "mysqld/rewind.h"

#include <signal.h>

#include <filesystem>
#include <fstream>

#include "mysql/client/connection.h"
#include "mysqld/testing.h"

namespace paceline::mysqld {
namespace {

class Rewinding : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
  }
  std::unique_ptr<Replication> ReplicationOf(Instance& instance) {
    admins.push_back(std::make_unique<ConnectionAdmin>(LoginOf(instance)));
    return std::make_unique<Replication>(*admins.back(), servers.programs().version);
  }
  mysql::ConnectOptions LoginOf(Instance& instance) {
    mysql::ConnectOptions login;
    login.address = io::Address::Unix(instance.options().config.SocketPath());
    login.user = instance.options().users.dba.name;
    return login;
  }
  // A session that is left waiting for an acknowledgement.
  io::Task<bool> Write(mysql::ConnectOptions login, std::string sql) {
    auto connection = co_await mysql::Connection::Connect(login, InTest());
    if (!connection) co_return false;
    Result<mysql::QueryResult> done = co_await (*connection)->Query(sql, Deadline::In(60s));
    co_return done.has_value();
  }
  static io::Task<void> Leave(Rewinding* self, mysql::ConnectOptions login, std::string sql) {
    bool done = co_await self->Write(login, sql);
    (void)done;
    ++self->ended;
  }
  TestServers servers{GetParam()};
  std::vector<std::unique_ptr<ConnectionAdmin>> admins;
  int ended = 0;
};

TEST_P(Rewinding, WhatNobodyAcknowledgedIsGoneAfterTheCut) {
  Instance& instance = servers.Add(100);
  std::unique_ptr<Replication> replication = ReplicationOf(instance);
  ASSERT_OK(servers.Await(replication->SetReadOnly(false, InTest())));
  servers.Ask(instance, "CREATE DATABASE d");
  servers.Ask(instance, "CREATE TABLE d.t (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB");
  servers.Ask(instance, "INSERT INTO d.t VALUES (1, 'kept'), (2, 'kept')");
  Result<gtid::Set> kept = servers.Await(replication->Position(InTest()));
  ASSERT_OK(kept);
  ASSERT_OK(servers.Await(replication->SetSemiSyncSource(true, 1, InTest())));
  constexpr int kSessions = 12;
  for (int i = 0; i < kSessions; ++i) {
    std::string sql = fmt::format("INSERT INTO d.t VALUES ({}, REPEAT('x', 2000))", 10 + i);
    servers.loop.Post(
        [this, login = LoginOf(instance), sql] { io::Detach(Leave(this, login, sql)); });
  }
  std::string waiting;
  Deadline patience = InTest(20s);
  while ((waiting.empty() || waiting == "0") && !patience.Passed(SystemClock().Now())) {
    waiting = servers.Ask(instance,
                          "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE "
                          "'Waiting for semi-sync ACK%'");
  }
  ASSERT_NE(waiting, "0");
  kill(instance.pid(), SIGKILL);
  ASSERT_TRUE(servers.Until([&] { return !instance.running() && ended == kSessions; }));

  std::string index = instance.options().config.layout.bin_log_base() + ".index";
  Result<BinlogTail> tail = FindTail(index, *kept);
  ASSERT_OK(tail);
  EXPECT_EQ(tail->refused, "");
  EXPECT_GE(tail->lost.size(), 1u);
  Result<std::string> exported =
      ExportTail(*tail, instance.options().config.layout.dir + "/errant", "tail.binlog");
  ASSERT_OK(exported);
  EXPECT_GT(std::filesystem::file_size(*exported), tail->bytes);
  // The exported file reads as a log whose transactions are the lost ones.
  std::string own_index = instance.options().config.layout.dir + "/errant/index";
  std::ofstream(own_index) << *exported << "\n";
  Result<BinlogTail> again = FindTail(own_index, gtid::Set(GetParam()));
  ASSERT_OK(again);
  EXPECT_EQ(again->lost.size(), tail->lost.size());

  ASSERT_OK(CutTail(*tail));
  Result<BinlogTail> none = FindTail(index, *kept);
  ASSERT_OK(none);
  EXPECT_EQ(none->file, "");
  ASSERT_OK(servers.Await(instance.Start({}, InTest())));
  EXPECT_EQ(servers.Ask(instance, "SELECT COUNT(*) FROM d.t"), "2");
  Result<gtid::Set> now = servers.Await(replication->Position(InTest()));
  ASSERT_OK(now);
  EXPECT_EQ(now->ToString(), kept->ToString());
}

TEST_P(Rewinding, DdlInTheTailIsRefused) {
  Instance& instance = servers.Add(100);
  std::unique_ptr<Replication> replication = ReplicationOf(instance);
  ASSERT_OK(servers.Await(replication->SetReadOnly(false, InTest())));
  servers.Ask(instance, "CREATE DATABASE d");
  Result<gtid::Set> kept = servers.Await(replication->Position(InTest()));
  ASSERT_OK(kept);
  servers.Ask(instance, "CREATE TABLE d.t (id INT PRIMARY KEY) ENGINE=InnoDB");
  kill(instance.pid(), SIGKILL);
  ASSERT_TRUE(servers.Until([&] { return !instance.running(); }));
  Result<BinlogTail> tail =
      FindTail(instance.options().config.layout.bin_log_base() + ".index", *kept);
  ASSERT_OK(tail);
  EXPECT_EQ(tail->lost.size(), 1u);
  EXPECT_NE(tail->refused, "");
}

INSTANTIATE_TEST_SUITE_P(Flavors, Rewinding,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& flavor) {
                           return std::string(gtid::FlavorName(flavor.param));
                         });

}  // namespace
}  // namespace paceline::mysqld
