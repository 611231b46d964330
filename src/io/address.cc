#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/stream.h"

namespace paceline::io {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Result<SocketAddress> UnixAddress(const std::string& path) {
  SocketAddress out;
  auto* address = reinterpret_cast<sockaddr_un*>(&out.storage);
  if (path.size() >= sizeof address->sun_path) {
    return Fail(Code::kInvalidArgument, "socket path is longer than {} bytes: {}",
                sizeof address->sun_path - 1, path);
  }
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path.c_str(), path.size() + 1);
  out.size = sizeof *address;
  return out;
}

Result<SocketAddress> Resolve(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  std::string service = std::to_string(port);
  int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), service.c_str(), &hints, &found);
  if (error != 0)
    return Fail(Code::kUnavailable, "cannot resolve {}: {}", host, gai_strerror(error));
  SocketAddress out;
  memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  out.size = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

// A peer that vanished without a word (power, a cut network) is found within a minute while nothing
// is under way, and one that takes nothing of what is sent within five; mysqld gives up a reader
// after one (net_write_timeout).
constexpr int kIdleBeforeProbeSeconds = 30, kProbeEverySeconds = 10, kProbes = 3;
constexpr int kUntakenMaxMs = 300'000;

void PrepareTcp(int fd) {
  auto set = [fd](int level, int option, int value) {
    setsockopt(fd, level, option, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kIdleBeforeProbeSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kProbeEverySeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUntakenMaxMs);
}

std::string PeerText(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (storage.ss_family == AF_INET) {
    auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4.sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(v6.sin6_port));
  }
  return "unix";
}

// Becomes set when a non-blocking connect has ended, one way or the other.
class ConnectWatch final : private Source {
 public:
  ConnectWatch(Loop& loop, int fd) : loop_(loop), fd_(fd) {
    registered_ = loop_.Register(fd_, *this).has_value();
    if (registered_) loop_.WatchWritable(fd_, *this, true);
  }
  ~ConnectWatch() override {
    if (registered_) loop_.Unregister(fd_, *this);
  }
  Event ended;

 private:
  void OnReadable(bool) override { ended.Set(); }
  void OnWritable() override { ended.Set(); }
  Loop& loop_;
  int fd_;
  bool registered_;
};

}  // namespace

std::string Address::ToString() const {
  if (is_unix()) return unix_path;
  return host.find(':') != std::string::npos ? fmt::format("[{}]:{}", host, port)
                                             : fmt::format("{}:{}", host, port);
}

Result<Address> ParseAddress(std::string_view text) {
  if (!text.empty() && text[0] == '/') return Address::Unix(std::string(text));
  size_t colon = text.rfind(':');
  std::optional<uint64_t> port;
  if (colon != std::string_view::npos) port = ParseUint(text.substr(colon + 1));
  if (!port || *port > 65535) {
    return Fail(Code::kInvalidArgument, "malformed address \"{}\": expected host:port or /path",
                text);
  }
  std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return Address::Tcp(std::string(host), static_cast<uint16_t>(*port));
}

std::string Socket::PeerName() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(fd_, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return "?";
  return PeerText(storage);
}

bool Socket::is_unix() const {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  return getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size) == 0 &&
         storage.ss_family == AF_UNIX;
}

Task<Result<std::unique_ptr<Socket>>> Connect(Address address, Deadline deadline) {
  Result<SocketAddress> target = SocketAddress();
  if (address.is_unix()) {
    target = UnixAddress(address.unix_path);
  } else {
    target = Resolve(address.host, address.port, AI_NUMERICHOST);
    if (!target) {
      std::function<Result<SocketAddress>()> resolve = [address] {
        return Resolve(address.host, address.port, AI_ADDRCONFIG);
      };
      target = co_await RunBlocking<Result<SocketAddress>>(std::move(resolve));
    }
  }
  if (!target) co_return Fail(target.error());
  int fd = socket(target->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) co_return Fail(Code::kResourceExhausted, "socket: {}", strerror(errno));
  int error = connect(fd, target->get(), target->size) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    ConnectWatch watch(Loop::Current(), fd);
    bool ended = co_await watch.ended.Wait(deadline);
    if (!ended) {
      error = ETIMEDOUT;
    } else {
      socklen_t size = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
  }
  if (error != 0) {
    close(fd);
    Code code = error == ETIMEDOUT ? Code::kDeadlineExceeded : Code::kUnavailable;
    co_return Fail(code, "cannot connect to {}: {}", address.ToString(), strerror(error));
  }
  if (!address.is_unix()) PrepareTcp(fd);
  co_return std::make_unique<Socket>(Loop::Current(), fd);
}

Result<std::unique_ptr<Listener>> Listener::Listen(Loop& loop, const Address& address) {
  SocketAddress target;
  if (address.is_unix()) {
    ASSIGN_OR_RETURN(target, UnixAddress(address.unix_path));
  } else {
    ASSIGN_OR_RETURN(target, Resolve(address.host, address.port, AI_PASSIVE));
  }
  int fd = socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return Fail(Code::kResourceExhausted, "socket: {}", strerror(errno));
  int one = 1;
  if (!address.is_unix()) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  bool bound = bind(fd, target.get(), target.size) == 0;
  if (!bound && errno == EADDRINUSE && address.is_unix()) {
    // A socket file whose owner is gone refuses connections; one that answers belongs to a living
    // process.
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = connect(probe, target.get(), target.size) == 0;
    close(probe);
    if (!alive) {
      unlink(address.unix_path.c_str());
      bound = bind(fd, target.get(), target.size) == 0;
    } else {
      errno = EADDRINUSE;
    }
  }
  if (!bound || listen(fd, 1024) != 0) {
    int error = errno;
    close(fd);
    if (error == EADDRINUSE) {
      return Fail(Code::kAlreadyExists,
                  "{} is in use by another process: stop it or choose another port",
                  address.ToString());
    }
    return Fail(Code::kInvalidArgument, "cannot listen on {}: {}", address.ToString(),
                strerror(error));
  }
  std::unique_ptr<Listener> listener(new Listener(loop, fd, address.unix_path));
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  if (name.ss_family == AF_INET)
    listener->port_ = ntohs(reinterpret_cast<sockaddr_in&>(name).sin_port);
  if (name.ss_family == AF_INET6)
    listener->port_ = ntohs(reinterpret_cast<sockaddr_in6&>(name).sin6_port);
  RETURN_IF_ERROR(loop.Register(fd, *listener));
  return listener;
}

Listener::Listener(Loop& loop, int fd, std::string unix_path)
    : loop_(loop), fd_(fd), unix_path_(std::move(unix_path)) {}

Listener::~Listener() { Close(); }

void Listener::OnReadable(bool) { readable_.Set(); }

void Listener::Close() {
  if (closed_) return;
  closed_ = true;
  loop_.Unregister(fd_, *this);
  close(fd_);
  if (!unix_path_.empty()) unlink(unix_path_.c_str());
  if (Loop::CurrentOrNull() != nullptr) readable_.Set();
}

Task<Result<int>> Listener::Accept(Deadline deadline) {
  for (;;) {
    if (closed_) co_return Fail(Code::kCanceled, "listener was closed");
    int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      if (unix_path_.empty()) PrepareTcp(fd);
      co_return fd;
    }
    Deadline until = deadline;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // Out of descriptors: the pending connection stays in the backlog and gives no new edge, so
      // look again soon.
      until = deadline.EarlierOf(Deadline::After(Loop::Current().clock(), 50ms));
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      continue;  // that one connection failed before it was taken
    }
    readable_.Reset();
    bool ready = co_await readable_.Wait(until);
    if (!ready && deadline.Passed(Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "nobody connected");
    }
  }
}

}  // namespace paceline::io
