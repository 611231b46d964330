// backup/dump_table.h - a table as a dump sees it: what is asked for its rows, and the INSERT
// statements that give every value back as it was. Both sessions are under SET NAMES binary,
// sql_mode without NO_BACKSLASH_ESCAPES, and UTC. Pure. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paceline::backup {

struct DumpColumn {
  std::string name;
  std::string type;                // information_schema's data_type, small letters
  std::string charset, collation;  // of texts
  bool generated = false;          // its value follows from others
};

struct DumpTable {
  std::string schema, name;
  std::vector<DumpColumn> columns;
  std::string key;               // first column of the primary key; empty: there is none
  uint64_t rows = 0, bytes = 0;  // about
  std::string Quoted() const;
  const DumpColumn* Key() const;
};

// "SELECT ... FROM `s`.`t`", with the condition where there is one.
std::string SelectRows(const DumpTable& table, const std::string& where);

// INSERT statements of about a size.
class InsertWriter {
 public:
  explicit InsertWriter(const DumpTable& table);
  // In the order of SelectRows.
  void Add(const std::vector<std::optional<std::string_view>>& row);
  size_t bytes() const { return text_.size(); }
  uint64_t rows() const { return rows_; }
  // REQUIRES: rows() > 0. Begins the next one.
  std::string Take();

 private:
  enum class Form : uint8_t;
  static Form FormOf(const DumpColumn& column);
  std::string begin_, text_;
  std::vector<Form> forms_;
  uint64_t rows_ = 0;
};

// Where a table may be cut: by the first column of its primary key.
enum class KeyKind : uint8_t { kNone, kInteger, kOrdered };
KeyKind KeyKindOf(const DumpTable& table);
// What asks for that column, and its answer as a literal that compares as the column does.
std::string KeyAsked(const DumpColumn& key);
std::string KeyLiteral(const DumpColumn& key, std::string_view answer);
// Conditions that together have each row once, for `parts` parts between two integers.
std::vector<std::string> CutIntegers(const DumpTable& table, std::string_view least,
                                     std::string_view most, size_t parts);
// From one boundary on and before the next; empty: none there.
std::string Between(const DumpTable& table, const std::string& from, const std::string& before);

}  // namespace paceline::backup
