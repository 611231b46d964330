// mysql/wire/client_handshake.h - the client's side of the connection phase as a machine without
// sockets. Speaks mysql_native_password, caching_sha2_password (fast, and in full over TLS, a unix
// socket or RSA), sha256_password and, over a secure transport only, mysql_clear_password. Threads:
// one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mysql/wire/capabilities.h"
#include "mysql/wire/handshake_packets.h"
#include "mysql/wire/terminator.h"

namespace paceline::mysql::wire {

enum class TlsMode : uint8_t { kOff, kPreferred, kRequired };

struct ClientHandshakeOptions {
  std::string user;
  std::string password;
  std::string database;
  // Asked for; what the server lacks is dropped, except DEPRECATE_EOF, without which the login is
  // refused.
  Capabilities capabilities = kBackendCapabilities;
  uint8_t charset = 45;
  TlsMode tls = TlsMode::kOff;
  bool unix_socket = false;
  ConnectAttributes attributes = {{"_client_name", "paceline"}};
};

class ClientHandshake {
 public:
  enum class Step : uint8_t {
    kRead,      // write the output, read a packet, call OnPacket
    kStartTls,  // write the output, upgrade the transport, call OnTls
    kDone,
    kFailed,  // close; error() says why
  };

  explicit ClientHandshake(ClientHandshakeOptions options);

  Step OnPacket(std::string_view body, uint8_t sequence);
  Step OnTls();
  // In the command phase, instead of the greeting: COM_CHANGE_USER to `options` on a connection
  // made by `before`.
  Step StartChangeUser(const ClientHandshake& before);

  std::string TakeOutput() { return std::move(output_); }
  const Greeting& greeting() const { return greeting_; }
  // What both sides have.
  Capabilities capabilities() const { return capabilities_; }
  // The OK that ended a good login.
  const Terminator& ok() const { return ok_; }
  // REQUIRES: the last step was kFailed. kUnauthenticated where the server refused us, with its
  // errno.
  const Error& error() const { return *error_; }

 private:
  enum class State : uint8_t { kGreeting, kTls, kAnswer, kPublicKey, kEnded };

  Step OnGreeting(std::string_view body);
  Step OnAnswer(std::string_view body);
  Step OnMoreData(std::string_view data);
  Step SendLogin();
  // The answer to `plugin` with the present salt; an error when we do not speak it.
  Result<std::string> Answer(std::string_view plugin) const;
  Step Failed(Error error);
  void Send(std::string_view body);
  bool secure() const { return tls_ || options_.unix_socket; }

  ClientHandshakeOptions options_;
  State state_ = State::kGreeting;
  uint8_t sequence_ = 0;
  bool tls_ = false;
  std::string output_;
  Greeting greeting_;
  Capabilities capabilities_ = 0;
  std::string plugin_;
  std::string salt_;
  Terminator ok_;
  std::optional<Error> error_;
};

}  // namespace paceline::mysql::wire
