#include "sql/set.h"

#include "base/strings.h"

namespace paceline::sql {
namespace {

class SetParser {
 public:
  SetParser(std::string_view text, const Dialect& dialect)
      : text_(text), dialect_(dialect), lexer_(text, dialect) {
    current_ = lexer_.Next();
    next_ = lexer_.Next();
  }

  SetStatement Run() {
    while (current_.Is(';')) Advance();
    Advance();  // SET
    if (current_.Is(Keyword::kStatement) && next_.IsName()) {
      Advance();
      List(true);
      if (current_.Is(Keyword::kFor)) {
        out_.statement_at = next_.begin;
      } else {
        out_.understood = false;
      }
      return std::move(out_);
    }
    if (current_.Is(Keyword::kPassword) || current_.Is(Keyword::kRole) ||
        (current_.Is(Keyword::kDefault) && next_.Is(Keyword::kRole))) {
      // Their parts are accounts and secrets: kept whole.
      Assignment assignment;
      assignment.scope = Scope::kPassword;
      assignment.name = current_.Is(Keyword::kPassword) ? "password"
                        : current_.Is(Keyword::kRole)   ? "role"
                                                        : "default role";
      const uint32_t begin = current_.begin;
      if (current_.Is(Keyword::kDefault)) Advance();
      Advance();
      const uint32_t value = current_.begin;
      while (!AtEnd()) Advance();
      Finish(assignment, begin, value);
      return std::move(out_);
    }
    if (Transaction()) return std::move(out_);
    List(false);
    return std::move(out_);
  }

 private:
  bool AtEnd() const { return current_.kind == TokenKind::kEnd || current_.Is(';'); }
  void Advance() {
    last_end_ = current_.end;
    current_ = next_;
    next_ = lexer_.Next();
  }
  std::string_view TextOf(const Token& t) const { return text_.substr(t.begin, t.size()); }

  void Finish(Assignment& assignment, uint32_t begin, uint32_t value) {
    assignment.at = {begin, std::max(last_end_, begin) - begin};
    assignment.value_at = {value, std::max(last_end_, value) - value};
    assignment.text = std::string(assignment.value_at.In(text_));
    out_.assignments.push_back(std::move(assignment));
  }

  // [GLOBAL | SESSION | LOCAL] TRANSACTION characteristic [, ...]
  bool Transaction() {
    Scope scope = Scope::kNextTransaction;
    if (next_.Is(Keyword::kTransaction)) {
      if (current_.Is(Keyword::kGlobal)) scope = Scope::kGlobal;
      if (current_.Is(Keyword::kSession) || current_.Is(Keyword::kLocal)) scope = Scope::kSession;
      if (scope == Scope::kNextTransaction) return false;
      Advance();
    } else if (!current_.Is(Keyword::kTransaction)) {
      return false;
    }
    Advance();
    out_.is_transaction = true;
    while (!AtEnd()) {
      Assignment assignment;
      assignment.scope = scope;
      const uint32_t begin = current_.begin;
      uint32_t value = begin;
      if (current_.Is(Keyword::kIsolation)) {
        Advance();
        if (current_.Is(Keyword::kLevel)) Advance();
        value = current_.begin;
        assignment.name = "transaction_isolation";
        while (!AtEnd() && !current_.Is(',')) {
          if (!assignment.constant.empty()) assignment.constant += '-';
          assignment.constant += Upper(TextOf(current_));
          Advance();
        }
      } else if (current_.Is(Keyword::kRead)) {
        assignment.name = "transaction_read_only";
        Advance();
        value = current_.begin;
        assignment.constant = current_.Is(Keyword::kOnly) ? "ON" : "OFF";
        Advance();
      } else {
        out_.understood = false;
        return true;
      }
      assignment.kind = ValueKind::kWord;
      Finish(assignment, begin, value);
      if (!current_.Is(',')) break;
      Advance();
    }
    return true;
  }

  void List(bool until_for) {
    Scope sticky = Scope::kSession;
    while (!AtEnd() && !(until_for && current_.Is(Keyword::kFor))) {
      if (!One(sticky, until_for)) {
        out_.understood = false;
        return;
      }
      if (!current_.Is(',')) break;
      Advance();
    }
    if (!AtEnd() && !(until_for && current_.Is(Keyword::kFor))) out_.understood = false;
  }

  static bool ScopeOf(std::string_view word, Scope* scope) {
    if (EqualsIgnoreCase(word, "global"))
      *scope = Scope::kGlobal;
    else if (EqualsIgnoreCase(word, "session") || EqualsIgnoreCase(word, "local"))
      *scope = Scope::kSession;
    else if (EqualsIgnoreCase(word, "persist"))
      *scope = Scope::kPersist;
    else if (EqualsIgnoreCase(word, "persist_only"))
      *scope = Scope::kPersistOnly;
    else
      return false;
    return true;
  }

  // `scope` is kept for the rest of the list: in SET GLOBAL a = 1, b = 2 both are global.
  bool One(Scope& scope, bool until_for) {
    Assignment assignment;
    const uint32_t begin = current_.begin;
    if (current_.Is(Keyword::kNames) || current_.Is(Keyword::kCharset) ||
        (current_.Is(Keyword::kCharacter) && next_.Is(Keyword::kSet)) ||
        (current_.Is(Keyword::kChar) && next_.Is(Keyword::kSet))) {
      if (!next_.Is('=')) return Names(assignment, begin);
    }
    if (current_.kind == TokenKind::kUserVariable) {
      assignment.scope = Scope::kUserVariable;
      assignment.name = Unquote(TextOf(current_), dialect_);
      Advance();
    } else if (current_.kind == TokenKind::kSystemVariable) {
      std::string_view name = TextOf(current_).substr(2);
      const size_t dot = name.find('.');
      assignment.scope = Scope::kSession;
      if (dot != std::string_view::npos && ScopeOf(name.substr(0, dot), &assignment.scope)) {
        name.remove_prefix(dot + 1);
      }
      assignment.name = Lower(ReplaceAll(name, "`", ""));
      Advance();
    } else if (current_.IsName()) {
      assignment.scope = scope;
      if (current_.kind == TokenKind::kIdentifier && next_.IsName() &&
          ScopeOf(TextOf(current_), &scope)) {
        assignment.scope = scope;
        Advance();
      }
      assignment.name = Lower(Unquote(TextOf(current_), dialect_));
      Advance();
      bool first = true;
      while (current_.Is('.') && next_.IsName()) {
        Advance();
        if (first && (assignment.name == "new" || assignment.name == "old")) {
          assignment.scope = Scope::kRoutineVariable;
        }
        assignment.name += "." + Lower(Unquote(TextOf(current_), dialect_));
        first = false;
        Advance();
      }
    } else {
      return false;
    }
    const bool assigns = current_.Is('=') || TextOf(current_) == ":=";
    if (!assigns) return false;
    Advance();
    Value(assignment, begin, until_for);
    return true;
  }

  void Value(Assignment& assignment, uint32_t begin, bool until_for) {
    const uint32_t value = current_.begin;
    Token first = current_;
    size_t tokens = 0, depth = 0;
    bool minus = false;
    while (!AtEnd()) {
      if (depth == 0 && (current_.Is(',') || (until_for && current_.Is(Keyword::kFor)))) break;
      if (current_.Is('(')) ++depth;
      if (current_.Is(')') && depth > 0) --depth;
      if (tokens == 0 && (current_.Is('-') || current_.Is('+'))) {
        minus = current_.Is('-');
        Advance();
        first = current_;
        continue;
      }
      ++tokens;
      Advance();
    }
    if (tokens == 1) {
      switch (first.kind) {
        case TokenKind::kString:
          assignment.kind = ValueKind::kString;
          assignment.constant = Unquote(TextOf(first), dialect_);
          break;
        case TokenKind::kInteger:
        case TokenKind::kDecimal:
        case TokenKind::kFloat:
          assignment.kind = ValueKind::kNumber;
          assignment.constant = (minus ? "-" : "") + std::string(TextOf(first));
          break;
        case TokenKind::kHex:
        case TokenKind::kBit:
          assignment.kind = ValueKind::kNumber;
          assignment.constant = std::string(TextOf(first));
          break;
        case TokenKind::kIdentifier:
        case TokenKind::kQuotedIdentifier:
          assignment.kind = first.Is(Keyword::kDefault) ? ValueKind::kDefault
                            : first.Is(Keyword::kNull)  ? ValueKind::kNull
                                                        : ValueKind::kWord;
          assignment.constant = Unquote(TextOf(first), dialect_);
          // These are calls without parentheses.
          if (first.Is(Keyword::kCurrentUser) || first.Is(Keyword::kCurrentTimestamp) ||
              first.Is(Keyword::kCurrentDate) || first.Is(Keyword::kCurrentTime)) {
            assignment.kind = ValueKind::kExpression;
            assignment.constant.clear();
          }
          break;
        default:
          break;
      }
    }
    Finish(assignment, begin, value);
  }

  bool Names(Assignment& assignment, uint32_t begin) {
    assignment.scope = current_.Is(Keyword::kNames) ? Scope::kNames : Scope::kCharset;
    assignment.name = assignment.scope == Scope::kNames ? "names" : "character set";
    if (current_.Is(Keyword::kCharacter) || current_.Is(Keyword::kChar)) Advance();
    Advance();
    const uint32_t value = current_.begin;
    if (AtEnd()) return false;
    assignment.kind = current_.Is(Keyword::kDefault) ? ValueKind::kDefault : ValueKind::kWord;
    assignment.constant = Lower(Unquote(TextOf(current_), dialect_));
    if (current_.kind == TokenKind::kUserVariable || current_.kind == TokenKind::kSystemVariable ||
        current_.kind == TokenKind::kPlaceholder) {
      assignment.kind = ValueKind::kExpression;
      assignment.constant.clear();
    }
    Advance();
    if (current_.Is(Keyword::kCollate)) {
      Advance();
      assignment.collation = Lower(Unquote(TextOf(current_), dialect_));
      Advance();
    }
    Finish(assignment, begin, value);
    return true;
  }

  std::string_view text_;
  const Dialect& dialect_;
  Lexer lexer_;
  Token current_, next_;
  uint32_t last_end_ = 0;
  SetStatement out_;
};

}  // namespace

SetStatement ParseSet(std::string_view text, const Dialect& dialect) {
  return SetParser(text, dialect).Run();
}

}  // namespace paceline::sql
