// port/tablet_manager.h - the service tabletmanagerservice.TabletManager
// (proto/tabletmanagerservice.proto) as an interface. Requests and responses are the contract's
// messages; include "tabletmanagerdata.pb.h" in the .cc that uses them. Threads: the
// implementation's loop. A request lives until the call has ended.
#pragma once

#include "base/error.h"
#include "base/time.h"
#include "io/sink.h"
#include "io/task.h"
#include "port/backup_event.h"

// X(Method): tabletmanagerdata.MethodRequest -> tabletmanagerdata.MethodResponse.
// clang-format never settles on a layout for this list.
// clang-format off
#define PACELINE_TABLET_MANAGER_METHODS(X)                                                         \
  X(Ping)                                                                                          \
  X(Sleep) X(ExecuteHook) X(GetSchema) X(GetPermissions) X(SetReadOnly) X(SetReadWrite)            \
      X(ChangeTags) X(ChangeType) X(RefreshState) X(RunHealthCheck) X(ReloadSchema)                \
          X(PreflightSchema) X(ApplySchema) X(LockTables) X(UnlockTables) X(ExecuteQuery)          \
              X(ExecuteFetchAsDba) X(ExecuteMultiFetchAsDba) X(ExecuteFetchAsAllPrivs)             \
                  X(ExecuteFetchAsApp) X(ReplicationStatus) X(PrimaryStatus) X(PrimaryPosition)    \
                      X(WaitForPosition) X(StopReplication) X(StopReplicationMinimum)              \
                          X(StartReplication) X(StartReplicationUntilAfter) X(GetReplicas)         \
                              X(ResetReplication) X(InitPrimary) X(PopulateReparentJournal)        \
                                  X(ReadReparentJournalInfo) X(InitReplica) X(DemotePrimary)       \
                                      X(UndoDemotePrimary) X(ReplicaWasPromoted)                   \
                                          X(ResetReplicationParameters) X(FullStatus)              \
                                              X(SetReplicationSource) X(ReplicaWasRestarted)       \
                                                  X(StopReplicationAndGetStatus) X(PromoteReplica) \
                                                      X(GetGlobalStatusVars)
// clang-format on

// X(Method): paceline.agent.MethodRequest -> MethodResponse, service paceline.agent.TabletControl
// (proto/paceline.proto): what carries terms and has no counterpart in Vitess.
// clang-format off
#define PACELINE_TABLET_CONTROL_METHODS(X)                                                         \
  X(PromiseTerm)                                                                                   \
  X(Fence) X(Promote) X(Demote) X(UndoDemote) X(Repoint) X(Grant) X(TabletState) X(CarriedTopology) X(Import)
// clang-format on

#define PACELINE_DECLARE(Method) \
  class Method##Request;         \
  class Method##Response;
namespace tabletmanagerdata {
PACELINE_TABLET_MANAGER_METHODS(PACELINE_DECLARE)
class BackupRequest;
class RestoreFromBackupRequest;
}  // namespace tabletmanagerdata
namespace paceline::agent {
PACELINE_TABLET_CONTROL_METHODS(PACELINE_DECLARE)
class VerifyBackupRequest;
}  // namespace paceline::agent
#undef PACELINE_DECLARE

namespace paceline::port {

class TabletManager {
 public:
  virtual ~TabletManager() = default;
  // A method that is not overridden answers kUnimplemented naming it.
#define PACELINE_METHOD(Method)                                                            \
  virtual io::Task<Status> Method(const ::tabletmanagerdata::Method##Request& request,     \
                                  ::tabletmanagerdata::Method##Response& response,         \
                                  Deadline deadline) {                                     \
    (void)request, (void)response, (void)deadline;                                         \
    co_return Fail(Code::kUnimplemented, "TabletManager." #Method " is not offered here"); \
  }
  PACELINE_TABLET_MANAGER_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method)                                                            \
  virtual io::Task<Status> Method(const agent::Method##Request& request,                   \
                                  agent::Method##Response& response, Deadline deadline) {  \
    (void)request, (void)response, (void)deadline;                                         \
    co_return Fail(Code::kUnimplemented, "TabletControl." #Method " is not offered here"); \
  }
  PACELINE_TABLET_CONTROL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
  // paceline.agent.TabletControl. The tablet's data as its agent streams it, see
  // port::Mysqlctl::StreamData.
  virtual io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) {
    (void)sink, (void)deadline;
    co_return Fail(Code::kUnimplemented, "TabletControl.StreamData is not offered here");
  }
  // paceline.agent.TabletControl. Errors: kDataLoss: the backup is bad; others: nothing was found
  // out.
  virtual io::Task<Status> VerifyBackup(const agent::VerifyBackupRequest& request,
                                        BackupEvents& events, Deadline deadline) {
    (void)request, (void)events, (void)deadline;
    co_return Fail(Code::kUnimplemented, "TabletControl.VerifyBackup is not offered here");
  }
  // tabletmanagerservice.TabletManager, streams of events.
  virtual io::Task<Status> Backup(const ::tabletmanagerdata::BackupRequest& request,
                                  BackupEvents& events, Deadline deadline) {
    (void)request, (void)events, (void)deadline;
    co_return Fail(Code::kUnimplemented, "TabletManager.Backup is not offered here");
  }
  virtual io::Task<Status> RestoreFromBackup(
      const ::tabletmanagerdata::RestoreFromBackupRequest& request, BackupEvents& events,
      Deadline deadline) {
    (void)request, (void)events, (void)deadline;
    co_return Fail(Code::kUnimplemented, "TabletManager.RestoreFromBackup is not offered here");
  }
};

}  // namespace paceline::port
