// mysql/wire/proxy_header.h - what a load balancer says before a client's first byte: the PROXY
// protocol, version 1 (a line of text) and 2 (binary). Source: HAProxy's proxy-protocol.txt.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::mysql::wire {

// No header is longer.
inline constexpr size_t kMostProxyHeaderBytes = 4096;

struct ProxyHeader {
  bool whole = false;   // false: more bytes are needed
  size_t consumed = 0;  // of the input
  // Empty: the balancer speaks for itself (LOCAL, a health check), or the family is not known; the
  // socket's own address holds then.
  std::string source_ip;
  uint16_t source_port = 0;
};
// `input`: all that came so far. Errors: kInvalidArgument, as soon as it can be no header.
Result<ProxyHeader> ParseProxyHeader(std::string_view input);

}  // namespace paceline::mysql::wire
