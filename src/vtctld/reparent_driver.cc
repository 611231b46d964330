#include "vtctld/reparent_driver.h"

#include <algorithm>

#include "base/log.h"
#include "io/loop.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"
#include "topo/paths.h"
#include "vtctld/method.h"

namespace paceline::vtctld {
namespace {

using record::TabletAlias;
using reparent::Step;
using reparent::StepResult;

// Follows somebody whom no record of the shard names: not nobody.
const TabletAlias kStranger{"unknown", 0};

io::Task<void> Pause(Duration how_long) {
  io::Event never;
  bool woken = co_await never.Wait(Deadline::In(how_long));
  (void)woken;
}

std::string EncodedFor(const gtid::Set& position) {
  if (position.Empty()) return "";
  if (position.flavor() == gtid::Flavor::kMariadb) return "MariaDB/" + position.ToPosition();
  return position.ToEncoded();
}

Error RefusalError(const reparent::Refuse& refuse) {
  if (refuse.may_be_lost.empty()) return Error(refuse.code, refuse.why);
  return Error(refuse.code, fmt::format("{}. With --force it goes on, and this may be lost: {}",
                                        refuse.why, refuse.may_be_lost));
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

ReparentDriver::ReparentDriver(topo::Server& topo, Connect connect, ReparentOptions options,
                               std::function<void(std::string)> told)
    : topo_(topo),
      connect_(std::move(connect)),
      options_(std::move(options)),
      told_(std::move(told)) {}

io::Task<Result<TabletAlias>> ReparentDriver::Run(Deadline deadline) {
  std::string why = fmt::format("{}({})", reparent::ActionName(options_.request.action),
                                options_.shard.ToString());
  Result<topo::LockPtr> lock =
      co_await topo_.LockShard(options_.shard.keyspace, options_.shard.shard, why, deadline);
  if (!lock) co_return Fail(lock.error());
  lock_ = std::move(*lock);
  Result<TabletAlias> primary = co_await RunLocked(deadline);
  Status released = co_await lock_->Release(Deadline::In(5s));
  if (!released)
    LOG_WARNING("releasing the lock of {}: {}", options_.shard.ToString(),
                released.error().message());
  lock_.reset();
  if (primary) co_await Settle(Deadline::In(3s));
  co_return primary;
}

io::Task<Result<TabletAlias>> ReparentDriver::RunLocked(Deadline deadline) {
  reparent::Attempt attempt;
  for (;;) {
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "{} of {} did not end in time: run it again",
                     reparent::ActionName(options_.request.action), options_.shard.ToString());
    }
    Status seen = co_await Observe(deadline);
    if (!seen) co_return Fail(seen.error());
    Step step = reparent::NextStep(view_, options_.request, attempt);
    std::string line = reparent::Describe(step);
    LOG_INFO("{}: {}", options_.shard.ToString(), line);
    if (told_) told_(line);
    if (const auto* done = std::get_if<reparent::Done>(&step)) {
      for (const std::string& warning : done->warnings) {
        if (told_) told_("warning: " + warning);
      }
      co_return done->primary;
    }
    if (const auto* refuse = std::get_if<reparent::Refuse>(&step))
      co_return Fail(RefusalError(*refuse));
    StepResult result = co_await Do(step, deadline);
    for (const auto& [alias, error] : result.errors) {
      if (told_) told_(alias.ToString() + ": " + error);
    }
    attempt = reparent::After(std::move(attempt), step, result);
  }
}

io::Task<Status> ReparentDriver::Observe(Deadline deadline) {
  const record::KeyspaceShard& name = options_.shard;
  auto keyspace = co_await topo_.GetKeyspace(name.keyspace, deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->failed_cells.empty() && !options_.request.force) {
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
  view_ = reparent::View();
  view_.shard = name;
  view_.durability = *durability;
  view_.shard_primary = shard_.value.primary_alias;
  members_.clear();
  for (topo::Stored<record::Tablet>& stored : tablets->tablets) {
    std::shared_ptr<port::TabletManager> manager = connect_(stored.value);
    reparent::TabletSight sight;
    sight.alias = stored.value.alias;
    sight.type = stored.value.type;
    view_.tablets.push_back(std::move(sight));
    members_.push_back({std::move(stored.value), std::move(manager)});
  }
  Together join;
  for (size_t i = 0; i < members_.size(); ++i) {
    bool again = silent_.contains(members_[i].tablet.alias);
    join.Start(Look(i, Deadline::In(again ? kAgain : options_.look).EarlierOf(deadline)));
  }
  co_await join.Wait();
  for (const reparent::TabletSight& sight : view_.tablets) {
    if (!sight.reachable) silent_.insert(sight.alias);
    if (sight.reachable || !options_.wait_for_all) continue;
    co_return Fail(Code::kUnavailable,
                   "tablet {} does not answer ({}), and all were to be waited for",
                   sight.alias.ToString(), sight.error);
  }
  co_return Status();
}

io::Task<void> ReparentDriver::Look(size_t index, Deadline deadline) {
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

TabletAlias ReparentDriver::FindSource(const std::string& host, int port) const {
  for (const Member& member : members_) {
    bool same_host = member.tablet.mysql_hostname == host || member.tablet.hostname == host;
    if (same_host && member.tablet.mysql_port == port) return member.tablet.alias;
  }
  return kStranger;
}

const ReparentDriver::Member* ReparentDriver::Find(const TabletAlias& alias) const {
  for (const Member& member : members_) {
    if (member.tablet.alias == alias) return &member;
  }
  return nullptr;
}

namespace {

// The tablets of a step, and whether each is to acknowledge.
struct Targets {
  std::vector<std::pair<TabletAlias, bool>> list;
  void operator()(const reparent::PromiseTerm& step) {
    for (const TabletAlias& alias : step.tablets) list.emplace_back(alias, false);
  }
  void operator()(const reparent::Fence& step) {
    for (const TabletAlias& alias : step.tablets) list.emplace_back(alias, false);
  }
  void operator()(const reparent::Demote& step) { list.emplace_back(step.tablet, false); }
  void operator()(const reparent::UndoDemote& step) { list.emplace_back(step.tablet, false); }
  void operator()(const reparent::WaitForPosition& step) { list.emplace_back(step.tablet, false); }
  void operator()(const reparent::Repoint& step) {
    for (const auto& replica : step.replicas) list.emplace_back(replica.tablet, replica.semi_sync);
  }
  void operator()(const reparent::Promote& step) { list.emplace_back(step.tablet, false); }
  void operator()(const auto&) {}
};

}  // namespace

io::Task<StepResult> ReparentDriver::Do(Step step, Deadline deadline) {
  StepResult result;
  if (const auto* wait = std::get_if<reparent::Wait>(&step)) {
    co_await Pause(wait->how_long);
    co_return result;
  }
  if (const auto* publish = std::get_if<reparent::Publish>(&step)) {
    Status published = co_await Publish(publish->primary, Deadline::In(5s).EarlierOf(deadline));
    if (published) {
      result.ok.insert(publish->primary);
    } else {
      result.errors[publish->primary] = published.error().message();
    }
    co_return result;
  }
  Targets targets;
  std::visit(targets, step);
  Deadline limit = Deadline::In(options_.wait_replicas).EarlierOf(deadline);
  Together join;
  for (const auto& [alias, semi_sync] : targets.list) {
    join.Start(DoOne(&step, alias, semi_sync, &result, limit));
  }
  co_await join.Wait();
  co_return result;
}

io::Task<void> ReparentDriver::DoOne(const Step* step, TabletAlias alias, bool semi_sync,
                                     StepResult* result, Deadline deadline) {
  const Member* member = Find(alias);
  if (member == nullptr) {
    result->errors[alias] = "it has no record any more";
    co_return;
  }
  Member copy = *member;
  Status done = co_await Call(step, copy, semi_sync, deadline);
  if (done) {
    result->ok.insert(alias);
  } else {
    result->errors[alias] = done.error().message();
  }
}

io::Task<Status> ReparentDriver::Call(const Step* step, Member member, bool semi_sync,
                                      Deadline deadline) {
  port::TabletManager& tablet = *member.manager;
  if (const auto* promise = std::get_if<reparent::PromiseTerm>(step)) {
    agent::PromiseTermRequest request;
    agent::PromiseTermResponse response;
    request.set_term(promise->term);
    request.set_coordinator(std::string(reparent::ActionName(options_.request.action)) +
                            " by vtctld");
    deadline = Deadline::In(5s).EarlierOf(deadline);
    Status done = co_await tablet.PromiseTerm(request, response, deadline);
    co_return done;
  }
  if (const auto* fence = std::get_if<reparent::Fence>(step)) {
    agent::FenceRequest request;
    agent::FenceResponse response;
    request.set_term(fence->term);
    Status done = co_await tablet.Fence(request, response, deadline);
    co_return done;
  }
  if (const auto* demote = std::get_if<reparent::Demote>(step)) {
    agent::DemoteRequest request;
    agent::DemoteResponse response;
    request.set_term(demote->term);
    Status done = co_await tablet.Demote(request, response, deadline);
    co_return done;
  }
  if (const auto* undo = std::get_if<reparent::UndoDemote>(step)) {
    agent::UndoDemoteRequest request;
    agent::UndoDemoteResponse response;
    request.set_term(undo->term);
    request.set_acknowledgements(undo->acknowledgements);
    Status done = co_await tablet.UndoDemote(request, response, deadline);
    co_return done;
  }
  if (const auto* wait = std::get_if<reparent::WaitForPosition>(step)) {
    tabletmanagerdata::WaitForPositionRequest request;
    tabletmanagerdata::WaitForPositionResponse response;
    request.set_position(EncodedFor(wait->position));
    Status done = co_await tablet.WaitForPosition(request, response, deadline);
    co_return done;
  }
  if (const auto* repoint = std::get_if<reparent::Repoint>(step)) {
    agent::RepointRequest request;
    agent::RepointResponse response;
    request.set_term(repoint->term);
    Fill(repoint->primary, request.mutable_primary());
    request.set_semi_sync(semi_sync);
    request.set_start(true);
    Status done = co_await tablet.Repoint(request, response, deadline);
    co_return done;
  }
  const auto& promote = std::get<reparent::Promote>(*step);
  agent::PromoteRequest request;
  agent::PromoteResponse response;
  request.set_term(promote.term);
  request.set_acknowledgements(promote.acknowledgements);
  request.set_action(std::string(reparent::ActionName(promote.action)));
  request.set_must_contain(promote.must_contain.Empty() ? "" : promote.must_contain.ToEncoded());
  Status done = co_await tablet.Promote(request, response, deadline);
  co_return done;
}

io::Task<Status> ReparentDriver::Publish(TabletAlias primary, Deadline deadline) {
  if (!lock_->StillHeld()) {
    co_return Fail(Code::kAborted, "the lock of shard {} was lost", options_.shard.ToString());
  }
  record::Shard shard = shard_.value;
  shard.primary_alias = primary;
  shard.primary_term_start = io::Loop::Current().clock().WallNow();
  std::string bytes = topo::Encode(shard, shard_.raw);
  std::string path = topo::ShardPath(options_.shard.keyspace, options_.shard.shard);
  // By the version the view was built from: who wrote since has seen more than this run.
  auto written = co_await topo_.global().Update(path, bytes, shard_.version, deadline);
  if (!written)
    co_return Fail(
        written.error().Context("writing the record of shard " + options_.shard.ToString()));
  co_return Status();
}

io::Task<void> ReparentDriver::Refresh(TabletAlias alias, Deadline deadline) {
  const Member* member = Find(alias);
  if (member == nullptr) co_return;
  std::shared_ptr<port::TabletManager> manager = member->manager;
  tabletmanagerdata::RefreshStateRequest request;
  tabletmanagerdata::RefreshStateResponse response;
  Status done = co_await manager->RefreshState(request, response, deadline);
  if (!done)
    LOG_INFO("refreshing {} after a reparent: {}", alias.ToString(), done.error().message());
}

// What makes the change known sooner; the shard is well without it.
io::Task<void> ReparentDriver::Settle(Deadline deadline) {
  Together join;
  for (const reparent::TabletSight& sight : view_.tablets) {
    if (sight.reachable) join.Start(Refresh(sight.alias, deadline));
  }
  co_await join.Wait();
  auto cells = co_await topo_.ListCells(deadline);
  std::vector<std::string> missing;
  if (cells) {
    for (const std::string& cell : *cells) {
      auto there = co_await topo_.GetSrvKeyspace(cell, options_.shard.keyspace, deadline);
      if (!there && there.error().code() == Code::kNotFound) missing.push_back(cell);
    }
  }
  if (missing.empty()) co_return;
  Status rebuilt = co_await topo_.RebuildKeyspace(options_.shard.keyspace, missing, true, deadline);
  if (!rebuilt)
    LOG_WARNING("rebuilding the serving graph of {}: {}", options_.shard.keyspace,
                rebuilt.error().message());
}

}  // namespace paceline::vtctld
