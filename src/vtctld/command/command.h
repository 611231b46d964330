// vtctld/command/command.h - the commands as people type them: one table for vtctldclient (over
// gRPC), for the legacy service inside vtctld, and for tests. A command parses its words, calls
// port::Vtctld and prints. Threads: the loop of the port. Names compare without case; flags take
// one or two dashes, '-' or '_'.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/flags.h"
#include "port/vtctld.h"
#include "record/record.h"
#include "vtctld/text.h"

namespace google::protobuf {
class Message;
}
namespace topodata {
class TabletAlias;
}

namespace paceline::vtctld {

class Vtctld;
struct Command;

// One call of a command. Lives until the command has ended.
struct Call {
  port::Vtctld& vtctld;
  port::CommandOutput& out;
  Deadline deadline;
  std::vector<std::string> words;  // behind the command's name
  Names names = Names::kToday;
  bool json = false;        // print the whole answer as JSON
  bool compact = false;     // JSON without unset fields
  bool legacy = false;      // in the legacy service: steps are logged, not printed
  Vtctld* local = nullptr;  // inside vtctld: itself
  // Reads a file where the operator sits; empty inside vtctld, where paths would be another
  // machine's.
  std::function<Result<std::string>(const std::string& path)> read_file;
  const Command* command = nullptr;

  // A FlagSet titled with the command, with the flags that all have.
  FlagSet Flags();
  // Parses `words`. A value: the command is to end with it (help was printed, or the words are
  // wrong).
  std::optional<Status> Parse(FlagSet& flags, std::vector<std::string>* arguments, size_t min,
                              size_t max);
  void Line(std::string_view text) const { out.Print(std::string(text) + "\n"); }
  // Prints the message as JSON.
  Status Json(const google::protobuf::Message& message) const;
  // With --json: prints the whole answer and returns true.
  bool WholeAsJson(const google::protobuf::Message& response) const;
  void Event(std::string_view text) const;
};

using CommandFn = io::Task<Status> (*)(Call& call);

enum class Shown : uint8_t {
  kYes,     // in the help of vtctldclient
  kLegacy,  // an old name or a command of the old client only: works, listed apart
  kLater,   // a feature of a later version: refuses by name
  kGone,    // of older clients: refuses, and says what does its work today; listed nowhere
};

struct Command {
  std::string_view name;
  CommandFn run;
  std::string_view group;    // "Tablets"
  std::string_view usage;    // behind the name
  std::string_view summary;  // a sentence
  std::vector<std::string_view> aliases;
  Shown shown = Shown::kYes;
};

std::span<const Command> AllCommands();
// By name or alias, any case; null when unknown.
const Command* FindCommand(std::string_view name);
// The names nearest to what was typed, best first, at most three.
std::vector<std::string> NearestNames(std::string_view typed);
// Sets call.command and runs. Errors: kInvalidArgument for unknown names and wrong words, naming
// what to do.
io::Task<Status> RunCommand(std::string name, Call& call);

// For the files of the table.
Status ReadAlias(const std::string& text, topodata::TabletAlias* out);
template <class Request>
Status ReadShard(const std::string& text, Request* request);
template <class Message>
void FillDuration(Duration from, Message* out) {
  out->set_seconds(from / std::chrono::seconds(1));
  out->set_nanos(static_cast<int32_t>((from % std::chrono::seconds(1)).count()));
}

template <class Request>
Status ReadShard(const std::string& text, Request* request) {
  Result<record::KeyspaceShard> name = record::ParseKeyspaceShard(text);
  if (!name) return Fail(name.error());
  request->set_keyspace(name->keyspace);
  if constexpr (requires { request->set_shard(name->shard); }) {
    request->set_shard(name->shard);
  } else {
    request->set_shard_name(name->shard);
  }
  return {};
}

// One for each name of the table.
namespace command {
io::Task<Status> AddCellInfo(Call&call), AddCellsAlias(Call&call), DeleteCellInfo(Call&call),
    DeleteCellsAlias(Call&call), GetCellInfo(Call&call), GetCellInfoNames(Call&call),
    GetCellsAliases(Call&call), UpdateCellInfo(Call&call), UpdateCellsAlias(Call&call),
    CreateKeyspace(Call&call), DeleteKeyspace(Call&call), FindAllShardsInKeyspace(Call&call),
    GetKeyspace(Call&call), GetKeyspaces(Call&call), RemoveKeyspaceCell(Call&call),
    SetKeyspaceDurabilityPolicy(Call&call), CreateShard(Call&call), DeleteShards(Call&call),
    GenerateShardRanges(Call&call), GetShard(Call&call), GetShardReplication(Call&call),
    RemoveShardCell(Call&call), SetShardIsPrimaryServing(Call&call),
    SetShardTabletControl(Call&call), ShardReplicationAdd(Call&call),
    ShardReplicationFix(Call&call), ShardReplicationPositions(Call&call),
    ShardReplicationRemove(Call&call), SourceShardAdd(Call&call), SourceShardDelete(Call&call),
    ChangeTabletTags(Call&call), ChangeTabletType(Call&call), DeleteTablets(Call&call),
    ExecuteHook(Call&call), GetFullStatus(Call&call), GetTablet(Call&call), GetTablets(Call&call),
    GetVersion(Call&call), PingTablet(Call&call), RefreshState(Call&call),
    RefreshStateByShard(Call&call), RunHealthCheck(Call&call), SetWritable(Call&call),
    SleepTablet(Call&call), StartReplication(Call&call), StopReplication(Call&call),
    ExecuteFetchAsApp(Call&call), ExecuteFetchAsDBA(Call&call), ExecuteMultiFetchAsDBA(Call&call),
    EmergencyReparentShard(Call&call), InitShardPrimary(Call&call), PlannedReparentShard(Call&call),
    ReparentTablet(Call&call), TabletExternallyReparented(Call&call), ApplySchema(Call&call),
    CopySchemaShard(Call&call), TopoCp(Call&call), GetSchema(Call&call), ReloadSchema(Call&call),
    ReloadSchemaKeyspace(Call&call), ReloadSchemaShard(Call&call), GetVSchema(Call&call),
    ApplyVSchema(Call&call), GetRoutingRules(Call&call), ApplyRoutingRules(Call&call),
    GetShardRoutingRules(Call&call), ApplyShardRoutingRules(Call&call),
    GetKeyspaceRoutingRules(Call&call), ApplyKeyspaceRoutingRules(Call&call),
    GetMirrorRules(Call&call), GetSrvKeyspaceNames(Call&call), GetSrvKeyspaces(Call&call),
    GetSrvVSchema(Call&call), GetSrvVSchemas(Call&call), DeleteSrvVSchema(Call&call),
    RebuildKeyspaceGraph(Call&call), RebuildVSchemaGraph(Call&call), RebuildTopology(Call&call),
    SetMaintenance(Call&call), GetMaintenance(Call&call), ResizeStorage(Call&call),
    GetTopologyPath(Call&call), WriteTopologyPath(Call&call), Validate(Call&call),
    ValidateKeyspace(Call&call), ValidateShard(Call&call), ValidateSchemaKeyspace(Call&call),
    ValidateSchemaShard(Call&call), ValidateVSchema(Call&call), ValidateVersionKeyspace(Call&call),
    ValidateVersionShard(Call&call), GetPermissions(Call&call),
    ValidatePermissionsKeyspace(Call&call), ValidatePermissionsShard(Call&call),
    GetBackups(Call&call), RemoveBackup(Call&call), Backup(Call&call), BackupShard(Call&call),
    RestoreFromBackup(Call&call), GetArchive(Call&call), VerifyBackup(Call&call), Import(Call&call),
    LegacyVtctlCommand(Call&call), ListAllTablets(Call&call), ListShardTablets(Call&call),
    ListTablets(Call&call), SetReadWrite(Call&call), SetReadOnly(Call&call),
    DeleteTablet(Call&call), DeleteShard(Call&call), TopoCat(Call&call), GetSrvKeyspace(Call&call),
    Gone(Call&call), Later(Call&call);
}  // namespace command

}  // namespace paceline::vtctld
