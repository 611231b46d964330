// value/type.h - SQL types by Vitess's numbers (query.Type) and MySQL's column type bytes, and the
// way between them. Source: query.proto (numbers are a contract), MySQL's field_types.h and
// mysql_com.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace paceline::value {

// query.Type. The low byte is a counter, the bits above say what kind it is (TypeFlag).
enum class Type : uint16_t {
  kNull = 0,
  kInt8 = 257,
  kUint8 = 770,
  kInt16 = 259,
  kUint16 = 772,
  kInt24 = 261,
  kUint24 = 774,
  kInt32 = 263,
  kUint32 = 776,
  kInt64 = 265,
  kUint64 = 778,
  kFloat32 = 1035,
  kFloat64 = 1036,
  kTimestamp = 2061,
  kDate = 2062,
  kTime = 2063,
  kDatetime = 2064,
  kYear = 785,
  kDecimal = 18,
  kText = 6163,
  kBlob = 10260,
  kVarchar = 6165,
  kVarbinary = 10262,
  kChar = 6167,
  kBinary = 10264,
  kBit = 2073,
  kEnum = 2074,
  kSet = 2075,
  kTuple = 28,
  kGeometry = 2077,
  kJson = 2078,
  kExpression = 31,
  kHexNum = 4128,
  kHexVal = 4129,
  kBitNum = 4130,
  kVector = 2083,
  kRaw = 2084,
  kRowTuple = 2085,
};

enum TypeFlag : uint16_t {
  kTypeIsIntegral = 256,
  kTypeIsUnsigned = 512,
  kTypeIsFloat = 1024,
  kTypeIsQuoted = 2048,
  kTypeIsText = 4096,
  kTypeIsBinary = 8192,
};

// Type byte of a column definition or of a prepared statement's parameter.
enum class MysqlType : uint8_t {
  kDecimal = 0,
  kTiny = 1,
  kShort = 2,
  kLong = 3,
  kFloat = 4,
  kDouble = 5,
  kNull = 6,
  kTimestamp = 7,
  kLongLong = 8,
  kInt24 = 9,
  kDate = 10,
  kTime = 11,
  kDatetime = 12,
  kYear = 13,
  kNewDate = 14,
  kVarchar = 15,
  kBit = 16,
  kTimestamp2 = 17,
  kDatetime2 = 18,
  kTime2 = 19,
  kVector = 242,
  kJson = 245,
  kNewDecimal = 246,
  kEnum = 247,
  kSet = 248,
  kTinyBlob = 249,
  kMediumBlob = 250,
  kLongBlob = 251,
  kBlob = 252,
  kVarString = 253,
  kString = 254,
  kGeometry = 255,
};

// Flags of a column definition.
enum ColumnFlag : uint32_t {
  kFlagNotNull = 1,
  kFlagPrimaryKey = 2,
  kFlagUniqueKey = 4,
  kFlagMultipleKey = 8,
  kFlagBlob = 16,
  kFlagUnsigned = 32,
  kFlagZerofill = 64,
  kFlagBinary = 128,
  kFlagEnum = 256,
  kFlagAutoIncrement = 512,
  kFlagTimestamp = 1024,
  kFlagSet = 2048,
  kFlagNoDefaultValue = 4096,
  kFlagOnUpdateNow = 8192,
  kFlagNum = 32768,
};

// nullopt: no such MySQL type. `flags` are ColumnFlags (UNSIGNED, BINARY, ENUM and SET matter).
std::optional<Type> TypeFromMysql(uint8_t mysql_type, uint32_t flags);

struct MysqlTypeAndFlags {
  MysqlType type;
  uint32_t flags;
};
// nullopt: kTuple, kExpression, kRaw, kRowTuple have no column type. Literals (kHexNum...) travel
// as VARBINARY.
std::optional<MysqlTypeAndFlags> MysqlFromType(Type type);

// query.Type's own names: "INT64", "NULL_TYPE". Unknown numbers give an empty name.
std::string_view TypeName(Type type);
std::optional<Type> TypeByName(std::string_view name);

inline bool IsIntegral(Type t) { return static_cast<uint16_t>(t) & kTypeIsIntegral; }
inline bool IsUnsigned(Type t) { return static_cast<uint16_t>(t) & kTypeIsUnsigned; }
inline bool IsFloat(Type t) { return static_cast<uint16_t>(t) & kTypeIsFloat; }
inline bool IsQuoted(Type t) {
  return (static_cast<uint16_t>(t) & kTypeIsQuoted) && t != Type::kBit;
}
inline bool IsText(Type t) { return static_cast<uint16_t>(t) & kTypeIsText; }
inline bool IsBinary(Type t) { return static_cast<uint16_t>(t) & kTypeIsBinary; }
inline bool IsNumber(Type t) { return IsIntegral(t) || IsFloat(t) || t == Type::kDecimal; }

}  // namespace paceline::value
