#include "vtgate/definitions.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"

namespace paceline::vtgate {

void RenameSchemaInDefinitions(std::string_view packets, std::string_view from, std::string_view to,
                               std::string& out) {
  namespace wire = mysql::wire;
  while (packets.size() >= wire::kPacketHeaderBytes) {
    wire::PacketHeader header = wire::ReadPacketHeader(packets.data());
    size_t size = wire::kPacketHeaderBytes + header.length;
    if (packets.size() < size) break;
    std::string_view packet = packets.substr(0, size);
    packets.remove_prefix(size);
    wire::Reader reader(packet.substr(wire::kPacketHeaderBytes));
    std::string_view catalog = reader.LenencBytes();
    std::string_view schema = reader.LenencBytes();
    if (!reader.ok() || schema != from) {
      out.append(packet);
      continue;
    }
    size_t at = wire::BeginPacket(&out);
    wire::PutLenencBytes(&out, catalog);
    wire::PutLenencBytes(&out, to);
    out.append(reader.rest());
    uint8_t sequence = header.sequence;
    wire::EndPacket(&out, at, &sequence);
  }
  out.append(packets);
}

void AppendTextColumn(std::string_view name, std::string& out) {
  namespace wire = mysql::wire;
  constexpr uint16_t kUtf8mb4 = 45;       // utf8mb4_general_ci
  constexpr uint8_t kVarString = 0xfd;    // MYSQL_TYPE_VAR_STRING
  wire::PutLenencBytes(&out, "def");
  for (int i = 0; i < 3; ++i) wire::PutLenencBytes(&out, "");  // schema, table, original table
  wire::PutLenencBytes(&out, name);
  wire::PutLenencBytes(&out, name);
  wire::PutU8(&out, 0x0c);  // length of the fixed fields
  wire::PutU16(&out, kUtf8mb4);
  wire::PutU32(&out, 65535);
  wire::PutU8(&out, kVarString);
  wire::PutU16(&out, 0);
  wire::PutU8(&out, 0);
  wire::PutU16(&out, 0);
}

}  // namespace paceline::vtgate
