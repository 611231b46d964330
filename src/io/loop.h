// io/loop.h - one thread's event loop: sockets by epoll (edge triggered, registered once), timers,
// posted work, and work for the end of a tick. Everything of a loop is used on its own thread; only
// Post and Stop may come from others.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline::io {

class Loop;

// A descriptor registered with a loop. Derive, or use io/stream.h. The loop does not own the
// descriptor.
class Source {
 public:
  virtual ~Source() = default;
  // Both may destroy other sources, and this one. `hangup`: the peer closed or the descriptor
  // failed, so a short read does not mean drained.
  virtual void OnReadable(bool hangup) = 0;
  virtual void OnWritable() = 0;
};

// A timer that its owner embeds; fires once per Set. Destroying or cancelling it is cheap and
// always allowed.
class Timer {
 public:
  using Callback = void (*)(void* context);
  Timer(Callback callback, void* context) : callback_(callback), context_(context) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Set(Loop& loop, Time at);
  void Cancel();
  bool armed() const { return loop_ != nullptr; }
  Time at() const { return at_; }

 private:
  friend class Loop;
  Callback callback_;
  void* context_;
  Loop* loop_ = nullptr;
  Time at_;
  size_t heap_index_ = 0;
};

// Work at the end of the tick in which it was asked for: flushing what the tick wrote.
class TickEnd {
 public:
  virtual ~TickEnd();
  virtual void OnTickEnd() = 0;

 private:
  friend class Loop;
  Loop* loop_ = nullptr;
  size_t index_ = 0;
};

// Where other threads leave work for a loop. It outlives the loop for who holds it; what is posted
// after the loop's end is dropped. Any thread.
class Inbox {
 public:
  Inbox();
  ~Inbox();
  Inbox(const Inbox&) = delete;
  void Post(std::function<void()> work);

 private:
  friend class Loop;
  std::vector<std::function<void()>> Take();
  void Close();

  int event_fd_ = -1;
  std::mutex mutex_;
  bool closed_ = false;
  std::vector<std::function<void()>> posted_;
};

class Loop {
 public:
  explicit Loop(const Clock& clock = SystemClock());
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // The loop whose Run() is on this thread's stack. REQUIRES: there is one.
  static Loop& Current();
  static Loop* CurrentOrNull();

  // Runs until Stop. Callable again after.
  void Run();
  // Any thread. Run returns after the tick.
  void Stop();
  // Any thread: runs `work` on the loop's thread soon. Posts from one thread keep their order.
  void Post(std::function<void()> work) { inbox_->Post(std::move(work)); }
  // For a thread that may post after the loop's end.
  std::shared_ptr<Inbox> inbox() const { return inbox_; }
  // Resumes `handle` later in this tick or the next: never from inside the caller.
  void Ready(std::coroutine_handle<> handle) { ready_.push_back(handle); }
  void AtTickEnd(TickEnd& work);

  Time Now() const { return clock_.Now(); }
  const Clock& clock() const { return clock_; }

  Status Register(int fd, Source& source);
  void Unregister(int fd, Source& source);
  // Asks for one OnWritable after a write found no room. Not asked for always: a unix socket
  // reports room after every message its peer reads, which would double the wake-ups.
  void WatchWritable(int fd, Source& source, bool on);

  // A buffer of kScratchSize bytes for reads that are consumed before the next co_await.
  static constexpr size_t kScratchSize = 64 * 1024;
  char* scratch() { return scratch_.get(); }

 private:
  friend class Timer;
  friend class TickEnd;
  void AddTimer(Timer& timer);
  void RemoveTimer(Timer& timer);
  void SiftUp(size_t index);
  void SiftDown(size_t index);
  void FireTimers();
  bool RunReady();
  bool RunTickEnds();
  void RunPosted();
  int WaitMs() const;

  const Clock& clock_;
  int epoll_fd_ = -1;
  bool stopping_ = false;
  std::vector<Timer*> timers_;  // a binary heap by at_
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<TickEnd*> tick_ends_;
  std::vector<Source*> batch_;  // sources of the events being delivered; Unregister clears entries
  std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::unique_ptr<char[]> scratch_;
};

}  // namespace paceline::io
