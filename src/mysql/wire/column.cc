#include "mysql/wire/column.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/packet_walk.h"

namespace paceline::mysql::wire {
namespace {

constexpr std::string_view kCatalog = "def";
constexpr uint8_t kFixedPartBytes = 0x0c;

}  // namespace

bool ParseColumnDefinition(std::string_view body, ColumnDefinition* out) {
  Reader reader(body);
  reader.LenencBytes();  // catalog
  out->schema = reader.LenencBytes();
  out->table = reader.LenencBytes();
  out->org_table = reader.LenencBytes();
  out->name = reader.LenencBytes();
  out->org_name = reader.LenencBytes();
  Reader fixed(reader.LenencBytes());
  out->charset = fixed.U16();
  out->length = fixed.U32();
  out->type = fixed.U8();
  out->flags = fixed.U16();
  out->decimals = fixed.U8();
  return reader.ok() && fixed.ok();
}

void AppendColumnDefinition(std::string* out, const ColumnDefinition& column, uint8_t* sequence) {
  size_t at = BeginPacket(out);
  PutLenencBytes(out, kCatalog);
  PutLenencBytes(out, column.schema);
  PutLenencBytes(out, column.table);
  PutLenencBytes(out, column.org_table);
  PutLenencBytes(out, column.name);
  PutLenencBytes(out, column.org_name);
  PutU8(out, kFixedPartBytes);
  PutU16(out, column.charset);
  PutU32(out, column.length);
  PutU8(out, column.type);
  PutU16(out, column.flags);
  PutU8(out, column.decimals);
  PutU16(out, 0);
  EndPacket(out, at, sequence);
}

value::Field ToField(const ColumnDefinition& column) {
  value::Field field;
  field.name = column.name;
  field.type = value::TypeFromMysql(column.type, column.flags).value_or(value::Type::kVarbinary);
  field.table = column.table;
  field.org_table = column.org_table;
  field.database = column.schema;
  field.org_name = column.org_name;
  field.column_length = column.length;
  field.charset = column.charset;
  field.decimals = column.decimals;
  field.flags = column.flags;
  return field;
}

ColumnDefinition FromField(const value::Field& field) {
  ColumnDefinition column;
  column.schema = field.database;
  column.table = field.table;
  column.org_table = field.org_table;
  column.name = field.name;
  column.org_name = field.org_name;
  column.charset = static_cast<uint16_t>(field.charset != 0 ? field.charset : value::kBinary);
  column.length = field.column_length;
  column.decimals = static_cast<uint8_t>(field.decimals);
  auto mysql = value::MysqlFromType(field.type);
  column.type = static_cast<uint8_t>(mysql ? mysql->type : value::MysqlType::kVarString);
  // Servers that are asked for names and types only leave the flags out; the type still implies
  // some.
  column.flags = static_cast<uint16_t>(field.flags != 0 ? field.flags : mysql ? mysql->flags : 0);
  return column;
}

void AppendColumns(std::string* out, const std::vector<ColumnDefinition>& columns,
                   uint8_t* sequence) {
  size_t at = BeginPacket(out);
  PutLenenc(out, columns.size());
  EndPacket(out, at, sequence);
  for (const ColumnDefinition& column : columns) AppendColumnDefinition(out, column, sequence);
}

Result<std::vector<ColumnDefinition>> ParseColumns(std::string_view packets) {
  PacketWalk walk(packets);
  std::string_view body;
  if (!walk.Next(&body)) return Fail(Code::kInternal, "result without a column count packet");
  Reader count(body);
  uint64_t expected = count.Lenenc();
  std::vector<ColumnDefinition> columns;
  while (walk.Next(&body)) {
    if (!ParseColumnDefinition(body, &columns.emplace_back())) {
      return Fail(Code::kInternal, "malformed definition of column {}", columns.size());
    }
  }
  if (!count.ok() || columns.size() != expected || !walk.AtEnd()) {
    return Fail(Code::kInternal, "{} columns announced, {} defined", expected, columns.size());
  }
  return columns;
}

void RenameSchemaInColumns(std::string_view packets, std::string_view from, std::string_view to,
                           std::string* out) {
  if (from.empty() || from == to || packets.find(from) == std::string_view::npos) {
    out->append(packets);
    return;
  }
  PacketWalk walk(packets);
  std::string_view body;
  size_t copied = 0;  // bytes of `packets` that are in *out
  while (walk.Next(&body)) {
    Reader reader(body);
    std::string_view catalog = reader.LenencBytes();
    size_t schema_at = body.size() - reader.remaining();
    std::string_view schema = reader.LenencBytes();
    if (!reader.ok() || catalog != kCatalog || schema != from) continue;
    size_t body_at = static_cast<size_t>(body.data() - packets.data());
    out->append(packets.substr(copied, body_at - kPacketHeaderBytes - copied));
    uint8_t sequence = static_cast<uint8_t>(packets[body_at - 1]);
    size_t at = BeginPacket(out);
    out->append(body.substr(0, schema_at));
    PutLenencBytes(out, to);
    out->append(reader.rest());
    EndPacket(out, at, &sequence);
    copied = body_at + body.size();
  }
  out->append(packets.substr(copied));
}

}  // namespace paceline::mysql::wire
