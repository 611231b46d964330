// web/transport.h - the server's connections on their own thread; only web/server.cc uses it, so
// that one source file alone pays for Beast.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.h"
#include "web/http.h"
#include "web/server.h"

namespace paceline::web {

class Transport {
 public:
  // Called on the transport's thread with each whole and well-formed request.
  using OnRequest = std::function<void(Request, Completion)>;

  static Result<std::unique_ptr<Transport>> Start(const ServerOptions& options,
                                                  OnRequest on_request);
  // Closes all and joins the thread; on_request is not called any more.
  ~Transport();
  uint16_t port() const;

  struct State;

 private:
  explicit Transport(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace paceline::web
