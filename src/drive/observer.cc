#include "drive/observer.h"

#include <algorithm>

#include "io/loop.h"
#include "paceline_agent.pb.h"
#include "topo/cache.h"
#include "topo/paths.h"

namespace paceline::drive {
namespace {

using record::TabletAlias;

// Follows somebody whom no record of the shard names: not nobody.
const TabletAlias kStranger{"unknown", 0};
// How long the first look waits for records where older ones were recalled.
constexpr Duration kRecalled = std::chrono::seconds(1);

reparent::TabletSight Unseen(TabletAlias alias, record::TabletType type) {
  reparent::TabletSight sight;
  sight.alias = std::move(alias);
  sight.type = type;
  return sight;
}

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

struct Observer::Call {
  agent::TabletStateResponse state;
  Status answered;
  bool done = false;
};

Observer::Observer(topo::Server& topo, Connect connect, ObserverOptions options)
    : topo_(topo),
      connect_(std::move(connect)),
      options_(std::move(options)),
      news_(std::make_shared<io::Event>()) {}

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
  bool first = members_.empty();
  if (options_.outlive_topology && first) Recall();
  bool may_go_on = options_.outlive_topology && !members_.empty();
  Deadline patience = deadline;
  // What was recalled may be old.
  if (may_go_on) patience = Deadline::In(first ? kRecalled : kTopologyAway).EarlierOf(deadline);
  if (may_go_on && !first && topology_away_ && ++looks_away_ % kLongLook != 0)
    patience = Deadline::In(kStillAway).EarlierOf(deadline);
  Status read = co_await ReadRecords(patience);
  topology_away_ = !read && (read.error().code() == Code::kUnavailable ||
                             read.error().code() == Code::kDeadlineExceeded);
  if (!topology_away_) looks_away_ = 0;
  if (!read && !(may_go_on && topology_away_)) co_return read;

  view_ = reparent::View();
  view_.shard = options_.shard;
  view_.durability = durability_;
  view_.shard_primary = shard_.value.primary_alias;
  for (const Member& member : members_) {
    view_.tablets.push_back(Unseen(member.tablet.alias, member.tablet.type));
  }
  std::set<TabletAlias> all;
  for (const Member& member : members_) all.insert(member.tablet.alias);
  std::erase_if(calls_, [&all](const auto& entry) { return !all.contains(entry.first); });
  co_await Look(std::move(all), deadline);
  co_return Status();
}

io::Task<void> Observer::ObserveOnly(std::set<TabletAlias> which, Deadline deadline) {
  co_await Look(std::move(which), deadline);
}

void Observer::Take(const TabletAlias& alias, const agent::TabletStateResponse& state) {
  auto sight = std::ranges::find(view_.tablets, alias, &reparent::TabletSight::alias);
  if (sight != view_.tablets.end()) Fill(state, &*sight);
}

io::Task<void> Observer::Ask(std::shared_ptr<Call> call,
                             std::shared_ptr<port::TabletManager> manager,
                             std::shared_ptr<io::Event> news) {
  agent::TabletStateRequest request;
  Status answered = co_await manager->TabletState(request, call->state, Deadline::In(kGiveUp));
  call->answered = answered;
  call->done = true;
  news->Pulse();
}

io::Task<void> Observer::Look(std::set<TabletAlias> which, Deadline deadline) {
  Deadline limit = Deadline::In(options_.look).EarlierOf(deadline);
  Deadline grace = Deadline::In(kSilent);
  for (const Member& member : members_) {
    const TabletAlias& alias = member.tablet.alias;
    if (!which.contains(alias)) continue;
    std::shared_ptr<Call>& call = calls_[alias];
    // A late answer tells that it lives, and not how it stands now.
    if (call != nullptr && call->done) {
      if (call->answered) silent_.erase(alias);
      call = nullptr;
    }
    if (call != nullptr) continue;
    call = std::make_shared<Call>();
    io::Detach(Ask(call, member.manager, news_));
  }
  for (;;) {
    bool all = true, all_but_silent = true;
    for (const TabletAlias& alias : which) {
      auto call = calls_.find(alias);
      if (call == calls_.end() || call->second->done) continue;
      all = false;
      all_but_silent = all_but_silent && silent_.contains(alias);
    }
    if (all || limit.Passed(io::Loop::Current().Now())) break;
    if (all_but_silent && grace.Passed(io::Loop::Current().Now())) break;
    Deadline turn = all_but_silent ? grace.EarlierOf(limit) : limit;
    bool woken = co_await news_->Wait(turn);
    (void)woken;
  }
  for (const TabletAlias& alias : which) {
    auto sight = std::ranges::find(view_.tablets, alias, &reparent::TabletSight::alias);
    auto found = calls_.find(alias);
    if (sight == view_.tablets.end() || found == calls_.end()) continue;
    *sight = Unseen(alias, sight->type);
    std::shared_ptr<Call> call = found->second;
    if (!call->done) {
      sight->error = "it has not answered in time";
    } else if (!call->answered) {
      sight->error = call->answered.error().message();
    } else {
      Fill(call->state, &*sight);
    }
    if (call->done) calls_.erase(found);
    if (sight->reachable) {
      silent_.erase(alias);
    } else {
      silent_.insert(alias);
    }
  }
}

void Observer::Fill(const agent::TabletStateResponse& state, reparent::TabletSight* out) {
  reparent::TabletSight& sight = *out;
  sight = Unseen(sight.alias, sight.type);
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
  sight.stream_mark = state.stream_mark();
  sight.needs_seed = state.needs_seed();
  sight.importing = state.importing();
  sight.disk_error = state.disk_error();
  sight.disk_full = state.disk_full();
  sight.disk_low = state.disk_low();
  sight.disk_has_room = state.disk_has_room();
  if (state.mysqld_silent_ms() > 0) {
    sight.reachable = false;
    sight.hung = true;
    sight.error = fmt::format("its mysqld has not answered for {} ms", state.mysqld_silent_ms());
    return;
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
