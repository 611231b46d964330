#include "vtorc/diagnose.h"

#include <algorithm>

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
  static bool Up(const TabletSight& tablet) { return tablet.reachable && tablet.mysqld_running; }

  void Remember(const TabletSight& tablet) {
    Mark(memory_.silent_since, tablet.alias, !tablet.reachable);
    Mark(memory_.dead_since, tablet.alias, tablet.reachable && !tablet.mysqld_running);
  }
  void Mark(std::map<TabletAlias, Time>& since, const TabletAlias& alias, bool is) {
    if (is) {
      since.emplace(alias, now_);
    } else {
      since.erase(alias);
    }
  }
  Duration For(const std::map<TabletAlias, Time>& since, const TabletAlias& alias) const {
    auto found = since.find(alias);
    return found == since.end() ? Duration(0) : now_ - found->second;
  }

  void Add(std::string analysis, const TabletAlias& tablet, Remedy remedy, std::string why) {
    problems_.push_back({std::move(analysis), tablet, std::move(why), remedy});
  }
  // A remedy that waits until the problem has been seen for a while: the tablet may be about to
  // mend it, or a reparent is under way.
  void AddPatiently(std::string analysis, const TabletAlias& tablet, Remedy remedy,
                    std::string why) {
    std::string key = analysis + " " + tablet.ToString();
    seen_.insert(key);
    Time since = memory_.seen_since.emplace(key, now_).first->second;
    if (now_ - since < options_.replica_patience) remedy = Remedy::kWait;
    Add(std::move(analysis), tablet, remedy, std::move(why));
  }

  void OfPrimary() {
    if (leader_.empty()) {
      Add("ClusterHasNoPrimary", {}, Remedy::kNone,
          "no tablet has led this shard yet: elect one with vtctldclient PlannedReparentShard");
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
      AddPatiently("PrimaryIsReadOnly", leader_, Remedy::kMakeWritable,
                   "it leads, and is read-only");
    }
    auto acks = [this](const TabletSight* tablet) {
      return tablet->source == leader_ && tablet->io_running && tablet->semi_sync_replica;
    };
    auto ackers = static_cast<size_t>(std::ranges::count_if(up, acks));
    if (ackers < primary_->semi_sync_required) {
      Add("LockedSemiSyncPrimary", leader_, Remedy::kNone,
          fmt::format("commits wait for {} acknowledgements, and {} tablets give them; healed by "
                      "attaching the others",
                      primary_->semi_sync_required, ackers));
    }
  }

  void OfLostPrimary(const std::vector<const TabletSight*>& up) {
    bool dead = primary_->reachable;  // its own vttablet says so
    if (up.empty()) {
      Add(view_.tablets.size() == 1 ? "DeadPrimaryWithoutReplicas" : "DeadPrimaryAndReplicas",
          leader_, Remedy::kNone, "no other tablet could lead; it goes on when they are back");
      return;
    }
    if (dead) {
      Duration since = For(memory_.dead_since, leader_);
      Add("DeadPrimary", leader_, since >= options_.dead_mysqld ? Remedy::kFailOver : Remedy::kWait,
          "its mysqld is dead");
      return;
    }
    Duration silent = For(memory_.silent_since, leader_);
    bool broken = std::ranges::all_of(up, [this](const TabletSight* tablet) {
      return tablet->source != leader_ || !tablet->io_running;
    });
    if (broken) {
      Add("DeadPrimary", leader_,
          silent >= options_.broken_streams ? Remedy::kFailOver : Remedy::kWait,
          "it does not answer, and no replica receives from it: " + primary_->error);
      return;
    }
    Add("UnreachablePrimary", leader_,
        silent >= options_.silence ? Remedy::kFailOver : Remedy::kWait,
        "it does not answer, replicas still hold their streams: " + primary_->error);
  }

  void OfReplica(const TabletSight& tablet) {
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
      Add("ReplicationStopped", tablet.alias, Remedy::kNone, "a thread of its replication stands");
    }
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
    case Remedy::kPromoteAnew:
      return "promote anew";
    case Remedy::kRepoint:
      return "repoint";
    case Remedy::kMakeReadOnly:
      return "make read-only";
    case Remedy::kMakeWritable:
      return "make writable";
  }
  return "none";
}

}  // namespace paceline::vtorc
