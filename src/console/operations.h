// console/operations.h - what was done from the console: each action with who asked, its lines as
// they come, and how it ended; the newest ones, in memory. Threads: one loop.
#pragma once

#include <deque>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "access/users.h"
#include "base/time.h"
#include "port/vtctld.h"

namespace paceline::console {

struct Operation {
  int64_t id = 0;
  std::string action, target;  // "planned_reparent", "commerce/0"
  std::string command;         // what would do the same in a terminal
  std::string who;
  access::Role needs = access::Role::kOperator;  // its action's
  WallTime began, ended;                         // ended: 0 while it runs
  std::string error;                             // empty: it runs, or went well
  std::vector<std::string> lines;
  size_t bytes = 0;  // of lines
  bool cut = false;  // there were more lines than are kept
};

class Operations {
 public:
  static constexpr size_t kKept = 200;
  static constexpr size_t kBytes = 1u << 20;  // of one operation's lines

  // `changed` is called after each change of one.
  explicit Operations(std::function<void(const Operation&)> changed)
      : changed_(std::move(changed)) {}

  // Its id.
  int64_t Begin(Operation operation, WallTime now);
  void Add(int64_t id, std::string_view text);  // one line or several
  void End(int64_t id, const Status& status, WallTime now);
  const Operation* Find(int64_t id) const;
  const std::deque<Operation>& list() const { return list_; }  // the oldest first
  size_t running() const;

 private:
  Operation* Mutable(int64_t id);
  std::deque<Operation> list_;
  int64_t next_ = 1;
  std::function<void(const Operation&)> changed_;
};

// For everybody who may look: without its lines, which come by asking for the operation, and
// without what an admin's statements say and answer.
nlohmann::json Summary(const Operation& operation);
nlohmann::json ToJson(const Operation& operation);

}  // namespace paceline::console
