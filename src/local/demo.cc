// `paceline demo failover`: loses the primary of a local cluster in each way, under load, and shows
// what clients saw and what vtorc did.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/flags.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "local/cluster.h"
#include "local/commands.h"
#include "local/demo_load.h"
#include "vtorc/history.h"

namespace paceline::local {
namespace {

void Say(const std::string& line) { std::cout << line << "\n" << std::flush; }

struct Way {
  std::string_view name, what;
  std::vector<std::string_view> victims;  // processes of the primary's tablet; none: a command
  int sign = SIGKILL;
  bool moves = true;  // another tablet leads afterwards
};

const std::vector<Way>& Ways() {
  static const std::vector<Way> ways = {
      {"planned", "PlannedReparentShard", {}},
      {"mysqld", "kill -9 of the primary's mysqld", {"mysqld"}},
      {"tablet", "kill -9 of mysqld, mysqlctld and vttablet", {"mysqld", "mysqlctld", "vttablet"}},
      {"freeze",
       "SIGSTOP of mysqld, mysqlctld and vttablet (a frozen host)",
       {"mysqld", "mysqlctld", "vttablet"},
       SIGSTOP},
      {"vttablet", "kill -9 of vttablet alone", {"vttablet"}, SIGKILL, false},
  };
  return ways;
}

class Demo {
 public:
  explicit Demo(ClusterOptions options) : cluster_(std::move(options)) {}

  io::Task<int> Run(std::string only);

 private:
  io::Task<Result<int>> Primary();
  io::Task<Status> WaitForWrites(const DemoLoad* load, Time since);
  io::Task<Status> WaitForOther(int than, Duration limit);
  io::Task<Status> WaitForFollower(int index, Duration limit);
  io::Task<bool> Follows(int index);
  io::Task<Status> Play(const Way* way);
  std::vector<pid_t> Victims(const Way& way, int index) const;
  void ShowTimeline(WallTime since) const;

  const Layout& layout() const { return cluster_.layout(); }
  Cluster cluster_;
  int64_t errors_ = 0, lost_ = 0, doubled_ = 0, played_ = 0;
};

io::Task<Result<int>> Demo::Primary() {
  std::vector<std::string> get = {"GetShard", layout().options().keyspace + "/0"};
  Result<std::string> shard = co_await cluster_.Vtctldclient(get, 20s);
  if (!shard) co_return Fail(shard.error());
  nlohmann::json json = nlohmann::json::parse(*shard, nullptr, false);
  int uid = 0;
  if (json.is_object() && json["shard"].is_object() && json["shard"]["primary_alias"].is_object()) {
    uid = json["shard"]["primary_alias"].value("uid", 0);
  }
  if (uid < layout().Uid(0)) co_return Fail(Code::kUnavailable, "the shard has no primary");
  co_return uid - layout().Uid(0);
}

io::Task<Status> Demo::WaitForWrites(const DemoLoad* load, Time since) {
  Deadline deadline = Deadline::In(60s);
  while (!load->AllWroteSince(since)) {
    if (deadline.Passed(io::Loop::Current().Now()))
      co_return Fail(Code::kDeadlineExceeded, "not all writers could write again within 60 s");
    co_await io::SleepUntil(Deadline::In(10ms));
  }
  co_return Status();
}

io::Task<Status> Demo::WaitForOther(int than, Duration limit) {
  for (Deadline deadline = Deadline::In(limit);;) {
    Result<int> primary = co_await Primary();
    if (primary && *primary != than) co_return Status();
    if (deadline.Passed(io::Loop::Current().Now()))
      co_return Fail(Code::kDeadlineExceeded, "{} still leads after {}", layout().Alias(than),
                     DurationText(limit));
    co_await io::SleepUntil(Deadline::In(50ms));
  }
}

// It replicates, running, and is read-only.
io::Task<bool> Demo::Follows(int index) {
  mysql::ConnectOptions options;
  options.address = io::Address::Unix(layout().MysqldSocket(index));
  options.user = "vt_dba";
  auto connection = co_await mysql::Connection::Connect(options, Deadline::In(1s));
  if (!connection) co_return false;
  bool maria = (*connection)->is_mariadb();
  std::string ask = maria ? "SHOW SLAVE STATUS" : "SHOW REPLICA STATUS";
  auto status = co_await (*connection)->Query(std::move(ask), Deadline::In(1s));
  if (!status || status->rows.empty()) co_return false;
  std::string io = status->Text(0, maria ? "Slave_IO_Running" : "Replica_IO_Running");
  std::string sql = status->Text(0, maria ? "Slave_SQL_Running" : "Replica_SQL_Running");
  auto read_only = co_await (*connection)->Query("SELECT @@global.read_only", Deadline::In(1s));
  co_return io == "Yes" && sql == "Yes" && read_only && read_only->Text(0, size_t{0}) == "1";
}

io::Task<Status> Demo::WaitForFollower(int index, Duration limit) {
  for (Deadline deadline = Deadline::In(limit);;) {
    bool follows = co_await Follows(index);
    if (follows) co_return Status();
    if (deadline.Passed(io::Loop::Current().Now()))
      co_return Fail(Code::kDeadlineExceeded, "{} is no replica again after {}",
                     layout().Alias(index), DurationText(limit));
    co_await io::SleepUntil(Deadline::In(20ms));
  }
}

std::vector<pid_t> Demo::Victims(const Way& way, int index) const {
  std::vector<pid_t> pids;
  Result<SupervisorState> state = ReadState(layout().StateFile());
  for (std::string_view kind : way.victims) {
    if (kind == "mysqld") {
      std::string text = ReadTextFile(layout().TabletDir(index) + "/mysql.pid");
      std::optional<int64_t> pid = ParseInt(Trim(text));
      if (pid && *pid > 1) pids.push_back(static_cast<pid_t>(*pid));
      continue;
    }
    std::string name = fmt::format("{}-{}", kind, layout().Uid(index));
    for (const ProcessRecord& record : state ? state->processes : std::vector<ProcessRecord>()) {
      if (record.name == name && StillRuns(record)) pids.push_back(record.pid);
    }
  }
  return pids;
}

void Demo::ShowTimeline(WallTime since) const {
  for (int i = 0; i < layout().options().vtorcs; ++i) {
    vtorc::History history;
    Status opened = history.Open(layout().HistoryFile(i));
    if (!opened) continue;
    for (const vtorc::Recovery& recovery : history.list()) {
      if (recovery.began < since || !recovery.error.empty()) continue;
      Say(fmt::format("    vtorc-{}: {} of {}: {}", i, recovery.analysis, recovery.tablet,
                      recovery.remedy));
      for (const vtorc::Stage& stage : recovery.stages) {
        double after = static_cast<double>(stage.at.unix_ns - since.unix_ns) / 1e9;
        Say(fmt::format("      {:7.3f} s  {:<12}{}", after, stage.name, stage.text));
      }
    }
  }
}

io::Task<Status> Demo::Play(const Way* way) {
  Result<int> old = co_await Primary();
  if (!old) co_return Fail(old.error());
  for (int i = 0; i < layout().options().tablets; ++i) {
    if (i == *old) continue;
    Status follows = co_await WaitForFollower(i, 60s);
    if (!follows) co_return follows;
  }
  Say(fmt::format("\n{} ({} leads)", way->what, layout().Alias(*old)));
  mysql::ConnectOptions gate;
  gate.address = io::Address::Tcp("127.0.0.1", static_cast<uint16_t>(layout().VtgateMysql()));
  gate.user = "root";
  gate.database = layout().options().keyspace;
  DemoLoad load(gate, 4);
  Status started = co_await load.Start(Deadline::In(30s));
  if (!started) co_return started;
  io::Loop& loop = io::Loop::Current();
  Time start = loop.Now();
  Status done = co_await WaitForWrites(&load, start + 300ms);
  Time struck = loop.Now(), back_from = struck;
  WallTime struck_at = loop.clock().WallNow();
  std::vector<pid_t> victims = Victims(*way, *old);
  if (done && victims.size() != way->victims.size())
    done = Fail(Code::kNotFound, "not all processes of {} were found", layout().Alias(*old));
  if (done && way->victims.empty()) {
    int other = *old == 0 ? 1 : 0;
    std::vector<std::string> reparent = {"PlannedReparentShard", layout().options().keyspace + "/0",
                                         "--new-primary", layout().Alias(other)};
    Result<std::string> moved = co_await cluster_.Vtctldclient(reparent, 60s);
    if (!moved) done = Fail(moved.error());
  }
  if (done) {
    for (pid_t pid : victims) kill(pid, way->sign);
    done = co_await WaitForWrites(&load, struck + 20ms);
  }
  if (done && way->moves) done = co_await WaitForOther(*old, 60s);
  if (way->sign == SIGSTOP) {
    for (pid_t pid : victims) kill(pid, SIGCONT);
    back_from = loop.Now();
  }
  if (done && way->moves) done = co_await WaitForFollower(*old, 60s);
  Duration back = loop.Now() - back_from;
  Time settled = loop.Now();
  if (done) done = co_await WaitForWrites(&load, settled + 200ms);
  co_await load.Stop(Deadline::In(120s));
  if (!done) co_return done;
  Result<DemoLoad::Verdict> verdict = co_await load.Verify(Deadline::In(60s));
  if (!verdict) co_return Fail(verdict.error());
  ShowTimeline(struck_at);
  int64_t errors = 0;
  for (const auto& [text, count] : load.errors()) {
    errors += count;
    Say(fmt::format("    {} x {}", count, text));
  }
  Duration gap = load.LongestGap(struck);
  Say(
      fmt::format("  longest write gap {:.2f} s; {} writes acknowledged: {} lost, {} doubled; {} "
                  "client errors{}",
                  static_cast<double>(gap / 1ms) / 1000, load.acknowledged(), verdict->lost,
                  verdict->doubled, errors,
                  way->moves ? fmt::format("; the old primary was a replica again after {:.1f} s",
                                           static_cast<double>(back / 1ms) / 1000)
                             : ""));
  errors_ += errors;
  lost_ += verdict->lost;
  doubled_ += verdict->doubled;
  ++played_;
  co_return Status();
}

io::Task<int> Demo::Run(std::string only) {
  if (layout().options().tablets < 2 || layout().options().vtorcs < 1) {
    Say("a failover needs a cluster of two tablets or more, and vtorc: start one with \"paceline "
        "up\"");
    co_return 2;
  }
  for (const Way& way : Ways()) {
    if (!only.empty() && only != way.name) continue;
    Status done = co_await Play(&way);
    if (done) continue;
    Say("  FAILED: " + done.error().ToString());
    co_return 1;
  }
  if (played_ == 0) {
    Say("no such way: " + only);
    co_return 2;
  }
  bool clean = errors_ == 0 && lost_ == 0 && doubled_ == 0;
  Say(
      fmt::format("\nVERDICT: the primary was lost {} times: {} client errors, {} lost and {} "
                  "doubled writes{}",
                  played_, errors_, lost_, doubled_, clean ? "" : " - NOT CLEAN"));
  co_return clean ? 0 : 1;
}

}  // namespace

int DemoMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data", only;
  FlagSet flags("paceline demo", "failover [flags]",
                "Loses the primary of a running local cluster in each way, under load, and shows "
                "what clients saw.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  flags.Text("way", &only, "only one: planned, mysqld, tablet, freeze, vttablet");
  Result<std::vector<std::string>> rest = flags.Parse(arguments);
  bool known = rest && rest->size() == 1 && (*rest)[0] == "failover";
  if (!rest || flags.help_asked() || !known) {
    bool asked = rest && flags.help_asked();
    (asked ? std::cout : std::cerr) << (rest ? flags.Help() : rest.error().ToString() + "\n");
    return asked ? 0 : 2;
  }
  Result<ClusterOptions> options = LoadCluster(data_dir);
  if (!options) {
    std::cerr << options.error().ToString() << "\n";
    return 1;
  }
  io::Loop loop;
  Demo demo(*options);
  return io::RunUntilDone(loop, demo.Run(only));
}

}  // namespace paceline::local
