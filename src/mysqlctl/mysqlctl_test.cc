#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mysqlctl.pb.h"
#include "mysqlctl/agent.h"
#include "mysqlctl/command.h"
#include "mysqlctl/folder_lock.h"
#include "mysqlctl/history.h"
#include "mysqld/folder.h"
#include "mysqld/testing.h"

namespace paceline::mysqlctl {
namespace {

using mysqld::InTest;

TEST(Position, ComparesAndAppends) {
  EXPECT_EQ(*PositionCommand("equal", "MariaDB/0-1-5", "MariaDB/0-1-5"), "true");
  EXPECT_EQ(*PositionCommand("at_least", "MariaDB/0-1-5", "MariaDB/0-2-4"), "false");
  EXPECT_EQ(*PositionCommand("at_least", "MariaDB/0-1-5", "MariaDB/0-1-4"), "true");
  const std::string uuid = "11111111-1111-1111-1111-111111111111";
  EXPECT_EQ(*PositionCommand("append", "MySQL56/" + uuid + ":1-4", "MySQL56/" + uuid + ":5"),
            "MySQL56/" + uuid + ":1-5");
  EXPECT_FALSE(PositionCommand("less", "MariaDB/0-1-5", "MariaDB/0-1-5"));
  EXPECT_FALSE(PositionCommand("equal", "nonsense", "MariaDB/0-1-5"));
}

TEST(Command, WrongInputIsOneLineAndNotZero) {
  Environment none = [](std::string_view) { return std::string(); };
  EXPECT_NE(MysqlctlMain({"dance"}, none), 0);
  EXPECT_NE(MysqlctlMain({"init"}, none), 0) << "no VTDATAROOT";
  EXPECT_NE(MysqlctlMain({"--no-such-flag", "init"}, none), 0);
  EXPECT_NE(MysqlctlMain({}, none), 0);
  EXPECT_EQ(MysqlctlMain({"--help"}, none), 0);
}

TEST(FolderLock, OneOwnerPerFolder) {
  const std::string root = "/tmp/paceline-lock-" + std::to_string(getpid());
  const mysqld::Layout layout = mysqld::Layout::ForTablet(root, 100);
  {
    auto first = FolderLock::Take(layout, "");
    ASSERT_OK(first);
    auto second = FolderLock::Take(layout, "");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
    EXPECT_NE(second.error().message().find(layout.dir), std::string::npos);
    EXPECT_NE(second.error().message().find(std::to_string(getpid())), std::string::npos);
    auto neighbour = FolderLock::Take(mysqld::Layout::ForTablet(root, 101), "");
    EXPECT_TRUE(neighbour);
  }
  {
    auto next = FolderLock::Take(layout, "");
    ASSERT_OK(next);
    ASSERT_OK(mysqld::RemoveTree(layout.dir));
    auto anew = FolderLock::Take(layout, "");
    EXPECT_TRUE(anew) << "a folder made anew is another one";
  }
  ASSERT_OK(mysqld::RemoveTree(root));
}

TEST(FolderLock, TheFileIsTheServersUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  const std::string root = "/tmp/paceline-lock-owner-" + std::to_string(getpid());
  const mysqld::Layout layout = mysqld::Layout::ForTablet(root, 100);
  struct stat file, folder;
  ASSERT_OK(FolderLock::Take(layout, "nobody"));
  ASSERT_EQ(stat(layout.lock_file().c_str(), &file), 0);
  ASSERT_EQ(stat(layout.dir.c_str(), &folder), 0);
  EXPECT_NE(file.st_uid, 0u);
  EXPECT_EQ(file.st_uid, folder.st_uid);
  ASSERT_OK(mysqld::RemoveTree(root));
}

TEST(Command, LeavesAFolderToTheMysqlctldThatRuns) {
  const std::string root = "/tmp/paceline-command-" + std::to_string(getpid());
  const mysqld::Layout layout = mysqld::Layout::ForTablet(root, 100);
  Environment environment = [root](std::string_view name) {
    return name == "VTDATAROOT" ? root : std::string();
  };
  {
    auto lock = FolderLock::Take(layout, "");
    ASSERT_OK(lock);
    std::ofstream(layout.my_cnf()) << "[mysqld]\n";
    EXPECT_NE(MysqlctlMain({"--tablet-uid=100", "teardown"}, environment), 0);
    EXPECT_TRUE(std::filesystem::exists(layout.my_cnf()));
  }
  EXPECT_EQ(MysqlctlMain({"--tablet-uid=100", "teardown"}, environment), 0);
  EXPECT_FALSE(std::filesystem::exists(layout.dir));
  EXPECT_NE(MysqlctlMain({"--tablet-uid=100", "teardown"}, environment), 0);
  EXPECT_FALSE(std::filesystem::exists(layout.dir)) << "made, only to be locked";
  ASSERT_OK(mysqld::RemoveTree(root));
}

TEST(Begin, RefusesTheDataOfTheOtherFlavor) {
  const std::string root = "/tmp/paceline-flavor-" + std::to_string(getpid());
  io::Loop loop;
  for (bool mariadb : {true, false}) {
    mysqld::InstanceOptions options;
    options.config.layout = mysqld::Layout::ForTablet(root, mariadb ? 100 : 101);
    options.programs.server = "/usr/sbin/mysqld";
    options.programs.version = *mysqld::ParseVersionText(mariadb ? "10.11.6-MariaDB" : "9.7.0");
    options.user = "nobody";
    const mysqld::Layout& layout = options.config.layout;
    std::filesystem::create_directories(layout.data());
    std::ofstream(layout.my_cnf()) << "[mysqld]\n";
    std::ofstream(layout.data() + (mariadb ? "/mysql.ibd" : "/aria_log_control")) << "x";
    Mysqlctld agent(loop, Options(), options);
    Status begun = io::RunUntilDone(loop, agent.Begin(InTest(5s)));
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code(), Code::kFailedPrecondition);
    for (const std::string& word : {std::string("MySQL"), std::string("MariaDB"), layout.data()})
      EXPECT_NE(begun.error().message().find(word), std::string::npos) << begun.error().message();
    EXPECT_FALSE(std::filesystem::exists(layout.error_log())) << "it was tried";
    EXPECT_TRUE(io::RunUntilDone(loop, agent.Stop(InTest(5s))));
  }
  ASSERT_OK(mysqld::RemoveTree(root));
}

class StatesSeen final : public port::MysqldStateSink {
 public:
  void OnState(const port::MysqldState& state) override {
    last = state;
    ++count;
  }
  port::MysqldState last;
  int count = 0;
};

// The agent with a watch, on a server of the machine.
class AgentTest : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    instance = servers.Options(100);
    NewAgent();
  }
  void TearDown() override {
    if (agent == nullptr) return;
    EXPECT_TRUE(servers.Await(agent->Stop(InTest(10s))));
    EXPECT_TRUE(servers.Until([this] { return watches == 0; }));
    pid_t pid = agent->state().pid;
    agent.reset();
    if (pid != 0) kill(pid, SIGKILL);
  }
  void NewAgent() { agent = std::make_unique<Mysqlctld>(servers.loop, Options(), instance); }
  static io::Task<void> Watch(Mysqlctld& agent, StatesSeen& seen, int& watches) {
    ++watches;
    Deadline end = Deadline::In(120s);
    Status ended = co_await agent.WatchMysqld(seen, end);
    EXPECT_EQ(ended.error().code(), Code::kCanceled);
    --watches;
  }
  void StartWatch() {
    servers.loop.Post([this] { io::Detach(Watch(*agent, seen, watches)); });
  }

  mysqld::TestServers servers{GetParam()};
  mysqld::InstanceOptions instance;
  StatesSeen seen;
  int watches = 0;
  std::unique_ptr<Mysqlctld> agent;
};

TEST_P(AgentTest, RestartsAReplicaHoldsAPrimaryAndOutlivesItself) {
  ASSERT_OK(servers.Await(agent->Begin(InTest())));
  StartWatch();
  ASSERT_TRUE(servers.Until([this] { return seen.last.running; }));
  pid_t first = seen.last.pid;

  // A replica that dies is back by itself.
  kill(first, SIGKILL);
  ASSERT_TRUE(servers.Until([&] { return !seen.last.running; }));
  EXPECT_EQ(seen.last.last_exit, "signal 9");
  EXPECT_FALSE(seen.last.held);
  ASSERT_TRUE(servers.Until([&] { return seen.last.running && seen.last.pid != first; }));
  EXPECT_EQ(seen.last.start_count, 2u);

  // A primary that dies is held, also from the next agent, until Keep.
  ASSERT_OK(servers.Await(agent->SetRole(true, InTest())));
  kill(seen.last.pid, SIGKILL);
  ASSERT_TRUE(servers.Until([&] { return seen.last.held; }));
  EXPECT_FALSE(seen.last.running);
  ::mysqlctl::StartRequest start;
  ::mysqlctl::StartResponse started;
  Status refused = servers.Await(agent->Start(start, started, InTest()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  ASSERT_OK(servers.Await(agent->Stop(InTest())));
  ASSERT_TRUE(servers.Until([this] { return watches == 0; }));
  NewAgent();
  ASSERT_OK(servers.Await(agent->Begin(InTest())));
  EXPECT_TRUE(agent->state().held);
  ASSERT_OK(servers.Await(agent->Keep(InTest())));
  EXPECT_TRUE(agent->state().running);
  EXPECT_FALSE(agent->state().held);

  // It is killed also where the disk takes no writes: that may be why.
  const std::string unwritable = instance.config.layout.dir + "/mysqld.role.new";
  std::filesystem::create_directory(unwritable);
  EXPECT_FALSE(servers.Await(agent->SetRole(true, InTest())));
  ASSERT_OK(servers.Await(agent->Kill(InTest())));
  EXPECT_FALSE(agent->state().running);
  EXPECT_TRUE(agent->state().held);
  std::filesystem::remove(unwritable);
  ASSERT_OK(servers.Await(agent->Keep(InTest())));

  // The agent goes and comes: mysqld does not notice.
  pid_t pid = agent->state().pid;
  ASSERT_OK(servers.Await(agent->Stop(InTest())));
  NewAgent();
  ASSERT_OK(servers.Await(agent->Begin(InTest())));
  EXPECT_EQ(agent->state().pid, pid);

  // What was asked for is no death.
  ASSERT_OK(servers.Await(agent->SetRole(false, InTest())));
  ::mysqlctl::ShutdownRequest shutdown;
  shutdown.set_wait_for_mysqld(true);
  ::mysqlctl::ShutdownResponse stopped;
  ASSERT_OK(servers.Await(agent->Shutdown(shutdown, stopped, InTest())));
  EXPECT_FALSE(agent->state().running);
  EXPECT_FALSE(agent->state().held);
  ASSERT_OK(servers.Await(agent->Start(start, started, InTest())));
  EXPECT_TRUE(agent->state().running);
}

TEST_P(AgentTest, RemembersWhetherItsLogMayBeCut) {
  std::filesystem::create_directories(instance.config.layout.dir);
  EXPECT_FALSE(agent->history().AllowsRewind());
  std::string log = instance.config.layout.error_log();
  std::ofstream(log) << "[Note] Semi-sync replication switched OFF.\n";
  port::SemiSyncNote on{.on = true, .acknowledgements = 1, .durable = true};
  ASSERT_TRUE(servers.Await(agent->NoteSemiSync(on, InTest(10s))));
  ASSERT_TRUE(servers.Await(agent->NoteSemiSync({.confirmed = true}, InTest(10s))));
  Mysqlctld next(servers.loop, Options(), instance);
  EXPECT_TRUE(next.history().AllowsRewind());
  EXPECT_FALSE(WasReleased(instance.config.layout, next.history())) << "that was before";
  std::ofstream(log, std::ios::app) << "[Note] Semi-sync replication disabled on the master.\n";
  EXPECT_TRUE(WasReleased(instance.config.layout, next.history()));
  std::ofstream(log) << "";
  EXPECT_TRUE(WasReleased(instance.config.layout, next.history())) << "nothing is known";
}

TEST_P(AgentTest, CommandLineMakesStopsAndRemoves) {
  std::string port = std::to_string(instance.config.port);
  Environment environment = [this](std::string_view name) -> std::string {
    if (name == "VTDATAROOT") return servers.root();
    if (name == "PACELINE_MYSQLD_USER") return instance.user;
    return "";
  };
  std::string program = "--mysqld=" + servers.programs().server;
  EXPECT_EQ(
      MysqlctlMain({"--tablet_uid", "200", "--mysql_port", port, "--bench-user", program, "init"},
                   environment),
      0);
  EXPECT_NE(
      MysqlctlMain({"--tablet_uid", "200", "--mysql_port", port, program, "init"}, environment), 0);
  EXPECT_EQ(MysqlctlMain({"-tablet_uid=200", "shutdown"}, environment), 0);
  EXPECT_EQ(MysqlctlMain({"--tablet-uid=200", program, "start"}, environment), 0);
  EXPECT_EQ(MysqlctlMain({"--tablet-uid=200", "teardown"}, environment), 0);
  EXPECT_TRUE(mysqld::IsEmptyFolder(servers.root() + "/vt_0000000200"));
  EXPECT_NE(MysqlctlMain({"--tablet-uid=200", "teardown"}, environment), 0);
}

INSTANTIATE_TEST_SUITE_P(Flavors, AgentTest,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

}  // namespace
}  // namespace paceline::mysqlctl
