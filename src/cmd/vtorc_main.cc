#include <signal.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/status_pages.h"
#include "cmd/tablet_channels.h"
#include "cmd/tablet_dialer.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "topo/cache.h"
#include "topo/paths.h"
#include "vtorc/vtorc.h"

namespace paceline::cmd {
namespace {

struct OrcFlags {
  CommonFlags common;
  std::vector<std::string> clusters;
  std::string history_file;
  vtorc::VtorcOptions options;
  bool allow_recovery = true;
  std::string local_copy;
  PeerTlsFlags manager_tls, tablet_tls;
  AccessFlags access;
};

nlohmann::json ProblemsJson(const vtorc::Vtorc& orc) {
  nlohmann::json shards = nlohmann::json::array();
  for (const vtorc::ShardReport& report : orc.Report()) {
    nlohmann::json problems = nlohmann::json::array();
    for (const vtorc::Problem& problem : report.problems) {
      problems.push_back({{"analysis", problem.analysis},
                          {"tablet", problem.tablet.ToString()},
                          {"why", problem.why},
                          {"remedy", vtorc::RemedyName(problem.remedy)}});
    }
    shards.push_back({{"shard", report.shard},
                      {"primary", report.primary},
                      {"error", report.error},
                      {"maintenance", report.maintenance},
                      {"problems", problems}});
  }
  return shards;
}

std::vector<MetricSample> ProblemSamples(const vtorc::Vtorc& orc) {
  std::map<std::vector<std::string>, int64_t> samples;  // one for each set of labels
  for (const vtorc::ShardReport& report : orc.Report()) {
    const size_t slash = report.shard.find('/');
    for (const vtorc::Problem& problem : report.problems) {
      samples[{problem.analysis, problem.tablet.ToString(), report.shard.substr(0, slash),
               slash == std::string::npos ? "" : report.shard.substr(slash + 1)}] = 1;
    }
  }
  std::vector<MetricSample> list;
  for (const auto& [labels, value] : samples) list.push_back(MetricSample{labels, value});
  return list;
}

int64_t ErrantTablets(const vtorc::Vtorc& orc) {
  int64_t count = 0;
  for (const vtorc::ShardReport& report : orc.Report()) {
    count += std::ranges::count(report.problems, "ErrantGTIDDetected", &vtorc::Problem::analysis);
  }
  return count;
}

nlohmann::json TimelineJson(const vtorc::Vtorc& orc) {
  nlohmann::json lines = nlohmann::json::array();
  for (const vtorc::TimelineEntry& entry : orc.timeline()) {
    lines.push_back(
        {{"unix_ms", entry.at.unix_ns / 1'000'000}, {"shard", entry.shard}, {"text", entry.text}});
  }
  return lines;
}

nlohmann::json RecoveriesJson(vtorc::Vtorc& orc) {
  nlohmann::json list = nlohmann::json::array();
  for (const vtorc::Recovery& recovery : orc.history().list()) {
    list.push_back(nlohmann::json::parse(vtorc::ToJson(recovery)));
  }
  return list;
}

io::Task<void> SetMaintenance(vtorc::Vtorc& orc, std::string name, bool on, std::string why,
                              web::Completion done) {
  Status set = co_await orc.SetMaintenance(name, on, std::move(why), Deadline::In(5s));
  nlohmann::json answer = {{"maintenance", orc.maintenance()}};
  if (!set) answer["error"] = set.error().ToString();
  done(web::JsonResponse(answer.dump(2) + "\n"));
}

// Paths are those of Vitess's vtorc, and /api/timeline and /api/recoveries.
void AddApi(web::Server& server, vtorc::Vtorc& orc) {
  auto answer = [&server](std::string path, std::function<nlohmann::json()> make) {
    server.Route(std::move(path), [make](const web::Request&, web::Completion done) {
      done(web::JsonResponse(make().dump(2) + "\n"));
    });
  };
  answer("/api/problems", [&orc] { return ProblemsJson(orc); });
  answer("/api/replication-analysis", [&orc] { return ProblemsJson(orc); });
  answer("/api/timeline", [&orc] { return TimelineJson(orc); });
  answer("/api/recoveries", [&orc] { return RecoveriesJson(orc); });
  answer("/api/maintenance", [&orc] { return nlohmann::json(orc.maintenance()); });
  // ?name=keyspace/shard narrows both; ?why= is the reason.
  for (bool on : {true, false}) {
    std::string path = on ? "/api/disable-global-recoveries" : "/api/enable-global-recoveries";
    web::Handler set = [&orc, on](const web::Request& request, web::Completion done) {
      std::string_view asked = request.Query("name");
      std::string name(asked.empty() ? std::string_view("*") : asked);
      io::Detach(SetMaintenance(orc, name, on, std::string(request.Query("why")), done));
    };
    server.Route(path, set);  // as Vitess's; the doorway knows that it acts
    server.RoutePost(path, set);
  }
}

io::Task<int> Serve(OrcFlags flags, io::Loop& loop, io::SignalWatch& signals) {
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(flags.common.topo);
  if (!topo) co_return FailWith(topo.error().Context("vtorc"));
  std::unique_ptr<topo::Cache> copy;
  if (!flags.local_copy.empty()) {
    copy = topo::Cache::Open(flags.local_copy);
    (*topo)->KeepCopy(copy.get());
    flags.options.copy = copy.get();
  }
  Result<std::shared_ptr<access::Guard>> guard =
      access::Guard::Make(flags.access.guard, Metrics::Process());
  if (!guard) co_return FailWith(guard.error().Context("vtorc"));
  TabletChannels channels(loop, flags.manager_tls);
  drive::Connect connect = [&channels](const record::Tablet& tablet) {
    return channels.Connect(tablet);
  };
  TabletDialer dialer(loop, flags.tablet_tls);
  health::WatcherOptions watching;
  bool remembers = copy && !copy->List(topo::kGlobalCell, "cells").empty();
  Deadline patience = Deadline::In(remembers ? 2s : 10s);
  auto cells = co_await (*topo)->ListCells(patience);
  if (cells) watching.cells = *cells;
  if (!cells && remembers) {
    for (const auto& [path, unused] : copy->List(topo::kGlobalCell, "cells"))
      watching.cells.push_back(path.substr(6, path.rfind('/') - 6));  // cells/zone1/CellInfo
  }
  if (watching.cells.empty() && !flags.common.cell.empty()) watching.cells = {flags.common.cell};
  watching.hang_up_after = 2s;
  watching.redial_max = 500ms;
  health::Watcher health(loop, watching, **topo, dialer, copy.get(), ThreadRng());
  health.Start();
  vtorc::Vtorc orc(**topo, connect, &health, flags.options);
  if (!flags.history_file.empty()) {
    // Healing goes on without a memory.
    Status opened = orc.history().Open(flags.history_file);
    if (!opened) LOG_ERROR("{}", opened.error().ToString());
  }
  orc.Start();
  std::vector<Metrics::Callback> metrics;
  Metrics& process = Metrics::Process();
  metrics.push_back(process.AddCallback("PendingRecoveries", "recoveries under way",
                                        CallbackKind::kGauge,
                                        [&orc]() -> int64_t { return orc.pending(); }));
  metrics.push_back(process.AddCallback("ErrantGtidTabletCount", "tablets with errant GTIDs",
                                        CallbackKind::kGauge,
                                        [&orc] { return ErrantTablets(orc); }));
  metrics.push_back(process.AddCallback(
      "DetectedProblems", "1 for each problem that is there now", CallbackKind::kGauge,
      {"Analysis", "TabletAlias", "Keyspace", "Shard"}, [&orc] { return ProblemSamples(orc); }));
  auto count = [&](const char* name, const char* help, bool (*is)(const vtorc::ShardReport&)) {
    metrics.push_back(
        process.AddCallback(name, help, CallbackKind::kGauge, [&orc, is]() -> int64_t {
          const std::vector<vtorc::ShardReport> reports = orc.Report();
          return std::ranges::count_if(reports, is);
        }));
  };
  count("ShardsWatched", "shards that this vtorc looks after",
        [](const vtorc::ShardReport&) { return true; });
  count("ShardsUnreadable", "of them, those that could not be looked at",
        [](const vtorc::ShardReport& report) { return !report.error.empty(); });
  count("ShardsInMaintenance", "of them, those in which nothing is healed now",
        [](const vtorc::ShardReport& report) { return !report.maintenance.empty(); });
  StatusPages web = MakePages(
      loop, "vtorc", "", flags.common.bind_address, flags.common.port, [] { return Status(); },
      *guard);
  Status listening;
  if (web.server) {
    web.pages->AddCluster(ClusterSource(**topo));
    AddApi(*web.server, orc);
    listening = web.server->Start();
  }
  int code = 0;
  if (!listening) {
    code = FailWith(listening.error().Context("vtorc"));
  } else {
    LOG_INFO("vtorc watches{}", flags.options.recoveries ? "" : " and heals nothing");
    std::optional<int> number;
    while (!number) number = co_await signals.Wait(Deadline::Never());
    LOG_INFO("stopping on signal {}", *number);
  }
  if (web.server) web.server->Stop();
  web = {};
  metrics.clear();
  co_await orc.Stop(Deadline::In(5s));
  co_await health.Stop();
  co_await channels.Close();
  co_await (*topo)->Stop();
  co_return code;
}

}  // namespace

int VtorcMain(const std::vector<std::string>& arguments) {
  OrcFlags f;
  f.common.port = 16000;
  FlagSet flags("vtorc", "[flags]", "Watches the shards of a cluster and heals them by itself.");
  f.common.AddTo(flags);
  flags.TextList("clusters-to-watch", &f.clusters,
                 "keyspaces, or keyspace/shard; empty: all of the topology");
  flags.Time("instance-poll-time", &f.options.look_interval,
             "how often each tablet is looked at; news of its health come at once");
  flags.Time("topo-information-refresh-duration", &f.options.topology_interval,
             "how often the topology is read for new shards");
  flags.Time("unreachable-primary-patience", &f.options.diagnose.silence,
             "how long a primary may be silent while replicas still hold their streams from it");
  flags.Text("local-copy", &f.local_copy,
             "file with a copy of the topology, to start from while it is away");
  flags.Text("sqlite-data-file", &f.history_file,
             "where recoveries are remembered; empty: in memory alone");
  flags.Bool("allow-recovery", &f.allow_recovery, "heal; else only diagnose");
  f.access.AddTo(flags);
  f.manager_tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  f.tablet_tls.AddTo(flags, "tablet-grpc", "tablets, for their health");
  flags.Ignored("recovery-poll-duration", true);
  flags.Ignored("prevent-cross-cell-failover", false);
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  f.options.keyspaces = {f.clusters.begin(), f.clusters.end()};
  f.options.recoveries = f.allow_recovery;
  Status checked = f.manager_tls.Check("tablet-manager-grpc");
  if (checked) checked = f.tablet_tls.Check("tablet-grpc");
  if (!checked) return FailWith(checked.error().Context("vtorc"));
  if (!f.tablet_tls.on()) f.tablet_tls = f.manager_tls;
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  StartProgramLog("vtorc", f.common.log_level);
  return io::RunUntilDone(loop, Serve(f, loop, signals));
}

}  // namespace paceline::cmd
