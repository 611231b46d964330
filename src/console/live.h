// console/live.h - the cluster as it is now, for all who watch: the topology's records, read anew
// every few seconds, and what each tablet's health stream tells. Those who listen get a snapshot
// and then what changes. Threads: one loop, the topology's. Lifetime: Stop before destroying;
// `topo`, `dialer` and `rng` outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "health/watcher.h"
#include "io/sync.h"
#include "topo/server.h"
#include "web/events.h"

namespace paceline::console {

struct LiveOptions {
  Duration topology_interval = 2s;
  Duration tablet_interval = 500ms;  // changes of tablets are gathered for so long
  Duration details_interval = 15s;   // version and disk, asked of each tablet
  Duration position_interval = 5s;   // positions of replicas, while somebody looks
  size_t details_at_once = 16;
  size_t listeners = 64;
};

// What a tablet tells only when asked.
struct TabletDetails {
  std::string version;
  int64_t disk_bytes = -1, disk_free_bytes = -1;  // -1: not known
  int64_t disk_seconds_left = -1;                 // until it is full; -1: not known, or never
};

class Live {
 public:
  // Positions of a shard's tablets, which health streams tell of primaries alone.
  using Positions = std::map<record::TabletAlias, std::string>;
  using AskPositions = std::function<io::Task<Result<Positions>>(record::KeyspaceShard shard)>;

  Live(io::Loop& loop, topo::Server& topo, health::Dialer& dialer, Rng& rng, AskPositions positions,
       LiveOptions options);
  ~Live();
  void Start();
  io::Task<void> Stop();

  // Sends the snapshot and from then on each change. Errors: kResourceExhausted.
  Status Listen(std::shared_ptr<web::EventStream> listener);
  // To all who listen.
  void Publish(std::string_view event, const nlohmann::json& data);
  // "cells", "keyspaces", "shards", "maintenance", "problems", "tablets" (README.md tells the
  // shapes).
  nlohmann::json Snapshot() const;
  // Reads the topology at once: something was changed there.
  void LookAgain() { look_again_.Set(); }

  // The same as values, for plans.
  std::vector<health::TabletStatus> Tablets() const;
  const health::TabletStatus* Find(const record::TabletAlias& alias) const;
  const std::map<record::KeyspaceShard, record::Shard>& shards() const { return shards_; }

 private:
  struct Cell;
  static io::Task<void> WatchTopology(Live& self);
  static io::Task<void> PublishTablets(Live& self);
  static io::Task<void> AskDetails(Live& self);
  static io::Task<void> AskOne(Live& self, record::Tablet tablet);
  static io::Task<void> FollowPositions(Live& self);
  static io::Task<void> AskShard(Live& self, record::KeyspaceShard shard);
  io::Task<void> ReadTopology();
  void WatchCells(const std::vector<std::string>& names);
  io::Task<void> ForgetCells();
  nlohmann::json TabletJson(const health::TabletStatus& status) const;

  io::Loop& loop_;
  topo::Server& topo_;
  health::Dialer& dialer_;
  Rng& rng_;
  const AskPositions ask_positions_;
  const LiveOptions options_;
  std::map<std::string, std::unique_ptr<Cell>> cells_;
  std::vector<std::unique_ptr<Cell>> gone_cells_;  // to be stopped
  std::unique_ptr<nlohmann::json> topology_;       // as last read
  std::map<record::KeyspaceShard, record::Shard> shards_;
  std::map<record::TabletAlias, TabletDetails> details_;
  Positions positions_;
  std::set<record::TabletAlias> changed_;
  std::map<record::TabletAlias, std::string> told_;  // the JSON that all who listen have
  std::vector<std::shared_ptr<web::EventStream>> listeners_;
  io::Event look_again_;
  io::Semaphore asking_;
  io::Gate gate_;
};

}  // namespace paceline::console
