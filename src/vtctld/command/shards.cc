// Commands on shards.
#include "base/strings.h"
#include "topo/paths.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

io::Task<Status> CreateShard(Call& call) {
  vtctldata::CreateShardRequest request;
  vtctldata::CreateShardResponse response;
  bool force = false, parent = false;
  FlagSet flags = call.Flags();
  flags.Bool("force", &force, "succeed when the shard exists; its record stays as it is");
  flags.Alias("f", "force");
  flags.Bool("include-parent", &parent, "create the keyspace if need be");
  flags.Alias("p", "include-parent");
  flags.Alias("parent", "include-parent");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_force(force);
  request.set_include_parent(parent);
  Status done = co_await call.vtctld.CreateShard(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

namespace {

io::Task<Status> DeleteThem(Call& call, bool many) {
  vtctldata::DeleteShardsRequest request;
  vtctldata::DeleteShardsResponse response;
  bool recursive = false, serving = false, force = false;
  FlagSet flags = call.Flags();
  flags.Bool("recursive", &recursive, "delete their tablets too");
  flags.Alias("r", "recursive");
  flags.Bool("even-if-serving", &serving, "delete a shard that still serves");
  flags.Bool("force", &force, "go on when a shard cannot be locked; for cleaning up only");
  flags.Alias("f", "force");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, many ? 10'000 : 1)) co_return *end;
  for (const std::string& arg : args) {
    Result<record::KeyspaceShard> name = record::ParseKeyspaceShard(arg);
    if (!name) co_return Fail(name.error());
    vtctldata::Shard* shard = request.add_shards();
    shard->set_keyspace(name->keyspace);
    shard->set_name(name->shard);
  }
  request.set_recursive(recursive);
  request.set_even_if_serving(serving);
  request.set_force(force);
  Status done = co_await call.vtctld.DeleteShards(request, response, call.deadline);
  if (done && !call.WholeAsJson(response))
    call.Line(fmt::format("Successfully deleted {} shards", args.size()));
  co_return done;
}

}  // namespace

io::Task<Status> DeleteShards(Call& call) {
  Status done = co_await DeleteThem(call, true);
  co_return done;
}

io::Task<Status> DeleteShard(Call& call) {
  Status done = co_await DeleteThem(call, false);
  co_return done;
}

io::Task<Status> GenerateShardRanges(Call& call) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  std::optional<uint64_t> count = ParseUint(args[0]);
  if (!count || *count == 0 || *count > 65536) {
    co_return Fail(Code::kInvalidArgument, "\"{}\" is no number of shards (1 to 65536)", args[0]);
  }
  // Enough bytes to tell the shards apart, equal widths as far as they go.
  uint64_t n = *count;
  int digits = n <= 256 ? 2 : 4;
  uint64_t space = 1ull << (4 * digits);
  auto border = [&](uint64_t i) {
    return i == 0 || i == n ? std::string() : fmt::format("{:0{}x}", i * space / n, digits);
  };
  std::string text = "[";
  for (uint64_t i = 0; i < n; ++i)
    text += fmt::format("{}\n  \"{}-{}\"", i == 0 ? "" : ",", border(i), border(i + 1));
  call.Line(text + "\n]");
  co_return Status();
}

io::Task<Status> GetShard(Call& call) {
  vtctldata::GetShardRequest request;
  vtctldata::GetShardResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Status done = co_await call.vtctld.GetShard(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.shard());
  co_return done;
}

io::Task<Status> GetShardReplication(Call& call) {
  vtctldata::GetShardReplicationRequest request;
  vtctldata::GetShardReplicationResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 10'000)) co_return *end;
  // The old client names the cell first.
  bool cell_first = args.size() == 2 && args[0].find('/') == std::string::npos;
  if (cell_first) std::swap(args[0], args[1]);
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  for (size_t i = 1; i < args.size(); ++i) request.add_cells(args[i]);
  Status done = co_await call.vtctld.GetShardReplication(request, response, call.deadline);
  if (done) co_return call.Json(response);
  co_return done;
}

io::Task<Status> RemoveShardCell(Call& call) {
  vtctldata::RemoveShardCellRequest request;
  vtctldata::RemoveShardCellResponse response;
  bool recursive = false, force = false;
  FlagSet flags = call.Flags();
  flags.Bool("recursive", &recursive, "delete the shard's tablets in the cell too");
  flags.Alias("r", "recursive");
  flags.Bool("force", &force, "go on when the cell's topology server does not answer");
  flags.Alias("f", "force");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  request.set_cell(args[1]);
  request.set_recursive(recursive);
  request.set_force(force);
  Status done = co_await call.vtctld.RemoveShardCell(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) {
    call.Line(fmt::format("Successfully removed cell {} from shard {}", args[1], args[0]));
  }
  co_return done;
}

io::Task<Status> SetShardIsPrimaryServing(Call& call) {
  vtctldata::SetShardIsPrimaryServingRequest request;
  vtctldata::SetShardIsPrimaryServingResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Result<bool> serving = ParseBool(args[1]);
  if (!serving) co_return Fail(serving.error());
  request.set_is_serving(*serving);
  Status done = co_await call.vtctld.SetShardIsPrimaryServing(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.shard());
  co_return done;
}

io::Task<Status> SetShardTabletControl(Call& call) {
  vtctldata::SetShardTabletControlRequest request;
  vtctldata::SetShardTabletControlResponse response;
  Arguments cells, tables;
  bool remove = false, disable = false;
  FlagSet flags = call.Flags();
  flags.TextList("cells", &cells, "in these cells only");
  flags.Alias("c", "cells");
  flags.TextList("denied-tables", &tables, "tables to refuse (or, with --remove, to admit again)");
  flags.Bool("remove", &remove, "take the control, or the tables given, away");
  flags.Alias("r", "remove");
  flags.Bool("disable-query-service", &disable,
             "switch the shard's query service off; belongs to Reshard");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Result<record::TabletType> type = record::ParseTabletType(args[1]);
  if (!type) co_return Fail(type.error());
  request.set_tablet_type(static_cast<topodata::TabletType>(*type));
  for (const std::string& cell : cells) request.add_cells(cell);
  for (const std::string& table : tables) request.add_denied_tables(table);
  request.set_remove(remove);
  request.set_disable_query_service(disable);
  Status done = co_await call.vtctld.SetShardTabletControl(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) co_return call.Json(response.shard());
  co_return done;
}

io::Task<Status> ShardReplicationAdd(Call& call) {
  vtctldata::ShardReplicationAddRequest request;
  vtctldata::ShardReplicationAddResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (read) read = ReadAlias(args[1], request.mutable_tablet_alias());
  if (!read) co_return read;
  Status done = co_await call.vtctld.ShardReplicationAdd(request, response, call.deadline);
  co_return done;
}

io::Task<Status> ShardReplicationRemove(Call& call) {
  vtctldata::ShardReplicationRemoveRequest request;
  vtctldata::ShardReplicationRemoveResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (read) read = ReadAlias(args[1], request.mutable_tablet_alias());
  if (!read) co_return read;
  Status done = co_await call.vtctld.ShardReplicationRemove(request, response, call.deadline);
  co_return done;
}

io::Task<Status> ShardReplicationFix(Call& call) {
  vtctldata::ShardReplicationFixRequest request;
  vtctldata::ShardReplicationFixResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  request.set_cell(args[0]);
  Status read = ReadShard(args[1], &request);
  if (!read) co_return read;
  Status done = co_await call.vtctld.ShardReplicationFix(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (response.has_error()) {
    call.Line(fmt::format("{} has been fixed for {}.",
                          topodata::ShardReplicationError::Type_Name(response.error().type()),
                          AliasText(response.error().tablet_alias())));
  } else {
    call.Line("All nodes in the replication graph are valid.");
  }
  co_return done;
}

io::Task<Status> ShardReplicationPositions(Call& call) {
  vtctldata::ShardReplicationPositionsRequest request;
  vtctldata::ShardReplicationPositionsResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  Status done = co_await call.vtctld.ShardReplicationPositions(request, response, call.deadline);
  if (done && !call.WholeAsJson(response)) call.out.Print(PositionLines(response, call.names));
  co_return done;
}

io::Task<Status> SourceShardAdd(Call& call) {
  vtctldata::SourceShardAddRequest request;
  vtctldata::SourceShardAddResponse response;
  std::string range;
  Arguments tables;
  FlagSet flags = call.Flags();
  flags.Text("key-range", &range, "as in a shard's name, \"-80\"");
  flags.TextList("tables", &tables, "the tables to replicate");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 3, 3)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  std::optional<int64_t> uid = ParseInt(args[1]);
  if (!uid || *uid < INT32_MIN || *uid > INT32_MAX)
    co_return Fail(Code::kInvalidArgument, "uid \"{}\" is no number", args[1]);
  Result<record::KeyspaceShard> source = record::ParseKeyspaceShard(args[2]);
  if (!source) co_return Fail(source.error());
  request.set_uid(static_cast<int32_t>(*uid));
  request.set_source_keyspace(source->keyspace);
  request.set_source_shard(source->shard);
  for (const std::string& table : tables) request.add_tables(table);
  if (!range.empty()) {
    Result<std::optional<record::KeyRange>> key_range = topo::KeyRangeOfShardName(range);
    if (!key_range) co_return Fail(key_range.error().Context("--key-range"));
    if (*key_range) request.mutable_key_range()->set_start((*key_range)->start);
    if (*key_range) request.mutable_key_range()->set_end((*key_range)->end);
  }
  Status done = co_await call.vtctld.SourceShardAdd(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (response.has_shard()) {
    call.Line("Updated shard record:\n" + ToJson(response.shard()));
  } else {
    call.Line(fmt::format("SourceShard with uid {} already exists for {}, not adding it.", *uid,
                          args[0]));
  }
  co_return done;
}

io::Task<Status> SourceShardDelete(Call& call) {
  vtctldata::SourceShardDeleteRequest request;
  vtctldata::SourceShardDeleteResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (!read) co_return read;
  std::optional<int64_t> uid = ParseInt(args[1]);
  if (!uid || *uid < INT32_MIN || *uid > INT32_MAX)
    co_return Fail(Code::kInvalidArgument, "uid \"{}\" is no number", args[1]);
  request.set_uid(static_cast<int32_t>(*uid));
  Status done = co_await call.vtctld.SourceShardDelete(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  if (response.has_shard()) {
    call.Line("Updated shard record:\n" + ToJson(response.shard()));
  } else {
    call.Line(fmt::format("No SourceShard with uid {}.", *uid));
  }
  co_return done;
}

}  // namespace paceline::vtctld::command
