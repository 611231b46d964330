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

#include "backup/archive_reader.h"
#include "backup/catalog.h"
#include "io/sync.h"
#include "io/together.h"
#include "mysqld/replication.h"
#include "port/mysqlctl.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "reparent/durability.h"
#include "topo/carried.h"
#include "topo/server.h"
#include "vttablet/manager/archiver.h"
#include "vttablet/manager/disk_care.h"
#include "vttablet/manager/durable_state.h"
#include "vttablet/manager/evidence.h"
#include "vttablet/manager/lease.h"
#include "vttablet/manager/query_side.h"
#include "vttablet/manager/resolver.h"
#include "vttablet/manager/sidecar.h"

namespace paceline::vttablet {

struct DonorSight;
struct Importing;
struct SeedSource;

struct ManagerOptions {
  record::Tablet tablet;  // as it shall be registered; type: what it is while nothing else is known
  std::string state_file;
  std::string topology_copy;  // file; empty: state_file + ".topology"
  std::string sidecar = "_vt";
  std::string app_user = "vt_app";    // of the query side
  mysqld::SourceOptions replication;  // user and password of vt_repl
  Duration status_interval = 500ms;
  Duration demote_grace = 3s;         // for transactions that run when a primary is demoted
  Duration hold_patience = 2500ms;    // for somebody to ask for a term after mysqld died as primary
  Duration undecided_patience = 30s;  // and for the one who asked to come to an end
  // Backups. `place`'s keyspace and shard are filled in from `tablet`.
  port::BackupPlace backups;
  std::string backup_engine;  // empty: the flavor's own
  std::string backup_compression = "zstd";
  bool backup_count_rows = true;     // for their verification
  uint64_t backup_rate = 0;          // bytes a second at most; 0: no limit
  bool archive = false;              // binary logs go to the same storage all the time
  mysql::ConnectOptions log_reader;  // mysqld, and the user that replicates
  mysql::ConnectOptions dba_login;   // mysqld, and its administrator, for imports
  DiskLimits disk;
  // In a keyspace of type SNAPSHOT: whose data it holds, and of when. The tablet restores it once,
  // and serves it read-only as a replica of nobody.
  std::string base_keyspace;
  backup::RestorePoint snapshot;
};

// Of a promotion: what can be known while the tablet is still a replica.
struct Preparation {
  std::optional<port::Written> relay_log;
  std::vector<InsertKey> keys;     // of the tables it writes
  bool database_complete = false;  // the sidecar's tables and the keyspace's database are there
  io::Event applied;               // all that was received
  io::Together reading;

  void Forget() {
    relay_log.reset();
    keys.clear();
    database_complete = false;
    applied.Reset();
  }
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
  // Why its disk takes no writes, with what to do; empty: it does.
  const std::string& disk_error() const { return disk_.Error(); }
  const DiskCare& disk() const { return disk_; }

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
  io::Task<Status> CarriedTopology(const agent::CarriedTopologyRequest&,
                                   agent::CarriedTopologyResponse&, Deadline) override;
  io::Task<Status> Import(const agent::ImportRequest&, agent::ImportResponse&, Deadline) override;

  io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) override;
  io::Task<Status> Backup(const ::tabletmanagerdata::BackupRequest& request,
                          port::BackupEvents& events, Deadline deadline) override;
  io::Task<Status> RestoreFromBackup(const ::tabletmanagerdata::RestoreFromBackupRequest& request,
                                     port::BackupEvents& events, Deadline deadline) override;
  io::Task<Status> VerifyBackup(const agent::VerifyBackupRequest& request,
                                port::BackupEvents& events, Deadline deadline) override;

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

  // Registering (registering.cc). Start registers before anything else runs here.
  io::Task<Status> Register(Deadline deadline);
  // In a topology that was founded anew: what this tablet's records stand on, then, as the primary,
  // the rest of what it carries.
  io::Task<void> KeepTopology();
  io::Task<Status> RefuseTwin(record::Tablet recorded, Deadline deadline);
  io::Task<Status> PublishType(Deadline deadline);
  // The same, in the background, until it has succeeded: clients need not wait for the topology.
  void PublishTypeSoon();
  static io::Task<void> PublishTypeUntilDone(Manager& self);
  io::Task<Status> PublishShard(Deadline deadline);

  // Role (role.cc, comeback.cc). What changes it runs under action_; only the loops that begin such
  // changes (DecideHeld, ConfirmLater) and what merely asks others (FindLaterLeader,
  // LaterTermPromised) do not. ConfirmLater runs beside other calls because an acknowledgement may
  // be long in coming: its term is checked after each wait.
  io::Task<Status> TakeUpRole(Deadline deadline);
  io::Task<Status> ResumePrimary(Deadline deadline);
  io::Task<Status> BecomeReplicaOf(record::TabletAlias primary, bool start,
                                   std::optional<bool> semi_sync, Deadline deadline);
  // How many acknowledgements a commit waits for; remembered before it is set.
  io::Task<Status> SetAcknowledgements(uint32_t count, Deadline deadline);
  // The same on a server that leads already. Errors: kFailedPrecondition, with nothing changed,
  // where it would release sessions that wait for more.
  io::Task<Status> ChangeAcknowledgements(uint32_t count, Deadline deadline);
  io::Task<std::optional<LaterLeader>> FindLaterLeader(Deadline deadline);
  io::Task<std::optional<LaterLeader>> AskWhetherLater(record::Tablet other, Deadline deadline);
  io::Task<Status> ComeBackUnder(LaterLeader leader, bool held, Deadline deadline);
  static io::Task<void> DecideHeld(Manager& self);
  io::Task<bool> LaterTermPromised(Deadline deadline);
  // All that it has is acknowledged now: its log may be cut after a crash.
  io::Task<void> NoteConfirmed();
  // Steps down when the shard's record names a later primary.
  io::Task<void> GiveWay();
  io::Task<record::TabletAlias> WhomToFollow(Deadline deadline);
  // A primary that came back under another address, as pods do, is found by its record.
  io::Task<Status> FollowAddress(std::string host, uint16_t port);
  // `wait_for_ackers`: its first rows are acknowledged when it returns; else that goes on by
  // itself.
  io::Task<Status> BecomePrimary(const agent::PromoteRequest& request, bool wait_for_ackers,
                                 Deadline deadline);
  io::Task<Status> ConfirmPrimary(JournalEntry entry, Deadline deadline);
  // Of one that leads or led, where it has one; nothing where that cannot be read.
  io::Task<Status> ForgetLeftoverSource(Deadline deadline);
  io::Task<void> FinishPromotion(uint64_t term, Deadline deadline);  // REQUIRES: the role mutex
  // By itself, without the role mutex: its first rows may wait long for an acknowledgement.
  void ConfirmSoon(JournalEntry entry);
  static io::Task<void> ConfirmLater(Manager& self, JournalEntry entry);
  // What a promotion reads while the rest of it goes on (attempts.cc). What the relay log tells
  // must be read before anything erases it.
  io::Task<void> Prepare(bool read_relay_log, Deadline deadline);
  io::Task<void> ReadRelayLog(Deadline deadline);
  std::vector<std::string> EvidenceOf(const JournalEntry& entry);
  io::Task<Result<std::vector<port::AttemptOutcome>>> ResolveAttempts(
      std::vector<port::AttemptQuestion> questions, Deadline deadline);
  // For health beats, as long as it leads.
  io::Task<void> LookAtPosition();
  io::Task<Status> PromoteWhen(const agent::PromoteRequest& request, bool wait_for_ackers,
                               Deadline deadline);
  io::Task<Status> PromoteInTurn(const agent::PromoteRequest& request, gtid::Set must,
                                 bool wait_for_ackers, Deadline deadline);
  io::Task<Status> PromoteNow(const agent::PromoteRequest& request, bool wait_for_ackers,
                              Deadline deadline);
  io::Task<Status> StepDown(LaterLeader leader, Deadline deadline);
  io::Task<Status> StopServing(std::string reason, Deadline grace);
  io::Task<Status> CheckTerm(uint64_t term);
  Status StillLeads(uint64_t term) const;
  io::Task<Status> FillState(agent::TabletStateResponse& out, Deadline deadline);
  io::Task<Status> FillFromMysqld(agent::TabletStateResponse& out, Deadline deadline);
  io::Task<Result<reparent::Durability>> DurabilityPolicy(Deadline deadline);
  io::Task<Result<uint32_t>> AcknowledgementsWanted(Deadline deadline);
  // An error where no other tablet acknowledges the primary's commits now, and this one, which
  // may, could not as `type`.
  io::Task<Status> RefuseIfLastAcker(record::TabletType type, Deadline deadline);
  io::Task<bool> AcknowledgesTo(record::Tablet other, record::Tablet leader, Deadline deadline);
  io::Task<Result<bool>> MayAcknowledgeFor(record::TabletAlias primary, Deadline deadline);
  io::Task<Status> Save();
  void ShowServing();
  void StartArchiver();
  // Why the role could not be taken up, in what health tells.
  void TellRoleError(const Status& role);
  // What the lease is to be, from the role and the acknowledgements.
  void UpdateLease();
  void FillGrants(agent::TabletStateResponse& out) const;
  void TellHealth();

  // Seeding (seeding.cc): this tablet's data is replaced by another's, by itself and in the
  // background; meanwhile its type is RESTORE and it takes no part in the shard.
  void NeedSeed(std::string why, bool keep_logs);
  // What its mysqld holds is about to be replaced, or was a moment ago: hands off.
  bool unsettled() const { return seeding_ || placing_; }
  std::string SeedText() const;
  static io::Task<void> SeedLoop(Manager& self);
  io::Task<Status> BeginSeeding(Deadline deadline);
  io::Task<Status> SeedFrom(SeedSource source);
  io::Task<Status> SeedFromBackup(std::string name);
  // The newest that is a part of what the primary has: what is beyond it may be of a lost branch.
  io::Task<Status> SeedFromNewestBackup(gtid::Set leader_has);
  io::Task<Result<backup::BackupEntry>> FindBackup(WallTime not_after);
  // restore_to_point.cc: the newest backup from which `point` can be reached, and what the archive
  // has from there on, for people.
  struct PointPlan {
    std::string backup;
    std::string text;
  };
  io::Task<Result<PointPlan>> PlanPoint(backup::RestorePoint point);
  io::Task<Status> ReplayToPoint();
  // Refuses to replace what a server holds that was not restored here.
  io::Task<Status> BeginSnapshot(Deadline deadline);
  // What SeedLoop is to restore next; says why where nothing can be.
  io::Task<void> PlanSnapshot();
  bool is_snapshot() const { return !options_.base_keyspace.empty(); }
  // Where the backups and the archive are that this tablet restores.
  port::BackupPlace RestorePlace() const;
  io::Task<Status> EndSeeding(Deadline deadline);
  io::Task<Result<std::vector<DonorSight>>> SeeDonors(Deadline deadline);
  struct DonorWatch;
  static io::Task<void> WatchDonor(Manager& self, std::shared_ptr<DonorWatch> watch);
  void TellSeeding(std::string progress,
                   std::optional<port::TransferProgress> transfer = std::nullopt);
  Status FillSeeding(agent::TabletStateResponse& out) const;
  static io::Task<void> RecordSeeding(Manager& self);
  static constexpr const char* kSeedTag = "seed";  // in the record, while it is seeded
  // Whether a server without a transaction may replicate from the primary's beginning. Empty: yes.
  io::Task<Result<std::string>> WhyNotFromTheBeginning(record::TabletAlias primary,
                                                       Deadline deadline);
  io::Task<void> ForgetOldData();
  io::Task<Status> FillSeedFacts(agent::TabletStateResponse& out, Deadline deadline);

  // Importing (importing.cc): the shard's data comes from a foreign server, which is written until
  // a promotion here closes it.
  std::string ImportBar() const;  // why nobody may be promoted here; empty: one may
  mysqld::SourceOptions ForeignSource() const;
  io::Task<Status> SaveImport();
  io::Task<Status> ReachForeign(Deadline deadline);
  io::Task<Status> CheckImport(const agent::ImportRequest&, agent::ImportResponse&, Deadline);
  io::Task<Status> BarImport(const agent::ImportRequest& request, Deadline deadline);
  io::Task<Status> StartImport(const agent::ImportRequest& request, Deadline deadline);
  io::Task<Status> ArmImport(const agent::ImportRequest&, agent::ImportResponse&, Deadline);
  io::Task<Status> ReverseImport(const agent::ImportRequest& request, Deadline deadline);
  io::Task<Status> ReturnImport(const agent::ImportRequest& request, Deadline deadline);
  io::Task<Status> CompleteImport(bool force, Deadline deadline);
  io::Task<Status> CancelImport(const agent::ImportRequest& request, Deadline deadline);
  io::Task<Status> ShowImport(agent::ImportResponse& response, Deadline deadline);
  io::Task<Status> ShowForeign(agent::ImportResponse& response, Deadline deadline);
  void CopySoon();
  static io::Task<void> CopyLoop(Manager& self);
  io::Task<Status> CopyForeign();
  io::Task<Status> BeginReplicating(gtid::Set position, Deadline deadline);
  io::Task<Status> LeaveRoles(Deadline deadline);
  io::Task<Status> WipeData(std::vector<std::string> accounts, Deadline deadline);
  io::Task<bool> LookAtImport();
  io::Task<bool> LookAtForeign();
  io::Task<bool> FollowImporter();
  io::Task<Status> FollowTablet(record::TabletAlias importer, Deadline deadline);
  io::Task<Status> FreezeForeign(Deadline deadline);
  io::Task<void> EndFreeze(Status promoted);
  io::Task<void> ThawForeign();

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
  topo::Carried carried_;
  DurableState state_;
  std::unique_ptr<mysqld::Replication> replication_;
  std::unique_ptr<Resolver> resolver_;
  Preparation preparation_;  // of the promotion under way
  std::string position_;     // of this primary, as health tells it
  std::unique_ptr<Archiver> archiver_;
  io::Mutex action_;  // one change of role at a time
  io::Gate gate_;
  Lease lease_;                       // while it leads
  reparent::GrantPromises promises_;  // while it follows
  DiskCare disk_;
  std::unique_ptr<Importing> import_;
  record::Shard shard_;  // as last seen
  bool mysqld_running_ = false;
  Time mysqld_answered_{};            // when it last did
  std::optional<bool> process_runs_;  // as mysqlctld sees it, while it can be asked
  bool role_known_ = false;           // TakeUpRole has succeeded since mysqld was started
  bool serving_ = false;
  bool type_published_ = true;
  bool publishing_type_ = false;
  struct Address {
    std::string host;
    int32_t port = 0;
  };
  Address told_address_;  // of the primary, by the Repoint that runs
  io::Event look_;        // pulsed: mysqld runs again
  std::string why_not_;
  std::string role_error_;  // of the last try to take up the role
  std::string health_error_;
  std::optional<Duration> lag_;
  uint32_t acknowledgements_ = 0;
  int unpublished_looks_ =
      0;                    // status loops in which this serving primary was not the recorded one
  bool held_ = false;       // mysqld died as primary and waits for this tablet's word
  bool deciding_ = false;   // DecideHeld runs
  std::string needs_seed_;  // why its data cannot be used any more
  bool seeding_ = false;    // SeedLoop runs
  std::string seed_progress_;  // for people: from whom, how far; empty: no seed runs
  std::optional<port::TransferProgress> seed_transfer_;  // the same in figures, while data comes
  std::string restore_;  // the backup that SeedLoop is to take; empty: another tablet
  std::optional<backup::RestorePoint> restore_point_;  // and where it is to end
  std::string replayed_;                               // how far that came, for people
  std::string seed_error_;                             // how the last attempt ended
  bool telling_seed_ = false;                          // RecordSeeding runs
  std::string unusable_;                               // as mysqlctld says
  bool placing_ = false;                               // as mysqlctld says
  bool agent_asked_ = false;  // mysqlctld has told its state, or could not be asked
  bool registered_ = false;   // the record in the topology is this process's
  bool confirming_ = false;   // ConfirmLater runs
};

}  // namespace paceline::vttablet
