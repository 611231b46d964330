// mysqlctl/agent.h - mysqlctld: owns the process of one mysqld and serves port::Mysqlctl.
//
//   no data ---init--> running --dies--> restarting (backoff 100 ms to 10 s) --> running
//                         |                as replica
//                         +--dies as primary, or found dead with that role--> held --Keep-->
//                         running
//                         +--Shutdown--> stopped --Start--> running
//
// mysqld outlives the agent: Stop leaves it running and the next agent adopts it. Threads: the
// loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/sync.h"
#include "mysqlctl/history.h"
#include "mysqlctl/options.h"
#include "mysqlctl/role.h"
#include "mysqld/instance.h"
#include "port/mysqlctl.h"

namespace paceline::mysqlctl {

class Mysqlctld final : public port::Mysqlctl {
 public:
  Mysqlctld(io::Loop& loop, Options options, mysqld::InstanceOptions instance);
  // REQUIRES: Stop has ended.
  ~Mysqlctld() override;

  // Adopts mysqld, or makes and starts it; holds it where it ended as primary. Returns when it is
  // ready or held. Errors: as mysqld::Instance's Init and Start.
  io::Task<Status> Begin(Deadline deadline);
  // Ends watches and waits for what runs; mysqld goes on.
  io::Task<Status> Stop(Deadline deadline);
  port::MysqldState state() const;
  const History& history() const { return history_; }

  io::Task<Status> Start(const ::mysqlctl::StartRequest& request,
                         ::mysqlctl::StartResponse& response, Deadline deadline) override;
  io::Task<Status> Shutdown(const ::mysqlctl::ShutdownRequest& request,
                            ::mysqlctl::ShutdownResponse& response, Deadline deadline) override;
  io::Task<Status> RunMysqlUpgrade(const ::mysqlctl::RunMysqlUpgradeRequest& request,
                                   ::mysqlctl::RunMysqlUpgradeResponse& response,
                                   Deadline deadline) override;
  io::Task<Status> ReinitConfig(const ::mysqlctl::ReinitConfigRequest& request,
                                ::mysqlctl::ReinitConfigResponse& response,
                                Deadline deadline) override;
  io::Task<Status> RefreshConfig(const ::mysqlctl::RefreshConfigRequest& request,
                                 ::mysqlctl::RefreshConfigResponse& response,
                                 Deadline deadline) override;
  io::Task<Status> VersionString(const ::mysqlctl::VersionStringRequest& request,
                                 ::mysqlctl::VersionStringResponse& response,
                                 Deadline deadline) override;
  io::Task<Status> HostMetrics(const ::mysqlctl::HostMetricsRequest& request,
                               ::mysqlctl::HostMetricsResponse& response,
                               Deadline deadline) override;
  io::Task<Status> WatchMysqld(port::MysqldStateSink& sink, Deadline deadline) override;
  io::Task<Status> SetRole(bool primary, Deadline deadline) override;
  io::Task<Status> Keep(Deadline deadline) override;
  io::Task<Result<port::RewindReport>> Rewind(port::RewindOrder order, Deadline deadline) override;
  io::Task<Status> Kill(Deadline deadline) override;
  io::Task<Status> NoteSemiSync(port::SemiSyncNote note, Deadline deadline) override;

 private:
  void OnDeath(const std::string& how);
  io::Task<void> Restart(io::Gate::Pass pass);
  // Under operation_.
  io::Task<Result<port::RewindReport>> RewindLocked(port::RewindOrder order, Deadline deadline);
  io::Task<Status> KillLocked(Deadline deadline);
  io::Task<Status> StartPlain(Deadline deadline);
  io::Task<Status> StartLocked(std::vector<std::string> arguments, Deadline deadline);
  void Changed();
  Status Note(History history);

  io::Loop& loop_;
  Options options_;
  mysqld::Instance instance_;
  Role role_;
  History history_;
  bool held_ = false;
  bool wanted_ = true;  // false after Shutdown: a death then is what was asked for
  bool restarting_ = false;
  Duration backoff_;
  Time started_at_;
  uint64_t changes_ = 0;
  io::Event changed_;
  io::Mutex operation_;  // one of start, stop, config at a time
  io::Gate gate_;
};

struct ParsedOptions {
  Options options;
  bool help = false, version = false;
  std::string help_text;
};
// The flags of mysqlctld, with those of its gRPC server (socket_file, grpc_port). Errors:
// kInvalidArgument.
Result<ParsedOptions> ParseMysqlctldFlags(const std::vector<std::string>& arguments);

}  // namespace paceline::mysqlctl
