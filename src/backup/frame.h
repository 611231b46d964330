// backup/frame.h - a stream of bytes as it is stored: frames, each compressed, checksummed and,
// where a key is given, sealed by AES-256-GCM. Pure.
//
//   header, 24 bytes, little endian: "PLF1", flags, 3 unused, raw size u32, stored size u32,
//                                    XXH3-64 of what is stored
//   stored bytes; with a key followed by the 16 bytes of GCM's tag, counted in the stored size
//
// Frames are numbered from 0 by their place in the stream. The number is GCM's nonce and is sealed
// with the header, so none can be dropped, doubled or moved; the last one says that it is. The key
// of a stream is derived (HKDF-SHA256) from the secret and the stream's own random salt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::backup {

enum class Compression : uint8_t { kNone = 0, kZstd = 1, kLz4 = 2 };
std::string_view CompressionName(Compression compression);
// Errors: kInvalidArgument naming those there are.
Result<Compression> ParseCompression(std::string_view name);

struct FrameOptions {
  Compression compression = Compression::kZstd;
  int level = 1;
  std::string secret;  // empty: not encrypted. At least 16 bytes.
  std::string salt;    // of the stream; with a secret only
};

inline constexpr size_t kFrameBytes = 1u << 20;  // of raw bytes, at most
inline constexpr size_t kFrameHeaderBytes = 24;

// REQUIRES: raw.size() <= kFrameBytes. Errors: kInternal.
Result<std::string> MakeFrame(const FrameOptions& options, uint64_t number, std::string_view raw,
                              bool last);

struct FrameHeader {
  Compression compression = Compression::kNone;
  bool last = false, sealed = false;
  uint32_t raw_bytes = 0, stored_bytes = 0;
  uint64_t checksum = 0;
};
// Errors: kDataLoss: this is no frame.
Result<FrameHeader> ReadFrameHeader(std::string_view bytes);
// `header_bytes`: as they were read. Errors: kDataLoss saying what does not fit; kPermissionDenied:
// sealed, and `options` has no key or another one.
Result<std::string> OpenFrame(const FrameOptions& options, uint64_t number,
                              std::string_view header_bytes, std::string_view stored);

}  // namespace paceline::backup
