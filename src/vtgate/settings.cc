#include "vtgate/settings.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/strings.h"

namespace paceline::vtgate {

void SessionSettings::SetVariable(std::string_view name, std::string_view value) {
  stale_ = true;
  variables_.insert_or_assign(std::string(name), std::string(value));
}

void SessionSettings::SetUserVariable(std::string_view name, std::string_view value) {
  stale_ = true;
  user_variables_.insert_or_assign(Lower(name), std::string(value));
}

void SessionSettings::SetNames(std::string_view charset, std::string_view collation) {
  stale_ = true;
  names_ = EqualsIgnoreCase(charset, "default") ? "NAMES DEFAULT" : "NAMES " + QuoteText(charset);
  if (!collation.empty()) names_ += " COLLATE " + QuoteText(collation);
  for (const char* name : {"character_set_client", "character_set_connection",
                           "character_set_results", "collation_connection"}) {
    variables_.erase(name);
  }
}

void SessionSettings::Clear() {
  names_.clear();
  variables_.clear();
  user_variables_.clear();
  current_.reset();
  stale_ = false;
}

const std::string* SessionSettings::Find(std::string_view name) const {
  auto found = variables_.find(name);
  return found == variables_.end() ? nullptr : &found->second;
}

const port::SettingsPtr& SessionSettings::Current() const {
  if (!stale_) return current_;
  stale_ = false;
  current_.reset();
  if (empty()) return current_;
  auto made = std::make_shared<port::Settings>();
  std::string& text = made->apply;
  text = "SET ";
  auto separate = [&text] {
    if (text.size() > 4) text += ", ";
  };
  text += names_;
  for (const auto& [name, value] : variables_) {
    separate();
    text += "@@session." + name + " = " + value;
  }
  for (const auto& [name, value] : user_variables_) {
    separate();
    text += "@" + QuoteIdentifier(name) + " = " + value;
  }
  made->id = XXH3_64bits(text.data(), text.size());
  current_ = std::move(made);
  return current_;
}

}  // namespace paceline::vtgate
