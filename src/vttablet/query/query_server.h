// vttablet/query/query_server.h - the tablet's query service on one loop: statements in, over
// pooled connections to mysqld, raw packets out. A process has one per query loop
// (query/query_group.h holds them together). Threads: its loop's, metrics() apart. Lifetime:
// Close() before destroying.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/loop.h"
#include "io/sync.h"
#include "port/query_service.h"
#include "sql/replication_variables.h"
#include "vttablet/query/admission.h"
#include "vttablet/query/attempts.h"
#include "vttablet/query/disk_refusal.h"
#include "vttablet/query/killer.h"
#include "vttablet/query/marking.h"
#include "vttablet/query/metrics.h"
#include "vttablet/query/pinned.h"
#include "vttablet/query/pool.h"
#include "vttablet/query/reading.h"
#include "vttablet/query/running.h"
#include "vttablet/query/serving_state.h"
#include "vttablet/query/statement_metrics.h"

namespace paceline::vttablet {

struct QueryServerOptions {
  record::TabletAlias alias;
  std::string keyspace, shard;
  uint32_t loop_index = 0;
  PoolOptions pool;
  Duration query_timeout{0};  // zero: the request's deadline alone
  Duration transaction_timeout = std::chrono::seconds(30);
  Duration reserved_idle_timeout = std::chrono::minutes(30);
  Duration kill_grace =
      std::chrono::milliseconds(500);  // past the deadline, for a killed statement to end
  Duration health_beat = std::chrono::milliseconds(250);
};

class QueryServer final : public port::QueryService {
 public:
  QueryServer(io::Loop& loop, QueryServerOptions options);
  ~QueryServer() override;

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override;
  io::Task<Status> Release(record::Target target, uint64_t pinned_id, Deadline deadline) override;
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target target, std::vector<port::AttemptQuestion> questions,
      Deadline deadline) override;
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override;
  io::Task<void> Close() override;

  // From the manager. Not serving refuses everything, open transactions included.
  void SetServing(record::TabletType type, bool serving, std::string reason, uint64_t term,
                  bool leased = false);
  ServingState& state() { return state_; }
  // Refuses new work, waits until statements and transactions have ended or `grace` has passed,
  // then kills the rest. True when nothing had to be killed. SetServing follows it.
  io::Task<bool> Drain(Deadline grace);
  // What health streams say; sent to all watchers at once when it differs.
  void SetHealth(port::TabletHealth health);
  // Owned by the caller, asked in order. Replaces the earlier ones.
  void SetAdmission(std::vector<const Admission*> admission) { admission_ = std::move(admission); }
  // What the disk has no room for; moved by another thread, outlives this.
  void UseDisk(const std::atomic<DiskRefusal>* refusal) { disk_ = refusal; }
  // Who answers questions about attempts, on which loop; it outlives this server.
  void SetResolve(io::Loop& home, vttablet::Resolve resolve) {
    resolve_home_ = &home;
    resolve_ = std::move(resolve);
  }
  // None of `attempts` starts here any more.
  AttemptsSight HoldAttempts(const std::vector<uint32_t>& attempts);
  // After a restart of mysqld: forgets connections that are idle; pinned ones end with `reason`.
  void DropConnections(const std::string& reason);

  const QueryMetrics& metrics() const { return metrics_; }

 private:
  // Where a running statement's connection came from. Whatever ends the statement puts it back.
  struct Lent {
    ConnectionPtr connection;
    Pinned* pinned = nullptr;
    bool limited_by_transaction = false;
    bool leased = false;  // let in under the lease
  };

  // What is in `sets` besides says which texts are to be asked for once there is a connection.
  Status Admit(const port::QueryRequest& request, Time now, sql::ReplicationSets* sets);
  Status AskAdmission(const port::QueryRequest& request);
  Status AskDisk(const port::QueryRequest& request);
  // How the session behind it reads texts. REQUIRES: its settings are the checked ones.
  Reading ReadingOf(const port::QueryRequest& request);
  // True when the server is another one than was thought, so that Admit may answer otherwise.
  bool Learn(const Connection& connection);
  // Admits what PREPARE will find in user variables. Errors: kPermissionDenied and those of
  // admission; others: the connection is of no use.
  io::Task<Status> AdmitComputed(Connection& connection, const port::QueryRequest& request,
                                 std::vector<std::string> computed, bool later, Deadline deadline);
  void Count(const port::QueryRequest& request, const Running& run, bool pumped, Duration took);
  io::Task<Status> TakeConnection(Lent& lent, const port::QueryRequest& request,
                                  port::ResultSink& sink, sql::ReplicationSets* sets,
                                  Deadline deadline);
  io::Task<Status> RunBegin(Running& run, std::string begin);
  io::Task<Status> RunPrepared(Running& run, const port::QueryRequest& request, Marking marking);
  io::Task<Status> RunMarkedPrepared(Running& run, const port::QueryRequest& request,
                                     Marking marking);
  Status SendExecute(Running& run, const port::QueryRequest& request, uint32_t statement_id);
  io::Task<Status> Pump(Running& run);
  void RememberPrepared(Connection& connection, std::string_view text);
  void GiveUp(Running& run, bool Running::*why);

  // Where the connection goes after its statement.
  io::Task<Result<port::QueryEnd>> Settle(Lent& lent, Running& run,
                                          const port::QueryRequest& request, Status pumped);
  Error WhyGivenUp(const Lent& lent, const Running& run, const port::QueryRequest& request) const;
  io::Task<Status> AwaitKill(Running& run);
  io::Task<void> FetchWarnings(Connection& connection, std::vector<port::Warning>* warnings);
  uint64_t Keep(Lent& lent, const port::QueryRequest& request);
  void PutBack(ConnectionPtr connection);
  // Before anything ran on it. `good`: it is in the state in which it was taken.
  void GiveBack(Lent& lent, bool good);
  static io::Task<void> Recycle(QueryServer* self, ConnectionPtr connection);
  static io::Task<void> Outlast(QueryServer* self, ConnectionPtr connection,
                                std::shared_ptr<KillTicket> ticket);
  void EndPinned(uint64_t id, const std::string& reason, bool close);
  void KillPinned(const std::vector<uint64_t>& ids, const std::string& reason);
  static io::Task<void> SweepLoop(QueryServer* self);
  void Sweep();
  void PublishPinned();

  io::Loop& loop_;
  QueryServerOptions options_;
  QueryMetrics metrics_;
  StatementProbe probe_{StatementMetrics::Process()};
  ServingState state_;
  Pool pool_;
  Killer killer_;
  PinnedTable pinned_;
  std::vector<const Admission*> admission_;
  const std::atomic<DiskRefusal>* disk_ = nullptr;
  std::vector<Running*> running_;
  io::Event running_ended_;
  std::vector<Connection*> outlasting_;  // statements that nobody waits for any more
  io::Loop* resolve_home_ = nullptr;
  vttablet::Resolve resolve_;
  std::unordered_map<uint32_t, Time> held_;  // attempts that must not start
  std::deque<uint32_t> left_;
  sql::Dialect dialect_;  // of the server that the latest connection found
  port::SettingsPtr checked_settings_;
  Reading checked_reading_;  // what they make of it
  port::TabletHealth health_;
  uint64_t health_version_ = 0;
  io::Event health_changed_;
  bool closing_ = false;
  io::Gate gate_;
};

}  // namespace paceline::vttablet
