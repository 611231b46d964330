#include "mysqld/diagnose.h"

#include "base/strings.h"

namespace paceline::mysqld {
namespace {

struct Sign {
  std::string_view text;  // in lower case
  Code code;
  std::string_view meaning;
};

constexpr Sign kSigns[] = {
    {"address already in use", Code::kAlreadyExists, "port {port} is in use"},
    {"no space left on device", Code::kResourceExhausted, "the disk is full"},
    {"errno: 28", Code::kResourceExhausted, "the disk is full"},
    {"disk is full", Code::kResourceExhausted, "the disk is full"},
    {"read-only file system", Code::kPermissionDenied, "the file system is read-only"},
    {"errno: 30", Code::kPermissionDenied, "the file system is read-only"},
    {"unable to lock ./ibdata1", Code::kAlreadyExists, "another mysqld uses this data directory"},
    {"unable to lock", Code::kAlreadyExists, "another mysqld uses this data directory"},
    {"permission denied", Code::kPermissionDenied,
     "a file or folder is not accessible to mysqld's user"},
    {"errno: 13", Code::kPermissionDenied, "a file or folder is not accessible to mysqld's user"},
    {"unknown variable", Code::kInvalidArgument,
     "my.cnf or EXTRA_MY_CNF has an option that this server does not know"},
    {"unknown option", Code::kInvalidArgument,
     "my.cnf or EXTRA_MY_CNF has an option that this server does not know"},
    {"upgrade", Code::kFailedPrecondition,
     "the data directory is of a version that this server cannot take over"},
};

std::string_view Message(std::string_view line) {
  size_t at = line.find("[ERROR]");
  return Trim(at == std::string_view::npos ? line : line.substr(at + 7));
}

}  // namespace

Error Diagnose(std::string_view log_text, const DiagnoseContext& context) {
  const std::string see = context.log.empty() ? "" : "; see " + context.log;
  std::string_view first_error, matched;
  const Sign* sign = nullptr;
  for (std::string_view line : Split(log_text, '\n')) {
    bool is_error = line.find("[ERROR]") != std::string_view::npos;
    if (is_error && first_error.empty()) first_error = line;
    if (sign != nullptr) continue;
    std::string lower = Lower(line);
    bool warns =
        lower.find("[warning]") != std::string::npos || lower.find("[note]") != std::string::npos;
    for (const Sign& one : kSigns) {
      if (warns || lower.find(one.text) == std::string::npos) continue;
      // A word as common as "upgrade" counts in an error only.
      if (one.code == Code::kFailedPrecondition && !is_error) continue;
      sign = &one;
      matched = line;
      break;
    }
  }
  if (sign != nullptr) {
    std::string meaning = ReplaceAll(sign->meaning, "{port}", std::to_string(context.port));
    return Error(sign->code, fmt::format("{}: {} ({}){}", context.what, meaning,
                                         Message(matched).substr(0, 200), see));
  }
  if (first_error.empty()) return Error(Code::kInternal, context.what + see);
  return Error(Code::kInternal,
               fmt::format("{}: {}{}", context.what, Message(first_error).substr(0, 300), see));
}

}  // namespace paceline::mysqld
