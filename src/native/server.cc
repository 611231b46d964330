#include "native/server.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "io/blocking.h"
#include "native/session.h"

namespace paceline::native {
namespace {

constexpr Duration kTlsTime = std::chrono::seconds(5);

}  // namespace

// What lives on one serving loop. Only that loop's thread touches `sessions` and `gate`.
struct Server::PerLoop {
  Server* server;
  io::Loop* loop;
  port::QueryService* service;
  std::vector<Session*> sessions;
  bool closing = false;
  io::Gate gate;
};

Server::Server(io::Loop& loop, std::vector<Shard> shards, ServerOptions options)
    : loop_(loop), options_(std::move(options)) {
  CHECK(!shards.empty());
  for (const Shard& shard : shards) {
    auto per_loop = std::make_unique<PerLoop>();
    per_loop->server = this;
    per_loop->loop = shard.loop;
    per_loop->service = shard.service;
    shards_.push_back(std::move(per_loop));
  }
  hello_.tablet = options_.tablet;
  hello_.program = options_.program;
  hello_.instance = ThreadRng().Next();
}

Server::~Server() { CHECK_MSG(gate_.count() == 0, "native::Server destroyed before Close"); }

Result<std::unique_ptr<Server>> Server::Listen(io::Loop& loop, std::vector<Shard> shards,
                                               ServerOptions options) {
  std::unique_ptr<Server> server(new Server(loop, std::move(shards), std::move(options)));
  for (const io::Address& address : server->options_.addresses) {
    ASSIGN_OR_RETURN(std::unique_ptr<io::Listener> listener, io::Listener::Listen(loop, address));
    if (address.is_unix()) {
      server->hello_.unix_path = address.unix_path;
    } else if (server->port_ == 0) {
      server->port_ = listener->port();
    }
    server->listeners_.push_back(std::move(listener));
  }
  for (size_t i = 0; i < server->listeners_.size(); ++i) {
    const bool over_unix = server->options_.addresses[i].is_unix();
    loop.Post([self = server.get(), one = server->listeners_[i].get(), over_unix] {
      io::Detach(AcceptLoop(self, one, over_unix));
    });
  }
  return server;
}

io::Task<void> Server::AcceptLoop(Server* self, io::Listener* listener, bool over_unix) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  for (;;) {
    Result<int> fd = co_await listener->Accept(Deadline::Never());
    if (!fd) {
      if (fd.error().code() == Code::kCanceled) co_return;
      LOG_ERROR("native: accepting: {}", fd.error().message());
      Deadline pause = Deadline::After(self->loop_.clock(), std::chrono::milliseconds(100));
      bool open = co_await io::Sleep(self->gate_, pause);
      if (!open) co_return;
      continue;
    }
    PerLoop* shard = self->shards_[self->next_shard_++ % self->shards_.size()].get();
    int accepted = *fd;
    shard->loop->Post(
        [shard, accepted, over_unix] { io::Detach(Open(shard, accepted, over_unix)); });
  }
}

// One connection, from its handshake to its end.
io::Task<void> Server::Open(PerLoop* shard, int fd, bool over_unix) {
  auto socket = std::make_unique<io::Socket>(*shard->loop, fd);
  Server* server = shard->server;
  std::optional<io::Gate::Pass> pass = shard->gate.Enter();
  if (!pass || shard->closing ||
      server->connections_.load(std::memory_order_relaxed) >= server->options_.max_connections) {
    LOG_WARNING("native: connection refused: {}", !pass || shard->closing ? "closing" : "too many");
    co_return;
  }
  server->connections_.fetch_add(1, std::memory_order_relaxed);
  io::StreamPtr stream;
  if (over_unix || server->options_.tls == nullptr) {
    stream = std::move(socket);
  } else {
    std::string peer = socket->PeerName();
    Deadline deadline = Deadline::After(shard->loop->clock(), kTlsTime);
    Result<io::StreamPtr> secured =
        co_await io::TlsAccept(std::move(socket), server->options_.tls, "", deadline);
    if (secured) {
      stream = std::move(*secured);
    } else {
      LOG_WARNING("native: {} was refused: {}", peer, secured.error().message());
    }
  }
  if (stream != nullptr && !shard->closing) {
    auto session = std::make_unique<Session>(std::move(stream), *shard->service, server->options_,
                                             server->hello_);
    shard->sessions.push_back(session.get());
    Status ended = co_await session->Run();
    LOG_DEBUG("native: connection ended: {}", ended.error().message());
    std::erase(shard->sessions, session.get());
  }
  server->connections_.fetch_sub(1, std::memory_order_relaxed);
}

void Server::GoAway(std::string why) {
  for (auto& shard : shards_) {
    shard->loop->Post([shard = shard.get(), why] {
      for (Session* session : shard->sessions) session->GoAway(why);
    });
  }
}

io::Task<bool> Server::CloseShard(PerLoop* shard) {
  shard->closing = true;
  for (Session* session : shard->sessions) session->Shutdown();
  bool left = co_await shard->gate.Close(Deadline::Never());
  co_return left;
}

io::Task<void> Server::Close() {
  for (auto& listener : listeners_) listener->Close();
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
  listeners_.clear();
  size_t open = shards_.size();
  io::Event all_closed;
  io::Loop* home = &loop_;
  for (auto& shard : shards_) {
    PerLoop* one = shard.get();
    std::function<io::Task<bool>()> close = [one] { return CloseShard(one); };
    std::function<void(bool)> done = [home, &open, &all_closed](bool) {
      home->Post([&open, &all_closed] {
        if (--open == 0) all_closed.Set();
      });
    };
    io::StartOn(*one->loop, std::move(close), std::move(done));
  }
  [[maybe_unused]] bool closed = co_await all_closed.Wait(Deadline::Never());
}

}  // namespace paceline::native
