#include "scenario.h"

#include <algorithm>

#include "gate.h"

namespace paceline::sim {

namespace {

// kUnseen: cut off from vtorcs and the topology only, so that replicas go on to grant.
enum class Trigger : uint8_t { kMysqld, kHost, kFreeze, kCut, kUnseen, kPlanned };

constexpr Time kTrigger{1'500'000'000};
constexpr Duration kFaultsEnd = 11s;  // all is made well then
constexpr Duration kHealLimit = 50s;

class Scenario {
 public:
  Scenario(uint64_t seed, Bug bug, bool tracing)
      : seed_(seed),
        bug_(bug),
        tablets_(seed % 11 == 4   ? 5
                 : seed % 11 == 7 ? 2
                                  : 3),
        world_(seed, tablets_ + 4, tracing),
        shard_(world_, tablets_, FlavorOf(seed, bug), bug),
        one_(shard_, lock_, 0, tablets_ + 1),
        two_(shard_, lock_, 1, tablets_ + 2),
        gate_(shard_, tablets_ + 3) {}

  Outcome Run() {
    out_.fault = static_cast<Fault>(seed_ % kFaults);
    out_.step = static_cast<StepKind>(seed_ / kFaults % kStepKinds);
    trigger_ = PickTrigger();
    one_.Start();
    two_.Start();
    for (Coordinator* each : {&one_, &two_}) {
      each->on_step = [this](Coordinator& who, StepKind kind, const reparent::Step& step) {
        OnStep(who, kind, step);
      };
    }
    if (out_.step == StepKind::kCatchUp) {
      for (int i = 1; i < tablets_; ++i)
        shard_.tablet(i).db.apply_lag = world_.Between(50ms, 400ms);
    }
    gate_.Start(3);
    world_.RunUntil(kTrigger);
    Strike();
    // Beside the one that is aimed, others at random.
    for (int i = 0; i < 2; ++i) {
      if (!world_.Chance(0.35)) continue;
      world_.After(world_.Between(200ms, 7s), [this] {
        auto fault = static_cast<Fault>(world_.Below(kFaults));
        int whom = static_cast<int>(world_.Below(static_cast<uint64_t>(tablets_)));
        Inflict(fault, whom, world_.Chance(0.5) ? one_ : two_);
      });
    }
    world_.RunUntil(kTrigger + kFaultsEnd);
    MakeWell();
    WaitForHealth();
    out_.violation = world_.violation();
    out_.trace = world_.trace();
    out_.events = world_.events();
    out_.committed = gate_.committed();
    return out_;
  }

 private:
  static gtid::Flavor FlavorOf(uint64_t seed, Bug bug) {
    if (bug == Bug::kSequenceAlone) return gtid::Flavor::kMariadb;
    return seed / 2 % 2 == 0 ? gtid::Flavor::kMysql : gtid::Flavor::kMariadb;
  }
  Trigger PickTrigger() {
    if (out_.step == StepKind::kDemote) return Trigger::kPlanned;
    if (out_.step == StepKind::kCatchUp) return Trigger::kPlanned;
    if (out_.step == StepKind::kWait) return Trigger::kUnseen;
    if (out_.step == StepKind::kRepointRest)
      return world_.Chance(0.5) ? Trigger::kCut : Trigger::kFreeze;
    return static_cast<Trigger>(world_.Below(6));
  }

  void Freeze(int tablet, Duration how_long) {
    Tablet& t = shard_.tablet(tablet);
    world_.Log("host {} freezes for {} ms", tablet, how_long / 1ms);
    world_.Freeze(t.process);
    world_.Freeze(t.db.process);
    world_.After(how_long, [this, tablet] { Thaw(tablet); });
  }
  void Thaw(int tablet) {
    Tablet& t = shard_.tablet(tablet);
    if (t.process.frozen || t.db.process.frozen) world_.Log("host {} goes on", tablet);
    world_.Thaw(t.db.process);
    world_.Thaw(t.process);
  }
  void Cut(int host, bool in, bool out, Duration how_long) {
    world_.Log("host {} is cut off{}{} for {} ms", host, in ? " inwards" : "",
               out ? " outwards" : "", how_long / 1ms);
    for (int other = 0; other < tablets_ + 4; ++other) {
      if (other == host) continue;
      if (in) world_.link(other, host).cut = true;
      if (out) world_.link(host, other).cut = true;
    }
    world_.After(how_long, [this, host] { Join(host); });
  }
  void Join(int host) {
    for (int other = 0; other < tablets_ + 4; ++other) {
      world_.link(other, host) = world_.link(host, other) = {};
    }
  }
  void KillVttablet(int tablet, Duration back) {
    shard_.KillVttablet(tablet);
    world_.After(back, [this, tablet] { shard_.StartVttablet(tablet); });
  }
  void KillHost(int tablet, Duration back) {
    shard_.KillMysqld(tablet);
    // The whole host: nobody starts mysqld meanwhile.
    shard_.tablet(tablet).db.held = true;
    KillVttablet(tablet, back);
    world_.After(back, [this, tablet] {
      Tablet& t = shard_.tablet(tablet);
      if (t.primary_term == 0) shard_.StartMysqld(tablet);
    });
  }

  void Strike() {
    if (trigger_ == Trigger::kMysqld) shard_.KillMysqld(0);
    if (trigger_ == Trigger::kHost) KillHost(0, world_.Between(2s, 8s));
    if (trigger_ == Trigger::kFreeze) Freeze(0, world_.Between(3s, 7s));
    if (trigger_ == Trigger::kCut) Cut(0, true, true, world_.Between(3s, 8s));
    if (trigger_ == Trigger::kUnseen) {
      for (int host = tablets_; host < tablets_ + 3; ++host)
        world_.link(host, 0).cut = world_.link(0, host).cut = true;
      world_.After(world_.Between(4s, 8s), [this] { Join(0); });
    }
    if (trigger_ == Trigger::kPlanned) one_.Reparent({.action = reparent::Action::kPlanned});
  }

  void OnStep(Coordinator& who, StepKind kind, const reparent::Step& step) {
    if (out_.step == StepKind::kRepointRest && kind == StepKind::kPromote && !back_) {
      // The old primary is seen again while its successor opens.
      back_ = true;
      Inflict(Fault::kOldPrimaryBack, 0, who);
    }
    if (out_.struck || kind != out_.step || world_.now() < kTrigger) return;
    if (world_.now() > kTrigger + kFaultsEnd) return;
    out_.struck = true;
    int candidate = 1 + static_cast<int>(world_.Below(static_cast<uint64_t>(tablets_ - 1)));
    if (auto* promote = std::get_if<reparent::Promote>(&step))
      candidate = Shard::Index(promote->tablet);
    if (auto* repoint = std::get_if<reparent::Repoint>(&step); repoint && world_.Chance(0.7))
      candidate = Shard::Index(repoint->primary);
    world_.Log("at \"{}\": {}", StepName(kind), FaultName(out_.fault));
    Inflict(out_.fault, candidate, who);
  }

  void Inflict(Fault fault, int whom, Coordinator& who) {
    Duration spell = world_.Between(500ms, 4s);
    switch (fault) {
      case Fault::kVttabletOfOldPrimary:
        return KillVttablet(0, world_.Between(200ms, 1500ms));
      case Fault::kMysqldOfCandidate:
        return shard_.KillMysqld(whom);
      case Fault::kHostOfCandidate:
        return KillHost(whom, spell);
      case Fault::kFreezeCandidate:
        return Freeze(whom, spell);
      case Fault::kCutCandidate:
        return Cut(whom, true, true, spell);
      case Fault::kOneWayCandidate: {
        bool in = world_.Chance(0.5);
        return Cut(whom, in, !in, spell);
      }
      case Fault::kSlowLinks:
        for (int a = 0; a < tablets_ + 4; ++a) world_.link(a, whom).slow = 250ms;
        world_.After(spell, [this, whom] {
          for (int a = 0; a < tablets_ + 4; ++a) world_.link(a, whom).slow = Duration(0);
        });
        return;
      case Fault::kCutCoordinator:
        return Cut(who.process().host, true, true, spell);
      case Fault::kKillCoordinator:
        world_.Crash(who.process());
        world_.After(spell, [&who] {
          if (!who.process().up) who.Start();
        });
        return;
      case Fault::kFreezeCoordinator:
        world_.Freeze(who.process());
        world_.After(spell + 1s, [this, &who] { world_.Thaw(who.process()); });
        return;
      case Fault::kTopologyAway:
        shard_.away = true;
        world_.After(spell + 1s, [this] { shard_.away = false; });
        return;
      case Fault::kClockJump:
        shard_.tablet(whom).wall = world_.Chance(0.5) ? Duration(1h) : Duration(-1h);
        return;
      case Fault::kOldPrimaryBack:
        Join(0);
        Thaw(0);
        shard_.StartVttablet(0);
        return;
    }
  }

  void MakeWell() {
    world_.Log("all is made well");
    world_.loss = 0;
    shard_.away = false;
    for (int host = 0; host < tablets_ + 4; ++host) Join(host);
    for (int i = 0; i < tablets_; ++i) {
      Thaw(i);
      shard_.StartVttablet(i);
      Tablet& t = shard_.tablet(i);
      if (!t.db.process.up && t.primary_term == 0) shard_.StartMysqld(i);
    }
    for (Coordinator* each : {&one_, &two_}) {
      world_.Thaw(each->process());
      if (!each->process().up) each->Start();
    }
  }

  // Empty: one tablet leads, is recorded, and all others follow it.
  std::string WhyUnwell() {
    int leads = -1;
    for (int i = 0; i < tablets_; ++i) {
      Tablet& t = shard_.tablet(i);
      if (!t.db.process.up) return fmt::format("mysqld {} is down", i);
      if (!t.primary || !shard_.Serves(t)) continue;
      if (leads >= 0) return fmt::format("{} and {} lead", leads, i);
      leads = i;
    }
    if (leads < 0) return "nobody leads";
    if (shard_.record().primary != leads) return fmt::format("{} leads and is not recorded", leads);
    if (one_.driving() || two_.driving()) return "a reparent is under way";
    for (int i = 0; i < tablets_; ++i) {
      Tablet& t = shard_.tablet(i);
      if (i == leads) continue;
      if (t.primary) return fmt::format("{} takes itself for a primary", i);
      if (t.db.source != leads || !t.db.io || !t.db.connected)
        return fmt::format("{} does not follow {}", i, leads);
      if (!t.db.read_only) return fmt::format("{} is writable", i);
    }
    return {};
  }

  void WaitForHealth() {
    Time began = world_.now();
    std::string why = "not looked at yet";
    while (world_.violation().empty() && world_.now() - began < kHealLimit) {
      world_.RunUntil(world_.now() + 250ms);
      why = WhyUnwell();
      if (why.empty()) break;
    }
    if (!world_.violation().empty()) return;
    if (!why.empty()) return world_.Violate("it does not heal: " + why);
    out_.healed_in = world_.now() - began;
    bool wrote = false;
    gate_.WriteOnce([&wrote](bool committed) { wrote = committed; });
    gate_.StopWriting();
    for (int i = 0; i < 35 && !(wrote && gate_.idle()); ++i) world_.RunUntil(world_.now() + 1s);
    world_.RunUntil(world_.now() + 1s);
    if (!world_.violation().empty()) return;
    if (!wrote || !gate_.idle()) return world_.Violate("it does not heal: a write is not answered");
    why = WhyUnwell();
    if (!why.empty()) return world_.Violate("it does not stay well: " + why);
    Tablet& primary = shard_.tablet(shard_.record().primary);
    gate_.Audit(primary);
    for (int i = 0; i < tablets_; ++i) {
      Mysqld& db = shard_.tablet(i).db;
      if (bug_ != Bug::kSequenceAlone && !(db.executed_set == primary.db.executed_set)) {
        world_.Violate(fmt::format("I2: {} has {} and primary {} has {}", i,
                                   db.executed_set.ToString(), primary.id,
                                   primary.db.executed_set.ToString()));
      }
    }
  }

  uint64_t seed_;
  Bug bug_;
  int tablets_;
  World world_;
  Shard shard_;
  ShardLock lock_;
  Coordinator one_, two_;
  Gate gate_;
  Trigger trigger_ = Trigger::kMysqld;
  bool back_ = false;
  Outcome out_;
};

}  // namespace

std::string_view FaultName(Fault fault) {
  static constexpr std::string_view kNames[] = {"old primary's vttablet dies",
                                                "candidate's mysqld dies",
                                                "candidate's host dies",
                                                "candidate freezes",
                                                "candidate is cut off",
                                                "candidate is cut off one way",
                                                "slow links",
                                                "vtorc is cut off",
                                                "vtorc dies",
                                                "vtorc freezes",
                                                "topology away",
                                                "a clock jumps",
                                                "old primary comes back"};
  return kNames[static_cast<size_t>(fault)];
}

Outcome RunSeed(uint64_t seed, Bug bug, bool tracing) { return Scenario(seed, bug, tracing).Run(); }

}  // namespace paceline::sim
