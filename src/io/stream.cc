#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>

#include "base/check.h"

namespace paceline::io {

Task<Result<size_t>> Stream::Read(char* buffer, size_t size, Deadline deadline) {
  for (;;) {
    Result<size_t> got = TryRead(buffer, size);
    if (!got || *got > 0) co_return got;
    Wake wake = co_await WaitReadable(deadline);
    if (wake == Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "timed out reading");
    if (wake == Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
  }
}

Task<Status> Stream::ReadFull(char* buffer, size_t size, Deadline deadline) {
  while (size > 0) {
    Result<size_t> got = co_await Read(buffer, size, deadline);
    if (!got) co_return Fail(got.error());
    buffer += *got;
    size -= *got;
  }
  co_return Status();
}

Task<Status> Stream::WriteAll(std::string_view data, Deadline deadline) {
  Writer writer(*this);
  writer.Append(data);
  writer.FlushNow();
  Status flushed = co_await writer.Flush(deadline);
  co_return flushed;
}

Socket::Socket(Loop& loop, int fd) : loop_(loop), fd_(fd), timer_(&Socket::OnTimer, this) {
  Status registered = loop_.Register(fd_, *this);
  CHECK_MSG(registered.has_value(), registered ? "" : registered.error().message());
}

Socket::~Socket() {
  CHECK_MSG(!reader_, "a Socket was destroyed under its reader");
  if (fd_ >= 0) {
    loop_.Unregister(fd_, *this);
    close(fd_);
  }
}

int Socket::Release() {
  int fd = fd_;
  loop_.Unregister(fd_, *this);
  fd_ = -1;
  Shutdown();
  return fd;
}

Result<size_t> Socket::TryRead(char* buffer, size_t size) {
  if (shut_) return ::paceline::Fail(Code::kCanceled, "connection was shut down");
  for (;;) {
    ssize_t got = recv(fd_, buffer, size, MSG_DONTWAIT);
    if (got > 0) {
      if (static_cast<size_t>(got) < size && !hangup_) readable_ = false;
      return static_cast<size_t>(got);
    }
    if (got == 0) return ::paceline::Fail(Code::kUnavailable, "connection closed by the peer");
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      readable_ = false;
      return size_t{0};
    }
    return ::paceline::Fail(Code::kUnavailable, "connection lost: {}", strerror(errno));
  }
}

Result<size_t> Socket::TryWrite(const iovec* parts, int count) {
  if (shut_) return ::paceline::Fail(Code::kCanceled, "connection was shut down");
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  size_t wanted = 0;
  for (int i = 0; i < count; ++i) wanted += parts[i].iov_len;
  ssize_t put;
  do {
    put = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (put < 0 && errno == EINTR);
  if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
    return ::paceline::Fail(Code::kUnavailable, "connection lost: {}", strerror(errno));
  }
  size_t taken = put < 0 ? 0 : static_cast<size_t>(put);
  if (taken < wanted && !watching_writable_) {
    watching_writable_ = true;
    loop_.WatchWritable(fd_, *this, true);
  }
  return taken;
}

bool Socket::ReadableAwaiter::await_suspend(std::coroutine_handle<> handle) {
  if (socket_.shut_) {
    immediate_ = Wake::kClosed;
    return false;
  }
  CHECK_MSG(!socket_.reader_, "two readers on one Socket");
  if (!deadline_.never()) {
    // A timer set for an earlier time stays as it is and sets itself again when it fires: most
    // waits end long before.
    bool later = socket_.timer_.armed() && socket_.timer_.at() <= deadline_.time();
    if (!later) {
      if (deadline_.Passed(socket_.loop_.Now())) {
        immediate_ = Wake::kTimeout;
        return false;
      }
      socket_.timer_.Set(socket_.loop_, deadline_.time());
    }
  }
  socket_.reader_deadline_ = deadline_;
  socket_.reader_ = handle;
  suspended_ = true;
  return true;
}

Task<Wake> Socket::WaitReadable(Deadline deadline) {
  Wake wake = co_await Readable(deadline);
  co_return wake;
}

void Socket::WakeReader(Wake how) {
  wake_ = how;
  std::exchange(reader_, {}).resume();
}

void Socket::OnTimer(void* self) {
  auto* socket = static_cast<Socket*>(self);
  if (!socket->reader_ || socket->reader_deadline_.never()) return;
  if (socket->reader_deadline_.Passed(socket->loop_.Now())) {
    socket->WakeReader(Wake::kTimeout);
  } else {
    socket->timer_.Set(socket->loop_, socket->reader_deadline_.time());
  }
}

void Socket::OnReadable(bool hangup) {
  readable_ = true;
  hangup_ = hangup_ || hangup;
  if (reader_) WakeReader(Wake::kDone);
}

void Socket::OnWritable() {
  if (watching_writable_) {
    watching_writable_ = false;
    loop_.WatchWritable(fd_, *this, false);
  }
  if (listener_ != nullptr) listener_->OnWritable();
}

void Socket::Shutdown() {
  if (shut_) return;
  shut_ = true;
  if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
  if (reader_) {
    wake_ = Wake::kClosed;
    loop_.Ready(std::exchange(reader_, {}));
  }
}

Writer::Writer(Stream& stream) : stream_(stream) { stream_.SetWritableListener(this); }

Writer::~Writer() { stream_.SetWritableListener(nullptr); }

void Writer::Append(std::string_view data) {
  if (!status_) return;
  buffer_.append(data);
  Loop::Current().AtTickEnd(*this);
}

void Writer::Changed() {
  if (status_) Loop::Current().AtTickEnd(*this);
}

void Writer::FlushNow() {
  while (status_ && written_ < buffer_.size()) {
    iovec part{buffer_.data() + written_, buffer_.size() - written_};
    Result<size_t> put = stream_.TryWrite(&part, 1);
    if (!put) {
      Fail(put.error());
      return;
    }
    written_ += *put;
    if (*put < part.iov_len) break;
  }
  if (written_ == buffer_.size()) {
    constexpr size_t kKeep = 256 * 1024;
    if (buffer_.capacity() > kKeep) {
      std::string().swap(buffer_);
    } else {
      buffer_.clear();
    }
    written_ = 0;
  } else if (written_ > 1024 * 1024) {
    buffer_.erase(0, written_);
    written_ = 0;
  }
  progress_.Pulse();
}

void Writer::Fail(Error error) {
  if (status_) status_ = ::paceline::Fail(std::move(error));
  buffer_.clear();
  written_ = 0;
  progress_.Pulse();
}

Task<Status> Writer::WaitBelow(size_t bytes, Deadline deadline) {
  if (backlog() > bytes) FlushNow();
  while (status_ && backlog() > bytes) {
    bool pulsed = co_await progress_.Wait(deadline);
    if (!pulsed) co_return ::paceline::Fail(Code::kDeadlineExceeded, "timed out writing");
  }
  co_return status_;
}

Result<std::pair<int, int>> MakeSocketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return Fail(Code::kResourceExhausted, "socketpair: {}", strerror(errno));
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return std::pair(ends[0], ends[1]);
}

}  // namespace paceline::io
