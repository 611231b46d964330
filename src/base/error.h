// base/error.h - why an operation failed, in the words the outside world speaks.
// An Error carries a Code (the numbers of vtrpc.Code), the MySQL errno and SQLSTATE a client sees,
// a VTnnnnn id where Vitess has one, and a message that names what failed and where. Functions that
// can fail return Result<T>. Threads: values; safe to copy across threads.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace paceline {

// Numbers of vtrpc.Code (proto/vtrpc.proto), which follow grpc::StatusCode up to 16.
enum class Code : uint8_t {
  kOk = 0,
  kCanceled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
  kClusterEvent = 17,
  kReadOnly = 18,
};

// "INVALID_ARGUMENT" and so on, as vtrpc spells them.
std::string_view CodeName(Code code);

// A numbered error of the contract: what Vitess calls VTnnnnn, with the MySQL numbers clients see.
struct ErrorSpec {
  std::string_view id;
  Code code;
  uint16_t mysql_errno;
  char sqlstate[6];
  std::string_view help;
};

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message);
  Error(const ErrorSpec& spec, std::string message);
  // An error that mysqld reported: its errno and SQLSTATE are kept as they are.
  static Error FromMysql(uint16_t mysql_errno, std::string_view sqlstate, std::string message);

  Code code() const { return rep_->code; }
  // The text without id and numbers.
  const std::string& message() const { return rep_->message; }
  // VTnnnnn, or empty.
  std::string_view id() const { return rep_->id; }
  // The errno a MySQL client gets; derived from the code where nothing better is known.
  uint16_t mysql_errno() const { return rep_->mysql_errno; }
  std::string_view sqlstate() const { return {rep_->sqlstate, 5}; }
  // True when mysqld itself said it.
  bool from_mysql() const { return rep_->from_mysql; }

  // The same error with what was being done put before its text: "promoting zone1-101: ...".
  Error Context(std::string_view doing) const;
  // "VT03014: text" or "text".
  std::string ToString() const;

 private:
  struct Rep {
    Code code = Code::kUnknown;
    uint16_t mysql_errno = 1105;
    char sqlstate[6] = "HY000";
    bool from_mysql = false;
    std::string_view id;
    std::string message;
  };
  explicit Error(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}
  std::shared_ptr<const Rep> rep_;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// return Fail(Code::kNotFound, "keyspace {} does not exist", name);
template <class... Args>
std::unexpected<Error> Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected<Error>(Error(code, fmt::format(format, std::forward<Args>(args)...)));
}
template <class... Args>
std::unexpected<Error> Fail(const ErrorSpec& spec, fmt::format_string<Args...> format,
                            Args&&... args) {
  return std::unexpected<Error>(Error(spec, fmt::format(format, std::forward<Args>(args)...)));
}
inline std::unexpected<Error> Fail(Error error) { return std::unexpected<Error>(std::move(error)); }

}  // namespace paceline

// For plain functions (in coroutines await into a named variable and co_return Fail(x.error())).
#define RETURN_IF_ERROR(expression)                                      \
  do {                                                                   \
    if (auto result_of_expression = (expression); !result_of_expression) \
      return ::paceline::Fail(std::move(result_of_expression).error());  \
  } while (false)
#define PACELINE_CONCAT_INNER(a, b) a##b
#define PACELINE_CONCAT(a, b) PACELINE_CONCAT_INNER(a, b)
// ASSIGN_OR_RETURN(auto value, Parse(text)); the expression must not contain co_await.
#define ASSIGN_OR_RETURN(target, expression)                                           \
  auto PACELINE_CONCAT(result_at_, __LINE__) = (expression);                           \
  if (!PACELINE_CONCAT(result_at_, __LINE__))                                          \
    return ::paceline::Fail(std::move(PACELINE_CONCAT(result_at_, __LINE__)).error()); \
  target = std::move(*PACELINE_CONCAT(result_at_, __LINE__))
