#include "mysql/wire/auth.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/rng.h"
#include "base/strings.h"

namespace paceline::mysql::wire {
namespace {

std::string Digest(const EVP_MD* method, std::initializer_list<std::string_view> parts) {
  std::string out(static_cast<size_t>(EVP_MD_get_size(method)), '\0');
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, method, nullptr);
  for (std::string_view part : parts) EVP_DigestUpdate(context, part.data(), part.size());
  EVP_DigestFinal_ex(context, reinterpret_cast<unsigned char*>(out.data()), nullptr);
  EVP_MD_CTX_free(context);
  return out;
}
std::string Sha1(std::initializer_list<std::string_view> parts) {
  return Digest(EVP_sha1(), parts);
}
std::string Sha256(std::initializer_list<std::string_view> parts) {
  return Digest(EVP_sha256(), parts);
}

// REQUIRES: `mask` is not empty; it repeats.
std::string Xor(std::string_view bytes, std::string_view mask) {
  std::string out(bytes);
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<char>(out[i] ^ mask[i % mask.size()]);
  return out;
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// Encrypts or decrypts `in` with OAEP; nullopt when OpenSSL refuses.
std::optional<std::string> Oaep(EVP_PKEY* key, bool encrypt, std::string_view in) {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new(key, nullptr);
  if (context == nullptr) return std::nullopt;
  auto init = encrypt ? EVP_PKEY_encrypt_init : EVP_PKEY_decrypt_init;
  auto run = encrypt ? EVP_PKEY_encrypt : EVP_PKEY_decrypt;
  std::optional<std::string> out;
  size_t size = 0;
  if (init(context) == 1 && EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
      run(context, nullptr, &size, Bytes(in), in.size()) == 1) {
    std::string buffer(size, '\0');
    if (run(context, Bytes(buffer), &size, Bytes(in), in.size()) == 1) {
      buffer.resize(size);
      out = std::move(buffer);
    }
  }
  EVP_PKEY_CTX_free(context);
  return out;
}

}  // namespace

std::string NewSalt() {
  std::string salt = RandomBytes(kSaltBytes);
  for (char& c : salt) {
    c = static_cast<char>(c & 0x7f);
    if (c == '\0' || c == '$') ++c;
  }
  return salt;
}

std::string NativeScramble(std::string_view password, std::string_view salt) {
  if (password.empty()) return {};
  std::string once = Sha1({password});
  return Xor(once, Sha1({salt, Sha1({once})}));
}

std::string CachingSha2Scramble(std::string_view password, std::string_view salt) {
  if (password.empty()) return {};
  std::string once = Sha256({password});
  return Xor(once, Sha256({Sha256({once}), salt}));
}

std::string CachingSha2Hash(std::string_view password) { return Sha256({Sha256({password})}); }

bool CheckCachingSha2Scramble(std::string_view scramble, std::string_view salt,
                              std::string_view hash) {
  if (scramble.size() != kCachingSha2HashBytes || hash.size() != kCachingSha2HashBytes)
    return false;
  return SameSecret(Sha256({Xor(scramble, Sha256({hash, salt}))}), hash);
}

std::string NativeHash(std::string_view password) { return Sha1({Sha1({password})}); }

std::optional<std::string> ParseNativeHash(std::string_view text) {
  if (text.starts_with('*')) text.remove_prefix(1);
  std::optional<std::string> bytes = HexDecode(text);
  if (!bytes || bytes->size() != 20) return std::nullopt;
  return bytes;
}

bool CheckNativeScramble(std::string_view scramble, std::string_view salt, std::string_view hash) {
  if (scramble.size() != 20 || hash.size() != 20) return false;
  std::string once = Xor(scramble, Sha1({salt, hash}));
  return SameSecret(Sha1({once}), hash);
}

bool SameSecret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<std::string> EncryptPassword(std::string_view password, std::string_view salt,
                                    std::string_view public_key_pem) {
  if (salt.empty())
    return Fail(Code::kUnauthenticated, "server sent no salt for its password exchange");
  BIO* bio = BIO_new_mem_buf(public_key_pem.data(), static_cast<int>(public_key_pem.size()));
  EVP_PKEY* key = bio == nullptr ? nullptr : PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  if (key == nullptr) return Fail(Code::kUnauthenticated, "server sent an unreadable public key");
  std::string clear(password);
  clear.push_back('\0');
  std::optional<std::string> encrypted = Oaep(key, true, Xor(clear, salt));
  EVP_PKEY_free(key);
  if (!encrypted) return Fail(Code::kUnauthenticated, "password is too long for the server's key");
  return *std::move(encrypted);
}

Result<std::shared_ptr<const RsaKey>> RsaKey::Generate() {
  std::shared_ptr<RsaKey> result(new RsaKey);
  EVP_PKEY* key = EVP_RSA_gen(2048);
  if (key == nullptr) return Fail(Code::kInternal, "OpenSSL could not make an RSA key");
  result->key_ = key;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio, &text);
  result->public_pem_.assign(text, static_cast<size_t>(size));
  BIO_free(bio);
  return std::shared_ptr<const RsaKey>(std::move(result));
}

RsaKey::~RsaKey() { EVP_PKEY_free(static_cast<EVP_PKEY*>(key_)); }

std::optional<std::string> RsaKey::DecryptPassword(std::string_view encrypted,
                                                   std::string_view salt) const {
  if (salt.empty()) return std::nullopt;
  std::optional<std::string> masked = Oaep(static_cast<EVP_PKEY*>(key_), false, encrypted);
  if (!masked) return std::nullopt;
  std::string clear = Xor(*masked, salt);
  if (clear.empty() || clear.back() != '\0') return std::nullopt;
  clear.pop_back();
  return clear;
}

}  // namespace paceline::mysql::wire
