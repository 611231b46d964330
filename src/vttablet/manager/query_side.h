// vttablet/manager/query_side.h - what the manager steers of the query service, over all its loops.
// Threads: the manager's loop.
#pragma once

#include <string>

#include "io/task.h"
#include "port/query_service.h"
#include "vttablet/query/attempts.h"
#include "vttablet/query/disk_refusal.h"

namespace paceline::vttablet {

class QuerySide {
 public:
  virtual ~QuerySide() = default;
  // Takes effect on every loop before anything later that this side is asked. `leased`: nothing is
  // served, and no answer given, after the end of the lease.
  virtual void SetServing(record::TabletType type, bool serving, std::string reason, uint64_t term,
                          bool leased) = 0;
  // In force at once.
  virtual void SetLease(Time until) = 0;
  virtual void SetDiskRefusal(DiskRefusal refusal) = 0;
  virtual void SetHealth(const port::TabletHealth& health) = 0;
  // Lets nothing new in, waits for what runs until `grace`, then kills it. False when something was
  // killed.
  virtual io::Task<bool> Drain(Deadline grace) = 0;
  // None of `attempts` starts any more; what is known of them.
  virtual io::Task<AttemptsSight> HoldAttempts(std::vector<uint32_t> attempts) = 0;
  // `resolve` is called on this loop, until the query side is closed.
  virtual void SetResolve(Resolve resolve) = 0;
  // mysqld was restarted.
  virtual void DropConnections(const std::string& reason) = 0;
};

}  // namespace paceline::vttablet
