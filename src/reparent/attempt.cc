#include <algorithm>

#include "reparent/decide.h"

namespace paceline::reparent {
namespace {

// Books the outcome of one step.
class Book {
 public:
  Book(Attempt& attempt, const StepResult& result) : attempt_(attempt), result_(result) {}

  void operator()(const Wait&) { ++attempt_.tries["settle"]; }
  void operator()(const PromiseTerm& step) {
    // The tablet this run elected before may have begun to lead; anybody else's lead ends the run.
    bool first = ++attempt_.tries["promise"] == 1;
    if (first || step.reigning == attempt_.chosen) attempt_.old_primary = step.reigning;
    attempt_.term = step.term;
    attempt_.promised = result_.ok;
    // What was done under the older term is done anew; who was stopped stays known, so that it can
    // be undone.
    attempt_.chosen = {};
    attempt_.interim_source = {};
    attempt_.repointed.clear();
    attempt_.published = false;
    std::erase_if(attempt_.tries, [](const auto& entry) { return entry.first != "promise"; });
  }
  void operator()(const Fence& step) {
    for (const TabletAlias& alias : step.tablets) {
      ++attempt_.tries["fence " + alias.ToString()];
      // Also where the answer was lost.
      attempt_.fenced_by_us.insert(alias);
    }
  }
  void operator()(const Demote& step) { ++attempt_.tries["demote " + step.tablet.ToString()]; }
  void operator()(const UndoDemote& step) {
    ++attempt_.tries["undo demote"];
    attempt_.ending = step.then;
  }
  void operator()(const WaitForPosition& step) {
    if (attempt_.term == 0 && result_.ok.contains(step.tablet)) {
      const int rounds = ++attempt_.tries["catch up"];
      attempt_.catch_up = result_.took;
      attempt_.prepared =
          result_.took <= kShortGap || (rounds >= kCatchUps && result_.took <= kLongestGap);
      return;
    }
    ++attempt_.tries["wait " + step.tablet.ToString()];
  }
  void operator()(const Repoint& step) {
    const char* kind = step.then ? "undo " : step.interim ? "interim " : "repoint ";
    bool for_good = !step.then && !step.interim;
    for (const Repoint::Replica& replica : step.replicas) {
      ++attempt_.tries[kind + replica.tablet.ToString()];
      if (for_good && result_.ok.contains(replica.tablet))
        attempt_.repointed.insert(replica.tablet);
    }
    if (for_good) attempt_.chosen = step.primary;
    if (step.interim) attempt_.interim_source = step.primary;
    if (step.then) attempt_.ending = step.then;
  }
  void operator()(const Promote& step) {
    attempt_.chosen = step.tablet;
    if (result_.ok.contains(step.tablet)) attempt_.tries["promoted"] = 1;
    ++attempt_.tries["promote"];
  }
  void operator()(const Publish& step) {
    attempt_.published = result_.ok.contains(step.primary);
    ++attempt_.tries["publish"];
  }
  void operator()(const Done&) {}
  void operator()(const Refuse&) {}

 private:
  Attempt& attempt_;
  const StepResult& result_;
};

}  // namespace

Attempt After(Attempt attempt, const Step& step, const StepResult& result) {
  for (const auto& [alias, error] : result.errors) attempt.failed[alias] = error;
  std::visit(Book(attempt, result), step);
  return attempt;
}

}  // namespace paceline::reparent
