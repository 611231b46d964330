// The administrative adapters, each end to end in process.
#include <gtest/gtest.h>

#include "io/sync.h"
#include "mysqlctl.pb.h"
#include "paceline_agent.pb.h"
#include "rpc/mysqlctl.h"
#include "rpc/tablet_manager.h"
#include "rpc/testing.h"
#include "rpc/vtctld.h"
#include "tabletmanagerdata.pb.h"
#include "vtctldata.pb.h"

namespace paceline::rpc {
namespace {

struct FakeManager final : port::TabletManager {
  io::Task<Status> Ping(const tabletmanagerdata::PingRequest& request,
                        tabletmanagerdata::PingResponse& response, Deadline) override {
    response.set_payload(request.payload());
    co_return Status();
  }
  io::Task<Status> Promote(const agent::PromoteRequest& request, agent::PromoteResponse& response,
                           Deadline) override {
    if (request.term() < 7)
      co_return Fail(Code::kFailedPrecondition, "term {} is below the promised 7", request.term());
    response.mutable_state()->set_promised_term(request.term());
    co_return Status();
  }
};

TEST(TabletManagerRpc, BothServices) {
  FakeManager manager;
  Pair pair;
  AddTabletManager(pair.server, pair.server_loop, manager);
  pair.Start();
  std::unique_ptr<port::TabletManager> client = NewTabletManagerClient(pair.channel());

  tabletmanagerdata::PingRequest ping;
  ping.set_payload("are you there");
  tabletmanagerdata::PingResponse pong;
  ASSERT_TRUE(pair.Await(client->Ping(ping, pong, Deadline::In(10s))));
  EXPECT_EQ(pong.payload(), "are you there");

  agent::PromoteRequest promote;
  promote.set_term(6);
  agent::PromoteResponse promoted;
  Status refused = pair.Await(client->Promote(promote, promoted, Deadline::In(10s)));
  EXPECT_EQ(refused.error().code(), Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().message(), "term 6 is below the promised 7");
  promote.set_term(8);
  ASSERT_TRUE(pair.Await(client->Promote(promote, promoted, Deadline::In(10s))));
  EXPECT_EQ(promoted.state().promised_term(), 8u);

  tabletmanagerdata::SleepRequest sleep;
  tabletmanagerdata::SleepResponse slept;
  Status missing = pair.Await(client->Sleep(sleep, slept, Deadline::In(10s)));
  EXPECT_EQ(missing.error().code(), Code::kUnimplemented);
  EXPECT_EQ(missing.error().message(), "TabletManager.Sleep is not offered here");
}

struct FakeVtctld final : port::Vtctld {
  io::Task<Status> GetKeyspace(const vtctldata::GetKeyspaceRequest& request,
                               vtctldata::GetKeyspaceResponse& response, Deadline) override {
    response.mutable_keyspace()->set_name(request.keyspace());
    co_return Status();
  }
  io::Task<Status> ExecuteVtctlCommand(std::vector<std::string> args, port::CommandOutput& output,
                                       Deadline) override {
    output.Log("running " + args.at(0));
    for (const std::string& arg : args) output.Print(arg + "\n");
    output.Print(std::string(3'000'000, '.'));
    if (args.size() > 2) co_return Fail(Code::kInvalidArgument, "too many arguments");
    co_return Status();
  }
};

struct Captured final : port::CommandOutput {
  void Print(std::string_view text) override { printed += text; }
  void Log(std::string_view line) override { logged += line; }
  std::string printed, logged;
};

TEST(VtctldRpc, CallsAndCommands) {
  FakeVtctld vtctld;
  Pair pair;
  AddVtctld(pair.server, pair.server_loop, vtctld);
  pair.Start();
  std::unique_ptr<port::Vtctld> client = NewVtctldClient(pair.channel());

  vtctldata::GetKeyspaceRequest request;
  request.set_keyspace("commerce");
  vtctldata::GetKeyspaceResponse response;
  ASSERT_TRUE(pair.Await(client->GetKeyspace(request, response, Deadline::In(10s))));
  EXPECT_EQ(response.keyspace().name(), "commerce");

  Captured output;
  Status ok = pair.Await(
      client->ExecuteVtctlCommand({"ListAllTablets", "zone1"}, output, Deadline::In(10s)));
  ASSERT_TRUE(ok) << ok.error().message();
  EXPECT_EQ(output.logged, "running ListAllTablets");
  EXPECT_TRUE(output.printed.starts_with("ListAllTablets\nzone1\n..."));
  EXPECT_EQ(output.printed.size(), 3'000'000 + 21u);

  Captured failing;
  Status failed =
      pair.Await(client->ExecuteVtctlCommand({"a", "b", "c"}, failing, Deadline::In(10s)));
  EXPECT_EQ(failed.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(failing.printed.size(), 3'000'000 + 6u);
}

struct FakeAgent final : port::Mysqlctl {
  io::Task<Status> VersionString(const ::mysqlctl::VersionStringRequest&,
                                 ::mysqlctl::VersionStringResponse& response, Deadline) override {
    response.set_version("mysqld  Ver 9.7.4");
    co_return Status();
  }
  io::Task<Status> WatchMysqld(port::MysqldStateSink& sink, Deadline deadline) override {
    for (;;) {
      sink.OnState(state);
      bool changed = co_await changes.Wait(deadline);
      if (!changed) co_return Fail(Code::kDeadlineExceeded, "no change");
    }
  }
  io::Task<Status> SetRole(bool primary, Deadline) override {
    state.held = primary;
    changes.Pulse();
    co_return Status();
  }
  io::Task<Status> Keep(Deadline) override {
    co_return Fail(Code::kFailedPrecondition, "mysqld is not held");
  }
  port::MysqldState state{
      .running = true, .pid = 42, .start_count = 3, .last_exit = "signal 9", .held = false};
  io::Event changes;
};

struct SeenStates final : port::MysqldStateSink {
  void OnState(const port::MysqldState& state) override {
    last = state;
    ++count;
    if (on_state) on_state();
  }
  port::MysqldState last;
  int count = 0;
  std::function<void()> on_state;
};

TEST(MysqlctlRpc, CallsAndWatch) {
  FakeAgent agent;
  Pair pair;
  AddMysqlctl(pair.server, pair.server_loop, agent);
  pair.Start();
  std::unique_ptr<port::Mysqlctl> client = NewMysqlctlClient(pair.channel());

  ::mysqlctl::VersionStringRequest request;
  ::mysqlctl::VersionStringResponse response;
  ASSERT_TRUE(pair.Await(client->VersionString(request, response, Deadline::In(10s))));
  EXPECT_EQ(response.version(), "mysqld  Ver 9.7.4");
  EXPECT_EQ(pair.Await(client->Keep(Deadline::In(10s))).error().message(), "mysqld is not held");

  struct Flow {
    static io::Task<void> Change(port::Mysqlctl& client) {
      Status status = co_await client.SetRole(true, Deadline::In(10s));
      EXPECT_TRUE(status);
    }
  };
  SeenStates seen;
  seen.on_state = [&] {
    if (seen.count == 1) io::Detach(Flow::Change(*client));
    if (seen.last.held) io::Detach(pair.channel()->Close());
  };
  Status ended = pair.Await(client->WatchMysqld(seen, Deadline::In(20s)));
  EXPECT_EQ(ended.error().code(), Code::kCanceled) << ended.error().message();
  EXPECT_GE(seen.count, 2);
  EXPECT_EQ(seen.last.pid, 42);
  EXPECT_EQ(seen.last.start_count, 3u);
  EXPECT_EQ(seen.last.last_exit, "signal 9");
}

TEST(MysqlctlRpc, AWatchEndsWithItsDeadlineAndTheAgentGoesOn) {
  FakeAgent agent;
  Pair pair;
  AddMysqlctl(pair.server, pair.server_loop, agent);
  pair.Start();
  std::unique_ptr<port::Mysqlctl> client = NewMysqlctlClient(pair.channel());
  SeenStates seen;
  for (int i = 0; i < 20; ++i) {
    Status ended = pair.Await(client->WatchMysqld(seen, Deadline::In(10ms)));
    EXPECT_EQ(ended.error().code(), Code::kDeadlineExceeded) << ended.error().message();
  }
  ::mysqlctl::VersionStringRequest request;
  ::mysqlctl::VersionStringResponse response;
  EXPECT_TRUE(pair.Await(client->VersionString(request, response, Deadline::In(5s))));
}

}  // namespace
}  // namespace paceline::rpc
