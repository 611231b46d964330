#include "sql/scanner.h"

#include <algorithm>

namespace paceline::sql {
namespace {

bool IsSystemSchemaText(std::string_view name) {
  if (!name.empty() && (name[0] == '`' || name[0] == '"') && name.size() > 2) {
    name = name.substr(1, name.size() - 2);
  }
  switch (FindKeyword(name)) {
    case Keyword::kInformationSchema:
    case Keyword::kPerformanceSchema:
    case Keyword::kMysql:
    case Keyword::kSys:
      return true;
    default:
      return false;
  }
}

// Words that end the list of tables or the list of columns of a statement.
bool EndsClause(Keyword keyword) {
  switch (keyword) {
    case Keyword::kWhere:
    case Keyword::kGroup:
    case Keyword::kHaving:
    case Keyword::kOrder:
    case Keyword::kLimit:
    case Keyword::kUnion:
    case Keyword::kExcept:
    case Keyword::kIntersect:
    case Keyword::kInto:
    case Keyword::kFrom:
    case Keyword::kFor:
    case Keyword::kLock:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool IsSchemaColumn(Keyword keyword) {
  switch (keyword) {
    case Keyword::kTableSchema:
    case Keyword::kConstraintSchema:
    case Keyword::kSchemaName:
    case Keyword::kUniqueConstraintSchema:
    case Keyword::kRoutineSchema:
    case Keyword::kEventSchema:
    case Keyword::kTriggerSchema:
    case Keyword::kEventObjectSchema:
    case Keyword::kIndexSchema:
    case Keyword::kReferencedTableSchema:
    case Keyword::kObjectSchema:
    case Keyword::kViewSchema:
    case Keyword::kSequenceSchema:
    case Keyword::kDb:
      return true;
    default:
      return false;
  }
}

void Scanner::AddDatabase(Span at, DatabaseRole role) {
  if (role != DatabaseRole::kSchemaValue && IsSystemSchemaText(TextOf(at))) Set(kSystemSchema);
  out_.databases.push_back({at, role});
}

void Scanner::AddTable(const Chain& chain, Access access) {
  TableUse use;
  use.access = access;
  if (chain.names >= 2) {
    use.database = chain.part[0];
    use.name = chain.part[1];
    AddDatabase(chain.part[0], DatabaseRole::kQualifier);
  } else {
    use.name = chain.part[0];
  }
  use.has_alias = At(Keyword::kAs) || current_.kind == TokenKind::kQuotedIdentifier ||
                  (current_.kind == TokenKind::kIdentifier && At(Keyword::kNone));
  out_.tables.push_back(use);
}

Scanner::Chain Scanner::TakeChain() {
  Chain chain;
  chain.quoted_first = current_.kind == TokenKind::kQuotedIdentifier;
  chain.part[0] = SpanOf(current_);
  chain.last_keyword = current_.keyword;
  chain.names = 1;
  bool more = next_.punct == '.';
  Advance();
  while (more && chain.names < 3) {
    if (next_.IsName()) {
      Advance();
      chain.part[chain.names++] = SpanOf(current_);
      more = next_.punct == '.';
      Advance();
      if (!more) {
        Span last = chain.part[chain.names - 1];
        std::string_view word = TextOf(last);
        if (word.size() > 2 && word[0] == '`') word = word.substr(1, word.size() - 2);
        chain.last_keyword = FindKeyword(word);
      }
    } else {
      if (next_.punct == '*') {
        Advance();
        chain.star = true;
        Advance();
      }
      return chain;
    }
  }
  if (chain.names == 1 && chain.quoted_first) {
    const std::string_view word = TextOf(chain.part[0]);
    if (word.size() > 2) chain.last_keyword = FindKeyword(word.substr(1, word.size() - 2));
  }
  return chain;
}

void Scanner::SkipIfExists() {
  if (!At(Keyword::kIf)) return;
  if (next_.Is(Keyword::kExists)) {
    Advance();
  } else if (next_.Is(Keyword::kNot)) {
    Advance();
    Advance();
  } else {
    return;
  }
  Advance();
  Set(kIfExists);
}

void Scanner::Run() {
  frames_[0] = Frame();
  current_ = lexer_.Next();
  next_ = lexer_.Next();
  while (At(';')) Advance();
  if (current_.kind == TokenKind::kEnd) {
    out_.directive = lexer_.directive();
    return;
  }
  out_.statement.offset = current_.begin;
  Head();
  Scan();
  if (frame().columns) EndColumn();
  if (!delete_targets_.empty()) MarkDeleteTargets();
  if (!ctes_.empty()) DropCtes();
  out_.statement.length = previous_.end - std::min(previous_.end, out_.statement.offset);
  if (At(';')) {
    while (At(';')) Advance();
    if (current_.kind != TokenKind::kEnd) Set(kMultiple);
  }
  out_.directive = lexer_.directive();
  out_.hint = lexer_.hint();
  if (!out_.hint.empty()) Set(kHint);
  if (lexer_.saw_version_comment()) Set(kVersionComment);
  if (lexer_.unterminated()) Set(kUnterminated);
}

void Scanner::Scan() {
  while (!AtEnd()) ScanToken();
}

void Scanner::ScanToken() {
  if (frame().expect_table) {
    ScanTable();
    return;
  }
  switch (current_.kind) {
    case TokenKind::kIdentifier:
      if (current_.keyword != Keyword::kNone && next_.punct != '.' && ScanKeyword()) return;
      ScanName();
      return;
    case TokenKind::kQuotedIdentifier:
      ScanName();
      return;
    case TokenKind::kOperator:
      if (At('(')) {
        OpenParen();
      } else if (At(')')) {
        CloseParen();
      } else if (At(',')) {
        if (frame().tables) frame().expect_table = true;
        if (frame().columns) EndColumn();
        const bool cte = frame().ctes;
        Advance();
        if (frame().columns) column_begin_ = current_.begin;
        if (cte) ScanCteName();
        return;
      } else if (At(';')) {  // within a stored program
        frames_[0] = Frame();
        depth_ = 0;
        if (next_.kind != TokenKind::kEnd) Set(kMultiple);
      } else if (schema_ == SchemaState::kOperator) {
        schema_ = SchemaState::kValue;
        Advance();
        return;
      }
      break;
    case TokenKind::kUserVariable:
      ScanUserVariable();
      break;
    case TokenKind::kSystemVariable:
      ScanSystemVariable();
      return;
    case TokenKind::kPlaceholder:
      if (schema_ >= SchemaState::kValue) out_.schema_placeholders.push_back(out_.placeholders);
      if (out_.placeholders < UINT16_MAX) ++out_.placeholders;
      Set(kReadsPlaceholder);
      break;
    case TokenKind::kBindVariable:
      Set(kReadsPlaceholder);
      break;
    case TokenKind::kString:
      if (schema_ >= SchemaState::kValue) {
        AddDatabase(SpanOf(current_), DatabaseRole::kSchemaValue);
      }
      break;
    default:
      break;
  }
  if (schema_ == SchemaState::kValue || schema_ == SchemaState::kOperator) {
    if (current_.kind != TokenKind::kIntroducer) schema_ = SchemaState::kNone;
  }
  Advance();
}

void Scanner::OpenParen() {
  if (schema_ == SchemaState::kValue) {
    schema_ = SchemaState::kList;
    schema_depth_ = depth_;
  }
  ++depth_;
  frame() = Frame();
}

void Scanner::CloseParen() {
  if (depth_ > 0) --depth_;
  if (schema_ == SchemaState::kList && depth_ <= schema_depth_) schema_ = SchemaState::kNone;
}

void Scanner::ScanTable() {
  Frame& here = frame();
  switch (current_.keyword) {
    case Keyword::kSelect:
    case Keyword::kWith:
    case Keyword::kValues:
    case Keyword::kTable:
      if (next_.punct == '.') break;
      here.expect_table = here.tables = false;
      ScanKeyword();
      return;
    case Keyword::kLateral:
    case Keyword::kOj:
      Advance();
      return;
    case Keyword::kIf:
      if (next_.Is(Keyword::kExists) || next_.Is(Keyword::kNot)) {
        SkipIfExists();
        return;
      }
      break;
    case Keyword::kDual:
      here.expect_table = false;
      Advance();
      return;
    default:
      break;
  }
  if (current_.IsName()) {
    here.expect_table = false;
    const Access access = here.access;
    const Chain chain = TakeChain();
    if (At('(') && chain.names == 1 && access == Access::kRead && here.statement) {
      return;  // JSON_TABLE(...) and other table functions
    }
    AddTable(chain, access);
    return;
  }
  if (At('(')) {
    const Access access = here.access;
    here.expect_table = false;
    OpenParen();
    Advance();
    frame().statement = true;
    frame().tables = frame().expect_table = true;
    frame().access = access;
    return;
  }
  if (At('{')) {
    Advance();
    return;
  }
  here.expect_table = false;
}

void Scanner::ScanName() {
  const bool literal_before = previous_.punct == '=' && before_previous_.kind == TokenKind::kString;
  const Span literal = SpanOf(before_previous_);
  const bool call_before = previous_.punct == '=' && !out_.session_calls.empty() &&
                           out_.session_calls.back().at.end() == before_previous_.end;
  const bool in_sequence = frame().sequence_call;
  const Chain chain = TakeChain();
  if (chain.names + (chain.star ? 1 : 0) >= 3) {
    AddDatabase(chain.part[0], DatabaseRole::kQualifier);
  } else if (chain.names == 2 && At('(')) {
    AddDatabase(chain.part[0], DatabaseRole::kQualifier);
    Set(kQualifiedRoutine);
  } else if (in_sequence) {
    AddTable(chain, Access::kWrite);
    frame().sequence_call = false;
  }
  if (schema_ != SchemaState::kList) schema_ = SchemaState::kNone;
  if (IsSchemaColumn(chain.last_keyword) && !At('(')) {
    if (literal_before) AddDatabase(literal, DatabaseRole::kSchemaValue);
    if (call_before) out_.session_calls.back().compared = true;
    if (At(Keyword::kNot)) Advance();
    if (At(Keyword::kIn) || At(Keyword::kLike)) {
      Advance();
      schema_ = SchemaState::kValue;
    } else if (At('=') || (current_.kind == TokenKind::kOperator && current_.size() > 1)) {
      schema_ = SchemaState::kOperator;
    }
  }
}

bool Scanner::ScanKeyword() {
  Frame& here = frame();
  if (here.columns && EndsClause(current_.keyword)) {
    EndColumn();
    here.columns = false;
  }
  switch (current_.keyword) {
    case Keyword::kSelect:
      ScanSelect();
      return true;
    case Keyword::kFrom:
      Advance();
      if (here.statement) StartTables(here.is_delete ? Access::kWrite : Access::kRead);
      return true;
    case Keyword::kJoin:
    case Keyword::kStraightJoin:
      if (here.tables) here.expect_table = true;
      Advance();
      return true;
    case Keyword::kWhere:
    case Keyword::kGroup:
    case Keyword::kHaving:
    case Keyword::kOrder:
    case Keyword::kLimit:
    case Keyword::kUnion:
    case Keyword::kExcept:
    case Keyword::kIntersect:
    case Keyword::kSet:
      here.tables = false;
      here.ctes = false;
      Advance();
      return true;
    case Keyword::kReturning:
      here.tables = false;
      Set(kReturning);
      Advance();
      return true;
    case Keyword::kOn:
      Advance();
      if (At(Keyword::kDuplicate)) {
        here.tables = false;
        Set(kDuplicateUpdate);
        Advance();
        Take(Keyword::kKey);
        Take(Keyword::kUpdate);
      } else if (At(Keyword::kUpdate) || At(Keyword::kDelete)) {
        Advance();  // of a foreign key or a timestamp column
      }
      return true;
    case Keyword::kUsing:
      Advance();
      if (here.is_delete && !At('(')) StartTables(Access::kRead);
      return true;
    case Keyword::kInsert:
    case Keyword::kReplace:
      if (next_.punct == '(' || previous_.Is(Keyword::kBefore) || previous_.Is(Keyword::kAfter) ||
          previous_.Is(Keyword::kOr)) {
        Advance();
      } else {
        ScanInsert();
      }
      return true;
    case Keyword::kUpdate:
      if (previous_.Is(Keyword::kBefore) || previous_.Is(Keyword::kAfter) ||
          previous_.Is(Keyword::kOr) || previous_.Is(Keyword::kOn)) {
        Advance();
      } else {
        ScanUpdate();
      }
      return true;
    case Keyword::kDelete:
      if (previous_.Is(Keyword::kBefore) || previous_.Is(Keyword::kAfter) ||
          previous_.Is(Keyword::kOr) || previous_.Is(Keyword::kOn)) {
        Advance();
      } else {
        ScanDelete();
      }
      return true;
    case Keyword::kInto:
      ScanInto();
      return true;
    case Keyword::kFor:
      ScanFor();
      return true;
    case Keyword::kLock:
      if (next_.Is(Keyword::kIn)) {
        Set(kLocksForShare);
        here.tables = false;
      }
      Advance();
      return true;
    case Keyword::kWith:
      ScanWith();
      return true;
    case Keyword::kTable:
      Advance();
      here.expect_table = true;
      return true;
    case Keyword::kReferences:
      Advance();
      here.expect_table = true;
      return true;
    case Keyword::kCall:
      Advance();
      if (current_.IsName()) {
        const Chain chain = TakeChain();
        if (chain.names == 2) AddDatabase(chain.part[0], DatabaseRole::kQualifier);
      }
      return true;
    case Keyword::kCurrentUser:
    case Keyword::kCurrentRole:
      ScanFunction(current_);
      return true;
    case Keyword::kSqlCalcFoundRows:
      Set(kCalcFoundRows);
      Advance();
      if (here.columns) column_begin_ = current_.begin;
      return true;
    case Keyword::kAll:
    case Keyword::kDistinct:
    case Keyword::kDistinctrow:
    case Keyword::kHighPriority:
    case Keyword::kSqlBigResult:
    case Keyword::kSqlBufferResult:
    case Keyword::kSqlCache:
    case Keyword::kSqlNoCache:
    case Keyword::kSqlSmallResult: {
      const bool first = here.columns && column_begin_ == current_.begin;
      Advance();
      if (first) column_begin_ = current_.begin;
      return true;
    }
    case Keyword::kAnd:
    case Keyword::kOr:
    case Keyword::kAs:
    case Keyword::kIn:
    case Keyword::kIs:
    case Keyword::kNot:
    case Keyword::kNull:
    case Keyword::kLike:
    case Keyword::kBetween:
    case Keyword::kValues:
    case Keyword::kBy:
    case Keyword::kAsc:
    case Keyword::kDesc:
    case Keyword::kInner:
    case Keyword::kOuter:
    case Keyword::kCross:
    case Keyword::kNatural:
    case Keyword::kExists:
    case Keyword::kCase:
    case Keyword::kWhen:
    case Keyword::kThen:
    case Keyword::kElse:
    case Keyword::kUse:
    case Keyword::kForce:
    case Keyword::kIgnore:
      if (schema_ != SchemaState::kList) schema_ = SchemaState::kNone;
      if (At(Keyword::kValues)) here.tables = false;
      Advance();
      return true;
    case Keyword::kNext:
    case Keyword::kPrevious:
      if (next_.Is(Keyword::kValue)) {
        Advance();
        Advance();
        if (Take(Keyword::kFor) && current_.IsName()) {
          Set(kSequenceCall);
          const Chain chain = TakeChain();
          AddTable(chain, Access::kWrite);
        }
        return true;
      }
      return false;
    default:
      if (next_.punct == '(') {
        ScanFunction(current_);
        return true;
      }
      // NOW, CURRENT_TIMESTAMP and their like need no parentheses.
      if (At(Keyword::kCurrentTimestamp) || At(Keyword::kCurrentDate) ||
          At(Keyword::kCurrentTime) || At(Keyword::kLocaltime) || At(Keyword::kLocaltimestamp) ||
          At(Keyword::kUtcDate) || At(Keyword::kUtcTime) || At(Keyword::kUtcTimestamp)) {
        ScanFunction(current_);
        return true;
      }
      return false;
  }
}

}  // namespace paceline::sql
