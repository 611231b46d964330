// Commands on VSchemas, routing rules, the serving graph and the raw topology.
#include "base/strings.h"
#include "vschema.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctld/vtctld.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

io::Task<Status> GetVSchema(Call& call) {
  vtctldata::GetVSchemaRequest request;
  vtctldata::GetVSchemaResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  Status done = co_await call.vtctld.GetVSchema(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.v_schema());
  co_return done;
}

namespace {

// A text given as a flag or as a file of the operator's.
Result<std::string> TextOrFile(Call& call, const std::string& text, const std::string& file,
                               std::string_view flag) {
  if (text.empty() == file.empty()) {
    return Fail(Code::kInvalidArgument, "{} needs one of --{} and --{}-file", call.command->name,
                flag, flag);
  }
  if (!text.empty()) return text;
  if (!call.read_file) {
    return Fail(Code::kInvalidArgument,
                "--{}-file cannot be read inside vtctld: use vtctldclient, or --{} \"$(cat {})\"",
                flag, flag, file);
  }
  return call.read_file(file);
}

}  // namespace

io::Task<Status> ApplyVSchema(Call& call) {
  vtctldata::ApplyVSchemaRequest request;
  vtctldata::ApplyVSchemaResponse response;
  std::string json, file, sql, sql_file;
  bool dry_run = false, skip = false, strict = false;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.Text("vschema", &json, "the VSchema as JSON");
  flags.Text("vschema-file", &file, "a file with it");
  flags.Text("sql", &sql, "a VSchema statement; belongs to a later version");
  flags.Text("sql-file", &sql_file, "a file with one");
  flags.Bool("dry-run", &dry_run, "show it, store nothing");
  flags.Bool("skip-rebuild", &skip, "leave SrvVSchema as it is");
  flags.TextList("cells", &cells, "rebuild SrvVSchema of these cells only");
  flags.Bool("strict", &strict, "unknown parameters of vindexes are errors");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_skip_rebuild(skip);
  request.set_dry_run(dry_run);
  request.set_strict(strict);
  for (const std::string& cell : cells) request.add_cells(cell);
  if (!sql.empty() || !sql_file.empty()) {
    Result<std::string> text = TextOrFile(call, sql, sql_file, "sql");
    if (!text) co_return Fail(text.error());
    request.set_sql(*text);
  } else {
    Result<std::string> text = TextOrFile(call, json, file, "vschema");
    if (!text) co_return Fail(text.error());
    Status read = FromJson(*text, request.mutable_v_schema());
    if (!read) co_return read;
  }
  Status done = co_await call.vtctld.ApplyVSchema(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  call.Line("New VSchema object:\n" + ToJson(response.v_schema()) +
            "\nIf this is not what you expected, check the input data (as JSON parsing will skip "
            "unexpected fields).");
  co_return done;
}

#define GET_RULES(Name, field)                                                      \
  io::Task<Status> Name(Call& call) {                                               \
    vtctldata::Name##Request request;                                               \
    vtctldata::Name##Response response;                                             \
    FlagSet flags = call.Flags();                                                   \
    Arguments args;                                                                 \
    if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end; \
    Status done = co_await call.vtctld.Name(request, response, call.deadline);      \
    if (done && !call.WholeAsJson(response)) co_return call.Json(response.field()); \
    co_return done;                                                                 \
  }
GET_RULES(GetRoutingRules, routing_rules)
GET_RULES(GetShardRoutingRules, shard_routing_rules)
GET_RULES(GetKeyspaceRoutingRules, keyspace_routing_rules)
GET_RULES(GetMirrorRules, mirror_rules)
#undef GET_RULES

namespace {

template <class Request, class Response, class Rules>
io::Task<Status> ApplyRules(Call& call, std::string what, Rules* (Request::*rules)(),
                            io::Task<Status> (port::Vtctld::*method)(const Request&, Response&,
                                                                     Deadline)) {
  Request request;
  Response response;
  std::string json, file;
  bool dry_run = false, skip = false;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.Text("rules", &json, "the rules as JSON; they replace all there are");
  flags.Alias("r", "rules");
  flags.Text("rules-file", &file, "a file with them");
  flags.Alias("f", "rules-file");
  flags.Bool("dry-run", &dry_run, "show them, store nothing");
  flags.Alias("d", "dry-run");
  flags.Bool("skip-rebuild", &skip, "leave SrvVSchema as it is");
  flags.TextList("cells", &cells, "rebuild SrvVSchema of these cells only");
  flags.Alias("c", "cells");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  Result<std::string> text = TextOrFile(call, json, file, "rules");
  if (!text) co_return Fail(text.error());
  Status read = FromJson(*text, (request.*rules)());
  if (!read) co_return read;
  request.set_skip_rebuild(skip);
  for (const std::string& cell : cells) request.add_rebuild_cells(cell);
  std::string shown = ToJson(*(request.*rules)());
  if (dry_run) {
    call.Line(fmt::format("[DRY RUN] Would have saved new {} object:\n{}", what, shown));
    co_return Status();
  }
  Status done = co_await (call.vtctld.*method)(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if constexpr (requires { response.keyspace_routing_rules(); }) co_return call.Json(response);
  call.Line(
      fmt::format("New {} object:\n{}\nIf this is not what you expected, check the input data (as "
                  "JSON parsing will skip "
                  "unexpected fields).",
                  what, shown));
  if (skip)
    call.Line(
        "Skipping rebuild of VSchema graph, will need to run RebuildVSchemaGraph for changes to "
        "take effect.");
  co_return done;
}

}  // namespace

io::Task<Status> ApplyRoutingRules(Call& call) {
  Status done = co_await ApplyRules(call, "RoutingRules",
                                    &vtctldata::ApplyRoutingRulesRequest::mutable_routing_rules,
                                    &port::Vtctld::ApplyRoutingRules);
  co_return done;
}
io::Task<Status> ApplyShardRoutingRules(Call& call) {
  Status done =
      co_await ApplyRules(call, "ShardRoutingRules",
                          &vtctldata::ApplyShardRoutingRulesRequest::mutable_shard_routing_rules,
                          &port::Vtctld::ApplyShardRoutingRules);
  co_return done;
}
io::Task<Status> ApplyKeyspaceRoutingRules(Call& call) {
  Status done = co_await ApplyRules(
      call, "KeyspaceRoutingRules",
      &vtctldata::ApplyKeyspaceRoutingRulesRequest::mutable_keyspace_routing_rules,
      &port::Vtctld::ApplyKeyspaceRoutingRules);
  co_return done;
}

io::Task<Status> GetSrvKeyspaceNames(Call& call) {
  vtctldata::GetSrvKeyspaceNamesRequest request;
  vtctldata::GetSrvKeyspaceNamesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 10'000)) co_return *end;
  for (const std::string& cell : args) request.add_cells(cell);
  Status done = co_await call.vtctld.GetSrvKeyspaceNames(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (!call.legacy) {
    call.Line(FieldToJson(response, "names", {.compact = call.compact}));
    co_return done;
  }
  for (const auto& [cell, list] : response.names()) {
    for (const std::string& name : list.names()) call.Line(name);
  }
  co_return done;
}

io::Task<Status> GetSrvKeyspaces(Call& call) {
  vtctldata::GetSrvKeyspacesRequest request;
  vtctldata::GetSrvKeyspacesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  request.set_keyspace(args[0]);
  for (size_t i = 1; i < args.size(); ++i) request.add_cells(args[i]);
  Status done = co_await call.vtctld.GetSrvKeyspaces(request, response, call.deadline);
  if (done && !call.WholeAsJson(response))
    call.Line(FieldToJson(response, "srv_keyspaces", {.structs = true}));
  co_return done;
}

// The old client's: cell first, one answer.
io::Task<Status> GetSrvKeyspace(Call& call) {
  vtctldata::GetSrvKeyspacesRequest request;
  vtctldata::GetSrvKeyspacesResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  request.add_cells(args[0]);
  request.set_keyspace(args[1]);
  Status done = co_await call.vtctld.GetSrvKeyspaces(request, response, call.deadline);
  if (!done) co_return done;
  auto found = response.srv_keyspaces().find(args[0]);
  if (found == response.srv_keyspaces().end() || found->second.partitions().empty()) {
    co_return Fail(Code::kNotFound, "keyspace {} is not served in cell {}", args[1], args[0]);
  }
  co_return call.Json(found->second);
}

io::Task<Status> GetSrvVSchema(Call& call) {
  vtctldata::GetSrvVSchemaRequest request;
  vtctldata::GetSrvVSchemaResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_cell(args[0]);
  Status done = co_await call.vtctld.GetSrvVSchema(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.srv_v_schema());
  co_return done;
}

io::Task<Status> GetSrvVSchemas(Call& call) {
  vtctldata::GetSrvVSchemasRequest request;
  vtctldata::GetSrvVSchemasResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 10'000)) co_return *end;
  for (const std::string& cell : args) request.add_cells(cell);
  Status done = co_await call.vtctld.GetSrvVSchemas(request, response, call.deadline);
  if (done && !call.WholeAsJson(response))
    call.Line(FieldToJson(response, "srv_v_schemas", {.structs = true}));
  co_return done;
}

io::Task<Status> DeleteSrvVSchema(Call& call) {
  vtctldata::DeleteSrvVSchemaRequest request;
  vtctldata::DeleteSrvVSchemaResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_cell(args[0]);
  Status done = co_await call.vtctld.DeleteSrvVSchema(request, response, call.deadline);
  co_return done;
}

io::Task<Status> RebuildKeyspaceGraph(Call& call) {
  Arguments cells;
  bool partial = false;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "these cells only");
  flags.Alias("c", "cells");
  flags.Bool("allow-partial", &partial, "also when the key ranges have holes");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  for (const std::string& keyspace : args) {
    vtctldata::RebuildKeyspaceGraphRequest request;
    vtctldata::RebuildKeyspaceGraphResponse response;
    request.set_keyspace(keyspace);
    for (const std::string& cell : cells) request.add_cells(cell);
    request.set_allow_partial(partial);
    Status done = co_await call.vtctld.RebuildKeyspaceGraph(request, response, call.deadline);
    if (!done) co_return done;
  }
  co_return Status();
}

io::Task<Status> RebuildVSchemaGraph(Call& call) {
  vtctldata::RebuildVSchemaGraphRequest request;
  vtctldata::RebuildVSchemaGraphResponse response;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "these cells only");
  flags.Alias("c", "cells");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  for (const std::string& cell : cells) request.add_cells(cell);
  Status done = co_await call.vtctld.RebuildVSchemaGraph(request, response, call.deadline);
  if (done && !call.legacy) call.Line("RebuildVSchemaGraph: ok");
  co_return done;
}

io::Task<Status> GetTopologyPath(Call& call) {
  vtctldata::GetTopologyPathRequest request;
  vtctldata::GetTopologyPathResponse response;
  int64_t version = 0;
  bool as_json = false;
  FlagSet flags = call.Flags();
  flags.Int("version", &version, "an older version; not offered");
  flags.Bool("data-as-json", &as_json, "only what the file holds, as JSON");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_path(args[0]);
  request.set_version(version);
  request.set_as_json(as_json);
  Status done = co_await call.vtctld.GetTopologyPath(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (!as_json) co_return call.Json(response.cell());
  if (response.cell().data().empty())
    co_return Fail(Code::kNotFound, "{} is a folder, not a file", args[0]);
  call.Line(response.cell().data());
  co_return done;
}

// The old client's: what each file holds.
io::Task<Status> TopoCat(Call& call) {
  bool long_form = false, proto = false, as_json = false;
  std::string cell = "global";
  FlagSet flags = call.Flags();
  flags.Text("cell", &cell, "whose topology");
  flags.Bool("long", &long_form, "paths too");
  flags.Bool("decode-proto", &proto, "accepted; records are always shown decoded");
  flags.Bool("decode-proto-json", &as_json, "as JSON");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  for (const std::string& path : args) {
    vtctldata::GetTopologyPathRequest request;
    vtctldata::GetTopologyPathResponse response;
    request.set_path("/" + cell + (path.starts_with('/') ? "" : "/") + path);
    request.set_as_json(as_json);
    Status done = co_await call.vtctld.GetTopologyPath(request, response, call.deadline);
    if (!done) co_return done;
    if (long_form) call.Line(fmt::format("path={} version={}", path, response.cell().version()));
    call.Line(response.cell().data());
  }
  co_return Status();
}

io::Task<Status> RebuildTopology(Call& call) {
  bool yes = false, dry_run = true;
  Arguments addresses;
  FlagSet flags = call.Flags();
  flags.Bool("yes", &yes, "write what differs");
  flags.Bool("dry-run", &dry_run, "only show it; what happens without --yes");
  flags.TextList("tablets", &addresses, "more tablets to ask: host:grpc-port,...");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  if (call.local == nullptr) {  // the work is vtctld's
    std::vector<std::string> words = {"RebuildTopology"};
    words.insert(words.end(), call.words.begin(), call.words.end());
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  bool write = yes && !(flags.WasSet("dry-run") && dry_run);
  port::CommandOutput& out = call.out;
  std::function<void(std::string)> told = [&out](std::string line) { out.Print(line + "\n"); };
  Status done = co_await call.local->RebuildTopology(addresses, write, told, call.deadline);
  co_return done;
}

// The files would be those of vtctld's host.
io::Task<Status> TopoCp(Call& call) {
  FlagSet flags = call.Flags();
  flags.Ignored("cell", true);
  flags.Ignored("to-topo", false);
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 10)) co_return *end;
  co_return Fail(Code::kUnimplemented,
                 "TopoCp is not offered: read with \"vtctldclient GetTopologyPath --data-as-json "
                 "<path>\", write with \"vtctldclient WriteTopologyPath <path> <file>\"");
}

io::Task<Status> WriteTopologyPath(Call& call) {
  std::string cell = "global";
  FlagSet flags = call.Flags();
  flags.Text("cell", &cell, "whose topology");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  if (call.local != nullptr) {
    Status done = co_await call.local->WriteTopologyPath(args[0], args[1], call.deadline);
    co_return done;
  }
  if (!call.read_file) co_return Fail(Code::kInvalidArgument, "files cannot be read here");
  Result<std::string> json = call.read_file(args[1]);
  if (!json) co_return Fail(json.error());
  std::string path = args[0].starts_with('/') ? args[0] : "/" + args[0];
  if (!path.starts_with("/" + cell + "/")) path = "/" + cell + path;
  std::vector<std::string> words = {"WriteTopologyPath", path, *json};
  Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
