#include "plan/plan.h"

#include <gtest/gtest.h>

#include "plan/cache.h"

namespace paceline::plan {
namespace {

std::shared_ptr<const vschema::Snapshot> TwoKeyspaces() {
  record::SrvVSchema vschema;
  vschema.keyspaces["commerce"].tables["orders"];
  vschema.keyspaces["my-ks"].tables["people"];
  vschema.keyspaces["same"];
  vschema.routing_rules.rules = {
      {"commerce.moved", {"my-ks.moved"}},
      {"commerce.renamed", {"commerce.newer"}},
      {"commerce.gone", {}},
      {"commerce.reads@replica", {"my-ks.reads"}},
  };
  return vschema::Snapshot::Build(vschema, {"commerce", "empty"}, {{"same", "same"}});
}

SessionTarget At(std::string_view text) {
  return text.empty() ? SessionTarget() : *ParseTarget(text);
}

Result<Plan> Make(std::string_view text, std::string_view target = "commerce") {
  return MakePlan(text, sql::Dialect(), At(target), *TwoKeyspaces());
}

// "route target | text", or "errno message".
std::string Sent(std::string_view text, std::string_view target = "commerce") {
  const Result<Plan> plan = Make(text, target);
  if (!plan) return std::to_string(plan.error().mysql_errno()) + " " + plan.error().message();
  std::string buffer;
  SessionValues values;
  values.last_insert_id = 7;
  values.found_rows = 3;
  values.row_count = -1;
  values.connection_id = 99;
  values.user = "app@h";
  values.current_user = "app@%";
  const char* route = plan->route == Route::kShard         ? ""
                      : plan->route == Route::kAnyKeyspace ? "any "
                                                           : "gate ";
  return route + plan->target.ToString() + " | " + std::string(Render(text, *plan, values, buffer));
}

TEST(Plan, LeavesPlainStatementsAlone) {
  const std::string_view text = "SELECT c FROM orders WHERE id = 1";
  const Result<Plan> plan = Make(text);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->edits.empty());
  EXPECT_TRUE(plan->replica_ok);
  EXPECT_EQ(plan->pin, PinReason::kNone);
  std::string buffer;
  EXPECT_EQ(Render(text, *plan, SessionValues(), buffer).data(), text.data());
}

TEST(Plan, PutsTheTabletsDatabaseName) {
  EXPECT_EQ(Sent("SELECT commerce.o.id FROM commerce.orders o JOIN `commerce`.b ON commerce.f(1)"),
            "commerce | SELECT vt_commerce.o.id FROM vt_commerce.orders o JOIN `vt_commerce`.b ON "
            "vt_commerce.f(1)");
  EXPECT_EQ(Sent("SELECT * FROM `my-ks`.people", ""), "my-ks | SELECT * FROM `vt_my-ks`.people");
  EXPECT_EQ(Sent("SELECT * FROM same.t", "commerce"), "same | SELECT * FROM same.t");
  EXPECT_EQ(Sent("SELECT * FROM vt_commerce.orders", ""),
            "commerce | SELECT * FROM vt_commerce.orders");
  EXPECT_EQ(Sent("SHOW TABLES FROM commerce LIKE 'x'"),
            "commerce | SHOW TABLES FROM vt_commerce LIKE 'x'");
  EXPECT_EQ(Sent("SHOW COLUMNS FROM t FROM commerce"),
            "commerce | SHOW COLUMNS FROM t FROM vt_commerce");
  EXPECT_EQ(Sent("CREATE TABLE commerce.t (a INT)"),
            "commerce | CREATE TABLE vt_commerce.t (a INT)");
  EXPECT_EQ(Sent("GRANT ALL ON commerce.* TO x"), "commerce | GRANT ALL ON vt_commerce.* TO x");
  EXPECT_EQ(Sent("PREPARE s FROM 'SELECT ''a'' FROM commerce.t'"),
            "commerce | PREPARE s FROM 'SELECT \\'a\\' FROM vt_commerce.t'");
  EXPECT_EQ(Sent("SET @a = (SELECT 1 FROM commerce.t)"),
            "gate commerce | SET @a = (SELECT 1 FROM vt_commerce.t)");
}

TEST(Plan, RewritesNamesInSystemSchemas) {
  EXPECT_EQ(Sent("SELECT * FROM information_schema.tables WHERE table_schema = 'commerce' AND "
                 "table_name = 'commerce'"),
            "commerce | SELECT * FROM information_schema.tables WHERE table_schema = 'vt_commerce' "
            "AND table_name = 'commerce'");
  EXPECT_EQ(Sent("SELECT * FROM information_schema.tables WHERE table_schema = DATABASE()"),
            "commerce | SELECT * FROM information_schema.tables WHERE table_schema = DATABASE()");
  EXPECT_EQ(Sent("SELECT 1 FROM t WHERE table_schema = 'commerce'"),
            "commerce | SELECT 1 FROM t WHERE table_schema = 'commerce'");
  EXPECT_EQ(Sent("SELECT * FROM tables WHERE table_schema = 'commerce'", "information_schema"),
            "any  | SELECT * FROM `information_schema`.tables WHERE table_schema = 'vt_commerce'");
  EXPECT_EQ(Make("SELECT 1 FROM information_schema.tables WHERE a = ? AND table_schema = ?")
                ->schema_parameters,
            std::vector<uint16_t>{1});
}

TEST(Plan, AnswersForTheSession) {
  EXPECT_EQ(Sent("SELECT DATABASE()"),
            "commerce | SELECT IF(1,'commerce',DATABASE()) AS `DATABASE()`");
  EXPECT_EQ(Sent("SELECT DATABASE() AS d", "commerce@replica"),
            "commerce@replica | SELECT IF(1,'commerce@replica',DATABASE()) AS d");
  EXPECT_EQ(Sent("SELECT DATABASE()", ""), "any  | SELECT IF(1,NULL,DATABASE()) AS `DATABASE()`");
  EXPECT_EQ(Sent("SELECT DATABASE()", "same"), "same | SELECT DATABASE()");
  EXPECT_EQ(
      Sent("SELECT LAST_INSERT_ID() + 1, FOUND_ROWS() f, USER()"),
      "commerce | SELECT IF(1,CAST(7 AS UNSIGNED),LAST_INSERT_ID()) + 1 AS `LAST_INSERT_ID() + 1`, "
      "IF(1,CAST(3 AS SIGNED),FOUND_ROWS()) f, IF(1,'app@h',USER()) AS `USER()`");
  EXPECT_EQ(Sent("INSERT INTO orders VALUES (LAST_INSERT_ID())"),
            "commerce | INSERT INTO orders VALUES (IF(1,CAST(7 AS UNSIGNED),LAST_INSERT_ID()))");
  EXPECT_TRUE(Make("SELECT LAST_INSERT_ID(5)")->fetch_last_insert_id);
  EXPECT_FALSE(Make("UPDATE t SET a = LAST_INSERT_ID(5)")->fetch_last_insert_id);
  EXPECT_TRUE(Make("SELECT SQL_CALC_FOUND_ROWS 1")->fetch_found_rows);
  // A stored definition asks when it runs, not when it is made.
  EXPECT_EQ(Sent("CREATE VIEW v AS SELECT DATABASE()"),
            "commerce | CREATE VIEW v AS SELECT DATABASE()");
}

TEST(Plan, FollowsRoutingRules) {
  EXPECT_EQ(Sent("SELECT moved.a, commerce.moved.b FROM moved"),
            "my-ks | SELECT moved.a, `vt_my-ks`.moved.b FROM moved");
  EXPECT_EQ(Sent("SELECT renamed.a FROM renamed"),
            "commerce | SELECT renamed.a FROM newer AS renamed");
  EXPECT_EQ(Sent("SELECT * FROM reads", "commerce@replica"), "my-ks@replica | SELECT * FROM reads");
  EXPECT_EQ(Sent("SELECT * FROM reads"), "commerce | SELECT * FROM reads");
  EXPECT_EQ(Sent("SELECT * FROM gone").substr(0, 5), "1105 ");
}

TEST(Plan, FindsTheKeyspaceOrSaysWhatIsMissing) {
  EXPECT_EQ(Sent("SELECT * FROM orders", ""), "commerce | SELECT * FROM orders");
  EXPECT_EQ(Sent("SELECT 1", ""), "any  | SELECT 1");
  EXPECT_EQ(Make("SELECT * FROM t", "").error().mysql_errno(), 1046);
  EXPECT_EQ(Make("SELECT * FROM t", "").error().sqlstate(), "3D000");
  EXPECT_EQ(Make("SHOW TABLES", "").error().mysql_errno(), 1046);
  EXPECT_EQ(Make("CALL p()", "").error().mysql_errno(), 1046);
  EXPECT_EQ(Make("SELECT * FROM nope.t").error().mysql_errno(), 1049);
  EXPECT_EQ(Make("SELECT * FROM nope.t").error().sqlstate(), "42000");
  EXPECT_EQ(Make("USE nope")->use_target.keyspace, "nope");  // refused where it runs
  EXPECT_EQ(Make("SELECT 1", "nope").error().mysql_errno(), 1049);
  EXPECT_EQ(Make("SELECT * FROM commerce.a JOIN same.b").error().mysql_errno(), 1235);
  EXPECT_EQ(Make("SELECT * FROM a JOIN same.b").error().mysql_errno(), 1235);
  EXPECT_EQ(Make("INSERT INTO t VALUES (1)", "commerce@replica").error().mysql_errno(), 1290);
  EXPECT_TRUE(Make("SELECT * FROM t", "commerce@replica"));
  EXPECT_EQ(Sent("SELECT * FROM commerce.t", "commerce:0@replica"),
            "commerce:0@replica | SELECT * FROM vt_commerce.t");
}

TEST(Plan, KnowsWhatPins) {
  const auto pin = [](std::string_view text) { return Make(text)->pin; };
  const auto unpin = [](std::string_view text) { return Make(text)->unpin; };
  EXPECT_EQ(pin("CREATE TEMPORARY TABLE t (a INT)"), PinReason::kTemporaryTable);
  EXPECT_EQ(unpin("DROP TEMPORARY TABLE t"), PinReason::kTemporaryTable);
  EXPECT_EQ(pin("LOCK TABLES t READ"), PinReason::kLockTables);
  EXPECT_EQ(unpin("UNLOCK TABLES"), PinReason::kLockTables);
  EXPECT_EQ(pin("SELECT GET_LOCK('a', 1)"), PinReason::kGetLock);
  EXPECT_EQ(unpin("DO RELEASE_LOCK('a')"), PinReason::kGetLock);
  EXPECT_EQ(pin("SELECT @a := 1"), PinReason::kUserVariable);
  EXPECT_EQ(pin("SET @a = 1"), PinReason::kNone);
  EXPECT_EQ(pin("SET @a = NOW()"), PinReason::kUserVariable);
  EXPECT_EQ(pin("SELECT @a"), PinReason::kNone);
  EXPECT_EQ(pin("PREPARE s FROM 'SELECT 1'"), PinReason::kPreparedStatement);
  EXPECT_EQ(unpin("DEALLOCATE PREPARE s"), PinReason::kPreparedStatement);
  EXPECT_EQ(pin("HANDLER t OPEN"), PinReason::kHandler);
  EXPECT_EQ(unpin("HANDLER t CLOSE"), PinReason::kHandler);
  EXPECT_EQ(pin("XA START 'x'"), PinReason::kXa);
  EXPECT_EQ(unpin("XA COMMIT 'x'"), PinReason::kXa);
  EXPECT_EQ(pin("FLUSH TABLES WITH READ LOCK"), PinReason::kGlobalReadLock);
  EXPECT_EQ(pin("FLUSH TABLES t"), PinReason::kNone);
}

TEST(Plan, GivesTheGateItsTasks) {
  const auto task = [](std::string_view text) { return Make(text)->gate; };
  EXPECT_EQ(task("BEGIN"), GateTask::kBegin);
  EXPECT_EQ(task("-- nothing"), GateTask::kEmpty);
  EXPECT_EQ(task("SHOW VITESS_TABLETS"), GateTask::kShow);
  EXPECT_EQ(task("SHOW DATABASES"), GateTask::kShow);
  EXPECT_EQ(task("SHOW TABLES"), GateTask::kNone);
  EXPECT_EQ(task("KILL 5"), GateTask::kKill);
  EXPECT_EQ(task("CREATE DATABASE x"), GateTask::kDatabaseDdl);
  EXPECT_EQ(task("ROLLBACK TO x"), GateTask::kRollbackTo);
  const Result<Plan> use = Make("USE `commerce:0@replica`");
  ASSERT_TRUE(use);
  EXPECT_EQ(use->use_target.ToString(), "commerce:0@replica");
  EXPECT_EQ(Make("USE @replica")->use_target.ToString(), "commerce@replica");
  EXPECT_EQ(Make("USE information_schema")->use_target.keyspace, "information_schema");
  EXPECT_EQ(Make("SET autocommit = 0")->set.assignments.size(), 1u);
}

TEST(Plan, RefusesWhatHidesWritesFromReplicas) {
  for (std::string_view text :
       {"PREPARE s FROM 'SET sql_log_bin = 0'", "CREATE PROCEDURE p() SET sql_log_bin = 0",
        "CREATE PROCEDURE p() BEGIN SET @a = 1; SET @@session.gtid_next = 'AUTOMATIC'; END"}) {
    Result<Plan> plan = Make(text);
    ASSERT_FALSE(plan) << text;
    EXPECT_EQ(plan.error().mysql_errno(), 1227);
  }
  EXPECT_TRUE(Make("PREPARE s FROM 'UPDATE t SET server_id = 1'"));
  EXPECT_TRUE(Make("CREATE PROCEDURE p() UPDATE t SET server_id = 1"));
}

TEST(Target, ParsesAndPrints) {
  for (std::string_view text : {"", "ks", "ks:80-", "ks@replica", "ks:-80@rdonly", "@replica"}) {
    const Result<SessionTarget> target = ParseTarget(text);
    ASSERT_TRUE(target) << text;
    EXPECT_EQ(target->ToString(), text);
  }
  EXPECT_EQ(ParseTarget("ks/0")->ToString(), "ks:0");
  EXPECT_EQ(ParseTarget("ks@MASTER")->ToString(), "ks");
  EXPECT_EQ(ParseTarget("ks", record::TabletType::kReplica)->ToString(), "ks@replica");
  for (std::string_view text : {"ks@nope", "ks@spare", "ks:", ":0", "ks[80-]", "ks@"}) {
    const Result<SessionTarget> target = ParseTarget(text);
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().mysql_errno(), 1049) << text;
  }
}

TEST(ClientNames, ReplacesWholeNamesOnly) {
  EXPECT_EQ(ToClientNames("Table 'vt_ks.t' doesn't exist", "vt_ks", "ks"),
            "Table 'ks.t' doesn't exist");
  EXPECT_EQ(ToClientNames("vt_ks2 my_vt_ks `vt_ks` vt_ks-1 vt_ks", "vt_ks", "ks"),
            "vt_ks2 my_vt_ks `ks` vt_ks-1 ks");
  EXPECT_EQ(ToClientNames("nothing", "vt_ks", "ks"), "nothing");
}

TEST(PlanCache, KeepsWithinItsBoundAndFollowsTheSnapshot) {
  PlanCache cache(20000);
  auto snapshot = TwoKeyspaces();
  const sql::Dialect dialect;
  const SessionTarget target = At("commerce");
  ASSERT_TRUE(cache.Get("SELECT 1", dialect, target, snapshot));
  EXPECT_EQ(cache.size(), 0u) << "what comes once is not kept";
  const auto first = cache.Get("SELECT 1", dialect, target, snapshot);
  const auto again = cache.Get("SELECT 1", dialect, target, snapshot);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->get(), again->get());
  EXPECT_EQ(cache.hits(), 1u);
  EXPECT_NE(cache.Get("SELECT 1", dialect, At("same"), snapshot)->get(), first->get());
  for (int i = 0; i < 2000; ++i) {
    const std::string text = "SELECT " + std::to_string(i / 2) + " FROM t";
    ASSERT_TRUE(cache.Get(text, dialect, target, snapshot));
    ASSERT_LE(cache.bytes(), 20000u);
  }
  EXPECT_GT(cache.size(), 3u);
  snapshot = TwoKeyspaces();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(cache.Get("SELECT 5", dialect, target, snapshot));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_FALSE(cache.Get("SELECT * FROM nope.t", dialect, target, snapshot));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(cache.Get("SET a = 1", dialect, target, snapshot));
  EXPECT_EQ(cache.size(), 1u);
}

}  // namespace
}  // namespace paceline::plan
