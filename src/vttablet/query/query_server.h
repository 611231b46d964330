// vttablet/query/query_server.h - the tablet's query service on one loop: statements in, over
// pooled connections to mysqld, raw packets out. A process has one per query loop
// (query/query_group.h holds them together). Threads: its loop's, metrics() apart. Lifetime:
// Close() before destroying.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/loop.h"
#include "io/sync.h"
#include "port/query_service.h"
#include "vttablet/query/admission.h"
#include "vttablet/query/attempts.h"
#include "vttablet/query/killer.h"
#include "vttablet/query/marking.h"
#include "vttablet/query/metrics.h"
#include "vttablet/query/pinned.h"
#include "vttablet/query/pool.h"
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

  Status Admit(const port::QueryRequest& request, Time now);
  void Count(const port::QueryRequest& request, const Running& run, bool pumped, Duration took);
  io::Task<Status> TakeConnection(Lent& lent, const port::QueryRequest& request,
                                  port::ResultSink& sink, Deadline deadline);
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
  Error WhyGivenUp(const Lent& lent, const Running& run) const;
  io::Task<Status> AwaitKill(Running& run);
  io::Task<void> FetchWarnings(Connection& connection, std::vector<port::Warning>* warnings);
  uint64_t Keep(Lent& lent, const port::QueryRequest& request);
  void PutBack(ConnectionPtr connection);
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
  std::vector<Running*> running_;
  io::Event running_ended_;
  std::vector<Connection*> outlasting_;  // statements that nobody waits for any more
  io::Loop* resolve_home_ = nullptr;
  vttablet::Resolve resolve_;
  std::unordered_map<uint32_t, Time> held_;  // attempts that must not start
  std::deque<uint32_t> left_;
  port::SettingsPtr checked_settings_;
  port::TabletHealth health_;
  uint64_t health_version_ = 0;
  io::Event health_changed_;
  bool closing_ = false;
  io::Gate gate_;
};

}  // namespace paceline::vttablet
