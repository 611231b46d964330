// vtgate/static_users.h - the users of --mysql-auth-server-static-file, in Vitess's JSON: {"name":
// [{"Password": "...", "MysqlNativePassword": "*HEX", "CachingSha2Password": "*HEX", "UserData":
// "...", "Groups": [...], "SourceHost": "localhost"}]}. Hashes: SHA1(SHA1(password)) and
// SHA256(SHA256(password)). Threads: any; immutable.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "mysql/wire/server_handshake.h"

namespace paceline::vtgate {

class StaticUsers final : public mysql::wire::UserStore {
 public:
  // Errors: kInvalidArgument naming the user and the field.
  static Result<std::shared_ptr<const StaticUsers>> Parse(const std::string& json);
  static Result<std::shared_ptr<const StaticUsers>> Load(const std::string& path);
  std::vector<mysql::wire::UserEntry> Find(std::string_view user) const override;

 private:
  std::map<std::string, std::vector<mysql::wire::UserEntry>, std::less<>> users_;
};

}  // namespace paceline::vtgate
