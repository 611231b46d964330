// The Validate family, and what belongs to later versions.
#include "mysqlctl.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

namespace {

void AddFindings(const auto& response, std::string* out) {
  for (const std::string& finding : response.results()) *out += "- " + finding + "\n";
  if constexpr (requires { response.results_by_shard(); }) {
    // Keyspace-wide answers repeat what each shard says.
    bool repeated = response.results_size() > 0;
    for (const auto& [shard, results] : response.results_by_shard()) {
      if (!repeated) AddFindings(results, out);
    }
  }
  if constexpr (requires { response.results_by_keyspace(); }) {
    for (const auto& [keyspace, results] : response.results_by_keyspace())
      AddFindings(results, out);
  }
}

Status Verdict(Call& call, const auto& response, std::string_view what) {
  if (call.WholeAsJson(response)) return {};
  std::string findings;
  AddFindings(response, &findings);
  if (findings.empty()) {
    call.Line(fmt::format("{} complete; no issues found.", what));
    return {};
  }
  call.out.Print("Validation results:\n" + findings);
  return Fail(Code::kFailedPrecondition,
              "some issues were found during validation; see above for details");
}

}  // namespace

io::Task<Status> Validate(Call& call) {
  vtctldata::ValidateRequest request;
  vtctldata::ValidateResponse response;
  bool ping = false;
  FlagSet flags = call.Flags();
  flags.Bool("ping-tablets", &ping, "ask the tablets too");
  flags.Alias("p", "ping-tablets");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  request.set_ping_tablets(ping);
  Status done = co_await call.vtctld.Validate(request, response, call.deadline);
  if (!done) co_return done;
  co_return Verdict(call, response, "Validation");
}

io::Task<Status> ValidateKeyspace(Call& call) {
  vtctldata::ValidateKeyspaceRequest request;
  vtctldata::ValidateKeyspaceResponse response;
  bool ping = false;
  FlagSet flags = call.Flags();
  flags.Bool("ping-tablets", &ping, "ask the tablets too");
  flags.Alias("p", "ping-tablets");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_ping_tablets(ping);
  Status done = co_await call.vtctld.ValidateKeyspace(request, response, call.deadline);
  if (!done) co_return done;
  co_return Verdict(call, response, "Validation of " + args[0]);
}

io::Task<Status> ValidateShard(Call& call) {
  vtctldata::ValidateShardRequest request;
  vtctldata::ValidateShardResponse response;
  bool ping = false;
  FlagSet flags = call.Flags();
  flags.Bool("ping-tablets", &ping, "ask the tablets too");
  flags.Alias("p", "ping-tablets");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_ping_tablets(ping);
  Status done = co_await call.vtctld.ValidateShard(request, response, call.deadline);
  if (!done) co_return done;
  co_return Verdict(call, response, "Validation of " + args[0]);
}

namespace {

io::Task<Status> Schemas(Call& call, bool of_shard) {
  vtctldata::ValidateSchemaKeyspaceRequest request;
  vtctldata::ValidateSchemaKeyspaceResponse response;
  Arguments exclude;
  bool views = false, vschema = false, skip = false;
  FlagSet flags = call.Flags();
  flags.TextList("exclude-tables", &exclude, "not these tables");
  flags.Bool("include-views", &views, "views too");
  flags.Bool("include-vschema", &vschema, "every table must be in the VSchema");
  flags.Bool("skip-no-primary", &skip, "pass over shards without a primary");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  if (of_shard) {
    Result<record::KeyspaceShard> name = record::ParseKeyspaceShard(args[0]);
    if (!name) co_return Fail(name.error());
    request.set_keyspace(name->keyspace);
    request.add_shards(name->shard);
  }
  for (const std::string& table : exclude) request.add_exclude_tables(table);
  request.set_include_views(views);
  request.set_include_vschema(vschema);
  request.set_skip_no_primary(skip);
  Status done = co_await call.vtctld.ValidateSchemaKeyspace(request, response, call.deadline);
  if (!done) co_return done;
  if (call.legacy) co_return Verdict(call, response, "Schema validation of " + args[0]);
  if (!call.WholeAsJson(response)) {
    // As Vitess prints them: a map for a keyspace, a list for a shard.
    call.Line(FieldToJson(response, of_shard ? "results" : "results_by_shard",
                          {.compact = call.compact}));
  }
  co_return done;
}

io::Task<Status> Permissions(Call& call, bool of_shard) {
  vtctldata::ValidatePermissionsKeyspaceRequest request;
  vtctldata::ValidatePermissionsKeyspaceResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  if (of_shard) {
    Result<record::KeyspaceShard> name = record::ParseKeyspaceShard(args[0]);
    if (!name) co_return Fail(name.error());
    request.set_keyspace(name->keyspace);
    request.add_shards(name->shard);
  }
  Status done = co_await call.vtctld.ValidatePermissionsKeyspace(request, response, call.deadline);
  co_return done;
}

}  // namespace

io::Task<Status> ValidateSchemaKeyspace(Call& call) {
  Status done = co_await Schemas(call, false);
  co_return done;
}
io::Task<Status> ValidateSchemaShard(Call& call) {
  Status done = co_await Schemas(call, true);
  co_return done;
}
io::Task<Status> ValidatePermissionsKeyspace(Call& call) {
  Status done = co_await Permissions(call, false);
  co_return done;
}
io::Task<Status> ValidatePermissionsShard(Call& call) {
  Status done = co_await Permissions(call, true);
  co_return done;
}

io::Task<Status> ValidateVSchema(Call& call) {
  vtctldata::ValidateVSchemaRequest request;
  vtctldata::ValidateVSchemaResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  Status done = co_await call.vtctld.ValidateVSchema(request, response, call.deadline);
  if (!done) co_return done;
  co_return Verdict(call, response, "VSchema validation of " + args[0]);
}

io::Task<Status> ValidateVersionKeyspace(Call& call) {
  vtctldata::ValidateVersionKeyspaceRequest request;
  vtctldata::ValidateVersionKeyspaceResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  Status done = co_await call.vtctld.ValidateVersionKeyspace(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

io::Task<Status> ValidateVersionShard(Call& call) {
  vtctldata::ValidateVersionShardRequest request;
  vtctldata::ValidateVersionShardResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Status done = co_await call.vtctld.ValidateVersionShard(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

// What older clients had, and what does its work today.
io::Task<Status> Gone(Call& call) {
  static constexpr std::pair<std::string_view, std::string_view> kToday[] = {
      {"InitTablet", "a vttablet registers itself when it starts"},
      {"UpdateTabletAddrs", "a vttablet writes its addresses itself when it starts"},
      {"UpdateSrvKeyspacePartition", "use RebuildKeyspaceGraph <keyspace>"},
      {"Panic", "it crashed vtctld on purpose; end the process by its pid instead"},
  };
  for (auto [name, today] : kToday) {
    if (name == call.command->name)
      co_return Fail(Code::kUnimplemented, "{} is no longer a command: {}", name, today);
  }
  co_return Fail(Code::kUnimplemented, "{} is no longer a command", call.command->name);
}

io::Task<Status> Later(Call& call) {
  co_return Fail(Code::kUnimplemented, "{} belongs to a later version of Paceline",
                 call.command->name);
}

// vtctldclient LegacyVtctlCommand -- <command> ...
io::Task<Status> LegacyVtctlCommand(Call& call) {
  std::vector<std::string> words = call.words;
  if (!words.empty() && words[0] == "--") words.erase(words.begin());
  if (words.empty() || call.local != nullptr) {
    co_return Fail(Code::kInvalidArgument, "LegacyVtctlCommand needs a command of vtctlclient");
  }
  Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
