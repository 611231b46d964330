#include "io/shared_semaphore.h"

#include <algorithm>

namespace paceline::io {

bool SharedSemaphore::TakeFree() {
  int64_t free = free_.load();
  while (free > 0) {
    if (free_.compare_exchange_weak(free, free - 1)) return true;
  }
  return false;
}

// Whoever releases first adds and then looks for waiters; whoever waits first stands in line and
// then looks for permits. So one of the two sees the other.
void SharedSemaphore::Release() {
  free_.fetch_add(1);
  if (waiting_.load() > 0) GrantFree();
}

void SharedSemaphore::GrantFree() {
  std::lock_guard lock(mutex_);
  while (!line_.empty() && TakeFree()) {
    WaiterPtr waiter = std::move(line_.front());
    line_.pop_front();
    waiting_.store(line_.size());
    Loop* loop = waiter->loop;
    loop->Post([waiter = std::move(waiter)] { waiter->woken.Set(); });
  }
}

bool SharedSemaphore::Leave(const WaiterPtr& waiter) {
  std::lock_guard lock(mutex_);
  auto found = std::ranges::find(line_, waiter);
  if (found == line_.end()) return false;
  line_.erase(found);
  waiting_.store(line_.size());
  return true;
}

Task<Status> SharedSemaphore::Acquire(const void* owner, size_t max_waiting, Deadline deadline) {
  if (TryAcquire()) co_return Status();
  auto waiter = std::make_shared<Waiter>();
  waiter->loop = &Loop::Current();
  waiter->owner = owner;
  size_t waiting = 0;
  {
    std::lock_guard lock(mutex_);
    waiting = line_.size();
    if (waiting < max_waiting) {
      line_.push_back(waiter);
      waiting_.store(line_.size());
    }
  }
  if (waiting >= max_waiting) co_return Fail(Code::kResourceExhausted, "{} wait already", waiting);
  GrantFree();
  bool woken = co_await waiter->woken.Wait(deadline);
  if (!woken) {
    if (Leave(waiter)) co_return Fail(Code::kDeadlineExceeded, "nothing became free in time");
    // Granted at the last moment; the news is on its way.
    woken = co_await waiter->woken.Wait(Deadline::Never());
  }
  if (waiter->canceled) co_return Fail(Code::kCanceled, "closed");
  co_return Status();
}

void SharedSemaphore::Cancel(const void* owner) {
  std::deque<WaiterPtr> ended;
  {
    std::lock_guard lock(mutex_);
    for (const WaiterPtr& waiter : line_) {
      if (waiter->owner == owner) ended.push_back(waiter);
    }
    std::erase_if(line_, [owner](const WaiterPtr& waiter) { return waiter->owner == owner; });
    waiting_.store(line_.size());
  }
  for (const WaiterPtr& waiter : ended) {
    waiter->canceled = true;
    waiter->woken.Set();
  }
}

}  // namespace paceline::io
