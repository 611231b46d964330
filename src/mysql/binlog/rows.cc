#include "mysql/binlog/rows.h"

#include "mysql/binlog/event.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql::binlog {
namespace {

using wire::Reader;

constexpr size_t kFirstRowMax = 16;
constexpr uint64_t kColumnsMax = 4096;
constexpr uint16_t kStatementEnds = 1;

enum ColumnType : uint8_t {
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
  kMariaBlobCompressed = 140,
  kMariaVarcharCompressed = 141,
  kVector = 242,
  kJson = 245,
  kNewDecimal = 246,
  kEnum = 247,
  kSet = 248,
  kTinyBlob = 249,
  kBlob = 252,
  kVarString = 253,
  kString = 254,
  kGeometry = 255,
};

std::unexpected<Error> Torn() {
  return Fail(Code::kDataLoss, "an event of row images is malformed");
}

size_t MetadataSize(uint8_t type) {
  switch (type) {
    case kFloat:
    case kDouble:
    case kTimestamp2:
    case kDatetime2:
    case kTime2:
    case kMariaBlobCompressed:
    case kVector:
    case kJson:
    case kTinyBlob:
    case kTinyBlob + 1:
    case kTinyBlob + 2:
    case kBlob:
    case kGeometry:
      return 1;
    case kVarchar:
    case kBit:
    case kMariaVarcharCompressed:
    case kNewDecimal:
    case kEnum:
    case kSet:
    case kVarString:
    case kString:
      return 2;
    default:
      return 0;
  }
}

size_t DecimalSize(uint8_t precision, uint8_t decimals) {
  constexpr size_t kRest[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
  if (precision < decimals) return 0;
  size_t whole = precision - decimals;
  return whole / 9 * 4 + kRest[whole % 9] + decimals / 9 * 4 + kRest[decimals % 9];
}

// 0: not an integer.
size_t IntegerSize(uint8_t type) {
  switch (type) {
    case kTiny:
      return 1;
    case kShort:
      return 2;
    case kInt24:
      return 3;
    case kLong:
      return 4;
    case kLongLong:
      return 8;
    default:
      return 0;
  }
}

// Passes over one value that is not an integer. False: the type is not known.
bool SkipValue(Reader& in, uint8_t type, uint16_t metadata) {
  const auto low = static_cast<uint8_t>(metadata), high = static_cast<uint8_t>(metadata >> 8);
  auto skip_counted = [&in](size_t bytes_of_length) { in.Skip(in.Fixed(bytes_of_length)); };
  switch (type) {
    case kNull:
      return true;
    case kYear:
      in.Skip(1);
      return true;
    case kDate:
    case kTime:
    case kNewDate:
      in.Skip(3);
      return true;
    case kFloat:
    case kTimestamp:
      in.Skip(4);
      return true;
    case kDouble:
    case kDatetime:
      in.Skip(8);
      return true;
    case kTimestamp2:
      in.Skip(4 + (low + 1) / 2);
      return true;
    case kDatetime2:
      in.Skip(5 + (low + 1) / 2);
      return true;
    case kTime2:
      in.Skip(3 + (low + 1) / 2);
      return true;
    case kVarchar:
    case kVarString:
    case kMariaVarcharCompressed:
      skip_counted(metadata > 255 ? 2 : 1);
      return true;
    case kBit:
      in.Skip((high * 8 + low + 7) / 8);
      return true;
    case kNewDecimal:
      in.Skip(DecimalSize(low, high));
      return true;
    case kEnum:
    case kSet:
      in.Skip(high);
      return true;
    case kJson:
    case kVector:
    case kGeometry:
    case kMariaBlobCompressed:
    case kTinyBlob:
    case kTinyBlob + 1:
    case kTinyBlob + 2:
    case kBlob:
      if (low == 0 || low > 4) return false;
      skip_counted(low);
      return true;
    case kString: {
      // The first byte is the real type, with two bits of a length above 255 turned over in it.
      uint8_t real = low | 0x30;
      size_t length = high | static_cast<size_t>((low & 0x30) ^ 0x30) << 4;
      if (real == kEnum || real == kSet) {
        in.Skip(high);
      } else {
        skip_counted(length > 255 ? 2 : 1);
      }
      return true;
    }
    default:
      return false;
  }
}

bool Bit(std::string_view bits, size_t at) {
  return (static_cast<uint8_t>(bits[at / 8]) >> (at % 8) & 1) != 0;
}

// One image. `integers`: null, or where those of this row go.
Status PassImage(Reader& in, const TableMap& table, std::string_view present,
                 std::vector<std::pair<uint32_t, uint64_t>>* integers) {
  size_t count = 0;
  for (size_t i = 0; i < table.types.size(); ++i) count += Bit(present, i);
  std::string_view nulls = in.Bytes((count + 7) / 8);
  if (!in.ok()) return Torn();
  size_t at = 0;
  for (size_t i = 0; i < table.types.size(); ++i) {
    if (!Bit(present, i) || Bit(nulls, at++)) continue;
    if (size_t size = IntegerSize(table.types[i]); size > 0) {
      uint64_t value = in.Fixed(size);
      if (integers != nullptr && integers->size() < kFirstRowMax)
        integers->emplace_back(static_cast<uint32_t>(i + 1), value);
    } else if (!SkipValue(in, table.types[i], table.metadata[i])) {
      return Fail(Code::kUnimplemented, "column type {} in row images is not known",
                  table.types[i]);
    }
    if (!in.ok()) return Torn();
  }
  return {};
}

}  // namespace

Result<TableMap> ParseTableMap(std::string_view body) {
  Reader in(body);
  TableMap map;
  map.id = in.Fixed(6);
  in.U16();
  map.database = in.Bytes(in.U8());
  in.U8();
  map.table = in.Bytes(in.U8());
  in.U8();
  uint64_t columns = in.Lenenc();
  if (!in.ok() || columns > kColumnsMax) return Torn();
  std::string_view types = in.Bytes(columns);
  Reader metadata(in.LenencBytes());
  if (!in.ok()) return Torn();
  for (char one : types) {
    auto type = static_cast<uint8_t>(one);
    map.types.push_back(type);
    map.metadata.push_back(static_cast<uint16_t>(metadata.Fixed(MetadataSize(type))));
  }
  if (!metadata.ok()) return Torn();
  return map;
}

uint64_t TableOfRows(std::string_view body) {
  Reader in(body);
  uint64_t id = in.Fixed(6);
  return in.ok() ? id : 0;
}

Result<RowsSummary> SummarizeRows(uint8_t type, std::string_view body, const TableMap& table) {
  const bool first_version = type >= kWriteRowsV1 && type <= kDeleteRowsV1;
  const bool second_version = type >= kWriteRows && type <= kDeleteRows;
  if (!first_version && !second_version)
    return Fail(Code::kUnimplemented, "row images of event type {} are not read", type);
  RowsSummary summary;
  summary.kind = static_cast<RowsSummary::Kind>(type - (first_version ? kWriteRowsV1 : kWriteRows));
  Reader in(body);
  in.Skip(6);
  summary.ends_statement = (in.U16() & kStatementEnds) != 0;
  if (second_version) {
    uint16_t extra = in.U16();
    if (extra < 2) return Torn();
    in.Skip(extra - 2u);
  }
  uint64_t columns = in.Lenenc();
  if (!in.ok() || columns != table.types.size()) return Torn();
  const bool update = summary.kind == RowsSummary::Kind::kUpdate;
  std::string_view before = in.Bytes((columns + 7) / 8);
  std::string_view after = update ? in.Bytes((columns + 7) / 8) : before;
  if (!in.ok()) return Torn();
  while (!in.empty()) {
    const bool wanted = summary.kind == RowsSummary::Kind::kInsert && summary.rows == 0;
    const size_t left = in.remaining();
    RETURN_IF_ERROR(PassImage(in, table, before, wanted ? &summary.first_row : nullptr));
    if (update) RETURN_IF_ERROR(PassImage(in, table, after, nullptr));
    if (in.remaining() == left) return Torn();
    ++summary.rows;
  }
  // An image without columns has no bytes, and cannot be counted.
  if (summary.rows == 0) return Fail(Code::kUnimplemented, "row images without columns");
  return summary;
}

}  // namespace paceline::mysql::binlog
