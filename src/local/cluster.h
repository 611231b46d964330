// local/cluster.h - a local cluster: which processes make it, and the steps from nothing to
// serving. Threads: one loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/flags.h"
#include "io/task.h"
#include "local/snapshots.h"
#include "local/supervisor.h"

namespace paceline::local {

// The folder of the running program, where the links vtgate, vttablet ... stand beside it.
std::string ProgramDir();
std::string ReadTextFile(const std::string& path);
// The options of the cluster that is there. Errors: kNotFound.
Result<ClusterOptions> LoadCluster(std::string data_dir);

// The cluster that the words of status or down speak of; a number: exit with it.
std::optional<int> ReadCommandLine(FlagSet& flags, const std::vector<std::string>& arguments,
                                   const std::string& data_dir, Result<ClusterOptions>& options);

class Cluster {
 public:
  explicit Cluster(ClusterOptions options);

  // What every process is started with.
  ProcessSpec Etcd(int member) const;
  ProcessSpec Vtctld() const;
  ProcessSpec Vtorc(int index) const;
  ProcessSpec Mysqlctld(int index) const;
  ProcessSpec Vttablet(int index) const;
  // Of the side keyspace at that place of the list.
  ProcessSpec SnapshotTablet(size_t place, const Snapshot& snapshot) const;
  // Starts what the list has and does not run.
  Status KeepSnapshots(Supervisor& supervisor, size_t* kept) const;
  ProcessSpec Vtgate() const;

  // Starts what is not running and waits until the keyspace serves through vtgate. Each step is
  // told to `say`. Errors name the step and the log to look at. Safe to run again at any point.
  io::Task<Status> Start(Supervisor& supervisor, std::function<void(std::string)> say);
  // Stops all in the order that loses nothing: gate, control, tablets, then each mysqld by a clean
  // shutdown.
  io::Task<void> Stop(Supervisor& supervisor, std::function<void(std::string)> say);

  // Runs vtctldclient against this cluster. Errors: what it printed.
  io::Task<Result<std::string>> Vtctldclient(std::vector<std::string> arguments,
                                             Duration limit) const;
  std::string HowToConnect() const;
  const Layout& layout() const { return layout_; }
  // With those of side keyspaces.
  int AllTablets() const;

 private:
  io::Task<Status> WaitForTcp(const Supervisor& supervisor, int port, std::string what,
                              Duration limit) const;
  io::Task<Status> CreateTopology();
  io::Task<Status> WaitForTablets(const Supervisor& supervisor);
  io::Task<Status> ElectFirstPrimary(const Supervisor& supervisor);
  io::Task<Status> WaitForGate(const Supervisor& supervisor);
  io::Task<Status> ApplySchema();
  std::map<std::string, std::string> Env() const;
  Layout layout_;
};

// Errors: kAlreadyExists naming the cluster's ports that somebody listens on.
Status CheckPortsFree(const Layout& layout);

}  // namespace paceline::local
