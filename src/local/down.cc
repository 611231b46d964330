#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>

#include "base/flags.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "local/cluster.h"
#include "local/commands.h"

namespace paceline::local {

Result<ClusterOptions> LoadCluster(std::string data_dir) {
  std::error_code error;
  data_dir = std::filesystem::absolute(data_dir, error).lexically_normal().string();
  while (data_dir.size() > 1 && data_dir.back() == '/') data_dir.pop_back();
  ClusterOptions where;
  where.data_dir = data_dir;
  std::string text = ReadTextFile(Layout(where).OptionsFile());
  if (text.empty()) {
    return Fail(Code::kNotFound,
                "no local cluster in {}: start one with \"paceline up\", or name its --data-dir",
                data_dir);
  }
  ASSIGN_OR_RETURN(ClusterOptions options, OptionsFromJson(text));
  options.data_dir = data_dir;
  return options;
}

namespace {

void Say(const std::string& line) { std::cout << line << "\n" << std::flush; }

io::Task<bool> WaitGone(ProcessRecord record, Deadline deadline) {
  while (StillRuns(record)) {
    if (deadline.Passed(io::Loop::Current().Now())) co_return false;
    co_await io::SleepUntil(Deadline::In(50ms));
  }
  co_return true;
}

io::Task<int> StopAll(ClusterOptions options) {
  Cluster cluster(options);
  Result<SupervisorState> state = ReadState(cluster.layout().StateFile());
  if (!state) {
    Say("nothing runs in " + options.data_dir);
    co_return 0;
  }
  ProcessRecord supervisor_record{"supervisor", state->supervisor_pid, state->supervisor_ticks};
  if (StillRuns(supervisor_record)) {
    Say(fmt::format("asking the supervisor (process {}) to stop everything",
                    supervisor_record.pid));
    kill(supervisor_record.pid, SIGTERM);
    bool gone = co_await WaitGone(supervisor_record, Deadline::In(180s));
    if (gone) co_return 0;
    Say("the supervisor does not end: stopping without it");
    kill(supervisor_record.pid, SIGKILL);
    gone = co_await WaitGone(supervisor_record, Deadline::In(10s));
  }
  // No supervisor: take its place, take over what still runs, and stop that.
  Supervisor supervisor(cluster.layout());
  Status locked = supervisor.Lock();
  if (!locked) {
    Say(locked.error().ToString());
    co_return 1;
  }
  std::function<void(std::string)> say = [](std::string line) { Say("stopping " + line); };
  std::vector<ProcessSpec> specs = {cluster.Vtgate(), cluster.Vtctld()};
  for (int i = 0; i < options.vtorcs; ++i) specs.push_back(cluster.Vtorc(i));
  for (int i = 0; i < options.tablets; ++i) {
    specs.push_back(cluster.Vttablet(i));
    specs.push_back(cluster.Mysqlctld(i));
  }
  for (int i = 0; options.topo == "etcd" && i < 3; ++i) specs.push_back(cluster.Etcd(i));
  for (const ProcessSpec& spec : specs) {
    for (const ProcessRecord& record : state->processes) {
      if (record.name != spec.name || !StillRuns(record)) continue;
      Status kept = supervisor.Keep(spec);
      if (!kept) Say(kept.error().ToString());
    }
  }
  co_await cluster.Stop(supervisor, say);
  co_await supervisor.Leave();
  co_return 0;
}

io::Task<int> ShowStatus(ClusterOptions options) {
  Cluster cluster(options);
  Result<SupervisorState> state = ReadState(cluster.layout().StateFile());
  ProcessRecord supervisor_record;
  if (state) supervisor_record = {"supervisor", state->supervisor_pid, state->supervisor_ticks};
  bool supervised = state && StillRuns(supervisor_record);
  Say(fmt::format(
      "{}: {} tablets, {} topology{}", options.data_dir, options.tablets, options.topo,
      options.tablets == 1 ? "; one tablet: no failover, writes are on one host only" : ""));
  Say(supervised ? fmt::format("supervisor   process {}, {}", supervisor_record.pid, state->phase)
                 : "supervisor   not running: start it again with \"paceline up\"; it takes over "
                   "what still runs");
  bool all = supervised;
  if (state) {
    for (const ProcessRecord& record : state->processes) {
      bool runs = StillRuns(record);
      all = all && runs;
      Say(fmt::format("{:<12} {}", record.name,
                      runs ? fmt::format("process {}", record.pid) : "NOT RUNNING"));
    }
  }
  std::vector<std::string> list = {"GetTablets"};
  Result<std::string> tablets = co_await cluster.Vtctldclient(list, 10s);
  Say(tablets ? "\n" + *tablets : "\nvtctld does not answer: " + tablets.error().ToString());
  if (supervised) Say(cluster.HowToConnect());
  co_return all&& tablets ? 0 : 1;
}

// The cluster that the words of status or down speak of; a number: exit with it.
std::optional<int> ReadCommandLine(FlagSet& flags, const std::vector<std::string>& arguments,
                                   const std::string& data_dir, Result<ClusterOptions>& options) {
  Status parsed = flags.ParseFlagsOnly(arguments);
  if (parsed && flags.help_asked()) {
    std::cout << flags.Help();
    return 0;
  }
  if (parsed) options = LoadCluster(data_dir);
  if (parsed && options) return std::nullopt;
  std::cerr << (parsed ? options.error() : parsed.error()).ToString() << "\n";
  return parsed ? 1 : 2;
}

}  // namespace

int DownMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data";
  bool purge = false;
  FlagSet flags("paceline down", "[flags]", "Stops a local cluster; its data stays unless purged.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  flags.Bool("purge", &purge, "delete all its data afterwards, telling first what that is");
  Result<ClusterOptions> options;
  if (std::optional<int> code = ReadCommandLine(flags, arguments, data_dir, options)) return *code;
  io::Loop loop;
  int code = io::RunUntilDone(loop, StopAll(*options));
  if (code != 0 || !purge) return code;
  std::error_code error;
  Say("deleting");
  for (const auto& entry : std::filesystem::directory_iterator(options->data_dir, error)) {
    Say("  " + entry.path().string());
  }
  for (const auto& entry : std::filesystem::directory_iterator(options->data_dir, error)) {
    std::filesystem::remove_all(entry.path(), error);
    if (error) {
      Say(fmt::format("cannot delete {}: {}", entry.path().string(), error.message()));
      return 1;
    }
  }
  std::filesystem::remove(options->data_dir, error);
  return 0;
}

int StatusMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data";
  FlagSet flags("paceline status", "[flags]",
                "Shows a local cluster's processes and tablets; exit code 0 when all is well.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  Result<ClusterOptions> options;
  if (std::optional<int> code = ReadCommandLine(flags, arguments, data_dir, options)) return *code;
  io::Loop loop;
  return io::RunUntilDone(loop, ShowStatus(*options));
}

}  // namespace paceline::local
