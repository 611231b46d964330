#include "io/signal.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/check.h"

namespace paceline::io {
namespace {

sigset_t SetOf(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : signals) sigaddset(&set, number);
  return set;
}

}  // namespace

void BlockSignals(std::initializer_list<int> signals) {
  sigset_t set = SetOf(signals);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  signal(SIGPIPE, SIG_IGN);
}

SignalWatch::SignalWatch(Loop& loop, std::initializer_list<int> signals) : loop_(loop) {
  BlockSignals(signals);
  sigset_t set = SetOf(signals);
  fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  CHECK(fd_ >= 0);
  CHECK(loop_.Register(fd_, *this).has_value());
}

SignalWatch::~SignalWatch() {
  loop_.Unregister(fd_, *this);
  close(fd_);
}

void SignalWatch::OnReadable(bool) {
  signalfd_siginfo info;
  while (read(fd_, &info, sizeof info) == sizeof info) pending_ = static_cast<int>(info.ssi_signo);
  if (pending_) arrived_.Set();
}

Task<std::optional<int>> SignalWatch::Wait(Deadline deadline) {
  bool arrived = co_await arrived_.Wait(deadline);
  arrived_.Reset();
  std::optional<int> number;
  if (arrived) number = std::exchange(pending_, std::nullopt);
  co_return number;
}

}  // namespace paceline::io
