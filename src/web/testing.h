// web/testing.h - an HTTP client for tests: one raw socket, nothing polished, so that malformed
// requests can be sent as they are. Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace paceline::web::testing {

struct Answer {
  int status = 0;  // 0: the connection ended without one
  std::string head, body;
  // Of a header, by its name in lower case; empty when there is none.
  std::string Header(std::string_view name) const;
};

class RawClient {
 public:
  // To 127.0.0.1. Every wait ends after 10 s.
  explicit RawClient(uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False when the peer is gone.
  bool Send(std::string_view bytes);
  // The next answer, by its Content-Length; of a HEAD without a body.
  Answer Read(bool head = false);
  // All that came up to and with `end`; less when the peer closes or 10 s pass before.
  std::string ReadUntil(std::string_view end);
  // True when the peer closes before anything else comes.
  bool ReadsEnd();

 private:
  bool Fill();
  int fd_;
  std::string buffer_;
};

// GET `path` on a connection of its own.
Answer Get(uint16_t port, std::string_view path);

}  // namespace paceline::web::testing
