#include "vtorc/maintenance.h"

#include "base/strings.h"

namespace paceline::vtorc {

Maintenance ParseMaintenance(std::string_view text) {
  Maintenance maintenance;
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    size_t space = line.find(' ');
    std::string name(line.substr(0, space));
    std::string why;
    if (space != std::string_view::npos) why = Trim(line.substr(space));
    if (!name.empty()) maintenance[name] = why;
  }
  return maintenance;
}

std::string MaintenanceText(const Maintenance& maintenance) {
  std::string text;
  for (const auto& [name, why] : maintenance) {
    text += name + " " + ReplaceAll(why, "\n", " ") + "\n";
  }
  return text;
}

std::optional<std::string> InMaintenance(const Maintenance& maintenance,
                                         const record::KeyspaceShard& shard) {
  for (const std::string& name : {std::string("*"), shard.keyspace, shard.ToString()}) {
    auto found = maintenance.find(name);
    if (found != maintenance.end()) return found->second;
  }
  return std::nullopt;
}

}  // namespace paceline::vtorc
