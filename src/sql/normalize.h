// sql/normalize.h - statements without their literals: for caches, metrics, top-query lists and
// logs. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sql/lexer.h"

namespace paceline::sql {

struct Literal {
  Span at;  // in the original text, sign not included
  TokenKind kind = TokenKind::kString;
};

// The text with every literal replaced by '?', comments and white space outside of tokens folded to
// one blank. Placeholders of the text stay '?': `literals` has none for them.
struct Normalized {
  std::string text;
  std::vector<Literal> literals;
};
Normalized Normalize(std::string_view text, const Dialect& dialect);

// The same, with lists of literals folded (`IN (...)`, `VALUES (...), ...` -> `(...)`), keywords in
// upper case, names as written: statements of the same shape share it. At most `max_bytes` of text.
struct Fingerprint {
  uint64_t hash = 0;
  std::string digest;
};
Fingerprint FingerprintOf(std::string_view text, const Dialect& dialect, size_t max_bytes = 4096);

// The text as written with every literal replaced by '?': what logs may show. Comments are removed:
// they may carry data.
std::string Redact(std::string_view text, const Dialect& dialect);

}  // namespace paceline::sql
