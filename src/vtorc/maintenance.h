// vtorc/maintenance.h - what is not to be healed for now, as people have said: all of the cluster
// ("*"), a keyspace, or a shard ("keyspace/0"), each with the reason. Kept as one file of the
// topology, a line each, so that every vtorc knows. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "record/record.h"

namespace paceline::vtorc {

inline constexpr std::string_view kMaintenancePath = "paceline/maintenance";  // global
using Maintenance = std::map<std::string, std::string>;                       // name: reason

Maintenance ParseMaintenance(std::string_view text);
std::string MaintenanceText(const Maintenance& maintenance);
// The reason where the shard is covered.
std::optional<std::string> InMaintenance(const Maintenance& maintenance,
                                         const record::KeyspaceShard& shard);

}  // namespace paceline::vtorc
