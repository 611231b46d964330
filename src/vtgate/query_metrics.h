// vtgate/query_metrics.h - what a gate counts of the statements it answers, under Vitess's names:
// VtgateApi (count, time), VtgateApiErrorCounts, VtgateApiRowsReturned, VtgateApiRowsAffected,
// QueryExecutions. The process's metrics are shared by its loops; a QueryProbe is one loop's memory
// of where it counted last, so that a statement costs no lookup by name.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/metrics.h"
#include "plan/plan.h"
#include "record/record.h"

namespace paceline::vtgate {

// Threads: any.
struct QueryMetrics {
  explicit QueryMetrics(Metrics& metrics);
  static QueryMetrics& Process();

  // Operation ("Execute", "Prepare"), keyspace (empty: none was chosen), tablet type ("primary").
  MetricFamily<Histogram>& api;
  MetricFamily<Counter>& errors;  // and Vitess's word for why
  MetricFamily<Counter>& rows_returned;
  MetricFamily<Counter>& rows_affected;
  // Kind of statement ("SELECT"), plan ("Local": the gate alone; "Passthrough"), tablet type.
  MetricFamily<Counter>& executions;
};

// Threads: its loop.
class QueryProbe {
 public:
  explicit QueryProbe(QueryMetrics& metrics) : metrics_(metrics) {}

  struct Statement {
    std::string_view operation;
    const plan::SessionTarget* target = nullptr;
    Duration took{0};
    const Error* error = nullptr;  // null: answered well
    int64_t rows_returned = 0, rows_affected = 0;
  };
  void Count(const Statement& statement);
  void CountPlan(const plan::Plan& plan);

 private:
  struct Place {
    std::string operation, keyspace;
    record::TabletType type = record::TabletType::kUnknown;
    Histogram* api = nullptr;
    Counter* rows_returned = nullptr;
    Counter* rows_affected = nullptr;
  };
  Place& PlaceOf(const Statement& statement);

  static constexpr size_t kKinds = 128, kTypes = 16;
  QueryMetrics& metrics_;
  std::array<Place, 4> places_;
  size_t next_place_ = 0;
  std::array<Counter*, kKinds * 2 * kTypes> executions_{};
};

}  // namespace paceline::vtgate
