// vtgate/gate.h - a whole vtgate on one loop: topology, health, gateway, MySQL front. A process has
// one for each of its threads; they share nothing but the SessionTable and the turns of replays.
// Threads: its loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "health/watcher.h"
#include "topo/open.h"
#include "vtgate/health_gateway.h"
#include "vtgate/mysql_front.h"
#include "vtgate/topology_feed.h"
#include "vtgate/version_probe.h"

namespace paceline::vtgate {

struct GateOptions {
  topo::OpenOptions topo;
  std::string cell;
  std::vector<std::string> cells_to_watch;
  std::string local_copy;        // file; empty: none
  bool saves_local_copy = true;  // one loop alone
  Duration query_timeout = 1h;
  BufferOptions buffer;                                                         // this loop's share
  std::shared_ptr<ReplayTurns> replay_turns = std::make_shared<ReplayTurns>();  // of all loops
  FailoverOptions failover;
  ReadAfterWriteOptions read_after_write;
  Duration lag_low = 30s, lag_high = 2h;
  std::shared_ptr<const MysqlFrontOptions> front;
  StatementStats* statements = nullptr;  // both outlive the gate; null: none
  QueryLog* query_log = nullptr;
};

class Gate {
 public:
  // A dialer that also remembers what it dialled last.
  class Dialer : public health::Dialer {
   public:
    virtual port::QueryServicePtr Last(const record::TabletAlias& alias) const = 0;
  };
  // `dialer` and `table` outlive it.
  Gate(io::Loop& loop, GateOptions options, Dialer& dialer, SessionTable& table);
  ~Gate();

  // Opens the topology and starts watching; serves from what is known. Errors: kInvalidArgument
  // naming a flag.
  io::Task<Status> Start(Deadline deadline);
  io::Task<void> Stop(Deadline deadline);

  MysqlFront& front() { return *front_; }
  GateContext& context() { return context_; }
  const GateContext& context() const { return context_; }
  health::Watcher& watcher() { return *watcher_; }

 private:
  io::Loop& loop_;
  GateOptions options_;
  Dialer& dialer_;
  SessionTable& table_;
  std::unique_ptr<topo::Server> topo_;
  std::unique_ptr<topo::Cache> cache_;
  std::unique_ptr<health::Watcher> watcher_;
  std::unique_ptr<HealthGateway> gateway_;
  std::unique_ptr<TopologyFeed> feed_;
  std::unique_ptr<VersionProbe> version_;
  std::unique_ptr<MysqlFront> front_;
  GateContext context_;
};

}  // namespace paceline::vtgate
