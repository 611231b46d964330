#include "reparent/decide.h"

#include <algorithm>
#include <optional>

#include "reparent/elect.h"

namespace paceline::reparent {
namespace {

constexpr int kTries = 3;
constexpr int kTermTries = 5;
constexpr Duration kSettle = 50ms;
constexpr int kSettleTries = 100;

class Decider {
 public:
  Decider(const View& view, const Request& request, const Attempt& attempt)
      : view_(view),
        request_(request),
        attempt_(attempt),
        reigning_(ReigningPrimary(view)),
        old_(view.Find(reigning_)) {}

  Step Next() {
    if (attempt_.ending) return UndoAndRefuse(*attempt_.ending);
    if (request_.action == Action::kReparentTablet) return ReparentOne();
    if (attempt_.term == 0) return Begin();
    if (Promoted()) return Finish();
    if (reigning_ != attempt_.old_primary && reigning_ != attempt_.chosen) {
      if (ReignsAsWanted()) {
        return Done{reigning_,
                    fmt::format("{} leads {} already: another coordinator was first",
                                reigning_.ToString(), view_.shard.ToString()),
                    {}};
      }
      return UndoAndRefuse(
          No(Code::kAborted, fmt::format("{} became primary of {} meanwhile", reigning_.ToString(),
                                         view_.shard.ToString())));
    }
    if (std::optional<Step> step = HoldTerm()) return *step;
    if (std::optional<Step> step = Secure()) return *step;
    return Install();
  }

 private:
  bool Planned() const { return request_.action != Action::kEmergency && old_ != nullptr; }
  int Tries(const std::string& kind) const {
    auto found = attempt_.tries.find(kind);
    return found == attempt_.tries.end() ? 0 : found->second;
  }
  // Of the tablet that reigns: another's demotion says nothing of it.
  int DemoteTries() const { return Tries("demote " + reigning_.ToString()); }
  static Refuse No(Code code, std::string why) { return {code, std::move(why), {}}; }
  static bool Up(const TabletSight* tablet) {
    return tablet != nullptr && tablet->reachable && tablet->mysqld_running;
  }
  std::string LastError(const TabletAlias& alias) const {
    auto found = attempt_.failed.find(alias);
    return found == attempt_.failed.end() ? "no answer" : found->second;
  }

  // --- before a term is taken: nothing has changed yet, so refusing costs nothing.
  Step Begin() {
    if (std::optional<Step> step = CheckRequest()) return *step;
    if (std::optional<Step> step = AlreadySo()) return *step;
    if (std::optional<Step> step = CheckOldPrimary()) return *step;
    gtid::Set none(view_.flavor);
    Election election = Elect(view_, request_, attempt_, reigning_, none);
    if (election.winner == nullptr) {
      return No(Code::kFailedPrecondition, fmt::format("no tablet of {} can lead: {}",
                                                       view_.shard.ToString(), election.reasons));
    }
    std::set<TabletAlias> reachable;
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.reachable) reachable.insert(tablet.alias);
    }
    if (!PromiseQuorum(view_, reigning_, reachable) && !request_.force) {
      return Refuse{
          Code::kUnavailable,
          fmt::format("too few tablets of {} are reachable to take a new term: missing {}",
                      view_.shard.ToString(), MissingNames()),
          "another coordinator may be promoting another tablet, unseen from here"};
    }
    if (std::optional<Step> step = Prepare(*election.winner)) return *step;
    return AskTerm();
  }

  std::optional<Step> CheckRequest() {
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.importing.empty() || request_.for_import) continue;
      return No(Code::kFailedPrecondition,
                fmt::format("{} is being imported ({} is {}): nobody leads it before `vtctldclient "
                            "Import switch {}`; `Import show` tells how far it is, `Import cancel` "
                            "ends it",
                            view_.shard.ToString(), tablet.alias.ToString(), tablet.importing,
                            view_.shard.ToString()));
    }
    if (!request_.expected_primary.empty() && request_.expected_primary != reigning_) {
      return No(Code::kFailedPrecondition,
                fmt::format("{} leads {}, not {} as expected", reigning_.ToString(),
                            view_.shard.ToString(), request_.expected_primary.ToString()));
    }
    if (!request_.new_primary.empty() && view_.Find(request_.new_primary) == nullptr) {
      return No(Code::kNotFound,
                fmt::format("tablet {} is not in shard {}", request_.new_primary.ToString(),
                            view_.shard.ToString()));
    }
    return std::nullopt;
  }

  // It leads and serves, and the request asks for it.
  bool ReignsAsWanted() const {
    if (!Up(old_) || old_->read_only || !old_->serving) return false;
    if (!request_.new_primary.empty()) return request_.new_primary == reigning_;
    return !request_.avoid_primary.empty() && request_.avoid_primary != reigning_;
  }

  // The wanted primary leads, is published, and everyone reachable follows it.
  std::optional<Step> AlreadySo() {
    if (!ReignsAsWanted() || view_.shard_primary != reigning_) return std::nullopt;
    for (const TabletSight& tablet : view_.tablets) {
      if (&tablet == old_ || !Up(&tablet) || tablet.backup_running) continue;
      if (tablet.source != reigning_ || !tablet.io_running || !tablet.sql_running)
        return std::nullopt;
    }
    return Done{reigning_,
                fmt::format("{} leads {} already", reigning_.ToString(), view_.shard.ToString()),
                {}};
  }

  std::optional<Step> CheckOldPrimary() {
    if (reigning_.empty()) return std::nullopt;
    bool same = request_.new_primary == reigning_;
    if (request_.action != Action::kEmergency) {
      if (Up(old_)) return std::nullopt;
      return No(Code::kUnavailable,
                fmt::format("primary {} of {} does not answer{}: use EmergencyReparentShard",
                            reigning_.ToString(), view_.shard.ToString(),
                            old_ == nullptr   ? " (it has no record)"
                            : old_->reachable ? " (its mysqld is down)"
                                              : " (" + old_->error + ")"));
    }
    if (same || Up(old_) || view_.durability == Durability::kNone || request_.force) {
      return std::nullopt;
    }
    std::set<TabletAlias> could;
    for (const TabletSight& tablet : view_.tablets) {
      if (Up(&tablet)) could.insert(tablet.alias);
    }
    if (FenceHoldsWith(could)) return std::nullopt;
    return Unfenced(could);
  }

  // A planned change waits for the candidate while the primary still serves, until what is written
  // meanwhile is little: the gap is as long as catching up once more.
  std::optional<Step> Prepare(const TabletSight& candidate) {
    if (!Planned() || !Up(old_) || old_->read_only || &candidate == old_ || attempt_.prepared) {
      return std::nullopt;
    }
    gtid::Set has = ExecutedBy(view_, *old_);
    if (ExecutedBy(view_, candidate).Contains(has)) return std::nullopt;
    if (Tries("wait " + candidate.alias.ToString()) >= 1) {
      return No(Code::kDeadlineExceeded,
                fmt::format("{} did not catch up with primary {}: {}", candidate.alias.ToString(),
                            reigning_.ToString(), LastError(candidate.alias)));
    }
    if (Tries("catch up") >= kCatchUps) {
      return No(Code::kDeadlineExceeded,
                fmt::format("{} applies too slowly to follow primary {}: {:.1f} s for what was "
                            "written during its last wait, and clients would wait as long; "
                            "nothing was changed, run it again when less is written",
                            candidate.alias.ToString(), reigning_.ToString(),
                            std::chrono::duration<double>(attempt_.catch_up).count()));
    }
    return WaitForPosition{candidate.alias, has};
  }

  Step AskTerm() {
    PromiseTerm step{attempt_.term, {}, reigning_};
    for (const TabletSight& tablet : view_.tablets) {
      if (!tablet.reachable) continue;
      step.term = std::max({step.term, tablet.promised_term, tablet.journal_term});
      step.tablets.push_back(tablet.alias);
    }
    ++step.term;
    return step;
  }

  // --- the term
  // Promises count while their tablet can be seen: its journal is the other half of what it
  // promised.
  std::optional<Step> HoldTerm() {
    std::set<TabletAlias> standing = StandingPromises();
    bool outbid = std::ranges::any_of(view_.tablets, [this](const TabletSight& tablet) {
      return tablet.reachable && tablet.promised_term > attempt_.term;
    });
    bool quorum = PromiseQuorum(view_, reigning_, standing) ||
                  (request_.force && !standing.empty() && !outbid);
    if (quorum) return LearnWhoLed();
    const bool contested = std::ranges::any_of(view_.tablets, [&](const auto& tablet) {
      return tablet.reachable && tablet.promised_term >= attempt_.term &&
             !standing.contains(tablet.alias);
    });
    // Two that outbid each other for ever would leave the shard to nobody.
    if (request_.yields && contested) {
      return No(Code::kAborted, fmt::format("another coordinator acts on {} beside term {}",
                                            view_.shard.ToString(), attempt_.term));
    }
    if (Tries("promise") < kTermTries) return AskTerm();
    return UndoAndRefuse(
        No(Code::kAborted,
           fmt::format("{} term {} in {}: see what came of it, then run again",
                       outbid ? "another coordinator overtook" : "too few tablets promised",
                       attempt_.term, view_.shard.ToString())));
  }

  std::set<TabletAlias> StandingPromises() const {
    std::set<TabletAlias> standing;
    for (const TabletSight& tablet : view_.tablets) {
      bool stands = tablet.reachable && tablet.promised_term == attempt_.term &&
                    attempt_.promised.contains(tablet.alias);
      if (stands) standing.insert(tablet.alias);
    }
    return standing;
  }

  // A tablet that follows another than the journal's primary may hold a newer journal row in its
  // relay log: it has acknowledged it, and so somebody may lead by it. All of that is applied
  // before anything is decided.
  std::optional<Step> LearnWhoLed() {
    Fence fence{attempt_.term, {}};
    for (const TabletSight& tablet : view_.tablets) {
      if (!Up(&tablet) || tablet.source.empty() || tablet.source == reigning_) continue;
      // A primary forgets its source after it serves; it receives nothing.
      if (tablet.alias == reigning_ && tablet.type == record::TabletType::kPrimary) continue;
      if (tablet.source == attempt_.interim_source || attempt_.repointed.contains(tablet.alias))
        continue;
      if (!tablet.fenced) {
        fence.tablets.push_back(tablet.alias);
      } else if (!ExecutedBy(view_, tablet).Contains(ReceivedBy(view_, tablet))) {
        return WaitOn(tablet, ReceivedBy(view_, tablet));
      }
    }
    if (fence.tablets.empty()) return std::nullopt;
    for (const TabletAlias& alias : fence.tablets) {
      if (Tries("fence " + alias.ToString()) < kTries) continue;
      return UndoAndRefuse(No(Code::kUnavailable, fmt::format("{} could not be fenced: {}",
                                                              alias.ToString(), LastError(alias))));
    }
    return fence;
  }

  // --- the old primary acknowledges nothing any more; `needed_` is all that was acknowledged.
  std::optional<Step> Secure() {
    needed_ = gtid::Set(view_.flavor);
    const TabletAlias& wanted = attempt_.chosen.empty() ? request_.new_primary : attempt_.chosen;
    if (reigning_.empty()) {
      for (const TabletSight& tablet : view_.tablets) {
        if (Up(&tablet)) needed_ = needed_.Union(ReceivedBy(view_, tablet));
      }
      return std::nullopt;
    }
    if (Up(old_) && (wanted == reigning_ || DownCleanly(*old_))) {
      needed_ = ExecutedBy(view_, *old_);
      return std::nullopt;
    }
    if (Planned()) {
      if (Up(old_) && DemoteTries() < kTries - 1) return Demote{attempt_.term, reigning_};
      return UndoAndRefuse(
          No(Code::kUnavailable, fmt::format("primary {} could not be demoted: {}",
                                             reigning_.ToString(), LastError(reigning_))));
    }
    // One whose disk takes no writes would never have drained.
    bool lives = Up(old_) && old_->serving && !old_->read_only && old_->disk_error.empty();
    if (lives && DemoteTries() == 0 && old_->promised_term == attempt_.term) {
      return Demote{attempt_.term, reigning_};
    }
    return SecureByFence();
  }

  std::optional<Step> SecureByFence() {
    Fence fence{attempt_.term, {}};
    std::set<TabletAlias> stopped;
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.alias == reigning_ || !Up(&tablet)) continue;
      if (Stopped(tablet)) {
        stopped.insert(tablet.alias);
      } else if (Tries("fence " + tablet.alias.ToString()) < kTries) {
        fence.tablets.push_back(tablet.alias);
      }
    }
    if (!fence.tablets.empty()) return fence;
    bool forced = request_.force || view_.durability == Durability::kNone;
    if (!FenceHoldsWith(stopped) && !forced) return UndoAndRefuse(Unfenced(stopped));
    // A mysqld proven dead needs no grant to run out. Grants of tablets that were not stopped are
    // given anew for ever; the fence holds without them, and so the lease does not.
    bool dead = old_ != nullptr && old_->reachable && old_->mysqld_exited;
    Duration grant{0};
    for (const TabletAlias& alias : stopped) {
      if (!dead) grant = std::max(grant, view_.Find(alias)->GrantLeftTo(reigning_));
    }
    if (grant > Duration(0)) return Wait{grant, "the last grant to the old primary runs out"};
    std::vector<TabletAlias> ackers = AckersOfOld();
    for (const TabletAlias& alias : stopped) {
      if (!forced && std::ranges::find(ackers, alias) == ackers.end()) continue;
      needed_ = needed_.Union(ReceivedBy(view_, *view_.Find(alias)));
    }
    return std::nullopt;
  }

  // Drained, or read-only and not serving as a primary: perhaps it follows somebody already.
  bool DownCleanly(const TabletSight& tablet) const {
    return tablet.promised_term == attempt_.term &&
           (tablet.demoted || (tablet.read_only && (!tablet.serving || !tablet.source.empty() ||
                                                    tablet.type != record::TabletType::kPrimary)));
  }
  bool Stopped(const TabletSight& tablet) const {
    if (tablet.promised_term != attempt_.term) return false;
    return tablet.fenced || attempt_.repointed.contains(tablet.alias) ||
           (!attempt_.interim_source.empty() && tablet.source == attempt_.interim_source);
  }
  Member OldMember() const {
    return {reigning_, old_ == nullptr ? record::TabletType::kPrimary : old_->type};
  }
  std::vector<TabletAlias> AckersOfOld() const {
    std::vector<TabletAlias> ackers =
        PossibleAckers(view_.durability, OldMember(), MembersOf(view_));
    for (const TabletSight& tablet : view_.tablets) {
      // Of a type that should not, but seen to acknowledge or to grant: its type changed a moment
      // ago.
      auto binds = [this](const TabletSight::Grant& grant) {
        return grant.to == reigning_ && grant.left > Duration(0);
      };
      bool does = (tablet.semi_sync_replica && tablet.source == reigning_) ||
                  std::ranges::any_of(tablet.grants, binds);
      if (tablet.alias == reigning_) continue;
      if (does && std::ranges::find(ackers, tablet.alias) == ackers.end())
        ackers.push_back(tablet.alias);
    }
    return ackers;
  }
  bool FenceHoldsWith(const std::set<TabletAlias>& stopped) const {
    std::vector<TabletAlias> ackers = AckersOfOld();
    auto fenced =
        std::ranges::count_if(ackers, [&](auto& alias) { return stopped.contains(alias); });
    uint32_t required = AcksRequired(view_.durability, view_.flavor, ackers.size());
    if (Up(old_) && !old_->read_only) required = std::min(required, old_->semi_sync_required);
    return FenceHolds(ackers.size(), static_cast<size_t>(fenced), required);
  }
  Refuse Unfenced(const std::set<TabletAlias>& stopped) const {
    std::string missing;
    for (const TabletAlias& alias : AckersOfOld()) {
      if (!stopped.contains(alias)) missing += (missing.empty() ? "" : ", ") + alias.ToString();
    }
    return {
        Code::kUnavailable,
        fmt::format("the old primary {} may still get commits acknowledged: {} cannot be fenced; "
                    "bring one back, or force",
                    reigning_.ToString(),
                    missing.empty() ? "its commits need no acknowledgement, and it" : missing),
        fmt::format("every transaction that {} and the missing tablets alone hold",
                    reigning_.ToString())};
  }
  std::string MissingNames() const {
    std::string names;
    for (const TabletSight& tablet : view_.tablets) {
      if (!tablet.reachable) names += (names.empty() ? "" : ", ") + tablet.alias.ToString();
    }
    return names;
  }

  // --- the new primary
  Step Install() {
    const TabletSight* chosen = attempt_.chosen.empty() ? nullptr : view_.Find(attempt_.chosen);
    if (!attempt_.chosen.empty() && !Up(chosen)) {
      // Replicas follow a candidate that is gone: only a new term may send them elsewhere.
      if (Tries("promise") < kTermTries) return AskTerm();
      return No(Code::kUnavailable, fmt::format("{} was lost during its promotion: run again",
                                                attempt_.chosen.ToString()));
    }
    const TabletSight* source = nullptr;
    if (chosen == nullptr) {
      Election election = Elect(view_, request_, attempt_, reigning_, needed_);
      if (election.winner == nullptr) {
        return UndoAndRefuse(No(
            Code::kFailedPrecondition,
            fmt::format("no tablet of {} can lead: {}", view_.shard.ToString(), election.reasons)));
      }
      chosen = election.winner;
      source = election.source;
    }
    if (std::optional<Step> step = CatchUp(*chosen, source)) return *step;
    if (std::optional<Step> step = AttachAckers(*chosen)) return *step;
    bool settling = attempt_.tries.contains("promoted") && Tries("settle") < kSettleTries;
    if (settling) return Wait{kSettle, chosen->alias.ToString() + " opens for writes"};
    if (Tries("promote") >= kTries) {
      return No(Code::kUnavailable,
                fmt::format("{} could not be promoted: {}; run again", chosen->alias.ToString(),
                            LastError(chosen->alias)));
    }
    gtid::Set must = request_.force ? gtid::Set(view_.flavor) : needed_;
    return Promote{attempt_.term, chosen->alias, AcksFor(*chosen), request_.action, must};
  }

  std::optional<Step> CatchUp(const TabletSight& chosen, const TabletSight* source) {
    if (chosen.alias == reigning_) return std::nullopt;
    bool replicating =
        Planned() || (!attempt_.interim_source.empty() && chosen.source == attempt_.interim_source);
    gtid::Set target = needed_;
    if (!replicating) {
      target = ReceivedBy(view_, chosen);
      if (source != nullptr) {
        gtid::Set has = ReceivedBy(view_, *source);
        if (!ExecutedBy(view_, *source).Contains(has)) return WaitOn(*source, has);
        if (Tries("interim " + chosen.alias.ToString()) >= kTries) {
          return UndoAndRefuse(
              No(Code::kUnavailable,
                 fmt::format("{} could not catch up from {}: {}", chosen.alias.ToString(),
                             source->alias.ToString(), LastError(chosen.alias))));
        }
        return Step(Repoint{.term = attempt_.term,
                            .primary = source->alias,
                            .replicas = {{chosen.alias, false}},
                            .interim = true});
      }
    }
    if (ExecutedBy(view_, chosen).Contains(target)) return std::nullopt;
    if (request_.force && Tries("wait " + chosen.alias.ToString()) >= kTries) return std::nullopt;
    return WaitOn(chosen, target);
  }

  Step WaitOn(const TabletSight& tablet, gtid::Set position) {
    if (Tries("wait " + tablet.alias.ToString()) >= kTries) {
      return UndoAndRefuse(
          No(Code::kDeadlineExceeded,
             fmt::format("{} did not apply {} in time: {}", tablet.alias.ToString(),
                         position.ToString(), LastError(tablet.alias))));
    }
    return WaitForPosition{tablet.alias, std::move(position)};
  }

  uint32_t AcksFor(const TabletSight& chosen) const {
    Member leader{chosen.alias, chosen.type};
    size_t possible = PossibleAckers(view_.durability, leader, MembersOf(view_)).size();
    uint32_t required = AcksRequired(view_.durability, view_.flavor, possible);
    return request_.force ? std::min(required, Attached(leader)) : required;
  }
  uint32_t Attached(const Member& leader) const {
    uint32_t attached = 0;
    for (const Member& member : MembersOf(view_)) {
      attached += MayAcknowledge(view_.durability, leader, member) &&
                  attempt_.repointed.contains(member.alias);
    }
    return attached;
  }

  // Its first commit is the journal row, which somebody must acknowledge: so they follow it before
  // it leads.
  std::optional<Step> AttachAckers(const TabletSight& chosen) {
    Member leader{chosen.alias, chosen.type};
    Repoint step{attempt_.term, chosen.alias};
    bool first_round = true;
    for (const TabletSight& tablet : view_.tablets) {
      if (!MayAcknowledge(view_.durability, leader, {tablet.alias, tablet.type}) || !Up(&tablet))
        continue;
      if (tablet.alias == reigning_ && !DownCleanly(tablet)) continue;
      int tries = Tries("repoint " + tablet.alias.ToString());
      first_round &= tries == 0;
      if (attempt_.repointed.contains(tablet.alias) || tries >= kTries) continue;
      step.replicas.push_back({tablet.alias, true});
    }
    const uint32_t enough = AcksFor(chosen);
    step.enough = enough;
    bool attached = Attached(leader) >= enough && !first_round;
    if (attached || step.replicas.empty()) {
      if (Attached(leader) >= enough) return std::nullopt;
      return UndoAndRefuse(
          No(Code::kUnavailable,
             fmt::format("{} has {} of the {} tablets that must acknowledge its commits; run again",
                         chosen.alias.ToString(), Attached(leader), enough)));
    }
    return Step(step);
  }

  bool Promoted() const {
    const TabletSight* chosen = view_.Find(attempt_.chosen);
    return Up(chosen) && chosen->journal_term == attempt_.term && !chosen->read_only &&
           chosen->serving;
  }

  // --- it leads: tell everyone.
  Step Finish() {
    const TabletSight& chosen = *view_.Find(attempt_.chosen);
    if (!attempt_.published) {
      if (Tries("publish") < kTries) return Publish{attempt_.term, chosen.alias};
      return No(
          Code::kUnavailable,
          fmt::format("{} leads and is writable, but the shard record could not be written: {}; "
                      "run again",
                      chosen.alias.ToString(), LastError(chosen.alias)));
    }
    Repoint step{attempt_.term, chosen.alias};
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.alias == chosen.alias || !Up(&tablet) || tablet.backup_running) continue;
      if (attempt_.repointed.contains(tablet.alias)) continue;
      if (Tries("repoint " + tablet.alias.ToString()) >= kTries) continue;
      bool acks = MayAcknowledge(view_.durability, {chosen.alias, chosen.type},
                                 {tablet.alias, tablet.type});
      step.replicas.push_back({tablet.alias, acks});
    }
    if (!step.replicas.empty()) return step;
    return Done{chosen.alias,
                fmt::format("{} leads {} in term {}", chosen.alias.ToString(),
                            view_.shard.ToString(), attempt_.term),
                Warnings(chosen)};
  }

  std::vector<std::string> Warnings(const TabletSight& chosen) const {
    std::vector<std::string> warnings;
    gtid::Set has = ExecutedBy(view_, chosen);
    for (const TabletSight& tablet : view_.tablets) {
      if (tablet.alias == chosen.alias) continue;
      std::string name = tablet.alias.ToString();
      if (!tablet.reachable) {
        warnings.push_back(name + " was not reachable and must follow when it is back");
      } else if (!attempt_.repointed.contains(tablet.alias) && !tablet.backup_running) {
        warnings.push_back(
            fmt::format("{} does not follow yet: {}", name, LastError(tablet.alias)));
      }
      // What a replica holds beyond may just be newer than this look at the primary, unless the
      // source is another.
      gtid::Set extra = ReceivedBy(view_, tablet).Subtract(has);
      bool follows = attempt_.repointed.contains(tablet.alias);
      if (tablet.reachable && !extra.Empty() && !follows) {
        warnings.push_back(fmt::format("{} has transactions that {} lacks: {}", name,
                                       chosen.alias.ToString(), extra.ToString()));
      }
    }
    if (request_.action == Action::kEmergency && view_.durability == Durability::kNone) {
      warnings.push_back("durability policy none: transactions acknowledged last may be lost");
    }
    return warnings;
  }

  // --- nothing was decided yet, so all goes back as it was. Once tablets follow a candidate only
  // forward is safe.
  Step UndoAndRefuse(Refuse end) {
    // Without a quorum another coordinator may stand on these fences; with it, fences of a run that
    // crashed are void too.
    bool can = old_ != nullptr && attempt_.chosen.empty() && attempt_.term != 0 &&
               PromiseQuorum(view_, reigning_, StandingPromises());
    if (!can) return end;
    Repoint undo{.term = attempt_.term, .primary = reigning_, .then = end};
    for (const TabletSight& tablet : view_.tablets) {
      bool ours = (tablet.fenced || attempt_.fenced_by_us.contains(tablet.alias)) &&
                  tablet.alias != reigning_;
      std::string name = tablet.alias.ToString();
      if (!ours || !Up(&tablet) || tablet.promised_term != attempt_.term) continue;
      if (Tries("undo " + name) > 0) continue;
      // A changed source may erase the relay log, and it may hold the only copy.
      bool applied = ExecutedBy(view_, tablet).Contains(ReceivedBy(view_, tablet));
      if (!applied && Tries("wait " + name) < kTries) {
        return WaitForPosition{tablet.alias, ReceivedBy(view_, tablet)};
      }
      if (!applied) continue;
      bool acks = MayAcknowledge(view_.durability, OldMember(), {tablet.alias, tablet.type});
      undo.replicas.push_back({tablet.alias, acks});
    }
    if (!undo.replicas.empty()) return undo;
    bool demoted = Up(old_) && old_->promised_term == attempt_.term && DemoteTries() > 0 &&
                   (old_->demoted || old_->read_only);
    if (!demoted || Tries("undo demote") >= kTries) return end;
    size_t possible = PossibleAckers(view_.durability, OldMember(), MembersOf(view_)).size();
    return UndoDemote{attempt_.term, reigning_,
                      AcksRequired(view_.durability, view_.flavor, possible), end};
  }

  // --- one tablet follows the primary that leads.
  Step ReparentOne() {
    const TabletSight* tablet = view_.Find(request_.new_primary);
    std::string name = request_.new_primary.ToString();
    if (tablet == nullptr) {
      return No(Code::kNotFound,
                fmt::format("tablet {} is not in shard {}", name, view_.shard.ToString()));
    }
    if (old_ == nullptr) {
      return No(Code::kFailedPrecondition,
                fmt::format("shard {} has no primary: use InitShardPrimary or PlannedReparentShard",
                            view_.shard.ToString()));
    }
    if (reigning_ == request_.new_primary) {
      return No(Code::kFailedPrecondition,
                fmt::format("{} is the primary of {} itself", name, view_.shard.ToString()));
    }
    if (!Up(tablet)) {
      return No(Code::kUnavailable,
                fmt::format("tablet {} does not answer: {}", name, tablet->error));
    }
    if (attempt_.repointed.contains(tablet->alias)) {
      return Done{reigning_, fmt::format("{} replicates from {}", name, reigning_.ToString()), {}};
    }
    if (Tries("repoint " + name) >= kTries) {
      return No(Code::kUnavailable,
                fmt::format("{} could not be set to replicate from {}: {}", name,
                            reigning_.ToString(), LastError(tablet->alias)));
    }
    // Beyond the reigning term it has promised somebody else: to overrule that takes a term of
    // one's own.
    uint64_t term = attempt_.term;
    uint64_t reigns = old_->reachable ? old_->journal_term : tablet->journal_term;
    if (term == 0) {
      if (reigns == 0 || tablet->promised_term > reigns) return AskTerm();
      term = reigns;
    } else if (std::optional<Step> step = HoldTerm()) {
      return *step;
    }
    bool acks = MayAcknowledge(view_.durability, OldMember(), {tablet->alias, tablet->type});
    return Repoint{term, reigning_, {{tablet->alias, acks}}};
  }

  const View& view_;
  const Request& request_;
  const Attempt& attempt_;
  TabletAlias reigning_;
  const TabletSight* old_;
  gtid::Set needed_;
};

}  // namespace

Step NextStep(const View& view, const Request& request, const Attempt& attempt) {
  return Decider(view, request, attempt).Next();
}

}  // namespace paceline::reparent
