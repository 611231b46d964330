#include "value/value.h"

#include <gtest/gtest.h>

namespace paceline::value {
namespace {

TEST(Type, EveryColumnTypeComesBack) {
  int seen = 0;
  for (int number = 0; number < 16384; ++number) {
    Type type = static_cast<Type>(number);
    if (TypeName(type).empty()) continue;
    ++seen;
    EXPECT_EQ(TypeByName(TypeName(type)), type);
    std::optional<MysqlTypeAndFlags> mysql = MysqlFromType(type);
    if (!mysql) continue;
    std::optional<Type> back = TypeFromMysql(static_cast<uint8_t>(mysql->type), mysql->flags);
    ASSERT_TRUE(back.has_value()) << TypeName(type);
    bool literal = type == Type::kHexNum || type == Type::kHexVal || type == Type::kBitNum;
    EXPECT_EQ(*back, literal ? Type::kVarbinary : type) << TypeName(type);
  }
  EXPECT_EQ(seen, 38);
}

TEST(Type, FlagsDecide) {
  EXPECT_EQ(TypeFromMysql(8, kFlagUnsigned), Type::kUint64);
  EXPECT_EQ(TypeFromMysql(252, kFlagBinary), Type::kBlob);
  EXPECT_EQ(TypeFromMysql(254, kFlagEnum), Type::kEnum);
  EXPECT_EQ(TypeFromMysql(254, kFlagSet), Type::kSet);
  EXPECT_EQ(TypeFromMysql(100, 0), std::nullopt);
}

TEST(Charset, NamesAndIdsAgree) {
  EXPECT_EQ(CollationByName("utf8mb4_0900_ai_ci"), 255);
  EXPECT_EQ(CollationByName("UTF8MB4_general_ci"), 45);
  EXPECT_EQ(CollationByName("utf8_general_ci"), 33);
  EXPECT_EQ(CollationByName("utf8mb4_uca1400_ai_ci"), kUtf8mb4Uca1400AiCi);
  EXPECT_EQ(CollationByName("utf32_uca1400_croatian_nopad_as_cs"), 3271);
  EXPECT_EQ(CollationByName("no_such_thing"), std::nullopt);
  EXPECT_EQ(CollationName(63), "binary");
  EXPECT_EQ(CollationName(9999), "");
  EXPECT_EQ(CharsetOfCollation(255), "utf8mb4");
  EXPECT_EQ(CharsetOfCollation(8), "latin1");
  EXPECT_EQ(DefaultCollation("utf8mb4", false), 255);
  EXPECT_EQ(DefaultCollation("utf8mb4", true), 45);
  EXPECT_EQ(DefaultCollation("utf8", true), 33);
  EXPECT_EQ(DefaultCollation("gb18030", true), std::nullopt);
  for (int id = 0; id < 4096; ++id) {
    std::string_view name = CollationName(static_cast<CollationId>(id));
    if (name.empty()) continue;
    EXPECT_TRUE(CollationByName(name).has_value()) << name;
    EXPECT_TRUE(CharsetByName(CharsetOfCollation(static_cast<CollationId>(id))).has_value())
        << name;
  }
}

TEST(Row, ColumnsStopAtLengthsThatDoNotFit) {
  Row row;
  row.Append("ab");
  row.AppendNull();
  row.Append("");
  auto columns = row.Columns();
  ASSERT_EQ(columns.size(), 3u);
  EXPECT_EQ(columns[0], "ab");
  EXPECT_EQ(columns[1], std::nullopt);
  EXPECT_EQ(columns[2], "");
  row.lengths[0] = 100;
  EXPECT_TRUE(row.Columns().empty());
}

TEST(Value, ToSql) {
  EXPECT_EQ(Value::Null().ToSql(), "NULL");
  EXPECT_EQ(Value::Int64(-5).ToSql(), "-5");
  EXPECT_EQ(Value::Varchar("it's").ToSql(), "'it\\'s'");
  EXPECT_EQ(Value::Varbinary("\xff").ToSql(), "X'ff'");
}

}  // namespace
}  // namespace paceline::value
