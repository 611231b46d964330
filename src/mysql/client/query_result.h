// mysql/client/query_result.h - a small result, decoded, as administration wants it. Threads: a
// value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/wire/column.h"
#include "mysql/wire/terminator.h"
#include "value/value.h"

namespace paceline::mysql {

struct QueryResult {
  std::vector<wire::ColumnDefinition> columns;  // empty: a statement without rows
  std::vector<value::Row> rows;
  wire::Terminator end;  // never an error: those are the Result's

  // Position of a column by name, ASCII case ignored.
  std::optional<size_t> Find(std::string_view column) const;
  // nullopt: NULL, no such row or no such column. The view lives as long as this result.
  std::optional<std::string_view> Get(size_t row, size_t column) const;
  std::optional<std::string_view> Get(size_t row, std::string_view column) const;
  // Get, with NULL and absent as an empty text.
  std::string Text(size_t row, std::string_view column) const;
  std::string Text(size_t row, size_t column) const;

  value::TypedResult ToTyped() const;
};

}  // namespace paceline::mysql
