#include "etcdmember/seal.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/check.h"
#include "base/strings.h"

namespace paceline::etcdmember {

std::string Sha256(std::string_view text) {
  std::string out(32, '\0');
  unsigned int size = 0;
  int done = EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(out.data()),
                        &size, EVP_sha256(), nullptr);
  CHECK(done == 1 && size == out.size());
  return out;
}

std::string Seal(std::string_view secret, std::string_view what, std::string_view nonce,
                 std::string_view body) {
  std::string text = fmt::format("{}:{}:{}:{}:{}", what.size(), what, nonce.size(), nonce, body);
  std::string out(32, '\0');
  unsigned int size = 0;
  unsigned char* made = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                             reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                             reinterpret_cast<unsigned char*>(out.data()), &size);
  CHECK(made != nullptr && size == out.size());
  return HexEncode(out);
}

bool SealFits(std::string_view seal, std::string_view expected) {
  return seal.size() == expected.size() &&
         CRYPTO_memcmp(seal.data(), expected.data(), seal.size()) == 0;
}

}  // namespace paceline::etcdmember
