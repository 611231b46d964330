// Commands on schemas.
#include "base/strings.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

namespace {

// Takes every --sql out of the words: it may be given several times, and may hold commas.
Arguments TakeSql(Arguments& words) {
  Arguments sql, rest;
  for (size_t i = 0; i < words.size(); ++i) {
    std::string_view word = words[i];
    if (word.starts_with("--")) word.remove_prefix(1);
    if (word == "-sql" && i + 1 < words.size()) {
      sql.push_back(words[++i]);
    } else if (word.starts_with("-sql=")) {
      sql.emplace_back(word.substr(5));
    } else {
      rest.push_back(words[i]);
    }
  }
  words = rest;
  return sql;
}

}  // namespace

io::Task<Status> ApplySchema(Call& call) {
  vtctldata::ApplySchemaRequest request;
  vtctldata::ApplySchemaResponse response;
  Arguments sql = TakeSql(call.words);
  std::string sql_file, strategy = "direct", context, caller, shown;
  Arguments uuids;
  Duration wait = std::chrono::seconds(10);
  int64_t batch = 0;
  FlagSet flags = call.Flags();
  flags.Text("sql", &shown, "definitions, separated by semicolons; may be given several times");
  flags.Text("sql-file", &sql_file, "a file of definitions, in place of --sql");
  flags.Text("ddl-strategy", &strategy, "direct; the others belong to a later version");
  flags.TextList("uuid", &uuids, "for Online DDL");
  flags.Text("migration-context", &context, "for Online DDL");
  flags.Time("wait-replicas-timeout", &wait, "how long to wait for replicas to have the change");
  flags.Text("caller-id", &caller, "on whose behalf");
  flags.Int("batch-size", &batch, "accepted; statements run one by one");
  flags.Ignored("allow-long-unavailability", false);
  flags.Ignored("skip-preflight", false);
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  if (sql.empty() == sql_file.empty())
    co_return Fail(Code::kInvalidArgument, "ApplySchema needs one of --sql and --sql-file");
  if (!sql_file.empty()) {
    if (!call.read_file) {
      co_return Fail(
          Code::kInvalidArgument,
          "--sql-file cannot be read inside vtctld: use vtctldclient, or --sql \"$(cat {})\"",
          sql_file);
    }
    Result<std::string> text = call.read_file(sql_file);
    if (!text) co_return Fail(text.error());
    sql.push_back(*text);
  }
  request.set_keyspace(args[0]);
  for (const std::string& text : sql) request.add_sql(text);
  request.set_ddl_strategy(strategy);
  for (const std::string& uuid : uuids) request.add_uuid_list(uuid);
  request.set_migration_context(context);
  request.set_batch_size(batch);
  FillDuration(wait, request.mutable_wait_replicas_timeout());
  if (!caller.empty()) request.mutable_caller_id()->set_principal(caller);
  Status done = co_await call.vtctld.ApplySchema(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (response.uuid_list_size() > 0) {
    call.Line(Join(Arguments(response.uuid_list().begin(), response.uuid_list().end()), "\n"));
  }
  co_return done;
}

io::Task<Status> CopySchemaShard(Call& call) {
  vtctldata::CopySchemaShardRequest request;
  vtctldata::CopySchemaShardResponse response;
  Arguments tables, exclude;
  bool views = true, skip_verify = false;
  Duration wait = std::chrono::seconds(10);
  FlagSet flags = call.Flags();
  flags.TextList("tables", &tables, "these tables; /regexp/ matches several");
  flags.TextList("exclude-tables", &exclude, "not these tables");
  flags.Bool("include-views", &views, "views too");
  flags.Bool("skip-verify", &skip_verify, "do not compare both sides afterwards");
  flags.Time("wait-replicas-timeout", &wait, "how long to wait for replicas to have the tables");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Result<record::KeyspaceShard> to = record::ParseKeyspaceShard(args[1]);
  if (!to) co_return Fail(to.error());
  if (args[0].find('/') == std::string::npos) {
    Status read = ReadAlias(args[0], request.mutable_source_tablet_alias());
    if (!read) co_return read;
  } else {
    Result<record::KeyspaceShard> from = record::ParseKeyspaceShard(args[0]);
    if (!from) co_return Fail(from.error());
    vtctldata::GetShardRequest ask;
    vtctldata::GetShardResponse shard;
    ask.set_keyspace(from->keyspace);
    ask.set_shard_name(from->shard);
    Status found = co_await call.vtctld.GetShard(ask, shard, call.deadline);
    if (!found) co_return found;
    if (shard.shard().shard().primary_alias().cell().empty())
      co_return Fail(Code::kFailedPrecondition, "shard {} has no primary to copy from", args[0]);
    *request.mutable_source_tablet_alias() = shard.shard().shard().primary_alias();
  }
  for (const std::string& table : tables) request.add_tables(table);
  for (const std::string& table : exclude) request.add_exclude_tables(table);
  request.set_include_views(views);
  request.set_skip_verify(skip_verify);
  FillDuration(wait, request.mutable_wait_replicas_timeout());
  request.set_destination_keyspace(to->keyspace);
  request.set_destination_shard(to->shard);
  Status done = co_await call.vtctld.CopySchemaShard(request, response, call.deadline);
  co_return done;
}

io::Task<Status> GetSchema(Call& call) {
  vtctldata::GetSchemaRequest request;
  vtctldata::GetSchemaResponse response;
  Arguments tables, exclude;
  bool views = false, names = false, sizes = false, schema = false;
  FlagSet flags = call.Flags();
  flags.TextList("tables", &tables, "these tables; /regexp/ matches several");
  flags.TextList("exclude-tables", &exclude, "not these tables");
  flags.Bool("include-views", &views, "views too");
  flags.Bool("table-names-only", &names, "names only, a line each");
  flags.Alias("n", "table-names-only");
  flags.Bool("table-sizes-only", &sizes, "names, sizes and row counts only");
  flags.Alias("s", "table-sizes-only");
  flags.Bool("table-schema-only", &schema, "without columns and fields");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet_alias());
  if (!read) co_return read;
  for (const std::string& table : tables) request.add_tables(table);
  for (const std::string& table : exclude) request.add_exclude_tables(table);
  request.set_include_views(views);
  request.set_table_names_only(names);
  request.set_table_sizes_only(sizes);
  request.set_table_schema_only(schema);
  Status done = co_await call.vtctld.GetSchema(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (!names) co_return call.Json(response.schema());
  for (const auto& table : response.schema().table_definitions()) call.Line(table.name());
  co_return done;
}

io::Task<Status> ReloadSchemaShard(Call& call) {
  vtctldata::ReloadSchemaShardRequest request;
  vtctldata::ReloadSchemaShardResponse response;
  int64_t concurrency = 10;
  bool primary = false;
  std::string position;
  FlagSet flags = call.Flags();
  flags.Int("concurrency", &concurrency, "accepted; all tablets reload at once");
  flags.Bool("include-primary", &primary, "the primary too");
  flags.Alias("include-master", "include-primary");
  flags.Text("wait-position", &position, "replicas wait until they have applied this");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_include_primary(primary);
  request.set_wait_position(position);
  request.set_concurrency(static_cast<int32_t>(concurrency));
  Status done = co_await call.vtctld.ReloadSchemaShard(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const logutil::Event& event : response.events()) call.Event(event.value());
  co_return done;
}

io::Task<Status> ReloadSchemaKeyspace(Call& call) {
  vtctldata::ReloadSchemaKeyspaceRequest request;
  vtctldata::ReloadSchemaKeyspaceResponse response;
  int64_t concurrency = 10;
  bool primary = false;
  FlagSet flags = call.Flags();
  flags.Int("concurrency", &concurrency, "accepted; all tablets of a shard reload at once");
  flags.Bool("include-primary", &primary, "the primaries too");
  flags.Alias("include-master", "include-primary");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  request.set_keyspace(args[0]);
  request.set_include_primary(primary);
  request.set_concurrency(static_cast<int32_t>(concurrency));
  Status done = co_await call.vtctld.ReloadSchemaKeyspace(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const logutil::Event& event : response.events()) call.Event(event.value());
  co_return done;
}

}  // namespace paceline::vtctld::command
