#include "vtgate/rebuild.h"

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
                                    const sql::Dialect& dialect, bool found_rows,
                                    const port::AttemptOutcome& outcome) {
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
    if (found_rows || own->inserted != 0 || own->deleted != 0) return {};
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
