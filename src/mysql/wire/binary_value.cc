// Single values of the binary protocol, to text and back.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/strings.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql::wire {
namespace {

using value::MysqlType;

// Bytes of a fixed-size value; 0: times, -1: length-encoded.
int FixedBytes(uint8_t type) {
  switch (static_cast<MysqlType>(type)) {
    case MysqlType::kNull:
      return 0;
    case MysqlType::kTiny:
      return 1;
    case MysqlType::kShort:
    case MysqlType::kYear:
      return 2;
    case MysqlType::kLong:
    case MysqlType::kInt24:
    case MysqlType::kFloat:
      return 4;
    case MysqlType::kLongLong:
    case MysqlType::kDouble:
      return 8;
    default:
      return -1;
  }
}

bool IsTemporal(uint8_t type) {
  switch (static_cast<MysqlType>(type)) {
    case MysqlType::kDate:
    case MysqlType::kNewDate:
    case MysqlType::kTime:
    case MysqlType::kTime2:
    case MysqlType::kDatetime:
    case MysqlType::kDatetime2:
    case MysqlType::kTimestamp:
    case MysqlType::kTimestamp2:
      return true;
    default:
      return false;
  }
}
bool IsTime(uint8_t type) {
  return type == static_cast<uint8_t>(MysqlType::kTime) ||
         type == static_cast<uint8_t>(MysqlType::kTime2);
}
bool IsDate(uint8_t type) {
  return type == static_cast<uint8_t>(MysqlType::kDate) ||
         type == static_cast<uint8_t>(MysqlType::kNewDate);
}

std::string Fraction(uint32_t micros, uint8_t decimals) {
  if (decimals > 6) decimals = micros == 0 ? 0 : 6;
  if (decimals == 0) return {};
  return "." + fmt::format("{:06}", micros % 1'000'000).substr(0, decimals);
}

std::optional<std::string> TemporalText(std::string_view bytes, const BinaryType& type) {
  Reader reader(bytes);
  if (IsTime(type.type)) {
    if (!bytes.empty() && bytes.size() != 8 && bytes.size() != 12) return std::nullopt;
    bool negative = !bytes.empty() && reader.U8() != 0;
    uint64_t hours = bytes.empty() ? 0 : uint64_t{reader.U32()} * 24;
    if (!bytes.empty()) hours += reader.U8();
    uint8_t minutes = bytes.empty() ? 0 : reader.U8(), seconds = bytes.empty() ? 0 : reader.U8();
    uint32_t micros = bytes.size() > 8 ? reader.U32() : 0;
    return fmt::format("{}{:02}:{:02}:{:02}{}", negative ? "-" : "", hours, minutes, seconds,
                       Fraction(micros, type.decimals));
  }
  if (!bytes.empty() && bytes.size() != 4 && bytes.size() != 7 && bytes.size() != 11) {
    return std::nullopt;
  }
  bool date = bytes.size() >= 4, clock = bytes.size() >= 7;
  uint16_t year = date ? reader.U16() : 0;
  uint8_t month = date ? reader.U8() : 0, day = date ? reader.U8() : 0;
  std::string text = fmt::format("{:04}-{:02}-{:02}", year, month, day);
  if (IsDate(type.type)) return text;
  uint8_t hour = clock ? reader.U8() : 0, minute = clock ? reader.U8() : 0;
  uint8_t second = clock ? reader.U8() : 0;
  uint32_t micros = bytes.size() > 7 ? reader.U32() : 0;
  return text +
         fmt::format(" {:02}:{:02}:{:02}{}", hour, minute, second, Fraction(micros, type.decimals));
}

// Shortest form that reads back the same, in MySQL's spelling: 1e20, not 1e+20.
template <class Float>
std::string FloatText(Float number, uint8_t decimals) {
  if (decimals < 31) return fmt::format("{:.{}f}", number, decimals);
  std::string text = fmt::format("{}", number);
  size_t exponent = text.find("e+");
  if (exponent != std::string::npos) text.erase(exponent + 1, 1);
  return text;
}

int64_t SignExtend(uint64_t bits, size_t bytes) {
  unsigned shift = static_cast<unsigned>(64 - 8 * bytes);
  return static_cast<int64_t>(bits << shift) >> shift;
}

// Digits up to `max_digits`, then nothing more; false when there are none.
bool TakeNumber(std::string_view* text, uint32_t* out) {
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *out);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return true;
}
bool TakeChar(std::string_view* text, char c) {
  if (!text->starts_with(c)) return false;
  text->remove_prefix(1);
  return true;
}
// ".5" is 500000.
bool TakeFraction(std::string_view* text, uint32_t* micros) {
  *micros = 0;
  if (!TakeChar(text, '.')) return text->empty();
  std::string digits(text->substr(0, 6));
  digits.resize(6, '0');
  std::string_view view = digits;
  *text = {};
  return TakeNumber(&view, micros) && view.empty();
}

bool AppendTime(std::string* out, std::string_view text) {
  bool negative = TakeChar(&text, '-');
  uint32_t hours = 0, minutes = 0, seconds = 0, micros = 0;
  if (!TakeNumber(&text, &hours) || !TakeChar(&text, ':') || !TakeNumber(&text, &minutes) ||
      !TakeChar(&text, ':') || !TakeNumber(&text, &seconds) || !TakeFraction(&text, &micros)) {
    return false;
  }
  if (hours == 0 && minutes == 0 && seconds == 0 && micros == 0) {
    PutU8(out, 0);
    return true;
  }
  PutU8(out, micros != 0 ? 12 : 8);
  PutU8(out, negative ? 1 : 0);
  PutU32(out, hours / 24);
  PutU8(out, static_cast<uint8_t>(hours % 24));
  PutU8(out, static_cast<uint8_t>(minutes));
  PutU8(out, static_cast<uint8_t>(seconds));
  if (micros != 0) PutU32(out, micros);
  return true;
}

bool AppendDatetime(std::string* out, std::string_view text) {
  uint32_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0;
  if (!TakeNumber(&text, &year) || !TakeChar(&text, '-') || !TakeNumber(&text, &month) ||
      !TakeChar(&text, '-') || !TakeNumber(&text, &day)) {
    return false;
  }
  if (TakeChar(&text, ' ')) {
    if (!TakeNumber(&text, &hour) || !TakeChar(&text, ':') || !TakeNumber(&text, &minute) ||
        !TakeChar(&text, ':') || !TakeNumber(&text, &second) || !TakeFraction(&text, &micros)) {
      return false;
    }
  }
  if (!text.empty()) return false;
  bool clock = (hour | minute | second | micros) != 0;
  uint8_t size = micros != 0 ? 11 : clock ? 7 : (year | month | day) != 0 ? 4 : 0;
  PutU8(out, size);
  if (size >= 4) {
    PutU16(out, static_cast<uint16_t>(year));
    PutU8(out, static_cast<uint8_t>(month));
    PutU8(out, static_cast<uint8_t>(day));
  }
  if (size >= 7) {
    PutU8(out, static_cast<uint8_t>(hour));
    PutU8(out, static_cast<uint8_t>(minute));
    PutU8(out, static_cast<uint8_t>(second));
  }
  if (size == 11) PutU32(out, micros);
  return true;
}

template <class Float>
bool AppendFloat(std::string* out, std::string_view text) {
  Float number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return false;
  char bytes[sizeof(Float)];
  std::memcpy(bytes, &number, sizeof(Float));
  out->append(bytes, sizeof(Float));
  return true;
}

}  // namespace

std::string_view TakeBinaryValue(Reader* reader, uint8_t mysql_type) {
  int fixed = FixedBytes(mysql_type);
  if (fixed >= 0) return reader->Bytes(static_cast<size_t>(fixed));
  if (IsTemporal(mysql_type)) return reader->Bytes(reader->U8());
  return reader->LenencBytes();
}

std::optional<std::string> BinaryToText(std::string_view bytes, const BinaryType& type) {
  int fixed = FixedBytes(type.type);
  if (fixed >= 0 && bytes.size() != static_cast<size_t>(fixed)) return std::nullopt;
  if (type.type == static_cast<uint8_t>(MysqlType::kFloat)) {
    float number;
    std::memcpy(&number, bytes.data(), sizeof(number));
    return FloatText(number, type.decimals);
  }
  if (type.type == static_cast<uint8_t>(MysqlType::kDouble)) {
    double number;
    std::memcpy(&number, bytes.data(), sizeof(number));
    return FloatText(number, type.decimals);
  }
  if (fixed > 0) {
    Reader reader(bytes);
    uint64_t bits = reader.Fixed(bytes.size());
    if (type.type == static_cast<uint8_t>(MysqlType::kYear)) return fmt::format("{:04}", bits);
    if (type.zerofill_to > 0) return fmt::format("{:0{}}", bits, std::min(type.zerofill_to, 255u));
    return type.is_unsigned ? std::to_string(bits) : std::to_string(SignExtend(bits, bytes.size()));
  }
  if (IsTemporal(type.type)) return TemporalText(bytes, type);
  return std::string(bytes);
}

bool AppendBinaryValue(std::string* out, std::string_view text, const BinaryType& type) {
  if (type.type == static_cast<uint8_t>(MysqlType::kFloat)) return AppendFloat<float>(out, text);
  if (type.type == static_cast<uint8_t>(MysqlType::kDouble)) return AppendFloat<double>(out, text);
  int fixed = FixedBytes(type.type);
  if (fixed > 0) {
    // A signed and an unsigned number of the same bits travel alike.
    if (std::optional<int64_t> number = ParseInt(text)) {
      PutFixed(out, static_cast<uint64_t>(*number), static_cast<size_t>(fixed));
    } else if (std::optional<uint64_t> positive = ParseUint(text)) {
      PutFixed(out, *positive, static_cast<size_t>(fixed));
    } else {
      return false;
    }
    return true;
  }
  if (fixed == 0) return true;
  if (IsTime(type.type)) return AppendTime(out, text);
  if (IsTemporal(type.type)) return AppendDatetime(out, text);
  PutLenencBytes(out, text);
  return true;
}

}  // namespace paceline::mysql::wire
