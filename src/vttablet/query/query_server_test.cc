// The query service against real servers of both flavors.
#include "vttablet/query/query_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>

#include "mysql/wire/codec.h"
#include "mysql/wire/packet_walk.h"
#include "mysqld/testing.h"

namespace paceline::vttablet {
namespace {

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

class QueryServerTest : public ::testing::TestWithParam<gtid::Flavor> {
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
    return servers->Until([&] { return one.end.has_value(); });
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
    std::string source = mysql() ? "source" : "master";
    std::string replica = mysql() ? "replica" : "slave";
    if (on) {
      servers->Ask(*instance,
                   "SET GLOBAL rpl_semi_sync_" + source + "_wait_no_" + replica + " = 1");
      servers->Ask(*instance, "SET GLOBAL rpl_semi_sync_" + source + "_timeout = 100000000");
    }
    servers->Ask(*instance,
                 "SET GLOBAL rpl_semi_sync_" + source + "_enabled = " + (on ? "1" : "0"));
  }

  static inline std::map<gtid::Flavor, std::unique_ptr<mysqld::TestServers>> servers_;
  static inline std::map<gtid::Flavor, mysqld::Instance*> instance_of_;
  mysqld::TestServers* servers = nullptr;
  mysqld::Instance* instance = nullptr;
  QueryServerOptions options;
  std::unique_ptr<QueryServer> server;
  std::vector<std::unique_ptr<Statement>> statements;
};

INSTANTIATE_TEST_SUITE_P(BothFlavors, QueryServerTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

TEST_P(QueryServerTest, RowsErrorsAndMoreResults) {
  Serve();
  Statement& select = Run("SELECT 42");
  ASSERT_TRUE(*select.end) << select.error();
  EXPECT_EQ(select.sink.First(), "42");
  EXPECT_EQ(select.sink.column_count, 1u);
  EXPECT_EQ(select.sink.end().row_count, 1u);
  EXPECT_EQ(select.pinned(), 0u);
  Statement& wrong = Run("SELEC 42");
  ASSERT_TRUE(*wrong.end);
  EXPECT_EQ(wrong.sink.end().error_number, 1064);
  Statement& two = Run("SELECT 1; SELECT 2, 3");
  ASSERT_EQ(two.sink.ends.size(), 2u);
  EXPECT_EQ(two.sink.metadata, 2);
  Statement& none = Run("SELECT 1 FROM t WHERE id < 0");
  EXPECT_EQ(none.sink.metadata, 1);
  EXPECT_EQ(none.sink.row_bytes, 0u);
  EXPECT_EQ(server->metrics().dials.value(), 1);
}

TEST_P(QueryServerTest, ATransactionStaysOnItsConnection) {
  Serve();
  Statement& first = Run("INSERT INTO t (v) VALUES (1)", Begin);
  ASSERT_TRUE(*first.end) << first.error();
  EXPECT_EQ(first.sink.ends.size(), 1u) << "BEGIN's OK must not be seen";
  EXPECT_GT(first.sink.end().last_insert_id, 0u);
  uint64_t id = first.pinned();
  ASSERT_NE(id, 0u);
  Statement& inside = Run("SELECT COUNT(*) FROM t WHERE v = 1", Pinned(id));
  EXPECT_EQ(inside.sink.First(), "1");
  EXPECT_EQ(inside.pinned(), id);
  Statement& outside = Run("SELECT COUNT(*) FROM t WHERE v = 1");
  EXPECT_EQ(outside.sink.First(), "0");
  Statement& commit = Run("COMMIT", Pinned(id));
  EXPECT_EQ(commit.pinned(), 0u);
  EXPECT_FALSE(commit.sink.end().gtid.empty()) << "the GTID of the own write";
  Statement& late = Run("SELECT 1", Pinned(id));
  EXPECT_EQ(late.code(), Code::kAborted);
  EXPECT_NE(late.error().find("committed or rolled back"), std::string::npos) << late.error();
  Statement& unknown = Run("SELECT 1", Pinned(7));
  EXPECT_EQ(unknown.error(), "transaction 7: not found");
  EXPECT_EQ(server->metrics().pinned.value(), 0);
  Run("DELETE FROM t");
}

TEST_P(QueryServerTest, ReleaseRollsBack) {
  Serve();
  uint64_t id = Run("INSERT INTO t (v) VALUES (2)", Begin).pinned();
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  EXPECT_TRUE(servers->Await(server->Release(target, id, Deadline::In(5s))));
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 2").sink.First(), "0");
  Statement& late = Run("SELECT 1", Pinned(id));
  EXPECT_NE(late.error().find("(released)"), std::string::npos) << late.error();
  EXPECT_TRUE(servers->Await(server->Release(target, id, Deadline::In(5s))));
}

TEST_P(QueryServerTest, AFailedStatementTellsWhetherTheTransactionLives) {
  Serve();
  uint64_t id = Run("INSERT INTO t (v) VALUES (3)", Begin).pinned();
  Statement& wrong = Run("SELECT * FROM no_such_table", Pinned(id));
  EXPECT_EQ(wrong.sink.end().error_number, 1146);
  EXPECT_EQ(wrong.pinned(), id);
  Statement& errors = Run("SHOW ERRORS", Pinned(id));
  EXPECT_EQ(errors.sink.First(), "Error") << "diagnostics survive on a pinned connection";
  // A DDL that fails has committed all the same.
  Statement& ddl = Run("CREATE TABLE t (id INT)", Pinned(id));
  EXPECT_EQ(ddl.sink.end().error_number, 1050);
  EXPECT_EQ(ddl.pinned(), 0u);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 3").sink.First(), "1");
  Run("DELETE FROM t");
  // A BEGIN that fails takes its statement with it.
  Statement& begin = Run("INSERT INTO t (v) VALUES (4)",
                         [](port::QueryRequest& request) { request.begin = "start transactio"; });
  EXPECT_EQ(begin.sink.end().error_number, 1064);
  EXPECT_EQ(begin.pinned(), 0u);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "0");
}

TEST_P(QueryServerTest, SettingsNeverReachAnotherSession) {
  Serve();
  auto ansi = SettingsOf("SET @@sql_mode = 'ANSI_QUOTES'");
  auto zone = SettingsOf("SET @@time_zone = '+03:00', @@sql_mode = 'NO_ZERO_DATE'");
  auto with = [](port::SettingsPtr settings) {
    return [settings](port::QueryRequest& request) { request.settings = settings; };
  };
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Run("SELECT @@sql_mode", with(ansi)).sink.First(), "ANSI_QUOTES");
    EXPECT_EQ(Run("SELECT @@time_zone", with(zone)).sink.First(), "+03:00");
    EXPECT_EQ(Run("SELECT @@time_zone", with(ansi)).sink.First(), "SYSTEM");
    EXPECT_EQ(Run("SELECT @@time_zone").sink.First(), "SYSTEM");
  }
  Statement& wrong = Run("SELECT 1", with(SettingsOf("SET @@no_such_variable = 1")));
  ASSERT_TRUE(*wrong.end) << wrong.error();
  EXPECT_EQ(wrong.sink.end().error_number, 1193);
}

TEST_P(QueryServerTest, StateThatASessionLeavesBehindIsCleaned) {
  options.pool.statements = 1;
  Serve();
  Run("SET @a = 7");
  EXPECT_EQ(Run("SELECT @a").sink.First(), "NULL");
  Run("SET @@sql_select_limit = 1");
  EXPECT_NE(Run("SELECT @@sql_select_limit").sink.First(), "1");
  Run("CREATE TEMPORARY TABLE tmp (a INT)");
  EXPECT_EQ(Run("SELECT * FROM tmp").sink.end().error_number, 1146);
  Run("USE mysql");
  EXPECT_EQ(Run("SELECT DATABASE()").sink.First(), "vt_ks");
  // A plain write is no such state: its connection is not reset.
  int64_t resets = server->metrics().resets.value();
  Run("INSERT INTO t (v) VALUES (5)");
  Run("DELETE FROM t");
  EXPECT_EQ(server->metrics().resets.value(), resets);
  EXPECT_LE(server->metrics().dials.value(), 2);
}

TEST_P(QueryServerTest, AReservedConnectionKeepsItsState) {
  Serve();
  Statement& set = Run("SET @a = 7", [](port::QueryRequest& request) { request.reserve = true; });
  uint64_t id = set.pinned();
  ASSERT_NE(id, 0u);
  EXPECT_EQ(Run("SELECT @a", Pinned(id)).sink.First(), "7");
  EXPECT_EQ(Run("SELECT @a").sink.First(), "NULL");
  Run("START TRANSACTION", Pinned(id));
  Statement& commit = Run("COMMIT", Pinned(id));
  EXPECT_EQ(commit.pinned(), id);
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  EXPECT_TRUE(servers->Await(server->Release(target, id, Deadline::In(5s))));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Run("SELECT @a").sink.First(), "NULL");
}

std::string OneInteger(uint64_t value) {
  std::string parameters("\0\1\0\0\0\0\1\x08\0", 9);
  mysql::wire::PutU64(&parameters, value);
  return parameters;
}

TEST_P(QueryServerTest, PreparedStatementsOnWhicheverConnection) {
  Serve();
  Statement& prepare = Run("SELECT ? + 1, id FROM t", [](port::QueryRequest& request) {
    request.kind = port::StatementKind::kPrepare;
  });
  ASSERT_TRUE(*prepare.end) << prepare.error();
  EXPECT_TRUE(prepare.sink.prepared);
  EXPECT_EQ(prepare.sink.parameters, 1);
  EXPECT_EQ(prepare.sink.column_count, 2u);
  Statement& wrong = Run(
      "SELEC ?", [](port::QueryRequest& request) { request.kind = port::StatementKind::kPrepare; });
  EXPECT_EQ(wrong.sink.end().error_number, 1064);
  std::string five = OneInteger(5);
  auto execute = [&](port::QueryRequest& request) {
    request.kind = port::StatementKind::kExecute;
    request.parameters = five;
  };
  for (int i = 0; i < 3; ++i) {
    // Two at once use two connections, each with its own statement id.
    Statement& hold = Start("SELECT SLEEP(0.05), ?", execute);
    Statement& other = Run("SELECT ? * 2", execute);
    EXPECT_EQ(other.sink.end().row_count, 1u);
    ASSERT_TRUE(Wait(hold));
    EXPECT_EQ(hold.sink.end().row_count, 1u) << hold.sink.end().message;
  }
  Statement& begin = Run("INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
    execute(request);
    request.begin = "start transaction";
  });
  ASSERT_TRUE(*begin.end) << begin.error();
  uint64_t id = begin.pinned();
  ASSERT_NE(id, 0u);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 5", Pinned(id)).sink.First(), "1");
  EXPECT_EQ(Run("ROLLBACK", Pinned(id)).pinned(), 0u);
  EXPECT_GT(server->metrics().prepare_hits.value(), 0);
  // After DDL the statement is prepared again, by mysqld or by us.
  Run("CREATE TABLE ddl (a INT)");
  Run("INSERT INTO ddl VALUES (1)");
  EXPECT_EQ(Run("SELECT *, ? FROM ddl", execute).sink.column_count, 2u);
  Run("ALTER TABLE ddl ADD COLUMN b INT");
  for (int i = 0; i < 3; ++i) {
    Statement& after = Run("SELECT *, ? FROM ddl", execute);
    EXPECT_EQ(after.sink.column_count, 3u);
    EXPECT_FALSE(after.sink.end().is_error());
  }
  Run("DROP TABLE ddl");
}

TEST_P(QueryServerTest, TheCacheOfPreparedStatementsIsBounded) {
  options.pool.statements = 1;
  options.pool.mysqld.prepared_statements = 4;
  Serve();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 10; ++i) {
      Run("SELECT " + std::to_string(i), [](port::QueryRequest& request) {
        request.kind = port::StatementKind::kExecute;
        request.parameters = std::string_view("\0\1\0\0\0", 5);
      });
    }
  }
  std::string open = servers->Ask(*instance, "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
  Statement& count = Run("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'");
  mysql::wire::Reader row(std::string_view(count.sink.rows).substr(4));
  row.LenencBytes();
  EXPECT_LE(std::stoi(std::string(row.LenencBytes())), 5);
}

TEST_P(QueryServerTest, PacketsOf16MegabytesAndMoreBothWays) {
  Serve();
  const size_t size = 40'000'000;
  for (size_t length : {size_t{0xffffff} - 2, size_t{0xffffff} - 1, size_t{0xffffff}, size}) {
    std::string long_text =
        "SELECT LENGTH('" + std::string(length - 17, 'x') + "')";  // body: command byte and this
    ASSERT_EQ(long_text.size(), length);
    Statement& up = Run(long_text);
    ASSERT_TRUE(*up.end) << up.error();
    EXPECT_EQ(up.sink.First(), std::to_string(length - 17)) << up.sink.end().message;
  }
  Statement& down = Run("SELECT REPEAT('y', " + std::to_string(size) + ")");
  ASSERT_TRUE(*down.end) << down.error();
  EXPECT_GT(down.sink.row_bytes, size);
  EXPECT_EQ(down.sink.end().row_count, 1u);
}

TEST_P(QueryServerTest, ASlowReaderOfAHundredMegabytesHoldsMysqldBack) {
  Serve();
  Run("DELETE FROM big");
  Run("INSERT INTO big VALUES (1, REPEAT('b', 1000000))");
  for (int i = 0; i < 7; ++i)
    Run("INSERT INTO big SELECT id + (SELECT COUNT(*) FROM big), b FROM big");
  Statement& slow = Start("SELECT b FROM big LIMIT 100", [](port::QueryRequest&) {});
  slow.sink.keep = false;
  slow.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return slow.sink.row_bytes > 0; }));
  EXPECT_EQ(Run("SELECT 1").sink.First(), "1");
  EXPECT_LT(slow.sink.row_bytes, 200'000u);
  Do([&] {
    slow.sink.full = false;
    slow.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(slow));
  EXPECT_GT(slow.sink.row_bytes, 100'000'000u);
  EXPECT_EQ(slow.sink.end().row_count, 100u);
  // A reader that goes away ends the statement.
  Statement& gone = Start("SELECT b FROM big a, (SELECT 1 UNION SELECT 2) x");
  gone.sink.keep = false;
  gone.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return gone.sink.row_bytes > 0; }));
  Do([&] {
    gone.cancel.Request();
    gone.sink.full = false;
    gone.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(gone));
  EXPECT_EQ(gone.code(), Code::kCanceled);
}

TEST_P(QueryServerTest, CancelAndDeadlineEndTheStatementOnTheServer) {
  Serve();
  Statement& sleep = Start("SELECT SLEEP(19)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Do([&] { sleep.cancel.Request(); });
  ASSERT_TRUE(Wait(sleep));
  EXPECT_EQ(sleep.code(), Code::kCanceled);
  EXPECT_EQ(server->metrics().kills.value(), 1);
  Statement& late = Run("SELECT SLEEP(19)", {}, 100ms);
  EXPECT_EQ(late.code(), Code::kDeadlineExceeded);
  EXPECT_FALSE(late.sink.ended);
  EXPECT_EQ(Run("SELECT 2").sink.First(), "2");
  // A transaction outlives a statement of it that was ended.
  uint64_t id = Run("INSERT INTO t (v) VALUES (6)", Begin).pinned();
  Statement& inside = Run("SELECT SLEEP(19)", Pinned(id), 100ms);
  EXPECT_EQ(inside.code(), Code::kDeadlineExceeded);
  Statement& after = Run("SELECT COUNT(*) FROM t WHERE v = 6", Pinned(id));
  EXPECT_EQ(after.sink.First(), "1") << after.error();
  EXPECT_EQ(Run("ROLLBACK", Pinned(id)).pinned(), 0u);
  // One that its session never learnt of does not stay.
  Statement& unborn = Run("SELECT SLEEP(19)", Begin, 100ms);
  EXPECT_EQ(unborn.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(server->metrics().pinned.value(), 0);
  EXPECT_EQ(server->metrics().closed_broken.value(), 0);
}

TEST_P(QueryServerTest, ASessionWaitingForAnAcknowledgementIsNeverKilled) {
  Serve();
  EnableSemiSync(true);
  Statement& write = Run("INSERT INTO t (v) VALUES (8)", {}, 200ms);
  EXPECT_EQ(write.code(), Code::kDeadlineExceeded);
  EXPECT_NE(write.error().find("semi-sync"), std::string::npos) << write.error();
  EXPECT_EQ(server->metrics().kills.value(), 0);
  EXPECT_EQ(server->metrics().kills_withheld.value(), 1);
  EXPECT_EQ(server->metrics().connections.value(), 1) << "its connection waits on";
  EnableSemiSync(false);
  EXPECT_TRUE(servers->Until([&] { return server->metrics().connections.value() == 0; }));
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 8").sink.First(), "1");
  Run("DELETE FROM t");
}

TEST_P(QueryServerTest, AFullPoolMakesWaitAndThenRefuses) {
  options.pool.statements = 1;
  options.pool.max_waiting = 1;
  Serve();
  Statement& holds = Start("SELECT SLEEP(0.4)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Statement& waits = Start("SELECT 1");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().waiting.value() == 1; }));
  Statement& refused = Run("SELECT 1");
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_NE(refused.error().find("waiter cap"), std::string::npos);
  Statement& transaction = Run("SELECT 2", Begin);  // its permits are others
  EXPECT_TRUE(*transaction.end) << transaction.error();
  ASSERT_TRUE(Wait(holds));
  ASSERT_TRUE(Wait(waits));
  EXPECT_EQ(waits.sink.First(), "1");
  Statement& again = Start("SELECT SLEEP(0.4)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Statement& timed_out = Run("SELECT 1", {}, 50ms);
  EXPECT_EQ(timed_out.code(), Code::kResourceExhausted);
  EXPECT_EQ(timed_out.error(), "connection pool timed out: no connection became free");
  ASSERT_TRUE(Wait(again));
}

TEST_P(QueryServerTest, AConnectionLostMidResult) {
  Serve();
  Run("REPLACE INTO big VALUES (1, REPEAT('b', 1000000))");
  Statement& slow = Start("SELECT b FROM big a, (SELECT 1 UNION SELECT 2 UNION SELECT 3) x");
  slow.sink.keep = false;
  slow.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return slow.sink.row_bytes > 0; }));
  std::string id = servers->Ask(
      *instance, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'vt_app' LIMIT 1");
  servers->Ask(*instance, "KILL " + id);
  Do([&] {
    slow.sink.full = false;
    slow.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(slow));
  // What was on its way may still have come; then the server's own words end it.
  EXPECT_TRUE(slow.code() == Code::kUnavailable || slow.sink.end().is_error()) << slow.error();
  EXPECT_EQ(Run("SELECT 1").sink.First(), "1");
}

TEST_P(QueryServerTest, IdleConnectionsThatDiedAreNotUsed) {
  Serve();
  Run("SELECT 1");
  servers->Ask(
      *instance,
      "KILL " + servers->Ask(
                    *instance,
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'vt_app' LIMIT 1"));
  uint64_t gone = 0;
  servers->Until([&] { return ++gone > 5; });
  Statement& next = Run("SELECT 2");
  ASSERT_TRUE(*next.end) << next.error();
  EXPECT_EQ(next.sink.First(), "2");
}

TEST_P(QueryServerTest, WarningsComeWithTheEnd) {
  Serve();
  Statement& select = Run("SELECT 1/0, CAST('x' AS SIGNED)");
  ASSERT_TRUE(*select.end) << select.error();
  EXPECT_GE((*select.end)->warnings.size(), 1u);
  EXPECT_EQ((*select.end)->warnings.back().level, "Warning");
  EXPECT_FALSE((*select.end)->warnings.back().message.empty());
  Run("INSERT INTO t (id, v) VALUES (1, 1)");
  auto found = [](port::QueryRequest& request) { request.found_rows = true; };
  EXPECT_EQ(Run("UPDATE t SET v = 1 WHERE id = 1").sink.end().affected_rows, 0u);
  EXPECT_EQ(Run("UPDATE t SET v = 1 WHERE id = 1", found).sink.end().affected_rows, 1u);
  Run("DELETE FROM t");
}

TEST_P(QueryServerTest, ATransactionThatStaysTooLongEnds) {
  options.transaction_timeout = 300ms;
  Serve();
  uint64_t id = Run("INSERT INTO t (v) VALUES (9)", Begin).pinned();
  EXPECT_TRUE(servers->Until([&] { return server->metrics().transactions_killed.value() == 1; }));
  Statement& late = Run("COMMIT", Pinned(id));
  EXPECT_EQ(late.code(), Code::kAborted);
  EXPECT_NE(late.error().find("exceeded timeout"), std::string::npos) << late.error();
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 9").sink.First(), "0");
  // While a statement runs too.
  uint64_t busy = Run("INSERT INTO t (v) VALUES (9)", Begin).pinned();
  Statement& sleep = Run("SELECT SLEEP(19)", Pinned(busy));
  EXPECT_EQ(sleep.code(), Code::kAborted);
  EXPECT_EQ(server->metrics().pinned.value(), 0);
}

TEST_P(QueryServerTest, StatesAndTheirTexts) {
  Serve();
  auto at = [](std::string keyspace, std::string shard, record::TabletType type) {
    return [=](port::QueryRequest& request) { request.target = {keyspace, shard, type, ""}; };
  };
  Statement& other = Run("SELECT 1", at("ks", "0", record::TabletType::kReplica));
  EXPECT_EQ(other.code(), Code::kClusterEvent);
  EXPECT_EQ(other.error(), "wrong tablet type: REPLICA, want: PRIMARY or []");
  EXPECT_EQ(Run("SELECT 1", at("no", "0", record::TabletType::kPrimary)).error(),
            "invalid keyspace no does not match expected ks");
  EXPECT_EQ(Run("SELECT 1", at("ks", "1", record::TabletType::kPrimary)).code(),
            Code::kClusterEvent);
  uint64_t id = Run("SELECT 1", Begin).pinned();
  ASSERT_NE(id, 0u) << Run("SELECT 1", Begin).error();
  Do([&] { server->SetServing(record::TabletType::kPrimary, false, "", 2); });
  EXPECT_EQ(Run("SELECT 1").error(), "operation not allowed in state NOT_SERVING");
  Do([&] { server->SetServing(record::TabletType::kReplica, true, "", 3); });
  Statement& gone = Run("SELECT 1", [&](port::QueryRequest& request) {
    request.pinned_id = id;
    request.target.type = record::TabletType::kReplica;
  });
  EXPECT_NE(gone.error().find("stopped serving"), std::string::npos) << gone.error();
}

TEST_P(QueryServerTest, WhatWasLetInUnderTheLeaseIsAnsweredUnderIt) {
  std::atomic<int64_t> until_ns = INT64_MAX;
  Serve().state().UseLease(&until_ns);
  Do([&] { server->SetServing(record::TabletType::kPrimary, true, "", 1, true); });
  Statement& late = Start("SELECT SLEEP(0.3)", Begin);
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  until_ns = 0;
  Do([&] { server->SetServing(record::TabletType::kPrimary, false, "gives way", 1); });
  ASSERT_TRUE(Wait(late));
  EXPECT_EQ(late.code(), Code::kUnavailable);
}

TEST_P(QueryServerTest, DrainWaitsAndThenKills) {
  Serve();
  uint64_t id = Run("INSERT INTO t (v) VALUES (10)", Begin).pinned();
  std::optional<bool> drained;
  auto drain = [](QueryServer* server, std::optional<bool>* out, Duration grace) -> io::Task<void> {
    bool in_time = co_await server->Drain(Deadline::In(grace));
    *out = in_time;
  };
  Do([&] { io::Detach(drain(server.get(), &drained, 10s)); });
  EXPECT_EQ(Run("SELECT 1").error(), "operation not allowed in state SHUTTING_DOWN");
  EXPECT_FALSE(drained.has_value());
  EXPECT_EQ(Run("COMMIT", Pinned(id)).pinned(), 0u);
  ASSERT_TRUE(servers->Until([&] { return drained.has_value(); }));
  EXPECT_TRUE(*drained);
  Do([&] { server->SetServing(record::TabletType::kPrimary, true, "", 1); });
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 10").sink.First(), "1");
  id = Run("DELETE FROM t", Begin).pinned();
  Statement& runs = Start("SELECT SLEEP(19)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  drained.reset();
  Do([&] { io::Detach(drain(server.get(), &drained, 100ms)); });
  ASSERT_TRUE(servers->Until([&] { return drained.has_value(); }));
  EXPECT_FALSE(*drained);
  EXPECT_EQ(runs.code(), Code::kUnavailable);
  EXPECT_EQ(server->metrics().pinned.value(), 0);
  Do([&] { server->SetServing(record::TabletType::kPrimary, true, "", 1); });
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "1")
      << "the killed transaction was rolled back";
  Run("DELETE FROM t");
}

class HealthList final : public port::HealthSink {
 public:
  void OnHealth(const port::TabletHealth& health) override { terms.push_back(health.term); }
  std::vector<uint64_t> terms;
};

TEST_P(QueryServerTest, HealthIsPushedAtOnceAndBeats) {
  options.health_beat = 50ms;
  Serve();
  HealthList list;
  std::optional<Status> ended;
  auto watch = [](QueryServer* server, HealthList* list,
                  std::optional<Status>* out) -> io::Task<void> {
    Status end = co_await server->StreamHealth(*list, Deadline::Never());
    *out = end;
  };
  Do([&] { io::Detach(watch(server.get(), &list, &ended)); });
  ASSERT_TRUE(servers->Until([&] { return list.terms.size() >= 3; }));
  Do([&] { server->SetHealth({.term = 7}); });
  ASSERT_TRUE(servers->Until([&] { return list.terms.back() == 7; }));
  Finish(server->Close());
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->error().code(), Code::kCanceled);
  server = nullptr;
}

TEST_P(QueryServerTest, ADeadMysqldIsARefusalNotAnUnknown) {
  Serve();
  Run("SELECT 1");
  ASSERT_OK(servers->Await(instance->Kill(mysqld::InTest())));
  Statement& refused = Run("SELECT 1");
  EXPECT_EQ(refused.code(), Code::kClusterEvent) << refused.error();
  ASSERT_OK(servers->Await(instance->Start({}, mysqld::InTest())));
  EXPECT_EQ(Run("SELECT 3").sink.First(), "3");
}

// The content comes from the client with the statement; never from a disk of ours.
TEST_P(QueryServerTest, LocalInfileWithoutContentLoadsNothing) {
  Serve();
  Statement& load = Run("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t");
  EXPECT_TRUE(load.sink.end().is_error() || load.sink.end().affected_rows == 0) << load.error();
  EXPECT_EQ(Run("SELECT 1").sink.First(), "1");
}

}  // namespace
}  // namespace paceline::vttablet
