#include "sql/lexer.h"

#include <array>

#include "base/strings.h"

namespace paceline::sql {
namespace {

enum : uint8_t {
  kSpaceClass = 1,
  kNameClass = 2,  // may be inside a plain identifier
  kDigitClass = 4,
  kHexClass = 8,
  kVariableClass = 16,  // may be inside @name: dots too
};

constexpr std::array<uint8_t, 256> BuildClasses() {
  std::array<uint8_t, 256> table{};
  for (int c : {' ', '\t', '\n', '\r', '\v', '\f'}) table[c] |= kSpaceClass;
  for (int c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool hex = digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (digit) table[c] |= kDigitClass;
    if (hex) table[c] |= kHexClass;
    if (digit || letter || c == '_' || c == '$' || c >= 0x80) {
      table[c] |= kNameClass | kVariableClass;
    }
  }
  table['.'] |= kVariableClass;
  return table;
}
constexpr std::array<uint8_t, 256> kClasses = BuildClasses();

bool In(char c, uint8_t classes) { return (kClasses[static_cast<uint8_t>(c)] & classes) != 0; }

// Character sets of both servers; only they make an introducer of `_name`.
bool IsCharset(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "utf8mb4", "utf8mb3",  "utf8",     "binary", "latin1",  "ascii",  "latin2",   "latin5",
      "latin7",  "big5",     "dec8",     "cp850",  "hp8",     "koi8r",  "swe7",     "ujis",
      "sjis",    "hebrew",   "tis620",   "euckr",  "koi8u",   "gb2312", "greek",    "cp1250",
      "gbk",     "armscii8", "ucs2",     "cp866",  "keybcs2", "macce",  "macroman", "cp852",
      "cp1251",  "utf16",    "utf16le",  "cp1256", "cp1257",  "utf32",  "geostd8",  "cp932",
      "eucjpms", "gb18030",  "filename",
  };
  for (std::string_view known : kNames) {
    if (EqualsIgnoreCase(name, known)) return true;
  }
  return false;
}

}  // namespace

Token Lexer::Make(TokenKind kind, uint32_t begin, uint32_t end) {
  at_ = end;
  Token token;
  token.kind = kind;
  token.begin = begin;
  token.end = end;
  return token;
}

bool Lexer::SkipBlockComment() {
  const std::string_view rest = text_.substr(at_);
  const bool maria = dialect_.flavor == Flavor::kMariadb;
  const bool maria_only = rest.size() > 3 && rest[2] == 'M' && rest[3] == '!';
  if ((rest.size() > 2 && rest[2] == '!') || (maria_only && maria)) {
    saw_version_comment_ = true;
    uint32_t at = at_ + (maria_only ? 4 : 3);
    uint32_t version = 0, digits = 0;
    while (digits < 6 && at + digits < text_.size() && In(text_[at + digits], kDigitClass)) {
      version = version * 10 + (text_[at + digits] - '0');
      ++digits;
    }
    bool runs = true;
    if (digits >= 5) {
      // MySQL takes a sixth digit only where white space follows it: /*!800001 */ is 80000 and
      // then 1.
      if (digits == 6 && !maria && !(at + 6 < text_.size() && In(text_[at + 6], kSpaceClass))) {
        version /= 10;
        digits = 5;
      }
      at += digits;
      runs = version <= dialect_.version;
      // MariaDB leaves out what MySQL 5.7 and later put there, as their grammar went apart.
      if (maria && !maria_only && version >= 50700 && version <= 99999) runs = false;
    }
    if (runs) {
      at_ = at;
      ++open_version_comments_;
      return false;
    }
    // Passed over whole; inner comments nest one level deep.
    size_t depth = 1;
    while (at < text_.size() && depth > 0) {
      if (text_.compare(at, 2, "*/") == 0) {
        --depth;
        at += 2;
      } else if (text_.compare(at, 2, "/*") == 0) {
        ++depth;
        at += 2;
      } else {
        ++at;
      }
    }
    if (depth > 0) unterminated_ = true;
    at_ = at;
    return true;
  }
  const size_t close = text_.find("*/", at_ + 2);
  uint32_t inner_end = static_cast<uint32_t>(text_.size());
  if (close == std::string_view::npos) {
    unterminated_ = true;
    at_ = inner_end;
  } else {
    inner_end = static_cast<uint32_t>(close);
  }
  const uint32_t begin =
      close == std::string_view::npos ? static_cast<uint32_t>(text_.size() - rest.size()) : at_;
  if (rest.starts_with("/*vt+")) {
    directive_ = {begin + 5, inner_end - begin - 5};
  } else if (rest.starts_with("/*+")) {
    hint_ = {begin + 3, inner_end - begin - 3};
  }
  if (close != std::string_view::npos) at_ = inner_end + 2;
  return true;
}

void Lexer::SkipSpace() {
  const size_t size = text_.size();
  while (at_ < size) {
    const char c = text_[at_];
    if (In(c, kSpaceClass)) {
      ++at_;
      continue;
    }
    const char next = at_ + 1 < size ? text_[at_ + 1] : '\0';
    if (c == '#' || (c == '-' && next == '-' &&
                     (at_ + 2 >= size || static_cast<uint8_t>(text_[at_ + 2]) <= 0x20))) {
      const size_t line = text_.find('\n', at_);
      at_ = static_cast<uint32_t>(line == std::string_view::npos ? size : line + 1);
      continue;
    }
    if (c == '/' && next == '*') {
      SkipBlockComment();
      continue;
    }
    if (c == '*' && next == '/' && open_version_comments_ > 0) {
      --open_version_comments_;
      at_ += 2;
      continue;
    }
    return;
  }
}

// The offset behind the closing quote, or the end of the text. `from` is behind the opening one.
uint32_t Lexer::QuotedEnd(uint32_t from, char quote) {
  const size_t size = text_.size();
  const bool escapes =
      quote != '`' && !dialect_.no_backslash_escapes && !(quote == '"' && dialect_.ansi_quotes);
  const bool plain = dialect_.bytes == ByteScheme::kPlain;
  size_t at = from;
  while (at < size) {
    const char c = text_[at];
    if (c == quote) {
      if (at + 1 < size && text_[at + 1] == quote) {
        at += 2;
        continue;
      }
      return static_cast<uint32_t>(at + 1);
    }
    if (c == '\\' && escapes) {
      at += 2;
    } else if (!plain && static_cast<uint8_t>(c) >= 0x80) {
      at += CharacterLength(dialect_.bytes, text_.substr(at));
    } else {
      ++at;
    }
  }
  unterminated_ = true;
  return static_cast<uint32_t>(size);
}

Token Lexer::Quoted(TokenKind kind, uint32_t begin, char quote) {
  return Make(kind, begin, QuotedEnd(at_, quote));
}

Token Lexer::Word(uint32_t begin) {
  const size_t size = text_.size();
  const char first = text_[begin];
  const char quote = begin + 1 < size ? text_[begin + 1] : '\0';
  if (quote == '\'' && !previous_dot_) {
    if (first == 'x' || first == 'X') {
      at_ = begin + 2;
      return Quoted(TokenKind::kHex, begin, quote);
    }
    if (first == 'b' || first == 'B') {
      at_ = begin + 2;
      return Quoted(TokenKind::kBit, begin, quote);
    }
    if (first == 'n' || first == 'N') {
      at_ = begin + 2;
      return Quoted(TokenKind::kString, begin, quote);
    }
  }
  size_t at = begin;
  if (dialect_.bytes == ByteScheme::kPlain) {
    while (at < size && In(text_[at], kNameClass)) ++at;
  } else {
    while (at < size && In(text_[at], kNameClass)) {
      at += CharacterLength(dialect_.bytes, text_.substr(at));
    }
  }
  Token token = Make(TokenKind::kIdentifier, begin, static_cast<uint32_t>(at));
  if (previous_dot_) return token;
  if (first == '_' && IsCharset(text_.substr(begin + 1, at - begin - 1))) {
    token.kind = TokenKind::kIntroducer;
    return token;
  }
  token.keyword = FindKeyword(text_.substr(begin, at - begin));
  return token;
}

Token Lexer::Number(uint32_t begin) {
  const size_t size = text_.size();
  const auto at_char = [&](size_t i) { return i < size ? text_[i] : '\0'; };
  size_t at = begin;
  if (text_[begin] == '0' && (at_char(begin + 1) == 'x' || at_char(begin + 1) == 'b')) {
    const bool hex = text_[begin + 1] == 'x';
    at = begin + 2;
    while (at < size && (hex ? In(text_[at], kHexClass) : (text_[at] == '0' || text_[at] == '1'))) {
      ++at;
    }
    if (at > begin + 2 && !In(at_char(at), kNameClass)) {
      return Make(hex ? TokenKind::kHex : TokenKind::kBit, begin, static_cast<uint32_t>(at));
    }
    return Word(begin);
  }
  while (at < size && In(text_[at], kDigitClass)) ++at;
  bool decimal = false;
  if (at_char(at) == '.') {
    decimal = true;
    ++at;
    while (at < size && In(text_[at], kDigitClass)) ++at;
  }
  if (at_char(at) == 'e' || at_char(at) == 'E') {
    size_t exponent = at + 1;
    if (at_char(exponent) == '+' || at_char(exponent) == '-') ++exponent;
    if (In(at_char(exponent), kDigitClass)) {
      while (exponent < size && In(text_[exponent], kDigitClass)) ++exponent;
      return Make(TokenKind::kFloat, begin, static_cast<uint32_t>(exponent));
    }
  }
  if (!decimal && at < size && In(text_[at], kNameClass)) return Word(begin);
  return Make(decimal ? TokenKind::kDecimal : TokenKind::kInteger, begin,
              static_cast<uint32_t>(at));
}

Token Lexer::Variable(uint32_t begin) {
  const size_t size = text_.size();
  size_t at = begin + 1;
  const bool system = at < size && text_[at] == '@';
  if (system) ++at;
  const auto quoted = [&] {
    return at < size && (text_[at] == '`' || (!system && (text_[at] == '\'' || text_[at] == '"')));
  };
  if (quoted()) {
    const uint32_t end = QuotedEnd(static_cast<uint32_t>(at + 1), text_[at]);
    at = end;
  } else {
    while (at < size && In(text_[at], kVariableClass)) ++at;
  }
  // @@`x`.`y` and @@global.`x`
  while (system && at < size && ((text_[at] == '`' && text_[at - 1] == '.') || text_[at] == '.')) {
    if (text_[at] == '.') {
      ++at;
      while (at < size && In(text_[at], kVariableClass)) ++at;
    } else {
      at = QuotedEnd(static_cast<uint32_t>(at + 1), '`');
    }
  }
  if (at == begin + 1) {
    Token token = Make(TokenKind::kOperator, begin, begin + 1);
    token.punct = '@';
    return token;
  }
  return Make(system ? TokenKind::kSystemVariable : TokenKind::kUserVariable, begin,
              static_cast<uint32_t>(at));
}

Token Lexer::Operator(uint32_t begin) {
  static constexpr std::string_view kLong[] = {"<=>", "->>", ":=", "<=", ">=", "<>",
                                               "!=",  "||",  "&&", "<<", ">>", "->"};
  const char c = text_[begin];
  if (c == '<' || c == '-' || c == ':' || c == '>' || c == '!' || c == '|' || c == '&') {
    for (std::string_view op : kLong) {
      if (text_.compare(begin, op.size(), op) == 0) {
        return Make(TokenKind::kOperator, begin, begin + static_cast<uint32_t>(op.size()));
      }
    }
    if (c == ':' && dialect_.bind_variables) {
      size_t at = begin + 1;
      if (at < text_.size() && text_[at] == ':') ++at;
      const size_t name = at;
      while (at < text_.size() && In(text_[at], kNameClass)) ++at;
      if (at > name) return Make(TokenKind::kBindVariable, begin, static_cast<uint32_t>(at));
    }
  }
  Token token = Make(TokenKind::kOperator, begin, begin + 1);
  token.punct = c;
  return token;
}

Token Lexer::Next() {
  SkipSpace();
  const uint32_t begin = at_;
  if (begin >= text_.size()) {
    if (open_version_comments_ > 0) unterminated_ = true;
    return Make(TokenKind::kEnd, begin, begin);
  }
  const char c = text_[begin];
  Token token;
  if (In(c, kDigitClass)) {
    token = previous_dot_ ? Word(begin) : Number(begin);
  } else if (In(c, kNameClass)) {
    token = Word(begin);
  } else {
    switch (c) {
      case '\'':
        ++at_;
        token = Quoted(TokenKind::kString, begin, c);
        break;
      case '"':
        ++at_;
        token = Quoted(dialect_.ansi_quotes ? TokenKind::kQuotedIdentifier : TokenKind::kString,
                       begin, c);
        break;
      case '`':
        ++at_;
        token = Quoted(TokenKind::kQuotedIdentifier, begin, c);
        break;
      case '@':
        token = Variable(begin);
        break;
      case '?':
        token = Make(TokenKind::kPlaceholder, begin, begin + 1);
        break;
      case '.':
        // After a name the dot joins; elsewhere ".5" is a number.
        if (!(previous_name_ && begin > 0 && !In(text_[begin - 1], kSpaceClass)) &&
            begin + 1 < text_.size() && In(text_[begin + 1], kDigitClass)) {
          token = Number(begin);
        } else {
          token = Make(TokenKind::kOperator, begin, begin + 1);
          token.punct = '.';
        }
        break;
      default:
        token = Operator(begin);
    }
  }
  previous_dot_ = token.punct == '.';
  previous_name_ = token.IsName();
  return token;
}

std::string Unquote(std::string_view token_text, const Dialect& dialect) {
  std::string_view text = token_text;
  while (text.starts_with('@')) text.remove_prefix(1);
  if (text.size() > 1 && (text[0] == 'n' || text[0] == 'N') && text[1] == '\'') {
    text.remove_prefix(1);
  }
  if (text.empty() || (text[0] != '\'' && text[0] != '"' && text[0] != '`')) {
    return std::string(text);
  }
  const char quote = text[0];
  text.remove_prefix(1);
  if (text.ends_with(quote)) text.remove_suffix(1);
  const bool escapes =
      quote != '`' && !dialect.no_backslash_escapes && !(quote == '"' && dialect.ansi_quotes);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == quote) {
      out.push_back(c);
      i += 2;
    } else if (c == '\\' && escapes && i + 1 < text.size()) {
      switch (text[i + 1]) {
        case '0':
          out.push_back('\0');
          break;
        case 'b':
          out.push_back('\b');
          break;
        case 'n':
          out.push_back('\n');
          break;
        case 'r':
          out.push_back('\r');
          break;
        case 't':
          out.push_back('\t');
          break;
        case 'Z':
          out.push_back('\x1A');
          break;
        // These two stay escaped, for LIKE.
        case '%':
          out.append("\\%");
          break;
        case '_':
          out.append("\\_");
          break;
        default:
          out.push_back(text[i + 1]);
      }
      i += 2;
    } else {
      const size_t length = CharacterLength(dialect.bytes, text.substr(i));
      out.append(text.substr(i, length));
      i += length;
    }
  }
  return out;
}

}  // namespace paceline::sql
