#include "sql/describe.h"

namespace paceline::sql {
namespace {

struct FeatureName {
  uint64_t feature;
  std::string_view name;
};
constexpr FeatureName kFeatureNames[] = {
    {kUsesGetLock, "get_lock"},
    {kUsesReleaseLock, "release_lock"},
    {kUsesReleaseAllLocks, "release_all_locks"},
    {kUsesLockQuestion, "lock_question"},
    {kReadsLastInsertId, "last_insert_id"},
    {kSetsLastInsertId, "sets_last_insert_id"},
    {kReadsFoundRows, "found_rows"},
    {kReadsRowCount, "row_count"},
    {kReadsDatabase, "database"},
    {kReadsConnectionId, "connection_id"},
    {kReadsUser, "user"},
    {kReadsUserVariable, "reads_variable"},
    {kWritesUserVariable, "writes_variable"},
    {kReadsSystemVariable, "system_variable"},
    {kReadsDiagnostics, "diagnostics"},
    {kCalcFoundRows, "calc_found_rows"},
    {kTemporaryTable, "temporary"},
    {kIntoFile, "into_file"},
    {kIntoVariable, "into_variable"},
    {kLocksForUpdate, "for_update"},
    {kLocksForShare, "for_share"},
    {kLocalFile, "local_file"},
    {kSystemSchema, "system_schema"},
    {kVersionComment, "version_comment"},
    {kHint, "hint"},
    {kVolatile, "volatile"},
    {kSequenceCall, "sequence"},
    {kReturning, "returning"},
    {kDuplicateUpdate, "duplicate_update"},
    {kQualifiedRoutine, "routine"},
    {kUnterminated, "unterminated"},
    {kMultiple, "multiple"},
    {kReadsPlaceholder, "placeholder"},
    {kSleeps, "sleeps"},
    {kStoredProgram, "stored_program"},
    {kConsistentSnapshot, "consistent_snapshot"},
    {kTransactionReadOnly, "read_only"},
    {kTransactionReadWrite, "read_write"},
    {kAndChain, "chain"},
    {kAndRelease, "release"},
    {kKillsQuery, "kill_query"},
    {kIfExists, "if_exists"},
};
constexpr std::string_view kVerbs[] = {"", "create", "alter", "drop", "rename", "truncate"};
constexpr std::string_view kObjects[] = {
    "",        "table", "view",     "index",  "database",   "procedure", "function", "package",
    "trigger", "event", "sequence", "server", "tablespace", "user",      "role",     "other"};
constexpr std::string_view kAccesses[] = {"read",  "write", "create", "drop",
                                          "alter", "lock",  "care"};
constexpr std::string_view kRoles[] = {"qualifier", "name", "value", "pattern"};
constexpr std::string_view kFunctions[] = {"database",     "last_insert_id", "found_rows",
                                           "row_count",    "connection_id",  "user",
                                           "current_user", "warning_count",  "error_count"};

}  // namespace

std::string FeatureNames(uint64_t features) {
  std::string out;
  for (const FeatureName& known : kFeatureNames) {
    if ((features & known.feature) == 0) continue;
    if (!out.empty()) out += ',';
    out += known.name;
  }
  return out;
}

std::string Describe(std::string_view text, const Outline& outline) {
  std::string out(KindName(outline.kind));
  const auto add = [&out](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    out.append(" ").append(key).append("=").append(value);
  };
  const auto at = [](auto& names, auto value) { return names[static_cast<size_t>(value)]; };
  add("verb", at(kVerbs, outline.verb));
  add("object", at(kObjects, outline.object));
  if (outline.show != Show::kNone) add("show", ShowName(outline.show));
  if (outline.inner != Kind::kEmpty) add("inner", KindName(outline.inner));
  add("name", outline.name.In(text));
  add("argument", outline.argument.In(text));
  std::string list;
  for (const TableUse& table : outline.tables) {
    if (!list.empty()) list += ',';
    if (!table.database.empty()) list.append(table.database.In(text)).append(".");
    list.append(table.name.In(text)).append(":").append(at(kAccesses, table.access));
    if (table.has_alias) list += '+';
  }
  add("tables", list);
  list.clear();
  for (const DatabaseUse& use : outline.databases) {
    if (!list.empty()) list += ',';
    list.append(use.at.In(text)).append(":").append(at(kRoles, use.role));
  }
  add("dbs", list);
  list.clear();
  for (const SessionCall& call : outline.session_calls) {
    if (!list.empty()) list += ',';
    list.append(call.at.In(text)).append(":").append(at(kFunctions, call.function));
    if (call.compared) list += ":compared";
  }
  add("calls", list);
  list.clear();
  for (const Span& column : outline.unnamed_columns) {
    if (!list.empty()) list += '|';
    list.append(column.In(text));
  }
  add("unnamed", list);
  list.clear();
  for (uint16_t number : outline.schema_placeholders) {
    if (!list.empty()) list += ',';
    list.append(std::to_string(number));
  }
  add("schema_params", list);
  add("features", FeatureNames(outline.features));
  add("directive", outline.directive.In(text));
  if (outline.statement.length != text.size()) add("statement", outline.statement.In(text));
  return out;
}

}  // namespace paceline::sql
