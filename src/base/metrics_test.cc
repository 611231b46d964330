#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace paceline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, CountersInBothForms) {
  Metrics metrics;
  metrics.AddCounter("MysqlServerConnAccepted", "Connections accepted").Add(3);
  auto& counts = metrics.AddCounters("QueryCounts", "Queries by plan", {"Plan", "TabletType"});
  counts.With({"Select", "replica"}).Add(2);
  counts.With({"In.sert", "primary"}).Add();
  EXPECT_EQ(metrics.PrometheusText("vtgate"),
            "# HELP vtgate_mysql_server_conn_accepted Connections accepted\n"
            "# TYPE vtgate_mysql_server_conn_accepted counter\n"
            "vtgate_mysql_server_conn_accepted 3\n"
            "# HELP vtgate_query_counts Queries by plan\n"
            "# TYPE vtgate_query_counts counter\n"
            "vtgate_query_counts{plan=\"In.sert\",tablet_type=\"primary\"} 1\n"
            "vtgate_query_counts{plan=\"Select\",tablet_type=\"replica\"} 2\n");
  EXPECT_EQ(metrics.VarsJson(),
            "{\n\"MysqlServerConnAccepted\": 3,\n"
            "\"QueryCounts\": {\"In_sert.primary\": 1, \"Select.replica\": 2}\n}\n");
}

TEST(Metrics, TimingsAreVitesss) {
  Metrics metrics;
  auto& queries = metrics.AddTimings("Queries", "Query times", {"plan_type"});
  queries.With({"Select"}).Observe(500us);
  queries.With({"Select"}).Observe(20s);
  queries.With({"Insert"}).Observe(7ms);
  EXPECT_EQ(metrics.VarsJson(),
            "{\n\"Queries\": {\"TotalCount\": 3, \"TotalTime\": 20007500000, \"Histograms\": {"
            "\"Insert\": {\"500000\": 0, \"1000000\": 0, \"5000000\": 0, \"10000000\": 1, "
            "\"50000000\": 0, "
            "\"100000000\": 0, \"500000000\": 0, \"1000000000\": 0, \"5000000000\": 0, "
            "\"10000000000\": 0, \"inf\": 0, \"Count\": 1, \"Time\": 7000000}, "
            "\"Select\": {\"500000\": 1, \"1000000\": 0, \"5000000\": 0, \"10000000\": 0, "
            "\"50000000\": 0, "
            "\"100000000\": 0, \"500000000\": 0, \"1000000000\": 0, \"5000000000\": 0, "
            "\"10000000000\": 0, \"inf\": 1, \"Count\": 2, \"Time\": 20000500000}}}\n}\n");
  const std::string text = metrics.PrometheusText("vttablet");
  EXPECT_THAT(text, HasSubstr("# TYPE vttablet_queries histogram\n"));
  EXPECT_THAT(text, HasSubstr("vttablet_queries_bucket{plan_type=\"Select\",le=\"0.0005\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("vttablet_queries_bucket{plan_type=\"Select\",le=\"10\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("vttablet_queries_bucket{plan_type=\"Select\",le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("vttablet_queries_sum{plan_type=\"Select\"} 20.0005\n"));
  EXPECT_THAT(text, HasSubstr("vttablet_queries_count{plan_type=\"Select\"} 2\n"));
}

TEST(Metrics, HistogramWithOwnCutoffs) {
  Metrics metrics;
  Histogram& rows = metrics.AddHistogram("Results", "Rows of a result", {0, 10});
  rows.Observe(int64_t{0});
  rows.Observe(int64_t{11});
  EXPECT_EQ(metrics.VarsJson(),
            "{\n\"Results\": {\"0\": 1, \"10\": 0, \"inf\": 1, \"Count\": 2, \"Total\": 11}\n}\n");
  EXPECT_THAT(metrics.PrometheusText("x"), HasSubstr("x_results_bucket{le=\"10\"} 1\n"));
  EXPECT_THAT(metrics.PrometheusText("x"), HasSubstr("x_results_sum 11\nx_results_count 2\n"));
}

TEST(Metrics, CallbacksAreReadWhenAskedAndEndWithTheirHandle) {
  Metrics metrics;
  int64_t now = 1;
  {
    Metrics::Callback gauge =
        metrics.AddCallback("Uptime", "ns", CallbackKind::kGauge, [&] { return now; });
    Metrics::Callback connections =
        metrics.AddCallback("HealthcheckConnections", "", CallbackKind::kGauge,
                            {"Keyspace", "ShardName", "TabletType"}, [] {
                              return std::vector<MetricSample>{{{"ks", "0", "primary"}, 1}};
                            });
    Metrics::Callback text = metrics.AddText("TabletStateName", [] { return "SERVING"; });
    now = 7;
    EXPECT_EQ(metrics.VarsJson(),
              "{\n\"HealthcheckConnections\": {\"ks.0.primary\": 1},\n"
              "\"TabletStateName\": \"SERVING\",\n\"Uptime\": 7\n}\n");
    EXPECT_THAT(metrics.PrometheusText("vtgate"),
                HasSubstr("vtgate_healthcheck_connections{keyspace=\"ks\",shard_name=\"0\","
                          "tablet_type=\"primary\"} 1\n"));
    EXPECT_THAT(metrics.PrometheusText("vtgate"), Not(HasSubstr("SERVING")));
    // A newer owner's callback stays when the older one's handle goes.
    Metrics::Callback newer =
        metrics.AddCallback("Uptime", "ns", CallbackKind::kGauge, [] { return int64_t{9}; });
    gauge = Metrics::Callback();
    EXPECT_THAT(metrics.VarsJson(), HasSubstr("\"Uptime\": 9"));
  }
  EXPECT_EQ(metrics.VarsJson(), "{\n\n}\n");
}

TEST(Metrics, HostileLabelsStayInsideTheirQuotes) {
  Metrics metrics;
  metrics.AddCounters("Kills", "a\nb\\", {"who"}).With({"x\"} 1\n\\<b>\xff\x01"}).Add();
  EXPECT_EQ(metrics.PrometheusText("p"),
            "# HELP p_kills a\\nb\\\\\n# TYPE p_kills counter\n"
            "p_kills{who=\"x\\\"} 1\\n\\\\<b>\xEF\xBF\xBD\x01\"} 1\n");
  EXPECT_EQ(metrics.VarsJson(),
            "{\n\"Kills\": {\"x\\\"} 1\\u000a\\\\\\u003cb\\u003e\xEF\xBF\xBD\\u0001\": 1}\n}\n");
}

TEST(Metrics, LabelValuesAreBounded) {
  Metrics metrics;
  auto& family = metrics.AddCounters("Tables", "", {"Table"});
  for (size_t i = 0; i < MetricFamily<Counter>::kLimit + 10; ++i) {
    family.With({std::to_string(i)}).Add();
  }
  EXPECT_EQ(family.With({"another"}).value(), 10);
  EXPECT_EQ(family.With({"5"}).value(), 1);
}

TEST(Metrics, ThreadsLoseNothing) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Counter& counter = metrics.AddCounter("Hits", "");
      for (int i = 0; i < 10000; ++i) counter.Add();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.AddCounter("Hits", "").value(), 40000);
}

TEST(PrometheusName, IsVitesss) {
  EXPECT_EQ(PrometheusName("QueryCounts"), "query_counts");
  EXPECT_EQ(PrometheusName("VSchemaErrors"), "vschema_errors");
  EXPECT_EQ(PrometheusName("VtGateWarnings"), "vtgate_warnings");
  EXPECT_EQ(PrometheusName("QPS"), "qps");
  EXPECT_EQ(PrometheusName("TableACLAllowed"), "table_acl_allowed");
  EXPECT_EQ(PrometheusName("phase-timing.x"), "phase_timing_x");
}

}  // namespace
}  // namespace paceline
