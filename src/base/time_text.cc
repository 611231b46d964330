#include "base/time_text.h"

#include <fmt/format.h>
#include <time.h>

#include <chrono>
#include <optional>

#include "base/strings.h"

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

// What the zone is ahead of UTC; nothing where `zone` is none.
std::optional<int64_t> AheadSeconds(std::string_view zone) {
  if (zone == "Z" || zone == "z") return 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  std::optional<uint64_t> hours = ParseUint(zone.substr(1, 2));
  std::optional<uint64_t> minutes = ParseUint(zone.substr(4, 2));
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  auto ahead = static_cast<int64_t>(*hours * 3600 + *minutes * 60);
  return zone[0] == '+' ? ahead : -ahead;
}

}  // namespace

std::string Rfc3339(WallTime when) { return ToTheSecond(when) + "Z"; }

std::string Rfc3339Millis(WallTime when) {
  return fmt::format("{}.{:03}Z", ToTheSecond(when), when.unix_ns / 1'000'000 % 1000);
}

Result<WallTime> ParseRfc3339(std::string_view text) {
  auto bad = [text] {
    return Fail(Code::kInvalidArgument, "\"{}\" is no time of the form 2026-11-22T22:40:00Z", text);
  };
  constexpr std::string_view kForm = "0000-00-00T00:00:00";
  if (text.size() <= kForm.size()) return bad();
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == '0' ? !digit : text[i] != kForm[i]) return bad();
  }
  auto number = [text](size_t at, size_t size) {
    return static_cast<int>(ParseUint(text.substr(at, size)).value_or(0));
  };
  using namespace std::chrono;
  const year_month_day date{year(number(0, 4)), month(static_cast<unsigned>(number(5, 2))),
                            day(static_cast<unsigned>(number(8, 2)))};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return bad();
  std::string_view zone = text.substr(kForm.size());
  if (zone[0] == '.') {
    const size_t end = zone.find_first_not_of("0123456789", 1);
    if (end == 1) return bad();
    zone = end == zone.npos ? std::string_view() : zone.substr(end);
  }
  const std::optional<int64_t> ahead = AheadSeconds(zone);
  // Instants are 64 bits of nanoseconds.
  if (!ahead || number(0, 4) < 1970 || number(0, 4) > 2200) return bad();
  const int64_t unix_s = int64_t{sys_days(date).time_since_epoch().count()} * 86400 + hour * 3600 +
                         minute * 60 + second - *ahead;
  return WallTime{unix_s * 1'000'000'000};
}

}  // namespace paceline
