// mysql/wire/handshake_packets.h - the packets of the connection phase: greeting, login, auth
// switch, change user. Source: MySQL's "Connection Phase Packets", MariaDB's "Connection protocol".
// Bodies only, no packet headers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mysql/wire/capabilities.h"

namespace paceline::mysql::wire {

struct Greeting {
  std::string server_version;
  uint32_t connection_id = 0;
  std::string salt;
  Capabilities capabilities = 0;
  uint8_t charset = 0;
  uint16_t status_flags = 0;
  std::string plugin;

  bool is_mariadb() const { return server_version.find("MariaDB") != std::string::npos; }
};
std::string WriteGreeting(const Greeting& greeting);
// False: malformed or not protocol 10. MariaDB's "5.5.5-" before the version is taken off.
bool ParseGreeting(std::string_view body, Greeting* out);

using ConnectAttributes = std::vector<std::pair<std::string, std::string>>;

// The client's login, in full or only up to the request for TLS.
struct Login {
  Capabilities capabilities = 0;
  uint32_t max_packet_bytes = 0;
  uint8_t charset = 0;
  bool tls_request = false;  // the short form: nothing below is there
  std::string user;
  std::string auth_response;
  std::string database;
  std::string plugin;
  ConnectAttributes attributes;
};
std::string WriteLogin(const Login& login);
// False: malformed, or a protocol before 4.1.
bool ParseLogin(std::string_view body, Login* out);

struct AuthSwitch {
  std::string plugin;
  std::string salt;
};
std::string WriteAuthSwitch(const AuthSwitch& request);
// `body` begins with 0xfe.
bool ParseAuthSwitch(std::string_view body, AuthSwitch* out);

// COM_CHANGE_USER, first byte included; it uses Login's fields from `user` on, and charset.
std::string WriteChangeUser(const Login& login);
bool ParseChangeUser(std::string_view body, Capabilities capabilities, Login* out);

}  // namespace paceline::mysql::wire
