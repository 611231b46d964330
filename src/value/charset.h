// value/charset.h - character sets and collations of MySQL and MariaDB by id and name; no
// comparison of texts. Threads: any; the tables are constant.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace paceline::value {

using CollationId = uint16_t;

inline constexpr CollationId kLatin1SwedishCi = 8;
inline constexpr CollationId kUtf8mb3GeneralCi = 33;
inline constexpr CollationId kUtf8mb4GeneralCi = 45;
inline constexpr CollationId kUtf8mb4Bin = 46;
inline constexpr CollationId kBinary = 63;
inline constexpr CollationId kUtf8mb4UnicodeCi = 224;
inline constexpr CollationId kUtf8mb4_0900AiCi = 255;
inline constexpr CollationId kUtf8mb4Uca1400AiCi = 2304;  // MariaDB 10.10 and later

// Empty when the id is unknown. Where the flavors name an id differently (five Croatian ones) it is
// MySQL's name.
std::string_view CollationName(CollationId id);
// Names compare without regard to case; "utf8_..." is read as "utf8mb3_...".
std::optional<CollationId> CollationByName(std::string_view name);
// The character set of a collation; empty when unknown.
std::string_view CharsetOfCollation(CollationId id);

struct Charset {
  std::string_view name;
  uint8_t max_bytes = 1;          // of one character
  CollationId mysql_default = 0;  // 0: MySQL does not have this character set
  CollationId mariadb_default =
      0;                   // 0: MariaDB does not have it; 11.6 and later prefer uca1400 for Unicode
  CollationId binary = 0;  // its _bin collation
};
// "utf8" is utf8mb3.
std::optional<Charset> CharsetByName(std::string_view name);

// What a server of the flavor means by SET NAMES <charset> without COLLATE; nullopt when it lacks
// the character set.
std::optional<CollationId> DefaultCollation(std::string_view charset, bool mariadb);

}  // namespace paceline::value
