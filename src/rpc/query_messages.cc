#include "rpc/query_messages.h"

#include <algorithm>

#include "query.pb.h"

namespace paceline::rpc {

void ToProto(const record::Target& target, query::Target* out) {
  out->set_keyspace(target.keyspace);
  out->set_shard(target.shard);
  out->set_tablet_type(static_cast<topodata::TabletType>(target.type));
  out->set_cell(target.cell);
}

record::Target FromProto(const query::Target& target) {
  return {target.keyspace(), target.shard(), static_cast<record::TabletType>(target.tablet_type()),
          target.cell()};
}

void ToProto(const record::TabletAlias& alias, topodata::TabletAlias* out) {
  out->set_cell(alias.cell);
  out->set_uid(alias.uid);
}

record::TabletAlias FromProto(const topodata::TabletAlias& alias) {
  return {alias.cell(), alias.uid()};
}

void ToProto(const port::TabletHealth& health, query::StreamHealthResponse* out) {
  ToProto(health.alias, out->mutable_tablet_alias());
  ToProto(health.target, out->mutable_target());
  out->set_serving(health.serving);
  out->set_primary_term_start_timestamp(health.primary_term_start.unix_ns / 1'000'000'000);
  query::RealtimeStats& stats = *out->mutable_realtime_stats();
  stats.set_health_error(health.error);
  auto lag = std::chrono::ceil<std::chrono::seconds>(health.replication_lag).count();
  stats.set_replication_lag_seconds(static_cast<uint32_t>(std::clamp<int64_t>(lag, 0, UINT32_MAX)));
  stats.set_qps(health.qps);
  for (const std::string& table : health.changed_tables) stats.add_table_schema_changed(table);
}

port::TabletHealth FromProto(const query::StreamHealthResponse& health) {
  port::TabletHealth out;
  out.alias = FromProto(health.tablet_alias());
  out.target = FromProto(health.target());
  out.serving = health.serving();
  out.primary_term_start = WallTime{health.primary_term_start_timestamp() * 1'000'000'000};
  const query::RealtimeStats& stats = health.realtime_stats();
  out.error = stats.health_error();
  out.replication_lag = std::chrono::seconds(stats.replication_lag_seconds());
  out.qps = stats.qps();
  out.changed_tables.assign(stats.table_schema_changed().begin(),
                            stats.table_schema_changed().end());
  return out;
}

}  // namespace paceline::rpc
