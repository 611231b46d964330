// mysql/wire/rows.h - rows of the text and of the binary protocol, decoded to the text form of each
// value and encoded again. Source: MySQL's "Text Resultset", "Binary Protocol Resultset", "Binary
// Protocol Value". Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/column.h"
#include "value/value.h"

namespace paceline::mysql::wire {

// `body` without packet header. The views point into it; nullopt is NULL. False: malformed.
bool ParseTextRow(std::string_view body, size_t columns,
                  std::vector<std::optional<std::string_view>>* out);
void AppendTextRow(std::string* out, const std::vector<std::optional<std::string_view>>& values,
                   uint8_t* sequence);

// A row of a prepared statement to the values a text row would hold: numbers in digits, times as
// MySQL prints them.
bool ParseBinaryRow(std::string_view body, const std::vector<ColumnDefinition>& columns,
                    value::Row* out);
// Errors: kInvalidArgument when a value is not what its column's type says.
Status AppendBinaryRow(std::string* out, const std::vector<ColumnDefinition>& columns,
                       const std::vector<std::optional<std::string_view>>& values,
                       uint8_t* sequence);

// How one binary value is to be read; also of a parameter of COM_STMT_EXECUTE.
struct BinaryType {
  uint8_t type = 0;  // a MysqlType
  bool is_unsigned = false;
  uint8_t decimals = 31;     // digits of a fraction; 31: as many as there are
  uint32_t zerofill_to = 0;  // pad integers with zeros to this many digits
};
// The bytes of one value, of whatever length it has by itself; empty and a failed reader when there
// are not enough.
std::string_view TakeBinaryValue(Reader* reader, uint8_t mysql_type);
// The text form; `bytes` as TakeBinaryValue gave them. Malformed bytes give nullopt.
std::optional<std::string> BinaryToText(std::string_view bytes, const BinaryType& type);
// Appends the binary form of `text`. False: not a value of that type.
bool AppendBinaryValue(std::string* out, std::string_view text, const BinaryType& type);

}  // namespace paceline::mysql::wire
