#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "base/flags.h"
#include "base/log.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "io/sleep.h"
#include "local/cluster.h"
#include "local/commands.h"
#include "local/preflight.h"
#include "mysqld/config.h"
#include "record/record.h"

namespace paceline::local {
namespace {

constexpr const char* kGreeterFailed = "the greeter's load FAILED: the exit code will not be 0";

struct UpOptions {
  ClusterOptions cluster;
  bool detach = false;
  bool supervise = false;          // the background half of --detach
  std::set<std::string> given;     // the flags that were
  std::vector<std::string> notes;  // where they differ from those that the cluster was made with
};

void Say(const std::string& line) { std::cout << line << "\n" << std::flush; }

bool IsIgnored(int number) {
  struct sigaction now;
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

Status Named(std::string_view flag, const Status& status) {
  return status ? status : Fail(status.error().Context(flag));
}

Result<UpOptions> ParseUp(const std::vector<std::string>& arguments, bool* help) {
  UpOptions options;
  ClusterOptions& c = options.cluster;
  FlagSet flags("paceline up", "[flags]",
                "Starts a local cluster of real processes and stays until it is stopped (Ctrl-C). "
                "Run again, it takes over "
                "what still runs.");
  flags.Text("data-dir", &c.data_dir, "where everything is kept");
  flags.Int("tablets", &c.tablets, "how many tablets, 1 to 50");
  flags.Text("flavor", &c.flavor, "mysql or mariadb; empty: what is found, MySQL first");
  flags.Text("mysqld", &c.mysqld_path, "the mysqld to use; empty: searched for");
  flags.Text("topo", &c.topo, "embedded or etcd (three members)");
  flags.Text("etcd", &c.etcd_path, "the etcd to use; empty: the one in PATH");
  flags.Port("base-port", &c.base_port, "all ports move with it");
  flags.Text("cell", &c.cell, "name of the one cell");
  flags.Text("keyspace", &c.keyspace, "name of the keyspace, shard 0");
  flags.Text("schema", &c.schema_file, "SQL file to apply once the keyspace serves");
  flags.Bool("tls", &c.tls,
             "mutual TLS between all processes, with an authority of the cluster's own");
  flags.Int("vtorcs", &c.vtorcs,
            "how many vtorc, which heal the shard by themselves; 0: nobody does");
  flags.Bool(
      "archive-binlogs", &c.archive,
      "the binary logs go to the folder of backups all the time, for restores to any second");
  flags.Int("vtgate-threads", &c.vtgate_threads, "threads of vtgate; 0: by the number of cores");
  flags.Bool("gate-in-tablet", &c.gate_in_tablet,
             "vtgate and the first vttablet are one process: a hop less where it is primary");
  flags.Bool("init", &c.init, "create the keyspace and elect its first primary");
  flags.Text("backup-flags", &c.backup_flags,
             "flags of backups for vttablet and vtctld, separated by blanks; empty: the folder "
             "backups in the data directory");
  flags.Text("vttablet-flags", &c.vttablet_flags, "more flags for vttablet, separated by blanks");
  flags.Text("vtctld-flags", &c.vtctld_flags, "more flags for vtctld, separated by blanks");
  flags.Int("greeter-seconds", &c.greeter_seconds,
            "run the greeter's load for so long once the cluster serves");
  flags.Text("greeter", &c.greeter, "the greeter's wrapper script (examples/greeter/greeter)");
  flags.Bool("detach", &options.detach,
             "return once the cluster serves; it goes on in the background");
  flags.Bool("supervise", &options.supervise, "the background half of --detach; not for people");
  RETURN_IF_ERROR(flags.ParseFlagsOnly(arguments));
  *help = flags.help_asked();
  if (*help) {
    std::cout << flags.Help();
    return options;
  }
  for (const std::string& name : flags.Names())
    if (flags.WasSet(name)) options.given.insert(name);
  if (c.tablets < 1 || c.tablets > 50)
    return Fail(Code::kInvalidArgument, "--tablets must be 1 to 50");
  if (c.gate_in_tablet && c.vtgate_threads != 0) {
    return Fail(Code::kInvalidArgument,
                "--gate-in-tablet: the gate has the tablet's threads, so "
                "--vtgate-threads has no meaning");
  }
  if (c.vtgate_threads < 0 || c.vtgate_threads > 64) {
    return Fail(Code::kInvalidArgument, "--vtgate-threads must be 0 to 64");
  }
  if (c.vtorcs < 0 || c.vtorcs > 9) return Fail(Code::kInvalidArgument, "--vtorcs must be 0 to 9");
  if (c.flavor != "" && c.flavor != "mysql" && c.flavor != "mariadb") {
    return Fail(Code::kInvalidArgument, "--flavor \"{}\": use mysql or mariadb", c.flavor);
  }
  if (c.topo != "embedded" && c.topo != "etcd") {
    return Fail(Code::kInvalidArgument, "--topo \"{}\": use embedded or etcd", c.topo);
  }
  if (c.base_port < 1024 || c.base_port > 60000) {
    return Fail(Code::kInvalidArgument, "--base-port must be 1024 to 60000");
  }
  RETURN_IF_ERROR(Named("--cell", record::ValidateName("cell", c.cell)));
  RETURN_IF_ERROR(Named("--keyspace", record::ValidateName("keyspace", c.keyspace)));
  if (!c.mysqld_path.empty() && access(c.mysqld_path.c_str(), X_OK) != 0) {
    return Fail(Code::kNotFound, "--mysqld {}: cannot be executed: {}", c.mysqld_path,
                strerror(errno));
  }
  std::error_code error;
  c.data_dir = std::filesystem::absolute(c.data_dir, error).lexically_normal().string();
  while (c.data_dir.size() > 1 && c.data_dir.back() == '/') c.data_dir.pop_back();
  if (c.data_dir.size() > 70) {  // a unix socket's path has 107 bytes
    return Fail(Code::kInvalidArgument,
                "--data-dir {} is too long for the sockets below it (70 bytes at most)",
                c.data_dir);
  }
  if (!c.schema_file.empty()) {
    c.schema_file = std::filesystem::absolute(c.schema_file, error).string();
    if (!std::filesystem::exists(c.schema_file, error)) {
      return Fail(Code::kNotFound, "--schema {} does not exist", c.schema_file);
    }
  }
  return options;
}

// A cluster that is there already keeps its shape. Writes nothing but empty folders.
Status Prepare(UpOptions& options) {
  ClusterOptions& wanted = options.cluster;
  Layout layout(wanted);
  std::error_code error;
  for (const char* folder : {"/log", "/topo", "/backups"}) {
    std::filesystem::create_directories(wanted.data_dir + folder, error);
    if (error)
      return Fail(Code::kPermissionDenied, "cannot make {}{}: {}", wanted.data_dir, folder,
                  error.message());
  }
  if (std::filesystem::exists(layout.OptionsFile(), error)) {
    Result<ClusterOptions> kept = OptionsFromJson(ReadTextFile(layout.OptionsFile()));
    if (!kept) return Fail(kept.error().Context("reading " + layout.OptionsFile()));
    ASSIGN_OR_RETURN(wanted, MergeOptions(*kept, wanted, options.given, &options.notes));
  }
  // Found by itself once, it stays, whatever is installed later.
  for (int i = 0; wanted.flavor.empty() && i < wanted.tablets; ++i) {
    std::optional<gtid::Flavor> flavor = mysqld::FlavorOfData({layout.TabletDir(i)});
    if (flavor) wanted.flavor = *flavor == gtid::Flavor::kMysql ? "mysql" : "mariadb";
  }
  return {};
}

// The empty folders of a start that was refused.
void RemoveEmptyFolders(const std::string& data_dir) {
  for (const char* folder : {"/log", "/topo", "/backups", ""}) {
    std::error_code not_empty;
    std::filesystem::remove(data_dir + folder, not_empty);
  }
}

Status WriteOptions(const ClusterOptions& options) {
  std::string path = Layout(options).OptionsFile();
  std::ofstream file(path, std::ios::trunc);
  file << OptionsToJson(options);
  file.close();
  if (!file) return Fail(Code::kPermissionDenied, "cannot write {}: is the disk full?", path);
  return {};
}

// A first start that failed before any tablet had data leaves only its logs: the next one may be
// told otherwise.
void ForgetWhatNeverWas(const Layout& layout) {
  std::error_code error;
  const ClusterOptions& o = layout.options();
  for (int i = 0; i < o.tablets; ++i) {
    if (std::filesystem::exists(layout.TabletDir(i) + "/data", error)) return;
  }
  std::filesystem::remove_all(o.data_dir + "/topo", error);
  for (int i = 0; i < o.tablets; ++i) std::filesystem::remove_all(layout.TabletDir(i), error);
  for (int i = 0; i < 3; ++i) {
    for (const char* what : {"", ".snapshots"})
      std::filesystem::remove_all(fmt::format("{}/etcd-{}{}", o.data_dir, i, what), error);
  }
  for (const std::string& file : {layout.OptionsFile(), layout.StateFile()})
    std::filesystem::remove(file, error);
}

io::Task<int> RunCluster(UpOptions options, io::SignalWatch* signals) {
  Cluster cluster(options.cluster);
  Supervisor supervisor(cluster.layout());
  Result<SupervisorState> before = ReadState(cluster.layout().StateFile());
  bool leftovers = false;
  if (before) {
    for (const ProcessRecord& record : before->processes)
      leftovers = leftovers || StillRuns(record);
  }
  Status locked = supervisor.Lock();
  if (!locked) {
    Say("FAILED: " + locked.error().ToString());
    co_return 1;
  }
  Status ready;
  // A mysqld that was killed a moment ago may still be letting go of its port.
  Deadline patience = Deadline::In(3s);
  while (!leftovers) {
    ready = CheckPortsFree(cluster.layout());
    if (ready || patience.Passed(io::Loop::Current().Now())) break;
    co_await io::SleepUntil(Deadline::In(100ms));
  }
  if (ready) ready = WriteOptions(options.cluster);
  if (!ready) {
    ForgetWhatNeverWas(cluster.layout());
    Say("FAILED: " + ready.error().ToString());
    co_return 1;
  }
  supervisor.StopWhen([signals] { return signals->Arrived(); });
  Time began = io::Loop::Current().Now();
  std::function<void(std::string)> say = [began](std::string line) {
    Duration since = io::Loop::Current().Now() - began;
    Say(fmt::format("[{:5.1f} s] {}", static_cast<double>(since / 1ms) / 1000, line));
  };
  for (const std::string& note : options.notes) say("changed: " + note);
  bool greeted = true;
  Status started = co_await cluster.Start(supervisor, say);
  if (!started) {
    Status told = supervisor.SetPhase("failed: " + started.error().ToString());
    if (!told) Say(told.error().ToString());
    if (leftovers) {  // it may well serve without us: stopping it is for "paceline down"
      co_await supervisor.Leave();
      Say("FAILED: " + started.error().ToString() + " (what ran before goes on)");
      co_return 1;
    }
    say("failed, stopping what was started");
  } else {
    say("serving");
    Status told = supervisor.SetPhase("ready");
    if (!told) Say(told.error().ToString());
    if (options.cluster.greeter_seconds > 0 && !options.cluster.greeter.empty()) {
      say(fmt::format("the greeter's load for {} s", options.cluster.greeter_seconds));
      io::ProcessOptions load;
      load.argv = {options.cluster.greeter,
                   "load",
                   "--seconds",
                   std::to_string(options.cluster.greeter_seconds),
                   "--mysql",
                   fmt::format("127.0.0.1:{}", cluster.layout().VtgateMysql()),
                   "--keyspace",
                   options.cluster.keyspace};
      Deadline deadline = Deadline::In((options.cluster.greeter_seconds + 120) * 1s);
      Result<io::CommandResult> loaded = co_await io::RunCommand(load, deadline);
      Say(loaded ? loaded->output : loaded.error().ToString());
      greeted = loaded && loaded->exit.code == 0;
      if (!greeted) Say(kGreeterFailed);
    }
    Say("\nThe cluster is up.\n" + cluster.HowToConnect());
    if (!options.supervise) Say("Ctrl-C stops it.");
    std::optional<int> number;
    size_t snapshots = 0;
    while (!number) {
      Status kept = cluster.KeepSnapshots(supervisor, &snapshots);
      if (!kept) Say(kept.error().ToString());
      number = co_await signals->Wait(Deadline::In(500ms));
    }
    Say("stopping");
  }
  Status stopping =
      supervisor.SetPhase(started ? "stopping" : "failed: " + started.error().ToString());
  co_await cluster.Stop(supervisor, say);
  co_await supervisor.Leave();
  if (!started) {
    ForgetWhatNeverWas(cluster.layout());
    Say("FAILED: " + started.error().ToString());
  }
  if (stopping && started) Say("stopped; the data stays in " + options.cluster.data_dir);
  co_return started&& greeted ? 0 : 1;
}

// Starts the supervisor in the background and waits until it says ready or failed.
io::Task<int> Detach(UpOptions options, std::vector<std::string> arguments) {
  Layout layout(options.cluster);
  std::error_code error;
  std::filesystem::remove(layout.LogFile("supervisor"), error);
  io::ProcessOptions process;
  process.argv = {ProgramDir() + "/paceline", "up", "--supervise"};
  process.argv.insert(process.argv.end(), arguments.begin(), arguments.end());
  process.output_file = layout.LogFile("supervisor");
  Result<std::unique_ptr<io::Process>> child = io::Process::Start(io::Loop::Current(), process);
  if (!child) {
    Say("FAILED: " + child.error().ToString());
    co_return 1;
  }
  size_t shown = 0;
  for (Deadline deadline = Deadline::In(300s);;) {
    std::optional<io::ExitStatus> exit = co_await (*child)->WaitExit(Deadline::In(100ms));
    std::string log = ReadTextFile(layout.LogFile("supervisor"));
    std::cout << log.substr(std::min(shown, log.size())) << std::flush;
    shown = log.size();
    if (exit) co_return 1;
    if (log.find("\nThe cluster is up.\n") != std::string::npos)
      co_return log.find(kGreeterFailed) == std::string::npos ? 0 : 1;
    if (deadline.Passed(io::Loop::Current().Now())) {
      Say("FAILED: not up after 300 s; the supervisor goes on, its log: " +
          layout.LogFile("supervisor"));
      co_return 1;
    }
  }
}

}  // namespace

int UpMain(const std::vector<std::string>& arguments, const mysqlctl::Environment& environment) {
  bool help = false;
  Result<UpOptions> options = ParseUp(arguments, &help);
  if (!options) {
    std::cerr << options.error().ToString() << "\n";
    return 2;
  }
  if (help) return 0;
  io::Loop loop;
  Status prepared = Prepare(*options);
  if (prepared) prepared = NobodySupervises(Layout(options->cluster));
  if (prepared) prepared = io::RunUntilDone(loop, CheckMachine(options->cluster, environment));
  if (!prepared) {
    RemoveEmptyFolders(options->cluster.data_dir);
    std::cerr << prepared.error().ToString() << "\n";
    return 1;
  }
  // A terminal that closes stops the cluster like Ctrl-C, except under nohup.
  io::SignalWatch signals(loop, {SIGINT, SIGTERM, IsIgnored(SIGHUP) ? SIGTERM : SIGHUP});
  StartLog({.program = "supervisor", .level = LogLevel::kWarning});
  if (options->detach && !options->supervise)
    return io::RunUntilDone(loop, Detach(*options, arguments));
  return io::RunUntilDone(loop, RunCluster(*options, &signals));
}

}  // namespace paceline::local
