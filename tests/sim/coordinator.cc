#include "coordinator.h"

#include <algorithm>

namespace paceline::sim {

using record::TabletAlias;
using reparent::Step;

namespace {

StepKind KindOf(const Step& step) {
  if (std::holds_alternative<reparent::PromiseTerm>(step)) return StepKind::kPromise;
  if (std::holds_alternative<reparent::Fence>(step)) return StepKind::kFence;
  if (std::holds_alternative<reparent::Wait>(step)) return StepKind::kWait;
  if (std::holds_alternative<reparent::WaitForPosition>(step)) return StepKind::kCatchUp;
  if (std::holds_alternative<reparent::Promote>(step)) return StepKind::kPromote;
  if (std::holds_alternative<reparent::Publish>(step)) return StepKind::kPublish;
  if (std::holds_alternative<reparent::Repoint>(step)) return StepKind::kAttach;
  if (std::holds_alternative<reparent::Demote>(step)) return StepKind::kDemote;
  return StepKind::kNone;
}

std::vector<std::pair<TabletAlias, bool>> TargetsOf(const Step& step) {
  std::vector<std::pair<TabletAlias, bool>> targets;
  if (auto* s = std::get_if<reparent::PromiseTerm>(&step)) {
    for (const TabletAlias& alias : s->tablets) targets.emplace_back(alias, false);
  } else if (auto* fence = std::get_if<reparent::Fence>(&step)) {
    for (const TabletAlias& alias : fence->tablets) targets.emplace_back(alias, false);
  } else if (auto* repoint = std::get_if<reparent::Repoint>(&step)) {
    for (const auto& one : repoint->replicas) targets.emplace_back(one.tablet, one.semi_sync);
  } else if (auto* demote = std::get_if<reparent::Demote>(&step)) {
    targets.emplace_back(demote->tablet, false);
  } else if (auto* undo = std::get_if<reparent::UndoDemote>(&step)) {
    targets.emplace_back(undo->tablet, false);
  } else if (auto* wait = std::get_if<reparent::WaitForPosition>(&step)) {
    targets.emplace_back(wait->tablet, false);
  } else if (auto* promote = std::get_if<reparent::Promote>(&step)) {
    targets.emplace_back(promote->tablet, false);
  }
  return targets;
}

}  // namespace

std::string_view StepName(StepKind kind) {
  static constexpr std::string_view kNames[] = {"promise", "fence",   "wait",    "catch up",
                                                "attach",  "promote", "publish", "repoint",
                                                "demote",  "none"};
  return kNames[static_cast<size_t>(kind)];
}

Coordinator::Coordinator(Shard& shard, ShardLock& lock, int id, int host)
    : shard_(shard), world_(shard.world()), lock_(lock), id_(id) {
  process_.name = fmt::format("vtorc-{}", id);
  process_.host = host;
  record_ = shard.record();
}

void Coordinator::Start() {
  world_.Start(process_);
  driving_ = locked_ = false;
  memory_ = {};
  failures_.clear();
  not_before_.clear();
  world_.Timer(process_, world_.Between(1ms, 250ms), [this] { LookLoop(); });
}

void Coordinator::LookLoop() {
  if (driving_) {
    world_.Timer(process_, 50ms, [this] { LookLoop(); });
    return;
  }
  Observe([this] {
    world_.Timer(process_, 250ms, [this] { LookLoop(); });
    if (driving_) return;
    Time now = world_.now();
    std::vector<vtorc::Problem> problems = vtorc::Diagnose(view_, now, {}, memory_);
    for (const vtorc::Problem& problem : problems) {
      if (problem.remedy == vtorc::Remedy::kNone || problem.remedy == vtorc::Remedy::kWait)
        continue;
      std::string key = problem.analysis + " " + problem.tablet.ToString();
      if (auto found = not_before_.find(key); found != not_before_.end() && now < found->second)
        continue;
      world_.Log("{} sees {}", process_.name, key);
      return Mend(problem);
    }
  });
}

void Coordinator::Observe(Seen then) {
  auto left = std::make_shared<int>(shard_.size() + 1);
  auto view = std::make_shared<reparent::View>();
  auto ended = [this, left, view, then] {
    if (--*left > 0) return;
    view->shard_primary = Shard::Alias(record_.primary);
    view_ = std::move(*view);
    for (int i = 0; i < shard_.size(); ++i) {
      if (view_.tablets[static_cast<size_t>(i)].reachable) {
        silent_.erase(i);
      } else {
        silent_.insert(i);
      }
    }
    then();
  };
  view->shard = {"ks", "0"};
  view->durability = reparent::Durability::kSemiSync;
  view->flavor = shard_.flavor();
  view->tablets.resize(static_cast<size_t>(shard_.size()));
  shard_.GetShard(process_, [this, ended](std::optional<ShardRecord> record) {
    if (record) record_ = *record;
    ended();
  });
  for (int i = 0; i < shard_.size(); ++i) {
    Tablet& t = shard_.tablet(i);
    view->tablets[static_cast<size_t>(i)].alias = Shard::Alias(i);
    world_.Call<TabletSight>(
        process_, t.process, silent_.contains(i) ? Duration(300ms) : Duration(700ms),
        [this, &t](std::function<void(TabletSight)> reply) { shard_.State(t, reply); },
        [view, i, ended](std::optional<TabletSight> sight) {
          auto& slot = view->tablets[static_cast<size_t>(i)];
          if (sight) {
            slot = std::move(*sight);
          } else {
            slot.error = "no answer";
          }
          ended();
        });
  }
}

void Coordinator::Mend(const vtorc::Problem& problem) {
  reparent::Request request;
  request.yields = true;
  std::string key = problem.analysis + " " + problem.tablet.ToString();
  switch (problem.remedy) {
    case vtorc::Remedy::kFailOver:
      request.action = reparent::Action::kEmergency;
      request.expected_primary = problem.tablet;
      break;
    case vtorc::Remedy::kReparentAnew:
      request.action = reparent::Action::kPlanned;
      break;
    case vtorc::Remedy::kPromoteAnew:
      request.action = reparent::Action::kPlanned;
      request.new_primary = problem.tablet;
      break;
    case vtorc::Remedy::kRepoint:
      request.action = reparent::Action::kReparentTablet;
      request.new_primary = problem.tablet;
      break;
    case vtorc::Remedy::kMakeReadOnly:
    case vtorc::Remedy::kFixPrimary: {
      Tablet& t = shard_.tablet(Shard::Index(problem.tablet));
      bool read_only = problem.remedy == vtorc::Remedy::kMakeReadOnly;
      world_.Send(process_, t.process, [&t, read_only] {
        bool may = read_only || (t.primary && t.primary_term == t.promised && !t.demoted);
        if (may && t.db.process.up && !t.db.process.frozen) t.db.read_only = read_only;
      });
      return;
    }
    default:
      return;
  }
  Drive(std::move(request), key);
}

void Coordinator::Reparent(reparent::Request request) {
  if (!driving_ && process_.up) Drive(std::move(request), "person");
}

void Coordinator::Drive(reparent::Request request, std::string key) {
  driving_ = true;
  TryLock(std::move(request), std::move(key), world_.now() + 2s);
}

// The lock where the topology answers; without it when it does not, or when another holds it for
// long: terms decide.
void Coordinator::TryLock(reparent::Request request, std::string key, Time give_up) {
  auto go = [this, request, key](bool locked) {
    locked_ = locked;
    request_ = request;
    key_ = key;
    attempt_ = {};
    world_.Log("{} begins {}{}", process_.name, reparent::ActionName(request.action),
               locked ? "" : " without the lock");
    Next(world_.now() + 60s);
  };
  world_.Call<bool>(
      process_, shard_.topo(), 300ms,
      [this](std::function<void(bool)> reply) {
        if (shard_.away) return;
        bool free = lock_.holder < 0 || lock_.holder == id_ || world_.now() > lock_.until;
        if (free) lock_ = {id_, world_.now() + 60s};
        reply(free);
      },
      [this, request, key, give_up, go](std::optional<bool> taken) {
        if (taken.value_or(false)) return go(true);
        if (world_.now() >= give_up) return go(false);
        world_.Timer(process_, 100ms,
                     [this, request, key, give_up] { TryLock(request, key, give_up); });
      });
}

void Coordinator::End(bool well, const std::string& why) {
  world_.Log("{} ends {}: {}", process_.name, well ? "well" : "in vain", why);
  driving_ = false;
  if (locked_) {
    world_.Send(process_, shard_.topo(), [this] {
      if (lock_.holder == id_) lock_.holder = -1;
    });
  }
  if (well) {
    failures_.erase(key_);
    not_before_.erase(key_);
    return;
  }
  int failures = ++failures_[key_];
  not_before_[key_] = world_.now() + std::min<Duration>(10s, 250ms * (1 << std::min(failures, 6)));
}

void Coordinator::Next(Time give_up) {
  if (world_.now() > give_up) return End(false, "out of time");
  Observe([this, give_up] {
    reparent::Request request = request_;
    request.force |= shard_.bug() == Bug::kSkipFence;
    Step step = reparent::NextStep(view_, request, attempt_);
    PlantBug(step);
    world_.Log("{}: {}", process_.name, reparent::Describe(step));
    if (std::holds_alternative<reparent::Done>(step)) return End(true, "done");
    if (auto* refuse = std::get_if<reparent::Refuse>(&step)) return End(false, refuse->why);
    StepKind kind = KindOf(step);
    bool rest = attempt_.published || request_.action == reparent::Action::kReparentTablet;
    if (kind == StepKind::kAttach && rest) kind = StepKind::kRepointRest;
    uint64_t life = process_.life;
    if (on_step && kind != StepKind::kNone) on_step(*this, kind, step);
    if (process_.up && process_.life == life) {
      world_.Timer(process_, Duration(0), [this, step, give_up] { Do(step, give_up); });
    }
  });
}

void Coordinator::PlantBug(Step& step) {
  if (shard_.bug() != Bug::kPromoteMostLagging) return;
  if (auto* promote = std::get_if<reparent::Promote>(&step)) promote->must_contain = gtid::Set();
  auto* attach = std::get_if<reparent::Repoint>(&step);
  if (attach == nullptr || attach->interim || attach->then || !attempt_.chosen.empty()) return;
  TabletAlias best = attach->primary;
  for (auto& replica : attach->replicas) {
    if (replica.tablet == best) continue;
    bool less = view_.Find(replica.tablet)->received.Count() < view_.Find(best)->received.Count();
    if (!less) continue;
    attach->primary = replica.tablet;
    replica.tablet = best;
    return;
  }
}

void Coordinator::Publish(const TabletAlias& primary, uint64_t term,
                          std::function<void(bool)> done) {
  if (!locked_) return done(true);  // it records itself when the topology is back
  int who = Shard::Index(primary);
  const Tablet& t = shard_.tablet(who);
  if (!shard_.opened_terms.contains(term))
    world_.Violate(fmt::format("I2: {} is published before it is writable", who));
  int64_t start = std::max((world_.now() + t.wall).ns, t.primary_start_ns);
  shard_.PutShard(process_, {who, start, 0}, record_.version, std::move(done));
}

void Coordinator::Do(Step step, Time give_up) {
  auto result = std::make_shared<reparent::StepResult>();
  auto finish = [this, result, step, give_up] {
    for (const auto& [alias, error] : result->errors)
      world_.Log("{}: {}: {}", process_.name, alias.ToString(), error);
    attempt_ = reparent::After(std::move(attempt_), step, *result);
    Next(give_up);
  };
  if (auto* wait = std::get_if<reparent::Wait>(&step)) {
    world_.Timer(process_, wait->how_long, finish);
    return;
  }
  if (auto* publish = std::get_if<reparent::Publish>(&step)) {
    TabletAlias primary = publish->primary;
    Publish(primary, publish->term, [result, primary, finish](bool put) {
      if (put) {
        result->ok.insert(primary);
      } else {
        result->errors[primary] = "the record has moved, or the topology is away";
      }
      finish();
    });
    return;
  }
  if (auto* promote = std::get_if<reparent::Promote>(&step);
      promote != nullptr && shard_.bug() == Bug::kPublishBeforeWritable) {
    Publish(promote->tablet, promote->term, [](bool) {});
  }
  auto targets = TargetsOf(step);
  if (targets.empty()) return finish();
  auto left = std::make_shared<size_t>(targets.size());
  for (const auto& [alias, semi_sync] : targets) {
    CallOne(step, alias, semi_sync, [result, left, finish, alias = alias](std::string error) {
      if (error.empty()) {
        result->ok.insert(alias);
      } else {
        result->errors[alias] = error;
      }
      if (--*left == 0) finish();
    });
  }
}

void Coordinator::CallOne(const Step& step, const TabletAlias& alias, bool semi_sync,
                          std::function<void(std::string)> done) {
  Tablet& t = shard_.tablet(Shard::Index(alias));
  bool promise = std::holds_alternative<reparent::PromiseTerm>(step);
  auto serve = [this, &t, step, semi_sync](std::function<void(std::string)> reply) {
    if (auto* s = std::get_if<reparent::PromiseTerm>(&step)) {
      shard_.PromiseTerm(t, s->term, reply);
    } else if (auto* fence = std::get_if<reparent::Fence>(&step)) {
      shard_.Fence(t, fence->term, reply);
    } else if (auto* demote = std::get_if<reparent::Demote>(&step)) {
      shard_.Demote(t, demote->term, reply);
    } else if (auto* undo = std::get_if<reparent::UndoDemote>(&step)) {
      shard_.UndoDemote(t, undo->term, undo->acknowledgements, reply);
    } else if (auto* wait = std::get_if<reparent::WaitForPosition>(&step)) {
      shard_.WaitForPosition(t, wait->position, reply);
    } else if (auto* repoint = std::get_if<reparent::Repoint>(&step)) {
      shard_.Repoint(t, repoint->term, Shard::Index(repoint->primary), semi_sync, reply);
    } else if (auto* promote = std::get_if<reparent::Promote>(&step)) {
      shard_.Promote(t, *promote, reply);
    }
  };
  world_.Call<std::string>(process_, t.process, promise ? Duration(5s) : Duration(10s), serve,
                           [done = std::move(done)](std::optional<std::string> error) {
                             done(error ? *error : "no answer");
                           });
}

}  // namespace paceline::sim
