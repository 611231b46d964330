#include "mysql/wire/handshake_packets.h"

#include <algorithm>

#include "mysql/wire/auth.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/command.h"

namespace paceline::mysql::wire {
namespace {

constexpr uint8_t kProtocolVersion = 10;
constexpr size_t kSaltFirstPart = 8;
constexpr size_t kLoginReserved = 23;
// MariaDB puts this before its version for the sake of old replicas.
constexpr std::string_view kMariadbVersionPrefix = "5.5.5-";

void PutAttributes(std::string* out, const ConnectAttributes& attributes) {
  std::string block;
  for (const auto& [name, value] : attributes) {
    PutLenencBytes(&block, name);
    PutLenencBytes(&block, value);
  }
  PutLenencBytes(out, block);
}

bool ReadAttributes(Reader* reader, ConnectAttributes* out) {
  Reader block(reader->LenencBytes());
  while (block.ok() && !block.empty()) {
    std::string name(block.LenencBytes());
    std::string value(block.LenencBytes());
    if (block.ok()) out->emplace_back(std::move(name), std::move(value));
  }
  return reader->ok() && block.ok();
}

// Some clients leave the last zero byte out.
std::string_view NulTerminatedOrRest(Reader* reader) {
  return reader->rest().find('\0') == std::string_view::npos ? reader->TakeRest()
                                                             : reader->NulTerminated();
}

}  // namespace

std::string WriteGreeting(const Greeting& greeting) {
  std::string out;
  PutU8(&out, kProtocolVersion);
  PutNulTerminated(&out, greeting.server_version);
  PutU32(&out, greeting.connection_id);
  out.append(greeting.salt, 0, kSaltFirstPart);
  PutU8(&out, 0);
  PutU16(&out, static_cast<uint16_t>(greeting.capabilities));
  PutU8(&out, greeting.charset);
  PutU16(&out, greeting.status_flags);
  PutU16(&out, static_cast<uint16_t>(greeting.capabilities >> 16));
  PutU8(&out, static_cast<uint8_t>(greeting.salt.size() + 1));
  out.append(6, '\0');
  PutU32(&out, static_cast<uint32_t>(greeting.capabilities >> 32));
  out.append(greeting.salt, kSaltFirstPart);
  PutU8(&out, 0);
  PutNulTerminated(&out, greeting.plugin);
  return out;
}

bool ParseGreeting(std::string_view body, Greeting* out) {
  Reader reader(body);
  if (reader.U8() != kProtocolVersion) return false;
  std::string_view version = reader.NulTerminated();
  if (version.starts_with(kMariadbVersionPrefix))
    version.remove_prefix(kMariadbVersionPrefix.size());
  out->server_version = version;
  out->connection_id = reader.U32();
  out->salt = reader.Bytes(kSaltFirstPart);
  reader.Skip(1);
  out->capabilities = reader.U16();
  if (!reader.ok()) return false;
  if (reader.empty()) return true;
  out->charset = reader.U8();
  out->status_flags = reader.U16();
  out->capabilities |= static_cast<Capabilities>(reader.U16()) << 16;
  uint8_t salt_size = reader.U8();
  reader.Skip(6);
  Capabilities extended = reader.U32();
  if (!(out->capabilities & kClientLongPassword)) out->capabilities |= extended << 32;
  if (out->capabilities & kClientSecureConnection) {
    size_t rest = std::max<size_t>(13, salt_size > kSaltFirstPart ? salt_size - kSaltFirstPart : 0);
    std::string_view second = reader.Bytes(std::min(rest, reader.remaining()));
    if (second.ends_with('\0')) second.remove_suffix(1);
    out->salt += second;
  }
  if (out->capabilities & kClientPluginAuth) out->plugin = NulTerminatedOrRest(&reader);
  return reader.ok();
}

std::string WriteLogin(const Login& login) {
  std::string out;
  PutU32(&out, static_cast<uint32_t>(login.capabilities));
  PutU32(&out, login.max_packet_bytes);
  PutU8(&out, login.charset);
  out.append(kLoginReserved - 4, '\0');
  PutU32(&out, static_cast<uint32_t>(login.capabilities >> 32));
  if (login.tls_request) return out;
  PutNulTerminated(&out, login.user);
  if (login.capabilities & kClientPluginAuthLenenc) {
    PutLenencBytes(&out, login.auth_response);
  } else {
    PutU8(&out, static_cast<uint8_t>(login.auth_response.size()));
    out += login.auth_response;
  }
  if (login.capabilities & kClientConnectWithDb) PutNulTerminated(&out, login.database);
  if (login.capabilities & kClientPluginAuth) PutNulTerminated(&out, login.plugin);
  if (login.capabilities & kClientConnectAttrs) PutAttributes(&out, login.attributes);
  return out;
}

bool ParseLogin(std::string_view body, Login* out) {
  Reader reader(body);
  out->capabilities = reader.U32();
  if (!reader.ok() || !(out->capabilities & kClientProtocol41)) return false;
  out->max_packet_bytes = reader.U32();
  out->charset = reader.U8();
  reader.Skip(kLoginReserved - 4);
  Capabilities extended = reader.U32();
  if (!(out->capabilities & kClientLongPassword)) out->capabilities |= extended << 32;
  if (!reader.ok()) return false;
  out->tls_request = (out->capabilities & kClientSsl) && reader.empty();
  if (out->tls_request) return true;
  out->user = reader.NulTerminated();
  if (out->capabilities & kClientPluginAuthLenenc) {
    out->auth_response = reader.LenencBytes();
  } else if (out->capabilities & kClientSecureConnection) {
    out->auth_response = reader.Bytes(reader.U8());
  } else {
    out->auth_response = reader.NulTerminated();
  }
  if ((out->capabilities & kClientConnectWithDb) && !reader.empty()) {
    out->database = NulTerminatedOrRest(&reader);
  }
  if ((out->capabilities & kClientPluginAuth) && !reader.empty()) {
    out->plugin = NulTerminatedOrRest(&reader);
  }
  if ((out->capabilities & kClientConnectAttrs) && !reader.empty()) {
    if (!ReadAttributes(&reader, &out->attributes)) return false;
  }
  return reader.ok();
}

std::string WriteAuthSwitch(const AuthSwitch& request) {
  std::string out;
  PutU8(&out, 0xfe);
  PutNulTerminated(&out, request.plugin);
  PutNulTerminated(&out, request.salt);
  return out;
}

bool ParseAuthSwitch(std::string_view body, AuthSwitch* out) {
  Reader reader(body);
  if (reader.U8() != 0xfe) return false;
  if (reader.empty()) {  // servers before 4.1.1 asked for their old hash this way
    out->plugin = "mysql_old_password";
    return true;
  }
  out->plugin = NulTerminatedOrRest(&reader);
  std::string_view salt = reader.TakeRest();
  if (salt.ends_with('\0')) salt.remove_suffix(1);
  out->salt = salt;
  return reader.ok();
}

std::string WriteChangeUser(const Login& login) {
  std::string out;
  PutU8(&out, static_cast<uint8_t>(Command::kChangeUser));
  PutNulTerminated(&out, login.user);
  PutU8(&out, static_cast<uint8_t>(login.auth_response.size()));
  out += login.auth_response;
  PutNulTerminated(&out, login.database);
  PutU16(&out, login.charset);
  if (login.capabilities & kClientPluginAuth) PutNulTerminated(&out, login.plugin);
  if (login.capabilities & kClientConnectAttrs) PutAttributes(&out, login.attributes);
  return out;
}

bool ParseChangeUser(std::string_view body, Capabilities capabilities, Login* out) {
  Reader reader(body);
  if (reader.U8() != static_cast<uint8_t>(Command::kChangeUser)) return false;
  out->capabilities = capabilities;
  out->user = reader.NulTerminated();
  if (capabilities & kClientSecureConnection) {
    out->auth_response = reader.Bytes(reader.U8());
  } else {
    out->auth_response = reader.NulTerminated();
  }
  out->database = NulTerminatedOrRest(&reader);
  if (!reader.empty()) out->charset = static_cast<uint8_t>(reader.U16());
  if ((capabilities & kClientPluginAuth) && !reader.empty())
    out->plugin = NulTerminatedOrRest(&reader);
  if ((capabilities & kClientConnectAttrs) && !reader.empty()) {
    if (!ReadAttributes(&reader, &out->attributes)) return false;
  }
  return reader.ok();
}

}  // namespace paceline::mysql::wire
