// io/together.h - tasks that run side by side, waited for as one. Threads: one loop.
#pragma once

#include "base/check.h"
#include "base/error.h"
#include "io/sync.h"
#include "io/task.h"

namespace paceline::io {

// Waits for tasks that run side by side. REQUIRES: Wait() is awaited before it goes.
class Together {
 public:
  ~Together() { CHECK(left_ == 0); }
  void Start(Task<void> task) {
    ++left_;
    Detach(Run(this, std::move(task)));
  }
  // `out` has to outlive Wait().
  void Start(Task<Status> task, Status& out) { Start(Keep(std::move(task), &out)); }
  Task<void> Wait() {
    while (left_ > 0) {
      // The tasks end by their own deadlines.
      bool woken = co_await done_.Wait(Deadline::Never());
      (void)woken;
    }
  }

 private:
  static Task<void> Run(Together* join, Task<void> task) {
    co_await task;
    if (--join->left_ == 0) join->done_.Pulse();
  }
  static Task<void> Keep(Task<Status> task, Status* out) { *out = co_await task; }
  size_t left_ = 0;
  Event done_;
};

}  // namespace paceline::io
