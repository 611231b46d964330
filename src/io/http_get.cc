#include "io/http_get.h"

#include <vector>

#include "base/strings.h"

namespace paceline::io {

Task<Result<std::string>> HttpGet(Address address, std::string target, Deadline deadline,
                                  std::string authorization) {
  Result<std::unique_ptr<Socket>> socket = co_await Connect(address, deadline);
  if (!socket) co_return Fail(socket.error());
  std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n", target,
                                    address.ToString());
  if (!authorization.empty()) request += "Authorization: " + authorization + "\r\n";
  request += "\r\n";
  Status sent = co_await (*socket)->WriteAll(request, deadline);
  if (!sent) co_return Fail(sent.error());
  std::string answer;
  std::vector<char> buffer(64 * 1024);
  while (true) {
    Result<size_t> read = co_await (*socket)->Read(buffer.data(), buffer.size(), deadline);
    if (!read && read.error().code() == Code::kUnavailable) break;  // the end
    if (!read) co_return Fail(read.error());
    answer.append(buffer.data(), *read);
    if (answer.size() > kHttpAnswerBytesMax) {
      co_return Fail(Code::kResourceExhausted, "the answer of {} to {} is longer than {} bytes",
                     address.ToString(), target, kHttpAnswerBytesMax);
    }
  }
  const size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos || answer.find(" 200 ") > 16) {
    const std::string line = answer.substr(0, answer.find('\r'));
    co_return Fail(Code::kUnavailable, "{} does not answer {}{}{}", address.ToString(), target,
                   line.empty() ? "" : ": ", line);
  }
  co_return answer.substr(body + 4);
}

}  // namespace paceline::io
