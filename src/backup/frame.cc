#include "backup/frame.h"

#include <lz4.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "base/check.h"

namespace paceline::backup {
namespace {

constexpr char kMagic[4] = {'P', 'L', 'F', '1'};
constexpr uint8_t kCompressionMask = 0x0f, kSealed = 0x40, kLast = 0x80;
constexpr size_t kTagBytes = 16;
// What a stored frame may have at most: incompressible bytes grow a little.
constexpr size_t kStoredBytesMax = kFrameBytes + kFrameBytes / 16 + 4096;

void PutLittle(char* at, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) at[i] = static_cast<char>(value >> (8 * i));
}
uint64_t GetLittle(const char* at, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= uint64_t{static_cast<uint8_t>(at[i])} << (8 * i);
  return value;
}

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

Result<std::string> DeriveKey(const FrameOptions& options) {
  std::string key(32, '\0');
  std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
      EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), EVP_PKEY_CTX_free);
  size_t size = key.size();
  auto bytes = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  bool good =
      context != nullptr && EVP_PKEY_derive_init(context.get()) > 0 &&
      EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) > 0 &&
      EVP_PKEY_CTX_set1_hkdf_salt(context.get(), bytes(options.salt),
                                  static_cast<int>(options.salt.size())) > 0 &&
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), bytes(options.secret),
                                 static_cast<int>(options.secret.size())) > 0 &&
      EVP_PKEY_derive(context.get(), reinterpret_cast<unsigned char*>(key.data()), &size) > 0;
  if (!good) return Fail(Code::kInternal, "deriving a backup's key failed");
  return key;
}

// Seals or opens in place; `tag` is written or held against.
Result<std::string> Gcm(const FrameOptions& options, uint64_t number, std::string_view header,
                        std::string_view text, char* tag, bool seal) {
  ASSIGN_OR_RETURN(std::string key, DeriveKey(options));
  unsigned char nonce[12] = {};
  PutLittle(reinterpret_cast<char*>(nonce), number, 8);
  std::unique_ptr<EVP_CIPHER_CTX, FreeCipher> context(EVP_CIPHER_CTX_new());
  std::string out(text.size(), '\0');
  auto in = [](std::string_view view) {
    return reinterpret_cast<const unsigned char*>(view.data());
  };
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  int done = 0;
  bool good =
      context != nullptr &&
      EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, in(key), nonce, seal) == 1 &&
      EVP_CipherUpdate(context.get(), nullptr, &done, in(header),
                       static_cast<int>(header.size())) == 1 &&
      EVP_CipherUpdate(context.get(), to, &done, in(text), static_cast<int>(text.size())) == 1;
  if (good && !seal)
    good = EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag) == 1;
  int more = 0;
  bool final_good = good && EVP_CipherFinal_ex(context.get(), to + done, &more) == 1;
  if (good && !final_good && !seal)
    return Fail(Code::kPermissionDenied, "it was sealed with another key, or was changed");
  if (final_good && seal)
    final_good = EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag) == 1;
  if (!final_good) return Fail(Code::kInternal, "AES-256-GCM failed");
  return out;
}

Result<std::string> Compress(const FrameOptions& options, std::string_view raw) {
  if (options.compression == Compression::kNone) return std::string(raw);
  std::string out;
  if (options.compression == Compression::kLz4) {
    out.resize(static_cast<size_t>(LZ4_compressBound(static_cast<int>(raw.size()))));
    int size = LZ4_compress_default(raw.data(), out.data(), static_cast<int>(raw.size()),
                                    static_cast<int>(out.size()));
    if (size <= 0 && !raw.empty()) return Fail(Code::kInternal, "lz4 failed");
    out.resize(static_cast<size_t>(std::max(size, 0)));
    return out;
  }
  thread_local std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(),
                                                                            ZSTD_freeCCtx);
  out.resize(ZSTD_compressBound(raw.size()));
  size_t size = ZSTD_compressCCtx(context.get(), out.data(), out.size(), raw.data(), raw.size(),
                                  options.level);
  if (ZSTD_isError(size)) return Fail(Code::kInternal, "zstd: {}", ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

Result<std::string> Decompress(const FrameHeader& header, std::string_view stored) {
  std::string raw(header.raw_bytes, '\0');
  size_t size = 0;
  switch (header.compression) {
    case Compression::kNone:
      raw = std::string(stored);
      size = raw.size();
      break;
    case Compression::kLz4: {
      int got = LZ4_decompress_safe(stored.data(), raw.data(), static_cast<int>(stored.size()),
                                    static_cast<int>(raw.size()));
      size = got < 0 ? SIZE_MAX : static_cast<size_t>(got);
      break;
    }
    case Compression::kZstd:
      size = ZSTD_decompress(raw.data(), raw.size(), stored.data(), stored.size());
      break;
  }
  if (size != header.raw_bytes) return Fail(Code::kDataLoss, "it does not unpack");
  return raw;
}

}  // namespace

std::string_view CompressionName(Compression compression) {
  switch (compression) {
    case Compression::kZstd:
      return "zstd";
    case Compression::kLz4:
      return "lz4";
    case Compression::kNone:
      break;
  }
  return "none";
}

Result<Compression> ParseCompression(std::string_view name) {
  for (Compression one : {Compression::kNone, Compression::kZstd, Compression::kLz4}) {
    if (name == CompressionName(one)) return one;
  }
  return Fail(Code::kInvalidArgument, "compression \"{}\": use zstd, lz4 or none", name);
}

Result<std::string> MakeFrame(const FrameOptions& options, uint64_t number, std::string_view raw,
                              bool last) {
  CHECK(raw.size() <= kFrameBytes);
  ASSIGN_OR_RETURN(std::string stored, Compress(options, raw));
  Compression used = options.compression;
  if (stored.size() >= raw.size()) {
    stored = std::string(raw);
    used = Compression::kNone;
  }
  bool sealed = !options.secret.empty();
  std::string frame(kFrameHeaderBytes, '\0');
  memcpy(frame.data(), kMagic, sizeof kMagic);
  uint8_t flags = static_cast<uint8_t>(static_cast<uint8_t>(used) | (sealed ? kSealed : 0) |
                                       (last ? kLast : 0));
  frame[4] = static_cast<char>(flags);
  PutLittle(frame.data() + 8, raw.size(), 4);
  PutLittle(frame.data() + 12, stored.size() + (sealed ? kTagBytes : 0), 4);
  if (sealed) {
    char tag[kTagBytes];
    // The checksum is of what is sealed, so it is not sealed itself.
    std::string_view header(frame.data(), 16);
    ASSIGN_OR_RETURN(stored, Gcm(options, number, header, stored, tag, true));
    stored.append(tag, kTagBytes);
  }
  PutLittle(frame.data() + 16, XXH3_64bits(stored.data(), stored.size()), 8);
  frame += stored;
  return frame;
}

Result<FrameHeader> ReadFrameHeader(std::string_view bytes) {
  if (bytes.size() != kFrameHeaderBytes || memcmp(bytes.data(), kMagic, sizeof kMagic) != 0)
    return Fail(Code::kDataLoss, "there is no frame");
  FrameHeader header;
  uint8_t flags = static_cast<uint8_t>(bytes[4]);
  header.compression = static_cast<Compression>(flags & kCompressionMask);
  header.sealed = (flags & kSealed) != 0;
  header.last = (flags & kLast) != 0;
  header.raw_bytes = static_cast<uint32_t>(GetLittle(bytes.data() + 8, 4));
  header.stored_bytes = static_cast<uint32_t>(GetLittle(bytes.data() + 12, 4));
  header.checksum = GetLittle(bytes.data() + 16, 8);
  constexpr uint8_t kKnown = kCompressionMask | kSealed | kLast;
  bool sane = (flags & ~kKnown) == 0 && header.compression <= Compression::kLz4 &&
              header.raw_bytes <= kFrameBytes && header.stored_bytes <= kStoredBytesMax &&
              (!header.sealed || header.stored_bytes >= kTagBytes);
  if (!sane) return Fail(Code::kDataLoss, "a frame's header is damaged");
  return header;
}

Result<std::string> OpenFrame(const FrameOptions& options, uint64_t number,
                              std::string_view header_bytes, std::string_view stored) {
  ASSIGN_OR_RETURN(FrameHeader header, ReadFrameHeader(header_bytes));
  if (stored.size() != header.stored_bytes) return Fail(Code::kDataLoss, "it is cut short");
  if (XXH3_64bits(stored.data(), stored.size()) != header.checksum)
    return Fail(Code::kDataLoss, "its checksum does not fit");
  if (header.sealed && options.secret.empty())
    return Fail(Code::kPermissionDenied, "it is encrypted, and no key is given");
  // With a key nothing is taken that was not sealed by it.
  if (!header.sealed && !options.secret.empty())
    return Fail(Code::kPermissionDenied, "it is not encrypted, though a key is given");
  if (!header.sealed) return Decompress(header, stored);
  char tag[kTagBytes];
  memcpy(tag, stored.data() + stored.size() - kTagBytes, kTagBytes);
  stored.remove_suffix(kTagBytes);
  ASSIGN_OR_RETURN(std::string opened,
                   Gcm(options, number, header_bytes.substr(0, 16), stored, tag, false));
  return Decompress(header, opened);
}

}  // namespace paceline::backup
