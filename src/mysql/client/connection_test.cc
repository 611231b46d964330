#include "mysql/client/connection.h"

#include <gtest/gtest.h>

#include "io/blocking.h"
#include "mysql/testing/real_server.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/rows.h"
#include "mysql/wire/session_state.h"
#include "mysql/wire/statement.h"

namespace paceline::mysql {
namespace {

using testing::Flavor;
using testing::RealServer;
using ConnectionPtr = std::unique_ptr<Connection>;

class RealConnection : public ::testing::TestWithParam<Flavor> {
 protected:
  void SetUp() override {
    server_ = RealServer::Get(GetParam());
    if (server_ == nullptr) {
      GTEST_SKIP() << "no server of this flavor: set PACELINE_MYSQLD or PACELINE_MARIADBD, or run "
                      "tools/mysql97";
    }
  }
  bool mysql() const { return GetParam() == Flavor::kMysql; }
  Deadline Soon() const { return Deadline::In(30s); }

  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(loop_, std::move(task));
  }
  ConnectionPtr Open(ConnectOptions options) {
    Result<ConnectionPtr> connection = Await(Connection::Connect(std::move(options), Soon()));
    EXPECT_TRUE(connection.has_value()) << (connection ? "" : connection.error().ToString());
    return connection ? *std::move(connection) : nullptr;
  }
  Result<QueryResult> Query(Connection& connection, std::string sql) {
    return Await(connection.Query(std::move(sql), Soon()));
  }
  QueryResult MustQuery(Connection& connection, std::string sql) {
    Result<QueryResult> result = Query(connection, sql);
    EXPECT_TRUE(result.has_value()) << sql << ": " << (result ? "" : result.error().ToString());
    return result ? *std::move(result) : QueryResult();
  }

  io::Loop loop_;
  RealServer* server_ = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Flavors, RealConnection,
                         ::testing::Values(Flavor::kMysql, Flavor::kMariadb), [](const auto& info) {
                           return info.param == Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

TEST_P(RealConnection, LogsInBySocketTcpAndTls) {
  ConnectionPtr root = Open(server_->Root());
  EXPECT_EQ(root->is_mariadb(), !mysql());
  EXPECT_GT(root->thread_id(), 0u);
  EXPECT_EQ(MustQuery(*root, "SELECT VERSION()").Text(0, size_t{0}), root->server_version());
  std::string plugin = mysql() ? "caching_sha2_password" : "mysql_native_password";
  MustQuery(*root,
            "CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'a long password of some forty "
            "characters'");
  MustQuery(*root, "CREATE USER IF NOT EXISTS 'short'@'%' IDENTIFIED BY 'x'");
  MustQuery(*root, "CREATE USER IF NOT EXISTS 'none'@'%'");
  EXPECT_EQ(MustQuery(*root, "SELECT plugin FROM mysql.user WHERE user = 'app'").Text(0, "plugin"),
            plugin);
  for (auto [user, password] :
       {std::pair<std::string, std::string>{"app", "a long password of some forty characters"},
        {"short", "x"},
        {"none", ""}}) {
    // Twice each: in full (over RSA on TCP), then from the server's cache.
    for (int round = 0; round < 2; ++round) {
      ConnectionPtr by_tcp = Open(server_->ByTcp(user, password));
      ConnectionPtr by_socket = Open(server_->BySocket(user, password));
      ASSERT_TRUE(by_tcp && by_socket);
      EXPECT_EQ(MustQuery(*by_tcp, "SELECT CURRENT_USER()").Text(0, size_t{0}), user + "@%");
    }
    MustQuery(*root, "FLUSH PRIVILEGES");
    ConnectionPtr by_socket = Open(server_->BySocket(user, password));
    if (!mysql()) continue;  // Debian's MariaDB starts without certificates
    MustQuery(*root, "FLUSH PRIVILEGES");
    ConnectOptions tls = server_->ByTcp(user, password);
    tls.tls = wire::TlsMode::kRequired;
    tls.tls_context = *io::TlsContext::Client({});
    ConnectionPtr by_tls = Open(tls);
    ASSERT_TRUE(by_tls != nullptr);
    EXPECT_NE(MustQuery(*by_tls, "SHOW STATUS LIKE 'Ssl_cipher'").Text(0, "Value"), "");
  }
}

TEST_P(RealConnection, RefusalsAreTheServersOwn) {
  Result<ConnectionPtr> wrong =
      Await(Connection::Connect(server_->ByTcp("nobody", "wrong"), Soon()));
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().mysql_errno(), 1045);
  EXPECT_TRUE(wrong.error().from_mysql());
  ConnectOptions no_database = server_->Root();
  no_database.database = "no_such_database";
  EXPECT_EQ(Await(Connection::Connect(no_database, Soon())).error().mysql_errno(), 1049);
  ConnectOptions nobody_there = server_->Root();
  nobody_there.address = io::Address::Unix("/tmp/paceline-no-such-socket");
  EXPECT_EQ(Await(Connection::Connect(nobody_there, Soon())).error().code(), Code::kUnavailable);
}

TEST_P(RealConnection, ResultsErrorsAndState) {
  ConnectionPtr connection = Open(server_->Root());
  MustQuery(*connection, "CREATE DATABASE IF NOT EXISTS vt_ks");
  QueryResult used = MustQuery(*connection, "USE vt_ks");
  EXPECT_EQ(wire::SessionStateValue(used.end.session_state, wire::SessionStateType::kSchema),
            "vt_ks");
  MustQuery(*connection, "DROP TABLE IF EXISTS t");
  MustQuery(*connection, "CREATE TABLE t (id BIGINT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20))");
  QueryResult inserted = MustQuery(*connection, "INSERT INTO t (name) VALUES ('a'), (NULL), ('')");
  EXPECT_EQ(inserted.end.affected_rows, 3u);
  EXPECT_EQ(inserted.end.last_insert_id, 1u);
  EXPECT_TRUE(inserted.end.info.starts_with("Records: 3"));
  QueryResult rows = MustQuery(*connection, "SELECT id, name FROM t ORDER BY id");
  ASSERT_EQ(rows.rows.size(), 3u);
  EXPECT_EQ(rows.columns[1].schema, "vt_ks");
  EXPECT_EQ(rows.Get(0, "NAME"), "a");
  EXPECT_EQ(rows.Get(1, "name"), std::nullopt);
  EXPECT_EQ(rows.Get(2, "name"), "");
  EXPECT_EQ(rows.ToTyped().fields[0].type, value::Type::kInt64);
  Result<QueryResult> bad = Query(*connection, "SELECT * FROM no_such_table");
  ASSERT_FALSE(bad.has_value());
  EXPECT_EQ(bad.error().mysql_errno(), 1146);
  EXPECT_EQ(bad.error().sqlstate(), "42S02");
  EXPECT_TRUE(connection->usable());
  Result<std::vector<QueryResult>> all = Await(
      connection->QueryAll("SELECT 1; INSERT INTO t (name) VALUES ('z'); SELECT 2, 3", Soon()));
  ASSERT_TRUE(all.has_value());
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[1].end.affected_rows, 1u);
  EXPECT_EQ((*all)[2].Text(0, size_t{1}), "3");
  bad = Query(*connection, "SELECT 1; SELECT nonsense; SELECT 2");
  EXPECT_EQ(bad.error().mysql_errno(), 1054);
  MustQuery(*connection, "DROP PROCEDURE IF EXISTS two");
  MustQuery(*connection, "CREATE PROCEDURE two() BEGIN SELECT 1 AS a; SELECT 2 AS b; END");
  all = Await(connection->QueryAll("CALL two()", Soon()));
  EXPECT_EQ(all->size(), 3u);
  EXPECT_TRUE(MustQuery(*connection, "BEGIN").end.in_transaction());
  EXPECT_FALSE(MustQuery(*connection, "COMMIT").end.in_transaction());
}

TEST_P(RealConnection, BoundsAndDeadlinesHold) {
  ConnectionPtr connection = Open(server_->Root());
  QueryLimits limits;
  limits.rows_max = 2;
  Result<QueryResult> many =
      Await(connection->Query("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3", Soon(), limits));
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().code(), Code::kResourceExhausted);
  EXPECT_TRUE(Await(connection->Ping(Soon())).has_value());
  QueryResult big = MustQuery(*connection, "SELECT REPEAT('x', 17000000) AS big, 'y' AS small");
  EXPECT_EQ(big.Text(0, "big").size(), 17'000'000u);
  EXPECT_EQ(big.Text(0, "small"), "y");
  std::string sql = "SELECT LENGTH('" + std::string(33'600'000, 'q') + "')";
  EXPECT_EQ(MustQuery(*connection, sql).Text(0, size_t{0}), "33600000");
  Result<QueryResult> slow = Await(connection->Query("SELECT SLEEP(20)", Deadline::In(200ms)));
  ASSERT_FALSE(slow.has_value());
  EXPECT_EQ(slow.error().code(), Code::kDeadlineExceeded);
  EXPECT_FALSE(connection->usable());
  EXPECT_EQ(Query(*connection, "SELECT 1").error().code(), Code::kUnavailable);
}

TEST_P(RealConnection, ResetAndChangeUser) {
  ConnectionPtr connection = Open(server_->Root());
  MustQuery(*connection, "CREATE USER IF NOT EXISTS 'second'@'%' IDENTIFIED BY 'pw'");
  MustQuery(*connection, "SET @kept = 1");
  ASSERT_TRUE(Await(connection->Reset(Soon())).has_value());
  EXPECT_EQ(MustQuery(*connection, "SELECT @kept").Get(0, size_t{0}), std::nullopt);
  Status changed = Await(connection->ChangeUser("second", "pw", "", Soon()));
  ASSERT_TRUE(changed.has_value()) << changed.error().ToString();
  EXPECT_EQ(MustQuery(*connection, "SELECT CURRENT_USER()").Text(0, size_t{0}), "second@%");
  changed = Await(connection->ChangeUser("second", "bad", "", Soon()));
  ASSERT_FALSE(changed.has_value());
  EXPECT_EQ(changed.error().mysql_errno(), 1045);
  EXPECT_FALSE(connection->usable());
}

// A raw response, pumped as the data plane does it.
struct RawResponse {
  std::string meta, rows;
  wire::Terminator end;
  wire::PrepareOk prepared;
  int results = 0;
};
io::Task<Result<RawResponse>> RawCall(Connection* connection, wire::Command command,
                                      std::string payload, Deadline deadline) {
  Status sent = co_await connection->SendCommand(command, payload, deadline);
  if (!sent) co_return Fail(sent.error());
  wire::ResultScanner scanner;
  scanner.Start(wire::ResponseKindOf(static_cast<uint8_t>(command)),
                connection->response_sequence());
  RawResponse response;
  std::string buffer;
  for (;;) {
    wire::ScanStep step = scanner.Scan(buffer.data(), buffer.size());
    response.meta.append(buffer, 0, step.meta_bytes);
    response.rows.append(buffer, step.meta_bytes, step.row_bytes);
    buffer.erase(0, step.consumed);
    if (step.event == wire::ScanEvent::kBroken) co_return Fail(Code::kInternal, "broken protocol");
    if (step.event == wire::ScanEvent::kResultEnd) ++response.results;
    if (step.event == wire::ScanEvent::kDone) break;
    if (step.event != wire::ScanEvent::kNeedInput) continue;
    char bytes[7];  // small on purpose
    Result<size_t> got = co_await connection->stream().Read(bytes, sizeof(bytes), deadline);
    if (!got) co_return Fail(got.error());
    buffer.append(bytes, *got);
  }
  response.end = scanner.terminator();
  response.prepared = scanner.prepare_ok();
  ++response.results;
  co_return response;
}

constexpr std::string_view kEveryType =
    "SELECT CAST(-5 AS SIGNED) i, CAST(18446744073709551615 AS UNSIGNED) u, 1.50 d, 2.5e10 f, NULL "
    "n, 'text' s, "
    "x'00ff' b, DATE '2026-11-22' da, TIMESTAMP '2026-11-22 21:40:00.123' ts, TIME '-12:34:56' ti, "
    "CAST('12:00:00.5' AS TIME(1)) tf, ? p";

TEST_P(RealConnection, PreparedStatementsGiveWhatTextGives) {
  ConnectionPtr connection = Open(server_->Root());
  std::string text_sql(kEveryType);
  text_sql.replace(text_sql.find('?'), 1, "'bound'");
  QueryResult text = MustQuery(*connection, text_sql);
  Result<RawResponse> prepared = Await(
      RawCall(connection.get(), wire::Command::kStmtPrepare, std::string(kEveryType), Soon()));
  ASSERT_TRUE(prepared.has_value()) << prepared.error().ToString();
  EXPECT_EQ(prepared->prepared.parameter_count, 1);
  EXPECT_EQ(prepared->prepared.column_count, 12);
  wire::ExecuteCommand execute;
  execute.parameters.resize(1);
  execute.parameters[0].type.type = static_cast<uint8_t>(value::MysqlType::kVarString);
  execute.parameters[0].bytes = "bound";
  uint32_t id = prepared->prepared.statement_id;
  for (uint8_t flags : {uint8_t{0}, wire::kCursorReadOnly}) {
    execute.flags = flags;
    std::string payload = wire::WriteExecute(id, wire::WriteExecuteTail(execute, {})).substr(1);
    Result<RawResponse> ran =
        Await(RawCall(connection.get(), wire::Command::kStmtExecute, payload, Soon()));
    ASSERT_TRUE(ran.has_value()) << ran.error().ToString();
    ASSERT_FALSE(ran->end.is_error()) << ran->end.message;
    auto columns = wire::ParseColumns(ran->meta);
    ASSERT_TRUE(columns.has_value());
    if (flags != 0) {
      EXPECT_TRUE(ran->end.status_flags & wire::kStatusCursorExists);
      EXPECT_EQ(ran->rows, "");
      std::string fetch;
      wire::PutU32(&fetch, id);
      wire::PutU32(&fetch, 10);
      ran = Await(RawCall(connection.get(), wire::Command::kStmtFetch, fetch, Soon()));
      ASSERT_TRUE(ran.has_value()) << ran.error().ToString();
      EXPECT_TRUE(ran->end.status_flags & wire::kStatusLastRowSent);
    }
    wire::PacketWalk walk(ran->rows);
    std::string_view body;
    ASSERT_TRUE(walk.Next(&body));
    value::Row row;
    ASSERT_TRUE(wire::ParseBinaryRow(body, *columns, &row));
    ASSERT_EQ(row.size(), text.rows[0].size());
    for (size_t i = 0; i < row.size(); ++i)
      EXPECT_EQ(row.Columns()[i], text.Get(0, i)) << text.columns[i].name;
    // And back: what we encode is what the server sent.
    std::string again;
    uint8_t sequence = walk.sequence();
    ASSERT_TRUE(wire::AppendBinaryRow(&again, *columns, row.Columns(), &sequence).has_value());
    EXPECT_EQ(again.substr(4), body);
  }
  Result<RawResponse> broken =
      Await(RawCall(connection.get(), wire::Command::kStmtPrepare, "SELEC 1", Soon()));
  EXPECT_EQ(broken->end.error_number, 1064);
}

TEST_P(RealConnection, OtherCommandsEndWhereTheScannerSays) {
  ConnectionPtr connection = Open(server_->Root());
  auto several =
      Await(RawCall(connection.get(), wire::Command::kQuery, "SELECT 1; DO 1; SELECT 2", Soon()));
  EXPECT_EQ(several->results, 3);
  auto statistics = Await(RawCall(connection.get(), wire::Command::kStatistics, "", Soon()));
  EXPECT_NE(statistics->rows.find("Uptime"), std::string::npos);
  auto option =
      Await(RawCall(connection.get(), wire::Command::kSetOption, std::string("\0\0", 2), Soon()));
  EXPECT_FALSE(option->end.is_error());
  if (!mysql()) {
    MustQuery(*connection, "USE mysql");
    auto fields =
        Await(RawCall(connection.get(), wire::Command::kFieldList, std::string("db\0", 3), Soon()));
    EXPECT_GT(fields->meta.size(), 100u);
    EXPECT_FALSE(fields->end.is_error());
  }
  EXPECT_TRUE(Await(connection->Ping(Soon())).has_value());
}

}  // namespace
}  // namespace paceline::mysql
