// port/vtctld.h - the services vtctlservice.Vtctld and the legacy vtctlservice.Vtctl as an
// interface. Messages are the contract's (include "vtctldata.pb.h" in the .cc). Threads: vtctld's
// loop.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"
#include "port/backup_event.h"

// X(Method): vtctldata.MethodRequest -> vtctldata.MethodResponse.
// clang-format never settles on a layout for this list.
// clang-format off
#define PACELINE_VTCTLD_METHODS(X)                                                                 \
  X(AddCellInfo) X(CopySchemaShard)                                                                \
  X(AddCellsAlias) X(ApplyRoutingRules) X(ApplySchema) X(ApplyKeyspaceRoutingRules) X(             \
      ApplyShardRoutingRules) X(ApplyVSchema) X(ChangeTabletTags) X(ChangeTabletType)              \
      X(CreateKeyspace) X(CreateShard) X(DeleteCellInfo) X(DeleteCellsAlias) X(DeleteKeyspace) X(  \
          DeleteShards) X(DeleteSrvVSchema) X(DeleteTablets) X(EmergencyReparentShard)             \
          X(ExecuteFetchAsApp) X(ExecuteFetchAsDBA) X(ExecuteHook) X(ExecuteMultiFetchAsDBA) X(    \
              FindAllShardsInKeyspace) X(GetBackups) X(GetCellInfo) X(GetCellInfoNames)            \
              X(GetCellsAliases) X(GetFullStatus) X(GetKeyspace) X(GetKeyspaces) X(                \
                  GetKeyspaceRoutingRules) X(GetMirrorRules) X(GetPermissions) X(GetRoutingRules)  \
                  X(GetSchema) X(GetShard) X(GetShardReplication) X(GetShardRoutingRules) X(       \
                      GetSrvKeyspaceNames) X(GetSrvKeyspaces) X(GetSrvVSchema) X(GetSrvVSchemas)   \
                      X(GetTablet) X(GetTablets) X(GetTopologyPath) X(GetVersion) X(GetVSchema) X( \
                          InitShardPrimary) X(PingTablet) X(PlannedReparentShard)                  \
                          X(RebuildKeyspaceGraph) X(RebuildVSchemaGraph) X(RefreshState) X(        \
                              RefreshStateByShard) X(ReloadSchema) X(ReloadSchemaKeyspace)         \
                              X(ReloadSchemaShard) X(RemoveBackup) X(RemoveKeyspaceCell) X(        \
                                  RemoveShardCell) X(ReparentTablet) X(RunHealthCheck)             \
                                  X(SetKeyspaceDurabilityPolicy) X(SetShardIsPrimaryServing) X(    \
                                      SetShardTabletControl) X(SetWritable) X(ShardReplicationAdd) \
                                      X(ShardReplicationFix) X(ShardReplicationPositions) X(       \
                                          ShardReplicationRemove) X(SleepTablet) X(SourceShardAdd) \
                                          X(SourceShardDelete) X(StartReplication)                 \
                                              X(StopReplication) X(TabletExternallyReparented)     \
                                                  X(UpdateCellInfo) X(UpdateCellsAlias)            \
                                                      X(Validate) X(ValidateKeyspace)              \
                                                          X(ValidatePermissionsKeyspace)           \
                                                              X(ValidateSchemaKeyspace)            \
                                                                  X(ValidateShard)                 \
                                                                      X(ValidateVersionKeyspace)   \
                                                                          X(ValidateVersionShard)  \
                                                                              X(ValidateVSchema)
// clang-format on

#define PACELINE_VTCTLD_BACKUP_STREAMS(X) X(Backup) X(BackupShard) X(RestoreFromBackup)

#define PACELINE_DECLARE(Method) \
  class Method##Request;         \
  class Method##Response;
namespace vtctldata {
PACELINE_VTCTLD_METHODS(PACELINE_DECLARE)
class BackupRequest;
class BackupShardRequest;
class RestoreFromBackupRequest;
}  // namespace vtctldata
#undef PACELINE_DECLARE

namespace paceline::port {

// What a legacy command prints, in order; `error` lines go to the client's standard error.
class CommandOutput {
 public:
  virtual ~CommandOutput() = default;
  virtual void Print(std::string_view text) = 0;
  virtual void Log(std::string_view line) = 0;
};

class Vtctld {
 public:
  virtual ~Vtctld() = default;
#define PACELINE_METHOD(Method)                                                                 \
  virtual io::Task<Status> Method(const ::vtctldata::Method##Request& request,                  \
                                  ::vtctldata::Method##Response& response, Deadline deadline) { \
    (void)request, (void)response, (void)deadline;                                              \
    co_return Fail(Code::kUnimplemented, #Method " is not offered by this vtctld");             \
  }
  PACELINE_VTCTLD_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

  // Streams of events.
#define PACELINE_METHOD(Method)                                                     \
  virtual io::Task<Status> Method(const ::vtctldata::Method##Request& request,      \
                                  BackupEvents& events, Deadline deadline) {        \
    (void)request, (void)events, (void)deadline;                                    \
    co_return Fail(Code::kUnimplemented, #Method " is not offered by this vtctld"); \
  }
  PACELINE_VTCTLD_BACKUP_STREAMS(PACELINE_METHOD)
#undef PACELINE_METHOD

  // vtctlservice.Vtctl.ExecuteVtctlCommand: `args` as the operator typed them after the flags of
  // the client.
  virtual io::Task<Status> ExecuteVtctlCommand(std::vector<std::string> args, CommandOutput& output,
                                               Deadline deadline) {
    (void)args, (void)output, (void)deadline;
    co_return Fail(Code::kUnimplemented, "legacy commands are not offered by this vtctld");
  }
};

}  // namespace paceline::port
