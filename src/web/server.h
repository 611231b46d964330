// web/server.h - an HTTP/1.1 server for people, monitors and probes; not for data. Connections live
// on a thread of its own, handlers run on the given loop. Plain text: behind a proxy for TLS and
// access. Threads: made, used and stopped on the loop's thread, or while the loop does not run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "web/doorway.h"
#include "web/http.h"

namespace paceline::web {

struct Limits {
  size_t header_bytes = 16 * 1024;  // beyond: 431
  size_t body_bytes = 1024 * 1024;  // beyond: 413
  size_t connections = 256;         // beyond: 503 at once
  Duration receive = 15s;           // a request must be here whole, however slowly it drips
  Duration idle = 75s;              // between two requests of one connection
  Duration handle = 30s;            // beyond: 504
  Duration send = 30s;
};

struct ServerOptions {
  std::string address;  // empty: all, IPv6 too; else an address or "localhost"
  uint16_t port = 0;    // 0: any free one
  Limits limits;
  std::optional<Doorway> doorway = std::nullopt;  // none: everybody may ask for everything
};

class Server {
 public:
  Server(io::Loop& loop, ServerOptions options);
  // Stops.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // GET and HEAD of `path`. One that ends in '/' (other than "/") takes all below it; the longest
  // wins, and an exact one before. A later route takes the place of an earlier one.
  void Route(std::string path, Handler handler);
  void RoutePost(std::string path, Handler handler);

  // Errors: kAlreadyExists when the port is in use, naming it; kInvalidArgument, kUnavailable.
  Status Start();
  // Closes all connections and waits for the thread, which never waits itself. Handlers that have
  // not begun do not run any more.
  void Stop();
  // Known after Start.
  uint16_t port() const;
  io::Loop& loop() const { return loop_; }

 private:
  struct Shared;
  io::Loop& loop_;
  ServerOptions options_;
  std::shared_ptr<Shared> shared_;
  std::unique_ptr<class Transport> transport_;
};

}  // namespace paceline::web
