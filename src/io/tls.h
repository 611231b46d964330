// io/tls.h - TLS 1.2 and 1.3 by OpenSSL over memory buffers on a Socket.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "io/stream.h"

namespace paceline::io {

struct TlsOptions {
  std::string cert_file, key_file;  // PEM; required for a server
  std::string
      ca_file;  // verify the peer with it; empty: a server asks for none, a client trusts any
  bool require_peer_certificate = false;
  std::string server_name;  // client: SNI and the name to verify; empty: not verified
};

// Shared by connections; replace the shared_ptr to reload. Threads: any.
class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> Server(const TlsOptions& options);
  static Result<std::shared_ptr<TlsContext>> Client(const TlsOptions& options);
  ~TlsContext();
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  explicit TlsContext(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Performs the handshake on `socket`, whose bytes read so far by the caller (beyond the point where
// TLS starts) are given in `early`. Errors: kUnavailable, kDeadlineExceeded, kUnauthenticated with
// OpenSSL's reason.
Task<Result<StreamPtr>> TlsAccept(std::unique_ptr<Socket> socket,
                                  std::shared_ptr<TlsContext> context, std::string early,
                                  Deadline deadline);
Task<Result<StreamPtr>> TlsConnect(std::unique_ptr<Socket> socket,
                                   std::shared_ptr<TlsContext> context, Deadline deadline);
// Whether the stream is TLS, and the client certificate's subject (empty when none).
bool IsTls(Stream& stream);
std::string TlsPeerSubject(Stream& stream);

}  // namespace paceline::io
