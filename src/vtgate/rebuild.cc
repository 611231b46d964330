#include "vtgate/rebuild.h"

#include <algorithm>

#include "base/strings.h"
#include "sql/lexer.h"

namespace paceline::vtgate {
namespace {

using mysql::wire::Terminator;
using sql::Kind;

// IGNORE turns errors into warnings; it stands between the verb and the first '(' or SET.
bool HasIgnore(std::string_view text, const sql::Dialect& dialect) {
  sql::Lexer lexer(text, dialect);
  for (;;) {
    const sql::Token token = lexer.Next();
    if (token.kind == sql::TokenKind::kEnd || token.Is('(')) return false;
    if (token.Is(sql::Keyword::kIgnore)) return true;
  }
}

// VALUES (...) once, and nothing behind it but ON DUPLICATE KEY UPDATE.
bool HasOneRow(std::string_view text, const sql::Dialect& dialect) {
  sql::Lexer lexer(text, dialect);
  int depth = 0, rows = 0;
  bool values = false;
  for (;;) {
    const sql::Token token = lexer.Next();
    if (token.kind == sql::TokenKind::kEnd) return rows == 1;
    if (token.Is(')')) --depth;
    if (token.Is('(') && depth++ == 0 && values) ++rows;
    if (depth != 0) continue;
    if (token.Is(sql::Keyword::kValues) || token.Is(sql::Keyword::kValue)) values = true;
    if (token.Is(sql::Keyword::kOn)) return rows == 1;
  }
}

// Whether parameter `number` of a COM_STMT_EXECUTE, from 0 on, is an integer.
bool IsInteger(std::string_view parameters, size_t number, size_t count) {
  // Flags, iterations, which are NULL, whether types follow, types.
  const size_t bound = 5 + (count + 7) / 8;
  const size_t at = bound + 1 + 2 * number;
  if (parameters.size() < bound + 1 + 2 * count || parameters[bound] != 1) return false;
  const auto type = static_cast<uint8_t>(parameters[at]);
  return type == 1 || type == 2 || type == 3 || type == 8 || type == 9;
}

// An UPDATE whose condition has "key = integer" as one of those that must all hold. Anything that
// could make the words mean something else is no.
bool FindsOneRowAtMost(std::string_view text, const sql::Dialect& dialect,
                       const std::vector<std::string>& keys, std::string_view parameters) {
  std::vector<sql::Token> condition;
  std::vector<size_t> placeholders;  // by token of `condition`
  size_t count = 0, found = std::string_view::npos;
  bool by_literal = false;
  auto end_condition = [&] {
    const size_t size = condition.size();
    const bool named = size == 3 || (size == 5 && condition[1].Is('.')) ||
                       (size == 7 && condition[1].Is('.') && condition[3].Is('.'));
    if (named && condition[size - 2].Is('=')) {
      const sql::Token& column = condition[size - 3];
      const sql::Token& value = condition[size - 1];
      const std::string name = column.IsName()
                                   ? sql::Unquote(text.substr(column.begin, column.size()), dialect)
                                   : std::string();
      const bool is_key = std::ranges::any_of(
          keys, [&](const std::string& key) { return EqualsIgnoreCase(key, name); });
      if (is_key && value.kind == sql::TokenKind::kInteger) by_literal = true;
      if (is_key && value.kind == sql::TokenKind::kPlaceholder) found = placeholders.back();
    }
    condition.clear();
    placeholders.clear();
  };
  sql::Lexer lexer(text, dialect);
  int depth = 0;
  bool inside = false, over = false;
  for (;;) {
    const sql::Token token = lexer.Next();
    if (token.kind == sql::TokenKind::kEnd) break;
    if (token.kind == sql::TokenKind::kPlaceholder) ++count;
    if (token.Is(')')) --depth;
    const bool top = depth == 0;
    if (token.Is('(')) ++depth;
    if (!top || over) continue;
    if (!inside) {
      inside = token.Is(sql::Keyword::kWhere);
      continue;
    }
    if (token.Is(sql::Keyword::kOrder) || token.Is(sql::Keyword::kLimit) || token.Is(';')) {
      over = true;
      continue;
    }
    for (sql::Keyword no :
         {sql::Keyword::kOr, sql::Keyword::kXor, sql::Keyword::kBetween, sql::Keyword::kCase}) {
      if (token.Is(no)) return false;
    }
    const std::string_view word = text.substr(token.begin, token.size());
    if (word == "||" || word == "&&" || word == ":=") return false;
    if (token.Is(sql::Keyword::kAnd)) {
      end_condition();
      continue;
    }
    condition.push_back(token);
    if (token.kind == sql::TokenKind::kPlaceholder) placeholders.push_back(count - 1);
  }
  end_condition();
  return by_literal || (found != std::string_view::npos && IsInteger(parameters, found, count));
}

std::string_view TableOf(const port::AttemptOutcome::Change& change) {
  const size_t dot = change.table.find('.');
  return std::string_view(change.table).substr(dot == std::string::npos ? 0 : dot + 1);
}

// A definition that answers "0 rows" whatever it meets. ALTER may copy rows and count them, CREATE
// TABLE ... SELECT inserts some, IF EXISTS warns.
bool CountsNothing(const sql::Outline& outline) {
  if (outline.kind != Kind::kDdl || outline.Has(sql::kIfExists)) return false;
  if (outline.verb == sql::Verb::kAlter || outline.object == sql::Object::kIndex) return false;
  for (const sql::TableUse& table : outline.tables) {
    if (table.access == sql::Access::kRead) return false;
  }
  return true;
}

}  // namespace

std::optional<Terminator> RebuildOk(const plan::Plan& plan, std::string_view text,
                                    std::string_view parameters, const sql::Dialect& dialect,
                                    bool found_rows, const port::AttemptOutcome& outcome) {
  const sql::Outline& outline = plan.outline;
  Terminator ok;
  ok.gtid = outcome.gtid;
  if (CountsNothing(outline)) return ok;
  const bool insert = outline.kind == Kind::kInsert || outline.kind == Kind::kReplace;
  if (!insert && outline.kind != Kind::kUpdate && outline.kind != Kind::kDelete) return {};
  if (outline.Has(sql::kReturning | sql::kSetsLastInsertId | sql::kWritesUserVariable |
                  sql::kSequenceCall)) {
    return {};
  }
  // Further tables may have been written by it, too, and count; those that triggers wrote do not.
  if (outline.tables.size() != 1 || outcome.statements > 1) return {};
  if (HasIgnore(text, dialect)) return {};
  const std::string name = sql::Unquote(outline.tables[0].name.In(text), dialect);
  const port::AttemptOutcome::Change* own = nullptr;
  for (const port::AttemptOutcome::Change& change : outcome.changes) {
    if (TableOf(change) != name) continue;
    if (own != nullptr) return {};  // of two databases
    own = &change;
  }
  if (own == nullptr) return {};  // a view, or a routing rule's other name
  if (outline.kind == Kind::kUpdate) {
    if (own->inserted != 0 || own->deleted != 0) return {};
    // Rows that were found and stayed as they were are not logged.
    if (found_rows &&
        (own->updated != 1 || !FindsOneRowAtMost(text, dialect, own->integer_keys, parameters))) {
      return {};
    }
    ok.affected_rows = own->updated;
    return ok;
  }
  if (outline.kind == Kind::kDelete) {
    if (own->inserted != 0 || own->updated != 0) return {};
    ok.affected_rows = own->deleted;
    return ok;
  }
  // A row that replaced or updated another counts as one or two, with data that is not logged.
  if (own->updated != 0 || own->deleted != 0) return {};
  // One that met its equal may count, and is not logged.
  const bool may_meet = outline.kind == Kind::kReplace || outline.Has(sql::kDuplicateUpdate);
  if (may_meet && (own->inserted != 1 || !HasOneRow(text, dialect))) return {};
  if (!own->first_insert_id) return {};
  // Of several rows the answer names the first value that was made, or the last that was given.
  if (own->inserted != 1 && *own->first_insert_id != 0) return {};
  ok.affected_rows = own->inserted;
  ok.last_insert_id = *own->first_insert_id;
  return ok;
}

}  // namespace paceline::vtgate
