#include "vtorc/vtorc.h"

#include <algorithm>

#include "base/flags.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "drive/reparent_driver.h"
#include "io/loop.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"
#include "topo/cache.h"
#include "topo/paths.h"

namespace paceline::vtorc {

using record::KeyspaceShard;
using record::TabletAlias;

// So long a term is left to whoever took it, where no lock tells whether that one still lives.
constexpr Duration kTermHolds = std::chrono::seconds(10);
// Whoever lags more is waited for too long by clients, for a primary that still works.
constexpr Duration kLagToMove = std::chrono::seconds(10);

struct Vtorc::Shard {
  Shard(topo::Server& topo, drive::Connect connect, KeyspaceShard shard)
      : name(shard), observer(topo, std::move(connect), Options(shard)) {}
  static drive::ObserverOptions Options(KeyspaceShard shard) {
    drive::ObserverOptions options;
    options.shard = std::move(shard);
    options.outlive_topology = true;
    options.look = std::chrono::milliseconds(700);
    return options;
  }
  KeyspaceShard name;
  drive::Observer observer;
  Memory memory;
  std::vector<Problem> problems;
  std::string error, primary;
  std::map<std::string, int> failures;  // of a remedy in a row, by analysis and tablet
  std::map<std::string, Time> not_before;
  uint64_t term = 0;       // the highest that a tablet was seen to have promised
  Time term_since;         // since when
  bool term_open = false;  // nobody leads in it yet
  uint64_t own_term = 0;   // the last that was asked for from here
  io::Event news;          // set: look at once
  bool gone = false;
};

Vtorc::Vtorc(topo::Server& topo, drive::Connect connect, health::Watcher* health,
             VtorcOptions options)
    : topo_(topo),
      connect_(std::move(connect)),
      health_(health),
      options_(std::move(options)),
      successful_(Metrics::Process().AddCounters("SuccessfulRecoveries", "problems healed",
                                                 {"RecoveryType", "Keyspace", "Shard"})),
      failed_(Metrics::Process().AddCounters("FailedRecoveries", "remedies that failed",
                                             {"RecoveryType", "Keyspace", "Shard"})),
      emergency_(Metrics::Process().AddCounters("EmergencyReparentCounts", "failovers",
                                                {"Keyspace", "Shard", "Result"})),
      planned_(Metrics::Process().AddCounters("PlannedReparentCounts",
                                              "reparents that were finished or begun anew",
                                              {"Keyspace", "Shard", "Result"})) {}

Vtorc::~Vtorc() = default;

void Vtorc::Start() {
  if (health_ != nullptr) {
    listener_ = health_->AddListener([this](const health::TabletStatus& status) {
      auto found = shards_.find({status.target.keyspace, status.target.shard});
      if (found != shards_.end()) found->second->news.Set();
    });
  }
  io::Detach(FindShards(*this));
}

io::Task<void> Vtorc::Stop(Deadline deadline) {
  if (health_ != nullptr) health_->RemoveListener(listener_);
  for (auto& [name, shard] : shards_) shard->news.Set();
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("{} of vtorc's tasks did not end in time", gate_.count());
}

io::Task<void> Vtorc::FindShards(Vtorc& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  self.RecallShards();  // a topology that is away takes seconds to be known as such
  while (pass) {
    co_await self.ReadMaintenance(Deadline::In(3s));
    auto keyspaces = co_await self.topo_.ListKeyspaces(Deadline::In(3s));
    if (keyspaces) {
      std::set<KeyspaceShard> now;
      bool complete = true;
      for (const std::string& keyspace : *keyspaces) {
        // A snapshot has no primary, and shall have none.
        auto record = co_await self.topo_.GetKeyspace(keyspace, Deadline::In(3s));
        if (record && record->value.type == record::KeyspaceType::kSnapshot) continue;
        auto shards = co_await self.topo_.ListShards(keyspace, Deadline::In(3s));
        complete = complete && shards.has_value();
        if (!shards) continue;
        for (const std::string& shard : *shards) {
          KeyspaceShard name{keyspace, shard};
          if (self.Watches(name)) now.insert(std::move(name));
        }
      }
      for (const KeyspaceShard& name : now) self.Add(name);
      if (complete) {
        std::erase_if(self.shards_, [&now](const auto& entry) {
          if (now.contains(entry.first)) return false;
          entry.second->gone = true;
          return true;
        });
      }
    }
    bool open = co_await io::Sleep(self.gate_, Deadline::In(self.options_.topology_interval));
    if (!open) co_return;
  }
}

bool Vtorc::Watches(const KeyspaceShard& shard) const {
  return options_.keyspaces.empty() || options_.keyspaces.contains(shard.keyspace) ||
         options_.keyspaces.contains(shard.ToString());
}

void Vtorc::Add(KeyspaceShard name) {
  if (shards_.contains(name)) return;
  // From 0 on, so that the first of a kind is seen as an increase.
  for (const char* result : {"success", "failure"}) {
    emergency_.With({name.keyspace, name.shard, result});
    planned_.With({name.keyspace, name.shard, result});
  }
  for (Remedy remedy : {Remedy::kFailOver, Remedy::kReparentAnew, Remedy::kFixPrimary,
                        Remedy::kRepoint, Remedy::kForgetSource}) {
    std::vector<std::string> labels = {std::string(RecoveryType({.remedy = remedy})), name.keyspace,
                                       name.shard};
    successful_.With(labels);
    failed_.With(labels);
  }
  auto shard = std::make_shared<Shard>(topo_, connect_, name);
  shards_.emplace(std::move(name), shard);
  io::Detach(WatchShard(*this, shard));
}

void Vtorc::RecallShards() {
  if (topo_.copy() == nullptr) return;
  for (const auto& [path, unused] : topo_.copy()->List(topo::kGlobalCell, "keyspaces")) {
    std::vector<std::string_view> parts = Split(path, '/');  // keyspaces/ks/shards/0/Shard
    if (parts.size() != 5 || parts[4] != "Shard") continue;
    KeyspaceShard name{std::string(parts[1]), std::string(parts[3])};
    if (Watches(name)) Add(std::move(name));
  }
}

io::Task<void> Vtorc::ReadMaintenance(Deadline deadline) {
  Result<topo::Maintenance> now = co_await topo::ReadMaintenance(topo_, options_.copy, deadline);
  if (now) maintenance_ = std::move(*now);
}

io::Task<Status> Vtorc::SetMaintenance(std::string name, bool on, std::string why,
                                       Deadline deadline) {
  Result<topo::Maintenance> now = co_await topo::SetMaintenance(topo_, name, on, why, deadline);
  if (!now) co_return Fail(now.error());
  maintenance_ = std::move(*now);
  Tell(name, on ? "maintenance: nothing is healed" : "maintenance has ended");
  co_return Status();
}

io::Task<void> Vtorc::WatchShard(Vtorc& self, std::shared_ptr<Shard> shard) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.gate_.closed() && !shard->gone) {
    shard->news.Reset();
    co_await self.LookAt(shard);
    bool open = co_await io::Sleep(self.gate_, Deadline::In(self.options_.look_pause));
    if (!open) co_return;
    bool news = co_await shard->news.Wait(Deadline::In(self.options_.look_interval));
    (void)news;
  }
}

io::Task<void> Vtorc::LookAt(std::shared_ptr<Shard> shard) {
  Status seen = co_await shard->observer.Observe(Deadline::In(5s));
  if (!seen) {
    shard->error = seen.error().ToString();
    shard->problems.clear();
    co_return;
  }
  shard->error.clear();
  Time now = io::Loop::Current().Now();
  const reparent::View& view = shard->observer.view();
  for (const reparent::TabletSight& sight : view.tablets) {
    const health::TabletStatus* status =
        health_ == nullptr ? nullptr : health_->view().Find(sight.alias);
    if (status == nullptr || !status->connected) continue;
    Time& heard = shard->memory.heard.emplace(sight.alias, status->last_beat).first->second;
    heard = std::max(heard, status->last_beat);
  }
  uint64_t promised = 0, journaled = 0;
  for (const reparent::TabletSight& sight : view.tablets) {
    if (sight.reachable) promised = std::max(promised, sight.promised_term);
    if (sight.reachable) journaled = std::max(journaled, sight.journal_term);
  }
  if (std::exchange(shard->term, promised) != promised) shard->term_since = now;
  shard->term_open = promised > journaled && promised != shard->own_term;
  shard->primary = reparent::ReigningPrimary(view).ToString();
  std::vector<Problem> before = std::move(shard->problems);
  shard->problems = Diagnose(view, now, options_.diagnose, shard->memory);
  for (const Problem& problem : shard->problems) {
    auto same = [&problem](const Problem& other) {
      return other.analysis == problem.analysis && other.tablet == problem.tablet;
    };
    if (std::ranges::none_of(before, same)) {
      Tell(shard->name.ToString(), fmt::format("seen: {} {}: {}", problem.analysis,
                                               problem.tablet.ToString(), problem.why));
    }
  }
  if (!options_.recoveries) co_return;
  for (const Problem& problem : shard->problems) {
    std::string key = problem.analysis + " " + problem.tablet.ToString();
    if (problem.remedy == Remedy::kNone || problem.remedy == Remedy::kWait) continue;
    if (now < shard->not_before[key]) continue;
    Problem copy = problem;  // a remedy looks again, and problems change
    // What is known of it stands while the topology is away.
    if (!shard->observer.topology_away()) co_await ReadMaintenance(Deadline::In(300ms));
    if (topo::InMaintenance(maintenance_, shard->name)) co_return;
    co_await Heal(shard, std::move(copy));
    co_return;  // then everything is looked at anew
  }
}

io::Task<void> Vtorc::Heal(std::shared_ptr<Shard> shard, Problem problem) {
  std::string key = problem.analysis + " " + problem.tablet.ToString();
  std::string name = shard->name.ToString();
  Time began = io::Loop::Current().Now();
  Tell(name, fmt::format("{}: {} {}", RemedyName(problem.remedy), problem.analysis,
                         problem.tablet.ToString()));
  Recovery& record = history_.Begin(io::Loop::Current().clock().WallNow());
  int64_t id = record.id;
  record.shard = name;
  record.analysis = problem.analysis;
  record.remedy = RemedyName(problem.remedy);
  record.tablet = problem.tablet.ToString();
  Enter(id, "detect", problem.why);
  ++pending_;
  Status done = co_await Mend(shard, problem, id);
  --pending_;
  bool left_to_others = !done && done.error().code() == Code::kAborted;
  if (!left_to_others) Count(shard->name, problem, done.has_value());
  Time ended = io::Loop::Current().Now();
  Recovery* after = history_.Find(id);
  if (after != nullptr) {
    after->ended = io::Loop::Current().clock().WallNow();
    if (!done) after->error = done.error().ToString();
    history_.Store(*after);
  }
  if (done) {
    if (problem.remedy == Remedy::kFailOver) io::Detach(SeeFirstWrite(*this, shard, id));
    shard->failures.erase(key);
    shard->not_before.erase(key);
    Tell(name, fmt::format("healed: {} in {}", problem.analysis, DurationText(ended - began)));
    co_return;
  }
  // The same remedy that failed is tried again soon, then less often; never is it given up.
  int failures = left_to_others ? 0 : ++shard->failures[key];
  Duration pause = std::min<Duration>(10s, 250ms * (1 << std::min(failures, 6)));
  // Two that gave way to each other must not come again at once together.
  if (left_to_others) pause += std::chrono::milliseconds(ThreadRng().Below(750));
  shard->not_before[key] = ended + pause;
  Tell(name, fmt::format("not healed, again in {}: {}: {}", DurationText(pause), problem.analysis,
                         done.error().ToString()));
}

void Vtorc::Count(const KeyspaceShard& shard, const Problem& problem, bool done) {
  std::string type(RecoveryType(problem));
  (done ? successful_ : failed_).With({type, shard.keyspace, shard.shard}).Add();
  std::vector<std::string> result = {shard.keyspace, shard.shard, done ? "success" : "failure"};
  if (problem.remedy == Remedy::kFailOver) emergency_.With(result).Add();
  bool planned = problem.remedy == Remedy::kReparentAnew ||
                 problem.remedy == Remedy::kPromoteAnew || problem.remedy == Remedy::kMoveAway;
  if (planned) planned_.With(result).Add();
}

namespace {

struct StageOf {
  std::string operator()(const reparent::Wait&) const { return "wait"; }
  std::string operator()(const reparent::PromiseTerm&) const { return "term"; }
  std::string operator()(const reparent::Fence&) const { return "fence"; }
  std::string operator()(const reparent::Demote&) const { return "demote"; }
  std::string operator()(const reparent::UndoDemote&) const { return "undo"; }
  std::string operator()(const reparent::WaitForPosition&) const { return "catch up"; }
  std::string operator()(const reparent::Repoint&) const { return "attach"; }
  std::string operator()(const reparent::Promote&) const { return "promote"; }
  std::string operator()(const reparent::Publish&) const { return "publish"; }
  std::string operator()(const reparent::Done&) const { return "done"; }
  std::string operator()(const reparent::Refuse&) const { return "refuse"; }
};

}  // namespace

void Vtorc::Enter(int64_t recovery, std::string stage, std::string text) {
  Recovery* record = history_.Find(recovery);
  if (record == nullptr || record->stages.size() >= 100) return;
  record->stages.push_back(
      {io::Loop::Current().clock().WallNow(), std::move(stage), std::move(text)});
}

io::Task<Status> Vtorc::Reparent(std::shared_ptr<Shard> shard, reparent::Request request,
                                 int64_t recovery) {
  drive::ReparentOptions options;
  options.shard = shard->name;
  options.request = std::move(request);
  options.coordinator = "vtorc";
  options.outlive_topology = true;
  if (shard->observer.topology_away()) options.lock_patience = drive::Observer::kStillAway;
  if (shard->term_open) options.others_until = Deadline::At(shard->term_since + kTermHolds);
  options.request.yields = true;
  options.on_step = [this, recovery](const reparent::Step& step) {
    std::string stage = std::visit(StageOf(), step);
    Recovery* record = history_.Find(recovery);
    // Whom the tablets are attached to is the one elected.
    auto elected = [record](const record::TabletAlias& alias) {
      return record != nullptr && std::exchange(record->successor, alias.ToString()).empty();
    };
    if (const auto* attach = std::get_if<reparent::Repoint>(&step)) {
      bool first = !attach->interim && !attach->then && elected(attach->primary);
      if (first) Enter(recovery, "elect", attach->primary.ToString());
    }
    if (const auto* promote = std::get_if<reparent::Promote>(&step)) {
      if (elected(promote->tablet)) Enter(recovery, "elect", promote->tablet.ToString());
    }
    Enter(recovery, std::move(stage), reparent::Describe(step));
  };
  std::string name = shard->name.ToString();
  // The driver logs what it tells.
  drive::ReparentDriver driver(topo_, connect_, options,
                               [this, name](std::string line) { Remember(name, std::move(line)); });
  driver.StartFrom(shard->observer);
  Result<TabletAlias> primary = co_await driver.Run(Deadline::In(options_.recovery_limit));
  if (driver.term() != 0) shard->own_term = driver.term();
  if (!primary) co_return Fail(primary.error());
  co_return Status();
}

io::Task<void> Vtorc::SeeFirstWrite(Vtorc& self, std::shared_ptr<Shard> shard, int64_t recovery) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Deadline limit = Deadline::In(10s);
  std::optional<gtid::Set> at_promotion;
  std::shared_ptr<port::TabletManager> manager;
  for (const drive::Observer::Member& member : shard->observer.members()) {
    Recovery* record = self.history_.Find(recovery);
    bool leads = record != nullptr && member.tablet.alias.ToString() == record->successor;
    if (leads) manager = member.manager;
  }
  while (pass && manager != nullptr && !limit.Passed(io::Loop::Current().Now())) {
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await manager->TabletState(request, state, Deadline::In(1s));
    Result<gtid::Set> has = Fail(Code::kUnavailable, "no answer");
    if (answered) has = gtid::Set::ParseEncoded(state.executed_position());
    if (has && !at_promotion) {
      at_promotion = *has;
    } else if (has && !(*has == *at_promotion)) {
      self.Enter(recovery, "first write", "a transaction of the new term");
      Recovery* record = self.history_.Find(recovery);
      if (record != nullptr) self.history_.Store(*record);
      co_return;
    }
    bool open = co_await io::Sleep(self.gate_, Deadline::In(20ms));
    if (!open) co_return;
  }
}

io::Task<Status> Vtorc::FixPrimary(std::shared_ptr<Shard> shard, TabletAlias alias) {
  const drive::Observer::Member* member = shard->observer.Find(alias);
  const reparent::View& view = shard->observer.view();
  const reparent::TabletSight* sight = view.Find(alias);
  if (member == nullptr || sight == nullptr) co_return Status();
  std::vector<reparent::Member> members;
  for (const reparent::TabletSight& tablet : view.tablets)
    members.push_back({tablet.alias, tablet.type});
  reparent::Member leader{alias, sight->type};
  size_t possible = reparent::PossibleAckers(view.durability, leader, members).size();
  agent::UndoDemoteRequest ask;
  agent::UndoDemoteResponse answer;
  ask.set_term(sight->promised_term);
  ask.set_acknowledgements(reparent::AcksRequired(view.durability, view.flavor, possible));
  std::shared_ptr<port::TabletManager> manager = member->manager;
  Status fixed = co_await manager->UndoDemote(ask, answer, Deadline::In(5s));
  co_return fixed;
}

io::Task<Status> Vtorc::Mend(std::shared_ptr<Shard> shard, Problem problem, int64_t recovery) {
  reparent::Request request;
  switch (problem.remedy) {
    case Remedy::kFailOver:
      request.action = reparent::Action::kEmergency;
      request.expected_primary = problem.tablet;
      request.ignore = problem.unfit;
      break;
    case Remedy::kReparentAnew:
      request.action = reparent::Action::kPlanned;
      break;
    case Remedy::kMoveAway:
      request.action = reparent::Action::kPlanned;
      request.avoid_primary = problem.tablet;
      request.expected_primary = problem.tablet;
      request.ignore = problem.unfit;
      request.tolerable_lag = kLagToMove;
      break;
    case Remedy::kPromoteAnew:
      request.action = reparent::Action::kPlanned;
      request.new_primary = problem.tablet;
      break;
    case Remedy::kRepoint:
      request.action = reparent::Action::kReparentTablet;
      request.new_primary = problem.tablet;
      break;
    case Remedy::kFixPrimary: {
      Status fixed = co_await FixPrimary(shard, problem.tablet);
      co_return fixed;
    }
    case Remedy::kForgetSource: {
      const drive::Observer::Member* member = shard->observer.Find(problem.tablet);
      if (member == nullptr) co_return Status();
      std::shared_ptr<port::TabletManager> manager = member->manager;
      tabletmanagerdata::ResetReplicationParametersRequest ask;
      tabletmanagerdata::ResetReplicationParametersResponse answer;
      Status reset = co_await manager->ResetReplicationParameters(ask, answer, Deadline::In(5s));
      co_return reset;
    }
    case Remedy::kMakeReadOnly: {
      const drive::Observer::Member* member = shard->observer.Find(problem.tablet);
      if (member == nullptr) co_return Status();
      std::shared_ptr<port::TabletManager> manager = member->manager;
      tabletmanagerdata::SetReadOnlyRequest ask;
      tabletmanagerdata::SetReadOnlyResponse answer;
      Status set = co_await manager->SetReadOnly(ask, answer, Deadline::In(5s));
      co_return set;
    }
    case Remedy::kNone:
    case Remedy::kWait:
      co_return Status();
  }
  Status done = co_await Reparent(shard, std::move(request), recovery);
  co_return done;
}

void Vtorc::Tell(const std::string& shard, std::string text) {
  LOG_INFO("{}: {}", shard, text);
  Remember(shard, std::move(text));
}

void Vtorc::Remember(const std::string& shard, std::string text) {
  timeline_.push_back({io::Loop::Current().clock().WallNow(), shard, std::move(text)});
  if (timeline_.size() > kTimeline) timeline_.pop_front();
}

std::vector<ShardReport> Vtorc::Report() const {
  std::vector<ShardReport> reports;
  for (const auto& [name, shard] : shards_) {
    std::string maintenance = topo::InMaintenance(maintenance_, name).value_or("");
    reports.push_back(
        {name.ToString(), shard->primary, shard->problems, shard->error, maintenance});
  }
  return reports;
}

}  // namespace paceline::vtorc
