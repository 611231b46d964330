#include "mysql/binlog/marker.h"

#include <charconv>

#include "base/error.h"
#include "base/strings.h"

namespace paceline::mysql::binlog {
namespace {

constexpr std::string_view kBegin = "/*pl:", kEnd = "*/";
constexpr size_t kDigits = 8;

}  // namespace

std::string MarkerOf(uint32_t number) { return fmt::format("{}{:08x}{}", kBegin, number, kEnd); }

uint32_t MarkerIn(std::string_view text) {
  text = Trim(text.substr(0, 256));
  if (!text.starts_with(kBegin)) return 0;
  text.remove_prefix(kBegin.size());
  if (text.size() < kDigits + kEnd.size() || text.substr(kDigits, kEnd.size()) != kEnd) return 0;
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + kDigits, number, 16);
  return error == std::errc() && end == text.data() + kDigits ? number : 0;
}

}  // namespace paceline::mysql::binlog
