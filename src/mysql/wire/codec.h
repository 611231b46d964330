// mysql/wire/codec.h - the protocol's integers and strings over bytes. Little-endian, lenenc =
// length-encoded. Reader never reads outside its input: a read that does not fit yields zero or
// empty and makes ok() false for good, so a parser checks once at its end. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace paceline::mysql::wire {

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return rest_.size(); }
  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  uint8_t Peek() const { return rest_.empty() ? 0 : static_cast<uint8_t>(rest_[0]); }
  uint8_t U8() {
    if (rest_.empty()) [[unlikely]] {
      Fail();
      return 0;
    }
    uint8_t value = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return value;
  }
  uint16_t U16() {
    if (rest_.size() < 2) [[unlikely]] {
      Fail();
      return 0;
    }
    auto value =
        static_cast<uint16_t>(static_cast<uint8_t>(rest_[0]) | static_cast<uint8_t>(rest_[1]) << 8);
    rest_.remove_prefix(2);
    return value;
  }
  uint32_t U24() { return static_cast<uint32_t>(Fixed(3)); }
  uint32_t U32() { return static_cast<uint32_t>(Fixed(4)); }
  uint64_t U64() { return Fixed(8); }
  // `size` <= 8 bytes.
  uint64_t Fixed(size_t size);
  // 0xfb (NULL) and 0xff are not integers: they fail.
  uint64_t Lenenc() {
    uint8_t first = U8();
    return first < 0xfb ? first : LongLenenc(first);
  }
  std::string_view Bytes(size_t size) {
    if (rest_.size() < size) [[unlikely]] {
      Fail();
      return {};
    }
    std::string_view bytes(rest_.data(), size);
    rest_.remove_prefix(size);
    return bytes;
  }
  std::string_view LenencBytes();
  // Up to a zero byte, which is skipped; fails when there is none.
  std::string_view NulTerminated();
  std::string_view TakeRest();
  void Skip(size_t size) { Bytes(size); }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

 private:
  uint64_t LongLenenc(uint8_t first);

  std::string_view rest_;
  bool ok_ = true;
};

void PutFixed(std::string* out, uint64_t value, size_t size);
inline void PutU8(std::string* out, uint8_t value) { out->push_back(static_cast<char>(value)); }
inline void PutU16(std::string* out, uint16_t value) { PutFixed(out, value, 2); }
inline void PutU24(std::string* out, uint32_t value) { PutFixed(out, value, 3); }
inline void PutU32(std::string* out, uint32_t value) { PutFixed(out, value, 4); }
inline void PutU64(std::string* out, uint64_t value) { PutFixed(out, value, 8); }
void PutLenenc(std::string* out, uint64_t value);
void PutLenencBytes(std::string* out, std::string_view bytes);
void PutNulTerminated(std::string* out, std::string_view text);
// Bytes a lenenc integer takes: 1, 3, 4 or 9.
size_t LenencSize(uint64_t value);

inline std::string_view AsText(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline std::span<const uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace paceline::mysql::wire
