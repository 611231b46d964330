#include <signal.h>

#include <fstream>

#include "base/strings.h"
#include "mysqld/folder.h"
#include "mysqld/testing.h"

namespace paceline::mysqld {
namespace {

class RealServer : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
  }
  double Seconds(Time since) {
    return std::chrono::duration<double>(SystemClock().Now() - since).count();
  }
  SourceOptions SourceOf(Instance& instance) {
    SourceOptions source;
    source.host = "127.0.0.1";
    source.port = instance.options().config.port;
    source.user = "vt_repl";
    return source;
  }
  TestServers servers{GetParam()};
};

TEST_P(RealServer, IsMadeStartedAdoptedAndSeenToDie) {
  InstanceOptions options = servers.Options(100);
  options.users.with_bench = true;
  options.users.bench.password = "a'b";
  auto first = std::make_unique<Instance>(servers.loop, options);
  Time began = SystemClock().Now();
  ASSERT_OK(servers.Await(first->Init(InTest())));
  double init = Seconds(began);
  EXPECT_TRUE(first->Initialized());
  Status again = servers.Await(first->Init(InTest()));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), Code::kAlreadyExists);

  began = SystemClock().Now();
  ASSERT_OK(servers.Await(first->Start({}, InTest())));
  double start = Seconds(began);
  EXPECT_EQ(servers.Ask(*first, "SELECT @@global.read_only"), "1");
  EXPECT_EQ(servers.Ask(*first, "SELECT @@global.sync_binlog"), "1");
  EXPECT_EQ(servers.Ask(*first, "SELECT COUNT(*) FROM mysql.user WHERE user = 'root'"), "0");
  pid_t pid = first->pid();
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS")) {
      fmt::print("{}: init {:.2f} s, start {:.2f} s, {}\n", options.programs.version.ToString(),
                 init, start, line);
    }
    if (line.starts_with("Uid:")) {
      EXPECT_EQ(line.find("Uid:\t0"), std::string::npos) << "mysqld runs as root";
    }
  }

  // The application's user reaches nothing over TCP, the bench user does.
  mysql::ConnectOptions tcp;
  tcp.address = io::Address::Tcp("127.0.0.1", options.config.port);
  tcp.user = "vt_dba";
  EXPECT_FALSE(servers.Await(mysql::Connection::Connect(tcp, InTest())));

  first.reset();  // the agent goes away; mysqld stays
  Instance second(servers.loop, options);
  auto attached = second.Attach();
  ASSERT_OK(attached);
  EXPECT_TRUE(*attached);
  EXPECT_EQ(second.pid(), pid);
  std::string death;
  Time died_at, told_at;
  second.SetDeathHandler([&](const std::string& how) {
    death = how;
    told_at = SystemClock().Now();
  });
  died_at = SystemClock().Now();
  kill(pid, SIGKILL);
  EXPECT_TRUE(servers.Until([&] { return !death.empty(); }));
  EXPECT_LT(told_at - died_at, 2s);
  EXPECT_FALSE(second.running());

  ASSERT_OK(servers.Await(second.Start({}, InTest())));
  EXPECT_NE(second.pid(), pid);
  ASSERT_OK(servers.Await(second.Shutdown(InTest())));
  EXPECT_EQ(second.last_exit(), "exit code 0");
  ASSERT_OK(servers.Await(second.Start({}, InTest())));
  ASSERT_OK(servers.Await(second.Teardown(true, InTest())));
  EXPECT_TRUE(IsEmptyFolder(options.config.layout.dir));
}

TEST_P(RealServer, SaysInOneLineWhyItDoesNotStart) {
  Instance& running = servers.Add(100);
  InstanceOptions options = servers.Options(101);
  options.config.port = running.options().config.port;
  Instance taken(servers.loop, options);
  ASSERT_OK(servers.Await(taken.Init(InTest())));
  Status started = servers.Await(taken.Start({}, InTest()));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kAlreadyExists);
  EXPECT_NE(started.error().message().find(std::to_string(options.config.port)), std::string::npos);
  EXPECT_EQ(started.error().message().find('\n'), std::string::npos);

  InstanceOptions odd = servers.Options(102);
  odd.config.extra = "no_such_option = 1";
  Instance unknown(servers.loop, odd);
  ASSERT_OK(servers.Await(unknown.Init(InTest())));  // the template knows nothing of EXTRA_MY_CNF
  started = servers.Await(unknown.Start({}, InTest()));
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kInvalidArgument) << started.error().ToString();
  EXPECT_NE(started.error().message().find("no_such_option"), std::string::npos)
      << started.error().ToString();

  InstanceOptions nowhere = servers.Options(103);
  nowhere.config.layout.dir = "/proc/vt_0000000103";
  Instance refused(servers.loop, nowhere);
  Status made = servers.Await(refused.Init(InTest()));
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("/proc/vt_0000000103"), std::string::npos)
      << made.error().ToString();
}

TEST_P(RealServer, ReplicatesPromotesAndTurnsRound) {
  Instance& a = servers.Add(100);
  Instance& b = servers.Add(101);
  Replication on_a(a.admin(), a.options().programs.version),
      on_b(b.admin(), b.options().programs.version);

  auto none = servers.Await(on_a.Replica(InTest()));
  ASSERT_OK(none);
  EXPECT_FALSE(none->has_value());
  auto empty = servers.Await(on_a.Position(InTest()));
  ASSERT_OK(empty);
  EXPECT_TRUE(empty->Empty()) << empty->ToString();

  // b follows a with semi-sync, a writes.
  ASSERT_OK(servers.Await(on_b.SetSemiSyncReplica(true, true, InTest())));
  ASSERT_OK(servers.Await(on_b.SetSource(SourceOf(a), InTest())));
  ASSERT_OK(servers.Await(on_b.Start(InTest())));
  ASSERT_OK(servers.Await(on_a.SetSemiSyncSource(true, 1, InTest())));
  ASSERT_OK(servers.Await(on_a.SetReadOnly(false, InTest())));
  EXPECT_EQ(servers.Ask(a, "CREATE DATABASE vt_ks"), "");
  EXPECT_EQ(servers.Ask(a, "CREATE TABLE vt_ks.t (id INT PRIMARY KEY)"), "");
  EXPECT_EQ(servers.Ask(a,
                        "CREATE DEFINER = 'vt_dba'@'localhost' EVENT vt_ks.e ON SCHEDULE EVERY 1 "
                        "DAY DO SET @nothing = 1"),
            "");
  EXPECT_EQ(servers.Ask(a, "INSERT INTO vt_ks.t VALUES (1)"), "");
  auto position = servers.Await(on_a.Position(InTest()));
  ASSERT_OK(position);
  EXPECT_FALSE(position->Empty());
  ASSERT_OK(servers.Await(on_b.WaitForPosition(*position, InTest())));
  auto status = servers.Await(on_b.Replica(InTest()));
  ASSERT_OK(status);
  ASSERT_TRUE(status->has_value());
  EXPECT_TRUE((*status)->running());
  EXPECT_TRUE((*status)->auto_position);
  EXPECT_EQ((*status)->source_port, a.options().config.port);
  EXPECT_TRUE((*status)->executed.Contains(*position));
  auto semi = servers.Await(on_a.GetSemiSync(InTest()));
  ASSERT_OK(semi);
  EXPECT_TRUE(semi->source_active);
  EXPECT_EQ(semi->replicas, 1u);
  EXPECT_EQ(semi->timeout_ms, kSemiSyncTimeoutMs);
  auto binlog = servers.Await(on_a.Primary(InTest()));
  ASSERT_OK(binlog);
  EXPECT_NE(binlog->file.file, "");

  // Received and not applied: the applier is held by a lock, a writes on, then all is applied from
  // the relay log.
  auto locker = servers.Await(mysql::Connection::Connect(b.DbaConnectOptions(), InTest()));
  ASSERT_OK(locker);
  ASSERT_OK(servers.Await((*locker)->Query("LOCK TABLES vt_ks.t READ", InTest())));
  EXPECT_EQ(servers.Ask(a, "INSERT INTO vt_ks.t VALUES (2)"), "");
  ASSERT_OK(servers.Await(on_b.StopIo(InTest())));
  status = servers.Await(on_b.Replica(InTest()));
  ASSERT_OK(status);
  position = servers.Await(on_a.Position(InTest()));
  EXPECT_TRUE((*status)->received.Contains(*position))
      << (*status)->received.ToString() << " " << position->ToString();
  EXPECT_FALSE((*status)->executed.Contains(*position));
  ASSERT_OK(servers.Await((*locker)->Query("UNLOCK TABLES", InTest())));
  auto applied = servers.Await(on_b.WaitForRelayLog(InTest()));
  ASSERT_OK(applied);
  EXPECT_TRUE(applied->Contains(*position));

  // Promotion of b; a turns round and follows.
  ASSERT_OK(servers.Await(on_a.SetSemiSyncSource(false, 1, InTest())));
  ASSERT_OK(servers.Await(on_a.SetReadOnly(true, InTest())));
  auto read_only = servers.Await(on_a.GetReadOnly(InTest()));
  ASSERT_OK(read_only);
  EXPECT_TRUE(read_only->read_only && read_only->super_read_only);
  ASSERT_OK(servers.Await(on_b.ForgetSource(InTest())));
  ASSERT_OK(servers.Await(on_b.SetReadOnly(false, InTest())));
  ASSERT_OK(servers.Await(on_b.EnableEvents(InTest())));
  EXPECT_EQ(servers.Ask(b, "SELECT CONCAT(status, ' ', definer) FROM information_schema.events"),
            "ENABLED vt_dba@localhost");
  EXPECT_EQ(servers.Ask(b, "INSERT INTO vt_ks.t VALUES (3)"), "");
  ASSERT_OK(servers.Await(on_a.SetSource(SourceOf(b), InTest())));
  ASSERT_OK(servers.Await(on_a.Start(InTest())));
  position = servers.Await(on_b.Position(InTest()));
  ASSERT_OK(position);
  ASSERT_OK(servers.Await(on_a.WaitForPosition(*position, InTest())));
  EXPECT_EQ(servers.Ask(a, "SELECT COUNT(*) FROM vt_ks.t"), "3");
  EXPECT_EQ(*servers.Await(on_a.Position(InTest())), *position);

  // What is not there yet is waited for until the deadline, and no longer.
  gtid::Set future = *position;
  gtid::Gtid next = *position->Last();
  next.sequence += 1000;
  future.Add(next);
  Status waited = servers.Await(on_a.WaitForPosition(future, InTest(300ms)));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code(), Code::kDeadlineExceeded) << waited.error().ToString();

  // A fresh history for a server that is seeded anew.
  ASSERT_OK(servers.Await(on_a.ResetHistory(*position, InTest())));
  EXPECT_EQ(*servers.Await(on_a.Position(InTest())), *position);
}

INSTANTIATE_TEST_SUITE_P(Flavors, RealServer,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

}  // namespace
}  // namespace paceline::mysqld
