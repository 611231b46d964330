// mysql/wire/packet.h - packet framing: 3 bytes of length, 1 of sequence; bodies of 16 MB and more
// are split. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace paceline::mysql::wire {

inline constexpr size_t kPacketHeaderBytes = 4;
// A packet of exactly this size continues in the next one.
inline constexpr uint32_t kMaxPacketBody = 0xffffff;

struct PacketHeader {
  uint32_t length = 0;
  uint8_t sequence = 0;
};
// REQUIRES: four readable bytes.
inline PacketHeader ReadPacketHeader(const void* bytes) {
  const auto* b = static_cast<const uint8_t*>(bytes);
  return {static_cast<uint32_t>(b[0] | b[1] << 8 | b[2] << 16), b[3]};
}

// Appends `body` as one packet, or as several when it is long; advances *sequence past them.
void AppendPacket(std::string* out, std::string_view body, uint8_t* sequence);

// Writes a packet's body in place behind its header: auto at = BeginPacket(&out); ...append...;
// EndPacket(...).
size_t BeginPacket(std::string* out);
// `at` is what BeginPacket returned. Splits the body when it is long.
void EndPacket(std::string* out, size_t at, uint8_t* sequence);

// Joins packets from arbitrary chunks into whole bodies. Bounded: a body above `max_body` bytes is
// an error.
class PacketAssembler {
 public:
  enum class Outcome : uint8_t { kNeedInput, kPacket, kTooLarge, kBadSequence };

  explicit PacketAssembler(size_t max_body) : max_body_(max_body) {}

  // The sequence byte the next packet must have; by default the first one is taken as it comes.
  void ExpectSequence(uint8_t sequence) { expected_ = sequence; }
  // Uses up a front part of *input. After kPacket, body() holds until the next call or until the
  // bytes fed change: a packet that came whole is not copied.
  Outcome Feed(std::span<const uint8_t>* input);
  std::string_view body() const { return body_; }
  // Sequence byte of the last packet taken.
  uint8_t sequence() const { return sequence_; }
  // True while a packet has begun and not ended.
  bool in_packet() const { return in_body_ || header_size_ > 0; }

 private:
  size_t max_body_;
  std::optional<uint8_t> expected_;
  uint8_t sequence_ = 0;
  uint8_t header_[kPacketHeaderBytes] = {};
  size_t header_size_ = 0;
  bool in_body_ = false;  // between a header and the end of its body, or between two joined packets
  bool ended_ = true;     // body_ is a finished packet, to be dropped by the next Feed
  bool continued_ = false;  // the packet under way has the maximum length
  uint32_t left_ = 0;       // bytes of the packet under way
  std::string buffer_;
  std::string_view body_;  // into buffer_, or into the caller's input when the packet came whole
};

}  // namespace paceline::mysql::wire
