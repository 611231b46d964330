// The serving graph: SrvKeyspace and SrvVSchema of each cell, and the raw topology.
#include <algorithm>

#include "vschema.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

VTCTLD_METHOD(RebuildKeyspaceGraph) {
  std::string keyspace = request.keyspace();
  std::vector<std::string> cells = ToVector(request.cells());
  Status done = co_await topo_.RebuildKeyspace(keyspace, cells, request.allow_partial(), deadline);
  co_return done;
}

VTCTLD_METHOD(RebuildVSchemaGraph) {
  std::vector<std::string> cells = ToVector(request.cells());
  Status done = co_await topo_.RebuildVSchemaGraph(cells, deadline);
  co_return done;
}

VTCTLD_METHOD(GetSrvKeyspaceNames) {
  std::vector<std::string> cells = ToVector(request.cells());
  if (cells.empty()) {
    auto all = co_await topo_.ListCells(deadline);
    if (!all) co_return Fail(all.error());
    cells = *all;
  }
  for (const std::string& cell : cells) {
    auto names = co_await topo_.ListSrvKeyspaces(cell, deadline);
    if (!names && names.error().code() != Code::kNotFound) co_return Fail(names.error());
    auto& list = (*response.mutable_names())[cell];
    if (!names) continue;
    for (const std::string& name : *names) list.add_names(name);
  }
  co_return Status();
}

VTCTLD_METHOD(GetSrvKeyspaces) {
  std::vector<std::string> cells = ToVector(request.cells());
  bool all_cells = cells.empty();
  if (all_cells) {
    auto all = co_await topo_.ListCells(deadline);
    if (!all) co_return Fail(all.error());
    cells = *all;
  }
  for (const std::string& cell : cells) {
    auto found = co_await topo_.GetSrvKeyspace(cell, request.keyspace(), deadline);
    if (found) {
      Fill(*found, &(*response.mutable_srv_keyspaces())[cell]);
    } else if (found.error().code() == Code::kNotFound) {
      // As Vitess: the cell is named, without a value.
      (*response.mutable_srv_keyspaces())[cell];
    } else {
      co_return Fail(found.error());
    }
  }
  co_return Status();
}

VTCTLD_METHOD(GetSrvVSchema) {
  auto found = co_await topo_.GetSrvVSchema(request.cell(), deadline);
  if (!found) co_return Fail(found.error());
  Fill(*found, response.mutable_srv_v_schema());
  co_return Status();
}

VTCTLD_METHOD(GetSrvVSchemas) {
  auto all = co_await topo_.ListCells(deadline);
  if (!all) co_return Fail(all.error());
  for (const std::string& cell : *all) {
    bool asked = request.cells().empty() ||
                 std::ranges::find(request.cells(), cell) != request.cells().end();
    if (!asked) continue;
    auto found = co_await topo_.GetSrvVSchema(cell, deadline);
    if (found) Fill(*found, &(*response.mutable_srv_v_schemas())[cell]);
    if (!found && found.error().code() != Code::kNotFound) co_return Fail(found.error());
  }
  co_return Status();
}

VTCTLD_METHOD(DeleteSrvVSchema) {
  std::string cell = request.cell();
  if (cell.empty()) co_return Fail(Code::kInvalidArgument, "which cell? Its name is required");
  Status done = co_await topo_.DeleteSrvVSchema(cell, deadline);
  co_return done;
}

VTCTLD_METHOD(GetTopologyPath) {
  if (request.version() != 0) {
    co_return Fail(Code::kUnimplemented,
                   "older versions of a topology file cannot be read: leave --version out");
  }
  topo::Display display = request.as_json() ? topo::Display::kJson : topo::Display::kText;
  std::string path = request.path();
  auto node = co_await topo_.GetTopologyPath(path, display, deadline);
  if (!node) co_return Fail(node.error());
  vtctldata::TopologyCell& cell = *response.mutable_cell();
  cell.set_name(node->name);
  cell.set_path(node->path);
  cell.set_data(node->data);
  for (const std::string& child : node->children) cell.add_children(child);
  cell.set_version(node->version.number);
  co_return Status();
}

io::Task<Status> Vtctld::WriteTopologyPath(std::string path, std::string json, Deadline deadline) {
  Result<std::string> bytes = topo::ParseJsonContents(path, json);
  if (!bytes) co_return Fail(bytes.error());
  auto written = co_await topo_.WriteTopologyPath(path, *bytes, topo::kAnyVersion, deadline);
  if (!written) co_return Fail(written.error());
  co_return Status();
}

}  // namespace paceline::vtctld
