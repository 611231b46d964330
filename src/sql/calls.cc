// Functions and variables in expressions: what they read and write of the session, and where a call
// stands whose answer belongs to it.
#include "base/strings.h"
#include "sql/scanner.h"

namespace paceline::sql {
namespace {

// What mysqld takes as an alias without AS: a name or a string right after the end of an operand.
bool IsAliasAfter(const Token& last, const Token& before) {
  const bool may_be_alias = last.kind == TokenKind::kString ||
                            last.kind == TokenKind::kQuotedIdentifier ||
                            (last.kind == TokenKind::kIdentifier && last.keyword == Keyword::kNone);
  if (before.keyword == Keyword::kAs) return true;
  const bool operand = before.Is(')') || before.IsLiteral() || before.IsName() ||
                       before.kind == TokenKind::kSystemVariable ||
                       before.kind == TokenKind::kUserVariable ||
                       before.kind == TokenKind::kPlaceholder;
  return may_be_alias && operand &&
         (before.keyword == Keyword::kNone || before.keyword == Keyword::kEnd ||
          before.keyword == Keyword::kCurrentUser);
}

}  // namespace

void Scanner::AddCall(Span at, SessionFunction function) {
  const bool compared = function == SessionFunction::kDatabase &&
                        (schema_ == SchemaState::kValue || schema_ == SchemaState::kList);
  out_.session_calls.push_back({at, function, compared});
  ++column_calls_;
}

void Scanner::ScanUserVariable() {
  const bool assigned = text_.compare(next_.begin, next_.size(), ":=") == 0 ||
                        (out_.kind == Kind::kSet && depth_ == 0 && next_.Is('=') &&
                         (previous_.Is(Keyword::kSet) || previous_.Is(',')));
  Set(assigned ? kWritesUserVariable : kReadsUserVariable);
  // CALL p(@out), LOAD DATA ... (a, @b): may be set by the statement.
  if (out_.kind == Kind::kCall || out_.kind == Kind::kLoad) Set(kWritesUserVariable);
}

void Scanner::ScanSystemVariable() {
  Set(kReadsSystemVariable);
  std::string_view name = TextOf(SpanOf(current_)).substr(2);
  bool global = false;
  if (const size_t dot = name.find('.'); dot != std::string_view::npos) {
    global = EqualsIgnoreCase(name.substr(0, dot), "global");
    name.remove_prefix(dot + 1);
  }
  if (name.size() > 2 && name[0] == '`') name = name.substr(1, name.size() - 2);
  if (!global) {
    const Span at = SpanOf(current_);
    if (EqualsIgnoreCase(name, "last_insert_id") || EqualsIgnoreCase(name, "identity")) {
      Set(kReadsLastInsertId);
      AddCall(at, SessionFunction::kLastInsertId);
    } else if (EqualsIgnoreCase(name, "warning_count")) {
      Set(kReadsDiagnostics);
      AddCall(at, SessionFunction::kWarningCount);
    } else if (EqualsIgnoreCase(name, "error_count")) {
      Set(kReadsDiagnostics);
      AddCall(at, SessionFunction::kErrorCount);
    } else if (EqualsIgnoreCase(name, "pseudo_thread_id")) {
      Set(kReadsConnectionId);
      AddCall(at, SessionFunction::kConnectionId);
    }
  }
  schema_ = schema_ == SchemaState::kList ? schema_ : SchemaState::kNone;
  Advance();
}

void Scanner::EndColumn() {
  if (column_calls_ > 0 && !IsAliasAfter(previous_, before_previous_) &&
      previous_.end > column_begin_) {
    out_.unnamed_columns.push_back({column_begin_, previous_.end - column_begin_});
  }
  column_calls_ = 0;
}

void Scanner::ScanFunction(const Token& called) {
  const Token name = called;
  const bool parens = next_.punct == '(';
  Advance();
  bool no_argument = true;
  uint32_t end = name.end;
  if (parens) {
    no_argument = next_.punct == ')';
    if (no_argument) end = next_.end;
  }
  const Span at{name.begin, end - name.begin};
  // Passes "()" of a call that AddCall has taken.
  const auto call = [&](uint64_t feature, SessionFunction function) {
    if (!no_argument) return;
    Set(feature);
    AddCall(at, function);
    if (parens) {
      Advance();
      Advance();
    }
    if (schema_ != SchemaState::kList) schema_ = SchemaState::kNone;
  };
  switch (name.keyword) {
    case Keyword::kGetLock:
      Set(kUsesGetLock);
      break;
    case Keyword::kReleaseLock:
      Set(kUsesReleaseLock);
      break;
    case Keyword::kReleaseAllLocks:
      Set(kUsesReleaseAllLocks);
      break;
    case Keyword::kIsFreeLock:
    case Keyword::kIsUsedLock:
      Set(kUsesLockQuestion);
      break;
    case Keyword::kLastInsertId:
      if (no_argument) {
        call(kReadsLastInsertId, SessionFunction::kLastInsertId);
      } else {
        Set(kSetsLastInsertId);
      }
      break;
    case Keyword::kFoundRows:
      call(kReadsFoundRows, SessionFunction::kFoundRows);
      break;
    case Keyword::kRowCount:
      call(kReadsRowCount, SessionFunction::kRowCount);
      break;
    case Keyword::kDatabase:
    case Keyword::kSchema:
      call(kReadsDatabase, SessionFunction::kDatabase);
      break;
    case Keyword::kConnectionId:
      call(kReadsConnectionId, SessionFunction::kConnectionId);
      break;
    case Keyword::kUser:
    case Keyword::kSessionUser:
    case Keyword::kSystemUser:
      call(kReadsUser, SessionFunction::kUser);
      break;
    case Keyword::kCurrentUser:
      call(kReadsUser, SessionFunction::kCurrentUser);
      break;
    case Keyword::kCurrentRole:
      Set(kReadsUser);
      break;
    case Keyword::kNow:
    case Keyword::kSysdate:
    case Keyword::kRand:
    case Keyword::kRandomBytes:
    case Keyword::kUuid:
    case Keyword::kUuidShort:
    case Keyword::kCurdate:
    case Keyword::kCurtime:
    case Keyword::kCurrentDate:
    case Keyword::kCurrentTime:
    case Keyword::kCurrentTimestamp:
    case Keyword::kLocaltime:
    case Keyword::kLocaltimestamp:
    case Keyword::kUtcDate:
    case Keyword::kUtcTime:
    case Keyword::kUtcTimestamp:
      Set(kVolatile);
      break;
    case Keyword::kUnixTimestamp:
      if (no_argument) Set(kVolatile);
      break;
    case Keyword::kSleep:
    case Keyword::kBenchmark:
    case Keyword::kMasterPosWait:
    case Keyword::kSourcePosWait:
    case Keyword::kMasterGtidWait:
    case Keyword::kWaitForExecutedGtidSet:
    case Keyword::kWaitUntilSqlThreadAfterGtids:
      Set(kSleeps);
      break;
    case Keyword::kNextval:
    case Keyword::kSetval:
      Set(kSequenceCall);
      if (parens) {
        OpenParen();
        Advance();
        frame().sequence_call = true;
      }
      break;
    default:
      break;
  }
}

}  // namespace paceline::sql
