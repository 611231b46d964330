#include "io/sync.h"

namespace paceline::io {

bool WaitList::Waiter::await_suspend(std::coroutine_handle<> handle) {
  Loop& loop = Loop::Current();
  if (!deadline_.never()) {
    if (deadline_.Passed(loop.Now())) {
      wake_ = Wake::kTimeout;
      return false;
    }
    timer_.Set(loop, deadline_.time());
  }
  handle_ = handle;
  previous_ = list_.tail_;
  (previous_ != nullptr ? previous_->next_ : list_.head_) = this;
  list_.tail_ = this;
  return true;
}

void WaitList::Waiter::Unlink() {
  (previous_ != nullptr ? previous_->next_ : list_.head_) = next_;
  (next_ != nullptr ? next_->previous_ : list_.tail_) = previous_;
  previous_ = next_ = nullptr;
}

void WaitList::Waiter::OnTimer(void* self) {
  auto* waiter = static_cast<Waiter*>(self);
  waiter->Unlink();
  waiter->wake_ = Wake::kTimeout;
  waiter->handle_.resume();
}

bool WaitList::WakeOne(Wake how) {
  Waiter* waiter = head_;
  if (waiter == nullptr) return false;
  waiter->Unlink();
  waiter->timer_.Cancel();
  waiter->wake_ = how;
  Loop::Current().Ready(waiter->handle_);
  return true;
}

void WaitList::WakeAll(Wake how) {
  while (WakeOne(how)) {
  }
}

Task<bool> Event::Wait(Deadline deadline) {
  if (set_) co_return true;
  Wake wake = co_await list_.Wait(deadline);
  co_return wake == Wake::kDone;
}

Task<bool> Gate::Close(Deadline deadline) {
  if (!closing_.set()) {
    closing_.Set();
    if (count_ == 0) left_.Set();
  }
  bool left = co_await left_.Wait(deadline);
  co_return left;
}

Task<bool> Sleep(Gate& gate, Deadline deadline) {
  bool closed = co_await gate.closing().Wait(deadline);
  co_return !closed;
}

Task<Status> Semaphore::Acquire(Deadline deadline) {
  if (closed_) co_return Fail(Code::kCanceled, "closed while waiting");
  if (permits_ > 0 && list_.empty()) {
    --permits_;
    co_return Status();
  }
  ++waiting_;
  Wake wake = co_await list_.Wait(deadline);  // Release hands its permit over directly
  --waiting_;
  if (wake == Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "timed out waiting in line");
  if (wake == Wake::kClosed) co_return Fail(Code::kCanceled, "closed while waiting");
  co_return Status();
}

void Semaphore::Release() {
  if (!list_.WakeOne(Wake::kDone)) ++permits_;
}

}  // namespace paceline::io
