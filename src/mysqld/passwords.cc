#include "mysqld/passwords.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace paceline::mysqld {

Status ReadPasswords(const std::string& path, Users* users) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Fail(Code::kNotFound, "cannot read the credentials file {}", path);
  const nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object())
    return Fail(Code::kInvalidArgument, "credentials file {}: not a JSON object", path);
  for (Users::One* one : {&users->dba, &users->app, &users->app_debug, &users->allprivs,
                          &users->repl, &users->filtered}) {
    const auto found = json.find(one->name);
    if (found == json.end()) continue;
    if (!found->is_array() || found->empty() || !(*found)[0].is_string()) {
      return Fail(Code::kInvalidArgument,
                  "credentials file {}: {} must have a list with its password", path, one->name);
    }
    one->password = (*found)[0].get<std::string>();
  }
  return {};
}

}  // namespace paceline::mysqld
