// vtgate/like.h - LIKE for names: '%', '_' and backslash, ASCII case ignored. Pure.
#pragma once

#include <string_view>

namespace paceline::vtgate {

bool MatchesLike(std::string_view text, std::string_view pattern);

}  // namespace paceline::vtgate
