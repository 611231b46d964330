// mysql/wire/server_handshake.h - the server's side of the connection phase as a machine without
// sockets.
//
//   greeting -> [TLS request -> TLS] -> login -> [auth switch -> answer] -> [full caching_sha2
//   exchange] -> OK | ERR
//
// The caller writes TakeOutput() after each step and does what the step says. No step waits, reads
// a clock or keeps a reference to the bytes it was given. Threads: one at a time. REQUIRES: the
// UserStore outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mysql/wire/auth.h"
#include "mysql/wire/capabilities.h"
#include "mysql/wire/handshake_packets.h"

namespace paceline::mysql::wire {

// One way a user may log in. A user can have several at a time, while a password is being changed.
struct UserEntry {
  std::optional<std::string> plain;  // the password; an empty one lets in without
  std::string native_hash;           // SHA1(SHA1(password)) in bytes, where `plain` is not known
  std::string sha2_hash;             // SHA256(SHA256(password)), likewise
  std::vector<std::string> groups;
  std::string user_data;    // the name shown to the layers below; empty: the login name
  bool local_only = false;  // only over a unix socket
};

class UserStore {
 public:
  virtual ~UserStore() = default;
  // Empty: no such user. Must not block.
  virtual std::vector<UserEntry> Find(std::string_view user) const = 0;
};

struct ServerHandshakeOptions {
  std::string server_version = "8.4.0-Paceline";
  uint32_t connection_id = 1;
  uint8_t charset = 255;
  Capabilities capabilities = kServerCapabilities;
  // Offers TLS; after Step::kStartTls the caller upgrades the transport.
  bool tls_available = false;
  bool require_tls = false;  // a unix socket counts as secure
  bool unix_socket = false;
  std::string peer = "localhost";  // for the text of a refusal
  // --mysql-auth-server-impl=none: everybody is let in, whatever the password.
  bool accept_all = false;
  const UserStore* users = nullptr;
  // For caching_sha2_password without TLS, where only a hash is known; null: such a login is
  // refused.
  std::shared_ptr<const RsaKey> rsa_key;
  std::string default_plugin{kCachingSha2Plugin};
  std::string salt;  // 20 bytes; empty: random
  // Asked for the database of a login that is otherwise good; its error is the answer then.
  std::function<Status(std::string_view database)> check_database;
};

// Who logged in, and what the client can do.
struct ServerSession {
  Capabilities capabilities = 0;  // what both sides have
  uint32_t max_packet_bytes = 0;
  uint8_t charset = 0;
  std::string user;
  std::string database;
  std::string plugin;  // by which the password was shown
  std::string user_data;
  std::vector<std::string> groups;
  ConnectAttributes attributes;
  bool tls = false;
};

class ServerHandshake {
 public:
  enum class Step : uint8_t {
    kRead,      // write the output, read a packet, call OnPacket
    kStartTls,  // upgrade the transport, call OnTls, then read
    kDone,      // write the output; session() is valid
    kFailed,    // write the output, close; error() says why
  };

  explicit ServerHandshake(ServerHandshakeOptions options);

  Step Start();
  // `body` without header, and the sequence byte of its (last) packet.
  Step OnPacket(std::string_view body, uint8_t sequence);
  void OnTls() { session_.tls = true; }
  // Instead of Start(), in the command phase: a COM_CHANGE_USER, first byte included. On success
  // session() is the new one.
  Step StartChangeUser(std::string_view body, uint8_t sequence, const ServerSession& current);

  // What is to be written now: whole packets.
  std::string TakeOutput() { return std::move(output_); }
  const ServerSession& session() const { return session_; }
  // REQUIRES: the last step was kFailed.
  const Error& error() const { return *error_; }

 private:
  enum class State : uint8_t {
    kLogin,
    kSwitched,
    kPublicKeyOrPassword,
    kEncryptedPassword,
    kEnded
  };

  Step OnLogin(std::string_view body);
  Step Authenticate(std::string_view plugin, std::string_view response);
  Step CheckResponse(std::string_view plugin, std::string_view response);
  Step AskFullPassword();
  Step OnFullPassword(std::string_view body);
  Step SwitchTo(std::string_view plugin);
  Step Accept(const UserEntry& entry);
  Step Deny();
  Step Refuse(uint16_t number, std::string_view sqlstate, std::string text, Code code);
  void Send(std::string_view body);
  bool secure() const { return session_.tls || options_.unix_socket; }

  ServerHandshakeOptions options_;
  State state_ = State::kLogin;
  uint8_t sequence_ = 0;
  bool password_given_ = false;
  std::string output_;
  std::string salt_;
  ServerSession session_;
  std::vector<UserEntry> entries_;
  std::optional<Error> error_;
};

}  // namespace paceline::mysql::wire
