#include "mysql/wire/column.h"

#include <gtest/gtest.h>

#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/packet_walk.h"

namespace paceline::mysql::wire {
namespace {

ColumnDefinition Column(std::string schema, std::string name) {
  ColumnDefinition column;
  column.schema = std::move(schema);
  column.table = "g";
  column.org_table = "greetings";
  column.name = column.org_name = std::move(name);
  column.charset = 255;
  column.length = 400;
  column.type = static_cast<uint8_t>(value::MysqlType::kVarString);
  column.flags = value::kFlagNotNull;
  return column;
}

TEST(Column, RoundTripsAndSurvivesCuts) {
  ColumnDefinition column = Column("vt_ks", "id");
  std::string packet;
  uint8_t sequence = 2;
  AppendColumnDefinition(&packet, column, &sequence);
  ColumnDefinition back;
  ASSERT_TRUE(ParseColumnDefinition(std::string_view(packet).substr(4), &back));
  EXPECT_EQ(back, column);
  EXPECT_EQ(FromField(ToField(column)), column);
  for (size_t cut = 4; cut + 2 < packet.size(); ++cut) {  // two bytes of filler end it
    std::string shorter = packet.substr(4, cut - 4);
    EXPECT_FALSE(ParseColumnDefinition(shorter, &back)) << cut;
  }
}

TEST(Column, SchemaIsRenamedInRawPackets) {
  std::vector<ColumnDefinition> columns = {Column("vt_ks", "vt_ks"), Column("other", "b"),
                                           Column("vt_ks", "c")};
  std::string packets;
  uint8_t sequence = 1;
  AppendColumns(&packets, columns, &sequence);
  std::string renamed;
  RenameSchemaInColumns(packets, "vt_ks", "ks", &renamed);
  auto parsed = ParseColumns(renamed);
  ASSERT_TRUE(parsed.has_value());
  columns[0].schema = columns[2].schema = "ks";
  EXPECT_EQ(*parsed, columns);
  uint8_t expected = 1;
  PacketWalk walk(renamed);
  std::string_view body;
  while (walk.Next(&body)) EXPECT_EQ(walk.sequence(), expected++);
  std::string same;
  RenameSchemaInColumns(packets, "nowhere", "ks", &same);
  EXPECT_EQ(same, packets);
  for (size_t cut = 0; cut < packets.size(); ++cut) {
    std::string out;
    RenameSchemaInColumns(std::string_view(packets).substr(0, cut), "vt_ks", "ks", &out);
    EXPECT_FALSE(ParseColumns(std::string_view(packets).substr(0, cut)).has_value());
  }
}

TEST(SequencePatcher, CountsOnWhateverTheCuts) {
  std::string bytes, expected;
  uint8_t from = 4, to = 250;
  for (const std::string& body :
       {std::string("a"), std::string(), std::string(500, 'x'), std::string("zz")}) {
    AppendPacket(&bytes, body, &from);
    AppendPacket(&expected, body, &to);
  }
  for (size_t step = 1; step <= bytes.size(); ++step) {
    std::string patched = bytes;
    SequencePatcher patcher(250);
    for (size_t at = 0; at < patched.size(); at += step) {
      patcher.Patch(patched.data() + at, std::min(step, patched.size() - at));
    }
    ASSERT_EQ(patched, expected) << step;
    EXPECT_TRUE(patcher.at_boundary());
    EXPECT_EQ(patcher.next(), to);
  }
}

}  // namespace
}  // namespace paceline::mysql::wire
