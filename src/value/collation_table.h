// value/collation_table.h - the rows behind charset.h; nothing else includes it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace paceline::value {

struct CharsetRow {
  const char* name;
  uint8_t max_bytes;
  uint16_t mysql_default;    // 0: MySQL does not have it
  uint16_t mariadb_default;  // 0: MariaDB does not have it
  uint16_t binary;           // 0: none
};
struct CollationRow {
  uint16_t id;
  const char* name;  // begins with its character set
};

extern const CharsetRow kCharsetTable[];
extern const size_t kCharsetCount;
extern const CollationRow kCollationTable[];  // by id
extern const size_t kCollationCount;

}  // namespace paceline::value
