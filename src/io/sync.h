// io/sync.h - waiting for each other on one loop: Event, Gate, Semaphore, Channel. All wake-ups go
// through the loop's ready list. Threads: one loop's thread. Every wait takes a Deadline and says
// how it ended.
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/task.h"

namespace paceline::io {

enum class Wake : uint8_t { kDone, kTimeout, kClosed };

// A list of coroutines that wait, each with a deadline; the base of what follows.
class WaitList {
 public:
  class Waiter {
   public:
    Waiter(WaitList& list, Deadline deadline)
        : list_(list), deadline_(deadline), timer_(&OnTimer, this) {}
    Waiter(const Waiter&) = delete;
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    Wake await_resume() const { return wake_; }

   private:
    friend class WaitList;
    static void OnTimer(void* self);
    void Unlink();
    WaitList& list_;
    Deadline deadline_;
    Timer timer_;
    std::coroutine_handle<> handle_;
    Wake wake_ = Wake::kDone;
    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
  };

  ~WaitList() { CHECK(head_ == nullptr); }
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  Waiter Wait(Deadline deadline) { return Waiter(*this, deadline); }
  // False when nobody waits.
  bool WakeOne(Wake how);
  void WakeAll(Wake how);
  bool empty() const { return head_ == nullptr; }

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};

// Set once or reset; many may wait.
class Event {
 public:
  bool set() const { return set_; }
  void Set() {
    set_ = true;
    list_.WakeAll(Wake::kDone);
  }
  void Reset() { set_ = false; }
  // Wakes all who wait now without setting.
  void Pulse() { list_.WakeAll(Wake::kDone); }
  // True when set or pulsed, false on timeout.
  Task<bool> Wait(Deadline deadline);

 private:
  bool set_ = false;
  WaitList list_;
};

// Counts the coroutines that use an object, so that Stop() can wait for them. A closed gate lets
// nobody in.
class Gate {
 public:
  ~Gate() { CHECK_MSG(count_ == 0, "a Gate was destroyed while held"); }
  class Pass {
   public:
    explicit Pass(Gate* gate) : gate_(gate) {}
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    Gate* gate_;
  };
  // Empty when closed.
  std::optional<Pass> Enter() {
    if (closed()) return std::nullopt;
    ++count_;
    return Pass(this);
  }
  bool closed() const { return closing_.set(); }
  // Set when Close begins: loops that sleep wait on it.
  Event& closing() { return closing_; }
  // Lets nobody in and waits until all have left. False when the deadline passed first.
  Task<bool> Close(Deadline deadline);
  size_t count() const { return count_; }

 private:
  void Leave() {
    if (--count_ == 0 && closed()) left_.Set();
  }
  size_t count_ = 0;
  Event closing_;
  Event left_;
};

// Waits until `deadline` or until the gate closes. False when it closed.
Task<bool> Sleep(Gate& gate, Deadline deadline);

// A bounded number of permits, handed out in order of asking.
class Semaphore {
 public:
  explicit Semaphore(size_t permits) : permits_(permits) {}
  // Errors: kDeadlineExceeded, kCanceled when closed.
  Task<Status> Acquire(Deadline deadline);
  bool TryAcquire() {
    if (permits_ == 0) return false;
    --permits_;
    return true;
  }
  void Release();
  void Close() {
    closed_ = true;
    list_.WakeAll(Wake::kClosed);
  }
  size_t waiting() const { return waiting_; }
  size_t permits() const { return permits_; }

 private:
  size_t permits_;
  size_t waiting_ = 0;
  bool closed_ = false;
  WaitList list_;
};

// One at a time, in order. Use with a Lock in scope: `Status locked = co_await mutex.Lock(d);` ...
// `mutex.Unlock()`.
class Mutex {
 public:
  Task<Status> Lock(Deadline deadline) { return semaphore_.Acquire(deadline); }
  bool TryLock() { return semaphore_.TryAcquire(); }
  void Unlock() { semaphore_.Release(); }

 private:
  Semaphore semaphore_{1};
};

// A bounded queue between coroutines of one loop.
template <class T>
class Channel {
 public:
  explicit Channel(size_t capacity) : capacity_(capacity) { CHECK(capacity > 0); }
  // Errors: kDeadlineExceeded while full, kCanceled when closed.
  Task<Status> Push(T item, Deadline deadline) {
    while (!closed_ && items_.size() >= capacity_) {
      Wake wake = co_await not_full_.Wait(deadline);
      if (wake == Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "queue is full");
    }
    if (closed_) co_return Fail(Code::kCanceled, "queue is closed");
    items_.push_back(std::move(item));
    not_empty_.WakeOne(Wake::kDone);
    co_return Status();
  }
  bool TryPush(T item) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(item));
    not_empty_.WakeOne(Wake::kDone);
    return true;
  }
  // Empty when closed and drained. Errors: kDeadlineExceeded.
  Task<Result<std::optional<T>>> Pop(Deadline deadline) {
    while (items_.empty()) {
      if (closed_) co_return std::optional<T>();
      Wake wake = co_await not_empty_.Wait(deadline);
      if (wake == Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "queue is empty");
    }
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    not_full_.WakeOne(Wake::kDone);
    co_return item;
  }
  void Close() {
    closed_ = true;
    not_empty_.WakeAll(Wake::kClosed);
    not_full_.WakeAll(Wake::kClosed);
  }
  size_t size() const { return items_.size(); }

 private:
  size_t capacity_;
  bool closed_ = false;
  std::deque<T> items_;
  WaitList not_empty_, not_full_;
};

}  // namespace paceline::io
