#include "mysqlctl/agent.h"

#include <sys/statvfs.h>

#include "base/log.h"
#include "base/strings.h"
#include "io/process.h"
#include "mysqlctl.pb.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

constexpr Duration kBackoffMin = 100ms;
constexpr Duration kBackoffMax = 10s;
// A server that lived so long starts again without a pause.
constexpr Duration kSettled = 30s;
// A server that fails so often, for no reason outside its data, does not start on them.
constexpr int kFailedStartsMax = 3;

Duration FromProto(const ::vttime::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + Duration(duration.nanos());
}

}  // namespace

Mysqlctld::Mysqlctld(io::Loop& loop, Options options, mysqld::InstanceOptions instance)
    : loop_(loop),
      options_(std::move(options)),
      instance_(loop, std::move(instance)),
      role_(ReadRole(instance_.layout())),
      history_(ReadHistory(instance_.layout())),
      backoff_(kBackoffMin) {
  instance_.SetDeathHandler([this](const std::string& how) { OnDeath(how); });
}

Mysqlctld::~Mysqlctld() = default;

port::MysqldState Mysqlctld::state() const {
  port::MysqldState state;
  state.running = instance_.running();
  state.pid = instance_.pid();
  state.start_count = instance_.start_count();
  state.last_exit = instance_.last_exit();
  state.held = held_;
  state.unusable = unusable_;
  state.placing = placing_;
  return state;
}

void Mysqlctld::Changed() {
  ++changes_;
  changed_.Pulse();
}

io::Task<Status> Mysqlctld::Begin(Deadline deadline) {
  Status flavor = instance_.CheckFlavor();
  if (!flavor) co_return flavor;
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status done;
  Status cleared = co_await ClearScratch(deadline);
  if (!cleared) LOG_WARNING("{}", cleared.error().ToString());
  Result<bool> attached = instance_.Attach();
  if (Arriving().Pending()) {
    LOG_INFO("{}: completing a seed that was cut short", instance_.layout().dir);
    Result<std::string> placed = co_await PlaceSeed(deadline);
    if (!placed) LOG_ERROR("{}", placed.error().ToString());
  } else if (attached && *attached) {
    LOG_INFO("adopted mysqld {} of {}", instance_.pid(), instance_.layout().dir);
    started_at_ = loop_.Now();
    Changed();
    done = co_await instance_.WaitReady(deadline);
  } else if (!instance_.Initialized() && role_ == Role::kPrimary) {
    // Never an empty primary.
    held_ = true;
    SetUnusable("its data is gone");
  } else if (!instance_.Initialized()) {
    LOG_INFO("making {} with {}", instance_.layout().dir,
             instance_.options().programs.version.ToString());
    done = co_await instance_.Init(deadline);
    if (done) done = co_await StartPlain(deadline);
  } else if (role_ == Role::kPrimary) {
    LOG_WARNING("mysqld of {} ended as a primary: it waits for vttablet's word",
                instance_.layout().dir);
    held_ = true;
    Changed();
  } else {
    done = co_await StartPlain(deadline);
    if (!done && done.error().code() == Code::kInternal && !instance_.running()) {
      // Its data may be the reason: tried again, and then told as unusable.
      LOG_ERROR("{}", done.error().message());
      done = Status();
      OnDeath("did not start");
    }
  }
  operation_.Unlock();
  co_return done;
}

io::Task<Status> Mysqlctld::StartPlain(Deadline deadline) {
  std::vector<std::string> none;
  Status started = co_await StartLocked(std::move(none), deadline);
  co_return started;
}

io::Task<Status> Mysqlctld::StartLocked(std::vector<std::string> arguments, Deadline deadline) {
  wanted_ = true;
  uint64_t starts = instance_.start_count();
  Status started = co_await instance_.Start(std::move(arguments), deadline);
  // Whoever starts it: it may have died before its seed was settled.
  if (started && Arriving().Placed()) started = co_await SettleSeed(deadline);
  if (started) {
    held_ = false;
    failed_starts_ = 0;
    unusable_.clear();
  }
  if (instance_.start_count() != starts) started_at_ = loop_.Now();
  Changed();
  co_return started;
}

io::Task<Status> Mysqlctld::Stop(Deadline deadline) {
  // Watches look at the gate when they wake.
  Changed();
  for (;;) {
    Deadline turn = Deadline::In(50ms).EarlierOf(deadline);
    bool closed = co_await gate_.Close(turn);
    if (closed) co_return Status();
    if (deadline.Passed(loop_.Now()))
      co_return Fail(Code::kDeadlineExceeded, "mysqlctld still has calls that run");
    Changed();
  }
}

void Mysqlctld::OnDeath(const std::string& how) {
  if (wanted_ && role_ == Role::kPrimary) {
    held_ = true;
    LOG_ERROR("mysqld of {} died as primary ({}): it waits for vttablet's word",
              instance_.layout().dir, how);
  } else if (wanted_) {
    LOG_ERROR("mysqld of {} died ({}): starting it again", instance_.layout().dir, how);
    std::optional<io::Gate::Pass> pass = gate_.Enter();
    if (pass && !restarting_) {
      restarting_ = true;
      io::Detach(Restart(std::move(*pass)));
    }
  } else {
    LOG_INFO("mysqld of {} has stopped ({})", instance_.layout().dir, how);
  }
  Changed();
}

io::Task<void> Mysqlctld::Restart(io::Gate::Pass pass) {
  (void)pass;
  if (loop_.Now() - started_at_ > kSettled) backoff_ = kBackoffMin;
  for (;;) {
    Deadline pause = Deadline::In(backoff_);
    backoff_ = std::min(backoff_ * 2, kBackoffMax);
    bool open = co_await io::Sleep(gate_, pause);
    if (!open) break;
    Deadline deadline = Deadline::In(options_.wait_time);
    Status locked = co_await operation_.Lock(deadline);
    if (!locked) continue;  // a seed may run for hours, and fail in the end
    // Asked again under the lock: Shutdown or a new role may have come meanwhile.
    bool go_on = wanted_ && !instance_.running();
    if (go_on && role_ == Role::kPrimary) {
      held_ = true;
      Changed();
      go_on = false;
    }
    bool gone = go_on && !instance_.Initialized();
    if (gone) {
      SetUnusable("its data is gone");
      go_on = false;
    }
    Status started;
    if (go_on) started = co_await StartPlain(deadline);
    operation_.Unlock();
    if (started) break;
    LOG_ERROR("{}", started.error().message());
    // A full disk, a port in use or a wrong option is nothing that other data would cure.
    bool perhaps_data = started.error().code() == Code::kInternal;
    failed_starts_ = perhaps_data ? failed_starts_ + 1 : 0;
    if (failed_starts_ == kFailedStartsMax)
      SetUnusable("mysqld does not start: " + started.error().message());
  }
  restarting_ = false;
}

io::Task<Status> Mysqlctld::Start(const ::mysqlctl::StartRequest& request,
                                  ::mysqlctl::StartResponse&, Deadline deadline) {
  std::vector<std::string> arguments(request.mysqld_args().begin(), request.mysqld_args().end());
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status started;
  // After SetRole(false) a start is no longer a decision: the data was rewound or seeded anew.
  if (held_ && role_ == Role::kPrimary && !instance_.running()) {
    started = Fail(Code::kFailedPrecondition,
                   "mysqld of {} ended as a primary and is held: it starts on Keep",
                   instance_.layout().dir);
  } else {
    started = co_await StartLocked(std::move(arguments), deadline);
  }
  operation_.Unlock();
  co_return started;
}

io::Task<Status> Mysqlctld::Shutdown(const ::mysqlctl::ShutdownRequest& request,
                                     ::mysqlctl::ShutdownResponse&, Deadline deadline) {
  if (request.has_mysql_shutdown_timeout()) {
    deadline = Deadline::In(FromProto(request.mysql_shutdown_timeout())).EarlierOf(deadline);
  }
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  wanted_ = false;
  Status noted = Note(History());  // sessions that wait are released by a clean stop
  if (!noted) LOG_WARNING("{}", noted.error().ToString());
  Deadline wait = request.wait_for_mysqld() ? deadline : Deadline::In(0s);
  Status stopped = co_await instance_.Shutdown(wait);
  if (!stopped && !request.wait_for_mysqld() && stopped.error().code() == Code::kDeadlineExceeded)
    stopped = Status();
  operation_.Unlock();
  co_return stopped;
}

io::Task<Status> Mysqlctld::RunMysqlUpgrade(const ::mysqlctl::RunMysqlUpgradeRequest&,
                                            ::mysqlctl::RunMysqlUpgradeResponse&,
                                            Deadline deadline) {
  const mysqld::InstanceOptions& instance = instance_.options();
  if (!instance.programs.version.mariadb())
    co_return Status();  // MySQL does it by itself when it starts
  if (instance.programs.upgrade.empty())
    co_return Fail(Code::kNotFound, "found no mariadb-upgrade beside {}", instance.programs.server);
  io::ProcessOptions command;
  command.argv = {instance.programs.upgrade, "--no-defaults",
                  "--socket=" + instance.config.SocketPath(), "--user=" + instance.users.dba.name,
                  "--skip-write-binlog"};
  if (!instance.users.dba.password.empty()) command.env["MYSQL_PWD"] = instance.users.dba.password;
  command.new_session = false;
  Result<io::CommandResult> ran = co_await io::RunCommand(command, deadline);
  if (!ran) co_return Fail(ran.error());
  if (ran->exit.code != 0) {
    co_return Fail(Code::kInternal, "{}: {}: {}", instance.programs.upgrade, ran->exit.ToString(),
                   Trim(ran->output).substr(0, 300));
  }
  co_return Status();
}

io::Task<Status> Mysqlctld::ReinitConfig(const ::mysqlctl::ReinitConfigRequest&,
                                         ::mysqlctl::ReinitConfigResponse&, Deadline deadline) {
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status written = instance_.ReinitConfig();
  operation_.Unlock();
  co_return written;
}

io::Task<Status> Mysqlctld::RefreshConfig(const ::mysqlctl::RefreshConfigRequest&,
                                          ::mysqlctl::RefreshConfigResponse&, Deadline deadline) {
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status written = instance_.InitConfig();
  operation_.Unlock();
  co_return written;
}

io::Task<Status> Mysqlctld::VersionString(const ::mysqlctl::VersionStringRequest&,
                                          ::mysqlctl::VersionStringResponse& response, Deadline) {
  const mysqld::Programs& programs = instance_.options().programs;
  response.set_version(fmt::format("{}  Ver {} ({})", programs.server, programs.version.text,
                                   programs.version.ToString()));
  co_return Status();
}

io::Task<Status> Mysqlctld::HostMetrics(const ::mysqlctl::HostMetricsRequest&,
                                        ::mysqlctl::HostMetricsResponse& response, Deadline) {
  struct statvfs space;
  auto& disk = (*response.mutable_metrics())["datadir-used-ratio"];
  disk.set_name("datadir-used-ratio");
  if (statvfs(instance_.layout().data().c_str(), &space) == 0 && space.f_blocks > 0) {
    disk.set_value(1.0 - static_cast<double>(space.f_bavail) / static_cast<double>(space.f_blocks));
  }
  auto& load = (*response.mutable_metrics())["loadavg"];
  load.set_name("loadavg");
  std::string text = mysqld::ReadFileFrom("/proc/loadavg", 0, 64);
  load.set_value(std::strtod(text.c_str(), nullptr));
  co_return Status();
}

io::Task<Status> Mysqlctld::WatchMysqld(port::MysqldStateSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  while (pass && !gate_.closed()) {
    uint64_t seen = changes_;
    sink.OnState(state());
    while (seen == changes_) {
      bool woken = co_await changed_.Wait(deadline);
      if (!woken)
        co_return Fail(Code::kDeadlineExceeded, "the watch of mysqld ended by its deadline");
    }
  }
  co_return Fail(Code::kCanceled, "mysqlctld is stopping");
}

io::Task<Status> Mysqlctld::SetRole(bool primary, Deadline) {
  Role role = primary ? Role::kPrimary : Role::kReplica;
  // Written also when nothing changes: the file may have been lost, and the promise is that it is
  // there.
  Status written = WriteRole(instance_.layout(), role, instance_.options().user);
  if (written) role_ = role;
  co_return written;
}

io::Task<Status> Mysqlctld::Keep(Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status started;
  // Its recovery commits what nobody has acknowledged.
  if (!instance_.running()) started = Note({.on = history_.on, .confirmed = false});
  if (started && !instance_.running()) started = co_await StartPlain(deadline);
  operation_.Unlock();
  co_return started;
}

Result<ParsedOptions> ParseMysqlctldFlags(const std::vector<std::string>& arguments) {
  ParsedOptions parsed;
  FlagSet flags(
      "mysqlctld", "[flags]",
      "Owns the mysqld of one tablet: makes it, keeps it running, tells vttablet when it dies.");
  AddFlags(flags, parsed.options);
  flags.Text("socket-file", &parsed.options.socket_file, "unix socket of the gRPC server");
  flags.Port("grpc-port", &parsed.options.grpc_port,
             "port of the gRPC server; 0: the socket alone");
  flags.Text("grpc-bind-address", &parsed.options.grpc_bind_address,
             "address of the gRPC server's port");
  flags.Text("tablet-manager-grpc-ca", &parsed.options.tablet_ca,
             "TLS to tablets that data is fetched from: CA of their certificates");
  flags.Text("tablet-manager-grpc-cert", &parsed.options.tablet_cert, "certificate to show them");
  flags.Text("tablet-manager-grpc-key", &parsed.options.tablet_key, "its key");
  flags.Text("tablet-manager-grpc-server-name", &parsed.options.tablet_server_name,
             "name in their certificates; empty: the host of their address");
  flags.Text("pid-file", &parsed.options.pid_file, "file that gets this process's number");
  ASSIGN_OR_RETURN(std::vector<std::string> words, flags.Parse(arguments));
  if (!words.empty())
    return Fail(Code::kInvalidArgument, "mysqlctld takes flags only, not \"{}\"", words[0]);
  parsed.help = flags.help_asked();
  parsed.version = flags.version_asked();
  parsed.help_text = flags.Help();
  return parsed;
}

}  // namespace paceline::mysqlctl
