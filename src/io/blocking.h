// io/blocking.h - work that blocks (SQLite, getaddrinfo, fsync, hashing of many bytes) on other
// threads.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "io/loop.h"
#include "io/task.h"

namespace paceline::io {

// A thread that runs what it is given in order. Destroying it finishes what was given and joins.
class Worker {
 public:
  explicit Worker(const char* name);
  ~Worker();
  Worker(const Worker&) = delete;
  // Any thread.
  void Post(std::function<void()> work);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Runs `work` on the shared pool of blocking threads (bounded at 16). Any thread.
void PostBlocking(std::function<void()> work);

namespace internal {
template <class T>
struct BlockingAwaiter {
  Worker* worker;  // null: the shared pool
  std::function<T()> work;
  std::optional<T> value;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    // A loop that has ended meanwhile resumes nobody; its thread may be long gone.
    auto run = [this, inbox = Loop::Current().inbox(), handle] {
      value.emplace(work());
      inbox->Post([handle] { handle.resume(); });
    };
    worker != nullptr ? worker->Post(run) : PostBlocking(run);
  }
  T await_resume() { return std::move(*value); }
};
}  // namespace internal

// `Result<X> x = co_await RunBlocking<Result<X>>(std::move(work));` The work itself must end in
// bounded time: it is waited for without a deadline, so that nothing it refers to goes away under
// it.
template <class T>
Task<T> RunBlocking(std::function<T()> work) {
  internal::BlockingAwaiter<T> awaiter{nullptr, std::move(work), std::nullopt};
  T value = co_await awaiter;
  co_return value;
}
template <class T>
Task<T> RunOn(Worker& worker, std::function<T()> work) {
  internal::BlockingAwaiter<T> awaiter{&worker, std::move(work), std::nullopt};
  T value = co_await awaiter;
  co_return value;
}

// Runs a coroutine on `loop` from a foreign thread and gives its value to `done` on the loop's
// thread.
template <class T>
void StartOn(Loop& loop, std::function<Task<T>()> make, std::function<void(T)> done);

// For mains and tests: runs the loop until the task has ended.
template <class T>
T RunUntilDone(Loop& loop, Task<T> task) {
  std::optional<T> value;
  struct Runner {
    static Task<void> Run(Loop& loop, Task<T> task, std::optional<T>& value) {
      T result = co_await task;
      value.emplace(std::move(result));
      loop.Stop();
    }
  };
  loop.Post([&] { Detach(Runner::Run(loop, std::move(task), value)); });
  loop.Run();
  return std::move(*value);
}

template <class T>
void StartOn(Loop& loop, std::function<Task<T>()> make, std::function<void(T)> done) {
  struct Runner {
    static Task<void> Run(std::function<Task<T>()> make, std::function<void(T)> done) {
      Task<T> task = make();
      T value = co_await task;
      done(std::move(value));
    }
  };
  loop.Post([make = std::move(make), done = std::move(done)] { Detach(Runner::Run(make, done)); });
}

}  // namespace paceline::io
