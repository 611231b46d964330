#include "vtgate/query_metrics.h"

#include <cctype>

namespace paceline::vtgate {
namespace {

std::string KindLabel(sql::Kind kind) {
  std::string label(sql::KindName(kind));
  for (char& c : label) {
    c = c == ' ' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return label;
}

}  // namespace

QueryMetrics::QueryMetrics(Metrics& metrics)
    : api(metrics.AddTimings("VtgateApi", "statements answered, and the time they took",
                             {"Operation", "Keyspace", "DbType"})),
      errors(metrics.AddCounters("VtgateApiErrorCounts", "statements answered with an error",
                                 {"Operation", "Keyspace", "DbType", "Code"})),
      rows_returned(metrics.AddCounters("VtgateApiRowsReturned", "rows sent to clients",
                                        {"Operation", "Keyspace", "DbType"})),
      rows_affected(metrics.AddCounters("VtgateApiRowsAffected", "rows that statements changed",
                                        {"Operation", "Keyspace", "DbType"})),
      executions(metrics.AddCounters("QueryExecutions", "statements by kind, plan and tablet type",
                                     {"Query", "Plan", "Tablet"})) {}

QueryMetrics& QueryMetrics::Process() {
  static QueryMetrics metrics(Metrics::Process());
  return metrics;
}

QueryProbe::Place& QueryProbe::PlaceOf(const Statement& statement) {
  for (Place& place : places_) {
    if (place.api != nullptr && place.type == statement.target->type &&
        place.keyspace == statement.target->keyspace && place.operation == statement.operation) {
      return place;
    }
  }
  Place& place = places_[next_place_++ % places_.size()];
  place.operation = statement.operation;
  place.keyspace = statement.target->keyspace;
  place.type = statement.target->type;
  const std::vector<std::string> values = {place.operation, place.keyspace,
                                           std::string(record::TabletTypeName(place.type))};
  place.api = &metrics_.api.With(values);
  place.rows_returned = &metrics_.rows_returned.With(values);
  place.rows_affected = &metrics_.rows_affected.With(values);
  return place;
}

void QueryProbe::Count(const Statement& statement) {
  Place& place = PlaceOf(statement);
  place.api->Observe(statement.took);
  if (statement.rows_returned > 0) place.rows_returned->Add(statement.rows_returned);
  if (statement.rows_affected > 0) place.rows_affected->Add(statement.rows_affected);
  if (statement.error == nullptr) return;
  const std::vector<std::string> values = {place.operation, place.keyspace,
                                           std::string(record::TabletTypeName(place.type)),
                                           std::string(CodeName(statement.error->code()))};
  metrics_.errors.With(values).Add();
}

void QueryProbe::CountPlan(const plan::Plan& plan) {
  const bool local = plan.route == plan::Route::kGate;
  const size_t kind = static_cast<size_t>(plan.outline.kind) % kKinds;
  const size_t type = static_cast<size_t>(plan.target.type) % kTypes;
  Counter*& counter = executions_[(kind * 2 + (local ? 1 : 0)) * kTypes + type];
  if (counter == nullptr) {
    counter =
        &metrics_.executions.With({KindLabel(plan.outline.kind), local ? "Local" : "Passthrough",
                                   std::string(record::TabletTypeName(plan.target.type))});
  }
  counter->Add();
}

}  // namespace paceline::vtgate
