// vttablet/query/testing.h - a query server before a real mysqld of either flavor, and statements
// to run on it from a test's own thread. For tests.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <map>

#include "mysql/wire/codec.h"
#include "mysql/wire/packet_walk.h"
#include "mysqld/testing.h"
#include "vttablet/query/query_server.h"

namespace paceline::vttablet {

using namespace std::chrono_literals;
using mysql::wire::Terminator;

class RowsSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t count, std::string_view packets) override {
    column_count = count;
    ++metadata;
    mysql::wire::PacketWalk walk(packets);
    std::string_view body;
    uint64_t seen = 0;
    while (walk.Next(&body)) ++seen;
    EXPECT_TRUE(walk.AtEnd());
    EXPECT_EQ(seen, count + 1);
  }
  void OnRows(std::string_view bytes) override {
    row_bytes += bytes.size();
    if (keep) rows.append(bytes);
  }
  void OnEnd(const Terminator& end, bool last) override {
    ends.push_back(end);
    EXPECT_FALSE(ended) << "a second last end";
    ended = last;
  }
  void OnPrepared(uint16_t parameter_count, std::string_view, uint16_t count, std::string_view,
                  uint16_t) override {
    parameters = parameter_count;
    column_count = count;
    prepared = true;
  }
  bool Full() const override { return full; }
  io::Task<Status> WaitNotFull(Deadline deadline) override {
    bool was = co_await not_full.Wait(deadline);
    if (!was) co_return Fail(Code::kDeadlineExceeded, "full");
    co_return Status();
  }
  // The first field of the first row, of the text protocol.
  std::string First() const {
    mysql::wire::PacketWalk walk(rows);
    std::string_view body;
    if (!walk.Next(&body)) return "no row";
    mysql::wire::Reader row(body);
    if (row.Peek() == 0xfb) return "NULL";
    return std::string(row.LenencBytes());
  }
  const Terminator& end() const { return ends.back(); }

  uint64_t column_count = 0, row_bytes = 0;
  int metadata = 0;
  uint16_t parameters = 0;
  bool prepared = false, ended = false, keep = true, full = false;
  std::string rows;
  std::vector<Terminator> ends;
  io::Event not_full;
};

struct Statement {
  port::QueryRequest request;
  std::string text, parameters;
  RowsSink sink;
  port::Cancel cancel;
  std::optional<Result<port::QueryEnd>> end;

  uint64_t pinned() const { return (*end)->pinned_id; }
  std::string error() const { return *end ? "" : end->error().message(); }
  Code code() const { return *end ? Code::kOk : end->error().code(); }
};

class QueryServerFixture : public ::testing::TestWithParam<gtid::Flavor> {
 protected:
  static void TearDownTestSuite() { servers_.clear(); }
  void SetUp() override {
    auto& known = servers_[GetParam()];
    if (known == nullptr) {
      known = std::make_unique<mysqld::TestServers>(GetParam());
      if (known->available()) {
        instance_of_[GetParam()] = &known->Add(1);
        for (const char* sql : {"SET GLOBAL read_only = 0", "CREATE DATABASE vt_ks",
                                "SET GLOBAL max_allowed_packet = 1024*1024*256",
                                "CREATE TABLE vt_ks.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)",
                                "CREATE TABLE vt_ks.big (id INT PRIMARY KEY, b LONGBLOB)"}) {
          known->Ask(*instance_of_[GetParam()], sql);
        }
      }
    }
    if (!known->available()) GTEST_SKIP() << "no server of this flavor on this machine";
    servers = known.get();
    instance = instance_of_[GetParam()];
    if (mysql()) servers->Ask(*instance, "SET GLOBAL super_read_only = 0");
    servers->Ask(*instance, "SET GLOBAL read_only = 0");
    options.alias = {"zone1", 1};
    options.keyspace = "ks";
    options.shard = "0";
    options.pool.mysqld.address = io::Address::Unix(instance->layout().socket());
    options.pool.mysqld.user = "vt_app";
    options.pool.mysqld.database = "vt_ks";
    options.pool.statements = 2;
    options.pool.transactions = 2;
  }
  void TearDown() override {
    if (server != nullptr) Finish(server->Close());
    server.reset();
  }
  bool mysql() const { return GetParam() == gtid::Flavor::kMysql; }
  QueryServer& Serve() {
    server = std::make_unique<QueryServer>(servers->loop, options);
    server->SetServing(record::TabletType::kPrimary, true, "", 1);
    return *server;
  }
  static io::Task<int> AsValue(io::Task<void> task) {
    co_await task;
    co_return 0;
  }
  void Finish(io::Task<void> task) { servers->Await(AsValue(std::move(task))); }

  static io::Task<void> RunTo(QueryServer* server, Statement* statement, Deadline deadline) {
    Result<port::QueryEnd> end =
        co_await server->Execute(statement->request, statement->sink, deadline);
    statement->end = std::move(end);
  }
  Statement& Start(std::string text, std::function<void(port::QueryRequest&)> change = {},
                   Duration time = 20s) {
    statements.push_back(std::make_unique<Statement>());
    Statement& one = *statements.back();
    one.text = std::move(text);
    one.request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    one.request.text = one.text;
    one.request.cancel = &one.cancel;
    if (change) change(one.request);
    Deadline deadline = Deadline::In(time);
    servers->loop.Post(
        [this, at = &one, deadline] { io::Detach(RunTo(server.get(), at, deadline)); });
    return one;
  }
  Statement& Run(std::string text, std::function<void(port::QueryRequest&)> change = {},
                 Duration time = 20s) {
    Statement& one = Start(std::move(text), std::move(change), time);
    EXPECT_TRUE(Wait(one));
    return one;
  }
  bool Wait(Statement& one) {
    return servers->Until([&one] { return one.end.has_value(); });
  }
  // On the loop.
  void Do(std::function<void()> work) {
    bool done = false;
    servers->loop.Post([&] {
      work();
      done = true;
    });
    servers->Until([&] { return done; });
  }
  static std::function<void(port::QueryRequest&)> Pinned(uint64_t id) {
    return [id](port::QueryRequest& request) { request.pinned_id = id; };
  }
  static void Begin(port::QueryRequest& request) { request.begin = "start transaction"; }
  static port::SettingsPtr SettingsOf(std::string apply) {
    uint64_t id = std::hash<std::string>()(apply) | 1;
    return std::make_shared<port::Settings>(port::Settings{id, std::move(apply)});
  }
  void EnableSemiSync(bool on) {
    std::string set = std::string("SET GLOBAL rpl_semi_sync_") + (mysql() ? "source" : "master");
    if (on)
      servers->Ask(*instance, set + (mysql() ? "_wait_no_replica = 1" : "_wait_no_slave = 1"));
    if (on) servers->Ask(*instance, set + "_timeout = 100000000");
    servers->Ask(*instance, set + "_enabled = " + (on ? "1" : "0"));
  }

  static inline std::map<gtid::Flavor, std::unique_ptr<mysqld::TestServers>> servers_;
  static inline std::map<gtid::Flavor, mysqld::Instance*> instance_of_;
  mysqld::TestServers* servers = nullptr;
  mysqld::Instance* instance = nullptr;
  QueryServerOptions options;
  std::unique_ptr<QueryServer> server;
  std::vector<std::unique_ptr<Statement>> statements;
};

}  // namespace paceline::vttablet
