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

#include "drive/observer.h"
#include "health/watcher.h"
#include "io/sync.h"
#include "vtorc/diagnose.h"

namespace paceline::vtorc {

struct VtorcOptions {
  std::set<std::string> keyspaces;  // empty: all; "keyspace" or "keyspace/shard"
  Duration look_interval = std::chrono::milliseconds(250);
  Duration topology_interval = std::chrono::seconds(2);  // for shards that come and go
  Duration recovery_limit = std::chrono::seconds(60);    // of one recovery
  bool recoveries = true;                                // false: only diagnose
  DiagnoseOptions diagnose;
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
  std::string error;  // why the shard could not be looked at
};

class Vtorc {
 public:
  static constexpr size_t kTimeline = 500;

  // `health` brings news of tablets at once; it may be null, then looks are all there is.
  Vtorc(topo::Server& topo, drive::Connect connect, health::Watcher* health, VtorcOptions options);
  ~Vtorc();
  void Start();
  io::Task<void> Stop(Deadline deadline);

  // Diagnoses without healing until it is switched on again.
  void SetRecoveries(bool on) { options_.recoveries = on; }
  bool recoveries() const { return options_.recoveries; }
  std::vector<ShardReport> Report() const;
  const std::deque<TimelineEntry>& timeline() const { return timeline_; }
  struct Counts {
    int64_t successful = 0, failed = 0, failovers = 0;
  };
  const Counts& counts() const { return counts_; }

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
  io::Task<Status> Reparent(std::shared_ptr<Shard> shard, reparent::Request request);
  io::Task<Status> Mend(std::shared_ptr<Shard> shard, Problem problem);
  void Tell(const std::string& shard, std::string text);

  topo::Server& topo_;
  drive::Connect connect_;
  health::Watcher* health_;
  VtorcOptions options_;
  std::map<record::KeyspaceShard, std::shared_ptr<Shard>> shards_;
  std::deque<TimelineEntry> timeline_;
  Counts counts_;
  int listener_ = 0;
  io::Gate gate_;
};

}  // namespace paceline::vtorc
