// native/server.h - the tablet's end: accepts native connections and runs their calls on a
// QueryService. One loop accepts and hands connections round robin to the loops that serve; each
// connection lives on one of them, and its calls use that loop's service. Connections pinned for a
// client go back when its connection breaks. Threads: Listen and Close on the accepting loop.
// Lifetime: Close() before destroying; services and loops outlive it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "io/sync.h"
#include "io/tls.h"
#include "native/message.h"
#include "port/query_service.h"

namespace paceline::native {

struct ServerOptions {
  std::vector<io::Address> addresses;  // TCP and unix; port 0 chooses one
  record::TabletAlias tablet;
  std::string program = "vttablet";
  // For connections over TCP; those over a unix socket never leave the host. Null: none.
  std::shared_ptr<io::TlsContext> tls;
  size_t max_connections = 4096;  // of all loops
  size_t max_calls_per_connection = 16384;
  size_t max_statement_bytes = size_t{1} << 30;
  size_t max_gathered_bytes = size_t{2}
                              << 30;  // of statements of one connection that are still arriving
};

class Session;

class Server {
 public:
  struct Shard {
    io::Loop* loop;
    port::QueryService* service;
  };
  // Errors: kAlreadyExists when an address is in use, kInvalidArgument.
  static Result<std::unique_ptr<Server>> Listen(io::Loop& loop, std::vector<Shard> shards,
                                                ServerOptions options);
  ~Server();

  // Of the first TCP address.
  uint16_t port() const { return port_; }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }

  // Tells clients to go elsewhere; what runs goes on. Drain the service after it, then Close.
  void GoAway(std::string why);
  // Ends all connections. What their calls run is canceled.
  io::Task<void> Close();

 private:
  struct PerLoop;
  Server(io::Loop& loop, std::vector<Shard> shards, ServerOptions options);
  static io::Task<void> AcceptLoop(Server* self, io::Listener* listener, bool over_unix);
  static io::Task<void> Open(PerLoop* shard, int fd, bool over_unix);
  static io::Task<bool> CloseShard(PerLoop* shard);

  io::Loop& loop_;
  ServerOptions options_;
  Hello hello_;
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  std::vector<std::unique_ptr<PerLoop>> shards_;
  size_t next_shard_ = 0;
  std::atomic<size_t> connections_{0};
  io::Gate gate_;
};

}  // namespace paceline::native
