// Commands on tablets.
#include <algorithm>

#include "base/strings.h"
#include "query.pb.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

namespace {

// Commands whose only argument is an alias.
template <class Request>
std::optional<Status> ParseAlias(Call& call, Request* request) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) return end;
  Status read = ReadAlias(args[0], request->mutable_tablet_alias());
  if (!read) return read;
  return std::nullopt;
}

}  // namespace

// What a command of one alias prints.
#define ALIAS_COMMAND(Name, Method, printing)                                    \
  io::Task<Status> Name(Call& call) {                                            \
    vtctldata::Method##Request request;                                          \
    vtctldata::Method##Response response;                                        \
    if (std::optional<Status> end = ParseAlias(call, &request)) co_return *end;  \
    Status done = co_await call.vtctld.Method(request, response, call.deadline); \
    if (!done || call.WholeAsJson(response)) co_return done;                     \
    printing;                                                                    \
    co_return done;                                                              \
  }
ALIAS_COMMAND(GetFullStatus, GetFullStatus, call.Json(response.status()).value())
ALIAS_COMMAND(GetTablet, GetTablet, call.Json(response.tablet()).value())
ALIAS_COMMAND(GetVersion, GetVersion, call.Line(response.version()))
ALIAS_COMMAND(PingTablet, PingTablet, )
ALIAS_COMMAND(RefreshState, RefreshState,
              if (!call.legacy)
                  call.Line("Refreshed state on " + AliasText(request.tablet_alias())))
ALIAS_COMMAND(RunHealthCheck, RunHealthCheck, )
ALIAS_COMMAND(StartReplication, StartReplication, )
ALIAS_COMMAND(StopReplication, StopReplication, )
ALIAS_COMMAND(ReloadSchema, ReloadSchema, )
ALIAS_COMMAND(GetPermissions, GetPermissions, call.Json(response.permissions()).value())
#undef ALIAS_COMMAND

io::Task<Status> ChangeTabletTags(Call& call) {
  vtctldata::ChangeTabletTagsRequest request;
  vtctldata::ChangeTabletTagsResponse response;
  bool replace = false;
  FlagSet flags = call.Flags();
  flags.Bool("replace", &replace, "these tags alone; without it they are added");
  flags.Alias("r", "replace");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 10'000)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  for (size_t i = 1; i < args.size(); ++i) {
    size_t at = args[i].find_first_of("=:");
    if (at == std::string::npos || at == 0) {
      co_return Fail(Code::kInvalidArgument, "\"{}\" is no tag like name=value", args[i]);
    }
    (*request.mutable_tags())[args[i].substr(0, at)] = args[i].substr(at + 1);
  }
  request.set_replace(replace);
  Status done = co_await call.vtctld.ChangeTabletTags(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  call.Line("- " + TagsText({response.before_tags().begin(), response.before_tags().end()}));
  call.Line("+ " + TagsText({response.after_tags().begin(), response.after_tags().end()}));
  co_return done;
}

io::Task<Status> ChangeTabletType(Call& call) {
  vtctldata::ChangeTabletTypeRequest request;
  vtctldata::ChangeTabletTypeResponse response;
  bool dry_run = false;
  FlagSet flags = call.Flags();
  flags.Bool("dry-run", &dry_run, "show what would change");
  flags.Alias("d", "dry-run");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  Result<record::TabletType> type = record::ParseTabletType(args[1]);
  if (!type) co_return Fail(type.error());
  request.set_db_type(static_cast<topodata::TabletType>(*type));
  request.set_dry_run(dry_run);
  Status done = co_await call.vtctld.ChangeTabletType(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (response.was_dry_run()) call.Line("--- DRY RUN ---");
  call.Line("- " + TabletLine(response.before_tablet(), call.names));
  call.Line("+ " + TabletLine(response.after_tablet(), call.names));
  co_return done;
}

namespace {

constexpr int kPingsMax = 20;  // of a long list, only the first are asked whether they live

// Those that still answer: their records go, they stay.
io::Task<std::vector<std::string>> StillAnswering(port::Vtctld& vtctld,
                                                  vtctldata::DeleteTabletsRequest request,
                                                  Deadline deadline) {
  std::vector<std::string> alive;
  for (int i = 0; i < std::min(request.tablet_aliases_size(), kPingsMax); ++i) {
    vtctldata::PingTabletRequest ask;
    vtctldata::PingTabletResponse answer;
    *ask.mutable_tablet_alias() = request.tablet_aliases(i);
    Deadline soon = Deadline::In(std::chrono::seconds(1)).EarlierOf(deadline);
    Status pong = co_await vtctld.PingTablet(ask, answer, soon);
    if (!pong) continue;
    const topodata::TabletAlias& alias = request.tablet_aliases(i);
    alive.push_back(record::TabletAlias{alias.cell(), alias.uid()}.ToString());
  }
  co_return alive;
}

}  // namespace

io::Task<Status> DeleteTablets(Call& call) {
  vtctldata::DeleteTabletsRequest request;
  vtctldata::DeleteTabletsResponse response;
  bool allow_primary = false;
  FlagSet flags = call.Flags();
  flags.Bool("allow-primary", &allow_primary, "also when one is its shard's primary");
  flags.Alias("p", "allow-primary");
  flags.Alias("allow-master", "allow-primary");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  for (const std::string& arg : args) {
    Status read = ReadAlias(arg, request.add_tablet_aliases());
    if (!read) co_return read;
  }
  request.set_allow_primary(allow_primary);
  std::vector<std::string> alive = co_await StillAnswering(call.vtctld, request, call.deadline);
  Status done = co_await call.vtctld.DeleteTablets(request, response, call.deadline);
  for (const std::string& alias : alive) {
    if (!done) break;
    call.out.Log(
        fmt::format("warning: {} still runs: only its record is gone. Stop its vttablet; "
                    "started anew, it registers again",
                    alias));
  }
  if (done && !call.WholeAsJson(response))
    call.Line(fmt::format("Successfully deleted {} tablets", args.size()));
  co_return done;
}

io::Task<Status> DeleteTablet(Call& call) {
  Status done = co_await DeleteTablets(call);
  co_return done;
}

io::Task<Status> ExecuteHook(Call& call) {
  vtctldata::ExecuteHookRequest request;
  vtctldata::ExecuteHookResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 10'000)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  request.mutable_tablet_hook_request()->set_name(args[1]);
  for (size_t i = 2; i < args.size(); ++i)
    request.mutable_tablet_hook_request()->add_parameters(args[i]);
  Status done = co_await call.vtctld.ExecuteHook(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.hook_result());
  co_return done;
}

namespace {

io::Task<Status> PrintTablets(Call& call, vtctldata::GetTabletsRequest request, bool json) {
  vtctldata::GetTabletsResponse response;
  Status done = co_await call.vtctld.GetTablets(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (!json) {
    for (const topodata::Tablet& tablet : response.tablets())
      call.Line(TabletLine(tablet, call.names));
    co_return done;
  }
  call.Line(FieldToJson(response, "tablets", {.structs = true}));
  co_return done;
}

}  // namespace

io::Task<Status> GetTablets(Call& call) {
  vtctldata::GetTabletsRequest request;
  Arguments aliases, cells;
  std::string keyspace, shard, type, format = "awk";
  bool strict = false;
  FlagSet flags = call.Flags();
  flags.TextList("tablet-alias", &aliases, "these tablets only");
  flags.Alias("t", "tablet-alias");
  flags.TextList("cell", &cells, "of these cells only");
  flags.Alias("c", "cell");
  flags.Text("tablet-type", &type, "of this type only");
  flags.Text("keyspace", &keyspace, "of this keyspace only");
  flags.Alias("k", "keyspace");
  flags.Text("shard", &shard, "of this shard only; needs --keyspace");
  flags.Alias("s", "shard");
  flags.Text("format", &format, "awk (a line for each) or json");
  flags.Bool("strict", &strict, "fail when a cell does not answer");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  if (!shard.empty() && keyspace.empty())
    co_return Fail(Code::kInvalidArgument, "--shard needs --keyspace");
  if (!aliases.empty() && (!cells.empty() || !keyspace.empty() || !type.empty())) {
    co_return Fail(
        Code::kInvalidArgument,
        "--tablet-alias names the tablets: leave --cell, --keyspace and --tablet-type out");
  }
  if (format != "awk" && format != "json")
    co_return Fail(Code::kInvalidArgument, "--format \"{}\": use awk or json", format);
  for (const std::string& alias : aliases) {
    Status read = ReadAlias(alias, request.add_tablet_aliases());
    if (!read) co_return read;
  }
  if (!type.empty()) {
    Result<record::TabletType> parsed = record::ParseTabletType(type);
    if (!parsed) co_return Fail(parsed.error());
    request.set_tablet_type(static_cast<topodata::TabletType>(*parsed));
  }
  for (const std::string& cell : cells) request.add_cells(cell);
  request.set_keyspace(keyspace);
  request.set_shard(shard);
  request.set_strict(strict);
  Status done = co_await PrintTablets(call, request, format == "json");
  co_return done;
}

io::Task<Status> ListAllTablets(Call& call) {
  vtctldata::GetTabletsRequest request;
  std::string keyspace, type;
  FlagSet flags = call.Flags();
  flags.Text("keyspace", &keyspace, "of this keyspace only");
  flags.Text("tablet-type", &type, "of this type only");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 10'000)) co_return *end;
  for (const std::string& arg : args) {
    for (std::string_view cell : Split(arg, ',')) request.add_cells(std::string(cell));
  }
  request.set_keyspace(keyspace);
  if (!type.empty()) {
    Result<record::TabletType> parsed = record::ParseTabletType(type);
    if (!parsed) co_return Fail(parsed.error());
    request.set_tablet_type(static_cast<topodata::TabletType>(*parsed));
  }
  Status done = co_await PrintTablets(call, request, false);
  co_return done;
}

io::Task<Status> ListShardTablets(Call& call) {
  vtctldata::GetTabletsRequest request;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Status done = co_await PrintTablets(call, request, false);
  co_return done;
}

io::Task<Status> ListTablets(Call& call) {
  vtctldata::GetTabletsRequest request;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  for (const std::string& arg : args) {
    Status read = ReadAlias(arg, request.add_tablet_aliases());
    if (!read) co_return read;
  }
  request.set_strict(true);
  Status done = co_await PrintTablets(call, request, false);
  co_return done;
}

io::Task<Status> RefreshStateByShard(Call& call) {
  vtctldata::RefreshStateByShardRequest request;
  vtctldata::RefreshStateByShardResponse response;
  Arguments cells;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "of these cells only");
  flags.Alias("c", "cells");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  for (const std::string& cell : cells) request.add_cells(cell);
  Status done = co_await call.vtctld.RefreshStateByShard(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  std::string where = cells.empty() ? "" : " in cells " + Join(cells, ", ");
  call.Line(fmt::format("Refreshed state on {}{}", args[0], where));
  if (response.is_partial_refresh()) {
    call.Line("State refresh was partial; some tablets in the shard may not have succeeded.");
    call.Line(response.partial_refresh_details());
  }
  co_return done;
}

namespace {

io::Task<Status> Writable(Call& call, std::string alias, bool writable) {
  vtctldata::SetWritableRequest request;
  vtctldata::SetWritableResponse response;
  Status read = ReadAlias(alias, request.mutable_tablet_alias());
  if (!read) co_return read;
  request.set_writable(writable);
  Status done = co_await call.vtctld.SetWritable(request, response, call.deadline);
  co_return done;
}

}  // namespace

io::Task<Status> SetWritable(Call& call) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Result<bool> writable = ParseBool(args[1]);
  if (!writable) co_return Fail(writable.error());
  Status done = co_await Writable(call, args[0], *writable);
  co_return done;
}

io::Task<Status> SetReadWrite(Call& call) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status done = co_await Writable(call, args[0], true);
  co_return done;
}

io::Task<Status> SetReadOnly(Call& call) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status done = co_await Writable(call, args[0], false);
  co_return done;
}

io::Task<Status> SleepTablet(Call& call) {
  vtctldata::SleepTabletRequest request;
  vtctldata::SleepTabletResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  Result<Duration> duration = ParseDuration(args[1]);
  if (!duration) co_return Fail(duration.error());
  FillDuration(*duration, request.mutable_duration());
  Status done = co_await call.vtctld.SleepTablet(request, response, call.deadline);
  co_return done;
}

namespace {

// ExecuteFetchAsApp, ...AsDBA: the same words.
template <class Request, class Response>
io::Task<Status> Fetch(Call& call, io::Task<Status> (port::Vtctld::*method)(const Request&,
                                                                            Response&, Deadline)) {
  Request request;
  Response response;
  int64_t max_rows = 10'000;
  bool use_pool = false, disable_binlogs = false, reload = false;
  FlagSet flags = call.Flags();
  flags.Int("max-rows", &max_rows, "fail when there are more rows");
  if constexpr (requires { request.set_use_pool(true); }) {
    flags.Bool("use-pool", &use_pool, "by a connection of the tablet's pool");
  } else {
    flags.Bool("disable-binlogs", &disable_binlogs, "do not write it to the binary log");
    flags.Bool("reload-schema", &reload, "the tablet reads its schema again after it");
  }
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  if constexpr (requires { request.set_query(args[1]); }) {
    request.set_query(args[1]);
  } else {
    request.set_sql(args[1]);
  }
  request.set_max_rows(max_rows);
  if constexpr (requires { request.set_use_pool(true); }) {
    request.set_use_pool(use_pool);
  } else {
    request.set_disable_binlogs(disable_binlogs);
    request.set_reload_schema(reload);
  }
  Status done = co_await (call.vtctld.*method)(request, response, call.deadline);
  if (!done) co_return done;
  if constexpr (requires { response.result(); }) {
    if (call.json) {
      call.Line(ToJson(response.result(), {.structs = true}));
      co_return done;
    }
    call.out.Print(ResultTable(response.result()));
  } else {
    if (call.WholeAsJson(response)) co_return done;
    for (const query::QueryResult& result : response.results()) call.out.Print(ResultTable(result));
  }
  co_return done;
}

}  // namespace

io::Task<Status> ExecuteFetchAsApp(Call& call) {
  Status done = co_await Fetch(call, &port::Vtctld::ExecuteFetchAsApp);
  co_return done;
}
io::Task<Status> ExecuteFetchAsDBA(Call& call) {
  Status done = co_await Fetch(call, &port::Vtctld::ExecuteFetchAsDBA);
  co_return done;
}
io::Task<Status> ExecuteMultiFetchAsDBA(Call& call) {
  Status done = co_await Fetch(call, &port::Vtctld::ExecuteMultiFetchAsDBA);
  co_return done;
}

}  // namespace paceline::vtctld::command
