// mysql/wire/compression.h - the compressed protocol: a stream of frames, each a 7-byte header
// (length on the wire 3, sequence 1, length unpacked 3) and a body that is packed, or plain when
// the third field is 0. Packets lie in it without regard to frames. Source: MySQL's "Compression".
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::mysql::wire {

enum class Compression : uint8_t { kNone, kZlib, kZstd };

inline constexpr size_t kCompressedHeaderBytes = 7;

// Appends `data` as frames; what is too short to gain stays plain. Advances *sequence.
void AppendCompressed(std::string* out, std::string_view data, Compression how, uint8_t* sequence);

// Frames back to bytes. Bounded: a frame holds at most 16 MB before and after.
class Decompressor {
 public:
  explicit Decompressor(Compression how) : how_(how) {}

  // Takes all of `input`; whole frames are unpacked behind *out. Errors: kInvalidArgument when a
  // frame is broken or does not give the length that its header says.
  Status Feed(std::string_view input, std::string* out);
  // Sequence byte of the last frame begun.
  uint8_t sequence() const { return sequence_; }
  // Bytes of a frame that has not come whole.
  size_t held() const { return frame_.size(); }

 private:
  Status Unpack(std::string_view body, size_t unpacked, std::string* out) const;

  Compression how_;
  uint8_t sequence_ = 0;
  std::string frame_;
};

// Follows a stream of plain packets: whether it stands inside one.
class PacketFollower {
 public:
  void Feed(std::string_view bytes);
  bool inside() const { return body_left_ > 0 || header_bytes_ > 0; }

 private:
  uint8_t header_[3] = {};
  size_t header_bytes_ = 0;
  size_t body_left_ = 0;
};

}  // namespace paceline::mysql::wire
