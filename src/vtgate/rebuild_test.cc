#include "vtgate/rebuild.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using Change = port::AttemptOutcome::Change;

class RebuildTest : public testing::Test {
 protected:
  // "affected/insert id", or "lost".
  std::string Rebuild(std::string_view text, std::vector<Change> changes, bool found_rows = false,
                      uint64_t statements = 1, std::string_view parameters = {}) {
    sql::Dialect dialect;
    plan::Plan plan;
    sql::Analyze(text, dialect, plan.outline);
    port::AttemptOutcome outcome;
    outcome.fate = port::AttemptOutcome::Fate::kCommitted;
    outcome.statements = statements;
    outcome.changes = std::move(changes);
    auto ok = RebuildOk(plan, text, parameters, dialect, found_rows, outcome);
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

TEST_F(RebuildTest, FoundRowsAreKnownByAKey) {
  std::vector<Change> one = {{"vt_ks.t", 0, 1, 0, {}, {"id"}}};
  for (std::string_view exact : {"UPDATE t SET a = a + 1 WHERE id = 7",
                                 "UPDATE t SET a = 1 WHERE b = 'x' AND ID = 7 LIMIT 3",
                                 "UPDATE ks.t SET a = (x = 1 OR y) WHERE (b OR c) AND ks.t.`id` = "
                                 "7"}) {
    EXPECT_EQ(Rebuild(exact, one, true), "1/0") << exact;
  }
  for (std::string_view unsure :
       {"UPDATE t SET a = 1", "UPDATE t SET id = 7", "UPDATE t SET a = 1 WHERE b = 7",
        "UPDATE t SET a = 1 WHERE id = '7'", "UPDATE t SET a = 1 WHERE id = 7 OR b = 1",
        "UPDATE t SET a = 1 WHERE b BETWEEN 1 AND id = 7", "UPDATE t SET a = 1 WHERE NOT id = 7",
        "UPDATE t SET a = 1 WHERE b XOR c AND id = 7", "UPDATE t SET a = 1 WHERE id = 7 || b",
        "UPDATE t SET a = 1 WHERE b = id = 7", "UPDATE t SET a = 1 WHERE t.b = id = 7",
        "UPDATE t SET a = 1 WHERE id = -7", "UPDATE t SET a = 1 WHERE (SELECT b AND id = 7)",
        "UPDATE t SET a = 1 WHERE id = 7 + b"}) {
    EXPECT_EQ(Rebuild(unsure, one, true), "lost") << unsure;
  }
  EXPECT_EQ(Rebuild("UPDATE t SET a = 1 WHERE id = 7", {{"vt_ks.t", 0, 2, 0, {}, {"id"}}}, true),
            "lost");
  std::string_view prepared = "UPDATE t SET a = ? WHERE id = ?";
  std::string parameters("\0\1\0\0\0\0\1\xfd\0\x08\0", 11);  // a text, a BIGINT
  EXPECT_EQ(Rebuild(prepared, one, true, 1, parameters), "1/0");
  std::swap(parameters[7], parameters[9]);
  EXPECT_EQ(Rebuild(prepared, one, true, 1, parameters), "lost") << "compared as texts are";
  parameters[6] = 0;
  EXPECT_EQ(Rebuild(prepared, one, true, 1, parameters), "lost");
  EXPECT_EQ(Rebuild(prepared, one, true), "lost");
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
