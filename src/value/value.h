// value/value.h - values, fields and rows of the typed path (Vitess gRPC, answers a gate makes
// itself). Values are kept in the form of MySQL's text protocol: the number 12 is the bytes "12".
// Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "value/charset.h"
#include "value/type.h"

namespace paceline::value {

// One SQL value. kNull has no bytes.
struct Value {
  Type type = Type::kNull;
  std::string bytes;

  static Value Null() { return {}; }
  static Value Int64(int64_t number) { return {Type::kInt64, std::to_string(number)}; }
  static Value Uint64(uint64_t number) { return {Type::kUint64, std::to_string(number)}; }
  static Value Varchar(std::string text) { return {Type::kVarchar, std::move(text)}; }
  static Value Varbinary(std::string bytes) { return {Type::kVarbinary, std::move(bytes)}; }

  bool is_null() const { return type == Type::kNull; }
  // The value as SQL text: NULL, a bare number, or a quoted and escaped text (binary as X'..').
  std::string ToSql() const;
  friend bool operator==(const Value&, const Value&) = default;
};

// A column of a result: query.Field.
struct Field {
  std::string name;
  Type type = Type::kNull;
  std::string table;
  std::string org_table;
  std::string database;
  std::string org_name;
  uint32_t column_length = 0;
  uint32_t charset = 0;  // a CollationId
  uint32_t decimals = 0;
  uint32_t flags = 0;  // ColumnFlags
  std::string column_type;
  friend bool operator==(const Field&, const Field&) = default;
};

// A row as query.Row has it: all bytes in one string, a length per column, -1 for NULL.
struct Row {
  std::vector<int64_t> lengths;
  std::string values;

  size_t size() const { return lengths.size(); }
  void Append(std::string_view bytes) {
    lengths.push_back(static_cast<int64_t>(bytes.size()));
    values.append(bytes);
  }
  void AppendNull() { lengths.push_back(-1); }
  // The columns in order; nullopt is NULL. Lengths that do not fit the bytes end the list early.
  std::vector<std::optional<std::string_view>> Columns() const;
  friend bool operator==(const Row&, const Row&) = default;
};

// query.QueryResult.
struct TypedResult {
  std::vector<Field> fields;
  std::vector<Row> rows;
  uint64_t rows_affected = 0;
  uint64_t insert_id = 0;
  bool insert_id_changed = false;
  std::string info;
  std::string session_state_changes;
};

// A field for columns that a gate or tablet makes up: utf8mb4 for text, binary for numbers.
Field MakeField(std::string name, Type type);

}  // namespace paceline::value
