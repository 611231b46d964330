// Clauses that begin with a word: SELECT, INSERT, UPDATE, DELETE, INTO, FOR, WITH, wherever they
// stand.
#include <algorithm>

#include "base/strings.h"
#include "sql/scanner.h"

namespace paceline::sql {

void Scanner::ScanSelect() {
  Frame& here = frame();
  Advance();
  here.statement = true;
  here.tables = here.expect_table = here.is_delete = here.ctes = false;
  here.access = Access::kRead;
  here.columns = depth_ == 0 && !whole_text_;
  column_begin_ = current_.begin;
  column_calls_ = 0;
  while (At(Keyword::kStraightJoin)) {
    Advance();
    column_begin_ = current_.begin;
  }
}

void Scanner::ScanInsert() {
  frame().statement = true;
  frame().ctes = false;
  Advance();
  while (At(Keyword::kLowPriority) || At(Keyword::kDelayed) || At(Keyword::kHighPriority) ||
         At(Keyword::kIgnore)) {
    Advance();
  }
  Take(Keyword::kInto);
  frame().tables = false;
  if (current_.IsName()) {
    const Chain chain = TakeChain();
    AddTable(chain, Access::kWrite);
  }
}

void Scanner::ScanUpdate() {
  frame().statement = true;
  frame().ctes = false;
  Advance();
  while (At(Keyword::kLowPriority) || At(Keyword::kIgnore)) Advance();
  StartTables(Access::kWrite);
}

void Scanner::ScanDelete() {
  Frame& here = frame();
  here.statement = here.is_delete = true;
  here.ctes = false;
  Advance();
  while (At(Keyword::kLowPriority) || At(Keyword::kQuick) || At(Keyword::kIgnore)) Advance();
  if (At(Keyword::kFrom)) return;
  // DELETE t1, db.t2.* FROM ...: names of tables or of their aliases.
  while (current_.IsName()) {
    const Chain chain = TakeChain();
    if (chain.names >= 2) AddDatabase(chain.part[0], DatabaseRole::kQualifier);
    delete_targets_.push_back(chain.part[chain.names >= 2 ? 1 : 0]);
    if (!Take(',')) break;
  }
  here.is_delete = false;
}

void Scanner::MarkDeleteTargets() {
  for (const Span& target : delete_targets_) {
    bool found = false;
    for (TableUse& table : out_.tables) {
      if (TextOf(table.name) != TextOf(target)) continue;
      table.access = Access::kWrite;
      found = true;
    }
    if (found) continue;
    // An alias: which table it stands for is not tracked, so each with an alias counts as written.
    for (TableUse& table : out_.tables) {
      if (table.has_alias) table.access = Access::kWrite;
    }
  }
}

void Scanner::ScanInto() {
  Advance();
  frame().tables = false;
  if (At(Keyword::kOutfile) || At(Keyword::kDumpfile)) {
    Set(kIntoFile);
    Advance();
    return;
  }
  while (current_.kind == TokenKind::kUserVariable) {
    Set(kIntoVariable | kWritesUserVariable);
    Advance();
    if (!At(',') || next_.kind != TokenKind::kUserVariable) break;
    Advance();
  }
}

void Scanner::ScanFor() {
  Advance();
  switch (current_.keyword) {
    case Keyword::kUpdate:
    case Keyword::kShare:
      Set(At(Keyword::kUpdate) ? kLocksForUpdate : kLocksForShare);
      frame().tables = false;
      Advance();
      if (At(Keyword::kOf)) {
        do {
          Advance();
          if (!current_.IsName()) break;
          const Chain chain = TakeChain();
          if (chain.names >= 2) AddDatabase(chain.part[0], DatabaseRole::kQualifier);
        } while (At(','));
      }
      break;
    case Keyword::kJoin:  // USE INDEX FOR JOIN (...)
      Advance();
      break;
    case Keyword::kOrder:
    case Keyword::kGroup:
      Advance();
      Take(Keyword::kBy);
      break;
    default:
      break;
  }
}

void Scanner::ScanWith() {
  Advance();
  if (At(Keyword::kRecursive)) {
    Advance();
    frame().ctes = true;
  } else if (current_.IsName() && (next_.Is(Keyword::kAs) || next_.Is('('))) {
    frame().ctes = true;
  } else {
    return;
  }
  ScanCteName();
}

void Scanner::ScanCteName() {
  if (!current_.IsName()) return;
  ctes_.push_back(SpanOf(current_));
  Advance();
}

void Scanner::DropCtes() {
  std::erase_if(out_.tables, [this](const TableUse& table) {
    if (!table.database.empty()) return false;
    const std::string name = Unquote(TextOf(table.name), dialect_);
    return std::any_of(ctes_.begin(), ctes_.end(), [&](const Span& cte) {
      return EqualsIgnoreCase(Unquote(TextOf(cte), dialect_), name);
    });
  });
}

}  // namespace paceline::sql
