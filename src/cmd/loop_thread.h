// cmd/loop_thread.h - a thread that runs a loop. Threads: made and destroyed on the main thread.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "io/blocking.h"
#include "io/loop.h"

namespace paceline::cmd {

// Runs the coroutine that `make` gives on `loop` and waits for it from a coroutine of another loop.
template <class T>
io::Task<T> CallOn(io::Loop& loop, std::function<io::Task<T>()> make) {
  struct Awaiter {
    io::Loop& there;
    io::Loop& here;
    std::function<io::Task<T>()> make;
    std::optional<T> value;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      std::function<void(T)> done = [this, handle](T result) {
        io::Loop& back = here;
        value.emplace(std::move(result));
        back.Post([handle] { handle.resume(); });
      };
      io::StartOn<T>(there, std::move(make), std::move(done));
    }
    T await_resume() { return std::move(*value); }
  };
  Awaiter awaiter{loop, io::Loop::Current(), std::move(make), std::nullopt};
  T result = co_await awaiter;
  co_return result;
}

class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.Run(); }) {}
  ~LoopThread() {
    loop_.Stop();
    thread_.join();
  }
  io::Loop& loop() { return loop_; }

 private:
  io::Loop loop_;
  std::thread thread_;
};

// The count a process takes when none is given (DESIGN section 5).
inline size_t DefaultThreads() {
  size_t cores = std::thread::hardware_concurrency();
  return std::min<size_t>(4, std::max<size_t>(1, cores / 4));
}

}  // namespace paceline::cmd
