// base/check.h - CHECK stays on in production and is for programmer errors only; bad input is an
// Error.
#pragma once

#include <string>

namespace paceline {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& detail);
}  // namespace paceline

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) [[unlikely]]                                            \
      ::paceline::CheckFailed(__FILE__, __LINE__, #condition, std::string()); \
  } while (false)
#define CHECK_MSG(condition, detail)                                     \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::paceline::CheckFailed(__FILE__, __LINE__, #condition, (detail)); \
  } while (false)
