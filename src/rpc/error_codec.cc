#include "rpc/error_codec.h"

#include "base/strings.h"
#include "vtrpc.pb.h"

namespace paceline::rpc {
namespace {

constexpr std::string_view kErrnoMark = " (errno ";
constexpr std::string_view kSqlstateMark = ") (sqlstate ";

struct Numbers {
  size_t at;  // where the mark begins
  uint16_t mysql_errno;
  std::string_view sqlstate;
};

// The first "(errno N) (sqlstate SSSSS)" of the text.
std::optional<Numbers> FindNumbers(std::string_view text) {
  for (size_t at = text.find(kErrnoMark); at != text.npos; at = text.find(kErrnoMark, at + 1)) {
    std::string_view rest = text.substr(at + kErrnoMark.size());
    size_t digits = rest.find(')');
    if (digits == rest.npos) return std::nullopt;
    std::optional<uint64_t> number = ParseUint(rest.substr(0, digits));
    rest.remove_prefix(digits);
    if (!number || *number > 65535 || !rest.starts_with(kSqlstateMark)) continue;
    std::string_view state = rest.substr(kSqlstateMark.size());
    if (state.size() < 6 || state[5] != ')') continue;
    return Numbers{at, static_cast<uint16_t>(*number), state.substr(0, 5)};
  }
  return std::nullopt;
}

}  // namespace

std::string WireText(const Error& error) {
  std::string text = error.ToString();
  std::string numbers;
  bool guessable =
      !error.from_mysql() && error.mysql_errno() == Error(error.code(), "").mysql_errno();
  if (!guessable) {
    numbers =
        fmt::format("{}{}{}{})", kErrnoMark, error.mysql_errno(), kSqlstateMark, error.sqlstate());
  }
  if (text.size() + numbers.size() > kErrorTextMax) {
    static constexpr std::string_view kCut = " [cut: gRPC carries no longer error]";
    size_t keep = kErrorTextMax - numbers.size() - kCut.size();
    // Not inside a UTF-8 sequence.
    while (keep > 0 && (static_cast<unsigned char>(text[keep]) & 0xc0) == 0x80) --keep;
    text.resize(keep);
    text += kCut;
  }
  return text + numbers;
}

Error ErrorFromWire(int code, std::string_view text) {
  bool known = code > 0 && code <= static_cast<int>(Code::kReadOnly);
  Code ours = known ? static_cast<Code>(code) : Code::kUnknown;
  std::optional<Numbers> numbers = FindNumbers(text);
  // A refusal before mysqld saw the statement must stay one, or nobody would run it elsewhere.
  if (!numbers || ours == Code::kClusterEvent) return Error(ours, std::string(text));
  return Error::FromMysql(numbers->mysql_errno, numbers->sqlstate,
                          std::string(text.substr(0, numbers->at)));
}

void ToProto(const Error& error, vtrpc::RPCError* out) {
  out->set_code(static_cast<vtrpc::Code>(error.code()));
  out->set_message(WireText(error));
}

Error FromProto(const vtrpc::RPCError& error) {
  return ErrorFromWire(error.code(), error.message());
}

}  // namespace paceline::rpc
