#include "mysql/wire/rows.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/statement.h"

namespace paceline::mysql::wire {
namespace {

using value::MysqlType;

ColumnDefinition Column(MysqlType type, uint16_t flags = 0, uint8_t decimals = 31,
                        uint32_t length = 0) {
  ColumnDefinition column;
  column.type = static_cast<uint8_t>(type);
  column.flags = flags;
  column.decimals = decimals;
  column.length = length;
  return column;
}

TEST(Rows, TextRowsRoundTrip) {
  std::vector<std::optional<std::string_view>> values = {"a", std::nullopt, "", "\xfb\xff"};
  std::string packet;
  uint8_t sequence = 0;
  AppendTextRow(&packet, values, &sequence);
  std::vector<std::optional<std::string_view>> back;
  std::string_view body = std::string_view(packet).substr(4);
  ASSERT_TRUE(ParseTextRow(body, 4, &back));
  EXPECT_EQ(back, values);
  EXPECT_FALSE(ParseTextRow(body, 3, &back));
  EXPECT_FALSE(ParseTextRow(body, 5, &back));
  for (size_t cut = 0; cut < body.size(); ++cut)
    EXPECT_FALSE(ParseTextRow(body.substr(0, cut), 4, &back));
}

TEST(Rows, BinaryRowsRoundTripInMySqlsSpelling) {
  std::vector<std::pair<ColumnDefinition, const char*>> cases = {
      {Column(MysqlType::kTiny), "-128"},
      {Column(MysqlType::kTiny, value::kFlagUnsigned), "255"},
      {Column(MysqlType::kShort), "-2"},
      {Column(MysqlType::kLong, value::kFlagUnsigned | value::kFlagZerofill, 0, 10), "0000000042"},
      {Column(MysqlType::kInt24), "-8388608"},
      {Column(MysqlType::kLongLong), "-9223372036854775808"},
      {Column(MysqlType::kLongLong, value::kFlagUnsigned), "18446744073709551615"},
      {Column(MysqlType::kYear, value::kFlagUnsigned), "2026"},
      {Column(MysqlType::kFloat), "1.5"},
      {Column(MysqlType::kDouble), "1e20"},
      {Column(MysqlType::kDouble, 0, 2), "3.14"},
      {Column(MysqlType::kNewDecimal), "12345678901234567890.123"},
      {Column(MysqlType::kDate), "2026-11-22"},
      {Column(MysqlType::kDate), "0000-00-00"},
      {Column(MysqlType::kDatetime, 0, 0), "2026-11-22 00:00:00"},
      {Column(MysqlType::kDatetime, 0, 3), "2026-11-22 21:40:01.500"},
      {Column(MysqlType::kTimestamp, 0, 6), "2026-11-22 21:40:01.000000"},
      {Column(MysqlType::kTime, 0, 0), "-838:59:59"},
      {Column(MysqlType::kTime, 0, 6), "00:00:00.000001"},
      {Column(MysqlType::kTime, 0, 0), "00:00:00"},
      {Column(MysqlType::kBlob), "bytes"},
      {Column(MysqlType::kJson), "{\"a\": 1}"},
      {Column(MysqlType::kVarString), ""},
  };
  std::vector<ColumnDefinition> columns;
  std::vector<std::optional<std::string_view>> values;
  for (const auto& [column, text] : cases) {
    columns.push_back(column);
    values.emplace_back(text);
    columns.push_back(column);
    values.emplace_back(std::nullopt);
  }
  std::string packet;
  uint8_t sequence = 0;
  ASSERT_TRUE(AppendBinaryRow(&packet, columns, values, &sequence).has_value());
  value::Row row;
  std::string_view body = std::string_view(packet).substr(4);
  ASSERT_TRUE(ParseBinaryRow(body, columns, &row));
  EXPECT_EQ(row.Columns(), values);
  for (size_t cut = 0; cut < body.size(); ++cut)
    EXPECT_FALSE(ParseBinaryRow(body.substr(0, cut), columns, &row));
  SeededRng rng(4);
  for (int round = 0; round < 5000; ++round) {
    std::string garbage(body);
    for (int i = 0; i < 5; ++i) garbage[rng.Below(garbage.size())] = static_cast<char>(rng.Next());
    ParseBinaryRow(garbage, columns, &row);
  }
}

TEST(Rows, ValuesThatDoNotFitAreRefused) {
  std::string packet = "kept";
  uint8_t sequence = 0;
  EXPECT_FALSE(
      AppendBinaryRow(&packet, {Column(MysqlType::kLong)}, {"twelve"}, &sequence).has_value());
  EXPECT_FALSE(
      AppendBinaryRow(&packet, {Column(MysqlType::kDatetime)}, {"2026-1"}, &sequence).has_value());
  EXPECT_FALSE(AppendBinaryRow(&packet, {}, {"x"}, &sequence).has_value());
  EXPECT_EQ(packet, "kept");
}

TEST(Statement, QueryWithAndWithoutAttributes) {
  auto plain = ParseQuery("\x03SELECT 1", 0);
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->sql, "SELECT 1");
  std::string none("\x03\x00\x01SELECT 2", 11);
  EXPECT_EQ(ParseQuery(none, kClientQueryAttributes)->sql, "SELECT 2");
  std::string body(
      "\x03\x01\x01\x00\x01\xfd\x00\x05trace\x03"
      "abcSELECT 3",
      25);
  auto with = ParseQuery(body, kClientQueryAttributes);
  ASSERT_TRUE(with.has_value());
  EXPECT_EQ(with->sql, "SELECT 3");
  ASSERT_EQ(with->attributes.size(), 1u);
  EXPECT_EQ(with->attributes[0].name, "trace");
  EXPECT_EQ(with->attributes[0].bytes, "abc");
  for (size_t cut = 1; cut < 17; ++cut) {
    std::string shorter = body.substr(0, cut);
    EXPECT_FALSE(ParseQuery(shorter, kClientQueryAttributes).has_value()) << cut;
  }
}

ExecuteCommand Command() {
  ExecuteCommand command;
  command.statement_id = 9;
  command.parameters.resize(4);
  command.parameters[0].type = {static_cast<uint8_t>(MysqlType::kLongLong), true};
  command.parameters[0].bytes = std::string_view("\x01\0\0\0\0\0\0\0", 8);
  command.parameters[1].type = {static_cast<uint8_t>(MysqlType::kVarString), false};
  command.parameters[1].null = true;
  command.parameters[2].type = {static_cast<uint8_t>(MysqlType::kDatetime), false};
  command.parameters[2].bytes = std::string_view("\xea\x07\x0b\x16", 4);
  command.parameters[3].type = {static_cast<uint8_t>(MysqlType::kBlob), false};
  command.parameters[3].bytes = "blob";
  return command;
}

TEST(Statement, ExecuteRoundTrips) {
  std::string body = WriteExecute(9, WriteExecuteTail(Command(), {}));
  auto parsed = ParseExecute(body, 4, {}, {}, 0);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_TRUE(parsed->types_sent);
  EXPECT_EQ(parsed->statement_id, 9u);
  EXPECT_EQ(StatementIdOf(body), 9u);
  EXPECT_EQ(ToValue(parsed->parameters[0])->ToSql(), "1");
  EXPECT_EQ(ToValue(parsed->parameters[0])->type, value::Type::kUint64);
  EXPECT_TRUE(ToValue(parsed->parameters[1])->is_null());
  EXPECT_EQ(ToValue(parsed->parameters[2])->bytes, "2026-11-22 00:00:00");
  EXPECT_EQ(ToValue(parsed->parameters[3])->bytes, "blob");
  EXPECT_EQ(WriteExecute(9, WriteExecuteTail(*parsed, {})), body);
  for (size_t cut = 0; cut < body.size(); ++cut) {
    std::string shorter = body.substr(0, cut);
    EXPECT_FALSE(ParseExecute(shorter, 4, {}, {}, 0).has_value()) << cut;
  }
}

TEST(Statement, ExecuteKeepsTypesAndLongData) {
  std::string body = WriteExecute(9, WriteExecuteTail(Command(), {}));
  auto first = ParseExecute(body, 4, {}, {}, 0);
  std::vector<ParameterType> types;
  for (const Parameter& parameter : first->parameters) types.push_back(parameter.type);
  // The same without types, the last parameter sent before.
  std::string again = body.substr(0, 10);
  again += std::string("\x02\x00", 2);
  again += body.substr(12 + 8, 8 + 5);
  EXPECT_FALSE(ParseExecute(again, 4, {}, {}, 0).has_value());
  auto second = ParseExecute(again, 4, types, {false, false, false, true}, 0);
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(second->types_sent);
  EXPECT_TRUE(second->parameters[3].long_data);
  EXPECT_EQ(WriteExecute(9, WriteExecuteTail(*second, {"", "", "", "blob"})), body);
}

TEST(Statement, ExecuteWithAttributes) {
  // One parameter (TINY 5) and one attribute "k" = "v".
  std::string body("\x17\x01\0\0\0\x08\x01\0\0\0\x02\x00\x01\x01\x00\x00\xfd\x00\x01k\x05\x01v",
                   23);
  auto parsed = ParseExecute(body, 1, {}, {}, kClientQueryAttributes);
  ASSERT_TRUE(parsed.has_value());
  ASSERT_EQ(parsed->attributes.size(), 1u);
  EXPECT_EQ(parsed->attributes[0].name, "k");
  EXPECT_EQ(parsed->attributes[0].bytes, "v");
  auto plain = ParseExecute(WriteExecute(1, WriteExecuteTail(*parsed, {})), 1, {}, {}, 0);
  ASSERT_TRUE(plain.has_value());
}

TEST(Statement, LongData) {
  std::string body("\x18\x07\0\0\0\x02\0xyz", 10);
  auto parsed = ParseLongData(body);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->statement_id, 7u);
  EXPECT_EQ(parsed->parameter, 2);
  EXPECT_EQ(parsed->bytes, "xyz");
  EXPECT_FALSE(ParseLongData(std::string_view(body).substr(0, 6)).has_value());
}

}  // namespace
}  // namespace paceline::mysql::wire
