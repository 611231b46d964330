#include "vtorc/diagnose.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "reparent/decide.h"

namespace paceline::vtorc {
namespace {

using record::TabletAlias;
using record::TabletType;
using reparent::TabletSight;
using reparent::View;

class Look {
 public:
  Look(const View& view, Time now, const DiagnoseOptions& options, Memory& memory)
      : view_(view),
        now_(now),
        options_(options),
        memory_(memory),
        leader_(reparent::ReigningPrimary(view)),
        primary_(view.Find(leader_)) {}

  std::vector<Problem> All() {
    for (const TabletSight& tablet : view_.tablets) Remember(tablet);
    if (Imports()) return std::move(problems_);
    OfPrimary();
    // Where nobody leads, whom should they follow?
    bool leads = primary_ != nullptr && Up(*primary_) && primary_->type == TabletType::kPrimary;
    if (leads) {
      for (const TabletSight& tablet : view_.tablets) {
        if (&tablet != primary_) OfReplica(tablet);
      }
    }
    std::erase_if(memory_.seen_since,
                  [this](const auto& entry) { return !seen_.contains(entry.first); });
    return std::move(problems_);
  }

 private:
  // Nobody leads, and nobody shall until a person switches over.
  bool Imports() {
    auto bars = [](const TabletSight& tablet) { return !tablet.importing.empty(); };
    auto tablet = std::ranges::find_if(view_.tablets, bars);
    if (tablet == view_.tablets.end()) return false;
    Add("ShardIsImported", tablet->alias, Remedy::kNone,
        "a foreign server is being imported: vtctldclient Import show " + view_.shard.ToString());
    return true;
  }
  static bool Up(const TabletSight& tablet) { return tablet.reachable && tablet.mysqld_running; }

  void Remember(const TabletSight& tablet) {
    const TabletAlias& alias = tablet.alias;
    // First seen: as if it had answered a moment ago.
    Time& answered = memory_.answered.emplace(alias, now_).first->second;
    Time& heard = memory_.heard.emplace(alias, now_).first->second;
    if (tablet.reachable) answered = now_;
    if (tablet.reachable || tablet.hung) heard = now_;
    if (tablet.reachable && !tablet.mysqld_running) {
      memory_.dead_since.emplace(alias, now_);
    } else {
      memory_.dead_since.erase(alias);
    }
    if (!tablet.reachable) return;
    auto [mark, fresh] = memory_.streams.try_emplace(alias, tablet.stream_mark, now_);
    bool moved = !fresh && mark->second.text != tablet.stream_mark;
    if (moved) mark->second = {tablet.stream_mark, now_};
  }
  Duration Since(const std::map<TabletAlias, Time>& times, const TabletAlias& alias) const {
    auto found = times.find(alias);
    return found == times.end() ? Duration(0) : now_ - found->second;
  }
  bool Receives(const TabletSight& tablet) const {
    return tablet.source == leader_ && tablet.io_running;
  }
  bool StreamMoves(const TabletSight& tablet) const {
    auto mark = memory_.streams.find(tablet.alias);
    return Receives(tablet) && mark != memory_.streams.end() &&
           now_ - mark->second.since < options_.stream_beat;
  }

  void Add(std::string analysis, const TabletAlias& tablet, Remedy remedy, std::string why) {
    problems_.push_back({std::move(analysis), tablet, std::move(why), remedy});
  }
  // A remedy that waits until the problem has been seen for a while: the tablet may be about to
  // mend it, or a reparent is under way.
  void AddPatiently(std::string analysis, const TabletAlias& tablet, Remedy remedy,
                    std::string why) {
    AddAfter(options_.replica_patience, std::move(analysis), tablet, remedy, std::move(why));
  }
  static std::string KeyOf(const std::string& analysis, const TabletAlias& tablet) {
    return analysis + " " + tablet.ToString();
  }
  void AddAfter(Duration patience, std::string analysis, const TabletAlias& tablet, Remedy remedy,
                std::string why) {
    std::string key = KeyOf(analysis, tablet);
    seen_.insert(key);
    Time since = memory_.seen_since.emplace(key, now_).first->second;
    if (now_ - since < patience) remedy = Remedy::kWait;
    Add(std::move(analysis), tablet, remedy, std::move(why));
  }

  void OfPrimary() {
    if (leader_.empty()) {
      bool all = std::ranges::all_of(view_.tablets, [](const auto& tablet) { return Up(tablet); });
      AddAfter(options_.election_patience, "ClusterHasNoPrimary", {},
               all ? Remedy::kReparentAnew : Remedy::kNone,
               all ? "no tablet has led this shard yet"
                   : "no tablet has led this shard yet, and not all of its tablets answer");
      return;
    }
    std::vector<const TabletSight*> up;
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.alias != leader_ && Up(tablet)) up.push_back(&tablet);
    }
    if (primary_ == nullptr) {
      Add("PrimaryTabletDeleted", leader_, up.empty() ? Remedy::kNone : Remedy::kFailOver,
          "the tablet that leads has no record any more");
      return;
    }
    if (!Up(*primary_)) {
      OfLostPrimary(up);
      return;
    }
    // Read-only, and no leader any more by its own word: only a new term can open it.
    bool given_up = !primary_->source.empty() || primary_->type != TabletType::kPrimary ||
                    primary_->promised_term > primary_->journal_term;
    if (primary_->demoted || (primary_->read_only && given_up)) {
      AddPatiently("PrimaryIsReadOnly", leader_, Remedy::kReparentAnew,
                   "a reparent demoted it and did not end");
    } else if (primary_->type != TabletType::kPrimary) {
      AddPatiently("PrimaryCurrentTypeMismatch", leader_, Remedy::kPromoteAnew,
                   "its promotion was overtaken by a later term that nobody led");
    } else if (primary_->read_only) {
      AddPatiently("PrimaryIsReadOnly", leader_, Remedy::kFixPrimary, "it leads, and is read-only");
    }
    if (!primary_->source.empty()) {
      AddPatiently("PrimaryHasPrimary", leader_, Remedy::kForgetSource,
                   "it leads, and replicates from " + primary_->source.ToString());
    }
    OfPrimarysDisk(up);
    OfPrimarysLowDisk(up);
    OfAcknowledgements(up);
  }

  // It still works, so its writes can move to where there is room before it must refuse them. What
  // counts as room is far from low, so that they do not come back.
  void OfPrimarysLowDisk(const std::vector<const TabletSight*>& up) {
    if (!primary_->disk_low || !primary_->disk_error.empty()) return;
    std::set<TabletAlias> unfit;
    for (const TabletSight& tablet : view_.tablets) {
      if (!tablet.disk_has_room) unfit.insert(tablet.alias);
    }
    const bool room = std::ranges::any_of(up, [](const TabletSight* tablet) {
      return tablet->disk_has_room && tablet->type == TabletType::kReplica;
    });
    std::string why = "its disk will soon be full";
    if (!room) why += "; no replica's disk has room for what it would have to write";
    AddAfter(options_.full_disk, "PrimaryDiskLow", leader_,
             room ? Remedy::kMoveAway : Remedy::kNone, std::move(why));
    problems_.back().unfit = std::move(unfit);
  }

  // A full disk fills again, and a slow one is not dead: it is left only for a disk with room, by a
  // fence that is sure to hold, and where it merely stalls, only when nothing is committed either.
  void OfPrimarysDisk(const std::vector<const TabletSight*>& up) {
    bool commits = primary_->reachable && !(memory_.committed == primary_->executed);
    if (commits) memory_.committed = primary_->executed;
    if (primary_->disk_error.empty()) return;
    std::string analysis = primary_->disk_full ? "PrimaryDiskFull" : "PrimaryDiskStalled";
    if (commits && !primary_->disk_full) memory_.seen_since.erase(KeyOf(analysis, leader_));
    std::set<TabletAlias> able, unfit;
    bool room = false;
    for (const TabletSight& tablet : view_.tablets) {
      if (!tablet.disk_has_room) unfit.insert(tablet.alias);
    }
    for (const TabletSight* tablet : up) {
      if (tablet->disk_error.empty()) able.insert(tablet->alias);
      room = room || (tablet->disk_has_room && tablet->type == TabletType::kReplica);
    }
    bool fence = CanFence(able);
    std::string why = primary_->disk_error;
    if (!room) {
      why += "; no replica's disk has room for what it would have to write";
    } else if (!fence) {
      why += "; too few other tablets could fence it";
    }
    unfit.insert(leader_);
    AddAfter(primary_->disk_full ? options_.full_disk : options_.stalled_disk, std::move(analysis),
             leader_, room && fence ? Remedy::kFailOver : Remedy::kNone, std::move(why));
    problems_.back().unfit = std::move(unfit);
  }

  void OfAcknowledgements(const std::vector<const TabletSight*>& up) {
    size_t possible = Possible().size();
    uint32_t wanted = reparent::AcksRequired(view_.durability, view_.flavor, possible);
    bool in_term = primary_->promised_term == primary_->journal_term;
    Remedy fix = in_term ? Remedy::kFixPrimary : Remedy::kNone;
    auto acks = [this](const TabletSight* tablet) {
      return tablet->source == leader_ && tablet->io_running && tablet->semi_sync_replica;
    };
    auto ackers = static_cast<size_t>(std::ranges::count_if(up, acks));
    if (wanted > 0 && primary_->semi_sync_required == 0) {
      // A lone survivor that a person has forced would lock itself.
      AddPatiently("PrimarySemiSyncMustBeSet", leader_, ackers >= wanted ? fix : Remedy::kNone,
                   fmt::format("its commits wait for nobody, and must for {}; {} tablets could "
                               "acknowledge them",
                               wanted, ackers));
    } else if (wanted == 0 && primary_->semi_sync_required > 0) {
      AddPatiently("PrimarySemiSyncMustNotBeSet", leader_, fix,
                   "its commits wait for acknowledgements that nobody need give");
    }
    const bool alone = view_.durability != reparent::Durability::kNone && possible == 0;
    if (alone && view_.tablets.size() > 1) {
      AddPatiently("NoReplicaAcknowledges", leader_, Remedy::kNone,
                   "its commits are on one machine alone: no other tablet is a REPLICA that may "
                   "acknowledge them");
    }
    if (ackers < primary_->semi_sync_required) {
      // First by attaching the others, below; where that does not help, by another primary.
      std::set<TabletAlias> able;
      for (const TabletSight* tablet : up) able.insert(tablet->alias);
      AddAfter(options_.long_patience, "LockedSemiSyncPrimary", leader_,
               CanFence(able) ? Remedy::kFailOver : Remedy::kNone,
               fmt::format("commits wait for {} acknowledgements, and {} tablets give them",
                           primary_->semi_sync_required, ackers));
    }
    auto replicates = [this](const TabletSight* tablet) {
      return Receives(*tablet) && tablet->sql_running;
    };
    if (view_.tablets.size() > 1 && std::ranges::none_of(up, replicates)) {
      bool all = up.size() + 1 == view_.tablets.size();
      std::string name =
          all ? "AllPrimaryReplicasNotReplicating" : "AllPrimaryReplicasNotReplicatingOrDead";
      if (view_.tablets.size() == 2)
        name = all ? "PrimarySingleReplicaNotReplicating" : "PrimarySingleReplicaDead";
      Add(std::move(name), leader_, Remedy::kNone, "no replica replicates from it");
    }
  }

  // Whether these tablets can give a term and, fenced, leave the primary too few to acknowledge: an
  // RDONLY that answers gives a promise and fences nothing.
  bool CanFence(const std::set<TabletAlias>& able) const {
    std::vector<TabletAlias> possible = Possible();
    auto fenced = std::ranges::count_if(
        possible, [&able](const TabletAlias& alias) { return able.contains(alias); });
    uint32_t wanted = reparent::AcksRequired(view_.durability, view_.flavor, possible.size());
    return reparent::FenceHolds(possible.size(), static_cast<size_t>(fenced), wanted) &&
           reparent::PromiseQuorum(view_, leader_, able);
  }
  std::vector<TabletAlias> Possible() const {
    std::vector<reparent::Member> members;
    for (const TabletSight& tablet : view_.tablets) members.push_back({tablet.alias, tablet.type});
    return reparent::PossibleAckers(view_.durability, {leader_, primary_->type}, members);
  }

  void OfLostPrimary(const std::vector<const TabletSight*>& up) {
    bool dead = primary_->reachable;  // its own vttablet says so
    if (up.empty()) {
      Add(view_.tablets.size() == 1 ? "DeadPrimaryWithoutReplicas" : "DeadPrimaryAndReplicas",
          leader_, Remedy::kNone, "no other tablet could lead; it goes on when they are back");
      return;
    }
    bool some = up.size() + 1 < view_.tablets.size();
    std::string dead_primary = some ? "DeadPrimaryAndSomeReplicas" : "DeadPrimary";
    if (dead) {
      Duration since = Since(memory_.dead_since, leader_);
      Add(dead_primary, leader_, since >= options_.dead_mysqld ? Remedy::kFailOver : Remedy::kWait,
          "its mysqld is dead");
      return;
    }
    Duration silent = Since(memory_.answered, leader_);
    if (!primary_->hung) silent = std::min(silent, Since(memory_.heard, leader_));
    auto receives = [this](const TabletSight* tablet) { return Receives(*tablet); };
    auto moves = [this](const TabletSight* tablet) { return StreamMoves(*tablet); };
    if (std::ranges::none_of(up, receives)) {
      Add(dead_primary, leader_,
          silent >= options_.broken_streams ? Remedy::kFailOver : Remedy::kWait,
          "it does not answer, and no replica receives from it: " + primary_->error);
    } else if (std::ranges::none_of(up, moves)) {
      Add(dead_primary, leader_,
          silent >= options_.quiet_streams ? Remedy::kFailOver : Remedy::kWait,
          "it does not answer, and its streams have fallen silent: " + primary_->error);
    } else if (primary_->hung && !primary_->disk_error.empty()) {
      OfPrimarysDisk(up);
    } else if (primary_->hung) {
      Add(Unreachable(up), leader_, Remedy::kWait,
          "its streams move, so it lives and is busy: " + primary_->error);
    } else {
      Add(Unreachable(up), leader_, silent >= options_.silence ? Remedy::kFailOver : Remedy::kWait,
          "its vttablet does not answer, its mysqld lives: " + primary_->error);
    }
  }

  std::string Unreachable(const std::vector<const TabletSight*>& up) const {
    bool lagging = std::ranges::all_of(up, [this](const TabletSight* tablet) {
      return tablet->lag && *tablet->lag > options_.lagging;
    });
    return lagging ? "UnreachablePrimaryWithLaggingReplicas" : "UnreachablePrimary";
  }

  void OfReplica(const TabletSight& tablet) {
    // Its mysqld may wait for room so that it does not answer.
    if (!tablet.disk_error.empty()) {
      Add(tablet.disk_full ? "ReplicaDiskFull" : "ReplicaDiskStalled", tablet.alias, Remedy::kNone,
          tablet.disk_error);
    }
    if (!tablet.reachable) {
      Add("UnreachableReplica", tablet.alias, Remedy::kNone, tablet.error);
      return;
    }
    if (!tablet.mysqld_running) {
      Add("DeadReplica", tablet.alias, Remedy::kNone, "its mysqld is dead");
      return;
    }
    if (tablet.backup_running || tablet.type == TabletType::kRestore ||
        tablet.type == TabletType::kDrained) {
      return;
    }
    if (tablet.type == TabletType::kPrimary) {
      AddPatiently("PrimaryHasPrimary", tablet.alias, Remedy::kRepoint,
                   "it takes itself for a primary, and " + leader_.ToString() + " leads");
    } else if (!tablet.read_only) {
      AddPatiently("ReplicaIsWritable", tablet.alias, Remedy::kMakeReadOnly, "it is not read-only");
    }
    if (!tablet.needs_seed.empty()) {
      Add("ReplicaNeedsSeed", tablet.alias, Remedy::kNone, tablet.needs_seed);
      return;
    }
    OfErrant(tablet);
    bool acks = reparent::MayAcknowledge(view_.durability, {leader_, primary_->type},
                                         {tablet.alias, tablet.type});
    if (tablet.fenced) {
      AddPatiently("ReplicationStopped", tablet.alias, Remedy::kRepoint,
                   "a reparent fenced it and did not end");
    } else if (tablet.source.empty()) {
      AddPatiently("NotConnectedToPrimary", tablet.alias, Remedy::kRepoint,
                   "it replicates from nobody");
    } else if (tablet.source != leader_) {
      AddPatiently("ConnectedToWrongPrimary", tablet.alias, Remedy::kRepoint,
                   "it replicates from " + tablet.source.ToString());
    } else if (!tablet.io_running || !tablet.sql_running) {
      // Its vttablet starts replication again, unless a person has stopped it.
      AddAfter(options_.long_patience, "ReplicationStopped", tablet.alias, Remedy::kRepoint,
               "a thread of its replication stands");
    } else if (acks != tablet.semi_sync_replica) {
      AddPatiently(
          acks ? "ReplicaSemiSyncMustBeSet" : "ReplicaSemiSyncMustNotBeSet", tablet.alias,
          Remedy::kRepoint,
          acks ? "it should acknowledge, and does not" : "it acknowledges, and should not");
    }
  }

  // What it has beyond its primary in two looks running; a look at the primary is never newer than
  // the one after it.
  void OfErrant(const TabletSight& tablet) {
    if (tablet.source != leader_) return;
    gtid::Set ahead = Beyond(tablet.executed);
    gtid::Set before = std::exchange(memory_.ahead[tablet.alias], ahead);
    gtid::Set errant = before.Subtract(primary_->executed);
    if (errant.Empty() || !tablet.executed.Contains(errant)) return;
    Add("ErrantGTIDDetected", tablet.alias, Remedy::kNone,
        "it has transactions that its primary lacks: " + errant.ToString());
  }

  // A primary of MariaDB may not know which servers wrote what came before it was seeded; that
  // history ends below its own newest number of the domain (gtid_strict_mode), so only what is
  // beyond that, or beyond what it knows of the same server, is foreign.
  gtid::Set Beyond(const gtid::Set& executed) const {
    gtid::Set ahead = executed.Subtract(primary_->executed);
    if (view_.flavor == gtid::Flavor::kMysql) return ahead;
    gtid::Set foreign(view_.flavor);
    for (const gtid::Set::Entry& entry : ahead.entries()) {
      uint64_t newest = 0;
      bool known = false;
      for (const gtid::Set::Entry& own : primary_->executed.entries()) {
        if (own.source.domain() != entry.source.domain()) continue;
        newest = std::max(newest, own.intervals.back().last);
        known |= own.source == entry.source;
      }
      if (!known && entry.intervals.back().last <= newest) continue;
      for (const gtid::Interval& interval : entry.intervals) foreign.Add(entry.source, interval);
    }
    return foreign;
  }

  const View& view_;
  Time now_;
  const DiagnoseOptions& options_;
  Memory& memory_;
  TabletAlias leader_;
  const TabletSight* primary_;
  std::vector<Problem> problems_;
  std::set<std::string> seen_;
};

}  // namespace

std::vector<Problem> Diagnose(const View& view, Time now, const DiagnoseOptions& options,
                              Memory& memory) {
  return Look(view, now, options, memory).All();
}

std::string_view RecoveryType(const Problem& problem) {
  switch (problem.remedy) {
    case Remedy::kFailOver:
      return problem.analysis == "PrimaryTabletDeleted" ? "RecoverPrimaryTabletDeleted"
                                                        : "RecoverDeadPrimary";
    case Remedy::kReparentAnew:
    case Remedy::kMoveAway:
      return "ElectNewPrimary";
    case Remedy::kPromoteAnew:
    case Remedy::kFixPrimary:
      return "FixPrimary";
    case Remedy::kRepoint:
    case Remedy::kMakeReadOnly:
      return "FixReplica";
    case Remedy::kForgetSource:
      return "RecoverPrimaryHasPrimary";
    case Remedy::kNone:
    case Remedy::kWait:
      break;
  }
  return "NoRecovery";
}

std::string_view RemedyName(Remedy remedy) {
  switch (remedy) {
    case Remedy::kNone:
      return "none";
    case Remedy::kWait:
      return "wait";
    case Remedy::kFailOver:
      return "fail over";
    case Remedy::kReparentAnew:
      return "reparent anew";
    case Remedy::kMoveAway:
      return "move away";
    case Remedy::kPromoteAnew:
      return "promote anew";
    case Remedy::kRepoint:
      return "repoint";
    case Remedy::kMakeReadOnly:
      return "make read-only";
    case Remedy::kFixPrimary:
      return "fix primary";
    case Remedy::kForgetSource:
      return "forget source";
  }
  return "none";
}

}  // namespace paceline::vtorc
