// mysqld/instance.h - the process of one mysqld and its directory: made, started, adopted, stopped,
// seen to die. The process lives in a session of its own: it outlives this object and the agent,
// and is adopted again by Attach. Threads: the loop's thread; one operation at a time (the caller's
// Mutex). Never runs mysqld as root.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/sync.h"
#include "io/task.h"
#include "mysqld/admin.h"
#include "mysqld/config.h"
#include "mysqld/locate.h"
#include "mysqld/users.h"

namespace paceline::mysqld {

struct InstanceOptions {
  Config config;
  Programs programs;
  Users users;
  std::string
      user;  // the system's user that runs mysqld; must not be empty or root when we are root
  std::string init_sql_file;  // run at init instead of our own users' SQL
  std::string template_dir;   // a new data directory is made here once per version and copied from;
                              // empty: made anew
};

inline constexpr uint64_t kFreeBytesToInit = 96u << 20;  // less, and Init does not begin

class Instance {
 public:
  Instance(io::Loop& loop, InstanceOptions options);
  // Leaves mysqld running. REQUIRES: no operation runs.
  ~Instance();
  Instance(const Instance&) = delete;

  // Whether there is a data directory, ours or Vitess's, that no init left half made.
  bool Initialized() const;
  // Errors: kFailedPrecondition where the data directory was written by the other flavor, naming
  // both: a server must not even be tried on it.
  Status CheckFlavor() const;
  // Makes folders, my.cnf and the data directory with its users; does not start. Errors:
  // kAlreadyExists when there is data; kResourceExhausted, kPermissionDenied for a full or
  // read-only disk; mysqld's own reason as kInternal. Half-made folders are removed again.
  io::Task<Status> Init(Deadline deadline);
  // Folders and my.cnf alone.
  Status InitConfig();
  // Writes my.cnf anew, with a new server id.
  Status ReinitConfig();

  // Starts mysqld and waits until it answers queries. Nothing to do when it runs. Errors:
  // kAlreadyExists naming the port that is in use; as CheckFlavor; kResourceExhausted,
  // kPermissionDenied for the disk; kDeadlineExceeded (it goes on starting); kInternal with the
  // last error of error.log.
  io::Task<Status> Start(std::vector<std::string> more_arguments, Deadline deadline);
  // Finds a mysqld of this directory that runs already. True when there is one.
  Result<bool> Attach();
  // A clean shutdown. REQUIRES: not for a fenced primary, which it would let commit: Kill that.
  // Errors: kDeadlineExceeded: it still stops.
  io::Task<Status> Shutdown(Deadline deadline);
  // SIGKILL, and waits until it is gone.
  io::Task<Status> Kill(Deadline deadline);
  // Stops mysqld and removes the directory. `force`: kill it when it does not stop.
  io::Task<Status> Teardown(bool force, Deadline deadline);
  // Until mysqld answers a query. Errors: as Start.
  io::Task<Status> WaitReady(Deadline deadline);

  bool running() const { return process_ != nullptr && process_->running(); }
  pid_t pid() const { return running() ? process_->pid() : 0; }
  // How often this object has started or adopted a mysqld.
  uint64_t start_count() const { return start_count_; }
  // Empty while it runs or never ran.
  const std::string& last_exit() const { return last_exit_; }
  // Called at once when the process has ended, asked for or not.
  void SetDeathHandler(std::function<void(const std::string& how)> handler) {
    on_death_ = std::move(handler);
  }

  // vt_dba over the unix socket.
  Admin& admin() { return admin_; }
  mysql::ConnectOptions DbaConnectOptions() const;
  const InstanceOptions& options() const { return options_; }
  const Layout& layout() const { return options_.config.layout; }

 private:
  Status CheckUser() const;
  Status CheckPort() const;
  io::Task<Status> MakeData(Config config, Deadline deadline);
  io::Task<Status> MakeFromTemplate(Deadline deadline);
  io::Task<Status> InitSteps(Deadline deadline);
  Status TakeProcess(std::unique_ptr<io::Process> process);
  void OnDeath();

  io::Loop& loop_;
  InstanceOptions options_;
  ConnectionAdmin admin_;
  std::shared_ptr<io::Process> process_;
  class DeathWatch;
  std::unique_ptr<DeathWatch> watch_;
  std::shared_ptr<Instance*>
      self_;  // null inside once this object is gone: for what is still on its way
  uint64_t start_count_ = 0;
  uint64_t log_offset_ = 0;  // size of error.log when mysqld was started last
  std::string last_exit_;
  std::function<void(const std::string&)> on_death_;
};

}  // namespace paceline::mysqld
