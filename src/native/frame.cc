#include "native/frame.h"

#include <string.h>

#include <algorithm>

#include "mysql/wire/codec.h"

namespace paceline::native {
namespace {

void PutU32At(char* at, uint32_t value) {
  at[0] = static_cast<char>(value);
  at[1] = static_cast<char>(value >> 8);
  at[2] = static_cast<char>(value >> 16);
  at[3] = static_cast<char>(value >> 24);
}

uint32_t U32At(const char* at) {
  const auto* b = reinterpret_cast<const uint8_t*>(at);
  return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 |
         static_cast<uint32_t>(b[2]) << 16 | static_cast<uint32_t>(b[3]) << 24;
}

bool Acceptable(const FrameHeader& header) {
  switch (header.type) {
    case FrameType::kData:
      return header.length <= kMaxDataBytes && header.meta <= header.length;
    case FrameType::kQuery:
    case FrameType::kQueryPart:
      return header.length <= kMaxDataBytes;
    default:
      return header.type >= FrameType::kHello && header.type <= FrameType::kResolved &&
             header.length <= kMaxControlBytes;
  }
}

}  // namespace

void AppendHeader(std::string* out, const FrameHeader& header) {
  char bytes[kHeaderBytes] = {};
  PutU32At(bytes, header.length);
  PutU32At(bytes + 4, header.request);
  bytes[8] = static_cast<char>(header.type);
  bytes[9] = static_cast<char>(header.flags);
  PutU32At(bytes + 12, header.meta);
  out->append(bytes, sizeof bytes);
}

FrameHeader ReadHeader(const char* bytes) {
  FrameHeader header;
  header.length = U32At(bytes);
  header.request = U32At(bytes + 4);
  header.type = static_cast<FrameType>(bytes[8]);
  header.flags = static_cast<uint8_t>(bytes[9]);
  header.meta = U32At(bytes + 12);
  return header;
}

void AppendFrame(std::string* out, FrameHeader header, std::string_view payload) {
  header.length = static_cast<uint32_t>(payload.size());
  AppendHeader(out, header);
  out->append(payload);
}

void PatchLength(std::string* out, size_t at) {
  PutU32At(out->data() + at, static_cast<uint32_t>(out->size() - at - kHeaderBytes));
}

FrameSplitter::Outcome FrameSplitter::Next(std::string_view* input, Piece* piece) {
  if (header_size_ < kHeaderBytes) {
    size_t take = std::min(kHeaderBytes - header_size_, input->size());
    memcpy(header_bytes_ + header_size_, input->data(), take);
    header_size_ += take;
    input->remove_prefix(take);
    if (header_size_ < kHeaderBytes) return Outcome::kNeedInput;
    header_ = ReadHeader(header_bytes_);
    taken_ = 0;
    gathered_.clear();
    if (!Acceptable(header_)) return Outcome::kBroken;
  }
  piece->header = header_;
  if (header_.type == FrameType::kData) {
    size_t take = std::min<size_t>(header_.length - taken_, input->size());
    if (take == 0 && taken_ < header_.length) return Outcome::kNeedInput;
    piece->bytes = input->substr(0, take);
    piece->offset = taken_;
    input->remove_prefix(take);
    taken_ += static_cast<uint32_t>(take);
    piece->ends = taken_ == header_.length;
    if (piece->ends) header_size_ = 0;
    return Outcome::kPiece;
  }
  size_t missing = header_.length - gathered_.size();
  if (gathered_.empty() && input->size() >= missing) {
    piece->bytes = input->substr(0, missing);
    input->remove_prefix(missing);
  } else {
    size_t take = std::min(missing, input->size());
    gathered_.append(input->data(), take);
    input->remove_prefix(take);
    if (gathered_.size() < header_.length) return Outcome::kNeedInput;
    piece->bytes = gathered_;
  }
  piece->offset = 0;
  piece->ends = true;
  header_size_ = 0;
  return Outcome::kPiece;
}

}  // namespace paceline::native
