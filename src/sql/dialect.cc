#include "sql/dialect.h"

#include "base/strings.h"

namespace paceline::sql {

ByteScheme ByteSchemeOf(std::string_view charset) {
  if (EqualsIgnoreCase(charset, "big5")) return ByteScheme::kBig5;
  if (EqualsIgnoreCase(charset, "gbk")) return ByteScheme::kGbk;
  if (EqualsIgnoreCase(charset, "gb18030")) return ByteScheme::kGb18030;
  if (EqualsIgnoreCase(charset, "sjis") || EqualsIgnoreCase(charset, "cp932")) {
    return ByteScheme::kSjis;
  }
  return ByteScheme::kPlain;
}

void ApplySqlMode(std::string_view sql_mode, Dialect& dialect) {
  dialect.ansi_quotes = false;
  dialect.no_backslash_escapes = false;
  for (std::string_view mode : Split(sql_mode, ',')) {
    mode = Trim(mode);
    // The combined modes are those of MariaDB and MySQL 5.7; a server reports them together with
    // their parts.
    for (std::string_view quoting :
         {"ANSI_QUOTES", "ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"}) {
      if (EqualsIgnoreCase(mode, quoting)) dialect.ansi_quotes = true;
    }
    if (EqualsIgnoreCase(mode, "NO_BACKSLASH_ESCAPES")) dialect.no_backslash_escapes = true;
  }
}

size_t CharacterLength(ByteScheme scheme, std::string_view rest) {
  const auto byte = [rest](size_t i) {
    return i < rest.size() ? static_cast<uint8_t>(rest[i]) : uint8_t{0};
  };
  const auto within = [](uint8_t b, uint8_t low, uint8_t high) { return b >= low && b <= high; };
  const uint8_t first = byte(0);
  const uint8_t second = byte(1);
  if (first < 0x80) return 1;
  switch (scheme) {
    case ByteScheme::kPlain:
      return 1;
    case ByteScheme::kBig5:
      return within(first, 0xA1, 0xF9) && (within(second, 0x40, 0x7E) || within(second, 0xA1, 0xFE))
                 ? 2
                 : 1;
    case ByteScheme::kGbk:
      return within(first, 0x81, 0xFE) && (within(second, 0x40, 0x7E) || within(second, 0x80, 0xFE))
                 ? 2
                 : 1;
    case ByteScheme::kGb18030:
      if (!within(first, 0x81, 0xFE)) return 1;
      if (within(second, 0x40, 0x7E) || within(second, 0x80, 0xFE)) return 2;
      return within(second, 0x30, 0x39) && within(byte(2), 0x81, 0xFE) &&
                     within(byte(3), 0x30, 0x39)
                 ? 4
                 : 1;
    case ByteScheme::kSjis:
      return (within(first, 0x81, 0x9F) || within(first, 0xE0, 0xFC)) &&
                     (within(second, 0x40, 0x7E) || within(second, 0x80, 0xFC))
                 ? 2
                 : 1;
  }
  return 1;
}

}  // namespace paceline::sql
