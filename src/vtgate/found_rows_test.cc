#include "vtgate/found_rows.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using mysql::wire::Terminator;

std::optional<uint64_t> After(std::string_view text, sql::Flavor flavor, Terminator::Kind kind,
                              std::string info = "") {
  sql::Dialect dialect;
  dialect.flavor = flavor;
  plan::Plan plan;
  sql::Analyze(text, dialect, plan.outline);
  Terminator end;
  end.kind = kind;
  end.row_count = 7;
  end.affected_rows = 3;
  end.info = std::move(info);
  return FoundRowsAfter(plan, end, flavor);
}

TEST(FoundRows, CountsRowsOfQueries) {
  for (sql::Flavor flavor : {sql::Flavor::kMysql, sql::Flavor::kMariadb}) {
    constexpr Terminator::Kind kRows = Terminator::Kind::kEof;
    EXPECT_EQ(After("SELECT * FROM t", flavor, kRows), 7u);
    EXPECT_EQ(After("SHOW TABLES", flavor, kRows), 7u);
    EXPECT_EQ(After("DESC t", flavor, kRows), 7u);
    EXPECT_EQ(After("SHOW CREATE TABLE t", flavor, kRows), std::nullopt);
    EXPECT_EQ(After("SHOW WARNINGS", flavor, kRows), std::nullopt);
    EXPECT_EQ(After("ANALYZE TABLE t", flavor, kRows), std::nullopt);
  }
  EXPECT_EQ(After("EXPLAIN SELECT 1", sql::Flavor::kMysql, Terminator::Kind::kEof), std::nullopt);
  EXPECT_EQ(After("EXPLAIN SELECT 1", sql::Flavor::kMariadb, Terminator::Kind::kEof), 0u);
}

TEST(FoundRows, SomeStatementsWithoutRowsCountToo) {
  constexpr Terminator::Kind kOk = Terminator::Kind::kOk;
  const sql::Flavor mysql = sql::Flavor::kMysql, mariadb = sql::Flavor::kMariadb;
  EXPECT_EQ(After("SELECT a INTO @a FROM t", mysql, kOk), 3u);
  EXPECT_EQ(After("SELECT 1 INTO @a", mariadb, kOk), 0u);
  EXPECT_EQ(After("UPDATE t SET a = 1", mysql, kOk, "Rows matched: 12  Changed: 3"), 12u);
  EXPECT_EQ(After("UPDATE t SET a = 1", mariadb, kOk, "Rows matched: 12  Changed: 3"),
            std::nullopt);
  EXPECT_EQ(After("INSERT INTO t SELECT * FROM u", mysql, kOk, "Records: 5  Duplicates: 0"), 5u);
  EXPECT_EQ(After("INSERT INTO t VALUES (1), (2)", mysql, kOk, "Records: 2"), std::nullopt);
  EXPECT_EQ(After("DO 1", mysql, kOk), 1u);
  EXPECT_EQ(After("DO 1", mariadb, kOk), std::nullopt);
  EXPECT_EQ(After("DELETE FROM t", mysql, kOk), std::nullopt);
}

}  // namespace
}  // namespace paceline::vtgate
