#include "value/value.h"

#include "base/strings.h"

namespace paceline::value {

std::string Value::ToSql() const {
  if (is_null()) return "NULL";
  if (IsBinary(type) || type == Type::kBit) return "X'" + HexEncode(bytes) + "'";
  if (IsNumber(type) || type == Type::kHexNum || type == Type::kHexVal || type == Type::kBitNum ||
      type == Type::kExpression || type == Type::kRaw) {
    return bytes;
  }
  return QuoteText(bytes);
}

std::vector<std::optional<std::string_view>> Row::Columns() const {
  std::vector<std::optional<std::string_view>> columns;
  columns.reserve(lengths.size());
  std::string_view rest = values;
  for (int64_t length : lengths) {
    if (length < 0) {
      columns.emplace_back(std::nullopt);
      continue;
    }
    if (static_cast<uint64_t>(length) > rest.size()) break;
    columns.emplace_back(rest.substr(0, static_cast<size_t>(length)));
    rest.remove_prefix(static_cast<size_t>(length));
  }
  return columns;
}

Field MakeField(std::string name, Type type) {
  Field field;
  field.name = std::move(name);
  field.type = type;
  bool text = IsText(type) || type == Type::kEnum || type == Type::kSet;
  field.charset = text ? kUtf8mb4GeneralCi : kBinary;
  field.column_length = text ? 1024 : 20;
  if (std::optional<MysqlTypeAndFlags> mysql = MysqlFromType(type)) field.flags = mysql->flags;
  if (IsNumber(type)) field.flags |= kFlagBinary | kFlagNum;
  if (type == Type::kFloat32 || type == Type::kFloat64) field.decimals = 31;
  return field;
}

}  // namespace paceline::value
