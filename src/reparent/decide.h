// reparent/decide.h - the reparent decisions: no clock, no I/O, no coroutine. Safe to run again
// after a crash at any step, from any process, also while another runs: terms decide. I1 at most
// one tablet acknowledges writes. I2 Done => the published primary is writable, and no tablet that
// was reachable is left to repair by hand. I3 a tablet that misses an acknowledged transaction is
// never promoted.
//
// The driver, with the shard's lock held:
//   Attempt attempt;
//   for (;;) {
//     View view = <topology + agent.TabletState of every tablet, in parallel, short deadline>;
//     Step step = NextStep(view, request, attempt);
//     if (Done or Refuse) break;
//     StepResult result = <run it, below>;     // each tablet of a step in parallel
//     attempt = After(attempt, step, result);
//   }
// It ends: each call either moves on or uses up a try, of which each kind of step has a few.
//
// Promises (agent.PromiseTerm) must be granted for a term above every one promised before and never
// twice for the same term, so that a term has one coordinator. Fence, Demote, Promote, Repoint must
// be refused below the promised term.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "reparent/view.h"

namespace paceline::reparent {

struct Refuse {
  Code code = Code::kFailedPrecondition;
  std::string why;          // what is missing, where, and what to do next
  std::string may_be_lost;  // not empty: Request::force would go on; show this first
};
struct Wait {
  Duration how_long{0};
  std::string why;
};  // then observe again
// agent.PromiseTerm to each. Report who granted it in StepResult::ok.
struct PromiseTerm {
  uint64_t term = 0;
  std::vector<TabletAlias> tablets;
  TabletAlias reigning;
};
// agent.Fence to each: stop receiving, keep the relay log.
struct Fence {
  uint64_t term = 0;
  std::vector<TabletAlias> tablets;
};
// agent.Demote; it has drained and is read-only when it answers. Waiters are never released by it.
struct Demote {
  uint64_t term = 0;
  TabletAlias tablet;
};
// agent.UndoDemote with the acknowledgements it had.
struct UndoDemote {
  uint64_t term = 0;
  TabletAlias tablet;
  uint32_t acknowledgements = 0;
  Refuse then;  // how the attempt ends
};
// tabletmanager.WaitForPosition: until applied. Encode with position.ToEncoded() (MySQL) or
// "MariaDB/" + ToPosition().
struct WaitForPosition {
  TabletAlias tablet;
  gtid::Set position;
};
// agent.Repoint to each: replicate from `primary`, acknowledging or not.
struct Repoint {
  struct Replica {
    TabletAlias tablet;
    bool semi_sync = false;
  };
  uint64_t term = 0;
  TabletAlias primary;
  std::vector<Replica> replicas;
  // The step is over when so many of them follow; the others are told too, and may come to it
  // later. 0: all are waited for.
  uint32_t enough = 0;
  bool interim = false;        // `primary` is not the one elected, but a source to catch up from
  std::optional<Refuse> then;  // the fence is undone, and so the attempt ends
};
// agent.Promote: apply, semi-sync on, journal row, writable, type PRIMARY. Its ackers are attached
// already.
struct Promote {
  uint64_t term = 0;
  TabletAlias tablet;
  uint32_t acknowledgements = 0;
  Action action = Action::kPlanned;
  gtid::Set must_contain;
};
// The shard record (primary alias, term start now), only while the shard's lock is still held, and
// as an update of the version that the view was built from. Whoever else has a record of type
// PRIMARY becomes REPLICA by its Repoint.
struct Publish {
  uint64_t term = 0;
  TabletAlias primary;
};
struct Done {
  TabletAlias primary;
  std::string summary;
  std::vector<std::string>
      warnings;  // tablets that could not be repointed, transactions only they have
};
using Step = std::variant<Wait, PromiseTerm, Fence, Demote, UndoDemote, WaitForPosition, Repoint,
                          Promote, Publish, Done, Refuse>;
// One line for logs and the command's event stream.
std::string Describe(const Step& step);

// What came of a step: the tablets that did it, and an error text for each that did not.
// Wait: nothing. Publish: key it by the primary's alias.
struct StepResult {
  std::set<TabletAlias> ok;
  std::map<TabletAlias, std::string> errors;
  Duration took{0};
};

// A planned change demotes when the candidate's last catching up took at most kShortGap, or after
// kCatchUps of them at most kLongestGap: as long again no client can write.
inline constexpr Duration kShortGap = std::chrono::seconds(1);
inline constexpr Duration kLongestGap = std::chrono::seconds(4);
inline constexpr int kCatchUps = 6;

// How far this run has come; starts empty, is never stored. A run that crashed is simply begun
// anew.
struct Attempt {
  uint64_t term = 0;               // 0: none asked for yet
  std::set<TabletAlias> promised;  // who promised `term` to this run
  TabletAlias old_primary;         // who led when the term was taken; may be empty
  TabletAlias chosen;              // elected under this term
  TabletAlias interim_source;      // whom a candidate catches up from before its promotion
  bool prepared = false;           // planned: the candidate catches up in a moment, so demote
  Duration catch_up{0};            // planned: what its last catching up took before the demotion
  bool published = false;
  std::optional<Refuse> ending;               // undo what was done, then refuse with this
  std::set<TabletAlias> fenced_by_us;         // stopped by this run
  std::set<TabletAlias> repointed;            // attached to `chosen` under this term
  std::map<TabletAlias, std::string> failed;  // last error of each tablet
  std::map<std::string, int> tries;           // by kind of step
};

Step NextStep(const View& view, const Request& request, const Attempt& attempt);
Attempt After(Attempt attempt, const Step& step, const StepResult& result);

// Who leads, as far as the view tells: the primary of the newest journaled term, whoever it is,
// reachable or not; without a journal the writable tablet of type PRIMARY, else the shard record's.
// Empty: nobody ever did.
TabletAlias ReigningPrimary(const View& view);
// So many promises that any two terms share a tablet: more than half of all; of two, the one that
// does not lead.
bool PromiseQuorum(const View& view, const TabletAlias& reigning,
                   const std::set<TabletAlias>& promised);

}  // namespace paceline::reparent
