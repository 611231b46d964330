#include "access/commands.h"

#include <algorithm>

namespace paceline::access {

Role RoleOfCommand(std::string_view name) {
  static constexpr std::string_view kReads[] = {"Get", "List", "Find", "Show", "Validate", "help"};
  static constexpr std::string_view kReadsToo[] = {
      "ShardReplicationPositions",  "Ping",          "PingTablet", "TopoCat", "VtctldVersion",
      "WaitForFilteredReplication", "CheckThrottler"};
  // Takes data or structure away, changes schemas, or runs what somebody wrote.
  static constexpr std::string_view kAdmin[] = {"Delete", "Remove", "Execute", "Init", "Apply"};
  static constexpr std::string_view kAdminToo[] = {"AddCellInfo",
                                                   "UpdateCellInfo",
                                                   "AddCellsAlias",
                                                   "UpdateCellsAlias",
                                                   "CreateKeyspace",
                                                   "CreateShard",
                                                   "CopySchemaShard",
                                                   "Import",
                                                   "ResizeStorage",
                                                   "WriteTopologyPath",
                                                   "SetShardTabletControl",
                                                   "SetShardIsPrimaryServing",
                                                   "SetKeyspaceDurabilityPolicy",
                                                   "SetKeyspaceShardingInfo",
                                                   "SourceShardAdd",
                                                   "SourceShardDelete",
                                                   "CopyTopo"};
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (name.empty() || std::ranges::any_of(kAdmin, begins)) return Role::kAdmin;
  if (std::ranges::find(kAdminToo, name) != std::end(kAdminToo)) return Role::kAdmin;
  if (std::ranges::any_of(kReads, begins)) return Role::kViewer;
  if (std::ranges::find(kReadsToo, name) != std::end(kReadsToo)) return Role::kViewer;
  return Role::kOperator;
}

std::string_view CommandOfWords(const std::vector<std::string_view>& words) {
  for (std::string_view word : words) {
    if (!word.starts_with('-')) return word;
    // Another flag could have a value, which would be taken for the command.
    if (word != "--legacy-names" && word != "-legacy-names") return {};
  }
  return "help";
}

}  // namespace paceline::access
