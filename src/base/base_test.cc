#include <gtest/gtest.h>

#include "base/error.h"
#include "base/flags.h"
#include "base/rng.h"
#include "base/strings.h"

namespace paceline {
namespace {

TEST(Error, KeepsItsNumbersThroughContext) {
  Error error =
      Error::FromMysql(1146, "42S02", "Table 'a.b' doesn't exist").Context("reading the schema");
  EXPECT_EQ(error.mysql_errno(), 1146);
  EXPECT_EQ(error.sqlstate(), "42S02");
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.message(), "reading the schema: Table 'a.b' doesn't exist");
}

TEST(Strings, SplitJoinQuote) {
  EXPECT_EQ(Split("a,,b", ',').size(), 3u);
  EXPECT_TRUE(Split("", ',').empty());
  EXPECT_EQ(QuoteIdentifier("a`b"), "`a``b`");
  EXPECT_EQ(QuoteText("it's\n"), "'it\\'s\\n'");
  EXPECT_EQ(HexDecode(HexEncode("\x01\xff")), "\x01\xff");
  EXPECT_FALSE(ParseUint("12x"));
  EXPECT_FALSE(ParseUint(""));
}

TEST(Rng, SameSeedSameSequence) {
  SeededRng a(7), b(7);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.Next(), b.Next());
  EXPECT_EQ(NewUuid().size(), 36u);
}

TEST(Duration, GoTexts) {
  EXPECT_EQ(*ParseDuration("1m30s"), Duration(90s));
  EXPECT_EQ(*ParseDuration("250ms"), Duration(250ms));
  EXPECT_EQ(*ParseDuration("15"), Duration(15s));
  EXPECT_EQ(DurationText(90s), "1m30s");
  for (const char* bad : {"", "x", "5 s", "1m30", "s"}) EXPECT_FALSE(ParseDuration(bad)) << bad;
}

struct Parsed {
  std::string sql = "none";
  bool force = false;
  int64_t count = 3;
  Duration wait{30s};
  std::vector<std::string> cells;
};

Result<std::vector<std::string>> ParseInto(Parsed& into,
                                           const std::vector<std::string>& arguments) {
  FlagSet flags("tool", "[flags] name", "Does things.");
  flags.Text("sql", &into.sql, "statement");
  flags.Bool("force", &into.force, "do it");
  flags.Int("max-count", &into.count, "how many");
  flags.Time("wait-time", &into.wait, "how long");
  flags.TextList("cells", &into.cells, "where");
  flags.Alias("limit", "max-count");
  return flags.Parse(arguments);
}

TEST(Flags, TakeEverySpelling) {
  Parsed parsed;
  auto rest = ParseInto(parsed, {"-force", "ks/0", "-sql", "SELECT 1", "--max_count=5",
                                 "--wait-time", "1m", "zone-1", "--cells=a,b", "--cells", "c"});
  ASSERT_TRUE(rest) << rest.error().ToString();
  EXPECT_EQ(*rest, (std::vector<std::string>{"ks/0", "zone-1"}));
  EXPECT_TRUE(parsed.force);
  EXPECT_EQ(parsed.sql, "SELECT 1");
  EXPECT_EQ(parsed.count, 5);
  EXPECT_EQ(parsed.wait, Duration(1min));
  EXPECT_EQ(parsed.cells, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(Flags, RefuseByName) {
  Parsed parsed;
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--nope"},
                                                    {"--max-count=x"},
                                                    {"--sql"},
                                                    {"--force=maybe"},
                                                    {"--limit", "1.5"}}) {
    auto rest = ParseInto(parsed, arguments);
    ASSERT_FALSE(rest) << arguments[0];
    EXPECT_EQ(rest.error().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace paceline
