// web/views.h - what pages.h's structs look like as tables. Pure.
#pragma once

#include <string>
#include <vector>

#include "web/html.h"
#include "web/pages.h"

namespace paceline::web {

std::vector<Table> ProgramTables(const Program& program, Duration uptime, WallTime now);
std::vector<Table> FlagTables(const Program& program);
std::vector<Table> ClusterTables(const ClusterView& view);
std::vector<Table> TabletTables(const TabletView& view);
std::vector<Table> GateTables(const GateView& view);
Table StatementTable(const std::vector<StatementRow>& rows);
// A list of objects; times in nanoseconds, as Vitess has them.
std::string StatementsJson(const std::vector<StatementRow>& rows);
// Vitess's list of {"Key", "Class", "Value"}.
std::string StatusDetailsJson(const TabletView& view);
// One sample for each keyspace, shard and type that has tablets that serve, and one for the primary
// of each shard, serving or not.
std::vector<MetricSample> HealthcheckConnections(const GateView& view);

}  // namespace paceline::web
