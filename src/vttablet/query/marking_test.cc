// Whether the numbers of attempts are found again in the binary logs of real servers.
#include "vttablet/query/marking.h"

#include <gtest/gtest.h>

#include <map>

#include "mysql/binlog/marker.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet_walk.h"
#include "mysqld/testing.h"
#include "mysqld/written.h"
#include "vttablet/query/query_server.h"
#include "vttablet/query/table_acl.h"

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;
using mysql::wire::Terminator;
using Change = std::function<void(port::QueryRequest&)>;

class OneSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view bytes) override { rows.append(bytes); }
  void OnEnd(const Terminator& end, bool) override { ends.push_back(end); }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  std::string First() const {
    mysql::wire::PacketWalk walk(rows);
    std::string_view body;
    if (!walk.Next(&body)) return "no row";
    return std::string(mysql::wire::Reader(body).LenencBytes());
  }
  std::string rows;
  std::vector<Terminator> ends;
};

struct Ran {
  std::optional<Result<port::QueryEnd>> call;
  OneSink sink;
  const Terminator& end() const { return sink.ends.back(); }
};

constexpr uint32_t kFirst = port::kAttemptMin + 0x100;

class MarkingTest : public ::testing::TestWithParam<gtid::Flavor> {
 protected:
  static void TearDownTestSuite() { servers_.clear(); }
  void SetUp() override {
    auto& known = servers_[GetParam()];
    if (known == nullptr) {
      known = std::make_unique<mysqld::TestServers>(GetParam());
      if (known->available()) {
        instances_[GetParam()] = &known->Add(1);
        for (const char* sql :
             {"SET GLOBAL read_only = 0", "CREATE DATABASE vt_ks",
              "CREATE TABLE vt_ks.t (v INT, id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, s "
              "VARCHAR(300), d DECIMAL(20,6), j JSON, w DATETIME(3), UNIQUE (v))",
              "CREATE TABLE vt_ks.log (id INT PRIMARY KEY AUTO_INCREMENT, what TEXT)",
              "CREATE TABLE vt_ks.triggered (id INT PRIMARY KEY AUTO_INCREMENT, b BIT(9), e "
              "ENUM('a','b'), c CHAR(255) CHARACTER SET utf8mb4, f FLOAT, g DOUBLE, t TIME(6))",
              "CREATE TRIGGER vt_ks.tr AFTER INSERT ON vt_ks.triggered FOR EACH ROW INSERT INTO "
              "vt_ks.log (what) VALUES (NEW.c), (CONNECTION_ID())",
              "CREATE PROCEDURE vt_ks.p() BEGIN INSERT INTO vt_ks.log (what) VALUES ('called'); "
              "END"}) {
          std::string answer = known->Ask(*instances_[GetParam()], sql);
          EXPECT_TRUE(answer.empty() || answer == "0") << sql << ": " << answer;
        }
      }
    }
    if (!known->available()) GTEST_SKIP() << "no server of this flavor on this machine";
    servers = known.get();
    instance = instances_[GetParam()];
    servers->Ask(*instance, "DELETE FROM vt_ks.t");
    QueryServerOptions options;
    options.alias = {"zone1", 1};
    options.keyspace = "ks";
    options.shard = "0";
    options.pool.mysqld.address = io::Address::Unix(instance->layout().socket());
    options.pool.mysqld.user = "vt_app";
    options.pool.mysqld.database = "vt_ks";
    options.pool.statements = 1;
    options.pool.transactions = 1;
    server = std::make_unique<QueryServer>(servers->loop, options);
    server->SetServing(record::TabletType::kPrimary, true, "", 1);
  }
  void TearDown() override {
    if (server != nullptr) servers->Await(AsValue(server->Close()));
  }
  static io::Task<int> AsValue(io::Task<void> task) {
    co_await task;
    co_return 0;
  }
  static io::Task<int> Execute(QueryServer* server, const port::QueryRequest& request, Ran* ran) {
    Result<port::QueryEnd> end = co_await server->Execute(request, ran->sink, Deadline::In(20s));
    ran->call = std::move(end);
    co_return 0;
  }
  Ran Run(std::string text, Change change = {}) {
    Ran ran;
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    request.text = text;
    if (change) change(request);
    servers->Await(Execute(server.get(), request, &ran));
    EXPECT_TRUE(*ran.call) << text << ": " << ran.call->error().message();
    return ran;
  }
  // kOk when it ran, be it with mysqld's own error.
  Code CodeOf(std::string text, Change change = {}) {
    Ran ran;
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    request.text = text;
    if (change) change(request);
    servers->Await(Execute(server.get(), request, &ran));
    return *ran.call ? Code::kOk : ran.call->error().code();
  }
  Ran Write(uint32_t attempt, std::string text, Change change = {}) {
    Ran ran = Run(text, [&](port::QueryRequest& request) {
      request.attempt = attempt;
      if (change) change(request);
    });
    if (*ran.call) {
      EXPECT_EQ(ran.sink.ends.size(), 1u) << text;
      EXPECT_FALSE(ran.end().is_error()) << text << ": " << ran.end().message;
    }
    return ran;
  }
  static void Execute(port::QueryRequest& request) { request.kind = port::StatementKind::kExecute; }
  mysqld::WrittenLogs Read() {
    mysqld::WrittenOptions options;
    options.attempt_min = port::kAttemptMin;
    auto logs = mysqld::ReadWritten(instance->layout().bin_log_base() + ".index", options);
    EXPECT_TRUE(logs) << logs.error().message();
    return logs ? std::move(*logs) : mysqld::WrittenLogs();
  }
  std::vector<mysqld::AttemptWrite> Of(uint32_t attempt) {
    mysqld::WrittenLogs logs = Read();
    std::erase_if(logs.writes,
                  [attempt](const mysqld::AttemptWrite& one) { return one.attempt != attempt; });
    return logs.writes;
  }
  uint64_t CountOf(const mysqld::AttemptWrite& write, std::string_view table) {
    for (const auto& change : write.changes) {
      if (change.table == table) return change.inserted + change.updated + change.deleted;
    }
    return 0;
  }
  bool mysql() const { return GetParam() == gtid::Flavor::kMysql; }
  // Each test has numbers of its own.
  uint32_t Next() { return next_++; }

  static inline std::map<gtid::Flavor, std::unique_ptr<mysqld::TestServers>> servers_;
  static inline std::map<gtid::Flavor, mysqld::Instance*> instances_;
  static inline uint32_t next_ = kFirst;
  mysqld::TestServers* servers = nullptr;
  mysqld::Instance* instance = nullptr;
  std::unique_ptr<QueryServer> server;
};

INSTANTIATE_TEST_SUITE_P(BothFlavors, MarkingTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

std::string Parameter(uint64_t value) {
  std::string parameters("\0\1\0\0\0\0\1\x08\0", 9);
  mysql::wire::PutU64(&parameters, value);
  return parameters;
}

TEST_P(MarkingTest, TextInserts) {
  uint32_t attempt = Next();
  Ran ran = Write(attempt,
                  "INSERT INTO t (v, s, d, j, w) VALUES (1, REPEAT('x', 299), -12345.678901, "
                  "'{\"a\":1}', '2026-01-02 03:04:05.678'), (2, NULL, NULL, NULL, NULL)");
  EXPECT_EQ(ran.end().affected_rows, 2u);
  auto found = Of(attempt);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].gtid.ToString().empty(), false);
  EXPECT_EQ(found[0].statements, 1u);
  ASSERT_EQ(found[0].changes.size(), 1u);
  const auto& change = found[0].changes[0];
  EXPECT_EQ(change.table, "t");
  EXPECT_EQ(change.inserted, 2u);
  EXPECT_EQ(change.columns, 6u);
  // (column, value): v and the AUTO_INCREMENT column.
  ASSERT_EQ(change.first_row.size(), 2u);
  EXPECT_EQ(change.first_row[0], (std::pair<uint32_t, uint64_t>{1, 1}));
  EXPECT_EQ(change.first_row[1], (std::pair<uint32_t, uint64_t>{2, ran.end().last_insert_id}));
}

TEST_P(MarkingTest, UpdatesDeletesAndUpserts) {
  uint32_t insert = Next(), update = Next(), upsert = Next(), remove = Next();
  Write(insert, "INSERT INTO t (v) VALUES (1), (2), (3)");
  Ran updated = Write(update, "UPDATE t SET s = 'y' WHERE v < 3");
  EXPECT_EQ(updated.end().affected_rows, 2u);
  Ran upserted =
      Write(upsert, "INSERT INTO t (v) VALUES (3), (4) ON DUPLICATE KEY UPDATE s = 'dup'");
  EXPECT_EQ(upserted.end().affected_rows, 3u);
  Write(remove, "-- a comment\nDELETE FROM t WHERE v = 4 -- the last one");
  EXPECT_EQ(Of(update).at(0).changes.at(0).updated, 2u);
  EXPECT_EQ(Of(upsert).at(0).changes.at(0).updated, 1u);
  EXPECT_EQ(Of(upsert).at(0).changes.at(0).inserted, 1u);
  EXPECT_EQ(Of(remove).at(0).changes.at(0).deleted, 1u);
  EXPECT_EQ(Of(insert).size(), 1u);
}

TEST_P(MarkingTest, FoundRowsCountWhatWasFound) {
  uint32_t insert = Next(), update = Next();
  Change found = [](port::QueryRequest& request) { request.found_rows = true; };
  Write(insert, "INSERT INTO t (v, s) VALUES (1, 'y'), (2, 'y')", found);
  Ran ran = Write(update, "UPDATE t SET s = 'y'", found);
  EXPECT_EQ(ran.end().affected_rows, 2u);
  EXPECT_EQ(Of(update).size(), 0u) << "nothing changed, nothing is logged";
}

TEST_P(MarkingTest, PreparedWrites) {
  for (int i = 0; i < 3; ++i) {
    uint32_t attempt = Next();
    std::string parameters = Parameter(100 + static_cast<uint64_t>(i));
    Ran ran = Write(attempt, "INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
      Execute(request);
      request.parameters = parameters;
    });
    EXPECT_EQ(ran.end().affected_rows, 1u);
    auto found = Of(attempt);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(CountOf(found[0], "t"), 1u);
    EXPECT_EQ(found[0].changes[0].first_row[1].second, ran.end().last_insert_id);
  }
  // Errors are those of the statement.
  Ran twice = Run("INSERT INTO t (v) VALUES (100)", [&](port::QueryRequest& request) {
    Execute(request);
    request.attempt = Next();
    request.parameters = std::string_view("\0\1\0\0\0", 5);
  });
  EXPECT_EQ(twice.end().error_number, 1062);
  Ran wrong = Run("INSER INTO t (v) VALUES (100)", [&](port::QueryRequest& request) {
    Execute(request);
    request.attempt = Next();
    request.parameters = std::string_view("\0\1\0\0\0", 5);
  });
  EXPECT_EQ(wrong.end().error_number, 1064) << wrong.end().message;
  // And nothing else ran in its place.
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "3");
}

TEST_P(MarkingTest, ATransactionKeepsItsNumber) {
  uint32_t attempt = Next();
  Ran first = Write(attempt, "INSERT INTO t (v) VALUES (1)",
                    [](port::QueryRequest& request) { request.begin = "start transaction"; });
  uint64_t id = (*first.call)->pinned_id;
  ASSERT_NE(id, 0u);
  Change pinned = [id](port::QueryRequest& request) { request.pinned_id = id; };
  Run("INSERT INTO t (v) VALUES (2)", pinned);
  std::string parameters = Parameter(3);
  Run("INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
    Execute(request);
    request.pinned_id = id;
    request.parameters = parameters;
  });
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t", pinned).sink.First(), "3");
  Run("UPDATE t SET s = 'z'", pinned);
  Run("COMMIT", pinned);
  auto found = Of(attempt);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].statements, 4u);
  EXPECT_EQ(found[0].changes.at(0).inserted, 3u);
  EXPECT_EQ(found[0].changes.at(0).updated, 3u);

  uint32_t prepared_first = Next();
  std::string nine = Parameter(9);
  Ran begun =
      Write(prepared_first, "INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
        Execute(request);
        request.begin = "begin";
        request.parameters = nine;
      });
  uint64_t other = (*begun.call)->pinned_id;
  Run("COMMIT", [other](port::QueryRequest& request) { request.pinned_id = other; });
  EXPECT_EQ(Of(prepared_first).size(), 1u);
}

TEST_P(MarkingTest, WhatIsRolledBackIsNotThere) {
  uint32_t attempt = Next();
  Ran first = Write(attempt, "INSERT INTO t (v) VALUES (1)",
                    [](port::QueryRequest& request) { request.begin = "start transaction"; });
  uint64_t id = (*first.call)->pinned_id;
  Run("ROLLBACK", [id](port::QueryRequest& request) { request.pinned_id = id; });
  EXPECT_TRUE(Of(attempt).empty());
}

TEST_P(MarkingTest, UnmarkedWritesCarryNoNumber) {
  uint32_t attempt = Next();
  Write(attempt, "INSERT INTO t (v) VALUES (1)");
  Run("INSERT INTO t (v) VALUES (2)");
  std::string three = Parameter(3);
  Run("INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
    Execute(request);
    request.parameters = three;
  });
  EXPECT_EQ(Of(attempt).size(), 1u);
  // And what is unmarked is not told.
  std::string all = servers->Ask(
      *instance, mysql() ? "SELECT @@global.gtid_executed" : "SELECT @@global.gtid_binlog_state");
  gtid::Set position = *gtid::Set::Parse(GetParam(), all);
  gtid::Set told = Read().told;
  EXPECT_FALSE(told.Contains(position));
  EXPECT_TRUE(told.Contains(Of(attempt).at(0).gtid));
}

TEST_P(MarkingTest, TriggersBelongToTheirStatement) {
  uint32_t attempt = Next();
  Ran ran = Write(attempt,
                  "INSERT INTO triggered (b, e, c, f, g, t) VALUES (b'101', 'b', 'cc', 1.5, 2.5, "
                  "'10:11:12.5')");
  auto found = Of(attempt);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].statements, 1u);
  EXPECT_EQ(CountOf(found[0], "triggered"), 1u);
  EXPECT_EQ(CountOf(found[0], "log"), 2u);
  ASSERT_EQ(found[0].changes.at(0).table, "triggered");
  EXPECT_EQ(found[0].changes[0].first_row.at(0).second, ran.end().last_insert_id);
}

TEST_P(MarkingTest, Calls) {
  uint32_t attempt = Next();
  Run("CALL p()", [&](port::QueryRequest& request) { request.attempt = attempt; });
  auto found = Of(attempt);
  // MariaDB annotates the statements inside; what is not marked is not told either.
  EXPECT_EQ(found.size(), mysql() ? 1u : 0u);
  mysqld::WrittenLogs logs = Read();
  std::string all = servers->Ask(
      *instance, mysql() ? "SELECT @@global.gtid_executed" : "SELECT @@global.gtid_binlog_state");
  gtid::Gtid last = *gtid::Set::Parse(GetParam(), all)->Last();
  EXPECT_EQ(logs.told.Contains(last), mysql());
  EXPECT_EQ(logs.procedures.Contains(last), !mysql()) << "there a bit tells";

  // Neither the bit nor the number stays for what comes next, text or prepared.
  auto prepared = [](port::QueryRequest& request) {
    Execute(request);
    request.parameters = std::string_view("\0\1\0\0\0", 5);
  };
  for (bool binary : {false, true}) {
    uint32_t call = Next(), write = Next();
    Run("CALL p()", [&](port::QueryRequest& request) {
      request.attempt = call;
      if (binary) prepared(request);
    });
    Write(write, fmt::format("INSERT INTO t (v) VALUES ({})", binary ? 72 : 70),
          binary ? Change(prepared) : Change());
    auto written = Of(write);
    ASSERT_EQ(written.size(), 1u);
    mysqld::WrittenLogs now = Read();
    EXPECT_TRUE(now.told.Contains(written[0].gtid));
    EXPECT_FALSE(now.procedures.Contains(written[0].gtid));
    EXPECT_EQ(now.procedures.Subtract(logs.procedures).Empty(), mysql());
    logs = std::move(now);
  }
  Run("INSERT INTO t (v) VALUES (71)");
  EXPECT_TRUE(Read().procedures.Subtract(logs.procedures).Empty()) << "unmarked is no CALL";
}

TEST_P(MarkingTest, TablesThatAreMadeAndDropped) {
  uint32_t create = Next(), drop = Next();
  Run("CREATE TABLE made (id INT)", [&](port::QueryRequest& request) { request.attempt = create; });
  Run("DROP TABLE made", [&](port::QueryRequest& request) { request.attempt = drop; });
  EXPECT_EQ(Of(create).size(), 1u);
  // MariaDB writes a text of its own, which cannot be told.
  EXPECT_EQ(Of(drop).size(), mysql() ? 1u : 0u);
}

TEST_P(MarkingTest, DiagnosticsAreTheStatements) {
  Ran warned = Run("INSERT IGNORE INTO t (v) VALUES (1), (1)",
                   [&](port::QueryRequest& request) { request.attempt = Next(); });
  EXPECT_EQ(warned.end().warnings, 1u);
  ASSERT_EQ((*warned.call)->warnings.size(), 1u);
  EXPECT_EQ((*warned.call)->warnings[0].code, 1062);
  Ran error = Run("INSERT INTO t (v) VALUES (1)",
                  [&](port::QueryRequest& request) { request.attempt = Next(); });
  EXPECT_EQ(error.end().error_number, 1062);
  // No reset, no more sessions than the plain one and that of transactions.
  EXPECT_EQ(server->metrics().resets.value(), 0);
  EXPECT_EQ(Run("SELECT CONNECTION_ID() < 2147483648").sink.First(), "1");
}

TEST_P(MarkingTest, ReplicationsVariablesAreNotForClients) {
  std::vector<std::string> texts = {
      "SET sql_log_bin = 0",
      "/* x */ set @@session.pseudo_thread_id = 7",
      "/*!50000 SET sql_log_bin = 0 */",
      "SELECT 1; SET sql_log_bin = 0",
      "PREPARE s FROM 'SET sql_log_bin = 0'",
      R"(PREPARE s FROM 'SET s\ql_l\og_bin = 0')",
      R"(SET @a = '\', @@sql_log_bin = 0, @b = '')",
      "CREATE PROCEDURE hides() BEGIN SET @a = 1; SET sql_log_bin = 0; END",
      "CREATE PROCEDURE hides() MODIFIES SQL DATA SET sql_log_bin = 0",
  };
  if (!mysql()) {
    texts.emplace_back("SET STATEMENT sql_log_bin = 0 FOR INSERT INTO t (v) VALUES (1)");
    texts.emplace_back("/*M!100000 SET sql_log_bin = 0 */");
    texts.emplace_back("BEGIN NOT ATOMIC SET sql_log_bin = 0; END");
    texts.emplace_back("EXECUTE IMMEDIATE 'SET sql_log_bin = 0'");
  }
  Run("SELECT 1");  // from here on the server is known
  for (const std::string& text : texts) EXPECT_EQ(CodeOf(text), Code::kPermissionDenied) << text;
  for (std::string_view text :
       {"SELECT 'set sql_log_bin'", "SET @server_id = 5", "SET @a = 'sql_log_bin = 0'",
        "UPDATE t SET s = 'x'; SELECT 1", "PREPARE s FROM 'SELECT 1'"})
    Run(std::string(text));
}

TEST_P(MarkingTest, WhatPrepareFindsInAVariableIsJudged) {
  if (!mysql()) GTEST_SKIP() << "MariaDB refuses it by itself: vt_app lacks the privilege";
  Ran reserved = Run("SET @v = CONCAT('SET sql_', 'log_bin = 0')",
                     [](port::QueryRequest& request) { request.reserve = true; });
  const uint64_t id = (*reserved.call)->pinned_id;
  Change pinned = [id](port::QueryRequest& request) { request.pinned_id = id; };
  EXPECT_EQ(CodeOf("PREPARE s FROM @v", pinned), Code::kPermissionDenied);
  EXPECT_EQ(CodeOf("SET @w = CONCAT('SET sql_', 'log_bin = 0'); PREPARE s FROM @w", pinned),
            Code::kPermissionDenied);
  // The session is as it was, and other texts are prepared as ever.
  Run("SET @v = 'SELECT 41 + 1'", pinned);
  EXPECT_FALSE(Run("PREPARE s FROM @v", pinned).end().is_error());
  EXPECT_EQ(Run("EXECUTE s", pinned).sink.First(), "42");
  EXPECT_TRUE(Run("PREPARE s FROM @nothing", pinned).end().is_error());
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  servers->Await(server->Release(target, id, Deadline::In(5s)));
}

TEST_P(MarkingTest, TableAclsReadAsTheSessionReads) {
  auto acl = TableAcl::Parse(
      R"({"table_groups": [{"name": "g", "table_names_or_prefixes": ["t"], "readers": ["ann"]}]})",
      {.strict = true});
  ASSERT_TRUE(acl);
  server->SetAdmission({acl->get()});
  auto denied = [&](std::string text, std::string apply = "", uint64_t id = 0) {
    Code code = CodeOf(text, [&](port::QueryRequest& request) {
      request.caller.user = "ann";
      request.pinned_id = id;
      if (apply.empty()) return;
      request.settings =
          std::make_shared<port::Settings>(port::Settings{std::hash<std::string>()(apply), apply});
    });
    return code == Code::kPermissionDenied;
  };
  // The first statement of all, too: nothing is known of the server yet.
  EXPECT_TRUE(denied(mysql() ? "SELECT 1 /*!80000 UNION SELECT id FROM log */"
                             : "SELECT 1 /*M! UNION SELECT id FROM log */"));
  EXPECT_FALSE(denied("SELECT v FROM t"));
  EXPECT_TRUE(denied("SELECT id FROM log"));
  EXPECT_FALSE(denied("SELECT \" FROM log \""));
  EXPECT_TRUE(denied("SELECT id FROM \"log\"", "SET @@session.sql_mode = 'ANSI_QUOTES'"));
  EXPECT_TRUE(denied(R"(SELECT '\', id FROM log -- ')", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"));
  EXPECT_TRUE(denied("SELECT '\xbf\\' FROM log -- '", "SET NAMES gbk"));
  EXPECT_TRUE(denied("PREPARE s FROM 'SELECT id FROM log'"));
  EXPECT_FALSE(denied("PREPARE s FROM 'SELECT v FROM t'"));
  EXPECT_TRUE(denied("PREPARE s FROM @v", "SET @v = 'SELECT id FROM log'"));
  EXPECT_FALSE(denied("PREPARE s FROM @v", "SET @v = 'SELECT v FROM t'"));
  Ran reserved =
      Run("SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')", [](port::QueryRequest& request) {
        request.reserve = true;
        request.caller.user = "ann";
      });
  const uint64_t id = (*reserved.call)->pinned_id;
  EXPECT_TRUE(denied("SELECT id FROM \"log\"", "", id));
  EXPECT_FALSE(denied("SELECT v FROM \"t\"", "", id));
  server->SetAdmission({});
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  servers->Await(server->Release(target, id, Deadline::In(5s)));
}

TEST_P(MarkingTest, ReservedSessionsKeepTheirTemporaryTables) {
  Write(Next(), "INSERT INTO t (v) VALUES (70)");  // the connection has a number now
  Ran reserved = Run("CREATE TEMPORARY TABLE tmp (a INT)", [&](port::QueryRequest& request) {
    request.reserve = true;
    request.attempt = Next();
  });
  uint64_t id = (*reserved.call)->pinned_id;
  ASSERT_NE(id, 0u);
  Change pinned = [id](port::QueryRequest& request) { request.pinned_id = id; };
  uint32_t text = Next(), prepared = Next();
  Write(text, "INSERT INTO t (v) VALUES (71)", pinned);
  EXPECT_FALSE(Run("SELECT COUNT(*) FROM tmp", pinned).end().is_error());
  std::string parameters = Parameter(72);
  Ran executed = Write(prepared, "INSERT INTO t (v) VALUES (?)", [&](port::QueryRequest& request) {
    Execute(request);
    request.pinned_id = id;
    request.parameters = parameters;
  });
  EXPECT_EQ(executed.end().affected_rows, 1u);
  EXPECT_FALSE(Run("SELECT COUNT(*) FROM tmp", pinned).end().is_error());
  EXPECT_EQ(Of(text).size(), 1u);
  EXPECT_EQ(Of(prepared).size(), 1u);
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  servers->Await(server->Release(target, id, Deadline::In(5s)));
}

TEST_P(MarkingTest, AClientsCommentIsNoMarker) {
  uint32_t attempt = Next(), claimed = Next();
  std::string comment = mysql::binlog::MarkerOf(claimed);
  Write(attempt, comment + "INSERT INTO t (v) VALUES (80)");
  Run(comment + "INSERT INTO t (v) VALUES (81)");
  Run(comment + "INSERT INTO t (v) VALUES (82)", [](port::QueryRequest& request) {
    Execute(request);
    request.parameters = std::string_view("\0\1\0\0\0", 5);
  });
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "3");
  EXPECT_EQ(Of(attempt).size(), 1u);
  EXPECT_EQ(Of(claimed).size(), 0u);
}

TEST_P(MarkingTest, AnAttemptThatWasAskedAboutDoesNotStart) {
  uint32_t attempt = Next();
  AttemptsSight sight = server->HoldAttempts({attempt});
  ASSERT_EQ(sight.runs.size(), 1u);
  EXPECT_FALSE(sight.runs[0]);
  Ran ran;
  port::QueryRequest request;
  request.target = {"ks", "0", record::TabletType::kPrimary, ""};
  std::string text = "INSERT INTO t (v) VALUES (1)";
  request.text = text;
  request.attempt = attempt;
  servers->Await(Execute(server.get(), request, &ran));
  ASSERT_FALSE(*ran.call);
  EXPECT_EQ(ran.call->error().code(), Code::kClusterEvent);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "0");

  uint32_t open = Next();
  Ran first =
      Write(open, text, [](port::QueryRequest& request) { request.begin = "start transaction"; });
  EXPECT_TRUE(server->HoldAttempts({open}).runs[0]);
  uint64_t id = (*first.call)->pinned_id;
  Run("ROLLBACK", [id](port::QueryRequest& request) { request.pinned_id = id; });
  EXPECT_FALSE(server->HoldAttempts({open}).runs[0]);
}

// Whatever the file ends with, what comes before is read and nothing else.
TEST_P(MarkingTest, LogsCutAtAnyByte) {
  Write(Next(), "INSERT INTO t (v) VALUES (1), (2)");
  Write(Next(), "UPDATE t SET s = REPEAT('u', 50)");
  Write(Next(), "DELETE FROM t");
  std::string path = servers->Ask(*instance, "SHOW BINARY LOGS");
  path = instance->layout().bin_logs() + "/" + path;
  struct Bytes final : mysql::binlog::ByteSource {
    std::string all;
    uint64_t cut = 0;
    uint64_t size() const override { return cut; }
    Result<std::string_view> Read(uint64_t offset, size_t size) override {
      EXPECT_LE(offset + size, cut);
      return std::string_view(all).substr(offset, size);
    }
  } bytes;
  FILE* file = fopen(path.c_str(), "rb");
  ASSERT_NE(file, nullptr) << path;
  char buffer[65536];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;)
    bytes.all.append(buffer, got);
  fclose(file);
  size_t complete_before = 0;
  const size_t from = bytes.all.size() > 4000 ? bytes.all.size() - 4000 : 0;
  for (bytes.cut = from; bytes.cut <= bytes.all.size(); ++bytes.cut) {
    mysql::binlog::EventReader events(bytes, path);
    mysql::binlog::TransactionReader reader(events);
    reader.CountRows([](const auto&) { return true; });
    size_t complete = 0, incomplete = 0;
    for (;;) {
      auto next = reader.Next();
      ASSERT_TRUE(next) << "cut at " << bytes.cut << ": " << next.error().message();
      if (*next == nullptr) break;
      ++((*next)->complete ? complete : incomplete);
    }
    ASSERT_LE(incomplete, 1u);
    ASSERT_GE(complete, complete_before);
    complete_before = complete;
  }
  // A byte that is wrong is damage or is seen as a torn end, and never more transactions.
  for (size_t at = from; at < bytes.all.size(); at += 7) {
    bytes.cut = bytes.all.size();
    bytes.all[at] = static_cast<char>(bytes.all[at] ^ 0x41);
    mysql::binlog::EventReader events(bytes, path);
    mysql::binlog::TransactionReader reader(events);
    reader.CountRows([](const auto&) { return true; });
    size_t complete = 0;
    for (;;) {
      auto next = reader.Next();
      if (!next || *next == nullptr) break;
      complete += (*next)->complete;
    }
    EXPECT_LE(complete, complete_before);
    bytes.all[at] = static_cast<char>(bytes.all[at] ^ 0x41);
  }
}

}  // namespace
}  // namespace paceline::vttablet
