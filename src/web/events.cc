#include "web/events.h"

#include <utility>

namespace paceline::web {

bool EventStream::Send(std::string_view event, std::string_view data) {
  std::function<void()> wake;
  bool sent = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    if (pending_.size() + data.size() > kBacklogMax && !pending_.empty()) {
      closed_ = true;
      pending_.clear();
    } else {
      pending_.append("event: ").append(event).append("\ndata: ").append(data).append("\n\n");
      sent = true;
    }
    wake = wake_;
  }
  if (wake) wake();
  return sent;
}

void EventStream::Close() {
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    wake = wake_;
  }
  if (wake) wake();
}

bool EventStream::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

void EventStream::Attach(std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  wake_ = std::move(wake);
}

std::string EventStream::Take() {
  std::lock_guard lock(mutex_);
  return std::exchange(pending_, {});
}

void EventStream::Detach() {
  std::lock_guard lock(mutex_);
  wake_ = nullptr;
  pending_.clear();
  closed_ = true;
}

}  // namespace paceline::web
