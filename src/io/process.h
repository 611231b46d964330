// io/process.h - child and adopted processes, watched by pidfd so that a death is seen at once.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/sync.h"
#include "io/task.h"

namespace paceline::io {

struct ProcessOptions {
  std::vector<std::string> argv;           // argv[0] is a path, or a name found in PATH
  std::map<std::string, std::string> env;  // added to this process's own
  // Descriptors of ours that become its standard input and output, and stay open here; -1:
  // /dev/null, and as `output_file` says.
  int stdin_fd = -1, stdout_fd = -1;
  std::string directory;
  std::string user;               // run as this user (needs root); empty: as we are
  std::string output_file;        // standard output and error appended here; empty: inherited
  bool new_session = true;        // survives the death and the terminal of its parent
  bool ends_with_parent = false;  // SIGKILL when the thread that started it ends
};

struct ExitStatus {
  bool known = false;            // false for a process that is not our child
  int code = -1;                 // exit code, or -1
  int signal = 0;                // what killed it, or 0
  std::string ToString() const;  // "exit code 1", "signal 9", "gone"
};

class Process final : private Source {
 public:
  // Errors: kNotFound when the program cannot be executed, naming it.
  static Result<std::unique_ptr<Process>> Start(Loop& loop, const ProcessOptions& options);
  // Watches a process that some earlier run of ours started. Errors: kNotFound when it is gone.
  static Result<std::unique_ptr<Process>> Adopt(Loop& loop, pid_t pid);
  // Watches a child that was started without this class; its exit status is known.
  static Result<std::unique_ptr<Process>> AdoptChild(Loop& loop, pid_t pid);
  // Does not end the process.
  ~Process() override;

  pid_t pid() const { return pid_; }
  bool running() const { return !exited_.set(); }
  // Empty on timeout.
  Task<std::optional<ExitStatus>> WaitExit(Deadline deadline);
  // By pidfd: never reaches another process that got the same number.
  Status Signal(int signal);

 private:
  Process(Loop& loop, pid_t pid, int pidfd, bool child);
  void OnReadable(bool hangup) override;
  void OnWritable() override {}
  Loop& loop_;
  pid_t pid_;
  int pidfd_;
  bool child_;
  ExitStatus status_;
  Event exited_;
};

struct CommandResult {
  ExitStatus exit;
  std::string output;  // standard output and error, at most 1 MB
};
// Runs to its end, killing it at the deadline. Errors: kNotFound, kDeadlineExceeded.
Task<Result<CommandResult>> RunCommand(ProcessOptions options, Deadline deadline);

// Start time of `pid` in clock ticks since boot (field 22 of /proc/PID/stat): with the pid it names
// one process for ever.
std::optional<uint64_t> ProcessStartTicks(pid_t pid);

}  // namespace paceline::io
