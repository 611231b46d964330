#include "vttablet/query/disk_refusal.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

constexpr DiskRefusal kAll[] = {DiskRefusal::kNothing, DiskRefusal::kGrowth,
                                DiskRefusal::kAllButDrops};

// From which refusal on the text is refused; 3: never.
int RefusedFrom(std::string_view text) {
  for (int i = 0; i < 3; ++i) {
    Status admitted = RefuseOnDisk(kAll[i], text, sql::Dialect(), {"zone1", 100});
    if (admitted) continue;
    EXPECT_EQ(admitted.error().mysql_errno(), 1021);
    EXPECT_NE(admitted.error().message().find("the disk of zone1-0000000100"), std::string::npos);
    return i;
  }
  return 3;
}

TEST(DiskRefusal, WhatGrowsIsRefusedFirst) {
  for (const char* text :
       {"INSERT INTO t VALUES (1)", "REPLACE INTO t VALUES (1)", "UPDATE t SET a = 1",
        "LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "CALL p()", "EXECUTE s",
        "CREATE TABLE t (a INT)", "CREATE TEMPORARY TABLE t (a INT)", "CREATE INDEX i ON t (a)",
        "CREATE DATABASE d", "ALTER TABLE t ADD COLUMN b INT",
        "ALTER TABLE t ADD PARTITION (PARTITION p VALUES IN (1))", "ALTER TABLE t DROP COLUMN b",
        "OPTIMIZE TABLE t", "SELECT 1 INTO OUTFILE '/x'",
        "/* a */ WITH c AS (SELECT 1) UPDATE t SET a = 1", "SELECT 1; INSERT INTO t VALUES (1)"}) {
    EXPECT_EQ(RefusedFrom(text), 1) << text;
  }
}

TEST(DiskRefusal, DeletingIsRefusedLater) {
  EXPECT_EQ(RefusedFrom("DELETE FROM t LIMIT 100"), 2);
  EXPECT_EQ(RefusedFrom("DELETE t FROM t JOIN u USING (a)"), 2);
}

TEST(DiskRefusal, WhatMakesRoomAndWhatReadsGoesOn) {
  for (const char* text : {"TRUNCATE TABLE t",
                           "TRUNCATE t",
                           "DROP TABLE t",
                           "DROP TABLE IF EXISTS t, u",
                           "DROP INDEX i ON t",
                           "DROP DATABASE d",
                           "ALTER TABLE t DROP PARTITION p1, p2",
                           "ALTER TABLE t TRUNCATE PARTITION ALL",
                           "RENAME TABLE t TO u",
                           "SELECT * FROM t",
                           "SELECT * FROM t FOR UPDATE",
                           "SHOW TABLES",
                           "BEGIN",
                           "COMMIT",
                           "ROLLBACK",
                           "SAVEPOINT a",
                           "SET autocommit = 1",
                           "EXPLAIN INSERT INTO t VALUES (1)",
                           "ANALYZE TABLE t",
                           "XA COMMIT 'x'",
                           "LOCK TABLES t WRITE",
                           "KILL 5",
                           "",
                           "/* nothing */"}) {
    EXPECT_EQ(RefusedFrom(text), 3) << text;
  }
}

}  // namespace
}  // namespace paceline::vttablet
