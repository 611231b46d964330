#include "drive/reparent_driver.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "io/together.h"
#include "paceline_agent.pb.h"
#include "reparent/force.h"
#include "tabletmanagerdata.pb.h"
#include "topo/paths.h"

namespace paceline::drive {
namespace {

using record::TabletAlias;
using reparent::Step;
using reparent::StepResult;

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

}  // namespace

ReparentDriver::ReparentDriver(topo::Server& topo, Connect connect, ReparentOptions options,
                               std::function<void(std::string)> told)
    : topo_(topo),
      options_(std::move(options)),
      told_(std::move(told)),
      observer_(topo, std::move(connect),
                {.shard = options_.shard,
                 .outlive_topology = true,  // a look that fails midway must not end the run
                 .allow_unknown_cells = options_.request.force}) {}

io::Task<Result<TabletAlias>> ReparentDriver::Run(Deadline deadline) {
  std::string why = fmt::format("{}({})", reparent::ActionName(options_.request.action),
                                options_.shard.ToString());
  Result<topo::LockPtr> lock = Fail(Code::kUnknown, "not asked");
  if (options_.outlive_topology) {
    lock = co_await topo_.TryLockShard(options_.shard.keyspace, options_.shard.shard, why,
                                       Deadline::In(options_.lock_patience).EarlierOf(deadline));
    if (!lock && lock.error().code() == Code::kAlreadyExists)
      co_return Fail(Code::kAborted, "another coordinator acts: {}", lock.error().message());
  } else {
    lock = co_await topo_.LockShard(options_.shard.keyspace, options_.shard.shard, why, deadline);
  }
  bool away = !lock && (lock.error().code() == Code::kUnavailable ||
                        lock.error().code() == Code::kDeadlineExceeded);
  // The lock only avoids wasted work; terms decide (DESIGN section 7).
  if (!lock && !(away && options_.outlive_topology)) co_return Fail(lock.error());
  if (!lock && options_.others_until && !options_.others_until->Passed(io::Loop::Current().Now())) {
    co_return Fail(Code::kAborted,
                   "another coordinator took a term a moment ago, and the topology "
                   "that would tell them apart is away");
  }
  if (lock) lock_ = std::move(*lock);
  Result<TabletAlias> primary = co_await RunLocked(deadline);
  co_await calls_.Wait();
  if (lock_ == nullptr) co_return primary;
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
  Deadline patience = Deadline::In(3s);
  Status seen = co_await Observe(deadline);
  if (seen && options_.request.force) {
    std::string given_up = reparent::GivenUpByForce(observer_.view(), options_.request);
    if (!given_up.empty()) LOG_WARNING("{}: forced: {}", options_.shard.ToString(), given_up);
    if (!given_up.empty() && told_) told_("forced: " + given_up);
  }
  for (;;) {
    if (!seen) co_return Fail(seen.error());
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "{} of {} did not end in time: run it again",
                     reparent::ActionName(options_.request.action), options_.shard.ToString());
    }
    Step step = reparent::NextStep(observer_.view(), options_.request, attempt);
    // Whom a busy host keeps from answering for a moment is not gone: a person would ask again.
    const auto* refuse = std::get_if<reparent::Refuse>(&step);
    if (refuse != nullptr && refuse->code == Code::kUnavailable && !options_.outlive_topology &&
        options_.request.action != reparent::Action::kEmergency &&
        !patience.Passed(io::Loop::Current().Now())) {
      co_await io::SleepUntil(Deadline::In(200ms));
      seen = co_await Observe(deadline);
      continue;
    }
    std::string line = reparent::Describe(step);
    LOG_INFO("{}: {}", options_.shard.ToString(), line);
    if (told_) told_(line);
    if (options_.on_step) options_.on_step(step);
    if (const auto* done = std::get_if<reparent::Done>(&step)) {
      for (const std::string& warning : done->warnings) {
        if (told_) told_("warning: " + warning);
      }
      co_return done->primary;
    }
    if (refuse != nullptr) co_return Fail(RefusalError(*refuse));
    const auto* promise = std::get_if<reparent::PromiseTerm>(&step);
    if (promise != nullptr) term_ = promise->term;
    const Time began = io::Loop::Current().Now();
    StepResult result = co_await Do(step, deadline);
    result.took = io::Loop::Current().Now() - began;
    for (const auto& [alias, error] : result.errors) {
      if (told_) told_(alias.ToString() + ": " + error);
    }
    attempt = reparent::After(std::move(attempt), step, result);
    seen = co_await LookAfter(step, result, deadline);
  }
}

// The records are those of the run's first look, under the shard's lock: what was written since
// fails the publication by its version. An answer to a call tells how the tablet stands now; the
// others can only have done what terms allow.
io::Task<Status> ReparentDriver::LookAfter(Step step, StepResult result, Deadline deadline) {
  bool all_anew = std::holds_alternative<reparent::Wait>(step) || !result.errors.empty();
  if (all_anew) {
    untold_.clear();
    Status seen = co_await Observe(deadline);
    co_return seen;
  }
  std::set<TabletAlias> untold = std::exchange(untold_, {});
  if (const auto* wait = std::get_if<reparent::WaitForPosition>(&step)) untold.insert(wait->tablet);
  if (!untold.empty()) co_await observer_.ObserveOnly(std::move(untold), deadline);
  co_return Status();
}

template <class Response>
void ReparentDriver::Take(const Round& round, const TabletAlias& alias, const Response& response) {
  if (round.over) return;
  if (response.has_state()) {
    observer_.Take(alias, response.state());
  } else {
    untold_.insert(alias);
  }
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

io::Task<Status> ReparentDriver::Observe(Deadline deadline) {
  Status seen = co_await observer_.Observe(deadline);
  if (!seen) co_return seen;
  for (const reparent::TabletSight& sight : observer_.view().tablets) {
    if (sight.reachable || !options_.wait_for_all) continue;
    co_return Fail(Code::kUnavailable,
                   "tablet {} does not answer ({}), and all were to be waited for",
                   sight.alias.ToString(), sight.error);
  }
  co_return Status();
}

io::Task<StepResult> ReparentDriver::Do(Step step, Deadline deadline) {
  StepResult result;
  if (const auto* wait = std::get_if<reparent::Wait>(&step)) {
    co_await io::SleepUntil(Deadline::In(wait->how_long));
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
  const auto* repoint = std::get_if<reparent::Repoint>(&step);
  const size_t enough = repoint != nullptr && repoint->enough > 0 ? repoint->enough : SIZE_MAX;
  auto round = std::make_shared<Round>();
  round->step = std::move(step);
  round->left = targets.list.size();
  for (const auto& [alias, semi_sync] : targets.list)
    calls_.Start(DoOne(round, alias, semi_sync, limit));
  while (round->left > 0 && round->result.ok.size() < enough) {
    // The calls end by their own deadlines.
    bool woken = co_await round->answered.Wait(Deadline::Never());
    (void)woken;
  }
  round->over = true;
  co_return round->result;
}

io::Task<void> ReparentDriver::DoOne(std::shared_ptr<Round> round, TabletAlias alias,
                                     bool semi_sync, Deadline deadline) {
  Status done = Fail(Code::kNotFound, "it has no record any more");
  if (const Observer::Member* member = observer_.Find(alias)) {
    Observer::Member copy = *member;
    done = co_await Call(round, std::move(copy), semi_sync, deadline);
  }
  if (!round->over) {
    if (done) {
      round->result.ok.insert(alias);
    } else {
      round->result.errors[alias] = done.error().message();
    }
  }
  --round->left;
  round->answered.Pulse();
}

io::Task<Status> ReparentDriver::Call(std::shared_ptr<Round> round, Observer::Member member,
                                      bool semi_sync, Deadline deadline) {
  const Step* step = &round->step;
  port::TabletManager& tablet = *member.manager;
  TabletAlias alias = member.tablet.alias;
  if (const auto* promise = std::get_if<reparent::PromiseTerm>(step)) {
    agent::PromiseTermRequest request;
    agent::PromiseTermResponse response;
    request.set_term(promise->term);
    request.set_coordinator(std::string(reparent::ActionName(options_.request.action)) + " by " +
                            options_.coordinator);
    deadline = Deadline::In(5s).EarlierOf(deadline);
    Status done = co_await tablet.PromiseTerm(request, response, deadline);
    if (done) Take(*round, alias, response);
    co_return done;
  }
  if (const auto* fence = std::get_if<reparent::Fence>(step)) {
    agent::FenceRequest request;
    agent::FenceResponse response;
    request.set_term(fence->term);
    Status done = co_await tablet.Fence(request, response, deadline);
    if (done) Take(*round, alias, response);
    co_return done;
  }
  if (const auto* demote = std::get_if<reparent::Demote>(step)) {
    agent::DemoteRequest request;
    agent::DemoteResponse response;
    request.set_term(demote->term);
    Status done = co_await tablet.Demote(request, response, deadline);
    if (done) Take(*round, alias, response);
    co_return done;
  }
  if (const auto* undo = std::get_if<reparent::UndoDemote>(step)) {
    agent::UndoDemoteRequest request;
    agent::UndoDemoteResponse response;
    request.set_term(undo->term);
    request.set_acknowledgements(undo->acknowledgements);
    Status done = co_await tablet.UndoDemote(request, response, deadline);
    if (done) Take(*round, alias, response);
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
    request.mutable_primary()->set_cell(repoint->primary.cell);
    request.mutable_primary()->set_uid(repoint->primary.uid);
    const Observer::Member* primary = observer_.Find(repoint->primary);
    if (primary != nullptr && primary->tablet.mysql_port != 0) {
      request.set_primary_host(primary->tablet.mysql_hostname);
      request.set_primary_port(primary->tablet.mysql_port);
    }
    request.set_semi_sync(semi_sync);
    request.set_start(true);
    Status done = co_await tablet.Repoint(request, response, deadline);
    if (done) Take(*round, alias, response);
    co_return done;
  }
  const auto& promote = std::get<reparent::Promote>(*step);
  agent::PromoteRequest request;
  agent::PromoteResponse response;
  request.set_term(promote.term);
  request.set_acknowledgements(promote.acknowledgements);
  request.set_action(std::string(reparent::ActionName(promote.action)));
  request.set_must_contain(promote.must_contain.Empty() ? "" : promote.must_contain.ToEncoded());
  bool demoted = std::ranges::any_of(
      observer_.view().tablets, [](const auto& sight) { return sight.reachable && sight.demoted; });
  request.set_drained(promote.action == reparent::Action::kPlanned && demoted);
  Status done = co_await tablet.Promote(request, response, deadline);
  if (done) Take(*round, alias, response);
  co_return done;
}

io::Task<Status> ReparentDriver::Publish(TabletAlias primary, Deadline deadline) {
  if (lock_ == nullptr) {
    LOG_WARNING("{}: the topology is away; {} records itself when it is back",
                options_.shard.ToString(), primary.ToString());
    co_return Status();
  }
  if (!lock_->StillHeld()) {
    co_return Fail(Code::kAborted, "the lock of shard {} was lost", options_.shard.ToString());
  }
  record::Shard shard = observer_.shard().value;
  shard.primary_alias = primary;
  shard.primary_term_start = io::Loop::Current().clock().WallNow();
  std::string bytes = topo::Encode(shard, observer_.shard().raw);
  std::string path = topo::ShardPath(options_.shard.keyspace, options_.shard.shard);
  // By the version the view was built from: who wrote since has seen more than this run.
  auto written = co_await topo_.global().Update(path, bytes, observer_.shard().version, deadline);
  if (!written)
    co_return Fail(
        written.error().Context("writing the record of shard " + options_.shard.ToString()));
  co_return Status();
}

io::Task<void> ReparentDriver::Refresh(TabletAlias alias, Deadline deadline) {
  const Observer::Member* member = observer_.Find(alias);
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
  io::Together join;
  for (const reparent::TabletSight& sight : observer_.view().tablets) {
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

}  // namespace paceline::drive
