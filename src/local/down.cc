#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <sstream>

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
  bool anything = std::ranges::any_of(state->processes, StillRuns);
  for (int i = 0; i < cluster.AllTablets(); ++i) {
    // mysqld outlives its keeper; its file has pid and start.
    ProcessRecord mysqld{"mysqld", 0, 0};
    std::istringstream(ReadTextFile(cluster.layout().TabletDir(i) + "/mysqld.process")) >>
        mysqld.pid >> mysqld.start_ticks;
    anything = anything || StillRuns(mysqld);
  }
  if (!anything) {
    Say("the cluster in " + options.data_dir + " is stopped already");
    co_return 0;
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
  std::vector<Snapshot> snapshots = LoadSnapshots(cluster.layout());
  for (size_t i = 0; i < snapshots.size(); ++i) {
    specs.push_back(cluster.SnapshotTablet(i, snapshots[i]));
    specs.push_back(cluster.Mysqlctld(static_cast<int>(options.tablets) + static_cast<int>(i)));
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

}  // namespace

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

namespace {

// A first `up` that failed keeps its logs but no cluster. True when that was there and is gone now;
// a folder that holds anything else is left alone.
bool PurgeWhatAFailedUpLeft(const std::string& data_dir) {
  static constexpr std::string_view kOurs[] = {
      "log", "topo", "backups", "supervisor.lock", "tls", "mysqld-template", "etcd.secret"};
  namespace fs = std::filesystem;
  std::error_code error;
  ClusterOptions where;
  where.data_dir = data_dir;
  bool lock = false;
  if (fs::exists(Layout(where).OptionsFile(), error)) return false;
  for (const auto& entry : fs::directory_iterator(data_dir, error)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(kOurs, name) == std::end(kOurs)) return false;
    if (name == "backups" && !fs::is_empty(entry.path(), error)) return false;
    lock = lock || name == "supervisor.lock";
  }
  if (error || !lock) return false;
  fs::remove_all(data_dir, error);
  Say(error ? fmt::format("cannot delete {}: {}", data_dir, error.message())
            : "deleted what a failed start left in " + data_dir);
  return !error;
}

}  // namespace

int DownMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data";
  bool purge = false, purge_backups = false;
  FlagSet flags("paceline down", "[flags]", "Stops a local cluster; its data stays unless purged.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  flags.Bool("purge", &purge, "delete all its data afterwards, telling first what that is");
  flags.Bool("purge-backups", &purge_backups,
             "with --purge: its backups too, which stay otherwise");
  Status parsed = flags.ParseFlagsOnly(arguments);
  if (parsed && !flags.help_asked() && purge && PurgeWhatAFailedUpLeft(data_dir)) return 0;
  Result<ClusterOptions> options;
  if (std::optional<int> code = ReadCommandLine(flags, arguments, data_dir, options)) return *code;
  io::Loop loop;
  int code = io::RunUntilDone(loop, StopAll(*options));
  if (code != 0 || !purge) return code;
  std::error_code error;
  std::filesystem::path backups = Layout(*options).BackupDir();
  bool keep = !purge_backups && !std::filesystem::is_empty(backups, error) && !error;
  std::vector<std::filesystem::path> doomed;
  for (const auto& entry : std::filesystem::directory_iterator(options->data_dir, error)) {
    if (!keep || entry.path() != backups) doomed.push_back(entry.path());
  }
  Say("deleting");
  for (const std::filesystem::path& path : doomed) Say("  " + path.string());
  if (keep) Say("the backups in " + backups.string() + " stay (--purge-backups deletes them too)");
  for (const std::filesystem::path& path : doomed) {
    std::filesystem::remove_all(path, error);
    if (error) {
      Say(fmt::format("cannot delete {}: {}", path.string(), error.message()));
      return 1;
    }
  }
  if (!keep) std::filesystem::remove(options->data_dir, error);
  return 0;
}

}  // namespace paceline::local
