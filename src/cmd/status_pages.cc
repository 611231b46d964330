#include "cmd/status_pages.h"

#include <sys/statvfs.h>

#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "sql/normalize.h"
#include "vtgate/failover_metrics.h"

namespace paceline::cmd {

StatusPages MakePages(io::Loop& loop, const std::string& program, const std::string& about,
                      const std::string& address, int port, std::function<Status()> ready,
                      std::shared_ptr<access::Guard> guard) {
  StatusPages made;
  if (port == 0) return made;
  web::ServerOptions options;
  options.address = address;
  options.port = static_cast<uint16_t>(port);
  if (guard != nullptr) options.doorway = web::Doorway{std::move(guard), web::RoleOfPage};
  made.server = std::make_unique<web::Server>(loop, options);
  web::Program named;
  named.name = program;
  named.about = about;
  named.version = "0.1.0";
  made.pages =
      std::make_unique<web::Pages>(*made.server, Metrics::Process(), named, std::move(ready));
  return made;
}

namespace {

io::Task<Result<web::ClusterView>> ReadCluster(topo::Server* topo) {
  Deadline deadline = Deadline::In(5s);
  web::ClusterView view;
  auto cells = co_await topo->ListCells(deadline);
  if (!cells) co_return Fail(cells.error());
  for (const std::string& name : *cells) {
    auto info = co_await topo->GetCellInfo(name, deadline);
    if (info) view.cells.push_back({name, info->value});
  }
  auto keyspaces = co_await topo->ListKeyspaces(deadline);
  if (!keyspaces) co_return Fail(keyspaces.error());
  for (const std::string& name : *keyspaces) {
    auto keyspace = co_await topo->GetKeyspace(name, deadline);
    if (keyspace) view.keyspaces.push_back({name, keyspace->value});
    auto shards = co_await topo->GetShards(name, deadline);
    if (!shards) continue;
    for (const auto& [shard, stored] : *shards) {
      view.shards.push_back({{name, shard}, stored.value});
      if (stored.value.primary_alias.empty()) {
        view.problems.push_back(
            fmt::format("{}/{} has no primary: run vtctldclient PlannedReparentShard {}/{}", name,
                        shard, name, shard));
      }
    }
  }
  auto tablets = co_await topo->ListTablets(deadline);
  if (!tablets) co_return Fail(tablets.error());
  for (const auto& stored : tablets->tablets) {
    web::TabletRow row;
    row.tablet = stored.value;
    row.serving = true;  // the record is all that is known here; health is the gates'
    view.tablets.push_back(std::move(row));
  }
  for (const auto& [cell, error] : tablets->failed_cells) {
    view.problems.push_back(fmt::format("cell {} does not answer: {}", cell, error.ToString()));
  }
  co_return view;
}

}  // namespace

web::Source<web::ClusterView> ClusterSource(topo::Server& topo) {
  topo::Server* server = &topo;
  return web::FromTask<web::ClusterView>([server] { return ReadCluster(server); });
}

std::vector<Metrics::Callback> DiskMetrics(std::string folder) {
  const auto read = [folder](bool free) -> int64_t {
    struct statvfs volume {};
    if (statvfs(folder.c_str(), &volume) != 0) return -1;
    return static_cast<int64_t>((free ? volume.f_bavail : volume.f_blocks) * volume.f_frsize);
  };
  std::vector<Metrics::Callback> callbacks;
  Metrics& metrics = Metrics::Process();
  callbacks.push_back(metrics.AddCallback("DataDirBytes", "size of the data's volume",
                                          CallbackKind::kGauge, [read] { return read(false); }));
  callbacks.push_back(metrics.AddCallback("DataDirFreeBytes", "free space of the data's volume",
                                          CallbackKind::kGauge, [read] { return read(true); }));
  return callbacks;
}

namespace {

web::Table DiskTable(const vttablet::DiskCare& disk) {
  web::Table table;
  table.title = "Disk";
  auto row = [&table](const char* name, std::string value) {
    table.rows.push_back({web::Cell{name}, web::Cell{std::move(value)}});
  };
  const vttablet::DiskSpace& space = disk.space();
  if (space.bytes == 0) {
    row("State", "not known");
    return table;
  }
  row("State",
      disk.Trouble().empty() ? std::string(vttablet::DiskLevelName(disk.level())) : disk.Trouble());
  row("Free", fmt::format("{} of {}", BytesText(static_cast<double>(space.free)),
                          BytesText(static_cast<double>(space.bytes))));
  std::optional<double> growth = disk.trend().Growth();
  row("Growth", growth ? BytesText(*growth * 86400) + " a day" : "not known yet");
  std::optional<Duration> left = disk.trend().TimeLeft(space);
  row("Full in",
      left ? fmt::format("{:.1f} days", std::chrono::duration<double>(*left).count() / 86400)
           : "never at this rate");
  if (!disk.purge_told().empty()) row("Binary logs", disk.purge_told());
  return table;
}

}  // namespace

web::TabletView ViewOf(const vttablet::Manager& manager) {
  web::TabletView view;
  view.tablet = manager.tablet();
  view.serving = manager.serving();
  view.reason = manager.why_not_serving();
  view.term = manager.promised_term();
  view.mysqld_alive = manager.mysqld_running();
  view.lag = manager.lag();
  view.replication_error = manager.replication_error();
  view.disk_error = manager.disk_error();
  if (view.reason.empty()) view.reason = manager.disk().Trouble();
  view.more.push_back(DiskTable(manager.disk()));
  return view;
}

web::GateView ViewOf(vtgate::Gate& gate, const std::string& cell) {
  web::GateView view;
  view.cell = cell;
  for (const health::TabletStatus& status : gate.watcher().view().List()) {
    web::TabletRow row;
    row.tablet = status.tablet;
    row.tablet.type = status.target.type;
    row.serving = status.healthy();
    row.lag = status.replication_lag;
    row.position = status.position;
    row.error = status.error;
    view.tablets.push_back(std::move(row));
  }
  return view;
}

std::string VschemaJson(const vtgate::Gate& gate) {
  nlohmann::json json = {{"keyspaces", nlohmann::json::object()}};
  const vtgate::TopologyView& topology = *gate.context().topology;
  for (const std::string& name : topology.vschema->KeyspaceNames()) {
    const vschema::KeyspaceEntry* entry = topology.vschema->Find(name);
    nlohmann::json tables = nlohmann::json::object();
    for (const auto& [table, value] : entry->vschema.tables) tables[table] = {{"type", value.type}};
    json["keyspaces"][name] = {{"sharded", entry->vschema.sharded}, {"tables", tables}};
  }
  return json.dump(2);
}

std::vector<web::StatementRow> StatementRows(const std::vector<vtgate::StatementLine>& lines) {
  std::vector<web::StatementRow> rows;
  for (const vtgate::StatementLine& line : lines) {
    rows.push_back({line.digest, line.keyspace, line.count, line.errors, line.rows, line.affected,
                    line.time, line.longest});
  }
  return rows;
}

namespace {

io::Task<void> TellSessions(vtgate::SessionRegistry* registry, web::Completion done) {
  std::vector<vtgate::SessionRow> rows = co_await registry->List(Deadline::In(1s));
  nlohmann::json list = nlohmann::json::array();
  for (const vtgate::SessionRow& row : rows) {
    list.push_back({{"id", std::to_string(row.id)},
                    {"user", row.user},
                    {"host", row.host},
                    {"target", row.target},
                    {"state", row.state},
                    {"pinned", row.pinned},
                    {"statement", sql::Redact(row.statement, sql::Dialect())}});
  }
  done(web::JsonResponse(list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
}

}  // namespace

void AddSessions(web::Server& server, vtgate::SessionRegistry& sessions, int64_t limit) {
  vtgate::SessionRegistry* registry = &sessions;
  server.Route("/debug/sessions", [registry](const web::Request&, web::Completion done) {
    io::Detach(TellSessions(registry, std::move(done)));
  });
  server.Route("/debug/buffer", [limit](const web::Request&, web::Completion done) {
    const vtgate::FailoverMetrics& metrics = vtgate::FailoverMetrics::Process();
    const Gauge& waiting = Metrics::Process().AddGauge(
        "BufferRequestsWaiting", "requests that hold a place in the buffer now");
    const nlohmann::json json = {{"waiting", waiting.value()},
                                 {"limit", limit},
                                 {"buffered", metrics.buffered.value()},
                                 {"released", metrics.buffer_released.value()},
                                 {"refused", metrics.buffer_refused.value()},
                                 {"expired", metrics.buffer_expired.value()}};
    done(web::JsonResponse(json.dump()));
  });
}

}  // namespace paceline::cmd
