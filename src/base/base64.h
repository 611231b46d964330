// base/base64.h - RFC 4648, with padding.
#pragma once

#include <string>
#include <string_view>

namespace paceline {

std::string Base64Encode(std::string_view bytes);
// Padding may be missing. Empty when it is no base64.
std::string Base64Decode(std::string_view text);

}  // namespace paceline
