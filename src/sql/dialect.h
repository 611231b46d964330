// sql/dialect.h - what decides how bytes become tokens: the server's flavor and version, and the
// session's settings. Values; safe to copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace paceline::sql {

enum class Flavor : uint8_t { kMysql, kMariadb };

// How bytes of 0x80 and above join into characters. Only in the sets named here may a later byte of
// a character look like a quote or a backslash; all others (utf8mb4, latin1, euc, ...) lex as
// kPlain.
enum class ByteScheme : uint8_t { kPlain, kBig5, kGbk, kGb18030, kSjis };

struct Dialect {
  Flavor flavor = Flavor::kMysql;
  // As in version comments: 80400 for 8.4.0, 101106 for MariaDB 10.11.6.
  uint32_t version = 90700;
  ByteScheme bytes = ByteScheme::kPlain;
  // Of @@sql_mode.
  bool ansi_quotes = false;
  bool no_backslash_escapes = false;
  // Accept Vitess's `:name` and `::list` bind variables (statements that come by gRPC).
  bool bind_variables = false;

  friend bool operator==(const Dialect&, const Dialect&) = default;
};

// The scheme of a character set by its MySQL name ("gbk", "cp932"); kPlain for what it does not
// know.
ByteScheme ByteSchemeOf(std::string_view charset);
// Sets ansi_quotes and no_backslash_escapes from the text of @@sql_mode, combined modes ("ANSI")
// included.
void ApplySqlMode(std::string_view sql_mode, Dialect& dialect);
// Bytes of the character at the start of `rest` (at least 1; never beyond its end).
size_t CharacterLength(ByteScheme scheme, std::string_view rest);

}  // namespace paceline::sql
