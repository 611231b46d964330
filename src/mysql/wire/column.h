// mysql/wire/column.h - column definitions (protocol 4.1): parse, write, and the schema's name
// exchanged inside raw packets. Source: MySQL's "Column Definition". Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "value/value.h"

namespace paceline::mysql::wire {

struct ColumnDefinition {
  std::string schema;
  std::string table;
  std::string org_table;
  std::string name;
  std::string org_name;
  uint16_t charset = value::kBinary;  // a CollationId
  uint32_t length = 0;
  uint8_t type = 0;    // a MysqlType
  uint16_t flags = 0;  // ColumnFlags
  uint8_t decimals = 0;
  friend bool operator==(const ColumnDefinition&, const ColumnDefinition&) = default;
};

// `body` without its packet header. False: malformed.
bool ParseColumnDefinition(std::string_view body, ColumnDefinition* out);
void AppendColumnDefinition(std::string* out, const ColumnDefinition& column, uint8_t* sequence);

// Unknown MySQL types become VARBINARY; the flags keep what the server said.
value::Field ToField(const ColumnDefinition& column);
ColumnDefinition FromField(const value::Field& field);

// Column count packet and definitions for a result that we make ourselves, without any EOF.
void AppendColumns(std::string* out, const std::vector<ColumnDefinition>& columns,
                   uint8_t* sequence);

// `packets`: a column count packet and definitions with their headers, as ResultScanner counts for
// metadata. Errors: kInternal when malformed.
Result<std::vector<ColumnDefinition>> ParseColumns(std::string_view packets);

// Appends `packets` to *out with every schema `from` called `to`; headers are adjusted, sequence
// bytes kept. What is not a definition (column count, PREPARE OK) passes as it is. Cheap when
// `from` does not occur.
void RenameSchemaInColumns(std::string_view packets, std::string_view from, std::string_view to,
                           std::string* out);

}  // namespace paceline::mysql::wire
