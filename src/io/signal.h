// io/signal.h - signals as something to wait for. REQUIRES: made on the main thread before any
// other thread starts, since it blocks the signals for the whole process (children start with none
// blocked, see io/process.h).
#pragma once

#include <initializer_list>
#include <optional>

#include "io/loop.h"
#include "io/sync.h"
#include "io/task.h"

namespace paceline::io {

class SignalWatch final : private Source {
 public:
  SignalWatch(Loop& loop, std::initializer_list<int> signals);
  ~SignalWatch() override;
  // The number of the next signal; empty on timeout.
  Task<std::optional<int>> Wait(Deadline deadline);
  // One has come that nobody has waited for yet.
  bool Arrived() const { return pending_.has_value(); }

 private:
  void OnReadable(bool hangup) override;
  void OnWritable() override {}
  Loop& loop_;
  int fd_;
  std::optional<int> pending_;
  Event arrived_;
};

// Blocks without watching; for processes that start threads before they have a loop.
void BlockSignals(std::initializer_list<int> signals);

}  // namespace paceline::io
