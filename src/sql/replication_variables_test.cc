#include "sql/replication_variables.h"

#include <gtest/gtest.h>

namespace paceline::sql {
namespace {

const Dialect kMariadb{.flavor = Flavor::kMariadb, .version = 101100};

std::string Set(std::string_view text, Dialect dialect = {}) {
  return FindReplicationSets(text, dialect).variable;
}

TEST(ReplicationVariables, EachWayToSetOne) {
  for (std::string_view text : {
           "SET @@session.SQL_LOG_BIN = 0",
           "SET NAMES utf8mb4, sql_log_bin=0",
           "set `sql_log_bin` = 0",
           "SET @a = 1, @@sql_log_bin = 0",
           "(SELECT 1); set sql_log_bin := 0",
           "SELECT 1 /*! ; SET sql_log_bin = 0 */",
           "/*!50000 SET @a = 1 */, sql_log_bin = 0",
           "prepare s from \"set sql_log_bin = 0\"",
           "PREPARE s FROM 'PREPARE t FROM ''SET sql_log_bin = 0'''",
           "CREATE DEFINER = CURRENT_USER PROCEDURE p(a INT) COMMENT 'x' SET sql_log_bin = 0",
           "CREATE PROCEDURE p() BEGIN UPDATE t SET a = 1; IF a THEN SET sql_log_bin = 0; END IF; "
           "END",
           "CREATE PROCEDURE p() BEGIN PREPARE s FROM 'SET sql_log_bin = 0'; END",
           "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SET sql_log_bin = 0",
           "CREATE TRIGGER r BEFORE UPDATE ON t FOR EACH ROW SET sql_log_bin = 0",
           "ALTER EVENT e DO SET sql_log_bin = 0",
       })
    EXPECT_EQ(Set(text), "sql_log_bin") << text;
  for (std::string_view text :
       {"SET STATEMENT sql_log_bin = 0 FOR SELECT 1",
        "SET STATEMENT max_statement_time = 1 FOR SET sql_log_bin = 0",
        "BEGIN NOT ATOMIC SET sql_log_bin = 0; END", "IF 1 THEN SET sql_log_bin = 0; END IF",
        "EXECUTE IMMEDIATE 'SET sql_log_bin = 0'"})
    EXPECT_EQ(Set(text, kMariadb), "sql_log_bin") << text;
}

TEST(ReplicationVariables, WhatOnlyLooksLikeIt) {
  for (std::string_view text :
       {"SET @server_id = 5", "SET @`gtid_next` = 1", "SET @a = 'sql_log_bin'",
        "SET @@my_server_id_x = 1", "SET @@sql_mode = 'ANSI'", "UPDATE t SET server_id = 5",
        "INSERT INTO t SET server_id = 5", "BEGIN; UPDATE t SET server_id = 5",
        "CREATE TABLE t (server_id INT)", "CALL p('SET sql_log_bin = 0')",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW UPDATE u SET server_id = 1",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.server_id = 1",
        "XA PREPARE 'SET sql_log_bin = 0'", "PREPARE s FROM 'UPDATE t SET server_id = ?'",
        "/*!999999 SET sql_log_bin = 0 */"})
    EXPECT_EQ(Set(text), "") << text;
}

TEST(ReplicationVariables, TheAccountItself) {
  for (std::string_view text : {"SET PASSWORD = 'x'", "set password for current_user() = 'x'",
                                "SELECT 1; SET PASSWORD = ''", "/*!50000 SET PASSWORD = 'x' */",
                                "PREPARE s FROM 'SET PASSWORD = \"x\"'",
                                "CREATE PROCEDURE p() BEGIN SET PASSWORD = 'x'; END"})
    EXPECT_EQ(Set(text), "password") << text;
  EXPECT_EQ(Set("SET @a = 1, PASSWORD = 'x'", kMariadb), "password");
  for (std::string_view text :
       {"ALTER USER USER() IDENTIFIED BY 'x'", "alter /* */ user vt_app@localhost ACCOUNT LOCK",
        "CREATE PROCEDURE p() BEGIN SELECT 1; ALTER USER USER() IDENTIFIED BY 'x'; END"})
    EXPECT_EQ(Set(text), "account") << text;
  for (std::string_view text :
       {"SET @password = 'x'", "SET ROLE NONE", "ALTER TABLE user ADD password INT",
        "UPDATE t SET password = 'x'", "CREATE USER u"})
    EXPECT_EQ(Set(text), "") << text;
}

TEST(ReplicationVariables, TextsOfPrepare) {
  ReplicationSets sets = FindReplicationSets("PREPARE s FROM 'SELECT 1'; PREPARE s FROM @a", {});
  EXPECT_EQ(sets.literals, std::vector<std::string>{"SELECT 1"});
  EXPECT_EQ(sets.computed, std::vector<std::string>{"@a"});
  EXPECT_TRUE(sets.computed_later);
  EXPECT_FALSE(FindReplicationSets("PREPARE s FROM @a", {}).computed_later);
  sets = FindReplicationSets("EXECUTE IMMEDIATE CONCAT('SELECT ', @a) USING @b", kMariadb);
  EXPECT_EQ(sets.computed, std::vector<std::string>{"CONCAT('SELECT ', @a)"});
}

TEST(ReplicationVariables, AnySqlMode) {
  EXPECT_EQ(FindReplicationSetsAnyMode("SET @a = '\\', sql_log_bin = 0, @b = ''", {}).variable,
            "sql_log_bin");
  EXPECT_EQ(FindReplicationSetsAnyMode("SET \"sql_log_bin\" = 0", {}).variable, "sql_log_bin");
  EXPECT_EQ(FindReplicationSetsAnyMode("SET @a = 'it\\'s', @b = \"x\"", {}).variable, "");
}

}  // namespace
}  // namespace paceline::sql
