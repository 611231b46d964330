#include "vtgate/statement_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using namespace std::chrono_literals;

StatementStats::Run Of(uint64_t fingerprint, std::string_view digest, Duration time) {
  StatementStats::Run run;
  run.fingerprint = fingerprint;
  run.digest = digest;
  run.keyspace = "ks";
  run.time = time;
  run.rows = 2;
  return run;
}

TEST(StatementStats, AddsUpByShapeAndKeyspace) {
  StatementStats stats;
  stats.Note(Of(1, "SELECT ?", 3ms));
  stats.Note(Of(1, "SELECT ?", 5ms));
  StatementStats::Run failed = Of(2, "SELECT nope", 1ms);
  failed.failed = true;
  stats.Note(failed);
  StatementStats::Run elsewhere = Of(1, "SELECT ?", 2ms);
  elsewhere.keyspace = "other";
  stats.Note(elsewhere);
  std::vector<StatementLine> top = stats.Top(10);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].digest, "SELECT ?");
  EXPECT_EQ(top[0].keyspace, "ks");
  EXPECT_EQ(top[0].count, 2u);
  EXPECT_EQ(top[0].rows, 4u);
  EXPECT_EQ(top[0].time, 8ms);
  EXPECT_EQ(top[0].longest, 5ms);
  EXPECT_EQ(top[2].errors, 1u);
  EXPECT_EQ(stats.Top(1).size(), 1u);
}

TEST(StatementStats, ManyShapesAreCountedTogether) {
  StatementStats stats;
  for (uint64_t i = 1; i <= 3 * StatementStats::kMostShapes; ++i) {
    stats.Note(Of(i, "SELECT " + std::to_string(i), 1ms));
  }
  std::vector<StatementLine> all = stats.Top(1 << 20);
  EXPECT_LE(all.size(), StatementStats::kMostShapes + 16);
  uint64_t count = 0;
  for (const StatementLine& line : all) count += line.count;
  EXPECT_EQ(count, 3 * StatementStats::kMostShapes);
  EXPECT_EQ(all[0].digest, "(others)");
}

}  // namespace
}  // namespace paceline::vtgate
