// topo/pending.h - the result of work on a foreign thread (SQLite's, gRPC's), awaited on a loop
// with a deadline. The work may outlast the wait: both hold the state. Threads: Wait on the loop,
// Complete anywhere, once, also after the loop's end.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <utility>

#include "io/loop.h"
#include "io/sync.h"

namespace paceline::topo {

template <class T>
class Pending : public std::enable_shared_from_this<Pending<T>> {
 public:
  explicit Pending(io::Loop& loop) : inbox_(loop.inbox()) {}

  void Complete(T value) {
    auto self = this->shared_from_this();
    auto kept = std::make_shared<T>(std::move(value));
    inbox_->Post([self, kept] {
      self->value_.emplace(std::move(*kept));
      self->done_.Set();
    });
  }
  // Empty when the deadline passed first; the work is then told so.
  io::Task<std::optional<T>> Wait(Deadline deadline) {
    auto self = this->shared_from_this();
    bool done = co_await done_.Wait(deadline);
    if (!done && !value_) abandoned_ = true;
    std::optional<T> value = std::move(value_);
    co_return value;
  }
  // True when nobody waits any more, so that work not yet begun need not begin.
  bool abandoned() const { return abandoned_; }

 private:
  std::shared_ptr<io::Inbox> inbox_;
  io::Event done_;
  std::optional<T> value_;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace paceline::topo
