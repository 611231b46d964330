#include "web/views.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace paceline::web {
namespace {

Cell Yes(bool good, const char* yes, const char* no) {
  return {good ? yes : no, good ? Tone::kGood : Tone::kBad};
}

Cell ServingCell(bool serving) { return Yes(serving, "serving", "not serving"); }

std::string LagText(const std::optional<Duration>& lag) {
  return lag ? fmt::format("{:.1f} s", static_cast<double>(lag->count()) / 1e9) : "";
}

std::string PortText(const std::string& host, int32_t port) {
  return port == 0 ? host : fmt::format("{}:{}", host, port);
}

Table TabletTable(const std::vector<TabletRow>& rows) {
  Table table{"Tablets",
              {"Alias", "Keyspace", "Shard", "Type", "State", "gRPC address", "MySQL address",
               "Primary since", "Lag", "Position", "Problem"},
              {},
              "no tablets"};
  for (const TabletRow& row : rows) {
    const record::Tablet& tablet = row.tablet;
    table.rows.push_back(
        {tablet.alias.ToString(), tablet.keyspace, tablet.shard,
         std::string(record::TabletTypeName(tablet.type)), ServingCell(row.serving),
         tablet.GrpcAddress(), PortText(tablet.mysql_hostname, tablet.mysql_port),
         WallText(tablet.primary_term_start), LagText(row.lag), row.position, row.error});
  }
  return table;
}

Table PoolTable(const std::vector<PoolRow>& pools) {
  Table table{"Pools", {"Pool", "Capacity", "In use", "Waiting"}, {}, "no pools"};
  for (const PoolRow& pool : pools) {
    table.rows.push_back(
        {pool.name, std::to_string(pool.capacity), std::to_string(pool.in_use),
         Cell(std::to_string(pool.waiting), pool.waiting > 0 ? Tone::kBad : Tone::kPlain)});
  }
  return table;
}

// A file's name is no secret.
bool SpeaksOfSecret(std::string_view flag) {
  const std::string name = Lower(flag);
  if (name.ends_with("file") || name.ends_with("path") || name.ends_with("dir")) return false;
  for (const std::string_view word : {"password", "passwd", "secret", "token", "credential"}) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

Table ReplicationTable(const TabletView& view) {
  Table table{"Replication", {}, {}};
  table.rows.push_back({"Position", view.position});
  table.rows.push_back({"Semi-sync", view.semi_sync});
  if (view.source.empty()) {
    table.rows.push_back({"Source", "none"});
    return table;
  }
  table.rows.push_back({"Source", view.source});
  table.rows.push_back({"IO thread", Yes(view.io_running, "running", "stopped")});
  table.rows.push_back({"SQL thread", Yes(view.sql_running, "running", "stopped")});
  table.rows.push_back({"Lag", LagText(view.lag)});
  if (!view.replication_error.empty()) {
    table.rows.push_back({"Error", Cell(view.replication_error, Tone::kBad)});
  }
  return table;
}

}  // namespace

std::vector<Table> ProgramTables(const Program& program, Duration uptime, WallTime now) {
  Table table{"Process", {}, {}};
  table.rows.push_back({"Program", program.name});
  if (!program.about.empty()) table.rows.push_back({"Which", program.about});
  table.rows.push_back({"Version", program.version});
  if (!program.revision.empty()) table.rows.push_back({"Revision", program.revision});
  table.rows.push_back({"Uptime", UptimeText(uptime)});
  table.rows.push_back({"As of", WallText(now)});
  return {table};
}

std::vector<Table> FlagTables(const Program& program) {
  Table table{"Flags", {"Flag", "Value"}, {}, "none given"};
  for (const auto& [name, value] : program.flags) {
    table.rows.push_back({name, SpeaksOfSecret(name) ? std::string("(not shown)") : value});
  }
  return {table};
}

std::vector<Table> ClusterTables(const ClusterView& view) {
  std::vector<Table> tables;
  if (!view.problems.empty()) {
    Table problems{"Problems", {"Problem"}, {}};
    for (const std::string& problem : view.problems) problems.rows.push_back({problem});
    tables.push_back(std::move(problems));
  }
  Table cells{"Cells", {"Cell", "Server", "Root"}, {}, "no cells"};
  for (const CellRow& row : view.cells) {
    cells.rows.push_back({row.name, row.info.server_address, row.info.root});
  }
  Table keyspaces{"Keyspaces", {"Keyspace", "Type", "Durability", "Sidecar"}, {}, "no keyspaces"};
  for (const KeyspaceRow& row : view.keyspaces) {
    const bool snapshot = row.keyspace.type == record::KeyspaceType::kSnapshot;
    const std::string& durability = row.keyspace.durability_policy;
    keyspaces.rows.push_back(
        {row.name, snapshot ? "snapshot of " + row.keyspace.base_keyspace : "normal",
         durability.empty() ? "none" : durability, row.keyspace.sidecar_db_name});
  }
  Table shards{
      "Shards", {"Keyspace", "Shard", "Primary", "Primary since", "State"}, {}, "no shards"};
  for (const ShardRow& row : view.shards) {
    const bool none = row.shard.primary_alias.empty();
    shards.rows.push_back(
        {row.name.keyspace, row.name.shard,
         Cell(none ? "none" : row.shard.primary_alias.ToString(), none ? Tone::kBad : Tone::kPlain),
         WallText(row.shard.primary_term_start), ServingCell(row.shard.is_primary_serving)});
  }
  tables.push_back(std::move(cells));
  tables.push_back(std::move(keyspaces));
  tables.push_back(std::move(shards));
  tables.push_back(TabletTable(view.tablets));
  return tables;
}

std::vector<Table> TabletTables(const TabletView& view) {
  Table role{"Tablet", {}, {}};
  role.rows.push_back({"Alias", view.tablet.alias.ToString()});
  role.rows.push_back({"Keyspace", view.tablet.keyspace});
  role.rows.push_back({"Shard", view.tablet.shard});
  role.rows.push_back({"Type", std::string(record::TabletTypeName(view.tablet.type))});
  role.rows.push_back({"State", ServingCell(view.serving)});
  if (!view.reason.empty()) role.rows.push_back({"Reason", view.reason});
  if (view.term > 0) role.rows.push_back({"Term", std::to_string(view.term)});
  if (const std::string since = WallText(view.tablet.primary_term_start); !since.empty()) {
    role.rows.push_back({"Primary since", since});
  }
  role.rows.push_back({"gRPC address", view.tablet.GrpcAddress()});
  role.rows.push_back(
      {"MySQL address", PortText(view.tablet.mysql_hostname, view.tablet.mysql_port)});
  role.rows.push_back({"mysqld", Yes(view.mysqld_alive, "alive", "not running")});
  role.rows.push_back({"Writes", view.read_only ? "read-only" : "read-write"});
  std::vector<Table> tables{std::move(role), ReplicationTable(view), PoolTable(view.pools)};
  tables.insert(tables.end(), view.more.begin(), view.more.end());
  return tables;
}

std::vector<Table> GateTables(const GateView& view) {
  Table gate{"Gate", {}, {}};
  gate.rows.push_back({"Cell", view.cell});
  std::vector<Table> tables{std::move(gate), TabletTable(view.tablets)};
  if (!view.pools.empty()) tables.push_back(PoolTable(view.pools));
  tables.insert(tables.end(), view.more.begin(), view.more.end());
  return tables;
}

std::string StatusDetailsJson(const TabletView& view) {
  const std::string type = Upper(record::TabletTypeName(view.tablet.type));
  std::string out = "[\n";
  const auto add = [&](std::string_view key, std::string_view how, std::string_view value) {
    fmt::format_to(std::back_inserter(out), "{} {{\"Key\": {}, \"Class\": \"{}\", \"Value\": {}}}",
                   out.size() > 2 ? ",\n" : "", JsonText(key), how, JsonText(value));
  };
  add("Current State", view.serving ? "healthy" : "unhealthy",
      fmt::format("{}: {}{}", type, view.serving ? "Serving" : "Not Serving",
                  view.reason.empty() ? "" : ", " + view.reason));
  if (!view.source.empty()) {
    add("Replication", view.io_running && view.sql_running ? "healthy" : "unhealthy",
        view.replication_error.empty() ? "from " + view.source : view.replication_error);
    if (view.lag) add("Replication Lag", "healthy", LagText(view.lag));
  }
  return out + "\n]\n";
}

std::vector<MetricSample> HealthcheckConnections(const GateView& view) {
  std::map<std::vector<std::string>, int64_t> counts;
  for (const TabletRow& row : view.tablets) {
    // A shard without a primary shows as 0, which an alert can see; what is missing it cannot.
    if (!row.tablet.keyspace.empty())
      counts.try_emplace({row.tablet.keyspace, row.tablet.shard, "primary"}, 0);
    if (!row.serving) continue;
    ++counts[{row.tablet.keyspace, row.tablet.shard,
              std::string(record::TabletTypeName(row.tablet.type))}];
  }
  std::vector<MetricSample> samples;
  for (const auto& [values, count] : counts) samples.push_back({values, count});
  return samples;
}

Table StatementTable(const std::vector<StatementRow>& rows) {
  const auto ms = [](Duration time) {
    return fmt::format("{:.3f}", std::chrono::duration<double, std::milli>(time).count());
  };
  Table table;
  table.title = "Statements, by time";
  table.columns = {"Statement", "Keyspace",   "Count",        "Errors",      "Rows",
                   "Affected",  "Total (ms)", "Average (ms)", "Longest (ms)"};
  for (const StatementRow& row : rows) {
    const Duration average = row.time / static_cast<int64_t>(std::max<uint64_t>(1, row.count));
    table.rows.push_back({row.digest, row.keyspace, std::to_string(row.count),
                          Cell(std::to_string(row.errors), row.errors ? Tone::kBad : Tone::kPlain),
                          std::to_string(row.rows), std::to_string(row.affected), ms(row.time),
                          ms(average), ms(row.longest)});
  }
  return table;
}

std::string StatementsJson(const std::vector<StatementRow>& rows) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StatementRow& row : rows) {
    list.push_back({{"Query", row.digest},
                    {"Keyspace", row.keyspace},
                    {"QueryCount", row.count},
                    {"Time", row.time.count()},
                    {"LongestTime", row.longest.count()},
                    {"RowsReturned", row.rows},
                    {"RowsAffected", row.affected},
                    {"ErrorCount", row.errors}});
  }
  return list.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace paceline::web
