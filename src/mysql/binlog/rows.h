// mysql/binlog/rows.h - how many rows an event of row images changed, and the integers of the first
// one; values of other types are passed over. Pure; nothing reads outside its input. Threads: any.
// Source of layouts: MySQL's "Rows_event", "Table_map_event"; MariaDB's "Rows_event_v1/v2".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace paceline::mysql::binlog {

struct TableMap {
  uint64_t id = 0;
  std::string database, table;
  std::vector<uint8_t> types;
  std::vector<uint16_t> metadata;  // as in the event, little-endian
};
Result<TableMap> ParseTableMap(std::string_view body);

// The table's id of a rows event; 0 when it is too short.
uint64_t TableOfRows(std::string_view body);

struct RowsSummary {
  enum class Kind : uint8_t { kInsert, kUpdate, kDelete } kind = Kind::kInsert;
  uint64_t rows = 0;
  bool ends_statement = false;
  // kInsert: (position of the column from 1 on, value) of the integer columns of the first row, at
  // most 16.
  std::vector<std::pair<uint32_t, uint64_t>> first_row;
};
// Errors: kUnimplemented (compressed, partial JSON, unknown column types), kDataLoss.
Result<RowsSummary> SummarizeRows(uint8_t type, std::string_view body, const TableMap& table);

}  // namespace paceline::mysql::binlog
