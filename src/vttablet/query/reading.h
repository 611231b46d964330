// vttablet/query/reading.h - how a session reads its own text, as far as the tablet knows: what SET
// changed of quotes, backslashes and the client's character set. Values.
#pragma once

#include <string_view>
#include <vector>

#include "sql/dialect.h"

namespace paceline::vttablet {

struct Reading {
  sql::Dialect dialect;
  bool any_mode = false;  // sql_mode was set to what is not known from here

  // After the session ran `text`.
  void Follow(std::string_view text);
  // Each dialect in which the text must be judged.
  std::vector<sql::Dialect> Each() const;
};

}  // namespace paceline::vttablet
