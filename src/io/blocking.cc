#include "io/blocking.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace paceline::io {

struct Worker::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> work;
  bool stopping = false;
  std::thread thread;
};

Worker::Worker(const char* name) : state_(std::make_shared<State>()) {
  state_->thread = std::thread([state = state_.get()] {
    std::unique_lock lock(state->mutex);
    for (;;) {
      state->changed.wait(lock, [state] { return state->stopping || !state->work.empty(); });
      if (state->work.empty()) return;
      std::function<void()> next = std::move(state->work.front());
      state->work.pop_front();
      lock.unlock();
      next();
      next = nullptr;
      lock.lock();
    }
  });
  pthread_setname_np(state_->thread.native_handle(), name);
}

Worker::~Worker() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Worker::Post(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->work.push_back(std::move(work));
  }
  state_->changed.notify_one();
}

void PostBlocking(std::function<void()> work) {
  constexpr size_t kThreads = 16;
  struct Pool {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> work;
    size_t threads = 0;
    size_t idle = 0;
    void Serve() {
      std::unique_lock lock(mutex);
      for (;;) {
        ++idle;
        changed.wait(lock, [this] { return !work.empty(); });
        --idle;
        std::function<void()> next = std::move(work.front());
        work.pop_front();
        lock.unlock();
        next();
        next = nullptr;
        lock.lock();
      }
    }
  };
  static Pool* pool = new Pool;  // its threads live as long as the process
  std::lock_guard lock(pool->mutex);
  pool->work.push_back(std::move(work));
  if (pool->idle < pool->work.size() && pool->threads < kThreads) {
    ++pool->threads;
    std::thread([] { pool->Serve(); }).detach();
  } else {
    pool->changed.notify_one();
  }
}

}  // namespace paceline::io
