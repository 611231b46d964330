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

#define VTCTLD_COMMANDS(X)                                                                          \
  X(AddCellInfo)                                                                                    \
  X(AddCellsAlias) X(DeleteCellInfo) X(DeleteCellsAlias) X(GetCellInfo) X(GetCellInfoNames) X(      \
      GetCellsAliases) X(UpdateCellInfo) X(UpdateCellsAlias) X(CreateKeyspace) X(DeleteKeyspace)    \
      X(FindAllShardsInKeyspace) X(GetKeyspace) X(GetKeyspaces) X(RemoveKeyspaceCell) X(            \
          SetKeyspaceDurabilityPolicy) X(CreateShard) X(DeleteShards) X(GenerateShardRanges)        \
          X(GetShard) X(GetShardReplication) X(RemoveShardCell) X(SetShardIsPrimaryServing) X(      \
              SetShardTabletControl) X(ShardReplicationAdd) X(ShardReplicationFix)                  \
              X(ShardReplicationPositions) X(ShardReplicationRemove) X(SourceShardAdd) X(           \
                  SourceShardDelete) X(ChangeTabletTags) X(ChangeTabletType) X(DeleteTablets)       \
                  X(ExecuteHook) X(GetFullStatus) X(GetTablet) X(GetTablets) X(GetVersion) X(       \
                      PingTablet) X(RefreshState) X(RefreshStateByShard) X(RunHealthCheck)          \
                      X(SetWritable) X(SleepTablet) X(StartReplication) X(StopReplication) X(       \
                          ExecuteFetchAsApp) X(ExecuteFetchAsDBA) X(ExecuteMultiFetchAsDBA)         \
                          X(EmergencyReparentShard) X(InitShardPrimary) X(PlannedReparentShard) X(  \
                              ReparentTablet) X(TabletExternallyReparented) X(ApplySchema)          \
                              X(GetSchema) X(ReloadSchema) X(ReloadSchemaKeyspace) X(               \
                                  ReloadSchemaShard) X(GetVSchema) X(ApplyVSchema)                  \
                                  X(GetRoutingRules) X(ApplyRoutingRules) X(                        \
                                      GetShardRoutingRules) X(ApplyShardRoutingRules)               \
                                      X(GetKeyspaceRoutingRules) X(ApplyKeyspaceRoutingRules) X(    \
                                          GetMirrorRules) X(GetSrvKeyspaceNames) X(GetSrvKeyspaces) \
                                          X(GetSrvVSchema) X(GetSrvVSchemas) X(DeleteSrvVSchema) X( \
                                              RebuildKeyspaceGraph) X(RebuildVSchemaGraph)          \
                                              X(GetTopologyPath) X(WriteTopologyPath) X(            \
                                                  Validate) X(ValidateKeyspace) X(ValidateShard)    \
                                                  X(ValidateSchemaKeyspace) X(                      \
                                                      ValidateSchemaShard) X(ValidateVSchema)       \
                                                      X(ValidateVersionKeyspace) X(                 \
                                                          ValidateVersionShard) X(GetPermissions)   \
                                                          X(ValidatePermissionsKeyspace) X(         \
                                                              ValidatePermissionsShard)             \
                                                              X(GetBackups) X(RemoveBackup) X(      \
                                                                  Backup) X(LegacyVtctlCommand)     \
                                                                  X(ListAllTablets) X(              \
                                                                      ListShardTablets)             \
                                                                      X(ListTablets) X(             \
                                                                          SetReadWrite)             \
                                                                          X(SetReadOnly) X(         \
                                                                              DeleteTablet)         \
                                                                              X(DeleteShard) X(     \
                                                                                  TopoCat)          \
                                                                                  X(GetSrvKeyspace)

namespace command {
#define VTCTLD_DECLARE(Name) io::Task<Status> Name(Call& call);
VTCTLD_COMMANDS(VTCTLD_DECLARE)
VTCTLD_DECLARE(Later)
#undef VTCTLD_DECLARE
}  // namespace command

}  // namespace paceline::vtctld
