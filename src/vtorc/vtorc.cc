#include "vtorc/vtorc.h"

#include <algorithm>

#include "base/flags.h"
#include "base/log.h"
#include "drive/reparent_driver.h"
#include "io/loop.h"
#include "paceline_agent.pb.h"
#include "tabletmanagerdata.pb.h"

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
  io::Event news;  // pulsed
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
      if (found != shards_.end()) found->second->news.Pulse();
    });
  }
  io::Detach(FindShards(*this));
}

io::Task<void> Vtorc::Stop(Deadline deadline) {
  if (health_ != nullptr) health_->RemoveListener(listener_);
  for (auto& [name, shard] : shards_) shard->news.Pulse();
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("{} of vtorc's tasks did not end in time", gate_.count());
}

io::Task<void> Vtorc::FindShards(Vtorc& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass) {
    auto keyspaces = co_await self.topo_.ListKeyspaces(Deadline::In(3s));
    if (keyspaces) {
      std::set<KeyspaceShard> now;
      bool complete = true;
      for (const std::string& keyspace : *keyspaces) {
        auto shards = co_await self.topo_.ListShards(keyspace, Deadline::In(3s));
        complete = complete && shards.has_value();
        if (!shards) continue;
        for (const std::string& shard : *shards) {
          bool watched = self.options_.keyspaces.empty() ||
                         self.options_.keyspaces.contains(keyspace) ||
                         self.options_.keyspaces.contains(keyspace + "/" + shard);
          if (watched) now.insert({keyspace, shard});
        }
      }
      for (const KeyspaceShard& name : now) {
        if (self.shards_.contains(name)) continue;
        auto shard = std::make_shared<Shard>(self.topo_, self.connect_, name);
        self.shards_.emplace(name, shard);
        io::Detach(WatchShard(self, shard));
      }
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

io::Task<void> Vtorc::WatchShard(Vtorc& self, std::shared_ptr<Shard> shard) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.gate_.closed() && !shard->gone) {
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
    co_await Heal(shard, std::move(copy));
    co_return;  // then everything is looked at anew
  }
}

io::Task<void> Vtorc::Heal(std::shared_ptr<Shard> shard, Problem problem) {
  std::string key = problem.analysis + " " + problem.tablet.ToString();
  Time began = io::Loop::Current().Now();
  Tell(shard->name.ToString(), fmt::format("{}: {} {}", RemedyName(problem.remedy),
                                           problem.analysis, problem.tablet.ToString()));
  Status done = co_await Mend(shard, problem);
  Time ended = io::Loop::Current().Now();
  if (done) {
    ++counts_.successful;
    if (problem.remedy == Remedy::kFailOver) ++counts_.failovers;
    shard->failures.erase(key);
    shard->not_before.erase(key);
    Tell(shard->name.ToString(),
         fmt::format("healed: {} in {}", problem.analysis, DurationText(ended - began)));
    co_return;
  }
  ++counts_.failed;
  // The same remedy that failed is tried again soon, then less often; never is it given up.
  int failures = ++shard->failures[key];
  Duration pause = std::min<Duration>(10s, 250ms * (1 << std::min(failures, 6)));
  shard->not_before[key] = ended + pause;
  Tell(shard->name.ToString(), fmt::format("not healed, again in {}: {}: {}", DurationText(pause),
                                           problem.analysis, done.error().ToString()));
}

io::Task<Status> Vtorc::Reparent(std::shared_ptr<Shard> shard, reparent::Request request) {
  drive::ReparentOptions options;
  options.shard = shard->name;
  options.request = std::move(request);
  options.coordinator = "vtorc";
  options.outlive_topology = true;
  std::string name = shard->name.ToString();
  drive::ReparentDriver driver(topo_, connect_, options,
                               [this, name](std::string line) { Tell(name, std::move(line)); });
  driver.StartFrom(shard->observer);
  Result<TabletAlias> primary = co_await driver.Run(Deadline::In(options_.recovery_limit));
  if (!primary) co_return Fail(primary.error());
  co_return Status();
}

io::Task<Status> Vtorc::Mend(std::shared_ptr<Shard> shard, Problem problem) {
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
  Status done = co_await Reparent(shard, std::move(request));
  co_return done;
}

void Vtorc::Tell(const std::string& shard, std::string text) {
  LOG_INFO("{}: {}", shard, text);
  timeline_.push_back({io::Loop::Current().clock().WallNow(), shard, std::move(text)});
  if (timeline_.size() > kTimeline) timeline_.pop_front();
}

std::vector<ShardReport> Vtorc::Report() const {
  std::vector<ShardReport> reports;
  for (const auto& [name, shard] : shards_) {
    reports.push_back({name.ToString(), shard->primary, shard->problems, shard->error});
  }
  return reports;
}

}  // namespace paceline::vtorc
