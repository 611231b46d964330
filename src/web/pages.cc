#include "web/pages.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "web/process_metrics.h"
#include "web/views.h"

namespace paceline::web {

// Routes hold it beyond the Pages; `open` is over then.
struct Pages::State {
  bool open = true;
  Metrics& metrics;
  Program program;
  std::function<Status()> ready;
  Time start = SystemClock().Now();
  Source<std::vector<Table>> role;  // null: no role's tables
  std::vector<Link> links = {{"Status", ""},
                             {"Variables", "debug/vars"},
                             {"Metrics", "metrics"},
                             {"Readiness", "readyz"},
                             {"Version", "version"}};

  Duration Uptime() const { return SystemClock().Now() - start; }
  std::string VersionLine() const {
    return fmt::format("Version: {}{} {}\n", program.version,
                       program.revision.empty() ? "" : " (" + program.revision + ")", program.name);
  }
  Response Ready(int status_when_not) const {
    if (Status now = ready ? ready() : Status(); !now) {
      return TextResponse(status_when_not, "not ok: " + now.error().ToString() + '\n');
    }
    return TextResponse(200, "ok");
  }
  std::string StatusPage(const std::string& path, const Result<std::vector<Table>>& tables) const;
};

std::string Pages::State::StatusPage(const std::string& path,
                                     const Result<std::vector<Table>>& tables) const {
  Page page;
  page.title = program.name + (program.about.empty() ? "" : " " + program.about);
  page.links = links;
  if (Status now = ready ? ready() : Status(); !now) {
    page.notice = "Not ready: " + now.error().ToString();
  }
  if (tables) {
    page.tables = *tables;
  } else {
    page.notice += (page.notice.empty() ? "" : ". ") + tables.error().ToString();
  }
  for (Table& table : ProgramTables(program, Uptime(), SystemClock().WallNow())) {
    page.tables.push_back(std::move(table));
  }
  for (Table& table : FlagTables(program)) page.tables.push_back(std::move(table));
  return RenderPage(page, path);
}

namespace {

Response NoLonger() { return TextResponse(503, "stopping\n"); }

// A route whose answer is ready at once.
template <class State, class Make>
Handler Now(std::shared_ptr<State> state, Make make) {
  return [state = std::move(state), make = std::move(make)](const Request&, Completion done) {
    done(state->open ? make(*state) : NoLonger());
  };
}

template <class State>
Handler StatusHandler(std::shared_ptr<State> state) {
  return [state = std::move(state)](const Request& request, Completion done) {
    if (!state->open) return done(NoLonger());
    if (!state->role) return done(HtmlResponse(state->StatusPage(request.path, {})));
    state->role([state, path = request.path, done](Result<std::vector<Table>> tables) {
      done(state->open ? HtmlResponse(state->StatusPage(path, tables)) : NoLonger());
    });
  };
}

Response PrometheusResponse(std::string body) {
  Response response = TextResponse(200, std::move(body));
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

}  // namespace

Pages::Pages(Server& server, Metrics& metrics, Program program, std::function<Status()> ready)
    : server_(server),
      metrics_(metrics),
      state_(std::make_shared<State>(true, metrics, std::move(program), std::move(ready))) {
  for (const char* path : {"/", "/debug/status"}) server.Route(path, StatusHandler(state_));
  server.Route("/healthz", Now(state_, [](const State&) { return TextResponse(200, "ok"); }));
  server.Route("/readyz", Now(state_, [](const State& state) { return state.Ready(503); }));
  // Vitess answers 500 here.
  server.Route("/debug/health", Now(state_, [](const State& state) { return state.Ready(500); }));
  server.Route("/version", Now(state_, [](const State& state) {
                 return TextResponse(200, state.VersionLine());
               }));
  server.Route("/debug/vars", Now(state_, [](const State& state) {
                 return JsonResponse(state.metrics.VarsJson());
               }));
  server.Route("/metrics", Now(state_, [](const State& state) {
                 return PrometheusResponse(state.metrics.PrometheusText(state.program.name) +
                                           ProcessMetricsText());
               }));
  const Time start = state_->start;
  callbacks_.push_back(metrics.AddCallback(
      "Uptime", "Uptime in nanoseconds", CallbackKind::kGauge,
      [start] { return static_cast<int64_t>((SystemClock().Now() - start).count()); }));
  const std::string version = state_->program.version;
  const std::string revision = state_->program.revision;
  callbacks_.push_back(metrics.AddText("BuildVersion", [version] { return version; }));
  callbacks_.push_back(metrics.AddText("BuildGitRev", [revision] { return revision; }));
  callbacks_.push_back(
      metrics.AddCallback("BuildInformation", "Build information as labels", CallbackKind::kGauge,
                          {"BuildVersion", "BuildGitRev"}, [version, revision] {
                            return std::vector<MetricSample>{MetricSample{{version, revision}, 1}};
                          }));
}

Pages::~Pages() {
  state_->open = false;
  state_->role = nullptr;
  state_->ready = nullptr;
}

void Pages::AddCluster(Source<ClusterView> read) {
  state_->role = [read = std::move(read)](std::function<void(Result<std::vector<Table>>)> done) {
    read([done = std::move(done)](Result<ClusterView> view) {
      if (!view) return done(Fail(view.error().Context("reading the cluster")));
      done(ClusterTables(*view));
    });
  };
}

void Pages::AddTablet(std::function<TabletView()> read) {
  state_->role = [read](std::function<void(Result<std::vector<Table>>)> done) {
    done(TabletTables(read()));
  };
  state_->links.push_back({"State details", "debug/status_details"});
  server_.Route("/debug/status_details", Now(state_, [read](const State&) {
                  return JsonResponse(StatusDetailsJson(read()));
                }));
  const auto text = [&](const char* name, std::string (*get)(const TabletView&)) {
    callbacks_.push_back(metrics_.AddText(name, [read, get] { return get(read()); }));
  };
  text("TabletAlias", [](const TabletView& view) { return view.tablet.alias.ToString(); });
  text("TabletKeyspace", [](const TabletView& view) { return view.tablet.keyspace; });
  text("TabletShard", [](const TabletView& view) { return view.tablet.shard; });
  text("TabletType", [](const TabletView& view) {
    return std::string(record::TabletTypeName(view.tablet.type));
  });
  text("TabletStateName", [](const TabletView& view) {
    return std::string(view.serving ? "SERVING" : "NOT_SERVING");
  });
  text("DiskError", [](const TabletView& view) { return view.disk_error; });
  // Vitess's numbers: 0 not connected to mysqld, 1 not serving, 2 serving.
  callbacks_.push_back(metrics_.AddCallback("TabletState", "Tablet server state",
                                            CallbackKind::kGauge, [read]() -> int64_t {
                                              const TabletView view = read();
                                              return view.serving ? 2 : view.mysqld_alive ? 1 : 0;
                                            }));
  callbacks_.push_back(metrics_.AddCallback(
      "TabletServerState", "1 for the state of the label", CallbackKind::kGauge, {"name"}, [read] {
        const char* state = read().serving ? "SERVING" : "NOT_SERVING";
        return std::vector<MetricSample>{MetricSample{{state}, 1}};
      }));
}

void Pages::AddStatements(std::function<std::vector<StatementRow>()> read) {
  state_->links.push_back({"Statements", "debug/queryz"});
  for (const char* path : {"/debug/queryz", "/queryz"}) {
    server_.Route(path, [state = state_, read](const Request& request, Completion done) {
      if (!state->open) return done(NoLonger());
      Page page;
      page.title = state->program.name + " statements";
      page.links = state->links;
      page.tables = {StatementTable(read())};
      done(HtmlResponse(RenderPage(page, request.path)));
    });
  }
  server_.Route("/debug/query_stats",
                Now(state_, [read](const State&) { return JsonResponse(StatementsJson(read())); }));
}

void Pages::AddGate(std::function<GateView()> read, std::function<std::string()> vschema_json) {
  state_->role = [read](std::function<void(Result<std::vector<Table>>)> done) {
    done(GateTables(read()));
  };
  state_->links.push_back({"VSchema", "debug/vschema"});
  server_.Route("/debug/vschema",
                Now(state_, [vschema_json = std::move(vschema_json)](const State&) {
                  return JsonResponse(vschema_json());
                }));
  callbacks_.push_back(metrics_.AddCallback(
      "HealthcheckConnections", "Tablets that may be asked", CallbackKind::kGauge,
      {"Keyspace", "ShardName", "TabletType"}, [read] { return HealthcheckConnections(read()); }));
}

}  // namespace paceline::web
