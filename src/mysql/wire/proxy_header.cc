#include "mysql/wire/proxy_header.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/strings.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql::wire {
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kFixedBytes = 16;    // of version 2, before addresses
constexpr size_t kLongestLine = 107;  // of version 1, with its CRLF

Error Malformed(std::string_view why) {
  return Error(Code::kInvalidArgument, fmt::format("PROXY header: {}", why));
}

uint16_t Port(std::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 |
                               static_cast<uint8_t>(bytes[1]));
}

bool IsAddress(int family, const std::string& text) {
  unsigned char buffer[16];
  return inet_pton(family, text.c_str(), buffer) == 1;
}

Result<ProxyHeader> ParseLine(std::string_view input) {
  const size_t end = input.find("\r\n");
  if (end == std::string_view::npos) {
    if (input.size() >= kLongestLine) return Fail(Malformed("the line does not end"));
    return ProxyHeader();
  }
  ProxyHeader header;
  header.whole = true;
  header.consumed = end + 2;
  if (header.consumed > kLongestLine) return Fail(Malformed("the line is too long"));
  std::vector<std::string_view> words = Split(input.substr(0, end), ' ');
  if (words.size() >= 2 && words[1] == "UNKNOWN") return header;
  if (words.size() != 6 || (words[1] != "TCP4" && words[1] != "TCP6"))
    return Fail(Malformed("expected TCP4 or TCP6, two addresses and two ports"));
  header.source_ip = words[2];
  std::optional<uint64_t> port = ParseUint(words[4]);
  if (!IsAddress(words[1] == "TCP4" ? AF_INET : AF_INET6, header.source_ip) || !port ||
      *port > 65535) {
    return Fail(Malformed("not an address"));
  }
  header.source_port = static_cast<uint16_t>(*port);
  return header;
}

Result<ProxyHeader> ParseBinary(std::string_view input) {
  if (input.size() < kFixedBytes) return ProxyHeader();
  const auto version_command = static_cast<uint8_t>(input[12]);
  const auto family = static_cast<uint8_t>(input[13]);
  if (version_command >> 4 != 2 || (version_command & 0xf) > 1)
    return Fail(Malformed("unknown version or command"));
  const size_t length = Port(input.substr(14));
  if (kFixedBytes + length > kMostProxyHeaderBytes) return Fail(Malformed("too long"));
  if (input.size() < kFixedBytes + length) return ProxyHeader();
  ProxyHeader header;
  header.whole = true;
  header.consumed = kFixedBytes + length;
  if ((version_command & 0xf) == 0) return header;  // LOCAL
  std::string_view addresses = input.substr(kFixedBytes, length);
  char text[INET6_ADDRSTRLEN] = "";
  if (family == 0x11) {
    if (length < 12) return Fail(Malformed("addresses are missing"));
    inet_ntop(AF_INET, addresses.data(), text, sizeof text);
    header.source_port = Port(addresses.substr(8));
  } else if (family == 0x21) {
    if (length < 36) return Fail(Malformed("addresses are missing"));
    inet_ntop(AF_INET6, addresses.data(), text, sizeof text);
    header.source_port = Port(addresses.substr(32));
  }
  header.source_ip = text;
  return header;
}

}  // namespace

Result<ProxyHeader> ParseProxyHeader(std::string_view input) {
  constexpr std::string_view kLine = "PROXY ";
  const auto begins = [input](std::string_view mark) {
    return input.substr(0, mark.size()) == mark.substr(0, input.size());
  };
  if (begins(kLine)) {
    if (input.size() < kLine.size()) return ProxyHeader();
    return ParseLine(input);
  }
  if (begins(kSignature)) {
    if (input.size() < kSignature.size()) return ProxyHeader();
    return ParseBinary(input);
  }
  return Fail(Malformed("the connection does not begin with one"));
}

}  // namespace paceline::mysql::wire
