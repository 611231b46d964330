// Which version a tablet runs, asked of its web port as Vitess does: BuildVersion in /debug/vars.
#include <nlohmann/json.hpp>

#include "io/http_get.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
VTCTLD_METHOD(GetVersion) {
  auto tablet = co_await topo_.GetTablet(ToRecord(request.tablet_alias()), deadline);
  if (!tablet) co_return Fail(tablet.error());
  io::Address address =
      io::Address::Tcp(tablet->value.hostname, static_cast<uint16_t>(tablet->value.Port("vt")));
  Deadline limit = Deadline::In(10s).EarlierOf(deadline);
  Result<std::string> vars = co_await io::HttpGet(address, "/debug/vars", limit);
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
