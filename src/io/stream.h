// io/stream.h - byte streams: TCP and unix sockets (Socket), TLS over them (io/tls.h), and what is
// built on both. Reading: `TryRead` first, `co_await WaitReadable` when it gave 0. Writing: through
// a Writer, which gathers what one tick appends into one system call. Threads: the loop's thread.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/sync.h"
#include "io/task.h"

struct iovec;

namespace paceline::io {

// "127.0.0.1:15306", "[::1]:15306", "host:port", or a path that begins with '/' for a unix socket.
struct Address {
  std::string host;
  uint16_t port = 0;
  std::string unix_path;

  bool is_unix() const { return !unix_path.empty(); }
  std::string ToString() const;
  static Address Unix(std::string path) { return {"", 0, std::move(path)}; }
  static Address Tcp(std::string host, uint16_t port) { return {std::move(host), port, ""}; }
};
// Errors: kInvalidArgument naming the text.
Result<Address> ParseAddress(std::string_view text);

class WritableListener {
 public:
  virtual ~WritableListener() = default;
  virtual void OnWritable() = 0;
};

class Socket;

class Stream {
 public:
  virtual ~Stream() = default;
  // Without waiting. 0: nothing there now. Errors: kUnavailable when the peer closed or the
  // connection broke.
  virtual Result<size_t> TryRead(char* buffer, size_t size) = 0;
  // Without waiting; takes what fits, 0 when nothing does: the listener is called when there is
  // room again.
  virtual Result<size_t> TryWrite(const iovec* parts, int count) = 0;
  virtual void SetWritableListener(WritableListener* listener) = 0;
  // kDone: TryRead may have something. kClosed: Shutdown was called. One reader at a time.
  virtual Task<Wake> WaitReadable(Deadline deadline) = 0;
  // Ends pending waits with kClosed and both directions at once. The object stays valid.
  virtual void Shutdown() = 0;
  virtual Socket& socket() = 0;

  // Reads at least one byte. Errors: kUnavailable, kDeadlineExceeded, kCanceled after Shutdown.
  Task<Result<size_t>> Read(char* buffer, size_t size, Deadline deadline);
  // Exactly `size` bytes.
  Task<Status> ReadFull(char* buffer, size_t size, Deadline deadline);
  // All of `data`. For handshakes and tools; a hot path uses a Writer.
  Task<Status> WriteAll(std::string_view data, Deadline deadline);
};
using StreamPtr = std::unique_ptr<Stream>;

class Socket final : public Stream, private Source {
 public:
  // Takes over a connected, non-blocking descriptor.
  Socket(Loop& loop, int fd);
  ~Socket() override;

  Result<size_t> TryRead(char* buffer, size_t size) override;
  Result<size_t> TryWrite(const iovec* parts, int count) override;
  void SetWritableListener(WritableListener* listener) override { listener_ = listener; }
  Task<Wake> WaitReadable(Deadline deadline) override;
  void Shutdown() override;
  Socket& socket() override { return *this; }

  // The same without a coroutine frame, for hot loops: `Wake wake = co_await
  // socket.Readable(deadline);`
  class ReadableAwaiter;
  ReadableAwaiter Readable(Deadline deadline);

  int fd() const { return fd_; }
  // "127.0.0.1:40312" or "unix".
  std::string PeerName() const;
  bool is_unix() const;
  // Gives the descriptor away; the object is shut down.
  int Release();

 private:
  void OnReadable(bool hangup) override;
  void OnWritable() override;
  static void OnTimer(void* self);
  void WakeReader(Wake how);

  Loop& loop_;
  int fd_;
  bool readable_ = true;
  bool hangup_ = false;
  bool shut_ = false;
  bool watching_writable_ = false;
  Wake wake_ = Wake::kDone;
  std::coroutine_handle<> reader_;
  Deadline reader_deadline_ = Deadline::Never();
  Timer timer_;
  WritableListener* listener_ = nullptr;
};

class Socket::ReadableAwaiter {
 public:
  ReadableAwaiter(Socket& socket, Deadline deadline) : socket_(socket), deadline_(deadline) {}
  bool await_ready() const { return socket_.readable_ && !socket_.shut_; }
  bool await_suspend(std::coroutine_handle<> handle);
  Wake await_resume() const { return suspended_ ? socket_.wake_ : immediate_; }

 private:
  Socket& socket_;
  Deadline deadline_;
  bool suspended_ = false;
  Wake immediate_ = Wake::kDone;
};
inline Socket::ReadableAwaiter Socket::Readable(Deadline deadline) {
  return ReadableAwaiter(*this, deadline);
}

// Gathers output and writes it at the end of the tick. After an error everything appended is
// dropped and `status` says why. The stream must outlive it.
class Writer final : private WritableListener, private TickEnd {
 public:
  explicit Writer(Stream& stream);
  ~Writer() override;

  void Append(std::string_view data);
  // For encoding in place: append to the string, then call Changed().
  std::string& buffer() { return buffer_; }
  void Changed();
  // Writes now what can be written without waiting.
  void FlushNow();
  // Bytes not yet taken by the kernel.
  size_t backlog() const { return buffer_.size() - written_; }
  const Status& status() const { return status_; }
  // Until backlog() <= bytes. Errors: kDeadlineExceeded, kUnavailable, kCanceled.
  Task<Status> WaitBelow(size_t bytes, Deadline deadline);
  Task<Status> Flush(Deadline deadline) { return WaitBelow(0, deadline); }
  // Ends waits with `status`.
  void Fail(Error error);

 private:
  void OnWritable() override { FlushNow(); }
  void OnTickEnd() override { FlushNow(); }
  Stream& stream_;
  std::string buffer_;
  size_t written_ = 0;
  Status status_;
  Event progress_;
};

// Errors: kUnavailable naming the address, kDeadlineExceeded.
Task<Result<std::unique_ptr<Socket>>> Connect(Address address, Deadline deadline);

// Two ends of one connection, close-on-exec, the first non-blocking: for a Socket here and a
// child's standard input or output. Errors: kResourceExhausted.
Result<std::pair<int, int>> MakeSocketPair();
class Listener final : private Source {
 public:
  // Errors: kAlreadyExists when the port is in use, naming it; kInvalidArgument.
  static Result<std::unique_ptr<Listener>> Listen(Loop& loop, const Address& address);
  ~Listener() override;
  // A connected descriptor, non-blocking, TCP_NODELAY set; wrap it in a Socket on the loop that
  // shall own it. Errors: kCanceled after Close.
  Task<Result<int>> Accept(Deadline deadline);
  void Close();
  uint16_t port() const { return port_; }

 private:
  Listener(Loop& loop, int fd, std::string unix_path);
  void OnReadable(bool hangup) override;
  void OnWritable() override {}
  Loop& loop_;
  int fd_;
  uint16_t port_ = 0;
  std::string unix_path_;
  bool closed_ = false;
  Event readable_;
};

}  // namespace paceline::io
