#include "vttablet/query/statement_metrics.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;

TEST(StatementMetricsTest, CountsByTableAndPlan) {
  Metrics registry;
  StatementMetrics metrics(registry);
  StatementProbe probe(metrics);
  probe.Count("select * from `greetings` where id = 1", 2ms, false, 1, 0);
  probe.Count("select * from `greetings` where id = 1", 2ms, false, 1, 0);
  probe.Count("insert into greetings (name) values ('a')", 1ms, false, 0, 1);
  probe.Count("select * from a join b on a.id = b.id", 1ms, true, 0, 0);
  probe.Count("select 1", 1ms, false, 1, 0);
  probe.Count("create table t (i int)", 1ms, false, 0, 0);
  probe.Count("rollback", 1ms, false, 0, 0);
  EXPECT_EQ(metrics.counts.With({"greetings", "Select"}).value(), 2);
  EXPECT_EQ(metrics.times_ns.With({"greetings", "Select"}).value(), 4'000'000);
  EXPECT_EQ(metrics.rows_returned.With({"greetings", "Select"}).value(), 2);
  EXPECT_EQ(metrics.rows_affected.With({"greetings", "Insert"}).value(), 1);
  EXPECT_EQ(metrics.errors.With({"Join", "Select"}).value(), 1);
  EXPECT_EQ(metrics.counts.With({"", "Select"}).value(), 1);
  EXPECT_EQ(metrics.counts.With({"t", "DDL"}).value(), 1);
  EXPECT_EQ(metrics.counts.With({"", "Transaction"}).value(), 1);
  EXPECT_EQ(metrics.queries.With({"Select"}).count(), 4);
}

TEST(StatementMetricsTest, ALongStatementIsKnownByItsBeginning) {
  Metrics registry;
  StatementMetrics metrics(registry);
  StatementProbe probe(metrics);
  std::string text = "INSERT INTO big VALUES ";
  for (int i = 0; i < 100'000; ++i) text += "('some text that goes on'),";
  probe.Count(text + "('x')", 1ms, false, 0, 100'001);
  EXPECT_EQ(metrics.counts.With({"big", "Insert"}).value(), 1);
}

}  // namespace
}  // namespace paceline::vttablet
