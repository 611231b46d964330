// Where one statement of a multi-statement text ends. Only the bodies of stored programs and
// MariaDB's compound statements may hold a ';', so only there BEGIN, IF, CASE and their like are
// counted.
#include "sql/outline.h"

namespace paceline::sql {
namespace {

class Splitter {
 public:
  Splitter(std::string_view text, const Dialect& dialect)
      : text_(text), dialect_(dialect), lexer_(text, dialect) {}

  std::vector<Span> Run() {
    Token token = Next();
    while (token.kind != TokenKind::kEnd) {
      if (token.Is(';')) {
        token = Next();
        continue;
      }
      begin_ = token.begin;
      body_ = StartsCompound(token);
      create_ = token.Is(Keyword::kCreate);
      alter_ = token.Is(Keyword::kAlter);
      depth_ = 0;
      Token last = token;
      bool first = true;
      while (token.kind != TokenKind::kEnd && !(token.Is(';') && depth_ == 0)) {
        Count(token, first);
        first = false;
        last = token;
        token = Next();
      }
      out_.push_back({begin_, last.end - begin_});
    }
    return std::move(out_);
  }

 private:
  Token Next() {
    previous_ = current_;
    current_ = lexer_.Next();
    return current_;
  }
  Token Ahead() const {
    Lexer copy = lexer_;
    return copy.Next();
  }

  bool StartsCompound(const Token& token) const {
    if (token.Is(Keyword::kBegin)) return Ahead().Is(Keyword::kNot);
    if (dialect_.flavor != Flavor::kMariadb) return false;
    return token.Is(Keyword::kIf) || token.Is(Keyword::kLoop) || token.Is(Keyword::kWhile) ||
           token.Is(Keyword::kRepeat) || token.Is(Keyword::kCase) || token.Is(Keyword::kFor);
  }

  // IF(a, b) and REPEAT('x', 3) are functions: a comma within their parentheses tells.
  bool IsFunctionCall() const {
    Lexer copy = lexer_;
    Token token = copy.Next();
    if (!token.Is('(')) return false;
    int depth = 1;
    while (depth > 0) {
      token = copy.Next();
      if (token.kind == TokenKind::kEnd) return false;
      if (token.Is('(')) ++depth;
      if (token.Is(')')) --depth;
      if (depth == 1 && token.Is(',')) return true;
    }
    return false;
  }

  bool AtStatementStart() const {
    return previous_.Is(';') || previous_.Is(':') || previous_.Is(Keyword::kBegin) ||
           previous_.Is(Keyword::kThen) || previous_.Is(Keyword::kElse) ||
           previous_.Is(Keyword::kDo) || previous_.Is(Keyword::kLoop) ||
           previous_.Is(Keyword::kRepeat) || previous_.Is(Keyword::kAtomic) ||
           previous_.Is(Keyword::kRow) || previous_.Is(')');
  }

  void Count(const Token& token, bool first) {
    if (!body_ && (create_ || alter_) && depth_ == 0) {
      switch (token.keyword) {
        case Keyword::kProcedure:
        case Keyword::kFunction:
        case Keyword::kTrigger:
        case Keyword::kEvent:
        case Keyword::kPackage:
          body_ = true;
          return;
        case Keyword::kTable:
        case Keyword::kView:
        case Keyword::kUser:
        case Keyword::kDatabase:
          create_ = alter_ = false;
          return;
        default:
          return;
      }
    }
    if (!body_) return;
    switch (token.keyword) {
      case Keyword::kBegin:
        if (first || AtStatementStart() || depth_ == 0) ++depth_;
        break;
      case Keyword::kCase:
        // END CASE is passed below.
        ++depth_;
        break;
      case Keyword::kIf:
        if ((first || AtStatementStart() || depth_ == 0) && !IsIfExists() && !IsFunctionCall()) {
          ++depth_;
        }
        break;
      case Keyword::kRepeat:
        if (!IsFunctionCall()) ++depth_;
        break;
      case Keyword::kLoop:
      case Keyword::kWhile:
        ++depth_;
        break;
      case Keyword::kFor:
        // MariaDB's FOR loop begins a statement; FOR UPDATE and FOR EACH ROW do not.
        if (dialect_.flavor == Flavor::kMariadb && (first || AtStatementStart()) && depth_ > 0 &&
            !Ahead().Is(Keyword::kUpdate) && !Ahead().Is(Keyword::kEach)) {
          ++depth_;
        }
        break;
      case Keyword::kEnd:
        if (depth_ > 0) --depth_;
        switch (Ahead().keyword) {
          case Keyword::kIf:
          case Keyword::kCase:
          case Keyword::kRepeat:
          case Keyword::kLoop:
          case Keyword::kWhile:
          case Keyword::kFor:
            Next();
            break;
          default:
            break;
        }
        break;
      default:
        break;
    }
  }

  bool IsIfExists() const {
    Lexer copy = lexer_;
    const Token next = copy.Next();
    if (next.Is(Keyword::kExists)) return !copy.Next().Is('(');
    return next.Is(Keyword::kNot) && copy.Next().Is(Keyword::kExists) && !copy.Next().Is('(');
  }

  std::string_view text_;
  const Dialect& dialect_;
  Lexer lexer_;
  Token previous_, current_;
  uint32_t begin_ = 0;
  size_t depth_ = 0;
  bool body_ = false, create_ = false, alter_ = false;
  std::vector<Span> out_;
};

}  // namespace

std::vector<Span> SplitStatements(std::string_view text, const Dialect& dialect) {
  return Splitter(text, dialect).Run();
}

}  // namespace paceline::sql
