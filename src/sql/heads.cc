// The first words of statements other than definitions: which kind, which name, and where tables
// begin.
#include "sql/scanner.h"

namespace paceline::sql {

void Scanner::SkipRest() {
  while (!AtEnd()) Advance();
}

Kind Scanner::PeekKind() const {
  Lexer ahead(text_, dialect_);
  ahead.Seek(current_.begin);
  Token token = ahead.Next();
  while (token.Is('(')) token = ahead.Next();
  size_t depth = 0;
  bool with = false;
  for (; token.kind != TokenKind::kEnd; token = ahead.Next()) {
    if (token.Is('(')) ++depth;
    if (token.Is(')') && depth > 0) --depth;
    if (depth == 0) {
      switch (token.keyword) {
        case Keyword::kSelect:
          return Kind::kSelect;
        case Keyword::kInsert:
          return Kind::kInsert;
        case Keyword::kReplace:
          return Kind::kReplace;
        case Keyword::kUpdate:
          return Kind::kUpdate;
        case Keyword::kDelete:
          return Kind::kDelete;
        case Keyword::kTable:
          return Kind::kTable;
        case Keyword::kValues:
          return Kind::kValues;
        case Keyword::kWith:
          with = true;
          break;
        default:
          break;
      }
    }
    // Only WITH has something before the verb: the table expressions.
    if (!with) return Kind::kUnknown;
  }
  return Kind::kUnknown;
}

void Scanner::Head() {
  if (At('(')) {
    out_.kind = PeekKind();
    if (out_.kind == Kind::kUnknown) out_.kind = Kind::kSelect;
    return;
  }
  if (At('{')) {  // ODBC: {CALL p()}, {fn ...}
    Advance();
    Head();
    return;
  }
  out_.kind = Kind::kUnknown;
  if (current_.kind != TokenKind::kIdentifier) return;
  if (DataHead() || TransactionHead() || SessionHead() || AdminHead()) return;
}

bool Scanner::DataHead() {
  switch (current_.keyword) {
    case Keyword::kSelect:
      out_.kind = Kind::kSelect;
      return true;
    case Keyword::kWith:
      out_.kind = PeekKind();
      return true;
    case Keyword::kInsert:
      out_.kind = Kind::kInsert;
      ScanInsert();
      return true;
    case Keyword::kReplace:
      out_.kind = Kind::kReplace;
      ScanInsert();
      return true;
    case Keyword::kUpdate:
      out_.kind = Kind::kUpdate;
      ScanUpdate();
      return true;
    case Keyword::kDelete:
      out_.kind = Kind::kDelete;
      ScanDelete();
      return true;
    case Keyword::kValues:
      out_.kind = Kind::kValues;
      Advance();
      return true;
    case Keyword::kTable:
      out_.kind = Kind::kTable;
      return true;
    case Keyword::kLoad:
      LoadHead();
      return true;
    case Keyword::kImport:
      out_.kind = Kind::kImport;
      SkipRest();
      return true;
    case Keyword::kCall: {
      out_.kind = Kind::kCall;
      Advance();
      if (!current_.IsName()) return true;
      const Chain chain = TakeChain();
      if (chain.names >= 2) {
        AddDatabase(chain.part[0], DatabaseRole::kQualifier);
        Set(kQualifiedRoutine);
      }
      out_.name = chain.part[chain.names >= 2 ? 1 : 0];
      return true;
    }
    case Keyword::kDo:
      out_.kind = Kind::kDo;
      Advance();
      return true;
    case Keyword::kHandler:
      HandlerHead();
      return true;
    default:
      return false;
  }
}

bool Scanner::TransactionHead() {
  switch (current_.keyword) {
    case Keyword::kBegin:
      BeginHead();
      return true;
    case Keyword::kStart:
      StartHead();
      return true;
    case Keyword::kCommit:
      CommitHead(Kind::kCommit);
      return true;
    case Keyword::kRollback:
      RollbackHead();
      return true;
    case Keyword::kSavepoint:
      out_.kind = Kind::kSavepoint;
      Advance();
      if (current_.IsName()) NameIs(current_);
      SkipRest();
      return true;
    case Keyword::kRelease:
      out_.kind = Kind::kReleaseSavepoint;
      Advance();
      Take(Keyword::kSavepoint);
      if (current_.IsName()) NameIs(current_);
      SkipRest();
      return true;
    case Keyword::kXa:
      out_.kind = Kind::kXa;
      Advance();
      NameIs(current_);  // START, END, PREPARE, COMMIT, ROLLBACK, RECOVER, BEGIN
      SkipRest();
      return true;
    case Keyword::kLock:
    case Keyword::kUnlock:
      LockHead();
      return true;
    default:
      return false;
  }
}

void Scanner::BeginHead() {
  out_.kind = Kind::kBegin;
  Advance();
  if (At(Keyword::kNot) && next_.Is(Keyword::kAtomic)) {
    out_.kind = Kind::kCompound;
    whole_text_ = true;
    return;
  }
  SkipRest();
}

void Scanner::StartHead() {
  Advance();
  if (!At(Keyword::kTransaction)) {
    // START REPLICA, SLAVE, GROUP_REPLICATION
    out_.kind = Kind::kReplication;
    SkipRest();
    return;
  }
  out_.kind = Kind::kBegin;
  for (; !AtEnd(); Advance()) {
    if (At(Keyword::kSnapshot)) Set(kConsistentSnapshot);
    if (At(Keyword::kRead) && next_.Is(Keyword::kOnly)) Set(kTransactionReadOnly);
    if (At(Keyword::kRead) && next_.Is(Keyword::kWrite)) Set(kTransactionReadWrite);
  }
}

void Scanner::CommitHead(Kind kind) {
  out_.kind = kind;
  bool no = false;
  for (Advance(); !AtEnd(); Advance()) {
    if (At(Keyword::kNo)) {
      no = true;
      continue;
    }
    if (At(Keyword::kChain) && !no) Set(kAndChain);
    if (At(Keyword::kRelease) && !no) Set(kAndRelease);
    no = false;
  }
}

void Scanner::RollbackHead() {
  if (next_.Is(Keyword::kWork) || next_.Is(Keyword::kTo)) {
    Advance();
    if (next_.Is(Keyword::kTo)) Advance();
  }
  if (!At(Keyword::kTo)) {
    CommitHead(Kind::kRollback);
    return;
  }
  out_.kind = Kind::kRollbackTo;
  Advance();
  if (At(Keyword::kSavepoint) && next_.IsName()) Advance();
  if (current_.IsName()) NameIs(current_);
  SkipRest();
}

void Scanner::LockHead() {
  const bool lock = At(Keyword::kLock);
  Advance();
  if (At(Keyword::kInstance)) {  // LOCK INSTANCE FOR BACKUP
    out_.kind = Kind::kAdmin;
    SkipRest();
    return;
  }
  out_.kind = lock ? Kind::kLockTables : Kind::kUnlockTables;
  if (!lock) {
    SkipRest();
    return;
  }
  Advance();
  StartTables(Access::kLock);
}

bool Scanner::SessionHead() {
  switch (current_.keyword) {
    case Keyword::kSet:
      SetHead();
      return true;
    case Keyword::kUse:
      out_.kind = Kind::kUse;
      Advance();
      if (current_.IsName() || current_.kind == TokenKind::kString) {
        // A target string without quotes is several tokens: ks:80-@replica.
        const uint32_t begin = current_.begin;
        while (!AtEnd() && (current_.begin == begin || current_.begin == previous_.end)) Advance();
        out_.name = {begin, previous_.end - begin};
        AddDatabase(out_.name, DatabaseRole::kName);
      } else if (current_.kind == TokenKind::kUserVariable) {
        // USE @replica
        NameIs(current_);
        Advance();
        AddDatabase(out_.name, DatabaseRole::kName);
      }
      SkipRest();
      return true;
    case Keyword::kPrepare:
    case Keyword::kExecute:
    case Keyword::kDeallocate:
    case Keyword::kDrop:
      if (At(Keyword::kDrop) && !next_.Is(Keyword::kPrepare)) return false;
      PrepareHead();
      return true;
    case Keyword::kGet:
      out_.kind = Kind::kDiagnostics;
      Set(kWritesUserVariable | kReadsDiagnostics);
      SkipRest();
      return true;
    case Keyword::kSignal:
    case Keyword::kResignal:
      out_.kind = Kind::kSignal;
      Advance();
      return true;
    case Keyword::kShow:
      ShowHead();
      return true;
    case Keyword::kExplain:
    case Keyword::kDescribe:
    case Keyword::kDesc:
    case Keyword::kVexplain:
      ExplainHead();
      return true;
    case Keyword::kHelp:
      out_.kind = Kind::kHelp;
      SkipRest();
      return true;
    default:
      return false;
  }
}

void Scanner::SetHead() {
  out_.kind = Kind::kSet;
  Advance();
  if (At(Keyword::kStatement) && next_.IsName()) {
    // MariaDB: SET STATEMENT max_statement_time = 1, x = 2 FOR SELECT ...
    out_.kind = Kind::kSetFor;
    size_t depth = 0;
    while (!AtEnd() && !(depth == 0 && At(Keyword::kFor))) {
      if (At('(')) ++depth;
      if (At(')') && depth > 0) --depth;
      Advance();
    }
    if (!Take(Keyword::kFor)) return;
    const Kind outer = out_.kind;
    Head();
    out_.inner = out_.kind;
    out_.kind = outer;
    return;
  }
  if (At(Keyword::kPassword) || At(Keyword::kRole) ||
      (At(Keyword::kDefault) && next_.Is(Keyword::kRole))) {
    SkipRest();
  }
}

void Scanner::PrepareHead() {
  switch (current_.keyword) {
    case Keyword::kPrepare:
      out_.kind = Kind::kPrepare;
      break;
    case Keyword::kExecute:
      out_.kind = Kind::kExecute;
      break;
    default:
      out_.kind = Kind::kDeallocate;
      Advance();  // DEALLOCATE | DROP
  }
  Advance();
  if (out_.kind == Kind::kExecute && At(Keyword::kImmediate)) {
    Advance();
    out_.argument = SpanOf(current_);
    return;
  }
  if (current_.IsName()) NameIs(current_);
  Advance();
  if (At(Keyword::kFrom) || At(Keyword::kUsing)) {
    Advance();
    out_.argument = SpanOf(current_);
  }
}

void Scanner::ExplainHead() {
  const bool vexplain = At(Keyword::kVexplain);
  out_.kind = vexplain ? Kind::kVexplain : Kind::kExplain;
  Advance();
  if (vexplain && current_.IsName() && !At(Keyword::kSelect)) {
    NameIs(current_);
    if (PeekKind() == Kind::kUnknown) Advance();  // PLAN, QUERIES, ALL, TRACE, KEYS
  }
  for (;;) {
    if (At(Keyword::kAnalyze) || At(Keyword::kExtended) || At(Keyword::kPartitions)) {
      Advance();
    } else if (At(Keyword::kFormat) && next_.Is('=')) {
      Advance();
      Advance();
      Advance();
    } else if (At(Keyword::kInto) && next_.kind == TokenKind::kUserVariable) {
      Set(kIntoVariable | kWritesUserVariable);
      Advance();
      Advance();
    } else if (At(Keyword::kFor) && (next_.Is(Keyword::kSchema) || next_.Is(Keyword::kDatabase))) {
      Advance();
      Advance();
      if (current_.IsName()) AddDatabase(SpanOf(current_), DatabaseRole::kName);
      Advance();
    } else {
      break;
    }
  }
  if (At(Keyword::kFor)) {  // FOR CONNECTION n
    SkipRest();
    return;
  }
  out_.inner = PeekKind();
  if (out_.inner != Kind::kUnknown) {
    const Kind outer = out_.kind;
    Head();
    out_.kind = outer;
    return;
  }
  out_.inner = Kind::kEmpty;
  if (!vexplain && current_.IsName()) {
    out_.kind = Kind::kDescribe;
    const Chain chain = TakeChain();
    AddTable(chain, Access::kRead);
    SkipRest();
  }
}

void Scanner::LoadHead() {
  out_.kind = Kind::kLoad;
  Advance();
  if (At(Keyword::kIndex)) {  // LOAD INDEX INTO CACHE t
    out_.kind = Kind::kAdmin;
    Advance();
    Advance();
    Advance();
    StartTables(Access::kCare);
    return;
  }
  while (!AtEnd() && !At(Keyword::kInto)) {
    if (At(Keyword::kLocal)) Set(kLocalFile);
    if (current_.kind == TokenKind::kString) out_.argument = SpanOf(current_);
    Advance();
  }
  Take(Keyword::kInto);
  if (!Take(Keyword::kTable)) return;
  if (current_.IsName()) {
    const Chain chain = TakeChain();
    AddTable(chain, Access::kWrite);
  }
}

void Scanner::KillHead() {
  out_.kind = Kind::kKill;
  Advance();
  if (At(Keyword::kQuery)) Set(kKillsQuery);
  while (At(Keyword::kQuery) || At(Keyword::kConnection) ||
         (current_.kind == TokenKind::kIdentifier && next_.kind == TokenKind::kInteger)) {
    Advance();
  }
  NameIs(current_);
}

void Scanner::HandlerHead() {
  out_.kind = Kind::kHandler;
  Advance();
  if (!current_.IsName()) return;
  const Chain chain = TakeChain();
  AddTable(chain, Access::kRead);
  NameIs(current_);  // OPEN, READ, CLOSE
}

void Scanner::FlushHead() {
  out_.kind = Kind::kFlush;
  Advance();
  if (At(Keyword::kNoWriteToBinlog) || At(Keyword::kLocal)) Advance();
  NameIs(current_);
  if (!At(Keyword::kTables) && !At(Keyword::kTable)) {
    SkipRest();
    return;
  }
  Advance();
  while (current_.IsName() && !At(Keyword::kWith) && !At(Keyword::kFor)) {
    const Chain chain = TakeChain();
    AddTable(chain, Access::kLock);
    if (!Take(',')) break;
  }
  // WITH READ LOCK and FOR EXPORT hold locks until UNLOCK TABLES.
  if (At(Keyword::kWith) || At(Keyword::kFor)) out_.argument = SpanOf(current_);
  SkipRest();
}

void Scanner::TableCareHead() {
  const bool analyze = At(Keyword::kAnalyze);
  Advance();
  while (At(Keyword::kNoWriteToBinlog) || At(Keyword::kLocal)) Advance();
  if (At(Keyword::kTable) || At(Keyword::kTables) || At(Keyword::kView)) {
    out_.kind = Kind::kTableCare;
    Advance();
    StartTables(Access::kCare);
    return;
  }
  const Kind inner = analyze ? PeekKind() : Kind::kUnknown;
  if (inner == Kind::kUnknown && !At(Keyword::kFormat)) {
    out_.kind = Kind::kUnknown;
    return;
  }
  // MariaDB: ANALYZE [FORMAT=JSON] SELECT ... runs the statement.
  if (At(Keyword::kFormat)) {
    Advance();
    Advance();
    Advance();
  }
  out_.inner = PeekKind();
  Head();
  out_.kind = Kind::kExplain;
}

bool Scanner::AdminHead() {
  switch (current_.keyword) {
    case Keyword::kCreate:
      DdlHead(Verb::kCreate);
      return true;
    case Keyword::kAlter:
      DdlHead(Verb::kAlter);
      return true;
    case Keyword::kDrop:
      DdlHead(Verb::kDrop);
      return true;
    case Keyword::kRename:
      RenameHead();
      return true;
    case Keyword::kTruncate:
      TruncateHead();
      return true;
    case Keyword::kGrant:
    case Keyword::kRevoke:
      GrantHead();
      return true;
    case Keyword::kAnalyze:
    case Keyword::kOptimize:
    case Keyword::kCheck:
    case Keyword::kChecksum:
    case Keyword::kRepair:
      TableCareHead();
      return true;
    case Keyword::kFlush:
      FlushHead();
      return true;
    case Keyword::kKill:
      KillHead();
      return true;
    case Keyword::kReset:
    case Keyword::kPurge:
      out_.kind = Kind::kReset;
      break;
    case Keyword::kChange:
    case Keyword::kStop:
      out_.kind = Kind::kReplication;
      break;
    case Keyword::kRevert:
      out_.kind = Kind::kRevert;
      break;
    case Keyword::kStream:
    case Keyword::kVstream:
      out_.kind = Kind::kStream;
      break;
    case Keyword::kCache:
      out_.kind = Kind::kAdmin;
      Advance();
      Take(Keyword::kIndex);
      StartTables(Access::kCare);
      return true;
    case Keyword::kShutdown:
    case Keyword::kRestart:
    case Keyword::kClone:
    case Keyword::kInstall:
    case Keyword::kUninstall:
    case Keyword::kBinlog:
    case Keyword::kBackup:
      out_.kind = Kind::kAdmin;
      break;
    case Keyword::kIf:
    case Keyword::kLoop:
    case Keyword::kWhile:
    case Keyword::kRepeat:
    case Keyword::kCase:
    case Keyword::kFor:
      out_.kind = Kind::kCompound;
      whole_text_ = true;
      return true;
    default:
      return false;
  }
  SkipRest();
  return true;
}

}  // namespace paceline::sql
