#include "mysql/wire/codec.h"

namespace paceline::mysql::wire {

uint64_t Reader::Fixed(size_t size) {
  if (rest_.size() < size) {
    Fail();
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(rest_[i])) << (8 * i);
  }
  rest_.remove_prefix(size);
  return value;
}

uint64_t Reader::LongLenenc(uint8_t first) {
  if (first == 0xfc) return Fixed(2);
  if (first == 0xfd) return Fixed(3);
  if (first == 0xfe) return Fixed(8);
  Fail();
  return 0;
}

std::string_view Reader::LenencBytes() {
  uint64_t size = Lenenc();
  if (size > rest_.size()) {
    Fail();
    return {};
  }
  return Bytes(static_cast<size_t>(size));
}

std::string_view Reader::NulTerminated() {
  size_t end = rest_.find('\0');
  if (end == std::string_view::npos) {
    Fail();
    return {};
  }
  std::string_view text = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return text;
}

std::string_view Reader::TakeRest() {
  std::string_view all = rest_;
  rest_ = {};
  return all;
}

void PutFixed(std::string* out, uint64_t value, size_t size) {
  char bytes[8];
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out->append(bytes, size);
}

void PutLenenc(std::string* out, uint64_t value) {
  if (value < 0xfb) {
    PutU8(out, static_cast<uint8_t>(value));
  } else if (value <= 0xffff) {
    PutU8(out, 0xfc);
    PutFixed(out, value, 2);
  } else if (value <= 0xffffff) {
    PutU8(out, 0xfd);
    PutFixed(out, value, 3);
  } else {
    PutU8(out, 0xfe);
    PutFixed(out, value, 8);
  }
}

void PutLenencBytes(std::string* out, std::string_view bytes) {
  PutLenenc(out, bytes.size());
  out->append(bytes);
}

void PutNulTerminated(std::string* out, std::string_view text) {
  out->append(text);
  out->push_back('\0');
}

size_t LenencSize(uint64_t value) {
  if (value < 0xfb) return 1;
  if (value <= 0xffff) return 3;
  return value <= 0xffffff ? 4 : 9;
}

}  // namespace paceline::mysql::wire
