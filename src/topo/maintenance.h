// topo/maintenance.h - what vtorc is not to heal for now, as people have said: all of the cluster
// ("*"), a keyspace, or a shard ("keyspace/0"), each with the reason. One file of the global store,
// a line each, so that every vtorc knows. Threads: the Server's loop.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "record/record.h"
#include "topo/server.h"

namespace paceline::topo {

using Maintenance = std::map<std::string, std::string>;  // name: reason

Maintenance ParseMaintenance(std::string_view text);
std::string MaintenanceText(const Maintenance& maintenance);
// The reason where the shard is covered.
std::optional<std::string> InMaintenance(const Maintenance& maintenance,
                                         const record::KeyspaceShard& shard);

// No file, no maintenance. `copy` may be null; else it is kept there, and read there while the
// store is away. Errors: the store's.
io::Task<Result<Maintenance>> ReadMaintenance(Server& topo, Cache* copy, Deadline deadline);
// Begins or ends it for `name`; gives all that is in maintenance then. Errors: kInvalidArgument for
// what is no name, kNotFound for a keyspace or shard that is not there, and the store's.
io::Task<Result<Maintenance>> SetMaintenance(Server& topo, std::string name, bool on,
                                             std::string why, Deadline deadline);

}  // namespace paceline::topo
