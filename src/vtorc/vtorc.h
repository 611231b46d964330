// vtorc/vtorc.h - watches shards and heals them: looks at every tablet, diagnoses, and drives the
// remedy under the shard's lock, or on the tablets' terms alone while the topology is away. Several
// may run: terms make a second one harmless. Threads: one loop, the topology's. Lifetime: Stop()
// before destroying.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "drive/observer.h"
#include "health/watcher.h"
#include "io/sync.h"
#include "topo/maintenance.h"
#include "vtorc/diagnose.h"
#include "vtorc/history.h"

namespace paceline::vtorc {

struct VtorcOptions {
  std::set<std::string> keyspaces;  // empty: all; "keyspace" or "keyspace/shard"
  Duration look_interval = std::chrono::milliseconds(250);
  // Between two looks, whatever is told meanwhile: a reparent is told of by every tablet, and looks
  // that follow each other without a pause slow it down.
  Duration look_pause = std::chrono::milliseconds(50);
  Duration topology_interval = std::chrono::seconds(2);  // for shards that come and go
  Duration recovery_limit = std::chrono::seconds(60);    // of one recovery
  bool recoveries = true;                                // false: only diagnose
  DiagnoseOptions diagnose;
  topo::Cache* copy = nullptr;  // of the topology, to start from while it is away
};

// One line of what was done and why.
struct TimelineEntry {
  WallTime at;
  std::string shard, text;
};

struct ShardReport {
  std::string shard;  // "keyspace/0"
  std::string primary;
  std::vector<Problem> problems;
  std::string error;        // why the shard could not be looked at
  std::string maintenance;  // why nothing is healed; empty: all is
};

class Vtorc {
 public:
  static constexpr size_t kTimeline = 500;

  // `health` brings news of tablets at once; it may be null, then looks are all there is.
  Vtorc(topo::Server& topo, drive::Connect connect, health::Watcher* health, VtorcOptions options);
  ~Vtorc();
  void Start();
  io::Task<void> Stop(Deadline deadline);

  // "*", "keyspace" or "keyspace/shard" is only diagnosed from now on, by every vtorc, or healed
  // again. Kept in the topology. Errors: kInvalidArgument, and the topology's.
  io::Task<Status> SetMaintenance(std::string name, bool on, std::string why, Deadline deadline);
  const topo::Maintenance& maintenance() const { return maintenance_; }
  std::vector<ShardReport> Report() const;
  const std::deque<TimelineEntry>& timeline() const { return timeline_; }
  History& history() { return history_; }
  int pending() const { return pending_; }  // recoveries under way

 private:
  struct Shard;
  bool Watches(const record::KeyspaceShard& shard) const;
  void Add(record::KeyspaceShard name);
  // From the local copy, for a start without the topology.
  void RecallShards();
  static io::Task<void> FindShards(Vtorc& self);
  static io::Task<void> WatchShard(Vtorc& self, std::shared_ptr<Shard> shard);
  io::Task<void> LookAt(std::shared_ptr<Shard> shard);
  io::Task<void> Heal(std::shared_ptr<Shard> shard, Problem problem);
  void Count(const record::KeyspaceShard& shard, const Problem& problem, bool done);
  io::Task<Status> Reparent(std::shared_ptr<Shard> shard, reparent::Request request,
                            int64_t recovery);
  io::Task<Status> Mend(std::shared_ptr<Shard> shard, Problem problem, int64_t recovery);
  io::Task<void> ReadMaintenance(Deadline deadline);
  io::Task<Status> FixPrimary(std::shared_ptr<Shard> shard, record::TabletAlias alias);
  // Until a transaction that came after its promotion stands at the new primary.
  static io::Task<void> SeeFirstWrite(Vtorc& self, std::shared_ptr<Shard> shard, int64_t recovery);
  void Enter(int64_t recovery, std::string stage, std::string text);
  void Tell(const std::string& shard, std::string text);
  void Remember(const std::string& shard, std::string text);

  topo::Server& topo_;
  drive::Connect connect_;
  health::Watcher* health_;
  VtorcOptions options_;
  std::map<record::KeyspaceShard, std::shared_ptr<Shard>> shards_;
  std::deque<TimelineEntry> timeline_;
  History history_;
  topo::Maintenance maintenance_;  // as last read
  int pending_ = 0;
  // By RecoveryType, keyspace and shard, as Vitess has them.
  MetricFamily<Counter>&successful_, &failed_;
  MetricFamily<Counter>&emergency_, &planned_;  // by keyspace, shard and result
  int listener_ = 0;
  io::Gate gate_;
};

}  // namespace paceline::vtorc
