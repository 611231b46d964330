// mysql/wire/packet_walk.h - over packets that lie whole in memory, and over the sequence bytes of
// a raw stream. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {

// Visits whole packets, one body at a time. Packets of 16 MB and more end the walk: use
// PacketAssembler for those.
class PacketWalk {
 public:
  explicit PacketWalk(std::string_view packets) : rest_(packets) {}
  // False at the end or when what is left is not a whole packet.
  bool Next(std::string_view* body) {
    if (rest_.size() < kPacketHeaderBytes) return false;
    PacketHeader header = ReadPacketHeader(rest_.data());
    if (header.length >= kMaxPacketBody || rest_.size() - kPacketHeaderBytes < header.length)
      return false;
    sequence_ = header.sequence;
    *body = rest_.substr(kPacketHeaderBytes, header.length);
    rest_.remove_prefix(kPacketHeaderBytes + header.length);
    return true;
  }
  bool AtEnd() const { return rest_.empty(); }
  // Bytes not visited yet.
  std::string_view rest() const { return rest_; }
  uint8_t sequence() const { return sequence_; }

 private:
  std::string_view rest_;
  uint8_t sequence_ = 0;
};

// Rewrites the sequence bytes of a raw stream of packets, given in arbitrary pieces, so that they
// count from where the client's own count stands. REQUIRES: the stream begins at a packet boundary.
class SequencePatcher {
 public:
  explicit SequencePatcher(uint8_t next = 0) : next_(next) {}
  // Starts over at a packet boundary.
  void Reset(uint8_t next) { *this = SequencePatcher(next); }
  // In place.
  void Patch(char* bytes, size_t size);
  // The sequence byte that the packet after those seen must have.
  uint8_t next() const { return next_; }
  // True when every packet that began has been seen to its end.
  bool at_boundary() const { return header_seen_ == 0 && body_left_ == 0; }

 private:
  uint8_t next_;
  uint8_t header_seen_ = 0;
  uint32_t length_ = 0;
  uint32_t body_left_ = 0;
};

}  // namespace paceline::mysql::wire
