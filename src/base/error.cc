#include "base/error.h"

#include <cstring>

namespace paceline {
namespace {

struct MysqlNumbers {
  uint16_t number;
  const char* sqlstate;
};

// What a MySQL client is told for a code that has no errno of its own (server error reference,
// dev.mysql.com).
MysqlNumbers NumbersFor(Code code) {
  switch (code) {
    case Code::kCanceled:
      return {1317, "70100"};  // ER_QUERY_INTERRUPTED
    case Code::kDeadlineExceeded:
      return {1317, "70100"};  // ER_QUERY_INTERRUPTED
    case Code::kPermissionDenied:
      return {1045, "28000"};  // ER_ACCESS_DENIED_ERROR
    case Code::kUnauthenticated:
      return {1045, "28000"};  // ER_ACCESS_DENIED_ERROR
    case Code::kResourceExhausted:
      return {1203, "42000"};  // ER_TOO_MANY_USER_CONNECTIONS
    case Code::kUnimplemented:
      return {1235, "42000"};  // ER_NOT_SUPPORTED_YET
    case Code::kInvalidArgument:
      return {1105, "HY000"};  // ER_UNKNOWN_ERROR
    case Code::kReadOnly:
      return {1290, "HY000"};  // ER_OPTION_PREVENTS_STATEMENT
    default:
      return {1105, "HY000"};
  }
}

Code CodeForMysql(uint16_t number) {
  switch (number) {
    case 1044:
    case 1045:
    case 1142:
    case 1143:
    case 1227:
    case 1410:
      return Code::kPermissionDenied;
    case 1021:
    case 1040:
    case 1041:
    case 1203:
    case 1226:
      return Code::kResourceExhausted;
    case 1046:
    case 1054:
    case 1064:
    case 1065:
    case 1136:
    case 1149:
    case 1366:
    case 1406:
      return Code::kInvalidArgument;
    case 1049:
    case 1051:
    case 1146:
    case 1305:
      return Code::kNotFound;
    case 1007:
    case 1050:
    case 1062:
      return Code::kAlreadyExists;
    case 1205:
      return Code::kDeadlineExceeded;
    case 1213:
      return Code::kAborted;
    case 1290:
    case 1836:
      return Code::kFailedPrecondition;
    case 1317:
      return Code::kCanceled;
    case 2002:
    case 2003:
    case 2006:
    case 2013:
    case 1053:
    case 1927:
      return Code::kUnavailable;
    default:
      return Code::kUnknown;
  }
}

}  // namespace

std::string_view CodeName(Code code) {
  static constexpr std::string_view kNames[] = {"OK",
                                                "CANCELED",
                                                "UNKNOWN",
                                                "INVALID_ARGUMENT",
                                                "DEADLINE_EXCEEDED",
                                                "NOT_FOUND",
                                                "ALREADY_EXISTS",
                                                "PERMISSION_DENIED",
                                                "RESOURCE_EXHAUSTED",
                                                "FAILED_PRECONDITION",
                                                "ABORTED",
                                                "OUT_OF_RANGE",
                                                "UNIMPLEMENTED",
                                                "INTERNAL",
                                                "UNAVAILABLE",
                                                "DATA_LOSS",
                                                "UNAUTHENTICATED",
                                                "CLUSTER_EVENT",
                                                "READ_ONLY"};
  auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

Error::Error(Code code, std::string message) {
  auto rep = std::make_shared<Rep>();
  rep->code = code;
  MysqlNumbers numbers = NumbersFor(code);
  rep->mysql_errno = numbers.number;
  std::memcpy(rep->sqlstate, numbers.sqlstate, 6);
  rep->message = std::move(message);
  rep_ = std::move(rep);
}

Error::Error(const ErrorSpec& spec, std::string message) {
  auto rep = std::make_shared<Rep>();
  rep->code = spec.code;
  rep->mysql_errno = spec.mysql_errno;
  std::memcpy(rep->sqlstate, spec.sqlstate, 6);
  rep->id = spec.id;
  rep->message = std::move(message);
  rep_ = std::move(rep);
}

Error Error::FromMysql(uint16_t mysql_errno, std::string_view sqlstate, std::string message) {
  auto rep = std::make_shared<Rep>();
  rep->code = CodeForMysql(mysql_errno);
  rep->mysql_errno = mysql_errno;
  std::memcpy(rep->sqlstate, "HY000", 6);
  if (sqlstate.size() == 5) std::memcpy(rep->sqlstate, sqlstate.data(), 5);
  rep->from_mysql = true;
  rep->message = std::move(message);
  return Error(std::shared_ptr<const Rep>(std::move(rep)));
}

Error Error::Context(std::string_view doing) const {
  auto rep = std::make_shared<Rep>(*rep_);
  rep->message = fmt::format("{}: {}", doing, rep->message);
  return Error(std::shared_ptr<const Rep>(std::move(rep)));
}

std::string Error::ToString() const {
  if (rep_->id.empty()) return rep_->message;
  return fmt::format("{}: {}", rep_->id, rep_->message);
}

}  // namespace paceline
