#include "access/users.h"

#include <openssl/sha.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/strings.h"

namespace paceline::access {

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
    default:
      return "none";
  }
}

Result<Role> ParseRole(std::string_view text) {
  for (Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (text == RoleName(role)) return role;
  }
  return Fail(Code::kInvalidArgument, "role \"{}\": use viewer, operator or admin", text);
}

std::string TokenHash(std::string_view token) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest);
  return HexEncode({reinterpret_cast<const char*>(digest), sizeof digest});
}

Result<Users> Users::Parse(std::string_view text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("users") || !json["users"].is_array()) {
    return Fail(Code::kInvalidArgument, "not a JSON object with a list \"users\"");
  }
  Users users;
  std::set<std::string> names;
  for (const nlohmann::json& one : json["users"]) {
    const auto text_of = [&](const char* key) {
      return one.is_object() && one.contains(key) && one[key].is_string()
                 ? one[key].get<std::string>()
                 : std::string();
    };
    const std::string name = text_of("name");
    if (name.empty()) {
      return Fail(Code::kInvalidArgument, "user {} has no \"name\"", users.count_ + 1);
    }
    if (!names.insert(name).second)
      return Fail(Code::kInvalidArgument, "user {} is there twice", name);
    Result<Role> role = ParseRole(text_of("role"));
    if (!role) return Fail(role.error().Context("user " + name));
    const User user{name, *role};
    size_t ways = 0;
    if (const std::string certificate = text_of("certificate"); !certificate.empty()) {
      if (!users.by_certificate_.emplace(certificate, user).second) {
        return Fail(Code::kInvalidArgument, "user {}: another one has certificate {}", name,
                    certificate);
      }
      ++ways;
    }
    if (one.contains("token_sha256")) {
      const nlohmann::json& list = one["token_sha256"];
      if (!list.is_array())
        return Fail(Code::kInvalidArgument, "user {}: token_sha256 must be a list", name);
      for (const nlohmann::json& item : list) {
        const std::string hash = item.is_string() ? Lower(item.get<std::string>()) : "";
        const bool hex =
            hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
        if (!hex) {
          return Fail(Code::kInvalidArgument,
                      "user {}: token_sha256 holds what is no SHA-256 of 64 hex digits", name);
        }
        if (!users.by_hash_.emplace(hash, user).second)
          return Fail(Code::kInvalidArgument, "user {}: a token is there twice", name);
        ++ways;
      }
    }
    if (ways == 0) {
      return Fail(Code::kInvalidArgument, "user {} has neither token_sha256 nor certificate", name);
    }
    ++users.count_;
  }
  return users;
}

const User* Users::ByToken(std::string_view token) const {
  const auto found = by_hash_.find(TokenHash(token));
  return found == by_hash_.end() ? nullptr : &found->second;
}

const User* Users::ByCertificate(std::string_view common_name) const {
  const auto found = by_certificate_.find(common_name);
  return found == by_certificate_.end() ? nullptr : &found->second;
}

}  // namespace paceline::access
