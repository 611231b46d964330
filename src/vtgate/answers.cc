#include "vtgate/answers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/time_text.h"
#include "sql/lexer.h"
#include "vtgate/like.h"

namespace paceline::vtgate {
namespace {

using sql::Show;

std::string Pattern(const OwnAnswerInput& input) {
  std::string_view like = input.plan.outline.argument.In(input.text);
  if (like.empty()) like = input.plan.outline.name.In(input.text);
  if (like.empty() || (like.front() != '\'' && like.front() != '"')) return "%";
  return sql::Unquote(like, sql::Dialect());
}

std::string State(const TabletLine& line) { return line.serving ? "SERVING" : "NOT_SERVING"; }

OwnTable Tablets(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Cell",  "Keyspace", "Shard",    "TabletType",
                   "State", "Alias",    "Hostname", "PrimaryTermStartTime"};
  std::string pattern = Pattern(input);
  for (const TabletLine& line : input.gate.gateway->Tablets()) {
    std::string alias = line.tablet.alias.ToString();
    bool wanted = MatchesLike(alias, pattern) || MatchesLike(line.tablet.hostname, pattern) ||
                  MatchesLike(line.tablet.keyspace, pattern);
    if (!wanted) continue;
    bool since = line.type == record::TabletType::kPrimary && line.primary_term_start.unix_ns != 0;
    table.rows.push_back({line.tablet.alias.cell, line.tablet.keyspace, line.tablet.shard,
                          Upper(record::TabletTypeName(line.type)), State(line), alias,
                          line.tablet.hostname,
                          since ? Rfc3339(line.primary_term_start) : std::string()});
  }
  return table;
}

OwnTable ReplicationStatus(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Keyspace",          "Shard",
                   "TabletType",        "Alias",
                   "Hostname",          "ReplicationSource",
                   "ReplicationHealth", "ReplicationLag",
                   "ThrottlerStatus"};
  std::vector<TabletLine> lines = input.gate.gateway->Tablets();
  for (const TabletLine& line : lines) {
    if (line.type == record::TabletType::kPrimary) continue;
    std::string source;
    for (const TabletLine& other : lines) {
      bool leads = other.type == record::TabletType::kPrimary && other.serving &&
                   other.tablet.keyspace == line.tablet.keyspace &&
                   other.tablet.shard == line.tablet.shard;
      if (leads)
        source = fmt::format("{}:{}", other.tablet.mysql_hostname, other.tablet.mysql_port);
    }
    std::string health =
        fmt::format("{{\"Healthy\":{},\"Error\":\"{}\"}}", line.error.empty() && line.serving,
                    ReplaceAll(line.error, "\"", "'"));
    table.rows.push_back({line.tablet.keyspace, line.tablet.shard,
                          Upper(record::TabletTypeName(line.type)), line.tablet.alias.ToString(),
                          line.tablet.hostname, source, health, std::to_string(line.lag / 1s),
                          std::string("{}")});
  }
  return table;
}

OwnTable Shards(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Shards"};
  std::string pattern = Pattern(input);
  for (const auto& [keyspace, shards] : input.gate.topology->shards) {
    for (const std::string& shard : shards) {
      std::string name = keyspace + "/" + shard;
      if (MatchesLike(name, pattern)) table.rows.push_back({name});
    }
  }
  return table;
}

bool HasWhere(const OwnAnswerInput& input) {
  sql::Lexer lexer(input.text, sql::Dialect());
  for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd; token = lexer.Next()) {
    if (token.Is(sql::Keyword::kWhere)) return true;
  }
  return false;
}

OwnTable Databases(const OwnAnswerInput& input, bool with_system) {
  OwnTable table;
  table.columns = {"Database"};
  std::vector<std::string> names = input.gate.topology->vschema->KeyspaceNames();
  if (with_system) {
    for (const char* name : {"information_schema", "mysql", "performance_schema", "sys"})
      names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  std::string pattern = Pattern(input);
  for (std::string& name : names) {
    if (MatchesLike(name, pattern)) table.rows.push_back({std::move(name)});
  }
  table.server_columns = with_system;
  return table;
}

// LIMIT [offset,] count at the end of SHOW WARNINGS.
void ApplyLimit(const OwnAnswerInput& input, OwnTable* table) {
  sql::Lexer lexer(input.text, sql::Dialect());
  std::vector<uint64_t> numbers;
  bool limited = false, offset_last = false;
  for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd; token = lexer.Next()) {
    std::string_view word = input.text.substr(token.begin, token.size());
    if (EqualsIgnoreCase(word, "limit")) limited = true;
    if (EqualsIgnoreCase(word, "offset")) offset_last = true;
    if (limited && token.kind == sql::TokenKind::kInteger)
      numbers.push_back(ParseUint(word).value_or(0));
  }
  if (numbers.empty()) return;
  uint64_t offset = 0, count = numbers[0];
  if (numbers.size() > 1) {
    offset = offset_last ? numbers[1] : numbers[0];
    count = offset_last ? numbers[0] : numbers[1];
  }
  auto& rows = table->rows;
  rows.erase(rows.begin(),
             rows.begin() + static_cast<long>(std::min<uint64_t>(offset, rows.size())));
  if (rows.size() > count) rows.resize(count);
}

OwnTable Warnings(const OwnAnswerInput& input, bool errors_only) {
  OwnTable table;
  table.columns = {"Level", "Code", "Message"};
  for (const port::Warning& warning : input.warnings) {
    if (errors_only && warning.level != "Error") continue;
    table.rows.push_back({warning.level, std::to_string(warning.code), warning.message});
  }
  ApplyLimit(input, &table);
  table.server_columns = true;
  return table;
}

Result<OwnTable> VschemaTables(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Tables"};
  const vschema::KeyspaceEntry* entry = input.gate.topology->vschema->Find(input.target.keyspace);
  if (entry == nullptr) return Fail(Error::FromMysql(1046, "3D000", "No database selected"));
  for (const auto& [name, ignored] : entry->vschema.tables) table.rows.push_back({name});
  return table;
}

OwnTable VschemaKeyspaces(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Keyspace", "Sharded", "Foreign Key", "Comment"};
  for (const std::string& name : input.gate.topology->vschema->KeyspaceNames()) {
    const vschema::KeyspaceEntry* entry = input.gate.topology->vschema->Find(name);
    table.rows.push_back({name, entry->vschema.sharded ? "true" : "false", "unmanaged", ""});
  }
  return table;
}

OwnTable Sessions(const OwnAnswerInput& input) {
  OwnTable table;
  table.columns = {"Id", "User", "Host", "Target", "State", "Pinned", "Statement"};
  for (const SessionRow& row : input.sessions) {
    table.rows.push_back({std::to_string(row.id), row.user, row.host, row.target, row.state,
                          row.pinned, row.statement});
  }
  return table;
}

OwnTable One(std::string_view column, std::string value) {
  OwnTable table;
  table.columns = {std::string(column)};
  table.rows.push_back({std::move(value)});
  return table;
}

// VEXPLAIN [PLAN] statement: where it would go, as Vitess tells it.
Result<OwnTable> Vexplain(const OwnAnswerInput& input) {
  const sql::Dialect& dialect = input.dialect;
  std::string_view mode = input.plan.outline.name.In(input.text);
  if (!mode.empty() && !EqualsIgnoreCase(mode, "plan")) {
    return Fail(Code::kUnimplemented,
                "VEXPLAIN {} is not there: VEXPLAIN PLAN shows where a statement goes, EXPLAIN the "
                "plan of the shard's mysqld",
                Upper(mode));
  }
  sql::Lexer lexer(input.text, dialect);
  sql::Token last = lexer.Next();
  if (!mode.empty()) last = lexer.Next();
  std::string_view statement = Trim(input.text.substr(last.end));
  ASSIGN_OR_RETURN(plan::Plan plan,
                   plan::MakePlan(statement, dialect, input.target, *input.gate.topology->vschema));
  nlohmann::ordered_json json;
  switch (plan.route) {
    case plan::Route::kGate:
      json["OperatorType"] = "Gate";
      break;
    case plan::Route::kShard:
      json["OperatorType"] = "Route";
      json["Variant"] = "Unsharded";
      json["Keyspace"] = {{"Name", plan.target.keyspace}, {"Sharded", false}};
      break;
    case plan::Route::kAnyKeyspace:
      json["OperatorType"] = "Route";
      json["Variant"] = "Reference";
      break;
  }
  if (plan.route != plan::Route::kGate) {
    json["TargetTabletType"] = Upper(record::TabletTypeName(plan.target.type));
    if (!plan.target.shard.empty()) json["TargetShard"] = plan.target.shard;
  }
  std::string buffer;
  json["Query"] = plan::Render(statement, plan, plan::SessionValues(), buffer);
  if (plan.pin != plan::PinReason::kNone) json["Pins"] = plan::PinReasonName(plan.pin);
  return One("JSON", json.dump(1, '\t', false, nlohmann::ordered_json::error_handler_t::replace));
}

OwnTable Count(uint64_t value) {
  OwnTable table;
  table.rows.push_back({std::to_string(value)});
  table.server_columns = true;
  return table;
}

}  // namespace

std::optional<Result<OwnTable>> OwnAnswer(const OwnAnswerInput& input) {
  switch (input.plan.outline.show) {
    case Show::kVitessTablets:
      return Tablets(input);
    case Show::kVitessReplicationStatus:
      return ReplicationStatus(input);
    case Show::kVitessShards:
      return Shards(input);
    case Show::kVitessTarget:
      return One("Target", input.target.ToString());
    case Show::kVitessSessions:
      return Sessions(input);
    case Show::kKeyspaces:
      return Databases(input, false);
    case Show::kDatabases:
      if (HasWhere(input)) return std::nullopt;  // only a server can say which rows it keeps
      return Databases(input, true);
    case Show::kVschemaTables:
      return VschemaTables(input);
    case Show::kVschemaKeyspaces:
      return VschemaKeyspaces(input);
    case Show::kVschemaVindexes: {
      OwnTable table;
      table.columns = {"Keyspace", "Name", "Type", "Params", "Owner"};
      return table;
    }
    case Show::kWarnings:
      return Warnings(input, false);
    case Show::kErrors:
      return Warnings(input, true);
    case Show::kCountWarnings:
      return Count(input.warning_count);
    case Show::kCountErrors:
      return Count(input.error_count);
    case Show::kVitessMetadata: {
      OwnTable table;
      table.columns = {"Key", "Value"};
      return table;
    }
    case Show::kUnresolvedTransactions: {
      OwnTable table;
      table.columns = {"id", "state", "record_time", "participants"};
      return table;
    }
    case Show::kVitessMigrations:
    case Show::kVitessThrottledApps:
    case Show::kVitessThrottlerStatus:
      return Fail(Code::kUnimplemented,
                  "SHOW {} belongs to Online DDL and throttling, which Paceline does not have yet",
                  sql::ShowName(input.plan.outline.show));
    default:
      break;
  }
  if (input.plan.gate == plan::GateTask::kVexplain) {
    return Vexplain(input);
  }
  return std::nullopt;
}

}  // namespace paceline::vtgate
