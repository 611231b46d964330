// health/view.h - what is known of the tablets and whom to ask for what. Pure: no I/O, no clock, no
// coroutine; the Watcher feeds it. Threads: one.
//
// The tablet that serves as primary with the highest term wins. Once a term was seen, no primary of
// a lower one is chosen again, even when the newer one is silent: an older primary answers stale
// reads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "base/time.h"
#include "port/query_service.h"
#include "record/record.h"

namespace paceline::health {

// Orders primaries of one shard. Terms are ours, starts are Vitess's: where one side has no term,
// starts decide.
struct PrimaryTerm {
  uint64_t term = 0;
  WallTime start;
  bool NewerThan(const PrimaryTerm& other) const {
    if (term != 0 && other.term != 0) return term > other.term;
    return start > other.start;
  }
};

struct TabletStatus {
  record::Tablet tablet;  // as the topology has it
  record::Target target;  // as the tablet says; until it has spoken, as the topology has it
  bool serving = false;
  PrimaryTerm primary_term;
  Duration replication_lag{0};
  double qps = 0;
  std::string position;
  std::string error;       // why it is not healthy, for people
  bool connected = false;  // a health stream is open and has told something
  bool suspect = false;    // silent for longer than allowed
  Time last_beat;

  // May be asked now.
  bool healthy() const { return connected && serving && !suspect; }
};

struct ViewOptions {
  Duration suspect_after = 1s;
  Duration lag_low = 30s;  // replicas below it are preferred
  Duration lag_high = 2h;  // replicas above it are never chosen
};

class View {
 public:
  explicit View(ViewOptions options) : options_(options) {}

  // What happened. Each returns true when something that a chooser looks at changed.
  bool Found(const record::Tablet& tablet, Time now);
  bool Gone(const record::TabletAlias& alias);
  bool Heard(const record::TabletAlias& alias, const port::TabletHealth& health, Time now);
  bool Broke(const record::TabletAlias& alias, std::string why);
  // Marks the silent ones; returns those newly so.
  std::vector<record::TabletAlias> Tick(Time now);

  const TabletStatus* Find(const record::TabletAlias& alias) const;
  // The healthy primary of the highest term, or null.
  const TabletStatus* PickPrimary(const std::string& keyspace, const std::string& shard) const;
  // The highest term that any tablet of the shard has claimed, serving or not.
  PrimaryTerm HighestTerm(const std::string& keyspace, const std::string& shard) const;
  // A healthy tablet of target.type: in `cell` first, then in `also_cells`, low lag first, else
  // random. Tablets in `avoid` only when there is no other. Null when none.
  const TabletStatus* Pick(const record::Target& target, const std::string& cell,
                           const std::vector<std::string>& also_cells,
                           const std::vector<record::TabletAlias>& avoid, Rng& rng) const;
  // All, by keyspace, shard, type, alias.
  std::vector<TabletStatus> List() const;
  size_t size() const { return tablets_.size(); }

 private:
  ViewOptions options_;
  std::map<record::TabletAlias, TabletStatus> tablets_;
  std::map<record::KeyspaceShard, PrimaryTerm> highest_;
};

}  // namespace paceline::health
