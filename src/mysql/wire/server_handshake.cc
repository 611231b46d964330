#include "mysql/wire/server_handshake.h"

#include <algorithm>

#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/session_state.h"

namespace paceline::mysql::wire {
namespace {

// Bytes of the caching_sha2_password exchange.
constexpr uint8_t kMoreData = 0x01;
constexpr char kRequestPublicKey = 0x02;
constexpr char kFastAuthSuccess = 0x03;
constexpr char kFullAuthNeeded = 0x04;

constexpr uint16_t kErBadHandshake = 1043;
constexpr uint16_t kErAccessDenied = 1045;
constexpr uint16_t kErInsecureTransport = 3159;

bool Known(std::string_view plugin) {
  return plugin == kNativePlugin || plugin == kCachingSha2Plugin || plugin == kClearPlugin;
}

bool MatchesPassword(const UserEntry& entry, std::string_view password) {
  if (entry.plain) return SameSecret(*entry.plain, password);
  if (password.empty()) return false;
  if (!entry.sha2_hash.empty()) return SameSecret(entry.sha2_hash, CachingSha2Hash(password));
  return SameSecret(entry.native_hash, NativeHash(password));
}

std::string_view WithoutTrailingZero(std::string_view text) {
  if (text.ends_with('\0')) text.remove_suffix(1);
  return text;
}

}  // namespace

ServerHandshake::ServerHandshake(ServerHandshakeOptions options)
    : options_(std::move(options)),
      salt_(options_.salt.size() == kSaltBytes ? options_.salt : NewSalt()) {
  if (options_.tls_available) options_.capabilities |= kClientSsl;
}

void ServerHandshake::Send(std::string_view body) { AppendPacket(&output_, body, &sequence_); }

ServerHandshake::Step ServerHandshake::Start() {
  Greeting greeting;
  greeting.server_version = options_.server_version;
  greeting.connection_id = options_.connection_id;
  greeting.salt = salt_;
  greeting.capabilities = options_.capabilities;
  greeting.charset = options_.charset;
  greeting.status_flags = kStatusAutocommit;
  greeting.plugin = options_.default_plugin;
  Send(WriteGreeting(greeting));
  return Step::kRead;
}

ServerHandshake::Step ServerHandshake::OnPacket(std::string_view body, uint8_t sequence) {
  sequence_ = static_cast<uint8_t>(sequence + 1);
  switch (state_) {
    case State::kLogin:
      return OnLogin(body);
    case State::kSwitched:
      return options_.accept_all ? Authenticate(session_.plugin, body)
                                 : CheckResponse(session_.plugin, body);
    case State::kPublicKeyOrPassword:
    case State::kEncryptedPassword:
      return OnFullPassword(body);
    case State::kEnded:
      break;
  }
  return Refuse(kErBadHandshake, "08S01", "Bad handshake: packet after its end", Code::kInternal);
}

ServerHandshake::Step ServerHandshake::OnLogin(std::string_view body) {
  Login login;
  if (!ParseLogin(body, &login) ||
      (login.tls_request && (session_.tls || !options_.tls_available))) {
    return Refuse(kErBadHandshake, "08S01", "Bad handshake", Code::kInvalidArgument);
  }
  if (login.tls_request) return Step::kStartTls;
  session_.capabilities = login.capabilities & options_.capabilities;
  session_.max_packet_bytes = login.max_packet_bytes;
  session_.charset = login.charset;
  session_.user = std::move(login.user);
  session_.database = std::move(login.database);
  session_.attributes = std::move(login.attributes);
  if (options_.require_tls && !secure()) {
    return Refuse(kErInsecureTransport, "HY000", "This server accepts connections over TLS only",
                  Code::kUnauthenticated);
  }
  // A client that names no plugin speaks the oldest one we know.
  bool names_plugin = session_.capabilities & kClientPluginAuth && !login.plugin.empty();
  return Authenticate(names_plugin ? std::string_view(login.plugin) : kNativePlugin,
                      login.auth_response);
}

ServerHandshake::Step ServerHandshake::StartChangeUser(std::string_view body, uint8_t sequence,
                                                       const ServerSession& current) {
  sequence_ = static_cast<uint8_t>(sequence + 1);
  Login login;
  if (!ParseChangeUser(body, current.capabilities, &login)) {
    return Refuse(kErBadHandshake, "08S01", "Bad handshake", Code::kInvalidArgument);
  }
  session_ = current;
  session_.user = std::move(login.user);
  session_.database = std::move(login.database);
  session_.charset = login.charset;
  session_.groups.clear();
  session_.user_data.clear();
  if (!login.attributes.empty()) session_.attributes = std::move(login.attributes);
  entries_.clear();
  if (options_.users != nullptr) entries_ = options_.users->Find(session_.user);
  // The answer in the packet was made from a salt of long ago: ask again with a fresh one.
  if (options_.accept_all) return Accept(UserEntry());
  bool can_switch = session_.capabilities & kClientPluginAuth;
  return SwitchTo(can_switch && Known(login.plugin) ? std::string_view(login.plugin)
                                                    : kNativePlugin);
}

// The first answer of the login packet, made from the greeting's salt.
ServerHandshake::Step ServerHandshake::Authenticate(std::string_view plugin,
                                                    std::string_view response) {
  session_.plugin = plugin;
  if (options_.accept_all) {
    // libmariadb, logging in from several threads at once, may name a plugin it has not loaded yet
    // and then sends one more packet: it is asked anew for one that it has.
    bool can_switch = session_.capabilities & kClientPluginAuth;
    if (!Known(plugin) && can_switch) return SwitchTo(kNativePlugin);
    // A client of caching_sha2 that sent a scramble waits for its verdict before the OK.
    bool waits = plugin == kCachingSha2Plugin && response.size() > 1;
    if (waits) Send(std::string{static_cast<char>(kMoreData), kFastAuthSuccess});
    return Accept(UserEntry());
  }
  if (options_.users != nullptr) entries_ = options_.users->Find(session_.user);
  if (!options_.unix_socket)
    std::erase_if(entries_, [](const UserEntry& e) { return e.local_only; });
  if (!Known(plugin) || (plugin == kClearPlugin && !secure())) {
    if (!(session_.capabilities & kClientPluginAuth)) return Deny();
    return SwitchTo(options_.default_plugin);
  }
  return CheckResponse(plugin, response);
}

ServerHandshake::Step ServerHandshake::SwitchTo(std::string_view plugin) {
  salt_ = NewSalt();
  session_.plugin = plugin;
  state_ = State::kSwitched;
  Send(WriteAuthSwitch({std::string(plugin), salt_}));
  return Step::kRead;
}

ServerHandshake::Step ServerHandshake::CheckResponse(std::string_view plugin,
                                                     std::string_view response) {
  // An empty password is answered by nothing, or by a single zero.
  bool empty = WithoutTrailingZero(response).empty();
  password_given_ = !empty;
  if (empty) {
    for (const UserEntry& entry : entries_) {
      if (entry.plain && entry.plain->empty()) return Accept(entry);
    }
    return Deny();
  }
  bool needs_password = false, needs_sha2 = false;
  for (const UserEntry& entry : entries_) {
    bool matches = false;
    if (plugin == kClearPlugin) {
      matches = secure() && MatchesPassword(entry, WithoutTrailingZero(response));
    } else if (plugin == kNativePlugin) {
      if (entry.plain && entry.plain->empty()) continue;
      if (!entry.plain && entry.native_hash.empty()) {
        needs_sha2 = true;
        continue;
      }
      matches = CheckNativeScramble(response, salt_,
                                    entry.plain ? NativeHash(*entry.plain) : entry.native_hash);
    } else if (entry.plain || !entry.sha2_hash.empty()) {
      std::string hash = entry.plain ? CachingSha2Hash(*entry.plain) : entry.sha2_hash;
      bool has_password = !entry.plain || !entry.plain->empty();
      matches = has_password && CheckCachingSha2Scramble(response, salt_, hash);
      if (matches) Send(std::string{static_cast<char>(kMoreData), kFastAuthSuccess});
    } else {
      needs_password = true;
    }
    if (matches) return Accept(entry);
  }
  // A scramble of caching_sha2 says nothing about a SHA1 hash: the password itself is needed.
  if (needs_password) return AskFullPassword();
  // Nor a scramble of the old plugin about a SHA256 hash; mysqld asks for the account's own plugin.
  bool can_switch = session_.capabilities & kClientPluginAuth;
  return needs_sha2 && can_switch ? SwitchTo(kCachingSha2Plugin) : Deny();
}

ServerHandshake::Step ServerHandshake::AskFullPassword() {
  if (!secure() && options_.rsa_key == nullptr) return Deny();
  state_ = State::kPublicKeyOrPassword;
  Send(std::string{static_cast<char>(kMoreData), kFullAuthNeeded});
  return Step::kRead;
}

ServerHandshake::Step ServerHandshake::OnFullPassword(std::string_view body) {
  std::string password;
  if (secure()) {
    password = WithoutTrailingZero(body);
  } else if (state_ == State::kPublicKeyOrPassword &&
             body == std::string_view(&kRequestPublicKey, 1)) {
    state_ = State::kEncryptedPassword;
    Send(static_cast<char>(kMoreData) + options_.rsa_key->public_pem());
    return Step::kRead;
  } else {
    // A client that was given the key beforehand sends the encrypted password at once.
    std::optional<std::string> clear = options_.rsa_key->DecryptPassword(body, salt_);
    if (!clear) return Deny();
    password = *std::move(clear);
  }
  for (const UserEntry& entry : entries_) {
    if (MatchesPassword(entry, password)) return Accept(entry);
  }
  return Deny();
}

ServerHandshake::Step ServerHandshake::Accept(const UserEntry& entry) {
  session_.groups = entry.groups;
  session_.user_data = entry.user_data.empty() ? session_.user : entry.user_data;
  if (options_.check_database && !session_.database.empty()) {
    Status known = options_.check_database(session_.database);
    if (!known) {
      return Refuse(known.error().mysql_errno(), known.error().sqlstate(), known.error().message(),
                    known.error().code());
    }
  }
  state_ = State::kEnded;
  Terminator ok;
  ok.status_flags = kStatusAutocommit;
  if ((session_.capabilities & kClientSessionTrack) && !session_.database.empty()) {
    AppendSessionState(&ok.session_state, {SessionStateType::kSchema, "", session_.database});
    ok.status_flags |= kStatusSessionStateChanged;
  }
  AppendTerminator(&output_, ok, session_.capabilities, &sequence_);
  return Step::kDone;
}

ServerHandshake::Step ServerHandshake::Deny() {
  return Refuse(kErAccessDenied, "28000",
                fmt::format("Access denied for user '{}'@'{}' (using password: {})", session_.user,
                            options_.peer, password_given_ ? "YES" : "NO"),
                Code::kUnauthenticated);
}

ServerHandshake::Step ServerHandshake::Refuse(uint16_t number, std::string_view sqlstate,
                                              std::string text, Code code) {
  state_ = State::kEnded;
  Terminator err;
  err.kind = Terminator::Kind::kErr;
  err.error_number = number;
  err.sqlstate = sqlstate;
  err.message = text;
  AppendTerminator(&output_, err, session_.capabilities, &sequence_);
  error_.emplace(code, std::move(text));
  return Step::kFailed;
}

}  // namespace paceline::mysql::wire
