#include "backup/dump_table.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/strings.h"

namespace paceline::backup {
namespace {

template <size_t N>
bool OneOf(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

constexpr std::array<std::string_view, 5> kIntegers = {"tinyint", "smallint", "mediumint", "int",
                                                       "bigint"};
constexpr std::array<std::string_view, 6> kTexts = {"char",       "varchar",  "tinytext",
                                                    "mediumtext", "longtext", "text"};
constexpr std::array<std::string_view, 6> kBinaries = {"binary", "varbinary",  "tinyblob",
                                                       "blob",   "mediumblob", "longblob"};
constexpr std::array<std::string_view, 4> kTimes = {"date", "time", "datetime", "timestamp"};
constexpr std::array<std::string_view, 10> kGeometries = {
    "geometry",        "point",        "linestring",         "polygon",        "multipoint",
    "multilinestring", "multipolygon", "geometrycollection", "geomcollection", "vector"};

bool IsReal(std::string_view type) { return type == "float" || type == "double"; }

// What the text protocol would mangle is asked for as a number.
std::string Asked(const DumpColumn& column) {
  const std::string name = QuoteIdentifier(column.name);
  // Six digits of a FLOAT are shown, all of a DOUBLE.
  if (IsReal(column.type)) return name + " * 1e0";
  if (column.type == "enum") return name + " + 0";
  if (column.type == "set" || column.type == "bit") return "CAST(" + name + " AS UNSIGNED)";
  return name;
}

void AppendQuoted(std::string& out, std::string_view bytes) {
  out.push_back('\'');
  size_t done = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c != '\'' && c != '\\' && c != '\0') continue;
    out.append(bytes.substr(done, at - done));
    out.push_back('\\');
    out.push_back(c == '\0' ? '0' : c);
    done = at + 1;
  }
  out.append(bytes.substr(done));
  out.push_back('\'');
}

}  // namespace

enum class InsertWriter::Form : uint8_t {
  kNumber,  // digits
  kBytes,   // quoted, and stored as they are
  kText,    // quoted, for types that take no bytes
};

std::string DumpTable::Quoted() const {
  return QuoteIdentifier(schema) + "." + QuoteIdentifier(name);
}

const DumpColumn* DumpTable::Key() const {
  auto found = std::ranges::find(columns, key, &DumpColumn::name);
  return key.empty() || found == columns.end() ? nullptr : &*found;
}

std::string SelectRows(const DumpTable& table, const std::string& where) {
  std::string sql = "SELECT ";
  bool first = true;
  for (const DumpColumn& column : table.columns) {
    if (column.generated) continue;
    sql += (first ? "" : ", ") + Asked(column);
    first = false;
  }
  if (first) sql += "1";  // all of its columns are generated
  sql += " FROM " + table.Quoted();
  return where.empty() ? sql : sql + " WHERE " + where;
}

InsertWriter::Form InsertWriter::FormOf(const DumpColumn& column) {
  const std::string& type = column.type;
  const bool number = OneOf(kIntegers, type) || type == "decimal" || type == "year" ||
                      type == "enum" || type == "set" || type == "bit";
  if (number) return Form::kNumber;
  const bool bytes = OneOf(kTexts, type) || OneOf(kBinaries, type) || OneOf(kTimes, type) ||
                     OneOf(kGeometries, type) || IsReal(type);  // quoted, -0 stays what it is
  return bytes ? Form::kBytes : Form::kText;
}

InsertWriter::InsertWriter(const DumpTable& table) {
  begin_ = "INSERT INTO " + table.Quoted() + " (";
  for (const DumpColumn& column : table.columns) {
    if (column.generated) continue;
    begin_ += (forms_.empty() ? "" : ",") + QuoteIdentifier(column.name);
    forms_.push_back(FormOf(column));
  }
  begin_ += ") VALUES ";
}

void InsertWriter::Add(const std::vector<std::optional<std::string_view>>& row) {
  text_ += rows_ == 0 ? begin_ + "(" : ",\n(";
  ++rows_;
  for (size_t i = 0; i < forms_.size(); ++i) {
    if (i > 0) text_.push_back(',');
    if (i >= row.size() || !row[i]) {
      text_ += "NULL";
    } else if (forms_[i] == Form::kNumber) {
      text_ += *row[i];
    } else {
      if (forms_[i] == Form::kText) text_ += "_utf8mb4";
      AppendQuoted(text_, *row[i]);
    }
  }
  text_.push_back(')');
}

std::string InsertWriter::Take() {
  rows_ = 0;
  return std::exchange(text_, {});
}

KeyKind KeyKindOf(const DumpTable& table) {
  const DumpColumn* key = table.Key();
  if (key == nullptr) return KeyKind::kNone;
  if (OneOf(kIntegers, key->type)) return KeyKind::kInteger;
  const bool ordered = key->type == "char" || key->type == "varchar" || key->type == "binary" ||
                       key->type == "varbinary" || key->type == "date" || key->type == "datetime";
  return ordered ? KeyKind::kOrdered : KeyKind::kNone;
}

std::string KeyAsked(const DumpColumn& key) {
  const std::string name = QuoteIdentifier(key.name);
  return OneOf(kTimes, key.type) || OneOf(kIntegers, key.type) ? name : "HEX(" + name + ")";
}

std::string KeyLiteral(const DumpColumn& key, std::string_view answer) {
  if (OneOf(kIntegers, key.type)) return std::string(answer);
  if (OneOf(kTimes, key.type)) return QuoteText(answer);
  const std::string bytes = "X'" + std::string(answer) + "'";
  if (OneOf(kBinaries, key.type)) return bytes;
  return "_" + key.charset + " " + bytes + " COLLATE " + key.collation;
}

std::string Between(const DumpTable& table, const std::string& from, const std::string& before) {
  const std::string key = QuoteIdentifier(table.key);
  std::string where;
  if (!from.empty()) where = key + " >= " + from;
  if (!before.empty()) where += (where.empty() ? "" : " AND ") + key + " < " + before;
  return where;
}

std::vector<std::string> CutIntegers(const DumpTable& table, std::string_view least,
                                     std::string_view most, size_t parts) {
  using Wide = __int128;
  auto read = [](std::string_view text) -> std::optional<Wide> {
    if (std::optional<int64_t> number = ParseInt(text)) return *number;
    if (std::optional<uint64_t> number = ParseUint(text)) return *number;
    return std::nullopt;
  };
  auto write = [](Wide number) {
    return number < 0 ? std::to_string(static_cast<int64_t>(number))
                      : std::to_string(static_cast<uint64_t>(number));
  };
  const std::optional<Wide> first = read(least), last = read(most);
  std::vector<std::string> cuts;
  if (first && last && *last > *first) {
    const Wide span = *last - *first + 1;
    const Wide count = std::min(span, static_cast<Wide>(std::max<size_t>(parts, 1)));
    for (Wide i = 1; i < count; ++i) cuts.push_back(write(*first + span * i / count));
  }
  std::vector<std::string> conditions;
  std::string from;
  for (const std::string& cut : cuts) {
    conditions.push_back(Between(table, from, cut));
    from = cut;
  }
  conditions.push_back(Between(table, from, ""));
  return conditions;
}

}  // namespace paceline::backup
