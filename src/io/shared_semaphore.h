// io/shared_semaphore.h - permits that several loops share, given in order of asking over all of
// them. Without waiters a permit costs one atomic operation; the lock is for the line alone.
// Threads: any loop's; a wait ends on the loop that began it. Lifetime: outlives its waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "io/sync.h"

namespace paceline::io {

class SharedSemaphore {
 public:
  explicit SharedSemaphore(size_t permits) : free_(static_cast<int64_t>(permits)) {}
  ~SharedSemaphore() { CHECK(line_.empty()); }
  SharedSemaphore(const SharedSemaphore&) = delete;

  // False when none is free, and while somebody waits: nobody is overtaken.
  bool TryAcquire() { return waiting_.load() == 0 && TakeFree(); }
  // Errors: kResourceExhausted when `max_waiting` wait already; kDeadlineExceeded; kCanceled.
  // `owner`: for Cancel.
  Task<Status> Acquire(const void* owner, size_t max_waiting, Deadline deadline);
  void Release();
  // Ends the waits of `owner`, whose loop's thread this is.
  void Cancel(const void* owner);
  size_t waiting() const { return waiting_.load(); }

 private:
  struct Waiter {
    Loop* loop = nullptr;
    const void* owner = nullptr;
    Event woken;            // on its loop
    bool canceled = false;  // set before `woken`
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  bool TakeFree();
  // To those who wait longest, while permits are free.
  void GrantFree();
  // False when it has left the line already: it is woken soon.
  bool Leave(const WaiterPtr& waiter);

  alignas(64) std::atomic<int64_t> free_;
  std::atomic<size_t> waiting_{0};  // of line_; written under mutex_
  alignas(64) std::mutex mutex_;
  std::deque<WaiterPtr> line_;
};

}  // namespace paceline::io
