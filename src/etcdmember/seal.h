// etcdmember/seal.h - digests, and the seals by which wrappers know each other's messages. Pure.
#pragma once

#include <string>
#include <string_view>

namespace paceline::etcdmember {

// 32 bytes.
std::string Sha256(std::string_view text);
// Hexadecimal HMAC-SHA-256 over the parts, each with its length. `what` keeps requests and answers
// apart.
std::string Seal(std::string_view secret, std::string_view what, std::string_view nonce,
                 std::string_view body);
// In constant time.
bool SealFits(std::string_view seal, std::string_view expected);

}  // namespace paceline::etcdmember
