#include "value/type.h"

namespace paceline::value {
namespace {

struct TypeRow {
  Type type;
  std::string_view name;
};
constexpr TypeRow kTypes[] = {
    {Type::kNull, "NULL_TYPE"},
    {Type::kInt8, "INT8"},
    {Type::kUint8, "UINT8"},
    {Type::kInt16, "INT16"},
    {Type::kUint16, "UINT16"},
    {Type::kInt24, "INT24"},
    {Type::kUint24, "UINT24"},
    {Type::kInt32, "INT32"},
    {Type::kUint32, "UINT32"},
    {Type::kInt64, "INT64"},
    {Type::kUint64, "UINT64"},
    {Type::kFloat32, "FLOAT32"},
    {Type::kFloat64, "FLOAT64"},
    {Type::kTimestamp, "TIMESTAMP"},
    {Type::kDate, "DATE"},
    {Type::kTime, "TIME"},
    {Type::kDatetime, "DATETIME"},
    {Type::kYear, "YEAR"},
    {Type::kDecimal, "DECIMAL"},
    {Type::kText, "TEXT"},
    {Type::kBlob, "BLOB"},
    {Type::kVarchar, "VARCHAR"},
    {Type::kVarbinary, "VARBINARY"},
    {Type::kChar, "CHAR"},
    {Type::kBinary, "BINARY"},
    {Type::kBit, "BIT"},
    {Type::kEnum, "ENUM"},
    {Type::kSet, "SET"},
    {Type::kTuple, "TUPLE"},
    {Type::kGeometry, "GEOMETRY"},
    {Type::kJson, "JSON"},
    {Type::kExpression, "EXPRESSION"},
    {Type::kHexNum, "HEXNUM"},
    {Type::kHexVal, "HEXVAL"},
    {Type::kBitNum, "BITNUM"},
    {Type::kVector, "VECTOR"},
    {Type::kRaw, "RAW"},
    {Type::kRowTuple, "ROW_TUPLE"},
};

Type Pick(uint32_t flags, uint32_t bit, Type with, Type without) {
  return (flags & bit) ? with : without;
}

}  // namespace

std::optional<Type> TypeFromMysql(uint8_t mysql_type, uint32_t flags) {
  switch (static_cast<MysqlType>(mysql_type)) {
    case MysqlType::kDecimal:
    case MysqlType::kNewDecimal:
      return Type::kDecimal;
    case MysqlType::kTiny:
      return Pick(flags, kFlagUnsigned, Type::kUint8, Type::kInt8);
    case MysqlType::kShort:
      return Pick(flags, kFlagUnsigned, Type::kUint16, Type::kInt16);
    case MysqlType::kLong:
      return Pick(flags, kFlagUnsigned, Type::kUint32, Type::kInt32);
    case MysqlType::kLongLong:
      return Pick(flags, kFlagUnsigned, Type::kUint64, Type::kInt64);
    case MysqlType::kInt24:
      return Pick(flags, kFlagUnsigned, Type::kUint24, Type::kInt24);
    case MysqlType::kFloat:
      return Type::kFloat32;
    case MysqlType::kDouble:
      return Type::kFloat64;
    case MysqlType::kNull:
      return Type::kNull;
    case MysqlType::kTimestamp:
    case MysqlType::kTimestamp2:
      return Type::kTimestamp;
    case MysqlType::kDate:
    case MysqlType::kNewDate:
      return Type::kDate;
    case MysqlType::kTime:
    case MysqlType::kTime2:
      return Type::kTime;
    case MysqlType::kDatetime:
    case MysqlType::kDatetime2:
      return Type::kDatetime;
    case MysqlType::kYear:
      return Type::kYear;
    case MysqlType::kBit:
      return Type::kBit;
    case MysqlType::kVector:
      return Type::kVector;
    case MysqlType::kJson:
      return Type::kJson;
    case MysqlType::kEnum:
      return Type::kEnum;
    case MysqlType::kSet:
      return Type::kSet;
    case MysqlType::kTinyBlob:
    case MysqlType::kMediumBlob:
    case MysqlType::kLongBlob:
    case MysqlType::kBlob:
      return Pick(flags, kFlagBinary, Type::kBlob, Type::kText);
    case MysqlType::kVarchar:
    case MysqlType::kVarString:
      return Pick(flags, kFlagBinary, Type::kVarbinary, Type::kVarchar);
    case MysqlType::kString:
      if (flags & kFlagBinary) return Type::kBinary;
      if (flags & kFlagEnum) return Type::kEnum;
      if (flags & kFlagSet) return Type::kSet;
      return Type::kChar;
    case MysqlType::kGeometry:
      return Type::kGeometry;
  }
  return std::nullopt;
}

std::optional<MysqlTypeAndFlags> MysqlFromType(Type type) {
  switch (type) {
    case Type::kNull:
      return MysqlTypeAndFlags{MysqlType::kNull, kFlagBinary};
    case Type::kInt8:
      return MysqlTypeAndFlags{MysqlType::kTiny, 0};
    case Type::kUint8:
      return MysqlTypeAndFlags{MysqlType::kTiny, kFlagUnsigned};
    case Type::kInt16:
      return MysqlTypeAndFlags{MysqlType::kShort, 0};
    case Type::kUint16:
      return MysqlTypeAndFlags{MysqlType::kShort, kFlagUnsigned};
    case Type::kInt24:
      return MysqlTypeAndFlags{MysqlType::kInt24, 0};
    case Type::kUint24:
      return MysqlTypeAndFlags{MysqlType::kInt24, kFlagUnsigned};
    case Type::kInt32:
      return MysqlTypeAndFlags{MysqlType::kLong, 0};
    case Type::kUint32:
      return MysqlTypeAndFlags{MysqlType::kLong, kFlagUnsigned};
    case Type::kInt64:
      return MysqlTypeAndFlags{MysqlType::kLongLong, 0};
    case Type::kUint64:
      return MysqlTypeAndFlags{MysqlType::kLongLong, kFlagUnsigned};
    case Type::kFloat32:
      return MysqlTypeAndFlags{MysqlType::kFloat, 0};
    case Type::kFloat64:
      return MysqlTypeAndFlags{MysqlType::kDouble, 0};
    case Type::kTimestamp:
      return MysqlTypeAndFlags{MysqlType::kTimestamp, 0};
    case Type::kDate:
      return MysqlTypeAndFlags{MysqlType::kDate, kFlagBinary};
    case Type::kTime:
      return MysqlTypeAndFlags{MysqlType::kTime, kFlagBinary};
    case Type::kDatetime:
      return MysqlTypeAndFlags{MysqlType::kDatetime, kFlagBinary};
    case Type::kYear:
      return MysqlTypeAndFlags{MysqlType::kYear, kFlagUnsigned};
    case Type::kDecimal:
      return MysqlTypeAndFlags{MysqlType::kNewDecimal, 0};
    case Type::kText:
      return MysqlTypeAndFlags{MysqlType::kBlob, 0};
    case Type::kBlob:
      return MysqlTypeAndFlags{MysqlType::kBlob, kFlagBinary};
    case Type::kVarchar:
      return MysqlTypeAndFlags{MysqlType::kVarString, 0};
    case Type::kHexNum:
    case Type::kHexVal:
    case Type::kBitNum:
    case Type::kVarbinary:
      return MysqlTypeAndFlags{MysqlType::kVarString, kFlagBinary};
    case Type::kChar:
      return MysqlTypeAndFlags{MysqlType::kString, 0};
    case Type::kBinary:
      return MysqlTypeAndFlags{MysqlType::kString, kFlagBinary};
    case Type::kBit:
      return MysqlTypeAndFlags{MysqlType::kBit, kFlagUnsigned};
    case Type::kEnum:
      return MysqlTypeAndFlags{MysqlType::kString, kFlagEnum};
    case Type::kSet:
      return MysqlTypeAndFlags{MysqlType::kString, kFlagSet};
    case Type::kGeometry:
      return MysqlTypeAndFlags{MysqlType::kGeometry, 0};
    case Type::kJson:
      return MysqlTypeAndFlags{MysqlType::kJson, 0};
    case Type::kVector:
      return MysqlTypeAndFlags{MysqlType::kVector, kFlagBinary};
    case Type::kTuple:
    case Type::kExpression:
    case Type::kRaw:
    case Type::kRowTuple:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view TypeName(Type type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.name;
  }
  return {};
}

std::optional<Type> TypeByName(std::string_view name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return std::nullopt;
}

}  // namespace paceline::value
