// sql/lexer.h - MySQL and MariaDB statements as tokens. Never fails: what is not closed ends with
// the text and is flagged; what no rule knows becomes an operator of one byte. White space and
// comments are passed over, except that
// `/*vt+ */` directives and `/*+ */` hints are kept as spans, and that the content of a version
// comment which the server would run (`/*!80000 ... */`, `/*M! ... */`) is lexed as if the comment
// were not there. Facts: the lexical structure chapters of the MySQL and MariaDB manuals. Limit:
// texts below 4 GB. Threads: one lexer, one thread. Lifetime: the text outlives the lexer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sql/dialect.h"
#include "sql/keyword.h"

namespace paceline::sql {

enum class TokenKind : uint8_t {
  kEnd,
  kIdentifier,        // plain; `keyword` tells whether it is a word that we know
  kQuotedIdentifier,  // `x`, or "x" under ANSI_QUOTES
  kString,            // 'x', "x", N'x'
  kInteger,           // 12
  kDecimal,           // 1.5, .5, 1.
  kFloat,             // 1e5
  kHex,               // 0x1F, x'1F'
  kBit,               // 0b01, b'01'
  kPlaceholder,       // ?
  kBindVariable,      // :name, ::list
  kUserVariable,      // @a, @`a`, @'a'; also the host part of a@localhost
  kSystemVariable,    // @@x, @@global.x, @@session.cache.x: one token
  kIntroducer,        // _utf8mb4 and the like
  kOperator,          // one to three bytes; `punct` is the byte when it is one
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  char punct = 0;                    // '(' ',' '.' ';' '=' ...: only for operators of one byte
  Keyword keyword = Keyword::kNone;  // never set after a '.', where every word is a name
  uint32_t begin = 0;                // byte offsets into the text
  uint32_t end = 0;

  bool Is(char c) const { return punct == c; }
  bool Is(Keyword k) const { return keyword == k; }
  bool IsName() const {
    return kind == TokenKind::kIdentifier || kind == TokenKind::kQuotedIdentifier;
  }
  // A value written out: strings, numbers, hex and bit.
  bool IsLiteral() const { return kind >= TokenKind::kString && kind <= TokenKind::kBit; }
  uint32_t size() const { return end - begin; }
};

// Byte offsets of something in the text.
struct Span {
  uint32_t offset = 0;
  uint32_t length = 0;

  bool empty() const { return length == 0; }
  uint32_t end() const { return offset + length; }
  std::string_view In(std::string_view text) const { return text.substr(offset, length); }
  friend bool operator==(const Span&, const Span&) = default;
};

class Lexer {
 public:
  Lexer(std::string_view text, const Dialect& dialect) : text_(text), dialect_(dialect), at_(0) {}

  // The next token; kEnd for ever at the end.
  Token Next();
  // Continue at this offset, which must be where a token begins or ends.
  void Seek(uint32_t offset) {
    at_ = offset;
    previous_dot_ = false;
  }
  uint32_t position() const { return at_; }
  // A string, quoted name or comment was not closed.
  bool unterminated() const { return unterminated_; }
  // The inner text of the last directive comment and the last hint comment seen so far.
  Span directive() const { return directive_; }
  Span hint() const { return hint_; }
  // A version comment was entered, or passed over because the server is older.
  bool saw_version_comment() const { return saw_version_comment_; }

 private:
  void SkipSpace();
  // At "/*"; false when it is an executable comment, whose head is then passed.
  bool SkipBlockComment();
  Token Word(uint32_t begin);
  Token Number(uint32_t begin);
  Token Quoted(TokenKind kind, uint32_t begin, char quote);
  Token Variable(uint32_t begin);
  Token Operator(uint32_t begin);
  uint32_t QuotedEnd(uint32_t from, char quote);
  Token Make(TokenKind kind, uint32_t begin, uint32_t end);

  std::string_view text_;
  Dialect dialect_;
  uint32_t at_;
  uint8_t open_version_comments_ = 0;
  bool previous_dot_ = false;
  bool previous_name_ = false;
  bool unterminated_ = false;
  bool saw_version_comment_ = false;
  Span directive_;
  Span hint_;
};

// The name or text a token stands for: quotes taken away, doubled quotes and (in strings) escapes
// resolved,
// '@', '@@' and N'' prefixes of variables and strings removed.
std::string Unquote(std::string_view token_text, const Dialect& dialect);

}  // namespace paceline::sql
