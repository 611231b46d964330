// vtgate/settings.h - the session settings that follow a client from one pooled connection to the
// next: system variables, character sets and user variables whose values are constants. Pure.
// Threads: one session's loop.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "port/query_service.h"

namespace paceline::vtgate {

class SessionSettings {
 public:
  // `name` in lower case ("sql_mode"), `value` as SQL text. DEFAULT stays as such: a connection in
  // a transaction must be told.
  void SetVariable(std::string_view name, std::string_view value);
  void SetUserVariable(std::string_view name, std::string_view value);
  // SET NAMES charset [COLLATE collation]: overrides the variables it stands for.
  void SetNames(std::string_view charset, std::string_view collation);
  void Clear();

  // The value as SQL text, or null when it has its default.
  const std::string* Find(std::string_view name) const;
  // "NAMES 'utf8mb4' COLLATE '...'", "NAMES DEFAULT" or empty.
  const std::string& names() const { return names_; }
  const std::map<std::string, std::string, std::less<>>& variables() const { return variables_; }
  const std::map<std::string, std::string, std::less<>>& user_variables() const {
    return user_variables_;
  }
  bool HasUserVariables() const { return !user_variables_.empty(); }
  bool empty() const { return names_.empty() && variables_.empty() && user_variables_.empty(); }
  // Null when empty. The same object until something changes.
  const port::SettingsPtr& Current() const;

 private:
  std::string names_;
  std::map<std::string, std::string, std::less<>> variables_;
  std::map<std::string, std::string, std::less<>> user_variables_;
  mutable port::SettingsPtr current_;
  mutable bool stale_ = false;
};

}  // namespace paceline::vtgate
