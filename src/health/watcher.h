// health/watcher.h - keeps a View true: finds the tablets of some cells in the topology, holds a
// health stream to each, and tells who waits. Without the topology it goes on with the tablets it
// knows, or those of a topo::Cache (I6). Threads: one loop. Lifetime: Stop before destroying;
// `topo`, `dialer`, `cache` and `rng` outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "health/view.h"
#include "io/sync.h"
#include "io/task.h"
#include "port/query_service.h"
#include "topo/cache.h"
#include "topo/server.h"

namespace paceline::health {

// Makes the client end of a tablet, native or gRPC. It need not connect before it is used.
class Dialer {
 public:
  virtual ~Dialer() = default;
  virtual port::QueryServicePtr Dial(const record::Tablet& tablet) = 0;
};

struct WatcherOptions {
  std::vector<std::string> cells;      // whose tablets are watched
  std::vector<std::string> keyspaces;  // empty: all
  std::string local_cell;              // preferred by PickReplica
  ViewOptions view;
  // One that was heard of a moment ago comes back soon, mostly, and clients wait for it: only after
  // `redial_soon` do the pauses grow.
  Duration redial_first = 50ms, redial_max = 5s, redial_soon = 5s;
  Duration hang_up_after = 5s;  // a stream silent for so long is closed and dialled again
  // A primary is hung up on this long after a newer one was heard of, once: what it still runs
  // would wait for ever where it is frozen, and its answers are those of an older term. One that
  // has given up its office by then is left alone.
  Duration hang_up_older_after = 100ms;
};

class Watcher {
 public:
  // `cache` may be null.
  Watcher(io::Loop& loop, WatcherOptions options, topo::Server& topo, Dialer& dialer,
          topo::Cache* cache, Rng& rng);
  ~Watcher();
  void Start();
  io::Task<void> Stop();

  const View& view() const { return view_; }
  // Copies, so that they may be kept across an await. Empty when there is none healthy.
  std::optional<TabletStatus> PickPrimary(const std::string& keyspace,
                                          const std::string& shard) const;
  std::optional<TabletStatus> PickReplica(const record::Target& target,
                                          const std::vector<record::TabletAlias>& avoid = {});
  // Until a healthy primary exists whose term is newer than `than` (default: any). Errors:
  // kDeadlineExceeded saying what is known, kCanceled.
  io::Task<Result<TabletStatus>> WaitForPrimary(std::string keyspace, std::string shard,
                                                PrimaryTerm than, Deadline deadline);
  // What is known of the shard's tablets, for people.
  std::string WhyNoPrimary(const std::string& keyspace, const std::string& shard) const;
  // Until at least one tablet of the target's type is healthy. Errors: as above.
  io::Task<Status> WaitForTablets(record::Target target, Deadline deadline);
  // All cells have told their tablets once, from the topology or from the cache.
  io::Task<Status> WaitForDiscovery(Deadline deadline);

  // Called on the loop after each change of a tablet that a chooser looks at, and with each health
  // message otherwise (lag, qps) when `beats` is set. A tablet that is gone comes with connected =
  // false. Do not remove listeners inside.
  using Listener = std::function<void(const TabletStatus&)>;
  int AddListener(Listener listener, bool beats = false);
  void RemoveListener(int id);

 private:
  struct Tablet;
  struct Registered {
    Listener call;
    bool beats;
  };
  io::Task<void> WatchCell(std::string cell);
  io::Task<void> WatchTablet(std::shared_ptr<Tablet> tablet);
  io::Task<void> Ticks();
  io::Task<void> HangUp(std::shared_ptr<Tablet> tablet);
  void Found(const record::Tablet& tablet);
  void Gone(const record::TabletAlias& alias);
  void Changed(const record::TabletAlias& alias, bool matters);
  void Tell(const TabletStatus& status, bool matters);
  bool OfOlderTerm(Tablet& tablet, const TabletStatus& status, Time now) const;

  io::Loop& loop_;
  WatcherOptions options_;
  topo::Server& topo_;
  Dialer& dialer_;
  topo::Cache* cache_;
  Rng& rng_;
  View view_;
  std::map<record::TabletAlias, std::shared_ptr<Tablet>> tablets_;
  std::map<int, Registered> listeners_;
  int next_listener_ = 1;
  size_t cells_told_ = 0;
  io::Gate gate_;
  io::Event changed_;  // pulsed
};

}  // namespace paceline::health
