#include "mysqld/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/stream.h"
#include "mysqld/diagnose.h"
#include "mysqld/folder.h"

namespace paceline::mysqld {
namespace {

namespace fs = std::filesystem;

// Below this a server would stop in the middle of its first writes.
constexpr size_t kLogBytesRead = 64 << 10;

// For a message: nobody looks for a log that was never written.
std::string LogThatIs(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) ? path : "";
}

uint64_t FileSize(const std::string& path) {
  std::error_code error;
  auto size = fs::file_size(path, error);
  return error ? 0 : size;
}

// Nothing but mysqlctld's own socket and lock files, if it is there at all.
bool HoldsNothing(const Layout& layout) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(layout.dir, error)) {
    if (!entry.path().filename().string().starts_with("mysqlctl")) return false;
  }
  return true;
}

// Whether `pid` is a mysqld started with this my.cnf.
bool RunsWith(pid_t pid, const std::string& my_cnf) {
  std::string command = ReadFileFrom(fmt::format("/proc/{}/cmdline", pid), 0, 64 << 10);
  for (std::string_view argument : Split(command, '\0')) {
    if (argument == "--defaults-file=" + my_cnf) return true;
  }
  return false;
}

}  // namespace

// A pidfd of its own, so that a death is told at once without a coroutine that waits for ever.
class Instance::DeathWatch final : private io::Source {
 public:
  static Result<std::unique_ptr<DeathWatch>> Open(Instance& owner, pid_t pid) {
    int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) return Fail(Code::kNotFound, "process {} is gone", pid);
    return std::unique_ptr<DeathWatch>(new DeathWatch(owner, fd));
  }
  ~DeathWatch() override {
    owner_.loop_.Unregister(fd_, *this);
    close(fd_);
  }

 private:
  DeathWatch(Instance& owner, int fd) : owner_(owner), fd_(fd) {
    fcntl(fd_, F_SETFD, FD_CLOEXEC);
    CHECK(owner_.loop_.Register(fd_, *this).has_value());
  }
  void OnReadable(bool) override {
    if (!std::exchange(told_, true)) owner_.OnDeath();
  }
  void OnWritable() override {}
  Instance& owner_;
  int fd_;
  bool told_ = false;
};

Instance::Instance(io::Loop& loop, InstanceOptions options)
    : loop_(loop),
      options_(std::move(options)),
      admin_(DbaConnectOptions()),
      self_(std::make_shared<Instance*>(this)) {}

Instance::~Instance() { *self_ = nullptr; }

mysql::ConnectOptions Instance::DbaConnectOptions() const {
  mysql::ConnectOptions connect;
  connect.address = io::Address::Unix(options_.config.SocketPath());
  connect.user = options_.users.dba.name;
  connect.password = options_.users.dba.password;
  return connect;
}

bool Instance::Initialized() const {
  std::error_code ignored;
  return !IsEmptyFolder(layout().data()) && fs::exists(layout().my_cnf(), ignored) &&
         !fs::exists(layout().unfinished_file(), ignored);
}

Status Instance::CheckUser() const {
  if (geteuid() == 0 && (options_.user.empty() || options_.user == "root")) {
    return Fail(Code::kFailedPrecondition,
                "mysqld is not run as root: name another user of this machine for it");
  }
  return {};
}

Status Instance::CheckFlavor() const {
  std::optional<gtid::Flavor> written_by = FlavorOfData(layout());
  const ServerVersion& version = options_.programs.version;
  if (!written_by || *written_by == version.flavor) return {};
  return Fail(Code::kFailedPrecondition,
              "{} holds the data of a {} server, but {} is {}: name the right one with --mysqld or "
              "--flavor",
              layout().data(), *written_by == gtid::Flavor::kMysql ? "MySQL" : "MariaDB",
              options_.programs.server, version.ToString());
}

Status Instance::CheckPort() const {
  const Config& config = options_.config;
  if (config.port == 0) return {};
  std::string host = config.bind_address == "*" ? "0.0.0.0" : config.bind_address;
  auto listener = io::Listener::Listen(loop_, io::Address::Tcp(host, config.port));
  if (listener) return {};
  if (listener.error().code() != Code::kAlreadyExists) return {};  // mysqld will say it better
  return Fail(Code::kAlreadyExists,
              "port {} on {} is in use by another process: mysqld of {} cannot start", config.port,
              config.bind_address, layout().dir);
}

Status Instance::InitConfig() {
  RETURN_IF_ERROR(Validate(options_.config));
  for (const std::string& folder : layout().folders())
    RETURN_IF_ERROR(MakeFolder(folder, options_.user));
  RETURN_IF_ERROR(CheckWritable(layout().dir, kFreeBytesToInit));
  return WriteFileDurably(layout().my_cnf(), MyCnf(options_.config, options_.programs),
                          options_.user);
}

Status Instance::ReinitConfig() {
  RETURN_IF_ERROR(CheckFlavor());
  options_.config.server_id = NewServerId();
  RETURN_IF_ERROR(Validate(options_.config));
  return WriteFileDurably(layout().my_cnf(), MyCnf(options_.config, options_.programs),
                          options_.user);
}

io::Task<Status> Instance::Init(Deadline deadline) {
  Status user = CheckUser();
  if (user) user = CheckPathFor(layout(), options_.programs);
  if (!user) co_return user;
  if (Initialized()) {
    co_return Fail(Code::kAlreadyExists, "{} has data already: start it, or tear it down first",
                   layout().dir);
  }
  std::error_code ignored;
  bool leftovers = fs::exists(layout().unfinished_file(), ignored);
  if (!IsEmptyFolder(layout().data()) && !leftovers) {
    co_return Fail(Code::kAlreadyExists,
                   "{} holds files but {} has no my.cnf: remove it by hand if it is not needed",
                   layout().data(), layout().dir);
  }
  if (leftovers) {
    LOG_WARNING("{}: an earlier init was cut short, its files are made anew", layout().dir);
    for (const std::string& folder :
         {layout().data(), layout().innodb_data(), layout().innodb_logs()}) {
      Status removed = RemoveTree(folder);
      if (!removed) co_return removed;
    }
  }
  bool made_here = HoldsNothing(layout());
  Status made = co_await InitSteps(deadline);
  if (!made && made_here) {
    Status removed = RemoveTree(layout().dir);
    if (!removed) LOG_WARNING("{}", removed.error().message());
  }
  co_return made;
}

io::Task<Status> Instance::InitSteps(Deadline deadline) {
  Status made = MakeFolder(layout().dir, options_.user);
  if (made) made = CheckWritable(layout().dir, kFreeBytesToInit);
  if (made) made = WriteFileDurably(layout().unfinished_file(), "", options_.user);
  if (made) made = InitConfig();
  if (!made) co_return made;
  if (options_.template_dir.empty()) {
    made = co_await MakeData(options_.config, deadline);
  } else {
    made = co_await MakeFromTemplate(deadline);
  }
  if (!made) co_return made;
  if (unlink(layout().unfinished_file().c_str()) != 0) {
    co_return Fail(Code::kInternal, "removing {}: {}", layout().unfinished_file(), strerror(errno));
  }
  co_return Status();
}

// Runs the flavor's initialisation in folders that exist and are empty.
io::Task<Status> Instance::MakeData(Config config, Deadline deadline) {
  const Flavor& flavor = FlavorOf(options_.programs.version);
  std::string script = options_.init_sql_file;
  if (script.empty()) {
    script = config.layout.tmp() + "/init.sql";
    Status written = WriteFileDurably(script, InitSql(options_.users, flavor), options_.user);
    if (!written) co_return written;
  }
  if (options_.programs.version.mariadb() && options_.programs.install_db.empty()) {
    co_return Fail(Code::kNotFound, "found no mariadb-install-db beside {} or in /usr/bin",
                   options_.programs.server);
  }
  io::ProcessOptions command;
  command.argv = flavor.InitCommand(options_.programs, config.layout.my_cnf(), script);
  command.user = options_.user;
  command.directory = config.layout.dir;
  command.new_session = false;
  uint64_t offset = FileSize(config.layout.error_log());
  Result<io::CommandResult> ran = co_await io::RunCommand(command, deadline);
  if (options_.init_sql_file.empty()) unlink(script.c_str());
  if (!ran) co_return Fail(ran.error().Context("initialising " + config.layout.data()));
  // MySQL logs a failing line of the init file and may still end well.
  std::string log = ReadFileFrom(config.layout.error_log(), offset, kLogBytesRead);
  bool failed = ran->exit.code != 0 || log.find("[ERROR]") != std::string::npos;
  if (!failed) co_return Status();
  DiagnoseContext context{
      fmt::format("initialising {} failed ({})", config.layout.data(), ran->exit.ToString()),
      LogThatIs(config.layout.error_log()), 0};
  co_return Fail(Diagnose(log + ran->output, context));
}

io::Task<Status> Instance::MakeFromTemplate(Deadline deadline) {
  const Flavor& flavor = FlavorOf(options_.programs.version);
  std::string inputs = InitSql(options_.users, flavor) + options_.programs.server +
                       options_.init_sql_file + (options_.config.small ? "small" : "");
  std::string key =
      fmt::format("{}-{:016x}", options_.programs.version.text, std::hash<std::string>()(inputs));
  std::string ready = options_.template_dir + "/" + key;
  Status folder = MakeFolder(options_.template_dir, options_.user);
  if (!folder) co_return folder;
  // One of several tablets that start together makes the template; the others wait for it.
  int lock = open((ready + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock < 0)
    co_return Fail(Code::kPermissionDenied, "cannot write {}.lock: {}", ready, strerror(errno));
  io::Gate never_closed;
  while (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (deadline.Passed(SystemClock().Now())) {
      close(lock);
      co_return Fail(Code::kDeadlineExceeded, "waiting for another process to make {}", ready);
    }
    Deadline pause = Deadline::In(20ms);
    [[maybe_unused]] bool slept = co_await io::Sleep(never_closed, pause);
  }
  Status made;
  std::error_code ignored;
  if (!fs::exists(ready, ignored)) {
    Config config = options_.config;
    config.layout.dir = ready + ".making";
    config.socket.clear();
    config.extra.clear();
    made = RemoveTree(config.layout.dir);
    for (const std::string& one : config.layout.folders()) {
      if (made) made = MakeFolder(one, options_.user);
    }
    if (made)
      made =
          WriteFileDurably(config.layout.my_cnf(), MyCnf(config, options_.programs), options_.user);
    if (made) made = co_await MakeData(config, deadline);
    if (made && rename(config.layout.dir.c_str(), ready.c_str()) != 0) {
      made = Fail(Code::kInternal, "renaming {}: {}", config.layout.dir, strerror(errno));
    }
  }
  close(lock);
  if (!made) co_return made;
  io::ProcessOptions copy;
  copy.argv = {
      "cp", "-a", "--reflink=auto", ready + "/data", ready + "/innodb", layout().dir + "/"};
  copy.user = options_.user;
  copy.new_session = false;
  Result<io::CommandResult> copied = co_await io::RunCommand(copy, deadline);
  if (!copied) co_return Fail(copied.error().Context("copying " + ready));
  if (copied->exit.code != 0) {
    DiagnoseContext context{"copying " + ready + " failed", "", 0};
    co_return Fail(Diagnose(copied->output, context));
  }
  for (const std::string& file : flavor.IdentityFiles())
    unlink((layout().data() + "/" + file).c_str());
  co_return Status();
}

Status Instance::TakeProcess(std::unique_ptr<io::Process> process) {
  watch_.reset();
  process_ = std::move(process);
  ++start_count_;
  last_exit_.clear();
  ASSIGN_OR_RETURN(watch_, DeathWatch::Open(*this, process_->pid()));
  return {};
}

void Instance::OnDeath() {
  struct Teller {
    static io::Task<void> Tell(std::shared_ptr<io::Process> process,
                               std::shared_ptr<Instance*> self) {
      // The process's own watch reaps it in this tick or the next.
      Deadline soon = Deadline::In(1s);
      std::optional<io::ExitStatus> status = co_await process->WaitExit(soon);
      Instance* instance = *self;
      if (instance == nullptr || instance->process_ != process) co_return;
      instance->last_exit_ = status ? status->ToString() : "gone";
      instance->admin_.CloseIdle();
      if (instance->on_death_) instance->on_death_(instance->last_exit_);
    }
  };
  io::Detach(Teller::Tell(process_, self_));
}

Result<bool> Instance::Attach() {
  if (running()) return true;
  std::vector<std::string_view> words;
  std::string noted = ReadFileFrom(layout().process_file(), 0, 64);
  words = Split(Trim(noted), ' ');
  std::optional<uint64_t> ticks;
  if (words.size() == 2) ticks = ParseUint(words[1]);
  std::optional<uint64_t> pid = words.empty() ? std::nullopt : ParseUint(words[0]);
  auto is_ours = [&](uint64_t candidate) {
    return candidate > 0 && RunsWith(static_cast<pid_t>(candidate), layout().my_cnf());
  };
  if (!pid || !is_ours(*pid) ||
      (ticks && io::ProcessStartTicks(static_cast<pid_t>(*pid)) != ticks)) {
    // Started by someone else, or the agent died before it could note the process: mysqld's own pid
    // file.
    pid = ParseUint(Trim(ReadFileFrom(layout().pid_file(), 0, 32)));
    if (!pid || !is_ours(*pid)) return false;
  }
  auto process = io::Process::Adopt(loop_, static_cast<pid_t>(*pid));
  // The pidfd is open: if it is still ours now, the pidfd cannot mean another process.
  if (!process || !is_ours(*pid)) return false;
  if (!TakeProcess(std::move(*process))) return false;
  log_offset_ = FileSize(layout().error_log());
  return true;
}

io::Task<Status> Instance::Start(std::vector<std::string> more_arguments, Deadline deadline) {
  Status checked = CheckUser();
  if (checked && !Initialized()) {
    checked =
        Fail(Code::kFailedPrecondition, "{} has no data directory: run init first", layout().dir);
  }
  if (checked) checked = CheckFlavor();
  if (!checked) co_return checked;
  Result<bool> attached = Attach();
  if (!attached) co_return Fail(attached.error());
  if (!*attached) {
    checked = CheckWritable(layout().dir, 0);
    if (checked) checked = TouchFile(layout().error_log(), options_.user);
    if (checked) checked = CheckPort();
    if (!checked) co_return checked;
    log_offset_ = FileSize(layout().error_log());
    // What a killed mysqld left. The lock file names a pid, which in a container soon belongs to
    // another process, and mysqld would refuse to start for ever; InnoDB's own lock still keeps two
    // servers apart.
    for (const char* left : {"", ".lock"}) unlink((options_.config.SocketPath() + left).c_str());
    io::ProcessOptions options;
    options.argv = {options_.programs.server, "--defaults-file=" + layout().my_cnf()};
    for (std::string& argument : more_arguments) options.argv.push_back(std::move(argument));
    options.user = options_.user;
    options.directory = layout().dir;
    options.output_file = layout().error_log();
    Result<std::unique_ptr<io::Process>> process = io::Process::Start(loop_, options);
    if (!process) co_return Fail(process.error());
    pid_t pid = (*process)->pid();
    std::string note = fmt::format("{} {}\n", pid, io::ProcessStartTicks(pid).value_or(0));
    Status noted = WriteFileDurably(layout().process_file(), note, options_.user);
    if (!noted) LOG_WARNING("{}", noted.error().message());
    Status taken = TakeProcess(std::move(*process));
    if (!taken) co_return taken;
  }
  Status ready = co_await WaitReady(deadline);
  co_return ready;
}

io::Task<Status> Instance::WaitReady(Deadline deadline) {
  io::Gate never_closed;
  mysql::ConnectOptions connect = DbaConnectOptions();
  for (;;) {
    if (!running()) {
      std::string how = "it is not running";
      if (process_ != nullptr) {
        Deadline now = Deadline::In(1s);
        std::optional<io::ExitStatus> status = co_await process_->WaitExit(now);
        if (status) how = status->ToString();
      }
      DiagnoseContext context{fmt::format("mysqld of {} did not start ({})", layout().dir, how),
                              LogThatIs(layout().error_log()), options_.config.port};
      co_return Fail(
          Diagnose(ReadFileFrom(layout().error_log(), log_offset_, kLogBytesRead), context));
    }
    std::error_code ignored;
    if (fs::exists(options_.config.SocketPath(), ignored)) {
      Deadline attempt = Deadline::In(2s).EarlierOf(deadline);
      Result<std::unique_ptr<mysql::Connection>> opened =
          co_await mysql::Connection::Connect(connect, attempt);
      if (opened) {
        Status alive = co_await (*opened)->Ping(attempt);
        if (alive) co_return Status();
      } else if (opened.error().from_mysql() || opened.error().code() == Code::kUnauthenticated) {
        co_return Fail(opened.error().Context("logging in to mysqld of " + layout().dir + " as " +
                                              connect.user));
      }
    }
    if (deadline.Passed(SystemClock().Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     "mysqld of {} (pid {}) did not answer on {} in time; see {}", layout().dir,
                     pid(), connect.address.unix_path, layout().error_log());
    }
    Deadline pause = Deadline::In(15ms);
    [[maybe_unused]] bool slept = co_await io::Sleep(never_closed, pause);
  }
}

io::Task<Status> Instance::Shutdown(Deadline deadline) {
  Result<bool> attached = Attach();
  if (!attached) co_return Fail(attached.error());
  if (!*attached) co_return Status();
  std::shared_ptr<io::Process> process = process_;
  Status asked = process->Signal(SIGTERM);
  if (!asked && asked.error().code() != Code::kNotFound) co_return asked;
  std::optional<io::ExitStatus> exit = co_await process->WaitExit(deadline);
  if (!exit) {
    co_return Fail(Code::kDeadlineExceeded, "mysqld of {} (pid {}) has not stopped yet; see {}",
                   layout().dir, process->pid(), layout().error_log());
  }
  unlink(layout().process_file().c_str());
  co_return Status();
}

io::Task<Status> Instance::Kill(Deadline deadline) {
  Result<bool> attached = Attach();
  if (!attached) co_return Fail(attached.error());
  if (!*attached) co_return Status();
  std::shared_ptr<io::Process> process = process_;
  Status killed = process->Signal(SIGKILL);
  if (!killed && killed.error().code() != Code::kNotFound) co_return killed;
  std::optional<io::ExitStatus> exit = co_await process->WaitExit(deadline);
  if (!exit)
    co_return Fail(Code::kDeadlineExceeded, "mysqld (pid {}) is killed but not gone yet",
                   process->pid());
  co_return Status();
}

io::Task<Status> Instance::Teardown(bool force, Deadline deadline) {
  Status stopped = co_await Shutdown(deadline);
  if (!stopped && force) {
    Deadline more = Deadline::In(10s);
    stopped = co_await Kill(more);
  }
  if (!stopped) co_return stopped;
  std::string dir = layout().dir;
  std::function<Status()> remove = [dir] { return RemoveTree(dir); };
  Status removed = co_await io::RunBlocking<Status>(std::move(remove));
  if (removed && !options_.config.socket.empty()) unlink(options_.config.socket.c_str());
  co_return removed;
}

}  // namespace paceline::mysqld
