#include "vttablet/query/reading.h"

#include <algorithm>

#include "base/strings.h"
#include "sql/lexer.h"
#include "sql/set.h"

namespace paceline::vttablet {

void Reading::Follow(std::string_view text) {
  auto same = [](char a, char b) { return (a | 0x20) == b; };
  constexpr std::string_view kSet = "set";
  if (std::search(text.begin(), text.end(), kSet.begin(), kSet.end(), same) == text.end()) return;
  for (const sql::Span& span : sql::SplitStatements(text, dialect)) {
    std::string_view statement = span.In(text);
    sql::Lexer lexer(statement, dialect);
    if (!lexer.Next().Is(sql::Keyword::kSet)) continue;
    for (const sql::Assignment& one : sql::ParseSet(statement, dialect).assignments) {
      const bool charset = one.scope == sql::Scope::kNames || one.scope == sql::Scope::kCharset;
      if (charset || (one.scope == sql::Scope::kSession && one.name == "character_set_client")) {
        dialect.bytes = sql::ByteSchemeOf(one.constant);
      } else if (one.scope == sql::Scope::kSession && one.name == "sql_mode") {
        any_mode = one.kind != sql::ValueKind::kString && one.kind != sql::ValueKind::kWord;
        if (!any_mode) sql::ApplySqlMode(one.constant, dialect);
      }
    }
  }
}

std::vector<sql::Dialect> Reading::Each() const {
  std::vector<sql::Dialect> out;
  if (!any_mode) return {dialect};
  for (int mode = 0; mode < 4; ++mode) {
    out.push_back(dialect);
    out.back().ansi_quotes = (mode & 1) != 0;
    out.back().no_backslash_escapes = (mode & 2) != 0;
  }
  return out;
}

}  // namespace paceline::vttablet
