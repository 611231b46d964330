#include "topo/paths.h"

#include "base/strings.h"
#include "topo/conn.h"

namespace paceline::topo {

Status ValidatePath(std::string_view path, bool allow_root) {
  if (path.empty()) {
    if (allow_root) return {};
    return Fail(Code::kInvalidArgument, "topology path is empty");
  }
  for (std::string_view part : Split(path, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return Fail(Code::kInvalidArgument,
                  "topology path \"{}\" has the part \"{}\", which is not allowed", path, part);
    }
    for (char c : part) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        return Fail(Code::kInvalidArgument, "topology path \"{}\" holds a control character", path);
      }
    }
  }
  return {};
}

std::string CellInfoPath(std::string_view cell) { return fmt::format("cells/{}/CellInfo", cell); }
std::string CellsAliasPath(std::string_view alias) {
  return fmt::format("cells_aliases/{}/CellsAlias", alias);
}
std::string KeyspaceDir(std::string_view keyspace) { return fmt::format("keyspaces/{}", keyspace); }
std::string KeyspacePath(std::string_view keyspace) {
  return fmt::format("keyspaces/{}/Keyspace", keyspace);
}
std::string KeyspaceVSchemaPath(std::string_view keyspace) {
  return fmt::format("keyspaces/{}/VSchema", keyspace);
}
std::string ShardDir(std::string_view keyspace, std::string_view shard) {
  return fmt::format("keyspaces/{}/shards/{}", keyspace, shard);
}
std::string ShardPath(std::string_view keyspace, std::string_view shard) {
  return fmt::format("keyspaces/{}/shards/{}/Shard", keyspace, shard);
}
std::string RoutingRulesPath() { return "RoutingRules"; }
std::string ShardRoutingRulesPath() { return "ShardRoutingRules"; }
std::string MirrorRulesPath() { return "MirrorRules"; }
std::string KeyspaceRoutingRulesPath() { return "routing_rules/keyspace/Rules"; }
std::string NamedLockDir(std::string_view name) {
  return fmt::format("internal/named_locks/{}", name);
}

std::string TabletPath(const record::TabletAlias& alias) {
  return fmt::format("tablets/{}/Tablet", alias.ToString());
}
std::string ShardReplicationPath(std::string_view keyspace, std::string_view shard) {
  return fmt::format("keyspaces/{}/shards/{}/ShardReplication", keyspace, shard);
}
std::string SrvKeyspacePath(std::string_view keyspace) {
  return fmt::format("keyspaces/{}/SrvKeyspace", keyspace);
}
std::string SrvVSchemaPath() { return "SrvVSchema"; }

Result<std::optional<record::KeyRange>> KeyRangeOfShardName(std::string_view shard) {
  size_t dash = shard.find('-');
  if (dash == std::string_view::npos) return std::optional<record::KeyRange>();
  std::optional<std::string> start = HexDecode(shard.substr(0, dash));
  std::optional<std::string> end = HexDecode(shard.substr(dash + 1));
  if (!start || !end) {
    return Fail(Code::kInvalidArgument,
                "malformed shard name \"{}\": a name with '-' is a key range in hexadecimal, for "
                "example -80",
                shard);
  }
  if (!end->empty() && *start >= *end) {
    return Fail(Code::kInvalidArgument,
                "malformed shard name \"{}\": the range ends before it starts", shard);
  }
  return record::KeyRange{std::move(*start), std::move(*end)};
}

}  // namespace paceline::topo
