#include "base/time_text.h"

#include <fmt/format.h>
#include <time.h>

namespace paceline {
namespace {

std::string ToTheSecond(WallTime when) {
  const time_t seconds = static_cast<time_t>(when.unix_ns / 1'000'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return text;
}

}  // namespace

std::string Rfc3339(WallTime when) { return ToTheSecond(when) + "Z"; }

std::string Rfc3339Millis(WallTime when) {
  return fmt::format("{}.{:03}Z", ToTheSecond(when), when.unix_ns / 1'000'000 % 1000);
}

}  // namespace paceline
