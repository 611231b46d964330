// vttablet/manager/turn.h - one change of a tablet's role at a time. Threads: the manager's loop.
#pragma once

#include "io/sync.h"

namespace paceline::vttablet {

// Holds the role mutex for a call.
class Turn {
 public:
  explicit Turn(io::Mutex& mutex) : mutex_(mutex) {}
  ~Turn() {
    if (held_) mutex_.Unlock();
  }
  io::Task<Status> Take(Deadline deadline) {
    Status locked = co_await mutex_.Lock(deadline);
    held_ = locked.has_value();
    if (!locked)
      co_return Fail(locked.error().Context("waiting for an earlier change of this tablet's role"));
    co_return Status();
  }

 private:
  io::Mutex& mutex_;
  bool held_ = false;
};

}  // namespace paceline::vttablet
