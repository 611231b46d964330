// local/health.h - whether a local cluster serves: what its tablets say of themselves, and the
// verdict on it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace paceline::local {

// One tablet, as its own page and its mysqld say.
struct TabletHealth {
  std::string alias;
  std::string error;  // it did not answer; the rest is empty
  std::string type;   // "primary", "replica", "drained"
  bool serving = false;
  std::string reason;      // why it does not serve
  std::string disk_error;  // why its disk takes no writes
  int64_t lag_s = 0;
  bool replication_broken = false;
  bool registered = true;  // the topology has its record
};

// What holds up the primary's writes. Not known: all is taken for well.
struct PrimaryHealth {
  bool read_only = false;
  bool semi_sync = false;
  int64_t replicas_wanted = 0, replicas = 0;  // that acknowledge a commit
};

struct ClusterHealth {
  std::vector<TabletHealth> tablets;
  PrimaryHealth primary;
  std::string topology_error;  // vtctld did not answer
  std::string gate_error;      // vtgate did not answer a query
};

inline constexpr int64_t kLagMaxS = 30;  // a replica behind by more is not well

struct Verdict {
  bool writes = true;  // the shard takes writes
  // Each says what is wrong and what to do about it.
  std::vector<std::string> problems;
  // Of `paceline status`: 0 all is well; 1 not all, but writes are taken; 3 no writes.
  int exit_code() const { return !writes ? 3 : problems.empty() ? 0 : 1; }
};
// Adds to `verdict`, which has what was found about processes. `keyspace_shard`: "commerce/0".
void Judge(const ClusterHealth& health, const std::string& keyspace_shard, Verdict& verdict);

// The line of a tablet in the list: "zone1-0000000100  primary  SERVING".
std::string HealthLine(const TabletHealth& tablet);
// From a vttablet's /debug/vars and /debug/status_details; `error` is set for what is not readable.
TabletHealth ReadTabletHealth(const std::string& alias, const std::string& vars,
                              const std::string& details);
// From what `vtctldclient GetFullStatus` prints.
PrimaryHealth ReadPrimaryHealth(const std::string& full_status);

}  // namespace paceline::local
