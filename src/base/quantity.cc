#include "base/quantity.h"

#include <charconv>
#include <cmath>
#include <iterator>

#include "base/strings.h"

namespace paceline {
namespace {

constexpr std::string_view kUnits = "KMGTP";

}  // namespace

Result<uint64_t> ParseBytes(std::string_view text) {
  std::string_view digits = Trim(text);
  double base = 1000;
  if (digits.ends_with('i')) {
    base = 1024;
    digits.remove_suffix(1);
  }
  // Kubernetes writes thousands with a small letter.
  const char last = digits.empty() ? '\0' : digits.back() == 'k' ? 'K' : digits.back();
  const size_t unit = last == '\0' ? kUnits.npos : kUnits.find(last);
  if (unit != kUnits.npos) digits.remove_suffix(1);
  double value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value,
                                      std::chars_format::fixed);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (unit != kUnits.npos) value *= std::pow(base, static_cast<double>(unit + 1));
  if (!whole || !(value >= 0 && value <= 1e18) || (base == 1024 && unit == kUnits.npos)) {
    return Fail(Code::kInvalidArgument, "\"{}\" is no amount of bytes, such as 40Gi or 500M", text);
  }
  return static_cast<uint64_t>(value);
}

std::string BytesText(double bytes) {
  static constexpr const char* kNames[] = {"bytes", "KB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  for (; std::abs(bytes) >= 1024 && unit + 1 < std::size(kNames); ++unit) bytes /= 1024;
  return fmt::format("{:.{}f} {}", bytes, unit < 2 ? 0 : 1, kNames[unit]);
}

std::string FormatBytes(uint64_t bytes) {
  size_t unit = 0;
  for (; bytes > 0 && bytes % 1024 == 0 && unit < kUnits.size(); ++unit) bytes /= 1024;
  if (unit == 0) return std::to_string(bytes);
  return fmt::format("{}{}i", bytes, kUnits[unit - 1]);
}

}  // namespace paceline
