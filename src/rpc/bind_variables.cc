#include "rpc/bind_variables.h"

#include "query.pb.h"

namespace paceline::rpc {
namespace {

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNamePart(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

// Behind the quoted text or comment that begins at `at`; `at` itself where none begins.
size_t SkipOpaque(std::string_view sql, size_t at) {
  char c = sql[at];
  if (c == '\'' || c == '"' || c == '`') {
    for (size_t i = at + 1; i < sql.size(); ++i) {
      if (sql[i] == '\\' && c != '`') {
        ++i;
      } else if (sql[i] == c) {
        return i + 1;
      }
    }
    return sql.size();
  }
  std::string_view rest = sql.substr(at);
  // "/*!" and "/*+" are no places for variables either.
  if (rest.starts_with("/*")) {
    size_t end = sql.find("*/", at + 2);
    return end == sql.npos ? sql.size() : end + 2;
  }
  if (c == '#' || (rest.starts_with("--") && (rest.size() == 2 || rest[2] <= ' '))) {
    size_t end = sql.find('\n', at);
    return end == sql.npos ? sql.size() : end + 1;
  }
  return at;
}

Result<std::string> ScalarToSql(std::string_view name, int type, const std::string& bytes) {
  if (type == query::TUPLE || type == query::ROW_TUPLE || !query::Type_IsValid(type)) {
    return Fail(Code::kInvalidArgument,
                "bind variable {} has a type {} that cannot be written as SQL", name, type);
  }
  return value::Value{static_cast<value::Type>(type), bytes}.ToSql();
}

}  // namespace

Result<std::string> BindVariableToSql(std::string_view name, const query::BindVariable& variable) {
  if (variable.type() != query::TUPLE) return ScalarToSql(name, variable.type(), variable.value());
  if (variable.values_size() == 0)
    return Fail(Code::kInvalidArgument, "bind variable {} is an empty list", name);
  std::string list = "(";
  for (const query::Value& item : variable.values()) {
    if (list.size() > 1) list += ", ";
    ASSIGN_OR_RETURN(std::string text, ScalarToSql(name, item.type(), item.value()));
    list += text;
  }
  return list + ")";
}

namespace {

// Replaces each place of `sql`: `put(name, is_list, &out)`, with an empty name for a "?".
template <class Put>
Status ForEachPlace(std::string_view sql, std::string& out, Put put) {
  for (size_t at = 0; at < sql.size();) {
    size_t behind = SkipOpaque(sql, at);
    if (behind > at) {
      out.append(sql, at, behind - at);
      at = behind;
      continue;
    }
    if (sql[at] == '?') {
      RETURN_IF_ERROR(put(std::string(), false));
      ++at;
      continue;
    }
    size_t begin = at;
    while (begin < sql.size() && begin < at + 2 && sql[begin] == ':') ++begin;
    // ":=" and a lone ":" are SQL.
    if (begin == at || begin == sql.size() || !IsNameStart(sql[begin])) {
      begin = std::max(begin, at + 1);
      out.append(sql, at, begin - at);
      at = begin;
      continue;
    }
    size_t end = begin;
    while (end < sql.size() && IsNamePart(sql[end])) ++end;
    RETURN_IF_ERROR(put(std::string(sql.substr(begin, end - begin)), begin == at + 2));
    at = end;
  }
  return Status();
}

}  // namespace

Result<std::string> FillIn(const query::BoundQuery& query) {
  const std::string& sql = query.sql();
  if (query.bind_variables().empty()) return sql;
  std::string out;
  out.reserve(sql.size() + 16 * query.bind_variables().size());
  size_t marks = 0;
  auto put = [&](std::string name, bool) -> Status {
    bool mark = name.empty();
    if (mark) name = fmt::format("v{}", ++marks);
    auto found = query.bind_variables().find(name);
    if (found == query.bind_variables().end() && mark) {
      out += '?';
      return Status();
    }
    if (found == query.bind_variables().end())
      return Fail(Code::kInvalidArgument, "missing bind var {}", name);
    ASSIGN_OR_RETURN(std::string text, BindVariableToSql(name, found->second));
    out += text;
    return Status();
  };
  RETURN_IF_ERROR(ForEachPlace(sql, out, put));
  return out;
}

std::string PlacesAsMarks(std::string_view sql) {
  std::string out;
  auto put = [&out](const std::string&, bool list) -> Status {
    out += list ? "(?)" : "?";
    return Status();
  };
  Status always = ForEachPlace(sql, out, put);
  (void)always;
  return out;
}

}  // namespace paceline::rpc
