#include "vttablet/query/statement_metrics.h"

#include <functional>

namespace paceline::vttablet {
namespace {

using sql::Kind;

// The one table of the statement, without quotes.
std::string TableOf(const sql::Outline& outline, std::string_view text) {
  std::string_view one;
  for (const sql::TableUse& use : outline.tables) {
    std::string_view name = use.name.In(text);
    if (name.size() > 2 && name.front() == '`') name = name.substr(1, name.size() - 2);
    if (!one.empty() && name != one) return "Join";
    one = name;
  }
  return std::string(one);
}

}  // namespace

std::string_view PlanName(const sql::Outline& outline) {
  switch (outline.kind) {
    case Kind::kSelect:
    case Kind::kValues:
    case Kind::kTable:
      return outline.Has(sql::kUsesGetLock | sql::kUsesReleaseLock) ? "SelectLockFunc" : "Select";
    case Kind::kInsert:
    case Kind::kReplace:
      return "Insert";
    case Kind::kUpdate:
      return "Update";
    case Kind::kDelete:
      return "Delete";
    case Kind::kDdl:
    case Kind::kDatabaseDdl:
      return "DDL";
    case Kind::kLoad:
    case Kind::kImport:
      return "Load";
    case Kind::kCall:
      return "CallProcedure";
    case Kind::kSet:
    case Kind::kSetFor:
      return "Set";
    case Kind::kShow:
      return "Show";
    case Kind::kSavepoint:
      return "Savepoint";
    case Kind::kRollbackTo:
      return "RollbackSavepoint";
    case Kind::kReleaseSavepoint:
      return "Release";
    case Kind::kBegin:
    case Kind::kCommit:
    case Kind::kRollback:
      return "Transaction";
    case Kind::kFlush:
      return "Flush";
    case Kind::kDescribe:
    case Kind::kExplain:
    case Kind::kHelp:
    case Kind::kDo:
      return "OtherRead";
    default:
      return "OtherAdmin";
  }
}

StatementMetrics::StatementMetrics(Metrics& metrics)
    : counts(metrics.AddCounters("QueryCounts", "statements by table and plan", {"Table", "Plan"})),
      times_ns(metrics.AddCounters("QueryTimesNs", "nanoseconds they took", {"Table", "Plan"})),
      errors(
          metrics.AddCounters("QueryErrorCounts", "of them, those that failed", {"Table", "Plan"})),
      rows_returned(
          metrics.AddCounters("QueryRowsReturned", "rows that they returned", {"Table", "Plan"})),
      rows_affected(
          metrics.AddCounters("QueryRowsAffected", "rows that they changed", {"Table", "Plan"})),
      queries(metrics.AddTimings("Queries", "time from receipt to end, by plan", {"plan_type"})) {}

StatementMetrics& StatementMetrics::Process() {
  static StatementMetrics metrics(Metrics::Process());
  return metrics;
}

const StatementProbe::Place* StatementProbe::PlaceOf(std::string_view text) {
  text = text.substr(0, kLookedAt);
  const size_t hash = std::hash<std::string_view>()(text);
  Known& known = known_[hash % known_.size()];
  if (known.place != nullptr && known.hash == hash) return known.place;
  sql::Analyze(text, sql::Dialect(), outline_);
  std::string plan(PlanName(outline_));
  std::string table = TableOf(outline_, text);
  std::string key = plan + ' ' + table;
  auto found = places_.find(key);
  if (found == places_.end()) {
    if (places_.size() >= kPlacesMax) {
      table = "other";
      key = plan + ' ' + table;
    }
    const std::vector<std::string> values = {table, plan};
    const Place made = {&metrics_.counts.With(values),        &metrics_.times_ns.With(values),
                        &metrics_.errors.With(values),        &metrics_.rows_returned.With(values),
                        &metrics_.rows_affected.With(values), &metrics_.queries.With({plan})};
    found = places_.try_emplace(key, made).first;
  }
  known = {hash, &found->second};
  return known.place;
}

void StatementProbe::Count(std::string_view text, Duration took, bool failed, int64_t rows_returned,
                           int64_t rows_affected) {
  const Place& place = *PlaceOf(text);
  place.counts->Add();
  place.times_ns->Add(took.count());
  place.queries->Observe(took);
  if (failed) place.errors->Add();
  if (rows_returned > 0) place.rows_returned->Add(rows_returned);
  if (rows_affected > 0) place.rows_affected->Add(rows_affected);
}

}  // namespace paceline::vttablet
