// mysqlctl/agent.h - mysqlctld: owns the process of one mysqld and serves port::Mysqlctl.
//
// clang-format off
//   no data --init--> running --dies as replica--> restarting --> running    (100 ms to 10 s apart)
//                       |                             +--data gone, or starts on it fail--> unusable
//                       +--dies as primary, or is found dead with that role--> held --Keep--> running
//                       +--Shutdown--> stopped --Start--> running
//   unusable, or any --Seed--> running
// clang-format on
//
// mysqld outlives the agent: Stop leaves it running and the next agent adopts it. Threads: the
// loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/catalog.h"
#include "backup/incoming.h"
#include "io/sync.h"
#include "mysqlctl/history.h"
#include "mysqlctl/options.h"
#include "mysqlctl/role.h"
#include "mysqld/instance.h"
#include "port/mysqlctl.h"
#include "port/tablet_manager.h"

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
  // For whoever runs the agent in his own process.
  mysqld::Instance& instance() { return instance_; }

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
  io::Task<Result<std::string>> Seed(port::SeedOrder order, port::SeedSink& sink,
                                     Deadline deadline) override;
  io::Task<Status> ForgetOldData(bool keep_logs, Deadline deadline) override;
  io::Task<Result<std::string>> Backup(port::BackupOrder order, port::SeedSink& sink,
                                       Deadline deadline) override;
  io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) override;
  io::Task<Result<std::string>> VerifyBackup(port::VerifyOrder order, port::SeedSink& sink,
                                             Deadline deadline) override;

  // How a seed reaches the donor's vttablet; without it there are only clones. Before Begin.
  using CallTablet =
      std::function<std::shared_ptr<port::TabletManager>(const std::string& grpc_address)>;
  void SetCallTablet(CallTablet call) { call_tablet_ = std::move(call); }

  io::Task<Status> Keep(Deadline deadline) override;
  io::Task<Result<port::RewindReport>> Rewind(port::RewindOrder order, Deadline deadline) override;
  io::Task<Status> Kill(Deadline deadline) override;
  io::Task<Status> NoteSemiSync(port::SemiSyncNote note, Deadline deadline) override;
  io::Task<Result<port::Written>> ReadWritten(port::WrittenQuery query, Deadline deadline) override;

 private:
  void OnDeath(const std::string& how);
  io::Task<void> Restart(io::Gate::Pass pass);
  // Under operation_.
  io::Task<Result<port::RewindReport>> RewindLocked(port::RewindOrder order, Deadline deadline);
  io::Task<Status> KillLocked(Deadline deadline);
  io::Task<Result<std::string>> SeedLocked(port::SeedOrder order, port::SeedSink& sink,
                                           Deadline deadline);
  // A transfer that runs, shared with the loop that watches it.
  struct Fetch {
    port::SeedSink* sink = nullptr;
    std::string phase = "copying";  // "preparing": nothing is measured
    std::string path;               // measured for progress, where it is not counted
    std::optional<uint64_t> counted;
    uint64_t total = 0;
    bool ended = false;  // the transfer has
    bool canceled = false;
    std::function<void()> cancel;  // ends it soon
    io::Event unwatched;           // the sink is not used any more
  };
  static io::Task<void> WatchFetch(Mysqlctld& self, std::shared_ptr<Fetch> fetch);
  io::Task<Result<std::string>> FetchData(port::SeedOrder order, std::shared_ptr<Fetch> fetch,
                                          Deadline deadline);
  io::Task<Status> FetchClone(port::SeedOrder order, std::shared_ptr<Fetch> fetch,
                              Deadline deadline);
  io::Task<Result<std::string>> FetchMariabackup(port::SeedOrder order,
                                                 std::shared_ptr<Fetch> fetch, Deadline deadline);
  io::Task<Result<std::string>> FetchBackup(port::SeedOrder order, backup::Incoming incoming,
                                            std::shared_ptr<Fetch> fetch, Deadline deadline);
  // A server of its own in `dir`, for a moment.
  mysqld::InstanceOptions ScratchOptions(std::string dir) const;
  // What an agent that was killed left running or lying: scratch servers and what they worked on.
  io::Task<Status> ClearScratch(Deadline deadline);
  // backup.cc; the streams return the position.
  io::Task<Result<std::string>> BackupAlone(port::BackupOrder order, port::SeedSink& sink,
                                            Deadline deadline);
  class Counted;
  using Tables = std::vector<backup::TableRows>;
  io::Task<Result<std::string>> StreamClone(Counted& to, port::SeedSink& sink, Tables* counted,
                                            Deadline deadline);
  io::Task<Result<std::string>> StartClone(std::string dir, Tables* counted, Deadline deadline);
  io::Task<Result<std::string>> StreamStopped(io::ByteSink& to, Tables* counted, Deadline deadline);
  // logical.cc: read over SQL, and loaded into a server of its own, whose files then arrive.
  io::Task<Result<std::string>> StreamLogical(io::ByteSink& to, Tables* counted, Deadline deadline);
  // What a backup's object holds goes to `to`, counted. Errors: kCanceled: `fetch` was given up;
  // kDataLoss: a part is missing; of ReadStored and of `to`.
  static io::Task<Status> ReadBackup(std::shared_ptr<backup::Storage> storage, std::string path,
                                     backup::FrameOptions frames, backup::StoredObject object,
                                     std::shared_ptr<Fetch> fetch, io::ByteSink& to,
                                     Deadline deadline);
  io::Task<Status> FetchLogical(backup::Catalog catalog, backup::Manifest manifest,
                                std::string path, backup::FrameOptions frames,
                                backup::Incoming incoming, std::shared_ptr<Fetch> fetch,
                                Deadline deadline);
  // verify.cc. Errors of all: kDataLoss: the backup is bad.
  io::Task<Result<std::string>> VerifyAlone(port::VerifyOrder order, port::SeedSink& sink,
                                            Deadline deadline);
  io::Task<Result<std::string>> Judge(backup::Catalog catalog, port::VerifyOrder order,
                                      port::SeedSink& sink, Deadline deadline);
  io::Task<Result<std::string>> CheckArrived(backup::Manifest manifest, backup::Incoming incoming,
                                             std::string position, std::shared_ptr<Fetch> fetch,
                                             Deadline deadline);
  // The arrived data takes its place and mysqld starts on it; who is told of placing() keeps off
  // meanwhile. Returns the position. Under operation_.
  io::Task<Result<std::string>> PlaceSeed(Deadline deadline);
  io::Task<Result<std::string>> StartOnSeed(Deadline deadline);
  // mysqld runs on data that took its place, and gets the history of what it holds.
  io::Task<Status> SettleSeed(Deadline deadline);
  backup::Incoming Arriving() const;
  void SetUnusable(std::string why);
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
  std::string unusable_;    // see port::MysqldState
  int failed_starts_ = 0;   // in a row, for which its data may be the reason
  bool placing_ = false;    // see port::MysqldState
  bool streaming_ = false;  // StreamData runs: one at a time
  bool verifying_ = false;  // VerifyBackup runs: one at a time
  CallTablet call_tablet_;
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
