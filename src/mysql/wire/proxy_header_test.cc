#include "mysql/wire/proxy_header.h"

#include <gtest/gtest.h>

namespace paceline::mysql::wire {
namespace {

using std::string_literals::operator""s;

const std::string kBinary4 =
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x01\x02\x03\x7f\x00\x00\x01\x9c\x40\x0c\xea"s;

void ExpectAtEveryCut(const std::string& header, const std::string& ip, uint16_t port) {
  const std::string input = header + "rest";
  for (size_t cut = 0; cut < header.size(); ++cut) {
    Result<ProxyHeader> parsed = ParseProxyHeader(std::string_view(input).substr(0, cut));
    ASSERT_TRUE(parsed) << cut;
    EXPECT_FALSE(parsed->whole) << cut;
  }
  Result<ProxyHeader> parsed = ParseProxyHeader(input);
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->whole);
  EXPECT_EQ(parsed->consumed, header.size());
  EXPECT_EQ(parsed->source_ip, ip);
  EXPECT_EQ(parsed->source_port, port);
}

TEST(ProxyHeader, Line) {
  ExpectAtEveryCut("PROXY TCP4 10.1.2.3 127.0.0.1 40000 3306\r\n", "10.1.2.3", 40000);
  ExpectAtEveryCut("PROXY TCP6 2001:db8::1 ::1 40000 3306\r\n", "2001:db8::1", 40000);
  ExpectAtEveryCut("PROXY UNKNOWN\r\n", "", 0);
  ExpectAtEveryCut("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", 0);
}

TEST(ProxyHeader, Binary) {
  ExpectAtEveryCut(kBinary4, "10.1.2.3", 40000);
  std::string six = "\r\n\r\n\0\r\nQUIT\n\x21\x21\x00\x28"s;
  six += std::string(15, '\0') + "\x01" + std::string(15, '\0') + "\x02" + "\x9c\x40\x0c\xea"s;
  six += "\x04\x00\x01x"s;  // a TLV, passed over
  ExpectAtEveryCut(six, "::1", 40000);
  ExpectAtEveryCut("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s, "", 0);  // LOCAL
  ExpectAtEveryCut("\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\x00"s, "", 0);  // a unix socket
}

TEST(ProxyHeader, WhatIsNone) {
  for (const std::string& wrong :
       {"GET / HTTP/1.1\r\n"s, "\0"s, "PROXY TCP4 10.1.2.3 127.0.0.1 40000\r\n"s,
        "PROXY TCP4 ::1 ::1 1 2\r\n"s, "PROXY TCP4 10.1.2.3 10.1.2.3 70000 1\r\n"s,
        "PROXY TCP9 a b 1 2\r\n"s, "PROXY " + std::string(200, 'x'),
        "\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c"s, "\r\n\r\n\0\r\nQUIT\n\x25\x11\x00\x0c"s,
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"s,
        "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x04"
        "abcd"s}) {
    Result<ProxyHeader> parsed = ParseProxyHeader(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
