#include "topo/codec.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>

#include <memory>

#include "base/check.h"
#include "base/strings.h"
#include "topodata.pb.h"
#include "vschema.pb.h"

namespace paceline::topo {
namespace {

using google::protobuf::Message;

template <class M>
Result<M> Parse(std::string_view bytes) {
  M message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(Code::kDataLoss, "{} bytes of the topology are not a {}", bytes.size(),
                message.GetDescriptor()->full_name());
  }
  return message;
}

// The old bytes as the start of a rewrite; bytes that do not parse are given up.
template <class M>
M Base(std::string_view bytes) {
  M message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) message.Clear();
  return message;
}

// Equal records give equal bytes: map entries sorted.
std::string Bytes(const Message& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  CHECK(message.SerializeToCodedStream(&coded));
  coded.Trim();
  return out;
}

WallTime FromProto(const vttime::Time& time) {
  return {time.seconds() * 1'000'000'000 + time.nanoseconds()};
}
void ToProto(WallTime time, vttime::Time* out) {
  out->set_seconds(time.unix_ns / 1'000'000'000);
  out->set_nanoseconds(static_cast<int32_t>(time.unix_ns % 1'000'000'000));
}
record::TabletAlias FromProto(const topodata::TabletAlias& alias) {
  return {alias.cell(), alias.uid()};
}
void ToProto(const record::TabletAlias& alias, topodata::TabletAlias* out) {
  out->set_cell(alias.cell);
  out->set_uid(alias.uid);
}
template <class M>
std::optional<record::KeyRange> RangeOf(const M& message) {
  if (!message.has_key_range()) return std::nullopt;
  return record::KeyRange{message.key_range().start(), message.key_range().end()};
}
template <class M>
void SetRange(const std::optional<record::KeyRange>& range, M* out) {
  if (!range) return out->clear_key_range();
  out->mutable_key_range()->set_start(range->start);
  out->mutable_key_range()->set_end(range->end);
}
record::TabletType FromProto(topodata::TabletType type) {
  return static_cast<record::TabletType>(type);
}
topodata::TabletType ToProto(record::TabletType type) {
  return static_cast<topodata::TabletType>(type);
}
template <class Repeated>
std::vector<std::string> Strings(const Repeated& list) {
  return {list.begin(), list.end()};
}

void ToProto(const record::RoutingRules& value, vschema::RoutingRules* out) {
  out->clear_rules();
  for (const record::RoutingRule& rule : value.rules) {
    vschema::RoutingRule* added = out->add_rules();
    added->set_from_table(rule.from_table);
    for (const std::string& table : rule.to_tables) added->add_to_tables(table);
  }
}
record::RoutingRules FromProto(const vschema::RoutingRules& message) {
  record::RoutingRules value;
  for (const vschema::RoutingRule& rule : message.rules()) {
    value.rules.push_back({rule.from_table(), Strings(rule.to_tables())});
  }
  return value;
}
void ToProto(const record::KeyspaceVSchema& value, vschema::Keyspace* out) {
  out->set_sharded(value.sharded);
  std::vector<std::string> gone;
  for (const auto& [name, table] : out->tables()) {
    if (!value.tables.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) out->mutable_tables()->erase(name);
  for (const auto& [name, table] : value.tables)
    (*out->mutable_tables())[name].set_type(table.type);
}
record::KeyspaceVSchema FromProto(const vschema::Keyspace& message) {
  record::KeyspaceVSchema value;
  value.sharded = message.sharded();
  for (const auto& [name, table] : message.tables()) value.tables[name].type = table.type();
  value.proto = Bytes(message);
  return value;
}

}  // namespace

std::string Encode(const record::CellInfo& value, std::string_view base) {
  auto message = Base<topodata::CellInfo>(base);
  message.set_server_address(value.server_address);
  message.set_root(value.root);
  return Bytes(message);
}
template <>
Result<record::CellInfo> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::CellInfo>(bytes));
  return record::CellInfo{message.server_address(), message.root()};
}

std::string Encode(const record::CellsAlias& value, std::string_view base) {
  auto message = Base<topodata::CellsAlias>(base);
  message.clear_cells();
  for (const std::string& cell : value.cells) message.add_cells(cell);
  return Bytes(message);
}
template <>
Result<record::CellsAlias> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::CellsAlias>(bytes));
  return record::CellsAlias{Strings(message.cells())};
}

std::string Encode(const record::Keyspace& value, std::string_view base) {
  auto message = Base<topodata::Keyspace>(base);
  message.set_keyspace_type(static_cast<topodata::KeyspaceType>(value.type));
  message.set_base_keyspace(value.base_keyspace);
  message.clear_snapshot_time();
  if (value.snapshot_time.unix_ns != 0)
    ToProto(value.snapshot_time, message.mutable_snapshot_time());
  message.set_durability_policy(value.durability_policy);
  message.set_sidecar_db_name(value.sidecar_db_name);
  return Bytes(message);
}
template <>
Result<record::Keyspace> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::Keyspace>(bytes));
  record::Keyspace value;
  value.type = static_cast<record::KeyspaceType>(message.keyspace_type());
  value.base_keyspace = message.base_keyspace();
  value.snapshot_time = FromProto(message.snapshot_time());
  value.durability_policy = message.durability_policy();
  if (!message.sidecar_db_name().empty()) value.sidecar_db_name = message.sidecar_db_name();
  return value;
}

std::string Encode(const record::Shard& value, std::string_view base) {
  auto message = Base<topodata::Shard>(base);
  message.clear_primary_alias();
  if (!value.primary_alias.empty()) ToProto(value.primary_alias, message.mutable_primary_alias());
  message.clear_primary_term_start_time();
  if (value.primary_term_start.unix_ns != 0) {
    ToProto(value.primary_term_start, message.mutable_primary_term_start_time());
  }
  SetRange(value.key_range, &message);
  message.clear_source_shards();
  for (const record::SourceShard& source : value.source_shards) {
    topodata::Shard::SourceShard* added = message.add_source_shards();
    added->set_uid(source.uid);
    added->set_keyspace(source.keyspace);
    added->set_shard(source.shard);
    SetRange(source.key_range, added);
    for (const std::string& table : source.tables) added->add_tables(table);
  }
  message.clear_tablet_controls();
  for (const record::TabletControl& control : value.tablet_controls) {
    topodata::Shard::TabletControl* added = message.add_tablet_controls();
    added->set_tablet_type(ToProto(control.tablet_type));
    for (const std::string& cell : control.cells) added->add_cells(cell);
    for (const std::string& table : control.denied_tables) added->add_denied_tables(table);
    added->set_frozen(control.frozen);
  }
  message.set_is_primary_serving(value.is_primary_serving);
  return Bytes(message);
}
template <>
Result<record::Shard> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::Shard>(bytes));
  record::Shard value;
  value.primary_alias = FromProto(message.primary_alias());
  value.primary_term_start = FromProto(message.primary_term_start_time());
  value.key_range = RangeOf(message);
  for (const auto& source : message.source_shards()) {
    value.source_shards.push_back({source.uid(), source.keyspace(), source.shard(), RangeOf(source),
                                   Strings(source.tables())});
  }
  for (const auto& control : message.tablet_controls()) {
    value.tablet_controls.push_back({FromProto(control.tablet_type()), Strings(control.cells()),
                                     Strings(control.denied_tables()), control.frozen()});
  }
  value.is_primary_serving = message.is_primary_serving();
  return value;
}

std::string Encode(const record::Tablet& value, std::string_view base) {
  auto message = Base<topodata::Tablet>(base);
  ToProto(value.alias, message.mutable_alias());
  message.set_hostname(value.hostname);
  message.clear_port_map();
  message.mutable_port_map()->insert(value.port_map.begin(), value.port_map.end());
  message.set_keyspace(value.keyspace);
  message.set_shard(value.shard);
  SetRange(value.key_range, &message);
  message.set_type(ToProto(value.type));
  message.set_db_name_override(value.db_name_override);
  message.clear_tags();
  message.mutable_tags()->insert(value.tags.begin(), value.tags.end());
  message.set_mysql_hostname(value.mysql_hostname);
  message.set_mysql_port(value.mysql_port);
  message.clear_primary_term_start_time();
  if (value.primary_term_start.unix_ns != 0) {
    ToProto(value.primary_term_start, message.mutable_primary_term_start_time());
  }
  message.set_default_conn_collation(value.default_conn_collation);
  return Bytes(message);
}
template <>
Result<record::Tablet> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::Tablet>(bytes));
  record::Tablet value;
  value.alias = FromProto(message.alias());
  value.hostname = message.hostname();
  value.port_map.insert(message.port_map().begin(), message.port_map().end());
  value.keyspace = message.keyspace();
  value.shard = message.shard();
  value.key_range = RangeOf(message);
  value.type = FromProto(message.type());
  value.db_name_override = message.db_name_override();
  value.tags.insert(message.tags().begin(), message.tags().end());
  value.mysql_hostname = message.mysql_hostname();
  value.mysql_port = message.mysql_port();
  value.primary_term_start = FromProto(message.primary_term_start_time());
  value.default_conn_collation = message.default_conn_collation();
  return value;
}

std::string Encode(const record::ShardReplication& value, std::string_view base) {
  auto message = Base<topodata::ShardReplication>(base);
  message.clear_nodes();
  for (const record::TabletAlias& node : value.nodes)
    ToProto(node, message.add_nodes()->mutable_tablet_alias());
  return Bytes(message);
}
template <>
Result<record::ShardReplication> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::ShardReplication>(bytes));
  record::ShardReplication value;
  for (const auto& node : message.nodes()) value.nodes.push_back(FromProto(node.tablet_alias()));
  return value;
}

std::string Encode(const record::SrvKeyspace& value, std::string_view base) {
  auto message = Base<topodata::SrvKeyspace>(base);
  // Shard controls of a partition are not ours: they stay with the partition of the same type.
  topodata::SrvKeyspace before = message;
  message.clear_partitions();
  for (const record::SrvPartition& partition : value.partitions) {
    auto* added = message.add_partitions();
    added->set_served_type(ToProto(partition.served_type));
    for (const record::SrvShard& shard : partition.shards) {
      topodata::ShardReference* reference = added->add_shard_references();
      reference->set_name(shard.name);
      SetRange(shard.key_range, reference);
    }
    for (const auto& old : before.partitions()) {
      if (old.served_type() == added->served_type())
        *added->mutable_shard_tablet_controls() = old.shard_tablet_controls();
    }
  }
  return Bytes(message);
}
template <>
Result<record::SrvKeyspace> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<topodata::SrvKeyspace>(bytes));
  record::SrvKeyspace value;
  for (const auto& partition : message.partitions()) {
    record::SrvPartition& added = value.partitions.emplace_back();
    added.served_type = FromProto(partition.served_type());
    for (const auto& shard : partition.shard_references())
      added.shards.push_back({shard.name(), RangeOf(shard)});
  }
  return value;
}

std::string Encode(const record::RoutingRules& value, std::string_view base) {
  auto message = Base<vschema::RoutingRules>(base);
  ToProto(value, &message);
  return Bytes(message);
}
template <>
Result<record::RoutingRules> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<vschema::RoutingRules>(bytes));
  return FromProto(message);
}

std::string Encode(const record::KeyspaceVSchema& value, std::string_view base) {
  auto message = Base<vschema::Keyspace>(base.empty() ? std::string_view(value.proto) : base);
  ToProto(value, &message);
  return Bytes(message);
}
template <>
Result<record::KeyspaceVSchema> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<vschema::Keyspace>(bytes));
  return FromProto(message);
}

std::string Encode(const record::SrvVSchema& value, std::string_view base) {
  auto message = Base<vschema::SrvVSchema>(base.empty() ? std::string_view(value.proto) : base);
  auto before = message.keyspaces();
  message.clear_keyspaces();
  for (const auto& [name, keyspace] : value.keyspaces) {
    vschema::Keyspace& added = (*message.mutable_keyspaces())[name];
    auto old = before.find(name);
    added = !keyspace.proto.empty() ? Base<vschema::Keyspace>(keyspace.proto)
            : old != before.end()   ? old->second
                                    : vschema::Keyspace();
    ToProto(keyspace, &added);
  }
  ToProto(value.routing_rules, message.mutable_routing_rules());
  return Bytes(message);
}
template <>
Result<record::SrvVSchema> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(auto message, Parse<vschema::SrvVSchema>(bytes));
  record::SrvVSchema value;
  for (const auto& [name, keyspace] : message.keyspaces())
    value.keyspaces[name] = FromProto(keyspace);
  value.routing_rules = FromProto(message.routing_rules());
  value.proto = bytes;
  return value;
}

std::string CopyThrottlerConfig(std::string_view keyspace_bytes,
                                std::string_view srv_keyspace_bytes) {
  auto keyspace = Base<topodata::Keyspace>(keyspace_bytes);
  auto srv = Base<topodata::SrvKeyspace>(srv_keyspace_bytes);
  srv.clear_throttler_config();
  if (keyspace.has_throttler_config())
    *srv.mutable_throttler_config() = keyspace.throttler_config();
  return Bytes(srv);
}

std::string BuildSrvVSchema(const std::map<std::string, std::string>& keyspaces,
                            std::string_view routing_rules, std::string_view shard_routing_rules,
                            std::string_view keyspace_routing_rules,
                            std::string_view mirror_rules) {
  vschema::SrvVSchema message;
  for (const auto& [name, bytes] : keyspaces) {
    (*message.mutable_keyspaces())[name] = Base<vschema::Keyspace>(bytes);
  }
  // These three are always there in what Vitess writes, even when empty.
  *message.mutable_routing_rules() = Base<vschema::RoutingRules>(routing_rules);
  *message.mutable_shard_routing_rules() = Base<vschema::ShardRoutingRules>(shard_routing_rules);
  *message.mutable_mirror_rules() = Base<vschema::MirrorRules>(mirror_rules);
  if (!keyspace_routing_rules.empty()) {
    *message.mutable_keyspace_routing_rules() =
        Base<vschema::KeyspaceRoutingRules>(keyspace_routing_rules);
  }
  return Bytes(message);
}

namespace {

// An empty message of the kind that a file of this name holds; null when unknown.
std::unique_ptr<Message> MessageFor(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (name == "CellInfo") return std::make_unique<topodata::CellInfo>();
  if (name == "CellsAlias") return std::make_unique<topodata::CellsAlias>();
  if (name == "Keyspace") return std::make_unique<topodata::Keyspace>();
  if (name == "Shard") return std::make_unique<topodata::Shard>();
  if (name == "VSchema") return std::make_unique<vschema::Keyspace>();
  if (name == "ShardReplication") return std::make_unique<topodata::ShardReplication>();
  if (name == "Tablet") return std::make_unique<topodata::Tablet>();
  if (name == "SrvVSchema") return std::make_unique<vschema::SrvVSchema>();
  if (name == "SrvKeyspace") return std::make_unique<topodata::SrvKeyspace>();
  if (name == "RoutingRules") return std::make_unique<vschema::RoutingRules>();
  if (name == "ShardRoutingRules") return std::make_unique<vschema::ShardRoutingRules>();
  if (name == "MirrorRules") return std::make_unique<vschema::MirrorRules>();
  if (name == "Rules") return std::make_unique<vschema::KeyspaceRoutingRules>();
  return nullptr;
}

}  // namespace

Result<std::string> DisplayContents(std::string_view path, std::string_view bytes,
                                    Display display) {
  std::unique_ptr<Message> message = MessageFor(path);
  if (message == nullptr) return std::string(bytes);
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(Code::kDataLoss, "{} bytes at {} are not a {}", bytes.size(), path,
                message->GetDescriptor()->full_name());
  }
  std::string text;
  if (display == Display::kText) {
    google::protobuf::TextFormat::PrintToString(*message, &text);
    return text;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  auto status = google::protobuf::util::MessageToJsonString(*message, &text, options);
  if (!status.ok())
    return Fail(Code::kDataLoss, "{} cannot be shown as JSON: {}", path, status.ToString());
  return text;
}

Result<std::string> ParseJsonContents(std::string_view path, std::string_view json) {
  std::unique_ptr<Message> message = MessageFor(path);
  if (message == nullptr) {
    return Fail(Code::kInvalidArgument,
                "topology file {} is of no known kind, so JSON cannot be stored in it", path);
  }
  auto status = google::protobuf::util::JsonStringToMessage(std::string(json), message.get());
  if (!status.ok()) {
    return Fail(Code::kInvalidArgument, "JSON for {} does not fit {}: {}", path,
                message->GetDescriptor()->full_name(), status.ToString());
  }
  return Bytes(*message);
}

}  // namespace paceline::topo
