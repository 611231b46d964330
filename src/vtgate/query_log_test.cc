#include "vtgate/query_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace paceline::vtgate {
namespace {

using namespace std::chrono_literals;

TEST(QueryLog, WritesOneObjectALine) {
  std::string file = ::testing::TempDir() + "query_log_XXXXXX";
  ASSERT_GE(mkstemp(file.data()), 0);
  {
    Result<std::unique_ptr<QueryLog>> log = QueryLog::Open({.file = file});
    ASSERT_TRUE(log.has_value());
    QueryLogLine line;
    line.user = "app";
    line.statement = "SELECT '\xff' \n FROM t";
    line.time = 1500us;
    line.rows = 3;
    for (int i = 0; i < 100; ++i) (*log)->Write(line, WallTime{1'700'000'000'000'000'000});
  }
  std::ifstream in(file);
  std::string text;
  int lines = 0;
  while (std::getline(in, text)) {
    nlohmann::json json = nlohmann::json::parse(text);
    EXPECT_EQ(json["user"], "app");
    EXPECT_EQ(json["duration_ms"], 1.5);
    EXPECT_EQ(json["time_unix_ms"], 1'700'000'000'000);
    EXPECT_FALSE(json.contains("error"));
    ++lines;
  }
  EXPECT_EQ(lines, 100);
  ::unlink(file.c_str());
}

TEST(QueryLog, WantsWhatItWasToldTo) {
  Result<std::unique_ptr<QueryLog>> log = QueryLog::Open(
      {.file = "/dev/null", .sample_rate = 0.5, .row_threshold = 2, .time_threshold = 1ms});
  ASSERT_TRUE(log.has_value());
  EXPECT_TRUE((*log)->Wants(1ms, 2, 0.49));
  EXPECT_FALSE((*log)->Wants(1ms, 2, 0.5));
  EXPECT_FALSE((*log)->Wants(1ms, 1, 0));
  EXPECT_FALSE((*log)->Wants(999us, 2, 0));
}

TEST(QueryLog, NamesAFileThatCannotBeOpened) {
  Result<std::unique_ptr<QueryLog>> log = QueryLog::Open({.file = "/nowhere/at/all"});
  ASSERT_FALSE(log.has_value());
  EXPECT_THAT(log.error().message(), ::testing::HasSubstr("/nowhere/at/all"));
}

}  // namespace
}  // namespace paceline::vtgate
