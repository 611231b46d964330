// Which version a tablet runs, asked of its web port as Vitess does: BuildVersion in /debug/vars.
#include <nlohmann/json.hpp>

#include "io/stream.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

constexpr size_t kAnswerBytesMax = 4u << 20;

io::Task<Result<std::string>> HttpGet(io::Address address, std::string path, Deadline deadline) {
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(address, deadline);
  if (!socket) co_return Fail(socket.error());
  std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
                                    path, address.ToString());
  Status sent = co_await (*socket)->WriteAll(request, deadline);
  if (!sent) co_return Fail(sent.error());
  std::string answer;
  std::vector<char> buffer(64 * 1024);
  while (answer.size() < kAnswerBytesMax) {
    Result<size_t> read = co_await (*socket)->Read(buffer.data(), buffer.size(), deadline);
    if (!read && read.error().code() == Code::kUnavailable) break;  // the end
    if (!read) co_return Fail(read.error());
    answer.append(buffer.data(), *read);
  }
  size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos || answer.find(" 200 ") > 16) {
    co_return Fail(Code::kUnavailable, "{} does not answer {}", address.ToString(), path);
  }
  co_return answer.substr(body + 4);
}

}  // namespace

VTCTLD_METHOD(GetVersion) {
  auto tablet = co_await topo_.GetTablet(ToRecord(request.tablet_alias()), deadline);
  if (!tablet) co_return Fail(tablet.error());
  io::Address address =
      io::Address::Tcp(tablet->value.hostname, static_cast<uint16_t>(tablet->value.Port("vt")));
  Deadline limit = Deadline::In(10s).EarlierOf(deadline);
  Result<std::string> vars = co_await HttpGet(address, "/debug/vars", limit);
  if (!vars) co_return Fail(vars.error().Context("asking " + tablet->value.alias.ToString()));
  nlohmann::json json = nlohmann::json::parse(*vars, nullptr, false);
  bool has = json.is_object() && json.contains("BuildVersion") && json["BuildVersion"].is_string();
  if (!has) {
    co_return Fail(Code::kUnavailable, "{} does not tell its version in /debug/vars",
                   tablet->value.alias.ToString());
  }
  response.set_version(json["BuildVersion"].get<std::string>());
  co_return Status();
}

}  // namespace paceline::vtctld
