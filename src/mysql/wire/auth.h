// mysql/wire/auth.h - the hashes of mysql_native_password and caching_sha2_password, and the RSA
// exchange of the latter. Source: MySQL's "Authentication Methods". Salts are 20 bytes. Threads:
// any.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::mysql::wire {

inline constexpr std::string_view kNativePlugin = "mysql_native_password";
inline constexpr std::string_view kCachingSha2Plugin = "caching_sha2_password";
// Only on the client's side: MySQL also answers unknown users with it.
inline constexpr std::string_view kSha256Plugin = "sha256_password";
inline constexpr std::string_view kClearPlugin = "mysql_clear_password";
inline constexpr size_t kSaltBytes = 20;
inline constexpr size_t kNativeHashBytes = 20;
inline constexpr size_t kCachingSha2HashBytes = 32;

// 20 random bytes without zero and '$', as servers send them.
std::string NewSalt();

// What a client answers; empty for an empty password.
std::string NativeScramble(std::string_view password, std::string_view salt);
std::string CachingSha2Scramble(std::string_view password, std::string_view salt);

// SHA1(SHA1(password)), 20 bytes: what mysql.user keeps in hex behind a '*'.
std::string NativeHash(std::string_view password);
// "*2470C0C0..." or the bare hex digits to 20 bytes.
std::optional<std::string> ParseNativeHash(std::string_view text);
// Whether `scramble` was made from a password with this hash. Takes the same time for all wrong
// answers.
bool CheckNativeScramble(std::string_view scramble, std::string_view salt, std::string_view hash);

// SHA256(SHA256(password)), 32 bytes: enough to check a caching_sha2_password scramble, which is
// what mysqld keeps in its cache.
std::string CachingSha2Hash(std::string_view password);
bool CheckCachingSha2Scramble(std::string_view scramble, std::string_view salt,
                              std::string_view hash);

// Equal length and bytes, compared in constant time.
bool SameSecret(std::string_view a, std::string_view b);

// The password with its zero byte, masked by the salt and encrypted for the owner of
// `public_key_pem` (OAEP).
Result<std::string> EncryptPassword(std::string_view password, std::string_view salt,
                                    std::string_view public_key_pem);

// A server's key pair for clients that log in without TLS. Making one takes some 100 ms: make one
// per process.
class RsaKey {
 public:
  static Result<std::shared_ptr<const RsaKey>> Generate();
  ~RsaKey();
  const std::string& public_pem() const { return public_pem_; }
  // The inverse of EncryptPassword; nullopt for anything else.
  std::optional<std::string> DecryptPassword(std::string_view encrypted,
                                             std::string_view salt) const;

 private:
  RsaKey() = default;
  void* key_ = nullptr;  // EVP_PKEY
  std::string public_pem_;
};

}  // namespace paceline::mysql::wire
