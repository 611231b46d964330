#include "io/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace paceline::io {
namespace {

thread_local Loop* current_loop = nullptr;
constexpr int kEventsPerWait = 128;

}  // namespace

void Timer::Set(Loop& loop, Time at) {
  Cancel();
  loop_ = &loop;
  at_ = at;
  loop.AddTimer(*this);
}

void Timer::Cancel() {
  if (loop_ != nullptr) loop_->RemoveTimer(*this);
}

TickEnd::~TickEnd() {
  if (loop_ != nullptr) loop_->tick_ends_[index_] = nullptr;
}

Inbox::Inbox() : event_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK_MSG(event_fd_ >= 0, strerror(errno));
}

Inbox::~Inbox() { close(event_fd_); }

void Inbox::Post(std::function<void()> work) {
  bool first;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    first = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!first) return;
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(event_fd_, &one, sizeof one);
}

std::vector<std::function<void()>> Inbox::Take() {
  uint64_t count;
  [[maybe_unused]] ssize_t got = read(event_fd_, &count, sizeof count);
  std::lock_guard lock(mutex_);
  return std::exchange(posted_, {});
}

void Inbox::Close() {
  std::vector<std::function<void()>> dropped;  // destroyed without the lock: it may hold anything
  std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(posted_);
}

Loop::Loop(const Clock& clock) : clock_(clock), scratch_(new char[kScratchSize]) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  CHECK_MSG(epoll_fd_ >= 0, strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, inbox_->event_fd_, &event) == 0);
}

Loop::~Loop() {
  inbox_->Close();
  close(epoll_fd_);
}

Loop& Loop::Current() {
  CHECK(current_loop != nullptr);
  return *current_loop;
}

Loop* Loop::CurrentOrNull() { return current_loop; }

void Loop::Stop() {
  Post([this] { stopping_ = true; });
}

void Loop::AtTickEnd(TickEnd& work) {
  if (work.loop_ != nullptr) return;
  work.loop_ = this;
  work.index_ = tick_ends_.size();
  tick_ends_.push_back(&work);
}

Status Loop::Register(int fd, Source& source) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &source;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    return Fail(Code::kInternal, "epoll_ctl: {}", strerror(errno));
  }
  return {};
}

void Loop::WatchWritable(int fd, Source& source, bool on) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP | EPOLLET | (on ? uint32_t{EPOLLOUT} : 0u);
  event.data.ptr = &source;
  epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::Unregister(int fd, Source& source) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  std::replace(batch_.begin(), batch_.end(), &source, static_cast<Source*>(nullptr));
}

void Loop::Run() {
  CHECK(current_loop == nullptr);
  current_loop = this;
  stopping_ = false;
  epoll_event events[kEventsPerWait];
  while (!stopping_) {
    int count = epoll_wait(epoll_fd_, events, kEventsPerWait, WaitMs());
    CHECK_MSG(count >= 0 || errno == EINTR, strerror(errno));
    batch_.clear();
    for (int i = 0; i < count; ++i) batch_.push_back(static_cast<Source*>(events[i].data.ptr));
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr == nullptr) {
        RunPosted();
        continue;
      }
      constexpr uint32_t kHangup = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
      constexpr uint32_t kReadable = EPOLLIN | kHangup;
      constexpr uint32_t kWritable = EPOLLOUT | EPOLLHUP | EPOLLERR;
      if ((events[i].events & kWritable) && batch_[i] != nullptr) batch_[i]->OnWritable();
      if ((events[i].events & kReadable) && batch_[i] != nullptr) {
        batch_[i]->OnReadable((events[i].events & kHangup) != 0);
      }
    }
    batch_.clear();
    FireTimers();
    while (RunReady() || RunTickEnds()) {
    }
  }
  current_loop = nullptr;
}

int Loop::WaitMs() const {
  if (!ready_.empty() || !tick_ends_.empty()) return 0;
  if (timers_.empty()) return -1;
  Duration left = timers_[0]->at_ - clock_.Now();
  if (left <= Duration(0)) return 0;
  return static_cast<int>(std::min<int64_t>((left.count() + 999'999) / 1'000'000, 3'600'000));
}

void Loop::RunPosted() {
  for (auto& one : inbox_->Take()) one();
}

bool Loop::RunReady() {
  if (ready_.empty()) return false;
  std::vector<std::coroutine_handle<>> now;
  now.swap(ready_);
  for (auto handle : now) handle.resume();
  if (ready_.empty()) {  // keeps the larger buffer
    now.clear();
    ready_.swap(now);
  }
  return true;
}

bool Loop::RunTickEnds() {
  if (tick_ends_.empty()) return false;
  for (size_t i = 0; i < tick_ends_.size(); ++i) {
    TickEnd* work = tick_ends_[i];
    if (work == nullptr) continue;
    work->loop_ = nullptr;
    work->OnTickEnd();
  }
  tick_ends_.clear();
  return true;
}

void Loop::FireTimers() {
  if (timers_.empty()) return;
  Time now = clock_.Now();
  while (!timers_.empty() && timers_[0]->at_ <= now) {
    Timer* timer = timers_[0];
    RemoveTimer(*timer);
    timer->callback_(timer->context_);
  }
}

void Loop::AddTimer(Timer& timer) {
  timer.heap_index_ = timers_.size();
  timers_.push_back(&timer);
  SiftUp(timer.heap_index_);
}

void Loop::RemoveTimer(Timer& timer) {
  size_t index = timer.heap_index_;
  Timer* last = timers_.back();
  timers_.pop_back();
  timer.loop_ = nullptr;
  if (last == &timer) return;
  timers_[index] = last;
  last->heap_index_ = index;
  SiftUp(index);
  SiftDown(last->heap_index_);
}

void Loop::SiftUp(size_t index) {
  Timer* moving = timers_[index];
  while (index > 0) {
    size_t parent = (index - 1) / 2;
    if (timers_[parent]->at_ <= moving->at_) break;
    timers_[index] = timers_[parent];
    timers_[index]->heap_index_ = index;
    index = parent;
  }
  timers_[index] = moving;
  moving->heap_index_ = index;
}

void Loop::SiftDown(size_t index) {
  Timer* moving = timers_[index];
  for (;;) {
    size_t child = index * 2 + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1]->at_ < timers_[child]->at_) ++child;
    if (moving->at_ <= timers_[child]->at_) break;
    timers_[index] = timers_[child];
    timers_[index]->heap_index_ = index;
    index = child;
  }
  timers_[index] = moving;
  moving->heap_index_ = index;
}

}  // namespace paceline::io
