// local/supervisor.h - starts a local cluster's processes, keeps them running, and takes over those
// that a killed supervisor left behind. Threads: one loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/process.h"
#include "io/sync.h"
#include "io/task.h"
#include "local/layout.h"

namespace paceline::local {

struct ProcessSpec {
  std::string name;  // "vtgate", "vttablet-100"
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;
};

// What a supervisor writes down about each process, so that a later one (or status, or down) finds
// it.
struct ProcessRecord {
  std::string name;
  int32_t pid = 0;
  uint64_t start_ticks = 0;
};
struct SupervisorState {
  int32_t supervisor_pid = 0;
  uint64_t supervisor_ticks = 0;
  std::string phase;  // "starting", "ready", "failed: why", "stopping"
  std::vector<ProcessRecord> processes;
};
Result<SupervisorState> ReadState(const std::string& path);
Status WriteState(const std::string& path, const SupervisorState& state);  // atomic
// The process is alive and the same one.
bool StillRuns(const ProcessRecord& record);
// Errors: kAlreadyExists naming the pid of the supervisor that runs in this data directory.
Status NobodySupervises(const Layout& layout);

class Supervisor {
 public:
  explicit Supervisor(Layout layout);
  ~Supervisor();

  // One supervisor per data directory. Errors: kAlreadyExists naming the other's pid.
  Status Lock();
  // Starts the process or takes over the one that runs under this name; from then on it is started
  // again when it ends, at once the first time, then with pauses up to 5 s.
  Status Keep(const ProcessSpec& spec);
  // SIGTERM, then SIGKILL at the deadline; not started again.
  io::Task<void> StopKeeping(std::string name, Deadline deadline);
  Status SetPhase(std::string phase);
  // Whether a start may wait on. Errors: kCanceled when `asked_to_stop` says so; a process has
  // ended by itself each time it was started, named with the last line of its log.
  Status MayWaitOn() const;
  void StopWhen(std::function<bool()> asked_to_stop) { asked_to_stop_ = std::move(asked_to_stop); }
  // Ends the watching of processes; they keep running.
  io::Task<void> Leave();

 private:
  struct Kept;
  static io::Task<void> Watch(Supervisor& self, std::shared_ptr<Kept> kept);
  Status StartProcess(Kept& kept);
  Status Save();

  Layout layout_;
  std::function<bool()> asked_to_stop_ = [] { return false; };
  int lock_fd_ = -1;
  std::string phase_ = "starting";
  std::vector<std::shared_ptr<Kept>> kept_;
  std::vector<ProcessRecord> left_behind_;
  io::Gate gate_;
};

}  // namespace paceline::local
