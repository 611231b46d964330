#include "vttablet/manager/import_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace paceline::vttablet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ImportTable Sample() {
  return {"shop",
          "a`b",
          {{"id", Literal::kNumber},
           {"price", Literal::kNumber, true},
           {"twice", Literal::kNumber, false, true},
           {"name", Literal::kText},
           {"photo", Literal::kBytes}}};
}

TEST(ImportText, ReadsAndWritesRows) {
  ImportTable table = Sample();
  EXPECT_EQ(SelectRows(table), "SELECT `id`, `price` + 0e0, `name`, `photo` FROM `shop`.`a``b`");
  std::string sql = InsertHead(table);
  AppendRow(table, {"7", "1.5", "it's", std::string_view("\0\\", 2)}, &sql);
  sql += ",";
  AppendRow(table, {"8", std::nullopt, "", std::nullopt}, &sql);
  EXPECT_EQ(sql,
            "INSERT INTO `shop`.`a``b` (`id`, `price`, `name`, `photo`) VALUES "
            "(7,1.5,'it\\'s',_binary'\\0\\\\'),(8,NULL,'',NULL)");
}

TEST(ImportText, KnowsHowTypesAreWritten) {
  EXPECT_EQ(LiteralOf("BIGINT"), Literal::kNumber);
  EXPECT_EQ(LiteralOf("bit"), Literal::kBytes);
  EXPECT_EQ(LiteralOf("multipolygon"), Literal::kBytes);
  for (const char* text : {"json", "enum", "datetime", "varchar", "uuid", "inet6"})
    EXPECT_EQ(LiteralOf(text), Literal::kText) << text;
}

TEST(ImportText, TheCounterIsNoPartOfADefinition) {
  const std::string with =
      "CREATE TABLE `t` (\n  `a` int DEFAULT ' AUTO_INCREMENT=1'\n) ENGINE=InnoDB "
      "AUTO_INCREMENT=801 DEFAULT CHARSET=utf8mb4";
  EXPECT_EQ(WithoutCounter(with),
            "CREATE TABLE `t` (\n  `a` int DEFAULT ' AUTO_INCREMENT=1'\n) ENGINE=InnoDB DEFAULT "
            "CHARSET=utf8mb4");
  EXPECT_EQ(WithoutCounter("CREATE VIEW v AS SELECT 1"), "CREATE VIEW v AS SELECT 1");
}

TEST(ImportText, NamesTheRightsThatAreMissing) {
  EXPECT_THAT(MissingRights({"GRANT ALL PRIVILEGES ON *.* TO `x`@`%` WITH GRANT OPTION"}, true),
              IsEmpty());
  EXPECT_THAT(MissingRights({"GRANT SELECT, RELOAD, PROCESS, EVENT, TRIGGER, SHOW VIEW, "
                             "REPLICATION SLAVE, REPLICATION CLIENT, SUPER ON *.* TO `x`@`%`"},
                            false),
              IsEmpty());
  EXPECT_THAT(MissingRights({"GRANT RELOAD, PROCESS, EVENT, TRIGGER, SHOW VIEW, REPLICATION SLAVE, "
                             "REPLICATION CLIENT ON *.* TO `x`@`%`",
                             "GRANT SYSTEM_VARIABLES_ADMIN,CONNECTION_ADMIN ON *.* TO `x`@`%`",
                             "GRANT SELECT ON `shop`.* TO `x`@`%`"},
                            false),
              ElementsAre("SELECT", "REPLICATION_SLAVE_ADMIN"));
  // MariaDB prints newer spellings of some.
  EXPECT_THAT(MissingRights({"GRANT SELECT, RELOAD, PROCESS, SHOW VIEW, TRIGGER, EVENT, BINLOG "
                             "MONITOR, SLAVE MONITOR, READ_ONLY ADMIN, CONNECTION ADMIN, "
                             "REPLICATION SLAVE ADMIN, REPLICATION SLAVE ON *.* TO `x`@`%`"},
                            true),
              ElementsAre("SUPER"));
}

SourceFacts Fit() {
  SourceFacts facts;
  facts.version = *mysqld::ParseVersionText("8.4.3");
  facts.log_bin = true;
  facts.binlog_format = "ROW";
  facts.gtid_mode = "ON";
  facts.server_id = 1;
  facts.databases = {"shop"};
  return facts;
}
ImportWish Wish() {
  ImportWish wish;
  wish.version = *mysqld::ParseVersionText("9.7.4");
  wish.server_id = 100;
  wish.database = "shop";
  wish.sidecar = "_vt";
  return wish;
}

TEST(WhyNotImport, AFitSource) { EXPECT_THAT(WhyNotImport(Fit(), Wish()), IsEmpty()); }

TEST(WhyNotImport, EachReasonSaysWhatToDo) {
  struct Case {
    std::function<void(SourceFacts&)> change;
    const char* text;
  };
  const Case cases[] = {
      {[](auto& f) { f.log_bin = false; }, "start it with log_bin"},
      {[](auto& f) { f.binlog_format = "STATEMENT"; }, "SET GLOBAL binlog_format = ROW"},
      {[](auto& f) { f.gtid_mode = "OFF"; }, "OFF_PERMISSIVE"},
      {[](auto& f) { f.log_filter = "Binlog_Do_DB = a"; }, "without binlog_do_db"},
      {[](auto& f) { f.replicates_from = "db1:3306"; }, "import that one"},
      {[](auto& f) { f.read_only = true; }, "SET GLOBAL read_only = OFF"},
      {[](auto& f) { f.server_id = 100; }, "SET GLOBAL server_id"},
      {[](auto& f) { f.lower_case_table_names = 1; }, "made with the same"},
      {[](auto& f) { f.missing_rights = {"SELECT"}; }, "GRANT them"},
      {[](auto& f) { f.tables_not_innodb = {"shop.t (MyISAM)"}; }, "ENGINE = InnoDB"},
      {[](auto& f) { f.versioned_tables = {"shop.t"}; }, "DROP SYSTEM VERSIONING"},
      {[](auto& f) {
         f.databases = {"a", "b"};
       },
       "but a, b: name the one to serve"},
      {[](auto& f) { f.databases.insert("_vt"); }, "tablet of Paceline or Vitess already"},
      {[](auto& f) { f.version = *mysqld::ParseVersionText("10.11.6-MariaDB"); }, "flavor"},
  };
  for (const Case& one : cases) {
    SourceFacts facts = Fit();
    one.change(facts);
    EXPECT_THAT(WhyNotImport(facts, Wish()), ElementsAre(HasSubstr(one.text))) << one.text;
  }
  ImportWish older = Wish();
  older.version = *mysqld::ParseVersionText("8.0.40");
  EXPECT_THAT(WhyNotImport(Fit(), older), ElementsAre(HasSubstr("at least as new")));
  ImportWish other = Wish();
  other.database = "vt_shop";
  other.asked_database = "shop";
  EXPECT_THAT(WhyNotImport(Fit(), other), ElementsAre(HasSubstr("--init-db-name-override=shop")));
}

}  // namespace
}  // namespace paceline::vttablet
