// topo/codec.h - records to and from the bytes Vitess stores (protobuf messages of topodata and
// vschema). What a stored record holds beyond ours (throttler settings, fields of newer versions)
// survives a rewrite when the old bytes are handed back as `base`. Threads: any. Errors: kDataLoss
// when the bytes are not such a message.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "record/record.h"

namespace paceline::topo {

// Decode<record::Tablet>(bytes); for every type that Encode takes.
template <class T>
Result<T> Decode(std::string_view bytes);

std::string Encode(const record::CellInfo& value, std::string_view base = {});
std::string Encode(const record::CellsAlias& value, std::string_view base = {});
std::string Encode(const record::Keyspace& value, std::string_view base = {});
std::string Encode(const record::Shard& value, std::string_view base = {});
std::string Encode(const record::Tablet& value, std::string_view base = {});
std::string Encode(const record::ShardReplication& value, std::string_view base = {});
std::string Encode(const record::SrvKeyspace& value, std::string_view base = {});
std::string Encode(const record::RoutingRules& value, std::string_view base = {});
// These two carry their bytes in `proto`, which serves as base when none is given.
std::string Encode(const record::KeyspaceVSchema& value, std::string_view base = {});
std::string Encode(const record::SrvVSchema& value, std::string_view base = {});

// The throttler settings of a stored Keyspace put into a stored SrvKeyspace; other parts stay.
std::string CopyThrottlerConfig(std::string_view keyspace_bytes,
                                std::string_view srv_keyspace_bytes);

// A stored SrvVSchema from each keyspace's stored VSchema and the stored rules, any of which may be
// empty.
std::string BuildSrvVSchema(const std::map<std::string, std::string>& keyspaces,
                            std::string_view routing_rules, std::string_view shard_routing_rules,
                            std::string_view keyspace_routing_rules, std::string_view mirror_rules);

// What a topology file holds, judged by its name ("Tablet", "Shard", ...), for people: JSON with
// the proto's field names, or protobuf text. Files of unknown kind come back as they are. Errors:
// kDataLoss.
enum class Display : uint8_t { kText, kJson };
Result<std::string> DisplayContents(std::string_view path, std::string_view bytes, Display display);
// The reverse for JSON. Errors: kInvalidArgument, also for files of unknown kind.
Result<std::string> ParseJsonContents(std::string_view path, std::string_view json);

}  // namespace paceline::topo
