// vttablet/query/statement_metrics.h - statements by table and plan, under Vitess's names:
// QueryCounts, QueryTimesNs, QueryErrorCounts, QueryRowsReturned, QueryRowsAffected, and the times
// of each plan (Queries). The process's metrics are shared by its query loops; a StatementProbe is
// one loop's memory of what a text was, so that prepared and repeated texts are looked into once.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/metrics.h"
#include "base/time.h"
#include "sql/outline.h"

namespace paceline::vttablet {

// Threads: any.
struct StatementMetrics {
  explicit StatementMetrics(Metrics& metrics);
  static StatementMetrics& Process();

  // Table (of several: "Join"; empty: none), plan ("Select", "Insert", "DDL" ...).
  MetricFamily<paceline::Counter>& counts;
  MetricFamily<paceline::Counter>& times_ns;
  MetricFamily<paceline::Counter>& errors;
  MetricFamily<paceline::Counter>& rows_returned;
  MetricFamily<paceline::Counter>& rows_affected;
  MetricFamily<Histogram>& queries;  // by plan
};

// Threads: its loop.
class StatementProbe {
 public:
  explicit StatementProbe(StatementMetrics& metrics) : metrics_(metrics) {}
  void Count(std::string_view text, Duration took, bool failed, int64_t rows_returned,
             int64_t rows_affected);

 private:
  struct Place {
    paceline::Counter* counts;
    paceline::Counter* times_ns;
    paceline::Counter* errors;
    paceline::Counter* rows_returned;
    paceline::Counter* rows_affected;
    Histogram* queries;
  };
  struct Known {
    size_t hash = 0;
    const Place* place = nullptr;
  };
  const Place* PlaceOf(std::string_view text);

  // A table's name stands near a statement's beginning; what it costs to look has this bound.
  static constexpr size_t kLookedAt = 512;
  static constexpr size_t kPlacesMax = 2000;
  StatementMetrics& metrics_;
  sql::Outline outline_;  // keeps its memory
  std::array<Known, 1024> known_{};
  std::unordered_map<std::string, Place> places_;  // "plan table"
};

// Vitess's word for the plan of a statement on a tablet.
std::string_view PlanName(const sql::Outline& outline);

}  // namespace paceline::vttablet
