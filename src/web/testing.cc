#include "web/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/strings.h"

namespace paceline::web::testing {

std::string Answer::Header(std::string_view name) const {
  for (const std::string_view line : Split(head, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !EqualsIgnoreCase(line.substr(0, colon), name)) continue;
    return std::string(Trim(line.substr(colon + 1)));
  }
  return "";
}

RawClient::RawClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval limit{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
}

RawClient::~RawClient() { close(fd_); }

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawClient::Fill() {
  char chunk[4096];
  const ssize_t got = recv(fd_, chunk, sizeof(chunk), 0);
  if (got > 0) buffer_.append(chunk, static_cast<size_t>(got));
  return got > 0;
}

Answer RawClient::Read(bool head) {
  Answer answer;
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return answer;
  }
  answer.head = buffer_.substr(0, end);
  buffer_.erase(0, end + 4);
  const size_t length = head ? 0 : ParseUint(answer.Header("content-length")).value_or(0);
  while (buffer_.size() < length) {
    if (!Fill()) return answer;
  }
  answer.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  answer.status = static_cast<int>(ParseUint(answer.head.substr(9, 3)).value_or(0));
  return answer;
}

std::string RawClient::ReadUntil(std::string_view end) {
  size_t at = std::string::npos;
  while ((at = buffer_.find(end)) == std::string::npos && Fill()) {
  }
  const size_t size = at == std::string::npos ? buffer_.size() : at + end.size();
  std::string text = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return text;
}

bool RawClient::ReadsEnd() {
  char byte = 0;
  return buffer_.empty() && recv(fd_, &byte, 1, 0) == 0;
}

Answer Get(uint16_t port, std::string_view path) {
  RawClient client(port);
  client.Send("GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
  return client.Read();
}

}  // namespace paceline::web::testing
