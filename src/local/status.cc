#include <iostream>

#include "base/flags.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/http_get.h"
#include "local/cluster.h"
#include "local/commands.h"
#include "local/health.h"
#include "mysql/client/connection.h"

namespace paceline::local {
namespace {

constexpr Duration kAnswerIn = std::chrono::seconds(3);

void Say(const std::string& line) { std::cout << line << "\n" << std::flush; }

io::Task<TabletHealth> AskTablet(std::string alias, int port) {
  const io::Address address = io::Address::Tcp("127.0.0.1", static_cast<uint16_t>(port));
  Result<std::string> vars = co_await io::HttpGet(address, "/debug/vars", Deadline::In(kAnswerIn));
  if (!vars) {
    TabletHealth silent;
    silent.alias = alias;
    silent.error = vars.error().message();
    co_return silent;
  }
  Result<std::string> details =
      co_await io::HttpGet(address, "/debug/status_details", Deadline::In(kAnswerIn));
  co_return ReadTabletHealth(alias, *vars, details ? *details : "");
}

// "" when vtgate answers a query.
io::Task<std::string> AskGate(const Cluster& cluster) {
  mysql::ConnectOptions options;
  options.address =
      io::Address::Tcp("127.0.0.1", static_cast<uint16_t>(cluster.layout().VtgateMysql()));
  options.user = "root";
  options.database = cluster.layout().options().keyspace;
  auto connection = co_await mysql::Connection::Connect(options, Deadline::In(kAnswerIn));
  if (!connection) co_return connection.error().message();
  auto answer = co_await (*connection)->Query("SELECT 1", Deadline::In(kAnswerIn));
  co_return answer ? "" : answer.error().message();
}

io::Task<ClusterHealth> AskAll(const Cluster& cluster, std::string* listed) {
  ClusterHealth health;
  std::vector<std::string> list = {"GetTablets"};
  Result<std::string> tablets = co_await cluster.Vtctldclient(list, 10s);
  if (!tablets) health.topology_error = tablets.error().ToString();
  if (tablets) *listed = *tablets;
  for (int i = 0; i < cluster.AllTablets(); ++i) {
    const Layout& layout = cluster.layout();
    TabletHealth tablet = co_await AskTablet(layout.Alias(i), layout.TabletWeb(i));
    tablet.registered = !tablets || tablets->find(layout.Alias(i)) != std::string::npos;
    if (tablet.type == "primary" && i < layout.options().tablets) {
      std::vector<std::string> ask = {"GetFullStatus", layout.Alias(i)};
      Result<std::string> status = co_await cluster.Vtctldclient(ask, 10s);
      if (status) health.primary = ReadPrimaryHealth(*status);
    }
    health.tablets.push_back(std::move(tablet));
  }
  health.gate_error = co_await AskGate(cluster);
  co_return health;
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
                 : "supervisor   not running");
  Verdict verdict;
  bool any = supervised;
  std::vector<std::string> ended;
  if (state) {
    for (const ProcessRecord& record : state->processes) {
      bool runs = StillRuns(record);
      any = any || runs;
      if (!runs) ended.push_back(record.name);
      Say(fmt::format("{:<12} {}", record.name,
                      runs ? fmt::format("process {}", record.pid) : "NOT RUNNING"));
    }
  }
  if (!any) {
    Say(
        fmt::format("\nVERDICT: the cluster is stopped: \"paceline up --data-dir {}\" starts it "
                    "again with all its data",
                    options.data_dir));
    co_return 3;
  }
  std::string listed;
  ClusterHealth health = co_await AskAll(cluster, &listed);
  Say("\ntablets");
  for (const TabletHealth& tablet : health.tablets) Say("  " + HealthLine(tablet));
  if (!listed.empty()) Say("\ntopology\n" + listed);
  if (supervised) Say(cluster.HowToConnect());
  Judge(health, options.keyspace + "/0", verdict);
  if (!supervised) {
    verdict.problems.push_back(
        "the supervisor is not running: start it again with \"paceline up\"; it takes over what "
        "still runs");
  }
  if (!ended.empty()) {
    verdict.problems.push_back(fmt::format(
        "not running: {}; {}", Join(ended, ", "),
        supervised ? "the supervisor starts it again, see its log in " + options.data_dir + "/log"
                   : "\"paceline up\" starts it again"));
  }
  if (verdict.problems.empty()) {
    Say("VERDICT: all is well");
  } else {
    Say(verdict.writes ? "VERDICT: writes are taken, but not all is well"
                       : "VERDICT: the shard takes NO WRITES");
    for (const std::string& problem : verdict.problems) Say("  " + problem);
  }
  co_return verdict.exit_code();
}

}  // namespace

int StatusMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data";
  FlagSet flags("paceline status", "[flags]",
                "Shows a local cluster's processes and the health of its tablets, and ends with a "
                "verdict. Exit code 0: all is well; 1: something is not, but writes are taken; 2: "
                "wrong flags; 3: no writes, or the cluster is stopped.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  Result<ClusterOptions> options;
  if (std::optional<int> code = ReadCommandLine(flags, arguments, data_dir, options)) return *code;
  io::Loop loop;
  return io::RunUntilDone(loop, ShowStatus(*options));
}

}  // namespace paceline::local
