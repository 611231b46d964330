#include "mysql/wire/packet.h"

#include <algorithm>
#include <cstring>

#include "mysql/wire/codec.h"

namespace paceline::mysql::wire {

void AppendPacket(std::string* out, std::string_view body, uint8_t* sequence) {
  for (;;) {
    size_t size = std::min<size_t>(body.size(), kMaxPacketBody);
    PutU24(out, static_cast<uint32_t>(size));
    PutU8(out, (*sequence)++);
    out->append(body.substr(0, size));
    if (size < kMaxPacketBody) return;
    body.remove_prefix(size);
  }
}

size_t BeginPacket(std::string* out) {
  size_t at = out->size();
  out->append(kPacketHeaderBytes, '\0');
  return at;
}

void EndPacket(std::string* out, size_t at, uint8_t* sequence) {
  size_t size = out->size() - at - kPacketHeaderBytes;
  if (size >= kMaxPacketBody) {
    std::string body = out->substr(at + kPacketHeaderBytes);
    out->resize(at);
    AppendPacket(out, body, sequence);
    return;
  }
  char* header = out->data() + at;
  header[0] = static_cast<char>(size);
  header[1] = static_cast<char>(size >> 8);
  header[2] = static_cast<char>(size >> 16);
  header[3] = static_cast<char>((*sequence)++);
}

PacketAssembler::Outcome PacketAssembler::Feed(std::span<const uint8_t>* input) {
  if (ended_) {
    ended_ = false;
    body_ = {};
    if (buffer_.capacity() > 1 << 20) buffer_.shrink_to_fit();
    buffer_.clear();
  }
  for (;;) {
    if (left_ == 0 && !(in_body_ && !continued_)) {
      size_t take = std::min(kPacketHeaderBytes - header_size_, input->size());
      if (take > 0) std::memcpy(header_ + header_size_, input->data(), take);
      header_size_ += take;
      *input = input->subspan(take);
      if (header_size_ < kPacketHeaderBytes) return Outcome::kNeedInput;
      header_size_ = 0;
      PacketHeader header = ReadPacketHeader(header_);
      if (expected_ && *expected_ != header.sequence) return Outcome::kBadSequence;
      sequence_ = header.sequence;
      expected_ = static_cast<uint8_t>(header.sequence + 1);
      left_ = header.length;
      continued_ = header.length == kMaxPacketBody;
      in_body_ = true;
      if (buffer_.size() + left_ > max_body_) return Outcome::kTooLarge;
      if (buffer_.empty() && !continued_ && input->size() >= left_) {  // whole: no copy
        body_ = AsText(input->first(left_));
        *input = input->subspan(left_);
        break;
      }
    }
    size_t take = std::min<size_t>(left_, input->size());
    buffer_.append(AsText(input->first(take)));
    *input = input->subspan(take);
    left_ -= static_cast<uint32_t>(take);
    if (left_ > 0) return Outcome::kNeedInput;
    if (!continued_) {
      body_ = buffer_;
      break;
    }
  }
  left_ = 0;
  in_body_ = false;
  ended_ = true;
  expected_.reset();
  return Outcome::kPacket;
}

}  // namespace paceline::mysql::wire
