// Commands on cells and keyspaces.
#include <chrono>
#include <set>
#include <sstream>

#include "base/strings.h"
#include "base/time_text.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

io::Task<Status> AddCellInfo(Call& call) {
  vtctldata::AddCellInfoRequest request;
  vtctldata::AddCellInfoResponse response;
  std::string root, address;
  FlagSet flags = call.Flags();
  flags.Text("root", &root, "where the cell's records begin in its topology server");
  flags.Alias("r", "root");
  flags.Text("server-address", &address, "the cell's topology server");
  flags.Alias("a", "server-address");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  request.mutable_cell_info()->set_root(root);
  request.mutable_cell_info()->set_server_address(address);
  Status done = co_await call.vtctld.AddCellInfo(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) call.Line("Created cell: " + args[0]);
  co_return done;
}

io::Task<Status> UpdateCellInfo(Call& call) {
  vtctldata::UpdateCellInfoRequest request;
  vtctldata::UpdateCellInfoResponse response;
  std::string root, address;
  FlagSet flags = call.Flags();
  flags.Text("root", &root, "where the cell's records begin in its topology server");
  flags.Alias("r", "root");
  flags.Text("server-address", &address, "the cell's topology server");
  flags.Alias("a", "server-address");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  request.mutable_cell_info()->set_root(root);
  request.mutable_cell_info()->set_server_address(address);
  Status done = co_await call.vtctld.UpdateCellInfo(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Updated cell {}. New CellInfo:\n{}", response.name(),
                          ToJson(response.cell_info())));
  }
  co_return done;
}

io::Task<Status> DeleteCellInfo(Call& call) {
  vtctldata::DeleteCellInfoRequest request;
  vtctldata::DeleteCellInfoResponse response;
  bool force = false;
  FlagSet flags = call.Flags();
  flags.Bool("force", &force,
             "go on when the cell's topology server does not answer, or still serves keyspaces");
  flags.Alias("f", "force");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  request.set_force(force);
  Status done = co_await call.vtctld.DeleteCellInfo(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) call.Line("Deleted cell " + args[0]);
  co_return done;
}

io::Task<Status> GetCellInfo(Call& call) {
  vtctldata::GetCellInfoRequest request;
  vtctldata::GetCellInfoResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_cell(args[0]);
  Status done = co_await call.vtctld.GetCellInfo(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.cell_info());
  co_return done;
}

io::Task<Status> GetCellInfoNames(Call& call) {
  vtctldata::GetCellInfoNamesRequest request;
  vtctldata::GetCellInfoNamesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  Status done = co_await call.vtctld.GetCellInfoNames(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    Arguments names(response.names().begin(), response.names().end());
    call.Line(Join(names, "\n"));
  }
  co_return done;
}

io::Task<Status> AddCellsAlias(Call& call) {
  vtctldata::AddCellsAliasRequest request;
  vtctldata::AddCellsAliasResponse response;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "the cells behind the alias");
  flags.Alias("c", "cells");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  for (const std::string& cell : cells) request.add_cells(cell);
  Status done = co_await call.vtctld.AddCellsAlias(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Created cells alias: {} (cells = [{}])", args[0], Join(cells, " ")));
  }
  co_return done;
}

io::Task<Status> UpdateCellsAlias(Call& call) {
  vtctldata::UpdateCellsAliasRequest request;
  vtctldata::UpdateCellsAliasResponse response;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "the cells behind the alias");
  flags.Alias("c", "cells");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  for (const std::string& cell : cells) request.mutable_cells_alias()->add_cells(cell);
  Status done = co_await call.vtctld.UpdateCellsAlias(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Updated cells alias {}. New CellsAlias:\n{}", response.name(),
                          ToJson(response.cells_alias())));
  }
  co_return done;
}

io::Task<Status> DeleteCellsAlias(Call& call) {
  vtctldata::DeleteCellsAliasRequest request;
  vtctldata::DeleteCellsAliasResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_name(args[0]);
  Status done = co_await call.vtctld.DeleteCellsAlias(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) call.Line("Delete cells alias " + args[0]);
  co_return done;
}

io::Task<Status> GetCellsAliases(Call& call) {
  vtctldata::GetCellsAliasesRequest request;
  vtctldata::GetCellsAliasesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  Status done = co_await call.vtctld.GetCellsAliases(request, response, call.deadline);
  if (done && !call.WholeAsJson(response))
    call.Line(FieldToJson(response, "aliases", {.compact = call.compact}));
  co_return done;
}

io::Task<Status> CreateKeyspace(Call& call) {
  vtctldata::CreateKeyspaceRequest request;
  vtctldata::CreateKeyspaceResponse response;
  bool force = false, allow_empty = false;
  std::string type = "normal", base, snapshot, durability = "none", sidecar = "_vt";
  FlagSet flags = call.Flags();
  flags.Bool("force", &force, "succeed when the keyspace exists; its record stays as it is");
  flags.Alias("f", "force");
  flags.Bool("allow-empty-vschema", &allow_empty, "do not create an empty VSchema");
  flags.Alias("e", "allow-empty-vschema");
  flags.Text("type", &type, "normal or snapshot");
  flags.Text("base-keyspace", &base, "of a snapshot: the keyspace it was taken of");
  flags.Text("snapshot-timestamp", &snapshot, "of a snapshot: its time, as 2026-11-22T22:40:00Z");
  flags.Text("durability-policy", &durability, "none, semi_sync or cross_cell");
  flags.Text("sidecar-db-name", &sidecar, "the database for Paceline's own tables");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  if (!EqualsIgnoreCase(type, "normal") && !EqualsIgnoreCase(type, "snapshot")) {
    co_return Fail(Code::kInvalidArgument, "--type \"{}\": use normal or snapshot", type);
  }
  request.set_name(args[0]);
  request.set_force(force);
  request.set_allow_empty_v_schema(allow_empty);
  if (EqualsIgnoreCase(type, "snapshot")) request.set_type(topodata::SNAPSHOT);
  request.set_base_keyspace(base);
  request.set_durability_policy(durability);
  request.set_sidecar_db_name(sidecar);
  if (!snapshot.empty()) {
    Result<WallTime> at = ParseRfc3339(snapshot);
    if (!at) co_return Fail(at.error().Context("--snapshot-timestamp"));
    request.mutable_snapshot_time()->set_seconds(at->unix_ns / 1'000'000'000);
  }
  Status done = co_await call.vtctld.CreateKeyspace(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Successfully created keyspace {}. Result:\n{}", args[0],
                          ToJson(response.keyspace())));
  }
  co_return done;
}

namespace {

// What goes with a keyspace, and the backups that stay.
struct Doomed {
  std::vector<std::string> lines;
  std::vector<std::pair<std::string, std::string>> backups;  // shard, name
};
io::Task<Result<Doomed>> SeeDoomed(Call& call, std::string keyspace) {
  Doomed doomed;
  vtctldata::FindAllShardsInKeyspaceRequest ask_shards;
  vtctldata::FindAllShardsInKeyspaceResponse shards;
  ask_shards.set_keyspace(keyspace);
  Status found = co_await call.vtctld.FindAllShardsInKeyspace(ask_shards, shards, call.deadline);
  if (!found) co_return Fail(found.error());
  std::set<std::string> names;
  for (const auto& entry : shards.shards()) names.insert(entry.first);
  for (const std::string& name : names) {
    doomed.lines.push_back(fmt::format("  shard {}/{}", keyspace, name));
    vtctldata::GetBackupsRequest ask;
    vtctldata::GetBackupsResponse backups;
    ask.set_keyspace(keyspace);
    ask.set_shard(name);
    Status listed = co_await call.vtctld.GetBackups(ask, backups, call.deadline);
    // Without a storage there are none.
    if (!listed && listed.error().code() != Code::kFailedPrecondition)
      co_return Fail(listed.error());
    for (const auto& backup : backups.backups()) doomed.backups.emplace_back(name, backup.name());
  }
  vtctldata::GetTabletsRequest ask_tablets;
  vtctldata::GetTabletsResponse tablets;
  ask_tablets.set_keyspace(keyspace);
  Status listed = co_await call.vtctld.GetTablets(ask_tablets, tablets, call.deadline);
  if (!listed) co_return Fail(listed.error());
  for (const auto& tablet : tablets.tablets()) {
    doomed.lines.push_back(fmt::format("  record of tablet {}-{:010} ({}:{}); its data stays",
                                       tablet.alias().cell(), tablet.alias().uid(),
                                       tablet.mysql_hostname(), tablet.mysql_port()));
  }
  co_return doomed;
}

}  // namespace

io::Task<Status> DeleteKeyspace(Call& call) {
  vtctldata::DeleteKeyspaceRequest request;
  vtctldata::DeleteKeyspaceResponse response;
  bool recursive = false, force = false, dry_run = false, remove_backups = false;
  FlagSet flags = call.Flags();
  flags.Bool("recursive", &recursive, "delete its shards and their tablets too");
  flags.Alias("r", "recursive");
  flags.Bool("force", &force, "go on when it cannot be locked; for cleaning up only");
  flags.Alias("f", "force");
  flags.Bool("dry-run", &dry_run, "only tell what would be deleted");
  flags.Bool("remove-backups", &remove_backups, "its backups too, which stay otherwise");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_recursive(recursive);
  Doomed doomed;
  if (recursive || dry_run || remove_backups) {
    Result<Doomed> seen = co_await SeeDoomed(call, args[0]);
    if (!seen && !force) co_return Fail(seen.error());
    if (seen) doomed = std::move(*seen);
    if (!call.json) {
      call.Line(fmt::format("{} keyspace {}:", dry_run ? "would delete" : "deleting", args[0]));
      for (const std::string& line : doomed.lines) call.Line(line);
      for (const auto& [shard, name] : doomed.backups) {
        call.Line(fmt::format("  backup {}/{} {}{}", args[0], shard, name,
                              remove_backups ? "" : ": stays"));
      }
    }
    if (dry_run) co_return Status();
  }
  request.set_force(force);
  Status done = co_await call.vtctld.DeleteKeyspace(request, response, call.deadline);
  for (const auto& [shard, name] : doomed.backups) {
    if (!done || !remove_backups) break;
    vtctldata::RemoveBackupRequest remove;
    vtctldata::RemoveBackupResponse removed;
    remove.set_keyspace(args[0]);
    remove.set_shard(shard);
    remove.set_name(name);
    done = co_await call.vtctld.RemoveBackup(remove, removed, call.deadline);
  }
  if (done && !call.WholeAsJson(response))
    call.Line(fmt::format("Successfully deleted keyspace {}.", args[0]));
  co_return done;
}

io::Task<Status> FindAllShardsInKeyspace(Call& call) {
  vtctldata::FindAllShardsInKeyspaceRequest request;
  vtctldata::FindAllShardsInKeyspaceResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  Status done = co_await call.vtctld.FindAllShardsInKeyspace(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

io::Task<Status> GetKeyspace(Call& call) {
  vtctldata::GetKeyspaceRequest request;
  vtctldata::GetKeyspaceResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  Status done = co_await call.vtctld.GetKeyspace(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.keyspace());
  co_return done;
}

io::Task<Status> GetKeyspaces(Call& call) {
  vtctldata::GetKeyspacesRequest request;
  vtctldata::GetKeyspacesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  Status done = co_await call.vtctld.GetKeyspaces(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (call.legacy) {
    for (const auto& keyspace : response.keyspaces()) call.Line(keyspace.name());
    co_return done;
  }
  call.Line(FieldToJson(response, "keyspaces", {.structs = true}));
  co_return done;
}

io::Task<Status> RemoveKeyspaceCell(Call& call) {
  vtctldata::RemoveKeyspaceCellRequest request;
  vtctldata::RemoveKeyspaceCellResponse response;
  bool recursive = false, force = false;
  FlagSet flags = call.Flags();
  flags.Bool("recursive", &recursive, "delete the keyspace's tablets in the cell too");
  flags.Alias("r", "recursive");
  flags.Bool("force", &force, "go on when the cell's topology server does not answer");
  flags.Alias("f", "force");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_cell(args[1]);
  request.set_recursive(recursive);
  request.set_force(force);
  Status done = co_await call.vtctld.RemoveKeyspaceCell(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Successfully removed keyspace {} from cell {}", args[0], args[1]));
  }
  co_return done;
}

io::Task<Status> SetKeyspaceDurabilityPolicy(Call& call) {
  vtctldata::SetKeyspaceDurabilityPolicyRequest request;
  vtctldata::SetKeyspaceDurabilityPolicyResponse response;
  std::string policy = "none";
  FlagSet flags = call.Flags();
  flags.Text("durability-policy", &policy, "none, semi_sync or cross_cell");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_durability_policy(policy);
  Status done = co_await call.vtctld.SetKeyspaceDurabilityPolicy(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

}  // namespace paceline::vtctld::command
