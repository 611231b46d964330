#include "sql/outline.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "sql/describe.h"
#include "sql/normalize.h"
#include "sql/set.h"

namespace paceline::sql {
namespace {

std::vector<std::pair<std::string, std::string>> Corpus(const std::string& name) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "testdata" / name;
  std::ifstream in(path);
  EXPECT_TRUE(in) << path;
  std::vector<std::pair<std::string, std::string>> out;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# ") && out.empty()) continue;
    if (line.starts_with("> ") && !out.empty()) {
      out.back().second = line.substr(2);
    } else {
      out.emplace_back(line, "");
    }
  }
  return out;
}

Dialect Maria() {
  Dialect dialect;
  dialect.flavor = Flavor::kMariadb;
  dialect.version = 101106;
  return dialect;
}

TEST(Outline, GivesWhatTheCorpusSays) {
  for (const auto& [text, expected] : Corpus("mysql.txt")) {
    EXPECT_EQ(Describe(text, Analyze(text, Dialect())), expected) << text;
  }
  for (const auto& [text, expected] : Corpus("mariadb.txt")) {
    EXPECT_EQ(Describe(text, Analyze(text, Maria())), expected) << text;
  }
}

TEST(Outline, AnsiQuotesMakeNames) {
  Dialect dialect;
  ApplySqlMode("REAL_AS_FLOAT,ANSI_QUOTES", dialect);
  const std::string text = R"(SELECT "a" FROM "ks"."t")";
  EXPECT_EQ(Describe(text, Analyze(text, dialect)),
            R"(select tables="ks"."t":read dbs="ks":qualifier)");
}

TEST(Outline, BackslashesFollowTheMode) {
  const std::string text = R"(SELECT 'a\' FROM ks.t WHERE b = 'x')";
  EXPECT_TRUE(Analyze(text, Dialect()).tables.empty());
  Dialect dialect;
  ApplySqlMode("NO_BACKSLASH_ESCAPES", dialect);
  EXPECT_EQ(Analyze(text, dialect).tables.size(), 1u);
}

TEST(Outline, SecondBytesOfCharactersAreNoQuotes) {
  // 0xBF5C is one character in GBK; in latin1 its second byte is a backslash.
  const std::string text = "SELECT '\xBF\x5C' FROM ks.t";
  EXPECT_TRUE(Analyze(text, Dialect()).tables.empty());
  Dialect dialect;
  dialect.bytes = ByteSchemeOf("gbk");
  EXPECT_EQ(Analyze(text, dialect).tables.size(), 1u);
  // 0x8360 in cp932: the second byte looks like a backtick.
  const std::string katakana = "SELECT `\x83\x60` FROM ks.t";
  dialect.bytes = ByteSchemeOf("cp932");
  EXPECT_EQ(Analyze(katakana, dialect).tables.size(), 1u);
}

TEST(Outline, Utf8NamesAndBindVariables) {
  Dialect dialect;
  dialect.bind_variables = true;
  const std::string text = "SELECT ключ FROM таблица WHERE a = :v1 AND b IN ::list";
  const Outline outline = Analyze(text, dialect);
  ASSERT_EQ(outline.tables.size(), 1u);
  EXPECT_EQ(outline.tables[0].name.In(text), "таблица");
  EXPECT_TRUE(outline.Has(kReadsPlaceholder));
}

TEST(Outline, KindsAndTheirConsequences) {
  struct Row {
    std::string_view text;
    bool writes, read_only, implicit_commit, rows;
  };
  const Row rows[] = {
      {"SELECT 1", false, true, false, true},
      {"SELECT * FROM t FOR UPDATE", true, false, false, true},
      {"SELECT 1 INTO @a", false, false, false, false},
      {"SELECT GET_LOCK('a', 1)", true, false, false, true},
      {"INSERT INTO t VALUES (1)", true, false, false, false},
      {"CREATE TABLE t (a INT)", true, false, true, false},
      {"CREATE TEMPORARY TABLE t (a INT)", true, false, false, false},
      {"BEGIN", false, false, true, false},
      {"COMMIT", false, false, false, false},
      {"LOCK TABLES t READ", true, false, true, false},
      {"SHOW TABLES", false, true, false, true},
      {"EXPLAIN SELECT 1", false, true, false, true},
      {"CALL p()", true, false, false, true},
      {"ANALYZE TABLE t", true, false, true, true},
      {"SET @a = 1", false, false, false, false},
      {"USE ks", false, false, false, false},
      {"GRANT ALL ON *.* TO x", true, false, true, false},
      {"NO IDEA", true, false, false, true},
  };
  for (const Row& row : rows) {
    const Outline outline = Analyze(row.text, Dialect());
    EXPECT_EQ(outline.Writes(), row.writes) << row.text;
    EXPECT_EQ(outline.ReadOnly(), row.read_only) << row.text;
    EXPECT_EQ(outline.ImplicitCommit(), row.implicit_commit) << row.text;
    EXPECT_EQ(outline.ReturnsRows(), row.rows) << row.text;
  }
}

std::vector<std::string> SplitTexts(std::string_view text, const Dialect& dialect = Dialect()) {
  std::vector<std::string> out;
  for (const Span& span : SplitStatements(text, dialect)) out.emplace_back(span.In(text));
  return out;
}

TEST(Split, EndsStatementsAtSemicolons) {
  using V = std::vector<std::string>;
  EXPECT_EQ(SplitTexts(" SELECT 1; ;SELECT ';' -- ;\n; select `;`"),
            (V{"SELECT 1", "SELECT ';'", "select `;`"}));
  EXPECT_EQ(SplitTexts(""), V{});
  EXPECT_EQ(SplitTexts("BEGIN; INSERT INTO t VALUES (1); COMMIT"),
            (V{"BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"}));
  EXPECT_EQ(
      SplitTexts("SELECT CASE a WHEN 1 THEN 2 END; SELECT IF(a, 1, 2); DROP TABLE IF EXISTS t"),
      (V{"SELECT CASE a WHEN 1 THEN 2 END", "SELECT IF(a, 1, 2)", "DROP TABLE IF EXISTS t"}));
}

TEST(Split, KeepsStoredProgramsWhole) {
  const std::string body =
      "CREATE PROCEDURE p() BEGIN DECLARE x INT DEFAULT IF(1, 2, 3); l: LOOP IF x > 1 THEN LEAVE "
      "l; "
      "ELSE IF (x) THEN SET x = CASE x WHEN 1 THEN IF(1, 2, 3) ELSE 2 END; END IF; END IF; END "
      "LOOP l; "
      "WHILE x DO SET x = REPEAT('a', 3); END WHILE; REPEAT SET x = 1; UNTIL x END REPEAT; "
      "CASE x WHEN 1 THEN SELECT 1; ELSE BEGIN END; END CASE; DROP TABLE IF EXISTS t; END";
  EXPECT_EQ(SplitTexts(body + "; SELECT 2"), (std::vector<std::string>{body, "SELECT 2"}));
  const std::string one = "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.a = 1";
  EXPECT_EQ(SplitTexts(one + ";SELECT 1"), (std::vector<std::string>{one, "SELECT 1"}));
  const std::string event = "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM t; END";
  EXPECT_EQ(SplitTexts(event + ";SELECT 1"), (std::vector<std::string>{event, "SELECT 1"}));
  const std::string block = "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END";
  EXPECT_EQ(SplitTexts(block + ";SELECT 3", Maria()),
            (std::vector<std::string>{block, "SELECT 3"}));
  const std::string table = "CREATE TABLE t (begin INT, `end` INT)";
  EXPECT_EQ(SplitTexts(table + "; SELECT 1"), (std::vector<std::string>{table, "SELECT 1"}));
}

TEST(Directives, AreNamesWithValues) {
  const auto list = ParseDirectives(" QUERY_TIMEOUT_MS=100 allow_scatter  WORKLOAD_NAME='x y' ");
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name, "QUERY_TIMEOUT_MS");
  EXPECT_EQ(list[0].value, "100");
  EXPECT_EQ(list[1].name, "ALLOW_SCATTER");
  EXPECT_EQ(list[2].value, "x y");
}

std::string Sets(std::string_view text, const Dialect& dialect = Dialect()) {
  static constexpr std::string_view kScopes[] = {"user",         "session", "global", "persist",
                                                 "persist_only", "next",    "names",  "charset",
                                                 "password",     "routine"};
  const SetStatement set = ParseSet(text, dialect);
  std::string out;
  for (const Assignment& a : set.assignments) {
    if (!out.empty()) out += "; ";
    out += std::string(kScopes[static_cast<size_t>(a.scope)]) + " " + a.name;
    out += a.IsConstant() ? " == " + a.constant : " = " + a.text;
    if (!a.collation.empty()) out += " collate " + a.collation;
  }
  if (!set.understood) out += " ?";
  return out;
}

TEST(Set, TakesAssignmentsApart) {
  EXPECT_EQ(Sets("SET autocommit=0"), "session autocommit == 0");
  EXPECT_EQ(Sets("SET @@session.sql_mode = 'ANSI', @@global.x := ON, @a=1, @`b c` := @a + 1"),
            "session sql_mode == ANSI; global x == ON; user a == 1; user b c = @a + 1");
  EXPECT_EQ(Sets("SET GLOBAL a = 1, b = -2, SESSION c = DEFAULT, LOCAL d = NULL"),
            "global a == 1; global b == -2; session c == DEFAULT; session d == NULL");
  EXPECT_EQ(Sets("SET PERSIST x = CONCAT('a', ',b'), persist_only y = (SELECT 1, 2)"),
            "persist x = CONCAT('a', ',b'); persist_only y = (SELECT 1, 2)");
  EXPECT_EQ(Sets("SET NAMES utf8mb4 COLLATE utf8mb4_bin, time_zone = '+00:00'"),
            "names names == utf8mb4 collate utf8mb4_bin; session time_zone == +00:00");
  EXPECT_EQ(Sets("SET NAMES 'latin1'"), "names names == latin1");
  EXPECT_EQ(Sets("SET NAMES DEFAULT;"), "names names == default");
  EXPECT_EQ(Sets("SET CHARACTER SET binary"), "charset character set == binary");
  EXPECT_EQ(Sets("SET charset gbk"), "charset character set == gbk");
  EXPECT_EQ(Sets("/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */"),
            "session sql_mode == NO_AUTO_VALUE_ON_ZERO");
  EXPECT_EQ(Sets("SET @OLD=@@CHARACTER_SET_CLIENT, character_set_results = NULL"),
            "user OLD = @@CHARACTER_SET_CLIENT; session character_set_results == NULL");
  EXPECT_EQ(Sets("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
            "next transaction_isolation == REPEATABLE-READ; next transaction_read_only == ON");
  EXPECT_EQ(Sets("SET SESSION TRANSACTION READ WRITE"), "session transaction_read_only == OFF");
  EXPECT_EQ(Sets("SET PASSWORD FOR 'a'@'b' = 'c'"), "password password = FOR 'a'@'b' = 'c'");
  EXPECT_EQ(Sets("SET DEFAULT ROLE x TO y"), "password default role = x TO y");
  EXPECT_EQ(Sets("SET mycache.key_buffer_size = 1"), "session mycache.key_buffer_size == 1");
  EXPECT_EQ(Sets("SET workload = olap"), "session workload == olap");
  EXPECT_EQ(Sets("SET x"), " ?");
  EXPECT_EQ(Sets("SET"), "");
  const std::string inner = "SET STATEMENT a=1, b='x' FOR SELECT 1";
  EXPECT_EQ(Sets(inner, Maria()), "session a == 1; session b == x");
  EXPECT_EQ(inner.substr(ParseSet(inner, Maria()).statement_at), "SELECT 1");
}

TEST(Normalize, PutsPlaceholders) {
  const std::string text = "SELECT /* c */ a ,'x',-5 FROM t  WHERE b IN (1, 0x1F) AND c=? -- end";
  const Normalized out = Normalize(text, Dialect());
  EXPECT_EQ(out.text, "SELECT a ,?,-? FROM t WHERE b IN (?, ?) AND c=?");
  ASSERT_EQ(out.literals.size(), 4u);
  EXPECT_EQ(out.literals[0].at.In(text), "'x'");
  EXPECT_EQ(out.literals[3].at.In(text), "0x1F");
}

TEST(Fingerprint, FoldsListsAndLiterals) {
  const auto digest = [](std::string_view text) { return FingerprintOf(text, Dialect()).digest; };
  EXPECT_EQ(digest("select  a from t where b in (1,2, 3) and c = -1;"),
            "SELECT a FROM t WHERE b IN (...) AND c = ?");
  EXPECT_EQ(digest("SELECT a FROM t WHERE b IN (1) AND c = 2"),
            digest("select a from t where b in ('x', -1, ?) and c = 'y'"));
  EXPECT_EQ(digest("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z')"),
            digest("insert into t (a, b) values (1, 2)"));
  EXPECT_EQ(digest("INSERT INTO t VALUES (1, NOW()), (2, NOW())"),
            "INSERT INTO t VALUES (?, NOW()), (?, NOW())");
  EXPECT_NE(FingerprintOf("SELECT 1 - 1", Dialect()).hash,
            FingerprintOf("SELECT 1 + 1", Dialect()).hash);
  EXPECT_EQ(digest("SELECT a - 1, b.c, f(x) FROM db.t"), "SELECT a - ?, b.c, f(x) FROM db.t");
  EXPECT_LE(
      FingerprintOf("SELECT " + std::string(10000, 'a') + ", b", Dialect(), 100).digest.size(),
      104u);
}

TEST(Redact, ShowsNoData) {
  EXPECT_EQ(Redact("SELECT 'secret', 42 /* secret */ FROM t WHERE a = \"secret\"", Dialect()),
            "SELECT ?, ? FROM t WHERE a = ?");
}

// Whatever bytes come, every span lies within the text and nothing is read beyond it (ASan).
TEST(Fuzz, RandomBytesAndCutStatements) {
  std::mt19937_64 rng(20261122);
  auto corpus = Corpus("mysql.txt");
  for (auto& row : Corpus("mariadb.txt")) corpus.push_back(row);
  const std::string_view pieces[] = {"(", ")",      "'",      "\"",   "`",  ".",  ",",
                                     ";", "/*",     "*/",     "/*!",  "@",  "@@", "--",
                                     "#", "SELECT", " FROM ", "JOIN", "IN", "\\", "\xBF"};
  const auto within = [](Span span, size_t size) {
    return span.offset <= size && span.length <= size - span.offset;
  };
  for (int round = 0; round < 40000; ++round) {
    std::string text = corpus[rng() % corpus.size()].first;
    for (uint64_t changes = rng() % 4; changes > 0 && !text.empty(); --changes) {
      const size_t at = rng() % text.size();
      switch (rng() % 4) {
        case 0:
          text[at] = static_cast<char>(rng());
          break;
        case 1:
          text.insert(at, pieces[rng() % std::size(pieces)]);
          break;
        case 2:
          text.erase(at, 1 + rng() % 8);
          break;
        default:
          text.resize(at);
      }
    }
    Dialect dialect = round % 2 == 0 ? Dialect() : Maria();
    dialect.bytes = static_cast<ByteScheme>(rng() % 5);
    dialect.ansi_quotes = rng() % 2 == 0;
    dialect.no_backslash_escapes = rng() % 2 == 0;
    // A copy of exactly its size, so that ASan sees a read behind the end.
    const std::vector<char> bytes(text.begin(), text.end());
    const std::string_view view(bytes.data(), bytes.size());
    const Outline outline = Analyze(view, dialect);
    for (const DatabaseUse& use : outline.databases)
      ASSERT_TRUE(within(use.at, view.size())) << text;
    for (const TableUse& use : outline.tables) ASSERT_TRUE(within(use.name, view.size())) << text;
    for (const SessionCall& call : outline.session_calls) {
      ASSERT_TRUE(within(call.at, view.size())) << text;
    }
    for (Span span : outline.unnamed_columns) ASSERT_TRUE(within(span, view.size())) << text;
    for (Span span :
         {outline.statement, outline.name, outline.argument, outline.directive, outline.hint}) {
      ASSERT_TRUE(within(span, view.size())) << text;
    }
    for (Span span : SplitStatements(view, dialect)) ASSERT_TRUE(within(span, view.size())) << text;
    (void)ParseSet(view, dialect);
    (void)FingerprintOf(view, dialect, 64);
    (void)Normalize(view, dialect);
    (void)Describe(view, outline);
  }
}

TEST(Fuzz, DeepNestingCostsNoStack) {
  std::string text =
      "SELECT " + std::string(100000, '(') + "1" + std::string(100000, ')') + " FROM t";
  EXPECT_EQ(Analyze(text, Dialect()).tables.size(), 1u);
  std::string selects;
  for (int i = 0; i < 1000; ++i) selects += "SELECT * FROM (";
  EXPECT_EQ(Analyze(selects, Dialect()).kind, Kind::kSelect);
}

}  // namespace
}  // namespace paceline::sql
