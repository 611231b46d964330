// sql/scanner.h - the machine inside Analyze(): walks the tokens of one statement once. A stack of
// frames, one per open parenthesis, tells whether a name stands where tables are listed or in an
// expression; that is all the grammar needed to know which dotted names begin with a database.
// Internal to this room.
#pragma once

#include <array>
#include <vector>

#include "sql/outline.h"

namespace paceline::sql {

class Scanner {
 public:
  Scanner(std::string_view text, const Dialect& dialect, Outline& out)
      : text_(text), dialect_(dialect), lexer_(text, dialect), out_(out) {}
  void Run();

 private:
  // a, a.b, a.b.c, a.*, a.b.*
  struct Chain {
    std::array<Span, 3> part;
    int names = 0;
    bool star = false;
    bool quoted_first = false;
    Keyword last_keyword = Keyword::kNone;  // of the last part, where it is a word we know
  };
  struct Frame {
    bool statement = false;     // a SELECT, DELETE ... began in it, so FROM names tables
    bool tables = false;        // a ',' continues the list of tables
    bool expect_table = false;  // a table's name comes next
    bool is_delete = false;
    bool ctes = false;           // between WITH and its statement
    bool columns = false;        // between SELECT and FROM
    bool sequence_call = false;  // NEXTVAL(here)
    Access access = Access::kRead;
  };

  // Tokens.
  void Advance() {
    before_previous_ = previous_;
    previous_ = current_;
    current_ = next_;
    next_ = lexer_.Next();
  }
  bool At(Keyword k) const { return current_.keyword == k; }
  bool At(char c) const { return current_.punct == c; }
  bool AtEnd() const {
    return current_.kind == TokenKind::kEnd || (current_.punct == ';' && !whole_text_);
  }
  bool Take(Keyword k) {
    if (current_.keyword != k) return false;
    Advance();
    return true;
  }
  bool Take(char c) {
    if (current_.punct != c) return false;
    Advance();
    return true;
  }
  Span SpanOf(const Token& token) const { return {token.begin, token.size()}; }
  std::string_view TextOf(Span span) const { return span.In(text_); }
  Chain TakeChain();
  void SkipIfExists();

  // Facts.
  void Set(uint64_t features) { out_.features |= features; }
  void AddDatabase(Span at, DatabaseRole role);
  void AddTable(const Chain& chain, Access access);
  void AddCall(Span at, SessionFunction function);
  void MarkDeleteTargets();
  void DropCtes();

  // Clauses (scanner.cc, clauses.cc, calls.cc).
  void Scan();
  void ScanToken();
  void ScanTable();
  void ScanName();
  bool ScanKeyword();
  void ScanSelect();
  void ScanInsert();
  void ScanDelete();
  void ScanUpdate();
  void ScanInto();
  void ScanFor();
  void ScanWith();
  void ScanCteName();
  void ScanFunction(const Token& name);
  void ScanUserVariable();
  void ScanSystemVariable();
  void OpenParen();
  void CloseParen();
  void EndColumn();
  Frame& frame() { return frames_[depth_ < frames_.size() ? depth_ : frames_.size() - 1]; }
  void StartTables(Access access) {
    frame().tables = frame().expect_table = true;
    frame().access = access;
  }

  // Heads (heads.cc, ddl.cc, show.cc): each is called with its first word as current token.
  void Head();
  bool TransactionHead();
  bool SessionHead();
  bool DataHead();
  bool AdminHead();
  void StartHead();
  void BeginHead();
  void CommitHead(Kind kind);
  void RollbackHead();
  void ExplainHead();
  void SetHead();
  void PrepareHead();
  void LoadHead();
  void LockHead();
  void KillHead();
  void HandlerHead();
  void FlushHead();
  void DdlHead(Verb verb);
  void DdlObject(Verb verb);
  void TableDdl(Verb verb);
  void RenameHead();
  void TruncateHead();
  void IndexDdl(Verb verb);
  void ProgramDdl(Verb verb, Object object);
  void DatabaseDdl(Verb verb);
  void AccountHead();
  void GrantHead();
  void ShowHead();
  void ShowWord();
  void ShowFromDatabase();
  void ShowTableThenDatabase(Show show);
  void TableCareHead();
  void SkipDefiner();
  void SkipRest();
  void NameIs(const Token& token) { out_.name = SpanOf(token); }
  // The kind of the statement at the current token, by its first word, for EXPLAIN and SET ... FOR.
  Kind PeekKind() const;

  std::string_view text_;
  const Dialect& dialect_;
  Lexer lexer_;
  Outline& out_;
  Token before_previous_, previous_, current_, next_;
  size_t depth_ = 0;
  bool whole_text_ = false;  // a stored program: ';' does not end it
  // Comparison with a column such as table_schema: what may come next.
  enum class SchemaState : uint8_t { kNone, kOperator, kValue, kList } schema_ = SchemaState::kNone;
  size_t schema_depth_ = 0;
  uint32_t column_begin_ = 0;
  size_t column_calls_ = 0;
  std::array<Frame, 48> frames_;  // each set when it is opened
  std::vector<Span> ctes_;
  std::vector<Span> delete_targets_;
};

// table_schema and the other columns that hold a database's name.
bool IsSchemaColumn(Keyword keyword);

}  // namespace paceline::sql
