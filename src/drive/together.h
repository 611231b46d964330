// drive/together.h - tasks that run side by side, waited for as one. Threads: one loop.
#pragma once

#include "base/check.h"
#include "io/sync.h"
#include "io/task.h"

namespace paceline::drive {

// Waits for tasks that run side by side. REQUIRES: Wait() is awaited before it goes.
class Together {
 public:
  ~Together() { CHECK(left_ == 0); }
  void Start(io::Task<void> task) {
    ++left_;
    io::Detach(Run(this, std::move(task)));
  }
  io::Task<void> Wait() {
    while (left_ > 0) {
      // The tasks end by their own deadlines.
      bool woken = co_await done_.Wait(Deadline::Never());
      (void)woken;
    }
  }

 private:
  static io::Task<void> Run(Together* join, io::Task<void> task) {
    co_await task;
    if (--join->left_ == 0) join->done_.Pulse();
  }
  size_t left_ = 0;
  io::Event done_;
};

}  // namespace paceline::drive
