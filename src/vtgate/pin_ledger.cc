#include "vtgate/pin_ledger.h"

#include "base/strings.h"
#include "sql/lexer.h"

namespace paceline::vtgate {

using plan::PinReason;
using sql::Kind;

namespace {

std::string NameOf(sql::Span span, std::string_view text, const sql::Dialect& dialect) {
  return Lower(sql::Unquote(span.In(text), dialect));
}

}  // namespace

void PinLedger::Ran(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect) {
  const sql::Outline& outline = plan.outline;
  switch (outline.kind) {
    case Kind::kDdl:
      Table(text, plan, dialect);
      break;
    case Kind::kPrepare:
      prepared_.insert(NameOf(outline.name, text, dialect));
      break;
    case Kind::kDeallocate:
      prepared_.erase(NameOf(outline.name, text, dialect));
      break;
    case Kind::kHandler:
      // An open handler has a table's name or an alias; which of the two a CLOSE names is not told.
      if (plan.pin == PinReason::kHandler) for_ever_.insert(PinReason::kHandler);
      break;
    case Kind::kXa:
      if (plan.pin == PinReason::kXa) xa_ = true;
      if (plan.unpin == PinReason::kXa) xa_ = false;
      break;
    case Kind::kLockTables:
      table_locks_ = true;
      break;
    case Kind::kFlush:
      if (plan.pin == PinReason::kGlobalReadLock) read_lock_ = true;
      break;
    case Kind::kUnlockTables:
      table_locks_ = read_lock_ = false;
      break;
    case Kind::kBegin:
      table_locks_ = false;  // START TRANSACTION unlocks; a global read lock stays
      break;
    default:
      break;
  }
  const bool sets_variable = outline.Has(sql::kWritesUserVariable) && outline.kind != Kind::kSet;
  if (plan.pin == PinReason::kUserVariable || sets_variable)
    for_ever_.insert(PinReason::kUserVariable);
  Locks(text, plan, dialect);
}

void PinLedger::Table(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect) {
  const sql::Outline& outline = plan.outline;
  const bool creates = outline.verb == sql::Verb::kCreate && outline.Has(sql::kTemporaryTable);
  const bool drops = outline.verb == sql::Verb::kDrop && outline.object == sql::Object::kTable;
  const bool renames = outline.verb == sql::Verb::kRename || outline.verb == sql::Verb::kAlter;
  if (renames && !tables_.empty()) {
    // ALTER TABLE ... RENAME of a temporary table, perhaps.
    for_ever_.insert(PinReason::kTemporaryTable);
  }
  if (!creates && !drops) return;
  for (const sql::TableUse& use : outline.tables) {
    if (creates && use.access != sql::Access::kCreate) continue;
    std::string name = NameOf(use.name, text, dialect);
    if (creates) {
      tables_.insert(name);
    } else {
      tables_.erase(name);
    }
  }
  if (creates && tables_.empty()) for_ever_.insert(PinReason::kTemporaryTable);
}

void PinLedger::Locks(std::string_view text, const plan::Plan& plan, const sql::Dialect& dialect) {
  const sql::Outline& outline = plan.outline;
  if (outline.Has(sql::kUsesReleaseAllLocks) && !outline.Has(sql::kUsesGetLock)) locks_.clear();
  if (outline.Has(sql::kUsesReleaseLock) || outline.Has(sql::kUsesReleaseAllLocks))
    ask_locks_ = true;
  if (!outline.Has(sql::kUsesGetLock)) return;
  sql::Lexer lexer(text, dialect);
  for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd; token = lexer.Next()) {
    if (!token.Is(sql::Keyword::kGetLock)) continue;
    lexer.Next();  // the bracket
    sql::Token name = lexer.Next();
    sql::Token behind = lexer.Next();
    if (name.kind == sql::TokenKind::kString && behind.Is(',')) {
      locks_.insert(std::string(text.substr(name.begin, name.size())));
      ask_locks_ = true;  // it may not have been given
    } else {
      for_ever_.insert(PinReason::kGetLock);
    }
  }
}

void PinLedger::LocksHeld(bool any) {
  ask_locks_ = false;
  if (!any) locks_.clear();
}

bool PinLedger::Holds(PinReason reason) const {
  if (for_ever_.contains(reason)) return true;
  switch (reason) {
    case PinReason::kNone:
      return false;
    case PinReason::kTemporaryTable:
      return !tables_.empty();
    case PinReason::kLockTables:
      return table_locks_;
    case PinReason::kGetLock:
      return !locks_.empty();
    case PinReason::kUserVariable:
      return true;
    case PinReason::kPreparedStatement:
      return !prepared_.empty();
    case PinReason::kHandler:
    case PinReason::kDiagnostics:
      return false;
    case PinReason::kXa:
      return xa_;
    case PinReason::kGlobalReadLock:
      return read_lock_;
  }
  return true;
}

}  // namespace paceline::vtgate
