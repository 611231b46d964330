#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "base/check.h"
#include "io/stream.h"

extern char** environ;

namespace paceline::io {
namespace {

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

struct User {
  bool change = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};

Result<User> FindUser(const std::string& name) {
  User user;
  if (name.empty()) return user;
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16 * 1024, '\0');
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return Fail(Code::kNotFound, "there is no user \"{}\" on this machine", name);
  }
  user = {entry.pw_uid != geteuid(), entry.pw_uid, entry.pw_gid, entry.pw_dir};
  if (user.change && geteuid() != 0) {
    return Fail(Code::kPermissionDenied, "only root can start a process as user \"{}\"", name);
  }
  return user;
}

struct Prepared {
  std::vector<char*> argv, env;
  std::vector<std::string> env_texts;
  std::string program;
};

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (access(name.c_str(), X_OK) == 0) return name;
    return Fail(Code::kNotFound, "cannot execute {}: {}", name, strerror(errno));
  }
  const char* path = getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "/usr/bin:/bin");
  std::string folder;
  while (std::getline(folders, folder, ':')) {
    std::string candidate = folder + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return Fail(Code::kNotFound, "program \"{}\" was not found in PATH", name);
}

// In the child, between fork and exec: async-signal-safe calls only. Returns the errno of what
// failed.
int BecomeProgram(const ProcessOptions& options, const User& user, const Prepared& prepared,
                  int output, pid_t parent) {
  if (options.new_session) setsid();
  int input = options.stdin_fd >= 0 ? options.stdin_fd : open("/dev/null", O_RDONLY);
  if (input >= 0) dup2(input, 0);
  if (output >= 0) {
    dup2(output, 1);
    dup2(output, 2);
  }
  if (options.stdout_fd >= 0) dup2(options.stdout_fd, 1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) return errno;
  if (user.change) {
    if (setgroups(1, &user.gid) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0)
      return errno;
  }
  if (options.ends_with_parent) {  // after setuid, which would clear it
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return ESRCH;
  }
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
  execve(prepared.program.c_str(), prepared.argv.data(), prepared.env.data());
  return errno;
}

Result<pid_t> Spawn(const ProcessOptions& options, int output) {
  CHECK(!options.argv.empty());
  ASSIGN_OR_RETURN(User user, FindUser(options.user));
  Prepared prepared;
  ASSIGN_OR_RETURN(prepared.program, FindProgram(options.argv[0]));
  for (const std::string& argument : options.argv)
    prepared.argv.push_back(const_cast<char*>(argument.c_str()));
  prepared.argv.push_back(nullptr);
  std::map<std::string, std::string> env = options.env;
  if (user.change) env.emplace("HOME", user.home);
  for (char** one = environ; *one != nullptr; ++one) {
    std::string_view text = *one;
    if (!env.contains(std::string(text.substr(0, text.find('=')))))
      prepared.env_texts.emplace_back(text);
  }
  for (auto& [name, value] : env) prepared.env_texts.push_back(name + "=" + value);
  for (std::string& text : prepared.env_texts) prepared.env.push_back(text.data());
  prepared.env.push_back(nullptr);

  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0)
    return Fail(Code::kResourceExhausted, "pipe: {}", strerror(errno));
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) {
    int error = BecomeProgram(options, user, prepared, output, parent);
    [[maybe_unused]] ssize_t told = write(report[1], &error, sizeof error);
    _exit(127);
  }
  int fork_error = errno;
  close(report[1]);
  int error = 0;
  ssize_t got = pid > 0 ? read(report[0], &error, sizeof error) : 0;
  close(report[0]);
  if (pid < 0) return Fail(Code::kResourceExhausted, "fork: {}", strerror(fork_error));
  if (got == sizeof error) {
    waitpid(pid, nullptr, 0);
    return Fail(Code::kNotFound, "cannot execute {}: {}", options.argv[0], strerror(error));
  }
  return pid;
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (!known) return "gone";
  return signal != 0 ? fmt::format("signal {}", signal) : fmt::format("exit code {}", code);
}

Result<std::unique_ptr<Process>> Process::Start(Loop& loop, const ProcessOptions& options) {
  int output = -1;
  if (!options.output_file.empty()) {
    output = open(options.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (output < 0) {
      return Fail(Code::kInvalidArgument, "cannot write {}: {}", options.output_file,
                  strerror(errno));
    }
  }
  Result<pid_t> pid = Spawn(options, output);
  if (output >= 0) close(output);
  if (!pid) return Fail(pid.error());
  int pidfd = PidfdOpen(*pid);
  CHECK_MSG(pidfd >= 0, strerror(errno));
  return std::unique_ptr<Process>(new Process(loop, *pid, pidfd, true));
}

Result<std::unique_ptr<Process>> Process::Adopt(Loop& loop, pid_t pid) {
  int pidfd = PidfdOpen(pid);
  if (pidfd < 0) return Fail(Code::kNotFound, "there is no process {}", pid);
  return std::unique_ptr<Process>(new Process(loop, pid, pidfd, false));
}

Process::Process(Loop& loop, pid_t pid, int pidfd, bool child)
    : loop_(loop), pid_(pid), pidfd_(pidfd), child_(child) {
  fcntl(pidfd_, F_SETFD, FD_CLOEXEC);
  CHECK(loop_.Register(pidfd_, *this).has_value());
}

Process::~Process() {
  loop_.Unregister(pidfd_, *this);
  close(pidfd_);
}

void Process::OnReadable(bool) {
  if (exited_.set()) return;
  if (child_) {
    int status = 0;
    pid_t got = waitpid(pid_, &status, WNOHANG);
    if (got == 0) return;
    if (got == pid_) {
      status_.known = true;
      if (WIFEXITED(status)) status_.code = WEXITSTATUS(status);
      if (WIFSIGNALED(status)) status_.signal = WTERMSIG(status);
    }
  }
  exited_.Set();
}

Task<std::optional<ExitStatus>> Process::WaitExit(Deadline deadline) {
  bool exited = co_await exited_.Wait(deadline);
  std::optional<ExitStatus> status;
  if (exited) status = status_;
  co_return status;
}

Status Process::Signal(int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd_, signal, nullptr, 0) == 0) return {};
  return Fail(errno == ESRCH ? Code::kNotFound : Code::kPermissionDenied,
              "signal {} to process {}: {}", signal, pid_, strerror(errno));
}

Task<Result<CommandResult>> RunCommand(ProcessOptions options, Deadline deadline) {
  char name[] = "/tmp/paceline-command-XXXXXX";
  int fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) co_return Fail(Code::kResourceExhausted, "temporary file: {}", strerror(errno));
  unlink(name);
  Result<pid_t> pid = Spawn(options, fd);
  if (!pid) {
    close(fd);
    co_return Fail(pid.error());
  }
  Result<std::unique_ptr<Process>> process = Process::AdoptChild(Loop::Current(), *pid);
  if (!process) {
    close(fd);
    co_return Fail(process.error());
  }
  std::optional<ExitStatus> exit = co_await (*process)->WaitExit(deadline);
  if (!exit) {
    Status killed = (*process)->Signal(SIGKILL);
    Deadline reap = Deadline::In(5s);
    exit = co_await (*process)->WaitExit(reap);
    close(fd);
    co_return Fail(Code::kDeadlineExceeded, "{} did not end in time and was killed",
                   options.argv[0]);
  }
  CommandResult result;
  result.exit = *exit;
  result.output.resize(1 << 20);
  ssize_t got = pread(fd, result.output.data(), result.output.size(), 0);
  close(fd);
  result.output.resize(got > 0 ? static_cast<size_t>(got) : 0);
  co_return result;
}

Result<std::unique_ptr<Process>> Process::AdoptChild(Loop& loop, pid_t pid) {
  int pidfd = PidfdOpen(pid);
  if (pidfd < 0) return Fail(Code::kInternal, "pidfd_open: {}", strerror(errno));
  return std::unique_ptr<Process>(new Process(loop, pid, pidfd, true));
}

std::optional<uint64_t> ProcessStartTicks(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  size_t after_name = text.rfind(')');  // the name may hold spaces and brackets
  if (after_name == std::string::npos) return std::nullopt;
  std::stringstream fields(text.substr(after_name + 1));
  std::string field;
  bool ended = false;
  for (int number = 3; number <= 22; ++number) {
    if (!(fields >> field)) return std::nullopt;
    // A process that has ended but was not waited for: in a container nobody may ever do it for an
    // orphan. While other threads (field 20) still end, it holds its files and ports.
    if (number == 3) ended = field == "Z" || field == "X";
    if (number == 20 && ended && std::stoll(field) <= 1) return std::nullopt;
  }
  return std::stoull(field);
}

}  // namespace paceline::io
