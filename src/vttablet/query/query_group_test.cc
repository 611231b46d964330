#include "vttablet/query/query_group.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/blocking.h"
#include "mysqld/testing.h"

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;

class NoSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator&, bool) override {}
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
};

// The error's text; empty: it ran.
io::Task<std::string> Run(QueryServer* server, record::TabletType type, std::string text) {
  NoSink sink;
  port::QueryRequest request;
  request.target = {"ks", "0", type, ""};
  request.text = text;
  Result<port::QueryEnd> end = co_await server->Execute(request, sink, Deadline::In(20s));
  co_return end ? "" : end.error().message();
}

// A statement on one loop of the group, asked from the home loop.
struct Ran {
  std::string text;
  io::Event done;
};
void Start(QueryGroup* group, size_t i, record::TabletType type, std::string text, Ran* ran) {
  io::Loop* home = &io::Loop::Current();
  std::function<io::Task<std::string>()> make = [group, i, type, text] {
    return Run(&group->server(i), type, text);
  };
  std::function<void(std::string)> take = [ran, home](std::string answer) {
    home->Post([ran, answer] {
      ran->text = answer;
      ran->done.Set();
    });
  };
  io::StartOn(group->loop(i), std::move(make), std::move(take));
}

io::Task<bool> Scenario(QueryGroup* group) {
  for (bool serving : {false, true}) {
    co_await group->SetServing(record::TabletType::kPrimary, serving, "", 1);
    for (size_t i = 0; i < group->size(); ++i) {
      Ran ran;
      Start(group, i, record::TabletType::kReplica, "", &ran);
      bool ended = co_await ran.done.Wait(Deadline::In(5s));
      EXPECT_TRUE(ended);
      EXPECT_EQ(ran.text, serving ? "wrong tablet type: REPLICA, want: PRIMARY or []"
                                  : "operation not allowed in state NOT_SERVING");
    }
  }
  bool drained = co_await group->Drain(Deadline::In(5s));
  EXPECT_TRUE(drained);
  EXPECT_EQ(group->Totals().refused, 4);
  co_await group->Close();
  co_return true;
}

TEST(QueryGroup, WhatTheManagerSaysHoldsOnEveryLoop) {
  io::Loop home, other;
  QueryServerOptions options;
  options.keyspace = "ks";
  options.shard = "0";
  options.pool.mysqld.address = io::Address::Unix("/nonexistent/mysql.sock");
  std::thread thread;
  {
    QueryGroup group({&home, &other}, options);
    thread = std::thread([&] { other.Run(); });
    EXPECT_TRUE(io::RunUntilDone(home, Scenario(&group)));
    other.Stop();
    thread.join();
  }
}

io::Task<void> RunAll(QueryGroup* group, std::vector<size_t> loops, std::string text) {
  std::vector<std::unique_ptr<Ran>> all;
  for (size_t i : loops) {
    all.push_back(std::make_unique<Ran>());
    Start(group, i, record::TabletType::kPrimary, text, all.back().get());
  }
  for (auto& ran : all) {
    bool ended = co_await ran->done.Wait(Deadline::In(20s));
    EXPECT_TRUE(ended);
    EXPECT_EQ(ran->text, "");
  }
}

io::Task<bool> Borrow(QueryGroup* group) {
  co_await group->SetServing(record::TabletType::kPrimary, true, "", 1);
  // One loop alone has all of the capacity.
  std::vector<size_t> loops = {1, 1, 1};
  co_await RunAll(group, loops, "SELECT SLEEP(0.2)");
  EXPECT_EQ(group->Totals().connections, 3);
  EXPECT_EQ(group->Totals().waits, 0);
  // All idle connections are its own: another loop gets their places.
  loops = {0, 0};
  co_await RunAll(group, loops, "SELECT SLEEP(0.2)");
  EXPECT_EQ(group->Totals().waits, 0);
  EXPECT_LE(group->Totals().connections, 4);
  // More than there is, from both: the bound holds, and each is served.
  loops = {0, 1, 0, 1, 0, 1, 0, 1};
  co_await RunAll(group, loops, "SELECT SLEEP(0.1)");
  EXPECT_GT(group->Totals().waits, 0);
  EXPECT_LE(group->Totals().connections, 4);
  EXPECT_EQ(group->Totals().waiting, 0);
  co_await group->Close();
  co_return true;
}

TEST(QueryGroup, AnyLoopMayUseAllOfTheCapacity) {
  mysqld::TestServers servers(gtid::Flavor::kMariadb);
  if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
  mysqld::Instance& instance = servers.Add(1);
  QueryServerOptions options;
  options.keyspace = "ks";
  options.shard = "0";
  options.pool.mysqld.address = io::Address::Unix(instance.layout().socket());
  options.pool.mysqld.user = "vt_app";
  options.pool.statements = 3;
  options.pool.transactions = 1;
  options.pool.streams = 0;
  io::Loop other;
  std::thread thread;
  {
    QueryGroup group({&servers.loop, &other}, options);
    thread = std::thread([&] { other.Run(); });
    EXPECT_TRUE(io::RunUntilDone(servers.loop, Borrow(&group)));
    other.Stop();
    thread.join();
  }
}

}  // namespace
}  // namespace paceline::vttablet
