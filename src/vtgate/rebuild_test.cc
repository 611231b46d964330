#include "vtgate/rebuild.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using Change = port::AttemptOutcome::Change;

class RebuildTest : public testing::Test {
 protected:
  // "affected/insert id", or "lost".
  std::string Rebuild(std::string_view text, std::vector<Change> changes, bool found_rows = false,
                      uint64_t statements = 1) {
    sql::Dialect dialect;
    plan::Plan plan;
    sql::Analyze(text, dialect, plan.outline);
    port::AttemptOutcome outcome;
    outcome.fate = port::AttemptOutcome::Fate::kCommitted;
    outcome.statements = statements;
    outcome.changes = std::move(changes);
    auto ok = RebuildOk(plan, text, dialect, found_rows, outcome);
    return ok ? fmt::format("{}/{}", ok->affected_rows, ok->last_insert_id) : "lost";
  }
};

TEST_F(RebuildTest, Inserts) {
  EXPECT_EQ(Rebuild("INSERT INTO t (a) VALUES (1)", {{"vt_ks.t", 1, 0, 0, 7}}), "1/7");
  EXPECT_EQ(Rebuild("INSERT INTO `t` SET a = 1", {{"vt_ks.t", 1, 0, 0, 0}}), "1/0");
  EXPECT_EQ(Rebuild("INSERT INTO ks.t VALUES (1), (2)", {{"vt_ks.t", 2, 0, 0, 0}}), "2/0");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (1), (2)", {{"vt_ks.t", 2, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (1)", {{"vt_ks.t", 1, 0, 0, {}}}), "lost");
  // A trigger's rows are not counted.
  EXPECT_EQ(
      Rebuild("INSERT INTO t VALUES (1)", {{"vt_ks.t", 1, 0, 0, 7}, {"vt_ks.log", 3, 1, 0, 99}}),
      "1/7");
  EXPECT_EQ(Rebuild("INSERT INTO view1 VALUES (1)", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT IGNORE INTO t VALUES (1)", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (1) RETURNING a", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t SELECT a FROM s", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (LAST_INSERT_ID(5))", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (1)", {{"vt_ks.t", 1, 0, 0, 7}}, false, 2), "lost");
}

TEST_F(RebuildTest, ReplacesOnlyWhereOneRowWasNew) {
  EXPECT_EQ(Rebuild("REPLACE INTO t VALUES (1, 'x')", {{"vt_ks.t", 1, 0, 0, 7}}), "1/7");
  EXPECT_EQ(Rebuild("REPLACE INTO t VALUES (1, 'x')", {{"vt_ks.t", 0, 1, 0, 0}}), "lost");
  EXPECT_EQ(Rebuild("REPLACE INTO t VALUES (1, 'x'), (2, 'y')", {{"vt_ks.t", 1, 0, 0, 7}}), "lost");
  std::string upsert = "INSERT INTO t VALUES (1, (2)) ON DUPLICATE KEY UPDATE a = VALUES(a)";
  EXPECT_EQ(Rebuild(upsert, {{"vt_ks.t", 1, 0, 0, 7}}, true), "1/7");
  EXPECT_EQ(Rebuild(upsert, {{"vt_ks.t", 0, 1, 0, 0}}), "lost");
  EXPECT_EQ(Rebuild("INSERT INTO t VALUES (1), (2) ON DUPLICATE KEY UPDATE a = 1",
                    {{"vt_ks.t", 1, 0, 0, 7}}),
            "lost");
}

TEST_F(RebuildTest, UpdatesAndDeletes) {
  EXPECT_EQ(Rebuild("UPDATE t SET a = a + 1 WHERE b = 2", {{"vt_ks.t", 0, 3, 0, {}}}), "3/0");
  EXPECT_EQ(Rebuild("UPDATE t SET a = 1", {{"vt_ks.t", 0, 3, 0, {}}}, true), "lost");
  EXPECT_EQ(Rebuild("UPDATE t SET a = LAST_INSERT_ID(a + 1)", {{"vt_ks.t", 0, 1, 0, {}}}), "lost");
  EXPECT_EQ(Rebuild("UPDATE t JOIN s ON t.a = s.a SET t.b = 1", {{"vt_ks.t", 0, 1, 0, {}}}),
            "lost");
  EXPECT_EQ(Rebuild("DELETE FROM t WHERE a < 9", {{"vt_ks.t", 0, 0, 4, {}}}), "4/0");
}

TEST_F(RebuildTest, Definitions) {
  EXPECT_EQ(Rebuild("CREATE TABLE t (a INT)", {}), "0/0");
  EXPECT_EQ(Rebuild("DROP TABLE t", {}), "0/0");
  EXPECT_EQ(Rebuild("DROP TABLE IF EXISTS t", {}), "lost");
  EXPECT_EQ(Rebuild("CREATE TABLE t SELECT * FROM s", {}), "lost");
  EXPECT_EQ(Rebuild("ALTER TABLE t ADD b INT", {}), "lost");
}

}  // namespace
}  // namespace paceline::vtgate
