#include "local/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/log.h"

namespace paceline::local {

struct Supervisor::Kept {
  ProcessSpec spec;
  std::unique_ptr<io::Process> process;
  uint64_t start_ticks = 0;
  bool stopping = false;
  bool gone = false;  // nobody watches it any more
  int quick_deaths = 0;
  bool gave_up = false;  // its last end was its own will, not a signal
  io::Event stopped;
};

Result<SupervisorState> ReadState(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Fail(Code::kNotFound, "no local cluster here ({} does not exist)", path);
  std::stringstream text;
  text << file.rdbuf();
  nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object()) return Fail(Code::kDataLoss, "{} is damaged: not a JSON object", path);
  SupervisorState state;
  state.supervisor_pid = json.value("supervisor_pid", 0);
  state.supervisor_ticks = json.value("supervisor_ticks", uint64_t{0});
  state.phase = json.value("phase", std::string());
  for (const auto& process : json.value("processes", nlohmann::json::array())) {
    state.processes.push_back({process.value("name", std::string()), process.value("pid", 0),
                               process.value("start_ticks", uint64_t{0})});
  }
  return state;
}

Status WriteState(const std::string& path, const SupervisorState& state) {
  nlohmann::json json = {{"supervisor_pid", state.supervisor_pid},
                         {"supervisor_ticks", state.supervisor_ticks},
                         {"phase", state.phase},
                         {"processes", nlohmann::json::array()}};
  for (const ProcessRecord& record : state.processes) {
    json["processes"].push_back(
        {{"name", record.name}, {"pid", record.pid}, {"start_ticks", record.start_ticks}});
  }
  std::string temporary = path + ".new";
  std::ofstream file(temporary, std::ios::trunc);
  file << json.dump(2) << "\n";
  file.close();
  if (!file || rename(temporary.c_str(), path.c_str()) != 0) {
    return Fail(Code::kInternal, "cannot write {}: {}", path, strerror(errno));
  }
  return {};
}

bool StillRuns(const ProcessRecord& record) {
  std::optional<uint64_t> ticks = io::ProcessStartTicks(record.pid);
  return record.pid > 0 && ticks && *ticks == record.start_ticks;
}

Status NobodySupervises(const Layout& layout) {
  Result<SupervisorState> state = ReadState(layout.StateFile());
  if (!state || !StillRuns({"supervisor", state->supervisor_pid, state->supervisor_ticks}))
    return {};
  return Fail(Code::kAlreadyExists,
              "a local cluster already runs in {} (supervisor process {}): see \"paceline "
              "status\", or stop it with "
              "\"paceline down\"",
              layout.options().data_dir, state->supervisor_pid);
}

Supervisor::Supervisor(Layout layout) : layout_(std::move(layout)) {}

Supervisor::~Supervisor() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

Status Supervisor::Lock() {
  lock_fd_ = open(layout_.LockFile().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (lock_fd_ < 0)
    return Fail(Code::kInvalidArgument, "cannot write {}: {}", layout_.LockFile(), strerror(errno));
  Result<SupervisorState> before = ReadState(layout_.StateFile());
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    RETURN_IF_ERROR(NobodySupervises(layout_));
    return Fail(Code::kAlreadyExists,
                "another \"paceline up\" or \"down\" is at work in {}: try again when it has ended",
                layout_.options().data_dir);
  }
  if (before) {
    for (const ProcessRecord& record : before->processes) {
      if (StillRuns(record)) left_behind_.push_back(record);
    }
  }
  return Save();
}

Status Supervisor::Save() {
  SupervisorState state;
  state.supervisor_pid = getpid();
  state.supervisor_ticks = io::ProcessStartTicks(getpid()).value_or(0);
  state.phase = phase_;
  state.processes = left_behind_;  // not yet taken over: still known
  for (const auto& kept : kept_) {
    if (kept->process)
      state.processes.push_back({kept->spec.name, kept->process->pid(), kept->start_ticks});
  }
  return WriteState(layout_.StateFile(), state);
}

Status Supervisor::SetPhase(std::string phase) {
  phase_ = std::move(phase);
  return Save();
}

Status Supervisor::StartProcess(Kept& kept) {
  io::ProcessOptions options;
  options.argv = kept.spec.argv;
  options.env = kept.spec.env;
  options.output_file = layout_.LogFile(kept.spec.name);
  ASSIGN_OR_RETURN(kept.process, io::Process::Start(io::Loop::Current(), options));
  kept.start_ticks = io::ProcessStartTicks(kept.process->pid()).value_or(0);
  return Save();
}

Status Supervisor::Keep(const ProcessSpec& spec) {
  auto kept = std::make_shared<Kept>();
  kept->spec = spec;
  auto found = std::find_if(left_behind_.begin(), left_behind_.end(),
                            [&](const ProcessRecord& record) { return record.name == spec.name; });
  if (found != left_behind_.end()) {
    ProcessRecord record = *found;
    left_behind_.erase(found);
    Result<std::unique_ptr<io::Process>> adopted =
        io::Process::Adopt(io::Loop::Current(), record.pid);
    if (adopted && StillRuns(record)) {
      kept->process = std::move(*adopted);
      kept->start_ticks = record.start_ticks;
    }
  }
  kept_.push_back(kept);
  if (kept->process) {
    RETURN_IF_ERROR(Save());
  } else {
    Status started = StartProcess(*kept);
    if (!started) {
      kept_.pop_back();
      return Fail(started.error().Context("starting " + spec.name));
    }
  }
  io::Detach(Watch(*this, kept));
  return {};
}

io::Task<void> Supervisor::Watch(Supervisor& self, std::shared_ptr<Kept> kept) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.gate_.closed()) {
    Time started = io::Loop::Current().Now();
    std::optional<io::ExitStatus> exit;
    while (!exit && !self.gate_.closed()) {
      exit = co_await kept->process->WaitExit(Deadline::In(200ms));
    }
    if (!exit) break;
    if (kept->stopping) break;
    bool quick = io::Loop::Current().Now() - started < 3s;
    kept->quick_deaths = quick ? kept->quick_deaths + 1 : 0;
    kept->gave_up = exit->signal == 0;
    LOG_WARNING("{} ended ({}), starting it again; its log: {}", kept->spec.name, exit->ToString(),
                self.layout_.LogFile(kept->spec.name));
    if (kept->quick_deaths > 1) {
      Duration pause = std::min<Duration>(5s, 200ms * (1 << std::min(kept->quick_deaths, 5)));
      bool open = co_await io::Sleep(self.gate_, Deadline::In(pause));
      if (!open || kept->stopping) break;
    }
    Status again = self.StartProcess(*kept);
    if (!again) LOG_ERROR("starting {} again: {}", kept->spec.name, again.error().ToString());
  }
  kept->gone = true;
  kept->stopped.Set();
}

io::Task<void> Supervisor::StopKeeping(std::string name, Deadline deadline) {
  auto found = std::find_if(kept_.begin(), kept_.end(),
                            [&](const auto& kept) { return kept->spec.name == name; });
  if (found == kept_.end()) co_return;
  std::shared_ptr<Kept> kept = *found;
  kept->stopping = true;
  Status asked = kept->process->Signal(SIGTERM);
  bool stopped = co_await kept->stopped.Wait(deadline);
  if (asked && !stopped) {
    LOG_WARNING("{} did not stop in time and is killed", name);
    Status killed = kept->process->Signal(SIGKILL);
    stopped = co_await kept->stopped.Wait(Deadline::In(5s));
    if (!killed || !stopped) LOG_ERROR("{} (process {}) does not end", name, kept->process->pid());
  }
  std::erase(kept_, kept);
  Status saved = Save();
  if (!saved) LOG_ERROR("{}", saved.error().ToString());
}

Status Supervisor::MayWaitOn() const {
  if (asked_to_stop_()) return Fail(Code::kCanceled, "stopped before the cluster served");
  for (const auto& kept : kept_) {
    if (kept->quick_deaths < 3 || !kept->gave_up) continue;
    std::ifstream log(layout_.LogFile(kept->spec.name));
    std::string last;
    for (std::string line; std::getline(log, line);) {
      if (!line.empty()) last = line;
    }
    return Fail(Code::kFailedPrecondition, "{} does not start: {}", kept->spec.name, last);
  }
  return {};
}

io::Task<void> Supervisor::Leave() {
  bool left = co_await gate_.Close(Deadline::In(5s));
  if (!left) LOG_WARNING("the supervisor's watchers did not end in time");
}

}  // namespace paceline::local
