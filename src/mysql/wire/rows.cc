#include "mysql/wire/rows.h"

#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {
namespace {

constexpr uint8_t kNullInTextRow = 0xfb;
// The bitmap of NULLs in a binary row begins at this bit.
constexpr size_t kNullBitOffset = 2;

BinaryType TypeOf(const ColumnDefinition& column) {
  BinaryType type;
  type.type = column.type;
  type.is_unsigned = column.flags & value::kFlagUnsigned;
  type.decimals = column.decimals;
  if (column.flags & value::kFlagZerofill) type.zerofill_to = column.length;
  return type;
}

}  // namespace

bool ParseTextRow(std::string_view body, size_t columns,
                  std::vector<std::optional<std::string_view>>* out) {
  out->clear();
  out->reserve(columns);
  Reader reader(body);
  for (size_t i = 0; i < columns; ++i) {
    if (reader.Peek() == kNullInTextRow && !reader.empty()) {
      reader.Skip(1);
      out->emplace_back(std::nullopt);
    } else {
      out->emplace_back(reader.LenencBytes());
    }
    if (!reader.ok()) return false;
  }
  return reader.empty();
}

void AppendTextRow(std::string* out, const std::vector<std::optional<std::string_view>>& values,
                   uint8_t* sequence) {
  size_t at = BeginPacket(out);
  for (const auto& value : values) {
    if (value) {
      PutLenencBytes(out, *value);
    } else {
      PutU8(out, kNullInTextRow);
    }
  }
  EndPacket(out, at, sequence);
}

bool ParseBinaryRow(std::string_view body, const std::vector<ColumnDefinition>& columns,
                    value::Row* out) {
  out->lengths.clear();
  out->values.clear();
  Reader reader(body);
  if (reader.U8() != 0x00) return false;
  std::string_view nulls = reader.Bytes((columns.size() + 7 + kNullBitOffset) / 8);
  if (!reader.ok()) return false;
  for (size_t i = 0; i < columns.size(); ++i) {
    size_t bit = i + kNullBitOffset;
    if (static_cast<uint8_t>(nulls[bit / 8]) >> (bit % 8) & 1) {
      out->AppendNull();
      continue;
    }
    std::string_view bytes = TakeBinaryValue(&reader, columns[i].type);
    if (!reader.ok()) return false;
    std::optional<std::string> text = BinaryToText(bytes, TypeOf(columns[i]));
    if (!text) return false;
    out->Append(*text);
  }
  return reader.empty();
}

Status AppendBinaryRow(std::string* out, const std::vector<ColumnDefinition>& columns,
                       const std::vector<std::optional<std::string_view>>& values,
                       uint8_t* sequence) {
  if (values.size() != columns.size()) {
    return Fail(Code::kInvalidArgument, "row of {} values for {} columns", values.size(),
                columns.size());
  }
  size_t at = BeginPacket(out);
  PutU8(out, 0x00);
  size_t nulls_at = out->size();
  out->append((columns.size() + 7 + kNullBitOffset) / 8, '\0');
  for (size_t i = 0; i < columns.size(); ++i) {
    size_t bit = i + kNullBitOffset;
    if (!values[i]) {
      (*out)[nulls_at + bit / 8] = static_cast<char>((*out)[nulls_at + bit / 8] | 1 << (bit % 8));
    } else if (!AppendBinaryValue(out, *values[i], TypeOf(columns[i]))) {
      out->resize(at);
      return Fail(Code::kInvalidArgument, "value of column '{}' does not fit its type {}",
                  columns[i].name, columns[i].type);
    }
  }
  EndPacket(out, at, sequence);
  return {};
}

}  // namespace paceline::mysql::wire
