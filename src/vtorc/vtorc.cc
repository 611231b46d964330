#include "vtorc/vtorc.h"

#include <algorithm>

#include "base/flags.h"
#include "base/log.h"
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
  io::Event news;  // set: look at once
  bool gone = false;
};

Vtorc::Vtorc(topo::Server& topo, drive::Connect connect, health::Watcher* health,
             VtorcOptions options)
    : topo_(topo), connect_(std::move(connect)), health_(health), options_(std::move(options)) {}

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
  std::string path(kMaintenancePath);
  auto file = co_await topo_.global().Get(path, deadline);
  if (file) {
    maintenance_ = ParseMaintenance(file->data);
  } else if (file.error().code() == Code::kNotFound) {
    maintenance_.clear();
  }
}

io::Task<Status> Vtorc::SetMaintenance(std::string name, bool on, std::string why,
                                       Deadline deadline) {
  if (name.empty() || name.find_first_of(" \n") != std::string::npos)
    co_return Fail(Code::kInvalidArgument, "\"{}\": use *, a keyspace or keyspace/shard", name);
  for (int tries = 0;; ++tries) {
    std::string path(kMaintenancePath);
    auto file = co_await topo_.global().Get(path, deadline);
    if (!file && file.error().code() != Code::kNotFound) co_return Fail(file.error());
    Maintenance now = file ? ParseMaintenance(file->data) : Maintenance();
    if (on) {
      now[name] = why.empty() ? "asked for" : why;
    } else {
      now.erase(name);
    }
    Result<topo::Version> written = Fail(Code::kUnknown, "not written");
    std::string text = MaintenanceText(now);
    if (file) {
      written = co_await topo_.global().Update(path, text, file->version, deadline);
    } else {
      written = co_await topo_.global().Create(path, text, deadline);
    }
    if (written) {
      maintenance_ = std::move(now);
      Tell(name, on ? "maintenance: nothing is healed" : "maintenance has ended");
      co_return Status();
    }
    bool moved = written.error().code() == Code::kFailedPrecondition ||
                 written.error().code() == Code::kAlreadyExists;
    if (!moved || tries > 5) co_return Fail(written.error());
  }
}

io::Task<void> Vtorc::WatchShard(Vtorc& self, std::shared_ptr<Shard> shard) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.gate_.closed() && !shard->gone) {
    shard->news.Reset();
    co_await self.LookAt(shard);
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
    co_await ReadMaintenance(Deadline::In(300ms));
    if (InMaintenance(maintenance_, shard->name)) co_return;
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
  Status done = co_await Mend(shard, problem, id);
  Time ended = io::Loop::Current().Now();
  Recovery* after = history_.Find(id);
  if (after != nullptr) {
    after->ended = io::Loop::Current().clock().WallNow();
    if (!done) after->error = done.error().ToString();
    history_.Store(*after);
  }
  if (done) {
    ++counts_.successful;
    if (problem.remedy == Remedy::kFailOver) {
      ++counts_.failovers;
      io::Detach(SeeFirstWrite(*this, shard, id));
    }
    shard->failures.erase(key);
    shard->not_before.erase(key);
    Tell(name, fmt::format("healed: {} in {}", problem.analysis, DurationText(ended - began)));
    co_return;
  }
  // The same remedy that failed is tried again soon, then less often; never is it given up.
  int failures = 0;
  if (done.error().code() == Code::kAborted) {
    ++counts_.left_to_others;
  } else {
    ++counts_.failed;
    failures = ++shard->failures[key];
  }
  Duration pause = std::min<Duration>(10s, 250ms * (1 << std::min(failures, 6)));
  shard->not_before[key] = ended + pause;
  Tell(name, fmt::format("not healed, again in {}: {}: {}", DurationText(pause), problem.analysis,
                         done.error().ToString()));
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
      break;
    case Remedy::kReparentAnew:
      request.action = reparent::Action::kPlanned;
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
    case Remedy::kMakeReadOnly:
    case Remedy::kMakeWritable: {
      const drive::Observer::Member* member = shard->observer.Find(problem.tablet);
      if (member == nullptr) co_return Status();
      std::shared_ptr<port::TabletManager> manager = member->manager;
      if (problem.remedy == Remedy::kMakeReadOnly) {
        tabletmanagerdata::SetReadOnlyRequest ask;
        tabletmanagerdata::SetReadOnlyResponse answer;
        Status set = co_await manager->SetReadOnly(ask, answer, Deadline::In(5s));
        co_return set;
      }
      tabletmanagerdata::SetReadWriteRequest ask;
      tabletmanagerdata::SetReadWriteResponse answer;
      Status set = co_await manager->SetReadWrite(ask, answer, Deadline::In(5s));
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
    std::string maintenance = InMaintenance(maintenance_, name).value_or("");
    reports.push_back(
        {name.ToString(), shard->primary, shard->problems, shard->error, maintenance});
  }
  return reports;
}

}  // namespace paceline::vtorc
