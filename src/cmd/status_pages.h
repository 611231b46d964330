// cmd/status_pages.h - the HTTP pages of each program, filled from what its main holds. Threads:
// the loop they were made for.
#pragma once

#include <memory>
#include <string>

#include "base/flags.h"
#include "topo/server.h"
#include "vtgate/gate.h"
#include "vtgate/statement_stats.h"
#include "vttablet/manager/manager.h"
#include "web/pages.h"
#include "web/server.h"

namespace paceline::cmd {

// A server with the common pages; not started. Null when `port` is 0.
struct StatusPages {
  std::unique_ptr<web::Server> server;
  std::unique_ptr<web::Pages> pages;
};
StatusPages MakePages(io::Loop& loop, const std::string& program, const std::string& about,
                      const std::string& address, int port, std::function<Status()> ready,
                      std::shared_ptr<access::Guard> guard = nullptr);

// DataDirBytes and DataDirFreeBytes of the volume that `folder` lies on.
std::vector<Metrics::Callback> DiskMetrics(std::string folder);

web::Source<web::ClusterView> ClusterSource(topo::Server& topo);
web::TabletView ViewOf(const vttablet::Manager& manager);
web::GateView ViewOf(vtgate::Gate& gate, const std::string& cell);
std::string VschemaJson(const vtgate::Gate& gate);
std::vector<web::StatementRow> StatementRows(const std::vector<vtgate::StatementLine>& lines);
// /debug/sessions: what SHOW VITESS_SESSIONS tells, literals of statements left out; /debug/buffer:
// how many requests wait for a primary, of at most `limit`. JSON.
void AddSessions(web::Server& server, vtgate::SessionRegistry& sessions, int64_t limit);

}  // namespace paceline::cmd
