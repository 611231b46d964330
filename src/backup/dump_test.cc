// A server read over SQL and loaded into another one: every value, key and program as it was.
#include "backup/dump.h"

#include <gtest/gtest.h>

#include "backup/dump_format.h"
#include "backup/load.h"
#include "base/strings.h"
#include "mysqld/replication.h"
#include "mysqld/testing.h"

namespace paceline::backup {
namespace {

using mysqld::InTest;

TEST(DumpFormat, RecordsComeBackHoweverTheyAreCut) {
  DumpRecord view;
  view.kind = DumpRecord::Kind::kView;
  view.schema = "s";
  view.name = "v";
  view.sql = std::string("CREATE VIEW v AS SELECT '\0'", 26);
  view.sql_mode = "ANSI_QUOTES";
  view.charset = "latin1";
  view.collation = "latin1_bin";
  DumpRecord rows;
  rows.kind = DumpRecord::Kind::kRows;
  rows.sql = std::string(1000, 'x');
  const std::vector<DumpRecord> records = {ToRecord({"9.7.4", "MySQL56/u:1"}), view, rows,
                                           EndRecord(7)};
  std::string bytes;
  for (const DumpRecord& record : records) bytes += Encode(record);
  for (size_t piece : {1u, 7u, 100u, 5000u}) {
    DumpParser parser;
    std::vector<DumpRecord> back;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      parser.Feed(std::string_view(bytes).substr(at, piece));
      for (auto next = parser.Next(); next && *next; next = parser.Next()) back.push_back(**next);
    }
    EXPECT_EQ(back, records) << piece;
    EXPECT_EQ(parser.left(), 0u);
  }
  EXPECT_EQ(ParseHeader(records[0])->position, "MySQL56/u:1");
  EXPECT_EQ(*ParseEnd(records[3]), 7u);
  EXPECT_FALSE(ParseEnd(view));
  DumpParser damaged;
  damaged.Feed(std::string("\x63\x01\x00\x00\x00z", 6));
  EXPECT_EQ(damaged.Next().error().code(), Code::kDataLoss);
}

DumpTable TableOf(const std::string& type) {
  DumpTable table;
  table.schema = "s";
  table.name = "t`";
  table.key = "k";
  table.columns = {{"k", type, "utf8mb4", "utf8mb4_bin", false}, {"g", "int", "", "", true}};
  return table;
}

TEST(DumpTable, IsCutIntoPartsThatHaveEachRowOnce) {
  const DumpTable table = TableOf("bigint");
  EXPECT_EQ(CutIntegers(table, "1", "10", 1), (std::vector<std::string>{""}));
  EXPECT_EQ(CutIntegers(table, "", "", 5), (std::vector<std::string>{""}));
  EXPECT_EQ(CutIntegers(table, "-9223372036854775808", "18446744073709551615", 3),
            (std::vector<std::string>{"`k` < 0", "`k` >= 0 AND `k` < 9223372036854775808",
                                      "`k` >= 9223372036854775808"}));
  EXPECT_EQ(CutIntegers(table, "5", "6", 100), (std::vector<std::string>{"`k` < 6", "`k` >= 6"}));
  EXPECT_EQ(KeyKindOf(TableOf("float")), KeyKind::kNone);
  const DumpTable text = TableOf("varchar");
  EXPECT_EQ(KeyLiteral(*text.Key(), "C3A4"), "_utf8mb4 X'C3A4' COLLATE utf8mb4_bin");
}

TEST(DumpTable, RowsAreStatements) {
  EXPECT_EQ(SelectRows(TableOf("set"), "`k` < 5"),
            "SELECT CAST(`k` AS UNSIGNED) FROM `s`.`t``` WHERE `k` < 5");
  const DumpTable json = TableOf("json");
  InsertWriter insert(json);
  insert.Add({std::string_view("{\"a'\\\0\": 1}", 11)});
  insert.Add({std::nullopt});
  EXPECT_EQ(insert.rows(), 2u);
  EXPECT_EQ(insert.Take(),
            "INSERT INTO `s`.`t``` (`k`) VALUES (_utf8mb4'{\"a\\'\\\\\\0\": 1}'),\n(NULL)");
}

class Text final : public io::ByteSink {
 public:
  io::Task<Status> Write(std::string_view bytes, Deadline) override {
    text += bytes;
    co_return Status();
  }
  std::string text;
};

class DumpTest : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    from = &servers.Add(1);
    servers.Ask(*from, "SET GLOBAL read_only = OFF");
    servers.Ask(*from, "CREATE DATABASE d DEFAULT CHARACTER SET latin1");
  }
  void Run(mysqld::Instance& at, const std::string& sql) {
    struct Step {
      static io::Task<Status> Do(mysqld::Instance* at, std::string sql) {
        std::vector<std::string> statements = {
            "SET NAMES utf8mb4, sql_mode = '', time_zone = '+00:00'", std::move(sql)};
        mysql::ConnectOptions options = at->DbaConnectOptions();
        options.database = "d";
        auto connection = co_await mysql::Connection::Connect(std::move(options), InTest());
        if (!connection) co_return Fail(connection.error());
        for (size_t i = 0; i < statements.size(); ++i) {
          auto done = co_await (*connection)->Query(statements[i], InTest());
          if (!done) co_return Fail(done.error());
        }
        co_return Status();
      }
    };
    ASSERT_OK(servers.Await(Step::Do(&at, sql)));
  }
  static mysqld::Instance& Writable(mysqld::TestServers& servers) {
    mysqld::Instance& to = servers.Add(2);
    servers.Ask(to, "SET GLOBAL read_only = OFF");
    return to;
  }
  Result<DumpReport> Dump(mysqld::Instance& at, std::vector<std::string> schemas = {}) {
    DumpOptions options;
    options.server = at.DbaConnectOptions();
    options.schemas = std::move(schemas);
    options.readers = readers;
    options.part_bytes = 200'000;
    sink.text.clear();
    return servers.Await(DumpServer(std::move(options), sink, gate, InTest()));
  }
  static io::Task<Result<LoadReport>> LoadAll(mysql::ConnectOptions server, std::string_view dump,
                                              size_t piece) {
    LoadOptions options;
    options.server = std::move(server);
    auto loader = co_await Loader::Open(std::move(options), InTest());
    if (!loader) co_return Fail(loader.error());
    Status written;
    for (size_t at = 0; at < dump.size() && written; at += piece)
      written = co_await (*loader)->Write(dump.substr(at, piece), InTest());
    Result<LoadReport> report = LoadReport();
    if (written) report = co_await (*loader)->Finish(InTest());
    if (!written) report = Fail(written.error());
    co_await (*loader)->Stop();
    co_return report;
  }
  Result<LoadReport> Load(mysqld::Instance& at) {
    return servers.Await(LoadAll(at.DbaConnectOptions(), sink.text, 100'000));
  }

  mysqld::TestServers servers{GetParam()};
  mysqld::Instance* from = nullptr;
  Text sink;
  size_t readers = 3;
  io::Gate gate;
};

constexpr const char* kTypes =
    "CREATE TABLE kinds (id INT PRIMARY KEY, a BIGINT UNSIGNED, b DECIMAL(65,30), c DOUBLE, "
    "d VARCHAR(50) CHARACTER SET utf8mb4, e VARBINARY(50), f LONGBLOB, g JSON, h DATETIME(6), "
    "i TIMESTAMP(6) NULL, j TIME(3), k YEAR, l BIT(64), m ENUM('x','\u00e4','') NOT NULL, n "
    "SET('p','q'), "
    "o GEOMETRY, p CHAR(5) CHARACTER SET latin1 DEFAULT '\u00e9', q FLOAT, r INT GENERATED ALWAYS "
    "AS (id + 1) STORED, s VARCHAR(20) GENERATED ALWAYS AS (CONCAT(d, '!')) VIRTUAL, `t ``x` TEXT "
    "CHARACTER SET utf16, u DATE, v POINT, w INT(5) ZEROFILL, x BIT(1), KEY (a)) "
    "COMMENT 'na\u00efve'";

TEST_P(DumpTest, EveryValueComesBackAsItWas) {
  Run(*from, kTypes);
  Run(*from,
      "INSERT INTO kinds (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, `t ``x`, u, v, w, "
      "x) "
      "VALUES (1, 18446744073709551615, -1234567890123456789012345678901234.5678901234, 1e-300, "
      "'\u00e4\U0001F600\\\\''', X'00ff0a275c', REPEAT(X'00275cff', 70000), '{\"a\": [1, null, "
      "\"\u00e4\"]}', '2026-11-27 19:15:00.123456', '2026-10-25 01:30:00.5', '-838:59:58.999', "
      "2026, "
      "18446744073709551615, '\u00e4', 'p,q', ST_GeomFromText('POINT(1 2)'), '\u00fc', 16777.217, "
      "'\u00e9\U0001F600', '2026-01-01', ST_GeomFromText('POINT(3 4)'), 7, 1)");
  Run(*from,
      "INSERT INTO kinds (id, c, h, i, k, m, u, q) VALUES (0, '-0', '0000-00-00', "
      "'0000-00-00', 0, 'nothing', '2026-02-00', 3.4028234e38), (-5, 0.1, NULL, NULL, "
      "1901, '', NULL, '-0')");
  Run(*from, "CREATE TABLE keyless (a INT, b VARCHAR(100))");
  Run(*from, "INSERT INTO keyless VALUES (NULL, NULL), (1, ''), (1, '')");
  Run(*from, "CREATE TABLE parent (id INT PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 77");
  Run(*from,
      "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))");
  Run(*from, "INSERT INTO parent VALUES (3), (4)");
  Run(*from, "INSERT INTO child VALUES (1, 4), (2, NULL)");
  Run(*from, "CREATE TABLE old (id INT PRIMARY KEY, v INT) ENGINE = MyISAM");
  Run(*from, "INSERT INTO old VALUES (1, 2)");
  const std::string sums = "CHECKSUM TABLE d.kinds, d.keyless, d.parent, d.child, d.old";
  auto report = Dump(*from);
  ASSERT_OK(report);
  EXPECT_EQ(report->rows, 3u + 3 + 2 + 2 + 1);
  mysqld::Replication replication(from->admin(), servers.programs().version);
  EXPECT_EQ(report->position, servers.Await(replication.Position(InTest()))->ToEncoded());
  mysqld::Instance& to = Writable(servers);
  auto loaded = Load(to);
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->rows, report->rows);
  EXPECT_EQ(loaded->header.position, report->position);
  EXPECT_TRUE(loaded->left_out.empty()) << Join(loaded->left_out, "; ");
  auto all = [&](mysqld::Instance& at, std::string sql) {
    auto result = servers.Await(at.admin().Query(std::move(sql), InTest()));
    EXPECT_TRUE(result) << result.error().ToString();
    std::string text;
    for (size_t row = 0; result && row < result->rows.size(); ++row) {
      for (size_t i = 0; i < result->columns.size(); ++i)
        text += result->Get(row, i) ? std::string(*result->Get(row, i)) + "|" : "NULL|";
    }
    return text;
  };
  EXPECT_EQ(all(to, sums), all(*from, sums));
  for (const char* table : {"kinds", "keyless", "parent", "child", "old"}) {
    const std::string shown = std::string("SHOW CREATE TABLE d.") + table;
    EXPECT_EQ(all(to, shown), all(*from, shown));
  }
  const std::string rows = "SELECT * FROM d.kinds ORDER BY id";
  EXPECT_EQ(all(to, rows), all(*from, rows));
  EXPECT_EQ(all(to, "SELECT m + 0 FROM d.kinds ORDER BY id"), "3|0|2|");
  EXPECT_EQ(all(to, "SHOW CREATE DATABASE d"), all(*from, "SHOW CREATE DATABASE d"));
}

TEST_P(DumpTest, ProgramsAndAccountsComeBack) {
  Run(*from, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))");
  Run(*from, "CREATE VIEW z AS SELECT id FROM t");
  Run(*from, "CREATE VIEW a AS SELECT MAX(id) AS m FROM z");
  Run(*from, "CREATE TABLE goes (id INT PRIMARY KEY)");
  Run(*from, "CREATE VIEW broken AS SELECT * FROM goes");
  Run(*from, "DROP TABLE goes");
  Run(*from,
      "CREATE FUNCTION said () RETURNS VARCHAR(20) CHARACTER SET utf8mb4 DETERMINISTIC "
      "RETURN 'gr\u00fc\u00df'");
  Run(*from, "CREATE PROCEDURE noted () BEGIN INSERT INTO t VALUES (1, 'a;b'); END");
  Run(*from, "CREATE TRIGGER first BEFORE INSERT ON t FOR EACH ROW SET NEW.v = CONCAT(NEW.v, '1')");
  Run(*from,
      "CREATE TRIGGER another BEFORE INSERT ON t FOR EACH ROW FOLLOWS first SET NEW.v = "
      "CONCAT(NEW.v, '2')");
  Run(*from,
      "CREATE EVENT rarely ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01 00:00:00' DISABLE DO "
      "DELETE FROM t");
  Run(*from, "CREATE USER 'someone'@'%' IDENTIFIED BY 'secret'");
  Run(*from, "CREATE ROLE readers");
  Run(*from, "GRANT SELECT ON d.* TO readers");
  Run(*from, "GRANT readers TO 'someone'@'%'");
  ASSERT_OK(Dump(*from));
  mysqld::Instance& to = Writable(servers);
  auto loaded = Load(to);
  ASSERT_OK(loaded);
  ASSERT_EQ(loaded->left_out.size(), 1u) << Join(loaded->left_out, "; ");
  EXPECT_NE(loaded->left_out[0].find("view d.broken"), std::string::npos) << loaded->left_out[0];
  Run(to, "SET GLOBAL read_only = OFF");
  Run(to, "CALL noted()");
  EXPECT_EQ(servers.Ask(to, "SELECT v FROM d.t"), "a;b12");
  EXPECT_EQ(servers.Ask(to, "SELECT m FROM d.a"), "1");
  EXPECT_EQ(servers.Ask(to, "SELECT HEX(d.said())"), servers.Ask(*from, "SELECT HEX(d.said())"));
  EXPECT_EQ(servers.Ask(to,
                        "SELECT GROUP_CONCAT(event_name, status, starts) FROM "
                        "information_schema.events"),
            servers.Ask(*from,
                        "SELECT GROUP_CONCAT(event_name, status, starts) FROM "
                        "information_schema.events"));
  mysql::ConnectOptions login = to.DbaConnectOptions();
  login.user = "someone";
  login.password = "secret";
  auto connected = servers.Await(mysql::Connection::Connect(login, InTest()));
  EXPECT_TRUE(connected) << connected.error().ToString();
}

TEST_P(DumpTest, TablesAreCutByKeysOfEachKind) {
  Run(*from, "CREATE TABLE numbers (id INT PRIMARY KEY, v LONGTEXT)");
  Run(*from,
      "CREATE TABLE texts (a VARCHAR(30) CHARACTER SET utf8mb4, b INT, v LONGTEXT, PRIMARY "
      "KEY (a, b))");
  for (int i = 0; i < 24; ++i) {
    Run(*from, fmt::format("INSERT INTO numbers VALUES ({}, REPEAT('x', 40000))", i * i));
    Run(*from, fmt::format("INSERT INTO texts VALUES ('{}', {}, REPEAT('y', 40000))",
                           std::string_view("aAbBzZ").substr(static_cast<size_t>(i) % 6, 1), i));
  }
  Run(*from, "ANALYZE TABLE numbers, texts");
  auto report = Dump(*from, {"d"});
  ASSERT_OK(report);
  EXPECT_EQ(report->rows, 48u);
  mysqld::Instance& to = Writable(servers);
  ASSERT_OK(Load(to));
  const std::string sums =
      "SELECT CONCAT((SELECT COUNT(DISTINCT id) FROM d.numbers), ' ', (SELECT "
      "COUNT(DISTINCT b) FROM d.texts), ' ', (SELECT SUM(LENGTH(v)) FROM d.texts))";
  EXPECT_EQ(servers.Ask(to, sums), "24 24 960000");
}

TEST_P(DumpTest, WhatWasCutShortOrAlteredIsTold) {
  Run(*from, "CREATE TABLE t (id INT PRIMARY KEY)");
  Run(*from, "INSERT INTO t VALUES (1), (2)");
  ASSERT_OK(Dump(*from));
  mysqld::Instance& to = Writable(servers);
  sink.text.resize(sink.text.size() - 3);
  auto loaded = Load(to);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code(), Code::kDataLoss) << loaded.error().ToString();
  // It is there already.
  ASSERT_OK(Dump(*from));
  loaded = Load(to);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message().find("loading table d.t"), std::string::npos)
      << loaded.error().ToString();
  EXPECT_TRUE(servers.Await(gate.Close(InTest())));
  auto report = Dump(*from);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), Code::kCanceled) << report.error().ToString();
}

// What both flavors know goes from one to the other.
TEST_P(DumpTest, GoesToTheOtherFlavor) {
  const bool mariadb = GetParam() == gtid::Flavor::kMariadb;
  mysqld::TestServers others(mariadb ? gtid::Flavor::kMysql : gtid::Flavor::kMariadb);
  if (!others.available()) GTEST_SKIP() << "no server of the other flavor on this machine";
  Run(*from,
      "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) CHARACTER SET utf8mb4, "
      "j JSON, q FLOAT, o POINT, b BIT(9), e ENUM('x', 'y'), KEY (v))");
  Run(*from,
      "INSERT INTO t VALUES (1, 'gr\u00fc\u00df', '{\"a\": 1}', 0.1, ST_GeomFromText('POINT(1 "
      "2)'), "
      "b'101010101', 'y')");
  Run(*from, "CREATE VIEW w AS SELECT v FROM t");
  ASSERT_OK(Dump(*from));
  mysqld::Instance& to = Writable(others);
  auto loaded = others.Await(LoadAll(to.DbaConnectOptions(), sink.text, 1000));
  ASSERT_OK(loaded);
  const std::string sql =
      "SELECT CONCAT_WS('|', id, HEX(v), j, q, ST_AsText(o), b + 0, e + 0) FROM d.t";
  EXPECT_EQ(others.Ask(to, sql), servers.Ask(*from, sql));
  EXPECT_EQ(others.Ask(to, "SELECT v FROM d.w"), servers.Ask(*from, "SELECT v FROM d.w"));
}

INSTANTIATE_TEST_SUITE_P(BothFlavors, DumpTest,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

}  // namespace
}  // namespace paceline::backup
