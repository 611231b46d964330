// mysqld/diagnose.h - one line out of what mysqld wrote when it did not start. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::mysqld {

struct DiagnoseContext {
  std::string what;  // "mysqld of /vt/vt_0000000100 did not start (exit code 1)"
  std::string log;   // where the text is from
  uint16_t port = 0;
};
// kAlreadyExists: port or data directory in use. kResourceExhausted: disk full. kPermissionDenied:
// read-only or not ours. kInvalidArgument: an option it does not know. Else kInternal with the
// first [ERROR] line.
Error Diagnose(std::string_view log_text, const DiagnoseContext& context);

}  // namespace paceline::mysqld
