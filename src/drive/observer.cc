#include "drive/observer.h"

#include "drive/together.h"
#include "paceline_agent.pb.h"
#include "topo/cache.h"
#include "topo/paths.h"

namespace paceline::drive {
namespace {

using record::TabletAlias;

// Follows somebody whom no record of the shard names: not nobody.
const TabletAlias kStranger{"unknown", 0};

void FillPosition(std::string_view text, gtid::Set* out, reparent::TabletSight* sight) {
  Result<gtid::Set> set = gtid::Set::ParseEncoded(text);
  if (set) {
    *out = *set;
    return;
  }
  sight->reachable = false;
  sight->error = "its position cannot be read: " + set.error().message();
}

}  // namespace

Observer::Observer(topo::Server& topo, Connect connect, ObserverOptions options)
    : topo_(topo), connect_(std::move(connect)), options_(std::move(options)) {}

void Observer::StartFrom(const Observer& other) {
  shard_ = other.shard_;
  durability_ = other.durability_;
  members_ = other.members_;
  silent_ = other.silent_;
}

io::Task<Status> Observer::ReadRecords(Deadline deadline) {
  const record::KeyspaceShard& name = options_.shard;
  auto keyspace = co_await topo_.GetKeyspace(name.keyspace, deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->failed_cells.empty() && !options_.allow_unknown_cells) {
    // A member that is not counted would make a quorum of too few.
    const auto& [cell, error] = *tablets->failed_cells.begin();
    co_return Fail(error.code(), "the tablets of {} in cell {} are not known: {}", name.ToString(),
                   cell, error.message());
  }
  Result<reparent::Durability> durability =
      reparent::ParseDurability(keyspace->value.durability_policy);
  if (!durability) co_return Fail(durability.error().Context("keyspace " + name.keyspace));
  if (tablets->tablets.empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "shard {} has no tablets yet: start a vttablet for it", name.ToString());
  }
  shard_ = std::move(*shard);
  durability_ = *durability;
  members_.clear();
  for (topo::Stored<record::Tablet>& stored : tablets->tablets) {
    std::shared_ptr<port::TabletManager> manager = connect_(stored.value);
    members_.push_back({std::move(stored.value), std::move(manager)});
  }
  co_return Status();
}

void Observer::Recall() {
  const topo::Cache* copy = topo_.copy();
  if (copy == nullptr) return;
  const record::KeyspaceShard& name = options_.shard;
  auto keyspace =
      copy->GetRecord<record::Keyspace>(topo::kGlobalCell, topo::KeyspacePath(name.keyspace));
  std::optional<std::string> bytes =
      copy->Get(topo::kGlobalCell, topo::ShardPath(name.keyspace, name.shard));
  if (!keyspace || !bytes) return;
  Result<record::Shard> shard = topo::Decode<record::Shard>(*bytes);
  Result<reparent::Durability> durability = reparent::ParseDurability(keyspace->durability_policy);
  if (!shard || !durability) return;
  shard_ = {std::move(*shard), topo::Version{}, std::move(*bytes)};
  durability_ = *durability;
  for (const auto& [cell_path, unused] : copy->List(topo::kGlobalCell, "cells")) {
    std::string cell = cell_path.substr(6, cell_path.rfind('/') - 6);
    for (const auto& [path, stored] : copy->List(cell, "tablets")) {
      Result<record::Tablet> tablet = topo::Decode<record::Tablet>(stored);
      if (!tablet || tablet->keyspace != name.keyspace || tablet->shard != name.shard) continue;
      std::shared_ptr<port::TabletManager> manager = connect_(*tablet);
      members_.push_back({std::move(*tablet), std::move(manager)});
    }
  }
}

io::Task<Status> Observer::Observe(Deadline deadline) {
  bool may_go_on = options_.outlive_topology && !members_.empty();
  Deadline patience = may_go_on ? Deadline::In(kAgain).EarlierOf(deadline) : deadline;
  Status read = co_await ReadRecords(patience);
  topology_away_ = !read && (read.error().code() == Code::kUnavailable ||
                             read.error().code() == Code::kDeadlineExceeded);
  if (topology_away_ && options_.outlive_topology && !may_go_on) {
    Recall();
    may_go_on = !members_.empty();
  }
  if (!read && !(may_go_on && topology_away_)) co_return read;

  view_ = reparent::View();
  view_.shard = options_.shard;
  view_.durability = durability_;
  view_.shard_primary = shard_.value.primary_alias;
  for (const Member& member : members_) {
    reparent::TabletSight sight;
    sight.alias = member.tablet.alias;
    sight.type = member.tablet.type;
    view_.tablets.push_back(std::move(sight));
  }
  Together join;
  for (size_t i = 0; i < members_.size(); ++i) {
    bool again = silent_.contains(members_[i].tablet.alias);
    join.Start(Look(i, Deadline::In(again ? kAgain : options_.look).EarlierOf(deadline)));
  }
  co_await join.Wait();
  for (const reparent::TabletSight& sight : view_.tablets) {
    if (sight.reachable) {
      silent_.erase(sight.alias);
    } else {
      silent_.insert(sight.alias);
    }
  }
  co_return Status();
}

io::Task<void> Observer::Look(size_t index, Deadline deadline) {
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  Status answered = co_await members_[index].manager->TabletState(request, state, deadline);
  reparent::TabletSight& sight = view_.tablets[index];
  if (!answered) {
    sight.error = answered.error().message();
    co_return;
  }
  sight.reachable = true;
  if (state.has_tablet()) sight.type = static_cast<record::TabletType>(state.tablet().type());
  sight.promised_term = state.promised_term();
  sight.journal_term = state.journal_term();
  if (state.has_journal_primary()) {
    sight.journal_primary = {state.journal_primary().cell(), state.journal_primary().uid()};
  }
  sight.mysqld_running = state.mysqld_running();
  sight.mysqld_exited = state.mysqld_exited();
  for (const agent::Granted& granted : state.grants()) {
    reparent::TabletSight::Grant grant;
    if (granted.has_primary()) grant.to = {granted.primary().cell(), granted.primary().uid()};
    grant.left = std::chrono::milliseconds(granted.left_ms());
    sight.grants.push_back(std::move(grant));
  }
  sight.serving = state.serving();
  sight.read_only = state.read_only();
  sight.demoted = state.demoted();
  sight.fenced = state.fenced();
  if (!state.source_host().empty())
    sight.source = FindSource(state.source_host(), state.source_port());
  sight.io_running = state.io_running();
  sight.sql_running = state.sql_running();
  sight.semi_sync_replica = state.semi_sync_replica();
  sight.semi_sync_required = state.semi_sync_source() ? state.semi_sync_required() : 0;
  sight.backup_running = sight.type == record::TabletType::kBackup;
  if (state.replication_lag_ms() >= 0) {
    sight.lag = std::chrono::milliseconds(state.replication_lag_ms());
  }
  if (state.flavor() == gtid::FlavorName(gtid::Flavor::kMariadb))
    view_.flavor = gtid::Flavor::kMariadb;
  FillPosition(state.executed_position(), &sight.executed, &sight);
  FillPosition(state.received_position(), &sight.received, &sight);
  if (sight.received.Empty()) sight.received = sight.executed;
}

TabletAlias Observer::FindSource(const std::string& host, int port) const {
  for (const Member& member : members_) {
    bool same_host = member.tablet.mysql_hostname == host || member.tablet.hostname == host;
    if (same_host && member.tablet.mysql_port == port) return member.tablet.alias;
  }
  return kStranger;
}

const Observer::Member* Observer::Find(const TabletAlias& alias) const {
  for (const Member& member : members_) {
    if (member.tablet.alias == alias) return &member;
  }
  return nullptr;
}

}  // namespace paceline::drive
