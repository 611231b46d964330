#include "vtgate/answers.h"

#include <time.h>

#include <algorithm>

#include "base/strings.h"
#include "vtgate/like.h"

namespace paceline::vtgate {
namespace {

using sql::Show;

std::string Rfc3339(WallTime time) {
  if (time.unix_ns == 0) return "";
  time_t seconds = time.unix_ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

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
    bool primary = line.type == record::TabletType::kPrimary;
    table.rows.push_back({line.tablet.alias.cell, line.tablet.keyspace, line.tablet.shard,
                          Upper(record::TabletTypeName(line.type)), State(line), alias,
                          line.tablet.hostname,
                          primary ? Rfc3339(line.primary_term_start) : std::string()});
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
  return table;
}

OwnTable Warnings(const OwnAnswerInput& input, bool errors_only) {
  OwnTable table;
  table.columns = {"Level", "Code", "Message"};
  for (const port::Warning& warning : input.warnings) {
    if (errors_only && warning.level != "Error") continue;
    table.rows.push_back({warning.level, std::to_string(warning.code), warning.message});
  }
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
  if (input.gate.registry != nullptr) table.rows = input.gate.registry->List();
  return table;
}

OwnTable One(std::string_view column, std::string value) {
  OwnTable table;
  table.columns = {std::string(column)};
  table.rows.push_back({std::move(value)});
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
      return One("@@session.warning_count", std::to_string(input.warnings.size()));
    case Show::kCountErrors: {
      long errors =
          std::count_if(input.warnings.begin(), input.warnings.end(),
                        [](const port::Warning& warning) { return warning.level == "Error"; });
      return One("@@session.error_count", std::to_string(errors));
    }
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
    return Fail(Code::kUnimplemented,
                "VEXPLAIN is not there yet; EXPLAIN shows the plan of the shard's mysqld");
  }
  return std::nullopt;
}

}  // namespace paceline::vtgate
