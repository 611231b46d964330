#include "vtgate/row_renamer.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/rows.h"
#include "plan/plan.h"

namespace paceline::vtgate {

using mysql::wire::PacketAssembler;
using mysql::wire::PutLenencBytes;
using mysql::wire::PutU8;
using mysql::wire::Reader;

namespace {

constexpr uint8_t kNull = 0xfb;       // in a text row
constexpr uint8_t kFirstText = 0xf5;  // MYSQL_TYPE_JSON, and behind it the string types
constexpr uint8_t kVarchar = 0x0f;
constexpr uint8_t kDecimal = 0xf6;

bool IsText(uint8_t type) { return (type >= kFirstText && type != kDecimal) || type == kVarchar; }

}  // namespace

void RowRenamer::Start(std::string_view columns, bool binary, std::string_view from,
                       std::string_view to) {
  from_ = from;
  to_ = to;
  binary_ = binary;
  packets_ = PacketAssembler(size_t{1} << 30);
  columns_.clear();
  if (!binary) return;
  Result<std::vector<mysql::wire::ColumnDefinition>> parsed = mysql::wire::ParseColumns(columns);
  if (parsed) columns_ = *std::move(parsed);
}

std::string_view RowRenamer::Feed(std::string_view bytes) {
  out_.clear();
  std::span<const uint8_t> input = mysql::wire::AsBytes(bytes);
  while (!input.empty()) {
    PacketAssembler::Outcome outcome = packets_.Feed(&input);
    if (outcome == PacketAssembler::Outcome::kPacket) {
      Rename(packets_.body());
    } else if (outcome != PacketAssembler::Outcome::kNeedInput) {
      break;  // no tablet sends such
    }
  }
  return out_;
}

void RowRenamer::Rename(std::string_view body) {
  row_.clear();
  if (body.find(from_) == std::string_view::npos) {
    row_ = body;
  } else if (!binary_) {
    RenameText(body);
  } else if (!RenameBinary(body)) {
    row_ = body;
  }
  uint8_t sequence = packets_.sequence();
  mysql::wire::AppendPacket(&out_, row_, &sequence);
}

void RowRenamer::RenameText(std::string_view body) {
  Reader row(body);
  while (row.ok() && !row.empty()) {
    if (static_cast<uint8_t>(row.rest()[0]) == kNull) {
      row.U8();
      PutU8(&row_, kNull);
    } else {
      PutLenencBytes(&row_, plan::ToClientNames(row.LenencBytes(), from_, to_));
    }
  }
}

// False: not a row of these columns.
bool RowRenamer::RenameBinary(std::string_view body) {
  Reader row(body);
  const size_t null_bytes = (columns_.size() + 7 + 2) / 8;
  row_.append(body.substr(0, 1));
  row.U8();
  std::string_view nulls = row.Bytes(null_bytes);
  row_.append(nulls);
  for (size_t i = 0; row.ok() && i < columns_.size(); ++i) {
    const size_t bit = i + 2;
    if (static_cast<uint8_t>(nulls[bit / 8]) >> (bit % 8) & 1) continue;
    std::string_view before = row.rest();
    std::string_view value = mysql::wire::TakeBinaryValue(&row, columns_[i].type);
    if (IsText(columns_[i].type)) {
      PutLenencBytes(&row_, plan::ToClientNames(value, from_, to_));
    } else {
      row_.append(before.substr(0, before.size() - row.remaining()));
    }
  }
  return row.ok();
}

}  // namespace paceline::vtgate
