// Cells and aliases of cells.
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

VTCTLD_METHOD(AddCellInfo) {
  Result<record::CellInfo> info = ToRecord<record::CellInfo>(request.cell_info());
  if (!info) co_return Fail(info.error());
  if (info->root.empty()) {
    co_return Fail(Code::kInvalidArgument, "cell {} needs a root: give --root", request.name());
  }
  std::string name = request.name();
  Status valid = record::ValidateName("cell", name);
  if (!valid) co_return valid;
  Status created = co_await topo_.CreateCellInfo(name, *info, deadline);
  if (!created && created.error().code() == Code::kAlreadyExists) {
    co_return Fail(Code::kAlreadyExists, "cell {} already exists: UpdateCellInfo changes it", name);
  }
  co_return created;
}

VTCTLD_METHOD(UpdateCellInfo) {
  std::string name = request.name();
  record::CellInfo info;
  auto before = co_await topo_.GetCellInfo(name, deadline);
  if (before) info = before->value;
  if (!before && before.error().code() != Code::kNotFound) co_return Fail(before.error());
  const topodata::CellInfo& wanted = request.cell_info();
  if (!wanted.server_address().empty()) info.server_address = wanted.server_address();
  if (!wanted.root().empty()) info.root = wanted.root();
  Status updated = co_await topo_.UpdateCellInfo(name, info, deadline);
  if (!updated) co_return updated;
  response.set_name(name);
  Fill(info, response.mutable_cell_info());
  co_return Status();
}

VTCTLD_METHOD(DeleteCellInfo) {
  std::string name = request.name();
  if (!request.force()) {
    auto keyspaces = co_await topo_.ListSrvKeyspaces(name, deadline);
    if (!keyspaces && keyspaces.error().code() != Code::kNotFound) {
      co_return Fail(keyspaces.error().Context("cell " + name + " must be empty (or use --force)"));
    }
    if (keyspaces && !keyspaces->empty()) {
      co_return Fail(Code::kFailedPrecondition,
                     "cell {} still serves keyspace {}: remove it from there first "
                     "(RemoveKeyspaceCell), or use --force",
                     name, keyspaces->front());
    }
  }
  Status deleted = co_await topo_.DeleteCellInfo(name, deadline);
  co_return deleted;
}

VTCTLD_METHOD(GetCellInfoNames) {
  auto names = co_await topo_.ListCells(deadline);
  if (!names) co_return Fail(names.error());
  for (const std::string& name : *names) response.add_names(name);
  co_return Status();
}

VTCTLD_METHOD(GetCellInfo) {
  std::string cell = request.cell();
  if (cell.empty()) co_return Fail(Code::kInvalidArgument, "which cell? Its name is required");
  auto info = co_await topo_.GetCellInfo(cell, deadline);
  if (!info) co_return Fail(info.error());
  Fill(*info, response.mutable_cell_info());
  co_return Status();
}

VTCTLD_METHOD(AddCellsAlias) {
  std::string name = request.name();
  Status valid = record::ValidateName("cells alias", name);
  if (!valid) co_return valid;
  record::CellsAlias alias;
  alias.cells = ToVector(request.cells());
  Status created = co_await topo_.CreateCellsAlias(name, alias, deadline);
  if (!created && created.error().code() == Code::kAlreadyExists) {
    co_return Fail(Code::kAlreadyExists,
                   "cells alias {} already exists: UpdateCellsAlias changes it", name);
  }
  co_return created;
}

VTCTLD_METHOD(UpdateCellsAlias) {
  std::string name = request.name();
  record::CellsAlias alias;
  alias.cells = ToVector(request.cells_alias().cells());
  Status updated = co_await topo_.UpdateCellsAlias(name, alias, deadline);
  if (!updated) co_return updated;
  response.set_name(name);
  Fill(alias, response.mutable_cells_alias());
  co_return Status();
}

VTCTLD_METHOD(DeleteCellsAlias) {
  std::string name = request.name();
  Status deleted = co_await topo_.DeleteCellsAlias(name, deadline);
  co_return deleted;
}

VTCTLD_METHOD(GetCellsAliases) {
  auto aliases = co_await topo_.ListCellsAliases(deadline);
  if (!aliases) co_return Fail(aliases.error());
  for (const auto& [name, alias] : *aliases) Fill(alias, &(*response.mutable_aliases())[name]);
  co_return Status();
}

}  // namespace paceline::vtctld
