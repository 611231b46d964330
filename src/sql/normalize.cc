#include "sql/normalize.h"

#include "base/strings.h"

namespace paceline::sql {
namespace {

// FNV-1a with a final mix; good enough for a key that is compared afterwards.
uint64_t HashText(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  hash ^= hash >> 32;
  return hash * 0x9E3779B97F4A7C15ull;
}

bool IsValue(const Token& token) {
  return token.IsLiteral() || token.kind == TokenKind::kPlaceholder ||
         token.kind == TokenKind::kBindVariable;
}

bool TakesBlankBeforeParen(Keyword keyword) {
  switch (keyword) {
    case Keyword::kIn:
    case Keyword::kValues:
    case Keyword::kValue:
    case Keyword::kAnd:
    case Keyword::kOr:
    case Keyword::kWhere:
    case Keyword::kOn:
    case Keyword::kUsing:
    case Keyword::kNot:
    case Keyword::kExists:
    case Keyword::kAs:
    case Keyword::kSelect:
    case Keyword::kFrom:
    case Keyword::kJoin:
    case Keyword::kBy:
    case Keyword::kUnion:
    case Keyword::kAll:
      return true;
    default:
      return false;
  }
}

// Builds a digest token by token: values become '?', and at each ')' a list of nothing but values
// is folded.
class Digester {
 public:
  Digester(std::string_view text, size_t max_bytes) : text_(text), max_bytes_(max_bytes) {}

  void Add(const Token& token) {
    if (out_.size() >= max_bytes_) {
      full_ = true;
      return;
    }
    if (IsValue(token)) {
      last_keyword_ = Keyword::kNone;
      word_ = {};
      // A sign that can only belong to the value goes with it: (-1, 2) has the shape of (1, 2).
      if (sign_at_ != std::string::npos) out_.resize(sign_at_);
      sign_at_ = std::string::npos;
      Put("?");
      return;
    }
    const bool may_sign = token.Is('-') || token.Is('+');
    const bool after_value = ends_operand_;
    if (may_sign && !after_value) {
      const size_t before = out_.size();
      Put(text_.substr(token.begin, token.size()));
      sign_at_ = before;
      return;
    }
    sign_at_ = std::string::npos;
    // "user.name": the word was no keyword after all.
    if (token.Is('.') && !word_.empty() && out_.size() >= word_.size()) {
      out_.replace(out_.size() - word_.size(), word_.size(), word_);
    }
    word_ = {};
    if (token.Is('(')) {
      blank_before_paren_ = TakesBlankBeforeParen(last_keyword_);
      opens_.push_back(out_.size() + (NeedsBlank("(") ? 1 : 0));
      Put("(");
    } else if (token.Is(')')) {
      Put(")");
      FoldList();
    } else if (token.keyword != Keyword::kNone) {
      word_ = text_.substr(token.begin, token.size());
      Put(Upper(word_));
    } else {
      Put(text_.substr(token.begin, token.size()));
    }
    last_keyword_ = token.keyword;
    ends_operand_ = token.IsName() ? token.keyword == Keyword::kNone || token.Is(Keyword::kEnd)
                                   : token.Is(')') || token.kind == TokenKind::kUserVariable ||
                                         token.kind == TokenKind::kSystemVariable;
  }

  std::string Finish() && {
    if (out_.size() > max_bytes_) out_.resize(max_bytes_);
    if (full_) out_.append(" ...");
    return std::move(out_);
  }

 private:
  bool NeedsBlank(std::string_view word) const {
    if (out_.empty()) return false;
    const char last = out_.back();
    if (last == '(' || last == '.' || last == '@') return false;
    if (word == "(") return blank_before_paren_;
    return !(word == "," || word == ")" || word == "." || word == ";");
  }
  void Put(std::string_view word) {
    if (NeedsBlank(word)) out_.push_back(' ');
    if (word == "(" && !out_.empty() && (out_.back() == ',' || out_.back() == '?')) {
      out_.push_back(' ');
      if (!opens_.empty()) ++opens_.back();
    }
    out_.append(word);
    ends_operand_ = word == "?";
  }
  // "(?, ?, ?)" -> "(...)"; "(...), (...)" -> "(...)".
  void FoldList() {
    if (opens_.empty()) return;
    const size_t open = opens_.back();
    opens_.pop_back();
    if (open >= out_.size()) return;
    const std::string_view inside(out_.data() + open, out_.size() - open);
    size_t values = 0;
    for (char c : inside.substr(1, inside.size() - 2)) {
      if (c == '?')
        ++values;
      else if (c != ',' && c != ' ')
        return;
    }
    if (values == 0) return;
    const std::string_view before(out_.data(), open);
    const bool listed = before.ends_with("(...), ");
    const bool in = before.ends_with("IN") || before.ends_with("IN ");
    const bool row = before.ends_with("VALUES") || before.ends_with("VALUES ") ||
                     before.ends_with("VALUE") || before.ends_with("ROW") || listed;
    if (!in && !row && values < 2) return;
    if (!in && !row) return;
    out_.resize(open);
    if (listed) {
      out_.resize(open - 2);
    } else {
      out_.append("(...)");
    }
    ends_operand_ = true;
  }

  std::string_view text_;
  const size_t max_bytes_;
  std::string out_;
  std::vector<size_t> opens_;
  size_t sign_at_ = std::string::npos;
  std::string_view word_;  // as written, of the keyword that `out_` ends with
  Keyword last_keyword_ = Keyword::kNone;
  bool blank_before_paren_ = false;
  bool ends_operand_ = false;
  bool full_ = false;
};

}  // namespace

Normalized Normalize(std::string_view text, const Dialect& dialect) {
  Normalized out;
  out.text.reserve(text.size());
  Lexer lexer(text, dialect);
  uint32_t last_end = 0;
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    if (token.begin > last_end && !out.text.empty()) out.text.push_back(' ');
    if (token.IsLiteral()) {
      out.literals.push_back({{token.begin, token.size()}, token.kind});
      out.text.push_back('?');
    } else {
      out.text.append(text.substr(token.begin, token.size()));
    }
    last_end = token.end;
  }
  return out;
}

Fingerprint FingerprintOf(std::string_view text, const Dialect& dialect, size_t max_bytes) {
  Digester digester(text, max_bytes);
  Lexer lexer(text, dialect);
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    if (token.Is(';')) continue;
    digester.Add(token);
  }
  Fingerprint out;
  out.digest = std::move(digester).Finish();
  out.hash = HashText(out.digest);
  return out;
}

std::string Redact(std::string_view text, const Dialect& dialect) {
  std::string out;
  out.reserve(text.size());
  Lexer lexer(text, dialect);
  uint32_t last_end = 0;
  for (Token token = lexer.Next(); token.kind != TokenKind::kEnd; token = lexer.Next()) {
    if (token.begin > last_end && !out.empty()) out.push_back(' ');
    if (token.IsLiteral()) {
      out.push_back('?');
    } else {
      out.append(text.substr(token.begin, token.size()));
    }
    last_end = token.end;
  }
  return out;
}

}  // namespace paceline::sql
