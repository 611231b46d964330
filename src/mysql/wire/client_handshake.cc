#include "mysql/wire/client_handshake.h"

#include "mysql/wire/auth.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {
namespace {

constexpr char kRequestPublicKey = 0x02;
constexpr char kSha256RequestPublicKey = 0x01;
constexpr char kFastAuthSuccess = 0x03;
constexpr char kFullAuthNeeded = 0x04;
// What MySQL allows at most; it only tells the server what it may send.
constexpr uint32_t kMaxPacketBytes = 1 << 30;

Login LoginOf(const ClientHandshakeOptions& options, Capabilities capabilities) {
  Login login;
  login.capabilities = capabilities;
  login.max_packet_bytes = kMaxPacketBytes;
  login.charset = options.charset;
  login.user = options.user;
  login.database = options.database;
  login.attributes = options.attributes;
  return login;
}

}  // namespace

ClientHandshake::ClientHandshake(ClientHandshakeOptions options) : options_(std::move(options)) {}

void ClientHandshake::Send(std::string_view body) { AppendPacket(&output_, body, &sequence_); }

ClientHandshake::Step ClientHandshake::Failed(Error error) {
  state_ = State::kEnded;
  error_.emplace(std::move(error));
  return Step::kFailed;
}

ClientHandshake::Step ClientHandshake::OnPacket(std::string_view body, uint8_t sequence) {
  sequence_ = static_cast<uint8_t>(sequence + 1);
  if (body.starts_with('\xff')) {
    Terminator err;
    // Before the login the packet has no SQLSTATE; both forms are read.
    if (!ParseTerminator(body, 0, &err)) err.message = "the server refused the connection";
    return Failed(Error::FromMysql(err.error_number, err.sqlstate, err.message));
  }
  switch (state_) {
    case State::kGreeting:
      return OnGreeting(body);
    case State::kAnswer:
    case State::kPublicKey:
      return OnAnswer(body);
    case State::kTls:
    case State::kEnded:
      break;
  }
  return Failed(Error(Code::kInternal, "unexpected packet during login"));
}

ClientHandshake::Step ClientHandshake::OnGreeting(std::string_view body) {
  if (!ParseGreeting(body, &greeting_)) {
    return Failed(Error(Code::kInternal, "this is not a MySQL server: unreadable greeting"));
  }
  Capabilities wanted = options_.capabilities;
  if (!options_.database.empty()) wanted |= kClientConnectWithDb;
  bool tls = options_.tls != TlsMode::kOff && (greeting_.capabilities & kClientSsl);
  if (options_.tls == TlsMode::kRequired && !tls) {
    return Failed(
        Error(Code::kUnauthenticated, "TLS is required but the server does not offer it"));
  }
  // MariaDB's server leaves LONG_PASSWORD out and reads ours as "speaks like MySQL".
  capabilities_ = wanted & (greeting_.capabilities | kClientLongPassword | kClientConnectWithDb);
  if (tls) capabilities_ |= kClientSsl;
  Capabilities needed =
      kClientProtocol41 | kClientSecureConnection | (wanted & kClientDeprecateEof);
  if ((capabilities_ & needed) != needed) {
    return Failed(
        Error(Code::kFailedPrecondition,
              fmt::format("server version {} is too old: MySQL 5.7.5 or MariaDB 10.2 is needed",
                          greeting_.server_version)));
  }
  salt_ = greeting_.salt;
  plugin_ = greeting_.plugin;
  if (!tls) return SendLogin();
  Login login = LoginOf(options_, capabilities_);
  login.tls_request = true;
  Send(WriteLogin(login));
  state_ = State::kTls;
  return Step::kStartTls;
}

ClientHandshake::Step ClientHandshake::OnTls() {
  tls_ = true;
  return SendLogin();
}

ClientHandshake::Step ClientHandshake::SendLogin() {
  // The server's default may be unknown to us although the user's own is not: it will switch.
  bool known = plugin_ == kNativePlugin || plugin_ == kCachingSha2Plugin;
  if (!known) plugin_ = kNativePlugin;
  Result<std::string> answer = Answer(plugin_);
  if (!answer) return Failed(answer.error());
  Login login = LoginOf(options_, capabilities_);
  login.auth_response = *std::move(answer);
  login.plugin = plugin_;
  Send(WriteLogin(login));
  state_ = State::kAnswer;
  return Step::kRead;
}

ClientHandshake::Step ClientHandshake::StartChangeUser(const ClientHandshake& before) {
  greeting_ = before.greeting_;
  capabilities_ = before.capabilities_;
  tls_ = before.tls_;
  plugin_ = before.plugin_;
  salt_ = before.salt_;
  Result<std::string> answer = Answer(plugin_);
  if (!answer) return Failed(answer.error());
  Login login = LoginOf(options_, capabilities_);
  login.auth_response = *std::move(answer);
  login.plugin = plugin_;
  sequence_ = 0;
  Send(WriteChangeUser(login));
  state_ = State::kAnswer;
  return Step::kRead;
}

Result<std::string> ClientHandshake::Answer(std::string_view plugin) const {
  if (plugin == kNativePlugin) return NativeScramble(options_.password, salt_);
  if (plugin == kCachingSha2Plugin) return CachingSha2Scramble(options_.password, salt_);
  if (plugin == kSha256Plugin && (secure() || options_.password.empty())) {
    return options_.password + '\0';
  }
  if (plugin == kClearPlugin) {
    if (secure()) return options_.password + '\0';
    return Fail(Code::kUnauthenticated,
                "the server wants the password of '{}' in clear text; that needs TLS",
                options_.user);
  }
  return Fail(Code::kUnauthenticated, "user '{}' logs in by '{}', which Paceline does not speak",
              options_.user, plugin);
}

ClientHandshake::Step ClientHandshake::OnAnswer(std::string_view body) {
  if (body.starts_with('\0')) {
    if (!ParseTerminator(body, capabilities_, &ok_)) {
      return Failed(Error(Code::kInternal, "malformed OK at the end of the login"));
    }
    state_ = State::kEnded;
    return Step::kDone;
  }
  if (body.starts_with('\x01')) return OnMoreData(body.substr(1));
  AuthSwitch request;
  if (!ParseAuthSwitch(body, &request)) {
    return Failed(Error(Code::kInternal, "unexpected packet during login"));
  }
  plugin_ = request.plugin;
  salt_ = request.salt;
  if (plugin_ == kSha256Plugin && !secure() && !options_.password.empty()) {
    Send(std::string_view(&kSha256RequestPublicKey, 1));
    state_ = State::kPublicKey;
    return Step::kRead;
  }
  Result<std::string> answer = Answer(plugin_);
  if (!answer) return Failed(answer.error());
  // An empty password is shown to caching_sha2 by a single zero, to the native one by an empty
  // packet.
  if (answer->empty() && plugin_ == kCachingSha2Plugin) answer->push_back('\0');
  Send(*answer);
  state_ = State::kAnswer;
  return Step::kRead;
}

ClientHandshake::Step ClientHandshake::OnMoreData(std::string_view data) {
  if (plugin_ != kCachingSha2Plugin && plugin_ != kSha256Plugin) {
    return Failed(Error(Code::kUnauthenticated, "unexpected data during a login by " + plugin_));
  }
  if (state_ == State::kPublicKey) {
    Result<std::string> encrypted = EncryptPassword(options_.password, salt_, data);
    if (!encrypted) return Failed(encrypted.error());
    Send(*encrypted);
    state_ = State::kAnswer;
    return Step::kRead;
  }
  if (data.size() == 1 && data[0] == kFastAuthSuccess) return Step::kRead;
  if (data.size() == 1 && data[0] == kFullAuthNeeded && plugin_ == kCachingSha2Plugin) {
    if (secure()) {
      Send(options_.password + '\0');
    } else {
      Send(std::string_view(&kRequestPublicKey, 1));
      state_ = State::kPublicKey;
    }
    return Step::kRead;
  }
  return Failed(Error(Code::kInternal, "unexpected data during login"));
}

}  // namespace paceline::mysql::wire
