// Which tablets replicate in which cell, and how far each tablet of a shard is.
#include <algorithm>

#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

constexpr Duration kAskTablet = std::chrono::seconds(5);

// A tablet that does not answer is told without a status, as Vitess tells it.
io::Task<void> AskPosition(std::shared_ptr<port::TabletManager> manager, bool primary,
                           replicationdata::Status* out, bool* answered, Deadline deadline) {
  if (primary) {
    tabletmanagerdata::PrimaryPositionRequest ask;
    tabletmanagerdata::PrimaryPositionResponse answer;
    Status done = co_await manager->PrimaryPosition(ask, answer, deadline);
    *answered = done.has_value();
    out->set_position(answer.position());
    co_return;
  }
  tabletmanagerdata::ReplicationStatusRequest ask;
  tabletmanagerdata::ReplicationStatusResponse answer;
  Status done = co_await manager->ReplicationStatus(ask, answer, deadline);
  *answered = done.has_value();
  *out = answer.status();
}

}  // namespace

VTCTLD_METHOD(ShardReplicationPositions) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  std::vector<replicationdata::Status> statuses(tablets->tablets.size());
  auto answered = std::make_unique<bool[]>(statuses.size());
  Together join;
  Deadline limit = Deadline::In(kAskTablet).EarlierOf(deadline);
  for (size_t i = 0; i < statuses.size(); ++i) {
    const record::Tablet& tablet = tablets->tablets[i].value;
    Fill(tablets->tablets[i], &(*response.mutable_tablet_map())[tablet.alias.ToString()]);
    bool primary =
        tablet.alias == shard->value.primary_alias || tablet.type == record::TabletType::kPrimary;
    join.Start(AskPosition(connect_(tablet), primary, &statuses[i], &answered[i], limit));
  }
  co_await join.Wait();
  for (size_t i = 0; i < statuses.size(); ++i) {
    if (!answered[i]) continue;
    (*response.mutable_replication_statuses())[tablets->tablets[i].value.alias.ToString()] =
        statuses[i];
  }
  co_return Status();
}

VTCTLD_METHOD(GetShardReplication) {
  std::vector<std::string> cells = ToVector(request.cells());
  if (cells.empty()) {
    auto all = co_await topo_.ListCells(deadline);
    if (!all) co_return Fail(all.error());
    cells = *all;
  }
  for (const std::string& cell : cells) {
    auto found =
        co_await topo_.GetShardReplication(cell, request.keyspace(), request.shard(), deadline);
    if (found) Fill(*found, &(*response.mutable_shard_replication_by_cell())[cell]);
    if (!found && found.error().code() != Code::kNotFound) co_return Fail(found.error());
  }
  co_return Status();
}

VTCTLD_METHOD(ShardReplicationAdd) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  topo::Server::ReplicationFn add = [alias](record::ShardReplication& value) -> Result<bool> {
    if (std::ranges::find(value.nodes, alias) != value.nodes.end()) return false;
    value.nodes.push_back(alias);
    return true;
  };
  Status done = co_await topo_.UpdateShardReplication(alias.cell, request.keyspace(),
                                                      request.shard(), add, deadline);
  co_return done;
}

VTCTLD_METHOD(ShardReplicationRemove) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  topo::Server::ReplicationFn remove = [alias](record::ShardReplication& value) -> Result<bool> {
    return std::erase(value.nodes, alias) > 0;
  };
  Status done = co_await topo_.UpdateShardReplication(alias.cell, request.keyspace(),
                                                      request.shard(), remove, deadline);
  co_return done;
}

VTCTLD_METHOD(ShardReplicationFix) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  auto nodes =
      co_await topo_.GetShardReplication(request.cell(), name.keyspace, name.shard, deadline);
  if (!nodes) co_return Fail(nodes.error());
  for (const record::TabletAlias& alias : nodes->value.nodes) {
    auto tablet = co_await topo_.GetTablet(alias, deadline);
    topodata::ShardReplicationError::Type problem = topodata::ShardReplicationError::UNKNOWN;
    if (!tablet && tablet.error().code() == Code::kNotFound)
      problem = topodata::ShardReplicationError::NOT_FOUND;
    if (!tablet && problem == topodata::ShardReplicationError::UNKNOWN)
      co_return Fail(tablet.error());
    bool elsewhere =
        tablet && (tablet->value.keyspace != name.keyspace || tablet->value.shard != name.shard);
    if (elsewhere) problem = topodata::ShardReplicationError::TOPOLOGY_MISMATCH;
    if (problem == topodata::ShardReplicationError::UNKNOWN) continue;
    topo::Server::ReplicationFn remove = [alias](record::ShardReplication& value) -> Result<bool> {
      return std::erase(value.nodes, alias) > 0;
    };
    Status done = co_await topo_.UpdateShardReplication(request.cell(), name.keyspace, name.shard,
                                                        remove, deadline);
    if (!done) co_return done;
    // One a call, as Vitess does; the answer names it.
    response.mutable_error()->set_type(problem);
    Fill(alias, response.mutable_error()->mutable_tablet_alias());
    co_return Status();
  }
  co_return Status();
}

}  // namespace paceline::vtctld
