// vttablet/manager/manager.h - a tablet's will: registers it, keeps its role (primary or replica of
// whom), obeys reparents by term, tells its health. Implements both services of
// port/tablet_manager.h. Threads: one loop. Lifetime: Stop() before destroying.
//
// Role: what the shard record and the durable state say together. A tablet resumes as primary only
// when it led the term it promised last; replication is started by nobody else, and only from the
// primary of the promised term.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/sync.h"
#include "mysqld/replication.h"
#include "port/mysqlctl.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "reparent/durability.h"
#include "topo/server.h"
#include "vttablet/manager/durable_state.h"
#include "vttablet/manager/lease.h"
#include "vttablet/manager/query_side.h"
#include "vttablet/manager/sidecar.h"

namespace paceline::vttablet {

struct ManagerOptions {
  record::Tablet tablet;  // as it shall be registered; type: what it is while nothing else is known
  std::string state_file;
  std::string sidecar = "_vt";
  mysqld::SourceOptions replication;  // user and password of vt_repl
  Duration status_interval = 500ms;
  Duration demote_grace = 3s;         // for transactions that run when a primary is demoted
  Duration hold_patience = 1s;        // for somebody to ask for a term after mysqld died as primary
  Duration undecided_patience = 30s;  // and for the one who asked to come to an end
};

class Manager final : public port::TabletManager, private port::MysqldStateSink {
 public:
  // `dba`: vt_dba on the socket; `app`: vt_app. `agent` may be null: mysqld is somebody else's
  // business then. `call_tablet` gives the manager of another tablet, for finding out whether it
  // lives.
  struct Needs {
    topo::Server* topo = nullptr;
    mysqld::Admin* dba = nullptr;
    mysqld::Admin* app = nullptr;
    mysqld::Admin* allprivs = nullptr;
    port::Mysqlctl* agent = nullptr;
    QuerySide* query = nullptr;
    std::function<std::shared_ptr<port::TabletManager>(const record::Tablet&)> call_tablet;
  };
  Manager(io::Loop& loop, ManagerOptions options, Needs needs);
  ~Manager() override;

  // Waits for mysqld, registers, takes up its role. Errors: kAlreadyExists when another living
  // tablet has the alias.
  io::Task<Status> Start(Deadline deadline);
  io::Task<void> Stop(Deadline deadline);

  const record::Tablet& tablet() const { return tablet_; }
  bool serving() const { return serving_; }
  const std::string& why_not_serving() const { return why_not_; }
  uint64_t promised_term() const { return state_.promised_term; }
  bool mysqld_running() const { return mysqld_running_; }
  std::optional<Duration> lag() const { return lag_; }
  const std::string& replication_error() const { return health_error_; }

  // paceline.agent.TabletControl
  io::Task<Status> PromiseTerm(const agent::PromiseTermRequest&, agent::PromiseTermResponse&,
                               Deadline) override;
  io::Task<Status> Fence(const agent::FenceRequest&, agent::FenceResponse&, Deadline) override;
  io::Task<Status> Promote(const agent::PromoteRequest&, agent::PromoteResponse&,
                           Deadline) override;
  io::Task<Status> Demote(const agent::DemoteRequest&, agent::DemoteResponse&, Deadline) override;
  io::Task<Status> UndoDemote(const agent::UndoDemoteRequest&, agent::UndoDemoteResponse&,
                              Deadline) override;
  io::Task<Status> Repoint(const agent::RepointRequest&, agent::RepointResponse&,
                           Deadline) override;
  io::Task<Status> Grant(const agent::GrantRequest&, agent::GrantResponse&, Deadline) override;
  io::Task<Status> TabletState(const agent::TabletStateRequest&, agent::TabletStateResponse&,
                               Deadline) override;

  // tabletmanagerservice.TabletManager
#define PACELINE_OVERRIDE(Method)                                      \
  io::Task<Status> Method(const ::tabletmanagerdata::Method##Request&, \
                          ::tabletmanagerdata::Method##Response&, Deadline) override;
// clang-format never settles on a layout for this list.
// clang-format off
#define PACELINE_OFFERED_METHODS(X)                                                                \
  X(Ping)                                                                                          \
  X(Sleep) X(GetSchema) X(GetPermissions) X(SetReadOnly) X(SetReadWrite) X(ChangeTags)             \
      X(ChangeType) X(RefreshState) X(RunHealthCheck) X(ReloadSchema) X(ApplySchema)               \
          X(ExecuteQuery) X(ExecuteFetchAsDba) X(ExecuteMultiFetchAsDba) X(ExecuteFetchAsAllPrivs) \
              X(ExecuteFetchAsApp) X(ReplicationStatus) X(PrimaryStatus) X(PrimaryPosition)        \
                  X(WaitForPosition) X(StopReplication) X(StopReplicationMinimum)                  \
                      X(StartReplication) X(GetReplicas) X(ResetReplication) X(InitPrimary)        \
                          X(PopulateReparentJournal) X(ReadReparentJournalInfo) X(InitReplica)     \
                              X(DemotePrimary) X(UndoDemotePrimary) X(ReplicaWasPromoted)          \
                                  X(ResetReplicationParameters) X(FullStatus)                      \
                                      X(SetReplicationSource) X(ReplicaWasRestarted)               \
                                          X(StopReplicationAndGetStatus) X(PromoteReplica)         \
                                              X(GetGlobalStatusVars)
  // clang-format on
  PACELINE_OFFERED_METHODS(PACELINE_OVERRIDE)
#undef PACELINE_OVERRIDE

 private:
  struct LaterLeader {
    record::TabletAlias alias;
    uint64_t term = 0;
    gtid::Set has;
  };

  // port::MysqldStateSink
  void OnState(const port::MysqldState& state) override;

  // Role (role.cc). All of these run under action_.
  io::Task<Status> Register(Deadline deadline);
  io::Task<Status> RefuseTwin(record::Tablet recorded, Deadline deadline);
  io::Task<Status> TakeUpRole(Deadline deadline);
  io::Task<Status> ResumePrimary(Deadline deadline);
  io::Task<Status> BecomeReplicaOf(record::TabletAlias primary, bool start,
                                   std::optional<bool> semi_sync, Deadline deadline);
  // How many acknowledgements a commit waits for; remembered before it is set.
  io::Task<Status> SetAcknowledgements(uint32_t count, Deadline deadline);
  io::Task<std::optional<LaterLeader>> FindLaterLeader(Deadline deadline);
  io::Task<std::optional<LaterLeader>> AskWhetherLater(record::Tablet other, Deadline deadline);
  io::Task<Status> ComeBackUnder(LaterLeader leader, bool held, Deadline deadline);
  static io::Task<void> DecideHeld(Manager& self);
  // All that it has is acknowledged now: its log may be cut after a crash.
  io::Task<void> NoteConfirmed();
  // Steps down when the shard's record names a later primary.
  io::Task<void> GiveWay();
  io::Task<record::TabletAlias> WhomToFollow(Deadline deadline);
  // A primary that came back under another address, as pods do, is found by its record.
  io::Task<Status> FollowAddress(std::string host, uint16_t port);
  // `wait_for_ackers`: its first rows are acknowledged when it returns; else that goes on by
  // itself.
  io::Task<Status> BecomePrimary(uint64_t term, uint32_t acknowledgements, std::string action,
                                 bool wait_for_ackers, Deadline deadline);
  io::Task<Status> ConfirmPrimary(JournalEntry entry, Deadline deadline);
  io::Task<Status> PromoteWhen(const agent::PromoteRequest& request, bool wait_for_ackers,
                               Deadline deadline);
  io::Task<Status> StepDown(LaterLeader leader, Deadline deadline);
  io::Task<Status> StopServing(std::string reason, Deadline grace);
  io::Task<Status> PublishType(Deadline deadline);
  io::Task<Status> PublishShard(Deadline deadline);
  io::Task<Status> CheckTerm(uint64_t term);
  Status StillLeads(uint64_t term) const;
  io::Task<Status> FillState(agent::TabletStateResponse& out, Deadline deadline);
  io::Task<Result<uint32_t>> AcknowledgementsWanted(Deadline deadline);
  io::Task<Result<bool>> MayAcknowledgeFor(record::TabletAlias primary, Deadline deadline);
  io::Task<Status> Save();
  void ShowServing();
  // What the lease is to be, from the role and the acknowledgements.
  void UpdateLease();
  void FillGrants(agent::TabletStateResponse& out) const;
  void TellHealth();

  // Loops.
  static io::Task<void> StatusLoop(Manager& self);
  static io::Task<void> AgentLoop(Manager& self);
  static io::Task<void> ShardLoop(Manager& self);
  io::Task<void> LookAtReplication();
  io::Task<void> OnShardChanged();

  bool is_primary() const { return tablet_.type == record::TabletType::kPrimary; }

  io::Loop& loop_;
  ManagerOptions options_;
  Needs needs_;
  record::Tablet tablet_;
  DurableStateFile file_;
  DurableState state_;
  std::unique_ptr<mysqld::Replication> replication_;
  io::Mutex action_;  // one change of role at a time
  io::Gate gate_;
  Lease lease_;                       // while it leads
  reparent::GrantPromises promises_;  // while it follows
  record::Shard shard_;               // as last seen
  bool mysqld_running_ = false;
  bool mysqld_exited_ = false;  // as mysqlctld told last
  bool role_known_ = false;     // TakeUpRole has succeeded since mysqld was started
  bool serving_ = false;
  std::string why_not_;
  std::string health_error_;
  std::optional<Duration> lag_;
  uint32_t acknowledgements_ = 0;
  int unpublished_looks_ =
      0;                     // status loops in which this serving primary was not the recorded one
  bool held_ = false;        // mysqld died as primary and waits for this tablet's word
  bool deciding_ = false;    // DecideHeld runs
  std::string needs_seed_;   // why its data cannot be used any more
  bool registered_ = false;  // the record in the topology is this process's
  bool confirming_ = false;  // a promotion without waiting is under way
};

}  // namespace paceline::vttablet
