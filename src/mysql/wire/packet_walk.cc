#include "mysql/wire/packet_walk.h"

#include <algorithm>

namespace paceline::mysql::wire {

void SequencePatcher::Patch(char* bytes, size_t size) {
  size_t at = 0;
  while (at < size) {
    if (body_left_ > 0) {
      size_t take = std::min<size_t>(body_left_, size - at);
      body_left_ -= static_cast<uint32_t>(take);
      at += take;
    } else if (header_seen_ == 0 && size - at >= kPacketHeaderBytes) {
      body_left_ = ReadPacketHeader(bytes + at).length;
      bytes[at + 3] = static_cast<char>(next_++);
      at += kPacketHeaderBytes;
    } else if (header_seen_ < 3) {
      if (header_seen_ == 0) length_ = 0;
      length_ |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at++])) << (8 * header_seen_++);
    } else {
      bytes[at++] = static_cast<char>(next_++);
      header_seen_ = 0;
      body_left_ = length_;
    }
  }
}

}  // namespace paceline::mysql::wire
