#include "mysql/client/query_result.h"

#include "base/strings.h"

namespace paceline::mysql {

std::optional<size_t> QueryResult::Find(std::string_view column) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (EqualsIgnoreCase(columns[i].name, column)) return i;
  }
  return std::nullopt;
}

std::optional<std::string_view> QueryResult::Get(size_t row, size_t column) const {
  if (row >= rows.size() || column >= rows[row].size()) return std::nullopt;
  size_t at = 0;
  for (size_t i = 0; i < column; ++i) {
    if (rows[row].lengths[i] > 0) at += static_cast<size_t>(rows[row].lengths[i]);
  }
  int64_t length = rows[row].lengths[column];
  if (length < 0 || at > rows[row].values.size()) return std::nullopt;
  return std::string_view(rows[row].values).substr(at, static_cast<size_t>(length));
}

std::optional<std::string_view> QueryResult::Get(size_t row, std::string_view column) const {
  std::optional<size_t> at = Find(column);
  if (!at) return std::nullopt;
  return Get(row, *at);
}

std::string QueryResult::Text(size_t row, std::string_view column) const {
  return std::string(Get(row, column).value_or(""));
}

std::string QueryResult::Text(size_t row, size_t column) const {
  return std::string(Get(row, column).value_or(""));
}

value::TypedResult QueryResult::ToTyped() const {
  value::TypedResult typed;
  for (const wire::ColumnDefinition& column : columns)
    typed.fields.push_back(wire::ToField(column));
  typed.rows = rows;
  typed.rows_affected = columns.empty() ? end.affected_rows : rows.size();
  typed.insert_id = end.last_insert_id;
  typed.insert_id_changed = end.last_insert_id != 0;
  typed.info = end.info;
  typed.session_state_changes = end.gtid;
  return typed;
}

}  // namespace paceline::mysql
