// The query service against real servers of both flavors.
#include "vttablet/query/testing.h"

namespace paceline::vttablet {
namespace {

class QueryServerTest : public QueryServerFixture {};

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

TEST_P(QueryServerTest, AnAlmostFullDiskRefusesWhatGrows) {
  Serve();
  std::atomic<DiskRefusal> disk{DiskRefusal::kNothing};
  server->UseDisk(&disk);
  uint64_t id = Run("INSERT INTO t (v) VALUES (90)", Begin).pinned();
  disk = DiskRefusal::kGrowth;
  Statement& refused = Run("INSERT INTO t (v) VALUES (91)", Pinned(id));
  EXPECT_EQ(refused.sink.end().error_number, 1021);
  EXPECT_EQ(refused.pinned(), id);
  Statement& quoted = Run("UPDATE \"t\" SET v = 92", [this](port::QueryRequest& request) {
    request.settings = SettingsOf("SET @@sql_mode = 'ANSI_QUOTES'");
  });
  EXPECT_EQ(quoted.sink.end().error_number, 1021);
  // The transaction is as it was, and its end is let through.
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 90", Pinned(id)).sink.First(), "1");
  Statement& commit = Run("COMMIT", Pinned(id));
  EXPECT_TRUE(*commit.end) << commit.error();
  EXPECT_EQ(Run("DELETE FROM t WHERE v = 90").sink.end().affected_rows, 1u);
  disk = DiskRefusal::kAllButDrops;
  EXPECT_EQ(Run("DELETE FROM t").sink.end().error_number, 1021);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t").sink.First(), "0");
  disk = DiskRefusal::kNothing;
  EXPECT_EQ(Run("INSERT INTO t (v) VALUES (93)").sink.end().affected_rows, 1u);
  Run("DELETE FROM t");
  server->UseDisk(nullptr);
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

TEST_P(QueryServerTest, CancelAndDeadlineEndTheStatementOnTheServer) {
  Serve();
  Statement& sleep = Start("SELECT SLEEP(19)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Do([&] { sleep.cancel.Request(); });
  ASSERT_TRUE(Wait(sleep));
  // mysqld may call an interrupted SLEEP an error, or not.
  EXPECT_TRUE(sleep.code() == Code::kCanceled || sleep.sink.end().error_number == 1317);
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
  options.transaction_timeout = 2s;
  Serve();
  EnableSemiSync(true);
  Statement& write = Run("INSERT INTO t (v) VALUES (8)", {}, 200ms);
  EXPECT_EQ(write.code(), Code::kDeadlineExceeded);
  EXPECT_NE(write.error().find("semi-sync"), std::string::npos) << write.error();
  EXPECT_EQ(server->metrics().kills.value(), 0);
  EXPECT_EQ(server->metrics().kills_withheld.value(), 1);
  EXPECT_EQ(server->metrics().connections.value(), 1) << "its connection waits on";
  EnableSemiSync(false);
  uint64_t id = Run("INSERT INTO t (v) VALUES (8)", Begin).pinned();
  EnableSemiSync(true);
  Statement& commit = Run("COMMIT", Pinned(id));
  EXPECT_EQ(commit.code(), Code::kDeadlineExceeded) << "not rolled back: " << commit.error();
  EnableSemiSync(false);
  EXPECT_TRUE(servers->Until([&] { return server->metrics().connections.value() == 0; }));
  EXPECT_EQ(Run("DELETE FROM t WHERE v = 8").sink.end().affected_rows, 2u);
}

// What a client is told of a commit that goes through, however late it is and whatever asked for
// it.
TEST_P(QueryServerTest, AKillThatComesTooLateChangesNothing) {
  Serve();
  std::string ask = mysql() ? "SELECT VARIABLE_VALUE FROM performance_schema.global_status"
                            : "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS";
  ask += std::string(" WHERE VARIABLE_NAME = 'Rpl_semi_sync_") + (mysql() ? "source" : "master") +
         "_wait_sessions'";
  uint64_t id = Run("INSERT INTO t (v) VALUES (11)", Begin).pinned();
  for (const char* text : {"INSERT INTO t (v) VALUES (11)", "COMMIT"}) {
    EnableSemiSync(true);
    Statement& late = Start(text, Pinned(text[0] == 'C' ? id : 0));
    std::string waiting;
    for (int looks = 0; looks < 2000 && waiting != "1"; ++looks)
      waiting = servers->Ask(*instance, ask);
    ASSERT_EQ(waiting, "1");
    const int64_t withheld = server->metrics().kills_withheld.value();
    Do([&] { late.cancel.Request(); });
    ASSERT_TRUE(
        servers->Until([&] { return server->metrics().kills_withheld.value() > withheld; }));
    EnableSemiSync(false);
    ASSERT_TRUE(Wait(late));
    ASSERT_EQ(late.code(), Code::kOk) << text << ": " << late.error();
    ASSERT_TRUE(late.sink.ended) << text;
    EXPECT_FALSE(late.sink.end().is_error());
    EXPECT_EQ(late.pinned(), 0u);
  }
  // One that it does end is answered as mysqld answers it, and its transaction goes on.
  id = Run("DELETE FROM t WHERE v = 12", Begin).pinned();
  Statement& update = Start("UPDATE t SET v = SLEEP(19) WHERE v = 11", Pinned(id));
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Do([&] { update.cancel.Request(); });
  ASSERT_TRUE(Wait(update));
  ASSERT_EQ(update.code(), Code::kOk) << update.error();
  EXPECT_EQ(update.sink.end().error_number, 1317) << update.sink.end().message;
  EXPECT_EQ(update.pinned(), id);
  EXPECT_EQ(Run("DELETE FROM t WHERE v = 11", Pinned(id)).sink.end().affected_rows, 2u);
  EXPECT_EQ(Run("COMMIT", Pinned(id)).pinned(), 0u);
  // One that has no connection yet has not run.
  options.pool.statements = 1;
  Finish(server->Close());
  Serve();
  Statement& sleep = Start("SELECT SLEEP(19)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Statement& waits = Start("INSERT INTO t (v) VALUES (12)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().waiting.value() == 1; }));
  Do([&] { waits.cancel.Request(), sleep.cancel.Request(); });
  ASSERT_TRUE(Wait(waits));
  ASSERT_EQ(waits.code(), Code::kOk) << waits.error();
  EXPECT_EQ(waits.sink.end().error_number, 1317);
  ASSERT_TRUE(Wait(sleep));
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 12").sink.First(), "0");
}

TEST_P(QueryServerTest, ACommitOfAnyKindThatOutlivesItsTransactionIsNotToldAsRolledBack) {
  options.transaction_timeout = 2s;
  Serve();
  servers->Ask(*instance, "CREATE PROCEDURE vt_ks.commits() COMMIT");
  auto reserve = [](port::QueryRequest& request) { request.reserve = true; };
  for (const char* text : {"CALL commits()", "SET @a = 1, autocommit = 1"}) {
    uint64_t id = Run("SET autocommit = 0", reserve).pinned();
    Run("INSERT INTO t (v) VALUES (13)", Pinned(id));
    EnableSemiSync(true);
    Statement& commit = Run(text, Pinned(id));
    EXPECT_EQ(commit.code(), Code::kDeadlineExceeded) << text << ": " << commit.error();
    EnableSemiSync(false);
    EXPECT_TRUE(servers->Until([&] { return server->metrics().connections.value() == 0; }));
  }
  EXPECT_EQ(Run("DELETE FROM t WHERE v = 13").sink.end().affected_rows, 2u);
  servers->Ask(*instance, "DROP PROCEDURE vt_ks.commits");
}

TEST_P(QueryServerTest, AStatementThatEndsItsTransactionAndIsGivenUpGivesItsPermitBack) {
  options.pool.transactions = 1;
  Serve();
  for (int round = 0; round < 2; ++round) {
    uint64_t id = Run("INSERT INTO t (v) VALUES (14)", Begin).pinned();
    ASSERT_NE(id, 0u) << "round " << round;
    Statement& late =
        Run("CREATE TABLE late AS SELECT SLEEP(19) AS a, id FROM t", Pinned(id), 100ms);
    EXPECT_TRUE(late.code() == Code::kDeadlineExceeded) << late.error();
  }
  Statement& next = Run("SELECT 1", Begin, 5s);
  EXPECT_EQ(next.code(), Code::kOk) << next.error();
  EXPECT_EQ(server->metrics().pinned.value(), 1);
  EXPECT_EQ(server->metrics().connections.value(), 1);
  servers->Ask(*instance, "DROP TABLE IF EXISTS vt_ks.late");
  Run("DELETE FROM t");
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
  Statement& ends = Start("SELECT SLEEP(0.2)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  drained.reset();
  Do([&] { io::Detach(drain(server.get(), &drained, 10s)); });
  ASSERT_TRUE(servers->Until([&] { return drained.has_value(); }));
  EXPECT_TRUE(*drained) << "the last statement's end is the drain's";
  ASSERT_TRUE(Wait(ends));
  EXPECT_EQ(ends.error(), "");
  Do([&] { server->SetServing(record::TabletType::kPrimary, true, "", 1); });
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

TEST_P(QueryServerTest, ADrainSeesWhatWasLetInBeforeIt) {
  Serve();
  Run("SELECT 1");  // a connection is there
  // Both in one tick: the statement sets its session up while the drain begins.
  Statement& late = Start("INSERT INTO t (v) VALUES (1)", [](port::QueryRequest& request) {
    request.settings = SettingsOf("SET sql_mode = 'ANSI', time_zone = '+02:00'");
  });
  std::optional<bool> answered;  // when the drain had ended
  auto drain = [](QueryServer* server, Statement* late,
                  std::optional<bool>* out) -> io::Task<void> {
    bool in_time = co_await server->Drain(Deadline::In(10s));
    EXPECT_TRUE(in_time);
    *out = late->end.has_value();
  };
  Do([&] { io::Detach(drain(server.get(), &late, &answered)); });
  ASSERT_TRUE(Wait(late));
  ASSERT_TRUE(servers->Until([&] { return answered.has_value(); }));
  const bool refused = late.code() == Code::kClusterEvent;
  EXPECT_TRUE(refused || (late.error().empty() && *answered)) << late.error();
  Do([&] { server->SetServing(record::TabletType::kPrimary, true, "", 1); });
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t WHERE v = 1").sink.First(), refused ? "0" : "1");
  Run("DELETE FROM t WHERE v = 1");
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
