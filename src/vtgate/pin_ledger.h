// vtgate/pin_ledger.h - what holds a session to its connection, thing by thing, so that the pin
// ends with the last of them. What cannot be followed by its text (a name computed, a table
// renamed) holds until the session ends. Pure. Threads: one session's loop.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"

namespace paceline::vtgate {

class PinLedger {
 public:
  // A statement that succeeded on the pinned connection.
  void Ran(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect);
  // Names of user locks that may be held, as SQL literals. Whether they still are, the server
  // knows: after a RELEASE_LOCK ask it, and tell LocksHeld.
  const std::set<std::string>& locks() const { return locks_; }
  bool asks_for_locks() const { return ask_locks_; }
  void LocksHeld(bool any);

  // Whether something is left that is never given back.
  bool holds_for_ever() const { return !for_ever_.empty(); }
  // Whether something of this reason is left.
  bool Holds(plan::PinReason reason) const;
  void Clear() { *this = PinLedger(); }

 private:
  void Table(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect);
  void Locks(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect);

  std::set<std::string> tables_, prepared_, locks_;
  std::set<plan::PinReason> for_ever_;  // what cannot be followed
  bool table_locks_ = false, xa_ = false, read_lock_ = false;
  bool ask_locks_ = false;
};

}  // namespace paceline::vtgate
