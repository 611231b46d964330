// base/strings.h - small text helpers that the standard library lacks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paceline {

// "a,,b" with ',' gives {"a", "", "b"}; the empty text gives {}.
std::vector<std::string_view> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
// Without ASCII white space at both ends.
std::string_view Trim(std::string_view text);
// ASCII only.
std::string Lower(std::string_view text);
std::string Upper(std::string_view text);
bool EqualsIgnoreCase(std::string_view a, std::string_view b);
bool StartsWithIgnoreCase(std::string_view text, std::string_view prefix);
std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to);
// Whole text must be one decimal number in range.
std::optional<uint64_t> ParseUint(std::string_view text);
std::optional<int64_t> ParseInt(std::string_view text);
std::string HexEncode(std::string_view bytes);
std::optional<std::string> HexDecode(std::string_view text);
// `name` in backticks, backticks inside doubled.
std::string QuoteIdentifier(std::string_view name);
// Single quotes, with backslash escapes as mysqld reads them when NO_BACKSLASH_ESCAPES is off.
std::string QuoteText(std::string_view text);

}  // namespace paceline
