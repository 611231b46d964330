// web/pages.h - the pages that monitors, probes and people ask a process for; mains fill the
// structs.
//
// Every process: / and /debug/status (HTML), /healthz (200 while its loop turns), /readyz and
// Vitess's /debug/health (whether to send it work), /metrics, /debug/vars, /version.
// Threads: all functions given are called on the server's loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/metrics.h"
#include "io/task.h"
#include "record/record.h"
#include "web/html.h"
#include "web/server.h"

namespace paceline::web {

struct Program {
  std::string name;      // "vtgate": the heading, and the prefix of its metrics
  std::string about;     // which one of its kind: "zone1-0000000101"; may be empty
  std::string version;   // "0.1.0"
  std::string revision;  // of the source; may be empty
  // For the status page; values of names that speak of secrets are not shown.
  std::vector<std::pair<std::string, std::string>> flags;
};

struct TabletRow {
  record::Tablet tablet;
  bool serving = false;
  std::optional<Duration> lag;
  std::string position;
  std::string error;  // why it does not serve
};

// Statements of one shape that a gate has run.
struct StatementRow {
  std::string digest;
  std::string keyspace;
  uint64_t count = 0, errors = 0, rows = 0, affected = 0;
  Duration time{0}, longest{0};  // of all, of one
};

// vtctld
struct CellRow {
  std::string name;
  record::CellInfo info;
};
struct KeyspaceRow {
  std::string name;
  record::Keyspace keyspace;
};
struct ShardRow {
  record::KeyspaceShard name;
  record::Shard shard;
};
struct ClusterView {
  std::vector<CellRow> cells;
  std::vector<KeyspaceRow> keyspaces;
  std::vector<ShardRow> shards;
  std::vector<TabletRow> tablets;
  std::vector<std::string> problems;  // what could not be read, what needs a person
};

// vttablet
struct PoolRow {
  std::string name;
  int64_t capacity = 0, in_use = 0, waiting = 0;
};
struct TabletView {
  record::Tablet tablet;  // as it is now
  bool serving = false;
  std::string reason;      // why it does not serve
  std::string disk_error;  // why its disk takes no writes
  uint64_t term = 0;
  bool mysqld_alive = false, read_only = false;
  std::string position;
  // Empty fields: it does not replicate.
  std::string source;  // "host:port"
  bool io_running = false, sql_running = false;
  std::optional<Duration> lag;
  std::string replication_error;
  std::string semi_sync;  // "source, 2 replicas", "replica", "off"
  std::vector<PoolRow> pools;
  std::vector<Table> more;
};

// vtgate
struct GateView {
  std::string cell;
  std::vector<TabletRow> tablets;  // `serving`: may be asked now
  std::vector<PoolRow> pools;
  std::vector<Table> more;
};

// Answers now or later, once, on the loop.
template <class T>
using Source = std::function<void(std::function<void(Result<T>)>)>;

// From a coroutine. What it uses outlives the server.
template <class T>
Source<T> FromTask(std::function<io::Task<Result<T>>()> make) {
  struct Runner {
    static io::Task<void> Run(std::function<io::Task<Result<T>>()> make,
                              std::function<void(Result<T>)> done) {
      io::Task<Result<T>> task = make();
      Result<T> value = co_await task;
      done(std::move(value));
    }
  };
  return [make = std::move(make)](std::function<void(Result<T>)> done) {
    io::Detach(Runner::Run(make, std::move(done)));
  };
}

// Adds the routes and holds the metrics' callbacks, so it goes before what its functions read; the
// routes it added answer 503 from then on.
class Pages {
 public:
  // `ready`: an error is why the process should get no work now.
  Pages(Server& server, Metrics& metrics, Program program, std::function<Status()> ready);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // Tables of cells, keyspaces, shards and tablets on the status page; also at Vitess's /app.
  void AddCluster(Source<ClusterView> read);
  // Role, replication and pools; TabletType, TabletStateName, TabletState, TabletServerState,
  // TabletAlias, TabletKeyspace, TabletShard in the variables; /debug/status_details.
  void AddTablet(std::function<TabletView()> read);
  // Tablets and their health; HealthcheckConnections; /debug/vschema from `vschema_json`.
  void AddGate(std::function<GateView()> read, std::function<std::string()> vschema_json);
  // What statements cost, by shape: /debug/queryz and /queryz for people, /debug/query_stats as
  // JSON.
  void AddStatements(std::function<std::vector<StatementRow>()> read);

 private:
  struct State;
  Server& server_;
  Metrics& metrics_;
  std::shared_ptr<State> state_;
  std::vector<Metrics::Callback> callbacks_;
};

}  // namespace paceline::web
