#include "vtgate/session.h"

#include <gtest/gtest.h>

#include "io/blocking.h"
#include "mysql/wire/ok_packet.h"
#include "vtgate/like.h"
#include "vtgate/static_users.h"

namespace paceline::vtgate {
namespace {

using mysql::wire::Terminator;

// A tablet that notes what it is asked and answers OK; a statement that begins a transaction or
// reserves stays pinned.
class NotingTablet final : public port::QueryService {
 public:
  struct Seen {
    std::string text, begin, settings;
    uint64_t pinned = 0;
    bool reserve = false;
    record::Target target;
  };
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline) override {
    seen.push_back({std::string(request.text), std::string(request.begin),
                    request.settings ? request.settings->apply : "", request.pinned_id,
                    request.reserve, request.target});
    if (!refusals.empty()) {
      Error refusal = refusals.front();
      refusals.erase(refusals.begin());
      co_return Fail(refusal);
    }
    if (!request.begin.empty()) in_transaction = true;
    if (request.reserve) reserved = true;
    if (request.text == "COMMIT" || request.text == "commit" || request.text == "ROLLBACK")
      in_transaction = false;
    if (text_answers.contains(request.text)) {
      const std::string& value = text_answers.find(request.text)->second;
      sink.OnColumns(1, "");
      std::string row = {static_cast<char>(value.size() + 1), 0, 0, 1,
                         static_cast<char>(value.size())};
      sink.OnRows(row + value);
    }
    if (request.text.starts_with("SHOW WARNINGS")) sink.OnColumns(3, "");
    Terminator end = answer;
    if (in_transaction) end.status_flags |= mysql::wire::kStatusInTransaction;
    sink.OnEnd(end, true);
    port::QueryEnd done;
    done.pinned_id = in_transaction || reserved ? 77 : 0;
    done.warnings = warnings;
    co_return done;
  }
  io::Task<Status> Release(record::Target, uint64_t id, Deadline) override {
    released.push_back(id);
    in_transaction = reserved = false;
    co_return Status();
  }
  io::Task<Status> StreamHealth(port::HealthSink&, Deadline) override { co_return Status(); }
  io::Task<void> Close() override { co_return; }

  std::vector<Seen> seen;
  std::vector<uint64_t> released;
  std::vector<Error> refusals;
  std::map<std::string, std::string, std::less<>> text_answers;  // one value each
  std::vector<port::Warning> warnings;
  Terminator answer;
  bool in_transaction = false, reserved = false;
};

class OneTabletGateway final : public Gateway {
 public:
  explicit OneTabletGateway(std::shared_ptr<NotingTablet> tablet) : tablet_(std::move(tablet)) {}
  std::optional<Chosen> Pick(const record::Target&, const BufferPlace&) override {
    return Chosen{tablet_, {"zone1", 100}, nullptr};
  }
  io::Task<Status> Wait(record::Target, bool, BufferPlace*, Deadline) override {
    co_return Status();
  }
  void BeginReplay(const record::Target&, BufferPlace*) override {}
  Result<Chosen> Find(const record::TabletAlias& alias) override {
    return Chosen{tablet_, alias, nullptr};
  }
  std::vector<TabletLine> Tablets() const override { return {}; }

 private:
  std::shared_ptr<NotingTablet> tablet_;
};

class NotingSink final : public AnswerSink {
 public:
  void StartStatement(std::string_view, std::string_view, const TerminatorContext& now) override {
    context = now;
    rows.clear();
    begun_ = ended_ = false;
  }
  void OnColumns(uint64_t, std::string_view) override { begun_ = true; }
  void OnRows(std::string_view bytes) override { rows += bytes; }
  void OnEnd(const Terminator& end, bool last) override {
    last_ = end;
    begun_ = true;
    ended_ = last;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {
    begun_ = ended_ = true;
  }
  void WriteTerminator(const Terminator& end) override { OnEnd(end, true); }
  void WriteError(const Error& error) override { OnEnd(mysql::wire::TerminatorOf(error), true); }
  void WriteTable(const OwnTable& own) override {
    table = own;
    last_ = Terminator();
    last_.kind = Terminator::Kind::kEof;
    begun_ = ended_ = true;
  }
  bool begun() const override { return begun_; }
  bool ended() const override { return ended_; }
  const Terminator& last() const override { return last_; }
  OwnTable table;
  std::string rows;
  TerminatorContext context;

 private:
  bool begun_ = false, ended_ = false;
  Terminator last_;
};

class SessionTest : public testing::Test {
 protected:
  SessionTest() : gateway_(tablet_) {
    auto view = std::make_shared<TopologyView>();
    record::SrvVSchema vschema;
    vschema.keyspaces["commerce"];
    view->vschema = vschema::Snapshot::Build(vschema, {"commerce"});
    view->shards["commerce"] = {"0"};
    gate_.topology = view;
    gate_.gateway = &gateway_;
    SessionIdentity identity;
    identity.connection_id = 9;
    identity.user = "app";
    identity.host = "localhost";
    identity.multi_statements = true;
    session_ = std::make_unique<Session>(gate_, identity, sql::Dialect());
    EXPECT_TRUE(session_->Use("commerce"));
  }
  ~SessionTest() override { io::RunUntilDone(loop_, CloseSession()); }

  io::Task<bool> CloseSession() {
    co_await session_->Close();
    co_return true;
  }
  io::Task<Status> RunQuery(std::string text) {
    Status done = co_await session_->Query(text, sink_);
    co_return done;
  }
  // Runs it; the error's number, 0 when it went well, -1 when the connection would be closed.
  int Run(const std::string& text) {
    Status done = io::RunUntilDone(loop_, RunQuery(text));
    if (!done) return -1;
    return sink_.last().is_error() ? sink_.last().error_number : 0;
  }
  const NotingTablet::Seen& Last() { return tablet_->seen.back(); }

  io::Loop loop_;
  std::shared_ptr<NotingTablet> tablet_ = std::make_shared<NotingTablet>();
  OneTabletGateway gateway_;
  GateContext gate_;
  std::unique_ptr<Session> session_;
  NotingSink sink_;
};

TEST_F(SessionTest, SendsAStatementToTheOnlyShardUnderTheTabletsNames) {
  EXPECT_EQ(Run("SELECT * FROM commerce.orders"), 0);
  EXPECT_EQ(Last().text, "SELECT * FROM vt_commerce.orders");
  EXPECT_EQ(Last().target, (record::Target{"commerce", "0", record::TabletType::kPrimary, ""}));
}

TEST_F(SessionTest, BeginsWithTheFirstStatementAndKeepsItsConnection) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_TRUE(tablet_->seen.empty());
  EXPECT_TRUE(session_->in_transaction());
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  EXPECT_EQ(Last().begin, "BEGIN");
  EXPECT_EQ(Run("INSERT INTO orders VALUES (2)"), 0);
  EXPECT_EQ(Last().begin, "");
  EXPECT_EQ(Last().pinned, 77u);
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().pinned, 0u);
}

TEST_F(SessionTest, WhatRunsBesideATransactionThatWaitsDoesNotEndIt) {
  EXPECT_EQ(Run("BEGIN"), 0);
  Status prepared = io::RunUntilDone(loop_, session_->Prepare("SELECT 1 FROM orders", sink_));
  EXPECT_TRUE(prepared);
  EXPECT_EQ(Run("SET sql_mode = 'ANSI'"), 0);
  EXPECT_EQ(Run("SET GLOBAL max_connections = 7"), 0);
  EXPECT_TRUE(session_->in_transaction());
  EXPECT_EQ(Run("ROLLBACK"), 0);

  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("SET @a = (SELECT 1)"), 0);
  EXPECT_EQ(Last().begin, "BEGIN");
  EXPECT_TRUE(session_->in_transaction());
}

TEST_F(SessionTest, AConnectionThatIsGoneEndsTheTransaction) {
  gate_.failover.replay = false;
  for (Code code : {Code::kClusterEvent, Code::kUnavailable, Code::kAborted}) {
    EXPECT_EQ(Run("BEGIN"), 0);
    EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
    tablet_->refusals = {Error(code, "gone")};
    EXPECT_EQ(Run("INSERT INTO orders VALUES (2)"), 1213);
    EXPECT_FALSE(session_->in_transaction());
    tablet_->in_transaction = false;
    EXPECT_EQ(Run("ROLLBACK"), 0);

    EXPECT_EQ(Run("BEGIN"), 0);
    EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
    tablet_->refusals = {Error(code, "gone")};
    EXPECT_EQ(Run("ROLLBACK"), 0);
    EXPECT_FALSE(session_->in_transaction());
    tablet_->in_transaction = false;
  }
}

TEST_F(SessionTest, AnOutcomeThatIsNotKnownEndsTheConnection) {
  gate_.failover.replay = false;
  for (Code code : {Code::kUnavailable, Code::kDeadlineExceeded, Code::kCanceled}) {
    tablet_->refusals = {Error(code, "gone")};
    EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), -1);
    EXPECT_EQ(Run("BEGIN"), 0);
    EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
    tablet_->refusals = {Error(code, "gone")};
    EXPECT_EQ(Run("COMMIT"), -1);
    Status reset = io::RunUntilDone(loop_, session_->Reset());
    EXPECT_TRUE(reset);
  }
  EXPECT_EQ(Run("BEGIN"), 0);
  tablet_->refusals = {Error(Code::kUnavailable, "gone")};
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 1213);
  EXPECT_FALSE(session_->in_transaction());
  // Never ran: the transaction is known to have ended without it.
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  tablet_->refusals = {Error(Code::kAborted, "rolled back after 30 s")};
  EXPECT_EQ(Run("COMMIT"), 1213);
}

TEST_F(SessionTest, AReadOnAReplicaWaitsForTheSessionsOwnWrites) {
  const std::string question = "SELECT WAIT_FOR_EXECUTED_GTID_SET('u:1-7', 0.500)";
  EXPECT_EQ(Run("SET read_after_write = 1, read_after_write_timeout = 0.5"), 0);
  EXPECT_TRUE(tablet_->seen.empty());
  tablet_->answer.gtid = "u:1-7";
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  tablet_->answer.gtid.clear();
  EXPECT_EQ(Run("USE `commerce@replica`"), 0);
  tablet_->text_answers[question] = "0";
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  ASSERT_EQ(tablet_->seen.size(), 3u);
  EXPECT_EQ(tablet_->seen[1].text, question);
  EXPECT_EQ(tablet_->seen[2].target.type, record::TabletType::kReplica);
  EXPECT_EQ(Run("SELECT 2 FROM orders"), 0);  // it is known to have it now
  EXPECT_EQ(tablet_->seen.size(), 4u);

  EXPECT_EQ(Run("SET read_after_write_gtid = 'u:1-9'"), 0);
  tablet_->text_answers["SELECT WAIT_FOR_EXECUTED_GTID_SET('u:1-9', 0.500)"] = "1";
  EXPECT_EQ(Run("SELECT 3 FROM orders"), 0);
  EXPECT_EQ(Last().target.type, record::TabletType::kPrimary);
  gate_.read_after_write = {true, 500ms, false};
  io::RunUntilDone(loop_, session_->Reset());
  EXPECT_EQ(Run("SET read_after_write_gtid = 'u:1-9'"), 0);
  EXPECT_EQ(Run("USE `commerce@replica`"), 0);
  EXPECT_GT(Run("SELECT 3 FROM orders"), 0);
  EXPECT_EQ(Run("SET read_after_write = 'sometimes'"), 1231);
}

TEST_F(SessionTest, PlainReadsGoToReplicasWhereTheSessionWantsIt) {
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().target.type, record::TabletType::kPrimary);
  EXPECT_EQ(Run("SET read_from_replicas = 1"), 0);
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().target.type, record::TabletType::kReplica);
  for (const char* text : {"SELECT 1 FROM orders FOR UPDATE", "SELECT GET_LOCK('a', 0) FROM orders",
                           "INSERT INTO orders VALUES (1)", "SELECT 1 FROM orders"}) {
    EXPECT_EQ(Run(text), 0);
    EXPECT_EQ(Last().target.type, record::TabletType::kPrimary) << text;  // pinned by the lock
  }
  io::RunUntilDone(loop_, session_->Reset());
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().target.type, record::TabletType::kPrimary);
}

TEST_F(SessionTest, SetTransactionIsForTheNextOneOnly) {
  EXPECT_EQ(Run("SET TRANSACTION READ ONLY"), 0);
  EXPECT_EQ(Run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), 0);
  EXPECT_TRUE(tablet_->seen.empty());
  EXPECT_EQ(Run("START TRANSACTION"), 0);
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().begin, "BEGIN");
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_EQ(Run("SET TRANSACTION READ ONLY"), 0);
  EXPECT_EQ(Run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), 0);
  EXPECT_EQ(Run("SET TRANSACTION READ WRITE"), 0);
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().begin,
            "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ WRITE; BEGIN");
}

TEST_F(SessionTest, AnEmptyTransactionNeedsNoTablet) {
  EXPECT_EQ(Run("START TRANSACTION"), 0);
  EXPECT_EQ(Run("ROLLBACK"), 0);
  EXPECT_TRUE(tablet_->seen.empty());
}

TEST_F(SessionTest, AutocommitOffBeginsByItself) {
  EXPECT_EQ(Run("SET autocommit = 0"), 0);
  EXPECT_EQ(Run("UPDATE orders SET a = 1"), 0);
  EXPECT_EQ(Last().begin, "START TRANSACTION");
  EXPECT_EQ(Run("SET autocommit = 1"), 0);
  EXPECT_EQ(Last().text, "COMMIT");
  EXPECT_TRUE(session_->autocommit());
}

TEST_F(SessionTest, WhatMayWriteWithoutNamingATableBeginsByItselfToo) {
  EXPECT_EQ(Run("SET autocommit = 0"), 0);
  for (const char* text : {"CALL p(1)", "SELECT commerce.f(1)", "BRANDNEW STATEMENT",
                           "EXECUTE IMMEDIATE 'DELETE FROM orders'"}) {
    EXPECT_EQ(Run(text), 0);
    EXPECT_EQ(Last().begin, "START TRANSACTION") << text;
    EXPECT_TRUE(session_->in_transaction()) << text;
    EXPECT_EQ(Run("ROLLBACK"), 0);
    EXPECT_EQ(Last().text, "ROLLBACK") << text;
  }
  EXPECT_EQ(Run("SELECT 1"), 0);
  EXPECT_EQ(Last().begin, "");
  // What is no statement at all begins nothing that would stay.
  tablet_->answer = mysql::wire::TerminatorOf(Error::FromMysql(1064, "42000", "syntax"));
  EXPECT_EQ(Run("SELEC 1 FROM orders"), 1064);
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_EQ(tablet_->released.size(), 1u);
}

TEST_F(SessionTest, SettingsFollowTheSessionAndAreTriedFirst) {
  EXPECT_EQ(Run("SET sql_mode = 'ANSI', @limit = 5"), 0);
  EXPECT_EQ(Last().text, "SET sql_mode = 'ANSI', @limit = 5");
  EXPECT_EQ(Last().settings, "");
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().settings, "SET @@session.sql_mode = 'ANSI', @`limit` = 5");
  EXPECT_EQ(session_->PinnedBecause(), "");
}

TEST_F(SessionTest, ARefusedSettingChangesNothing) {
  tablet_->answer.kind = Terminator::Kind::kErr;
  tablet_->answer.error_number = 1193;
  tablet_->answer.sqlstate = "HY000";
  EXPECT_EQ(Run("SET nonsense = 1"), 1193);
  tablet_->answer = Terminator();
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().settings, "");
}

TEST_F(SessionTest, WhatCannotBeCarriedPinsAndResetUnpins) {
  EXPECT_EQ(Run("CREATE TEMPORARY TABLE scratch (i INT)"), 0);
  EXPECT_TRUE(Last().reserve);
  EXPECT_EQ(session_->PinnedBecause(), "temporary table");
  EXPECT_EQ(Run("SELECT * FROM scratch"), 0);
  EXPECT_EQ(Last().pinned, 77u);
  io::RunUntilDone(loop_, session_->Reset());
  EXPECT_EQ(tablet_->released, std::vector<uint64_t>{77});
  EXPECT_EQ(session_->PinnedBecause(), "");
}

TEST_F(SessionTest, StatementsAreCountedByOperationKeyspaceAndType) {
  QueryMetrics& metrics = QueryMetrics::Process();
  const std::vector<std::string> labels = {"Execute", session_->target().keyspace, "primary"};
  const int64_t before = metrics.api.With(labels).count();
  const int64_t inserts = metrics.executions.With({"INSERT", "Passthrough", "primary"}).value();
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  tablet_->answer.kind = Terminator::Kind::kErr;
  tablet_->answer.error_number = 1146;
  tablet_->answer.sqlstate = "42S02";
  EXPECT_EQ(Run("SELECT * FROM nothing"), 1146);
  EXPECT_EQ(metrics.api.With(labels).count(), before + 2);
  EXPECT_EQ(metrics.executions.With({"INSERT", "Passthrough", "primary"}).value(), inserts + 1);
  int64_t errors = 0;
  metrics.errors.ForEach([&](const std::vector<std::string>& values, const Counter& counter) {
    if (values[0] == "Execute" && values[2] == "primary") errors += counter.value();
  });
  EXPECT_GE(errors, 1);
}

TEST_F(SessionTest, ARefusalBeforeTheStatementRanIsTriedAgain) {
  tablet_->refusals.emplace_back(Code::kClusterEvent, "not serving");
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  EXPECT_EQ(tablet_->seen.size(), 2u);
  EXPECT_EQ(gate_.counters.retries, 1u);
}

TEST_F(SessionTest, AWriteWhoseOutcomeIsUnknownIsNeverRunAgain) {
  tablet_->refusals.emplace_back(Code::kUnavailable, "connection lost");
  EXPECT_NE(Run("INSERT INTO orders VALUES (1)"), 0);
  EXPECT_EQ(tablet_->seen.size(), 1u);
}

TEST_F(SessionTest, ALostTransactionIsOverAndSaysSo) {
  gate_.failover.replay = false;
  Run("BEGIN");
  Run("INSERT INTO orders VALUES (1)");
  tablet_->refusals.emplace_back(Code::kAborted, "transaction 77: ended");
  EXPECT_NE(Run("INSERT INTO orders VALUES (2)"), 0);
  EXPECT_FALSE(session_->in_transaction());
  tablet_->in_transaction = false;
  EXPECT_EQ(Run("SELECT 1 FROM orders"), 0);
  EXPECT_EQ(Last().pinned, 0u);
}

TEST_F(SessionTest, WarningsAreTheGatesToTellOnceTheConnectionIsGone) {
  tablet_->answer.warnings = 1;
  tablet_->warnings = {{"Warning", 1292, "Truncated"}};
  Run("SELECT 1 FROM orders");
  EXPECT_EQ(Run("SHOW WARNINGS"), 0);
  EXPECT_EQ(Last().text, "SHOW WARNINGS");  // for the columns; the row is the gate's
  EXPECT_NE(sink_.rows.find("1292"), std::string::npos);
  EXPECT_EQ(Run("SHOW WARNINGS LIMIT 1, 5"), 0);
  EXPECT_EQ(sink_.rows, "");
}

TEST_F(SessionTest, APinEndsWithWhatItWasFor) {
  EXPECT_EQ(Run("CREATE TEMPORARY TABLE scratch (i INT)"), 0);
  EXPECT_EQ(Run("LOCK TABLES scratch WRITE"), 0);
  EXPECT_EQ(session_->PinnedBecause(), "temporary table,LOCK TABLES");
  EXPECT_EQ(Run("DROP TEMPORARY TABLE scratch"), 0);
  EXPECT_NE(session_->PinnedBecause(), "");
  EXPECT_EQ(Run("UNLOCK TABLES"), 0);
  EXPECT_EQ(session_->PinnedBecause(), "");
  EXPECT_EQ(tablet_->released, std::vector<uint64_t>{77});
}

TEST_F(SessionTest, AConnectionOfTheSessionsOwnHasItsAutocommit) {
  EXPECT_EQ(Run("SET autocommit = 0"), 0);
  EXPECT_EQ(Run("CREATE TEMPORARY TABLE scratch (i INT)"), 0);
  EXPECT_TRUE(Last().reserve);
  EXPECT_EQ(Last().settings, "SET @@session.autocommit = 0");
}

TEST_F(SessionTest, SwitchingAutocommitOnIsACommitOnAConnectionOfItsOwnToo) {
  EXPECT_EQ(Run("SET autocommit = 0"), 0);
  EXPECT_EQ(Run("CREATE TEMPORARY TABLE scratch (i INT)"), 0);
  tablet_->in_transaction = true;
  EXPECT_EQ(Run("INSERT INTO orders VALUES (1)"), 0);
  EXPECT_TRUE(session_->in_transaction());
  tablet_->refusals = {Error(Code::kUnavailable, "gone")};
  EXPECT_EQ(Run("SET autocommit = 1"), -1);
}

TEST_F(SessionTest, WritesCannotBeHiddenFromReplicas) {
  for (const char* text :
       {"SET sql_log_bin = 0", "SET @@session.sql_log_bin = 0",
        "SET sql_mode = '', gtid_next = 'AUTOMATIC'", "PREPARE s FROM 'SET sql_log_bin = 0'",
        "/*!50000 SET sql_log_bin = 0 */", "CREATE PROCEDURE p() SET sql_log_bin = 0"}) {
    EXPECT_EQ(Run(text), 1227) << text;
  }
  EXPECT_TRUE(tablet_->seen.empty());
  EXPECT_EQ(Run("SET @v = 'SET sql_log_bin = 0'"), 0);
  EXPECT_EQ(Run("PREPARE s FROM @v"), 1227);
}

TEST_F(SessionTest, LastInsertIdIsAskedForWhereTheAnswerDoesNotTell) {
  EXPECT_EQ(Run("SELECT LAST_INSERT_ID(5)"), 0);
  EXPECT_EQ(Last().text, "SELECT LAST_INSERT_ID(), FOUND_ROWS()");
  EXPECT_EQ(Last().pinned, 77u);
  EXPECT_EQ(tablet_->released, std::vector<uint64_t>{77});
}

TEST_F(SessionTest, SeveralStatementsSayThatMoreFollow) {
  EXPECT_EQ(Run("SELECT 1 FROM orders; SELECT 2 FROM orders"), 0);
  EXPECT_EQ(tablet_->seen.size(), 2u);
  EXPECT_FALSE(sink_.context.more_statements);  // of the last
}

TEST_F(SessionTest, ErrorsAreMysqlsOwn) {
  EXPECT_EQ(Run("USE nowhere"), 1049);
  EXPECT_EQ(Run(""), 1065);
  EXPECT_EQ(Run("RELEASE SAVEPOINT a"), 1305);
  EXPECT_EQ(Run("SELECT * FROM nowhere.t"), 1049);
  EXPECT_EQ(Run("KILL 4711"), 1094);
}

TEST_F(SessionTest, OwnTables) {
  EXPECT_EQ(Run("SHOW KEYSPACES"), 0);
  ASSERT_EQ(sink_.table.rows.size(), 1u);
  EXPECT_EQ(sink_.table.rows[0][0], "commerce");
  EXPECT_EQ(Run("SHOW VITESS_SHARDS"), 0);
  EXPECT_EQ(sink_.table.rows[0][0], "commerce/0");
}

TEST(Like, MatchesAsMysqlDoes) {
  EXPECT_TRUE(MatchesLike("commerce", "com%"));
  EXPECT_TRUE(MatchesLike("commerce", "%MER_e"));
  EXPECT_TRUE(MatchesLike("a_b", "a\\_b"));
  EXPECT_FALSE(MatchesLike("axb", "a\\_b"));
  EXPECT_FALSE(MatchesLike("", "_"));
  EXPECT_TRUE(MatchesLike("", "%%"));
}

TEST(StaticUsers, ReadsVitessFilesAndNamesWhatIsWrong) {
  auto users = StaticUsers::Parse(
      R"({"app": [{"Password": "x", "UserData": "u", "Groups": ["g"]}], "b": {"Password": ""}})");
  ASSERT_TRUE(users) << users.error().ToString();
  ASSERT_EQ((*users)->Find("app").size(), 1u);
  EXPECT_EQ((*users)->Find("app")[0].user_data, "u");
  EXPECT_TRUE((*users)->Find("nobody").empty());
  for (const char* bad :
       {"", "[]", R"({"a": [{"Pasword": "x"}]})", R"({"a": [{"MysqlNativePassword": "*12"}]})",
        R"({"a": [{"CachingSha2Password": "*12"}]})", R"({"a": [{"SourceHost": "10.0.0.1"}]})"}) {
    EXPECT_FALSE(StaticUsers::Parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace paceline::vtgate
