// native/frame.h - the framing of the native data plane: pure bytes, no sockets. README.md holds
// the table of frames. Every frame is a header of 16 bytes and a payload; integers are
// little-endian, "lenenc" is MySQL's. Threads: one at a time per object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace paceline::native {

// 2: RESOLVE, RESOLVED.
inline constexpr uint32_t kProtocolVersion = 2;
inline constexpr uint32_t kVersionOfResolve = 2;
inline constexpr size_t kHeaderBytes = 16;
// DATA, QUERY and QUERY_PART carry no more than this, so that no request holds up the others for
// long.
inline constexpr size_t kMaxDataBytes = 64 * 1024;
// Any other frame. A larger one is a broken peer.
inline constexpr size_t kMaxControlBytes = 5 * 1024 * 1024;
// What a producer may send of one request's DATA before the consumer grants more.
inline constexpr int64_t kWindowBytes = 256 * 1024;

enum class FrameType : uint8_t {
  kHello = 1,
  kSettings = 2,
  kQuery = 3,
  kQueryPart = 4,
  kData = 5,
  kEnd = 6,
  kPrepared = 7,
  kError = 8,
  kCredit = 9,
  kCancel = 10,
  kRelease = 11,
  kDone = 12,
  kPing = 13,
  kPong = 14,
  kWatchHealth = 15,
  kHealth = 16,
  kGoAway = 17,
  kResolve = 18,
  kResolved = 19,
};

enum FrameFlag : uint8_t {
  kFlagMore = 0x01,     // QUERY, QUERY_PART: a part follows
  kFlagMetaEnd = 0x02,  // DATA: the metadata of this result is complete with this frame
  kFlagLast = 0x04,     // END: nothing of this request follows
  kFlagReset = 0x08,    // SETTINGS: forget all earlier ones first
};

struct FrameHeader {
  uint32_t length = 0;   // of the payload
  uint32_t request = 0;  // chosen by the client; 0: the connection itself
  FrameType type = FrameType::kHello;
  uint8_t flags = 0;
  // DATA: how many bytes at the payload's front are metadata. QUERY: the attempt's number.
  uint32_t meta = 0;
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

void AppendHeader(std::string* out, const FrameHeader& header);
FrameHeader ReadHeader(const char* bytes);
void AppendFrame(std::string* out, FrameHeader header, std::string_view payload);
// For payloads encoded in place: `at` is the string's size before AppendHeader.
void PatchLength(std::string* out, size_t at);

// Cuts a stream of bytes into frames. DATA frames come in pieces as they arrive, all others whole.
class FrameSplitter {
 public:
  struct Piece {
    FrameHeader header;
    std::string_view bytes;  // valid until the next call, or until the input's bytes change
    bool ends = false;       // the frame is complete with this piece
    uint32_t offset = 0;     // of `bytes` in the payload; not 0 only for DATA
  };
  enum class Outcome : uint8_t { kNeedInput, kPiece, kBroken };

  // Uses up a front part of *input. kBroken: a frame of unknown type or beyond its limit; close the
  // connection.
  Outcome Next(std::string_view* input, Piece* piece);
  // True while a frame has begun and not ended.
  bool in_frame() const { return header_size_ > 0; }

 private:
  char header_bytes_[kHeaderBytes];
  size_t header_size_ = 0;
  FrameHeader header_;
  uint32_t taken_ = 0;    // of a DATA payload
  std::string gathered_;  // payload so far of any other frame
};

}  // namespace paceline::native
