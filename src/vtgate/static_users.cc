#include "vtgate/static_users.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/strings.h"

namespace paceline::vtgate {

using mysql::wire::UserEntry;

Result<std::shared_ptr<const StaticUsers>> StaticUsers::Parse(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(Code::kInvalidArgument, "not a JSON object of users");
  auto users = std::make_shared<StaticUsers>();
  for (const auto& [name, value] : json.items()) {
    nlohmann::json list = value.is_array() ? value : nlohmann::json::array({value});
    for (const auto& one : list) {
      if (!one.is_object())
        return Fail(Code::kInvalidArgument, "user \"{}\": not a JSON object", name);
      UserEntry entry;
      for (const auto& [key, field] : one.items()) {
        if (key == "Password" && field.is_string()) {
          bool hashed = one.contains("MysqlNativePassword") || one.contains("CachingSha2Password");
          if (!hashed || !field.get<std::string>().empty()) entry.plain = field.get<std::string>();
        } else if (key == "MysqlNativePassword" && field.is_string()) {
          std::string hash = field.get<std::string>();
          std::optional<std::string> bytes =
              HexDecode(hash.starts_with("*") ? hash.substr(1) : hash);
          if (!hash.empty() && (!bytes || bytes->size() != 20)) {
            return Fail(Code::kInvalidArgument,
                        "user \"{}\": MysqlNativePassword must be '*' and 40 hex digits", name);
          }
          if (!hash.empty()) entry.native_hash = *bytes;
        } else if (key == "CachingSha2Password" && field.is_string()) {
          std::string hash = field.get<std::string>();
          std::optional<std::string> bytes =
              HexDecode(hash.starts_with("*") ? hash.substr(1) : hash);
          if (!hash.empty() && (!bytes || bytes->size() != mysql::wire::kCachingSha2HashBytes)) {
            return Fail(Code::kInvalidArgument,
                        "user \"{}\": CachingSha2Password must be '*' and 64 hex digits", name);
          }
          if (!hash.empty()) entry.sha2_hash = *bytes;
        } else if (key == "UserData" && field.is_string()) {
          entry.user_data = field.get<std::string>();
        } else if (key == "SourceHost" && field.is_string()) {
          std::string host = field.get<std::string>();
          if (host != "" && host != "localhost") {
            return Fail(Code::kInvalidArgument,
                        "user \"{}\": SourceHost may be \"localhost\" or empty", name);
          }
          entry.local_only = host == "localhost";
        } else if (key == "Groups" && field.is_array()) {
          for (const auto& group : field)
            entry.groups.push_back(group.is_string() ? group.get<std::string>() : "");
        } else {
          return Fail(Code::kInvalidArgument,
                      "user \"{}\": field \"{}\" is unknown or of the wrong type", name, key);
        }
      }
      users->users_[name].push_back(std::move(entry));
    }
  }
  return users;
}

Result<std::shared_ptr<const StaticUsers>> StaticUsers::Load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Fail(Code::kNotFound, "user file {} cannot be read", path);
  std::stringstream text;
  text << file.rdbuf();
  Result<std::shared_ptr<const StaticUsers>> users = Parse(text.str());
  if (!users) return Fail(users.error().Context(path));
  return users;
}

std::vector<UserEntry> StaticUsers::Find(std::string_view user) const {
  auto found = users_.find(user);
  return found == users_.end() ? std::vector<UserEntry>() : found->second;
}

}  // namespace paceline::vtgate
