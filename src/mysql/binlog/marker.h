// mysql/binlog/marker.h - the comment by which a statement's text is found again in a binary log:
// "/*pl:80000007*/" in front of the text, the number in eight hexadecimal digits. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace paceline::mysql::binlog {

std::string MarkerOf(uint32_t number);
// The number of the marker that `text` begins with, white space apart; 0: there is none.
uint32_t MarkerIn(std::string_view text);

}  // namespace paceline::mysql::binlog
