// record/record.h - the topology's records as plain values. Their stored encoding is Vitess's
// protobuf (topodata, vschema); topo/codec.h converts. Names and meanings: proto/topodata.proto.
// Threads: values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline::record {

// Numbers of topodata.TabletType.
enum class TabletType : uint8_t {
  kUnknown = 0,
  kPrimary = 1,
  kReplica = 2,
  kRdonly = 3,
  kSpare = 4,
  kExperimental = 5,
  kBackup = 6,
  kRestore = 7,
  kDrained = 8,
};

// "primary", "replica" and so on; Upper form "PRIMARY" for JSON comes from the proto.
std::string_view TabletTypeName(TabletType type);
// Accepts any case, and the old names "master" and "batch". Errors: kInvalidArgument naming the
// text.
Result<TabletType> ParseTabletType(std::string_view text);

struct TabletAlias {
  std::string cell;
  uint32_t uid = 0;

  bool empty() const { return cell.empty() && uid == 0; }
  // "zone1-0000000101"
  std::string ToString() const;
  friend auto operator<=>(const TabletAlias&, const TabletAlias&) = default;
};
// "<cell>-<uid>", uid decimal with or without leading zeros. Errors: kInvalidArgument.
Result<TabletAlias> ParseTabletAlias(std::string_view text);

// A key range of a sharded keyspace; both empty for shard "0" and for "-".
struct KeyRange {
  std::string start, end;
  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

struct Tablet {
  TabletAlias alias;
  std::string hostname;
  std::map<std::string, int32_t> port_map;  // "vt", "grpc", "native"
  std::string keyspace, shard;
  std::optional<KeyRange> key_range;
  TabletType type = TabletType::kUnknown;
  std::string db_name_override;
  std::map<std::string, std::string> tags;
  std::string mysql_hostname;
  int32_t mysql_port = 0;
  WallTime primary_term_start;  // zero when it never was primary
  uint32_t default_conn_collation = 0;

  int32_t Port(std::string_view name) const;
  // The database this tablet serves: db_name_override or vt_<keyspace>.
  std::string DbName() const;
  std::string GrpcAddress() const;  // "host:port"
  friend bool operator==(const Tablet&, const Tablet&) = default;
};

struct SourceShard {
  int32_t uid = 0;
  std::string keyspace, shard;
  std::optional<KeyRange> key_range;
  std::vector<std::string> tables;
  friend bool operator==(const SourceShard&, const SourceShard&) = default;
};

struct TabletControl {
  TabletType tablet_type = TabletType::kUnknown;
  std::vector<std::string> cells;
  std::vector<std::string> denied_tables;
  bool frozen = false;
  friend bool operator==(const TabletControl&, const TabletControl&) = default;
};

struct Shard {
  TabletAlias primary_alias;
  WallTime primary_term_start;
  std::optional<KeyRange> key_range;
  std::vector<SourceShard> source_shards;
  std::vector<TabletControl> tablet_controls;
  bool is_primary_serving = true;
  friend bool operator==(const Shard&, const Shard&) = default;
};

enum class KeyspaceType : uint8_t { kNormal = 0, kSnapshot = 1 };

struct Keyspace {
  KeyspaceType type = KeyspaceType::kNormal;
  std::string base_keyspace;
  WallTime snapshot_time;
  std::string durability_policy;  // "none", "semi_sync", "cross_cell"; empty means none
  std::string sidecar_db_name = "_vt";
  friend bool operator==(const Keyspace&, const Keyspace&) = default;
};

struct CellInfo {
  std::string server_address, root;
  friend bool operator==(const CellInfo&, const CellInfo&) = default;
};

struct CellsAlias {
  std::vector<std::string> cells;
  friend bool operator==(const CellsAlias&, const CellsAlias&) = default;
};

struct ShardReplication {
  std::vector<TabletAlias> nodes;
  friend bool operator==(const ShardReplication&, const ShardReplication&) = default;
};

struct SrvShard {
  std::string name;
  std::optional<KeyRange> key_range;
  friend bool operator==(const SrvShard&, const SrvShard&) = default;
};
struct SrvPartition {
  TabletType served_type = TabletType::kUnknown;
  std::vector<SrvShard> shards;
  friend bool operator==(const SrvPartition&, const SrvPartition&) = default;
};
struct SrvKeyspace {
  std::vector<SrvPartition> partitions;
  friend bool operator==(const SrvKeyspace&, const SrvKeyspace&) = default;
};

// VSchema records keep Vitess's protobuf bytes beside the few fields that unsharded keyspaces need,
// so that what we do not yet read survives a rewrite.
struct VSchemaTable {
  std::string type;  // "", "sequence", "reference"
  friend bool operator==(const VSchemaTable&, const VSchemaTable&) = default;
};
struct KeyspaceVSchema {
  bool sharded = false;
  std::map<std::string, VSchemaTable> tables;
  std::string proto;  // vschema.Keyspace, whole
  friend bool operator==(const KeyspaceVSchema&, const KeyspaceVSchema&) = default;
};
struct RoutingRule {
  std::string from_table;
  std::vector<std::string> to_tables;
  friend bool operator==(const RoutingRule&, const RoutingRule&) = default;
};
struct RoutingRules {
  std::vector<RoutingRule> rules;
  friend bool operator==(const RoutingRules&, const RoutingRules&) = default;
};
struct SrvVSchema {
  std::map<std::string, KeyspaceVSchema> keyspaces;
  RoutingRules routing_rules;
  std::string proto;  // vschema.SrvVSchema, whole
  friend bool operator==(const SrvVSchema&, const SrvVSchema&) = default;
};

// "ks/shard". Errors: kInvalidArgument.
struct KeyspaceShard {
  std::string keyspace, shard;
  std::string ToString() const { return keyspace + "/" + shard; }
  friend auto operator<=>(const KeyspaceShard&, const KeyspaceShard&) = default;
};
Result<KeyspaceShard> ParseKeyspaceShard(std::string_view text);
// Letters, digits, '_' and '-', as Vitess allows. Errors: kInvalidArgument naming what is wrong.
Status ValidateName(std::string_view what, std::string_view name);

// What a request is meant for.
struct Target {
  std::string keyspace, shard;
  TabletType type = TabletType::kPrimary;
  std::string cell;
  // "ks.shard.primary", as Vitess prints targets in errors and metrics.
  std::string ToString() const;
  friend auto operator<=>(const Target&, const Target&) = default;
};

}  // namespace paceline::record
