// topo/paths.h - where Vitess keeps which record. Global cell unless "cell" is said. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "record/record.h"

namespace paceline::topo {

inline constexpr std::string_view kGlobalCell = "global";

std::string CellInfoPath(std::string_view cell);
std::string CellsAliasPath(std::string_view alias);
std::string KeyspaceDir(std::string_view keyspace);
std::string KeyspacePath(std::string_view keyspace);
std::string KeyspaceVSchemaPath(std::string_view keyspace);
std::string ShardDir(std::string_view keyspace, std::string_view shard);
std::string ShardPath(std::string_view keyspace, std::string_view shard);
std::string RoutingRulesPath();
std::string ShardRoutingRulesPath();
std::string MirrorRulesPath();
std::string KeyspaceRoutingRulesPath();
std::string NamedLockDir(std::string_view name);

// In the tablet's or serving cell.
std::string TabletPath(const record::TabletAlias& alias);                             // cell
std::string ShardReplicationPath(std::string_view keyspace, std::string_view shard);  // cell
std::string SrvKeyspacePath(std::string_view keyspace);                               // cell
std::string SrvVSchemaPath();                                                         // cell

// The key range a shard's name says: none for "0" and other names without '-'. Names of ranges are
// hexadecimal, lower case. Errors: kInvalidArgument naming the shard.
Result<std::optional<record::KeyRange>> KeyRangeOfShardName(std::string_view shard);

}  // namespace paceline::topo
