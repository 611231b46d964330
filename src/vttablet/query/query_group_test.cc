#include "vttablet/query/query_group.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/blocking.h"

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

io::Task<std::string> Refusal(QueryServer* server) {
  NoSink sink;
  port::QueryRequest request;
  request.target = {"ks", "0", record::TabletType::kReplica, ""};
  Result<port::QueryEnd> end = co_await server->Execute(request, sink, Deadline::In(5s));
  co_return end ? "" : end.error().message();
}

io::Task<bool> Scenario(QueryGroup* group) {
  io::Loop* home = &io::Loop::Current();
  for (bool serving : {false, true}) {
    co_await group->SetServing(record::TabletType::kPrimary, serving, "", 1);
    for (size_t i = 0; i < group->size(); ++i) {
      std::string refusal;
      io::Event done;
      std::function<io::Task<std::string>()> make = [group, i] {
        return Refusal(&group->server(i));
      };
      std::function<void(std::string)> take = [&, home](std::string text) {
        home->Post([&, text] {
          refusal = text;
          done.Set();
        });
      };
      io::StartOn(group->loop(i), std::move(make), std::move(take));
      bool ended = co_await done.Wait(Deadline::In(5s));
      EXPECT_TRUE(ended);
      EXPECT_EQ(refusal, serving ? "wrong tablet type: REPLICA, want: PRIMARY or []"
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

}  // namespace
}  // namespace paceline::vttablet
