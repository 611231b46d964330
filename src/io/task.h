// io/task.h - Task<T>: a coroutine with one owner that starts when awaited. Values and Errors come
// back by co_return; no exception crosses it. Threads: made, awaited and finished on one loop's
// thread.
//
// How the stack stays flat without symmetric transfer (gcc gives no tail calls at -O0): awaiting a
// Task runs it at once as a nested call; if it finishes there, the awaiting coroutine just goes on.
// If it suspends, its completion resumes the awaiting coroutine from whatever event finished it.
// Primitives that wake others (io/sync.h) go through the loop's ready list, so wake-up chains do
// not nest.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/error.h"

namespace paceline::io {

template <class T>
class [[nodiscard]] Task;

namespace internal {

struct TaskPromiseBase {
  std::coroutine_handle<> awaiting;
  bool inside_await = false;

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      TaskPromiseBase& promise = handle.promise();
      if (!promise.inside_await && promise.awaiting) promise.awaiting.resume();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() {}
};

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> awaiting) {
    promise_type& promise = handle_.promise();
    promise.awaiting = awaiting;
    promise.inside_await = true;
    handle_.resume();
    if (handle_.done()) return false;
    promise.inside_await = false;
    return true;
  }
  T await_resume() {
    if constexpr (!std::is_void_v<T>) return std::move(*handle_.promise().value);
  }

 private:
  Handle handle_;
};

template <class T>
Task<T> internal::TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> internal::TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

// Starts `task` now and lets it run to its end by itself; its frame frees itself. The owner of what
// it uses holds a Gate pass (io/sync.h) or outlives the loop.
inline void Detach(Task<void> task) {
  struct Runner {
    struct promise_type {
      Runner get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
    };
    static Runner Run(Task<void> owned) { co_await owned; }
  };
  Runner::Run(std::move(task));
}

}  // namespace paceline::io
