// access/users.h - who may administer a cluster, from a file that holds no secret:
//
//   {"users": [{"name": "ada", "role": "admin", "token_sha256": ["<64 hex digits>", ...]},
//              {"name": "ci", "role": "operator", "certificate": "ci.example.com"}]}
//
// Several tokens of one user let them be changed without a gap. Immutable; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::access {

// Each may do what those before it may. Viewers look; operators move primaries, back up, heal;
// admins delete, change schemas and run statements as the DBA.
enum class Role : uint8_t { kNone, kViewer, kOperator, kAdmin };
std::string_view RoleName(Role role);
// Errors: kInvalidArgument naming the text.
Result<Role> ParseRole(std::string_view text);

struct User {
  std::string name;
  Role role = Role::kNone;
};

class Users {
 public:
  // Errors: kInvalidArgument saying which user and what is wrong.
  static Result<Users> Parse(std::string_view json);
  // Null when there is none.
  const User* ByToken(std::string_view token) const;
  const User* ByCertificate(std::string_view common_name) const;
  size_t size() const { return count_; }

 private:
  size_t count_ = 0;
  std::map<std::string, User, std::less<>> by_hash_, by_certificate_;
};

// Lower case hex of SHA-256.
std::string TokenHash(std::string_view token);

}  // namespace paceline::access
