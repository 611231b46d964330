// vttablet/query/query_group.h - the query services of a tablet's loops as one, for the manager:
// what it says reaches each of them on its own loop, and is in force everywhere when the call
// returns. Threads: coroutines on any loop, one at a time; server(i) on its loop. Lifetime: Close()
// before destroying.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "vttablet/query/query_server.h"

namespace paceline::vttablet {

struct QueryTotals {
  int64_t queries = 0, mysql_errors = 0, refused = 0, failed = 0, query_ns = 0;
  int64_t waits = 0, wait_ns = 0, connections = 0, idle = 0, pinned = 0, running = 0, waiting = 0;
  int64_t kills = 0, transactions = 0, transactions_killed = 0, dial_errors = 0;
};

class QueryGroup {
 public:
  // `options` hold the limits of the whole tablet, which its loops share.
  QueryGroup(std::vector<io::Loop*> loops, const QueryServerOptions& options);

  size_t size() const { return servers_.size(); }
  QueryServer& server(size_t i) { return *servers_[i]; }
  io::Loop& loop(size_t i) { return *loops_[i]; }

  io::Task<void> SetServing(record::TabletType type, bool serving, std::string reason,
                            uint64_t term, bool leased = false);
  // True when no loop had to kill anything.
  io::Task<bool> Drain(Deadline grace);
  io::Task<void> DropConnections(std::string reason);
  // Over all loops: see QueryServer.
  io::Task<AttemptsSight> HoldAttempts(std::vector<uint32_t> attempts);
  // Posted: in force before anything asked of this side later.
  void SetResolve(io::Loop& home, Resolve resolve);
  io::Task<void> SetAdmission(std::vector<const Admission*> admission);
  io::Task<void> Close();
  // Posted: in force soon. Any thread.
  void SetHealth(const port::TabletHealth& health);
  // In force at once, on every loop. Any thread.
  void SetLease(Time until) { lease_until_ns_.store(until.ns, std::memory_order_relaxed); }

  void SetDiskRefusal(DiskRefusal refusal) {
    disk_refusal_.store(refusal, std::memory_order_relaxed);
  }

  // Any thread.
  QueryTotals Totals() const;

 private:
  using Work = std::function<io::Task<bool>(QueryServer&)>;
  // Runs `work` on every loop and waits for all. True when all answered true.
  io::Task<bool> OnAll(Work work);
  io::Task<void> Apply(std::function<void(QueryServer&)> change);

  alignas(64) std::atomic<int64_t> lease_until_ns_{0};
  std::atomic<DiskRefusal> disk_refusal_{DiskRefusal::kNothing};
  std::vector<io::Loop*> loops_;
  std::vector<std::unique_ptr<QueryServer>> servers_;
};

}  // namespace paceline::vttablet
