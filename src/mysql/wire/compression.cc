#include "mysql/wire/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"

namespace paceline::mysql::wire {
namespace {

// Below it the header of a packed body costs more than packing saves (mysqld has the same limit).
constexpr size_t kLeastToPack = 50;
constexpr int kZlibLevel = 6;
constexpr int kZstdLevel = 3;

// Empty when nothing is gained.
std::string Pack(std::string_view data, Compression how) {
  std::string packed;
  if (how == Compression::kZlib) {
    uLongf size = compressBound(data.size());
    packed.resize(size);
    int done = compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                         reinterpret_cast<const Bytef*>(data.data()), data.size(), kZlibLevel);
    packed.resize(done == Z_OK ? size : 0);
  } else if (how == Compression::kZstd) {
    packed.resize(ZSTD_compressBound(data.size()));
    size_t size = ZSTD_compress(packed.data(), packed.size(), data.data(), data.size(), kZstdLevel);
    packed.resize(ZSTD_isError(size) != 0 ? 0 : size);
  }
  if (packed.size() >= data.size()) packed.clear();
  return packed;
}

}  // namespace

void AppendCompressed(std::string* out, std::string_view data, Compression how, uint8_t* sequence) {
  while (!data.empty()) {
    std::string_view piece = data.substr(0, kMaxPacketBody);
    data.remove_prefix(piece.size());
    std::string packed;
    if (piece.size() >= kLeastToPack) packed = Pack(piece, how);
    std::string_view body = packed.empty() ? piece : std::string_view(packed);
    PutU24(out, static_cast<uint32_t>(body.size()));
    PutU8(out, (*sequence)++);
    PutU24(out, packed.empty() ? 0 : static_cast<uint32_t>(piece.size()));
    out->append(body);
  }
}

void PacketFollower::Feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (body_left_ == 0) {
      if (header_bytes_ < sizeof header_) header_[header_bytes_] = static_cast<uint8_t>(bytes[0]);
      bytes.remove_prefix(1);
      if (++header_bytes_ < kPacketHeaderBytes) continue;
      header_bytes_ = 0;
      body_left_ = header_[0] | header_[1] << 8 | header_[2] << 16;
    }
    const size_t piece = std::min(body_left_, bytes.size());
    body_left_ -= piece;
    bytes.remove_prefix(piece);
  }
}

Status Decompressor::Unpack(std::string_view body, size_t unpacked, std::string* out) const {
  if (unpacked == 0) {
    out->append(body);
    return {};
  }
  const size_t at = out->size();
  out->resize(at + unpacked);
  bool whole = false;
  if (how_ == Compression::kZlib) {
    uLongf size = unpacked;
    int done = uncompress(reinterpret_cast<Bytef*>(out->data() + at), &size,
                          reinterpret_cast<const Bytef*>(body.data()), body.size());
    whole = done == Z_OK && size == unpacked;
  } else if (how_ == Compression::kZstd) {
    size_t size = ZSTD_decompress(out->data() + at, unpacked, body.data(), body.size());
    whole = ZSTD_isError(size) == 0 && size == unpacked;
  }
  if (whole) return {};
  out->resize(at);
  return Fail(Code::kInvalidArgument, "a compressed packet cannot be unpacked");
}

Status Decompressor::Feed(std::string_view input, std::string* out) {
  while (!input.empty()) {
    if (frame_.size() < kCompressedHeaderBytes) {
      size_t piece = std::min(kCompressedHeaderBytes - frame_.size(), input.size());
      frame_.append(input.substr(0, piece));
      input.remove_prefix(piece);
      if (frame_.size() < kCompressedHeaderBytes) return {};
    }
    Reader header(frame_);
    const size_t length = header.U24();
    sequence_ = header.U8();
    const size_t unpacked = header.U24();
    size_t lacking = kCompressedHeaderBytes + length - frame_.size();
    size_t piece = std::min(lacking, input.size());
    if (frame_.size() == kCompressedHeaderBytes && piece == length) {
      // Came whole: unpacked from where it lies.
      std::string_view body = input.substr(0, length);
      input.remove_prefix(length);
      frame_.clear();
      RETURN_IF_ERROR(Unpack(body, unpacked, out));
      continue;
    }
    frame_.append(input.substr(0, piece));
    input.remove_prefix(piece);
    if (piece < lacking) return {};
    std::string frame = std::move(frame_);
    frame_.clear();
    RETURN_IF_ERROR(Unpack(std::string_view(frame).substr(kCompressedHeaderBytes), unpacked, out));
  }
  return {};
}

}  // namespace paceline::mysql::wire
