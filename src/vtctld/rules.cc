// VSchemas and the rules that send tables, keyspaces and shards elsewhere. Messages are stored as
// they are, so that what Paceline does not read yet survives.
#include <set>

#include "topo/paths.h"
#include "vschema.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

io::Task<Result<std::string>> Vtctld::ReadGlobal(std::string path, Deadline deadline) {
  auto file = co_await topo_.global().Get(path, deadline);
  if (!file && file.error().code() == Code::kNotFound) co_return std::string();
  if (!file) co_return Fail(file.error());
  co_return std::move(file->data);
}

io::Task<Status> Vtctld::WriteGlobal(std::string path, std::string bytes, Deadline deadline) {
  auto written = co_await topo_.global().Update(path, bytes, topo::kAnyVersion, deadline);
  if (!written) co_return Fail(written.error());
  co_return Status();
}

io::Task<Status> Vtctld::MaybeRebuild(bool skip, std::vector<std::string> cells,
                                      Deadline deadline) {
  if (skip) co_return Status();
  Status done = co_await topo_.RebuildVSchemaGraph(cells, deadline);
  if (!done)
    co_return Fail(done.error().Context(
        "it was saved, but SrvVSchema was not rebuilt (RebuildVSchemaGraph does)"));
  co_return done;
}

VTCTLD_METHOD(GetVSchema) {
  auto keyspace = co_await topo_.GetKeyspace(request.keyspace(), deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  std::string path = topo::KeyspaceVSchemaPath(request.keyspace());
  Result<std::string> bytes = co_await ReadGlobal(path, deadline);
  if (!bytes) co_return Fail(bytes.error());
  if (!response.mutable_v_schema()->ParseFromString(*bytes)) {
    co_return Fail(Code::kDataLoss, "the VSchema of {} cannot be read", request.keyspace());
  }
  co_return Status();
}

VTCTLD_METHOD(ApplyVSchema) {
  auto keyspace = co_await topo_.GetKeyspace(request.keyspace(), deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  if (!request.sql().empty()) {
    co_return Fail(Code::kUnimplemented,
                   "VSchema statements (--sql) belong to a later version: give --vschema as JSON");
  }
  if (!request.has_v_schema())
    co_return Fail(Code::kInvalidArgument, "nothing to apply: give --vschema or --vschema-file");
  const vschema::Keyspace& wanted = request.v_schema();
  for (const auto& [name, table] : wanted.tables()) {
    for (const vschema::ColumnVindex& column : table.column_vindexes()) {
      if (wanted.vindexes().contains(column.name())) continue;
      co_return Fail(Code::kInvalidArgument,
                     "table {} names vindex {}, which is not among the keyspace's vindexes", name,
                     column.name());
    }
    if (!wanted.sharded() && table.column_vindexes_size() > 0) {
      co_return Fail(Code::kInvalidArgument,
                     "table {} has vindexes, but the keyspace is not sharded", name);
    }
  }
  *response.mutable_v_schema() = wanted;
  if (request.dry_run()) co_return Status();
  std::string path = topo::KeyspaceVSchemaPath(request.keyspace());
  std::string bytes = wanted.SerializeAsString();
  Status written = co_await WriteGlobal(path, bytes, deadline);
  if (!written) co_return written;
  std::vector<std::string> cells = ToVector(request.cells());
  Status done = co_await MaybeRebuild(request.skip_rebuild(), cells, deadline);
  co_return done;
}

#define GET_RULES(Method, field, path)                                         \
  VTCTLD_METHOD(Method) {                                                      \
    Result<std::string> bytes = co_await ReadGlobal(path, deadline);           \
    if (!bytes) co_return Fail(bytes.error());                                 \
    if (!response.mutable_##field()->ParseFromString(*bytes)) {                \
      co_return Fail(Code::kDataLoss, "the stored " #field " cannot be read"); \
    }                                                                          \
    co_return Status();                                                        \
  }
GET_RULES(GetRoutingRules, routing_rules, topo::RoutingRulesPath())
GET_RULES(GetShardRoutingRules, shard_routing_rules, topo::ShardRoutingRulesPath())
GET_RULES(GetKeyspaceRoutingRules, keyspace_routing_rules, topo::KeyspaceRoutingRulesPath())
GET_RULES(GetMirrorRules, mirror_rules, topo::MirrorRulesPath())
#undef GET_RULES

VTCTLD_METHOD(ApplyRoutingRules) {
  std::set<std::string> seen;
  for (const vschema::RoutingRule& rule : request.routing_rules().rules()) {
    if (rule.from_table().empty())
      co_return Fail(Code::kInvalidArgument, "a routing rule has no from_table");
    if (!seen.insert(rule.from_table()).second) {
      co_return Fail(Code::kInvalidArgument, "two routing rules have from_table {}",
                     rule.from_table());
    }
  }
  std::string bytes = request.routing_rules().SerializeAsString();
  Status written = co_await WriteGlobal(topo::RoutingRulesPath(), bytes, deadline);
  if (!written) co_return written;
  std::vector<std::string> cells = ToVector(request.rebuild_cells());
  Status done = co_await MaybeRebuild(request.skip_rebuild(), cells, deadline);
  co_return done;
}

VTCTLD_METHOD(ApplyShardRoutingRules) {
  std::string bytes = request.shard_routing_rules().SerializeAsString();
  Status written = co_await WriteGlobal(topo::ShardRoutingRulesPath(), bytes, deadline);
  if (!written) co_return written;
  std::vector<std::string> cells = ToVector(request.rebuild_cells());
  Status done = co_await MaybeRebuild(request.skip_rebuild(), cells, deadline);
  co_return done;
}

VTCTLD_METHOD(ApplyKeyspaceRoutingRules) {
  std::map<std::string, std::string> to;
  for (const vschema::KeyspaceRoutingRule& rule : request.keyspace_routing_rules().rules()) {
    to[rule.from_keyspace()] = rule.to_keyspace();
  }
  for (const auto& [from, target] : to) {
    auto next = to.find(target);
    if (from == target || next == to.end()) continue;
    co_return Fail(Code::kInvalidArgument,
                   "keyspace {} is sent to {}, which is sent on to {}: chains are not followed",
                   from, target, next->second);
  }
  std::string bytes = request.keyspace_routing_rules().SerializeAsString();
  Status written = co_await WriteGlobal(topo::KeyspaceRoutingRulesPath(), bytes, deadline);
  if (!written) co_return written;
  *response.mutable_keyspace_routing_rules() = request.keyspace_routing_rules();
  std::vector<std::string> cells = ToVector(request.rebuild_cells());
  Status done = co_await MaybeRebuild(request.skip_rebuild(), cells, deadline);
  co_return done;
}

}  // namespace paceline::vtctld
