#include "rpc/health_fan.h"

#include "query.pb.h"
#include "rpc/query_messages.h"

namespace paceline::rpc {

void HealthFan::OnHealth(const port::TabletHealth& health) {
  kept_.push_back(health);
  ++next_;
  if (kept_.size() > kKept) kept_.pop_front();
  changed_.Pulse();
}

io::Task<void> HealthFan::Pump(std::shared_ptr<HealthFan> fan) {
  Status status = co_await fan->service_.StreamHealth(*fan, Deadline::Never());
  fan->pumping_ = false;
  fan->kept_.clear();
  fan->ended_ = status ? Fail(Code::kUnavailable, "the tablet's health stream ended") : status;
  fan->changed_.Pulse();
}

io::Task<Status> HealthFan::Serve(std::shared_ptr<HealthFan> fan, ServerCall& call) {
  call.OnCancel([fan] { fan->changed_.Pulse(); });
  uint64_t at = fan->kept_.empty() ? fan->next_ : fan->next_ - 1;
  if (!fan->pumping_) {
    fan->pumping_ = true;
    io::Detach(Pump(fan));
  }
  for (;;) {
    if (call.canceled()) co_return Fail(Code::kCanceled, "the subscriber has gone");
    if (at == fan->next_) {
      if (!fan->pumping_) co_return fan->ended_;
      bool woken = co_await fan->changed_.Wait(call.deadline());
      if (!woken) co_return Fail(Code::kDeadlineExceeded, "the subscription's time is over");
      continue;
    }
    uint64_t first = fan->next_ - fan->kept_.size();
    if (fan->kept_.empty()) {
      at = fan->next_;
      continue;
    }
    if (at < first) at = fan->next_ - 1;
    query::StreamHealthResponse message;
    ToProto(fan->kept_[at - first], &message);
    ++at;
    Status sent = co_await call.Send(message);
    if (!sent) co_return sent;
  }
}

}  // namespace paceline::rpc
