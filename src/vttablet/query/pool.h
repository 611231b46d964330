// vttablet/query/pool.h - the bounded set of mysqld connections of one loop. Two kinds of permits
// bound it: one for single statements, one for transactions and reservations, so that open
// transactions cannot starve the rest. Who finds none free waits in line; the line is bounded too.
// Threads: its loop's. Each loop has a pool of its own with its share of the capacity; there is no
// borrowing yet.
#pragma once

#include <memory>
#include <vector>

#include "io/loop.h"
#include "io/sync.h"
#include "vttablet/query/connection.h"
#include "vttablet/query/metrics.h"

namespace paceline::vttablet {

struct PoolOptions {
  MysqldOptions mysqld;
  size_t statements = 16;    // permits for single statements
  size_t transactions = 20;  // permits for transactions and reservations
  size_t max_waiting = 5000;
  Duration wait_timeout{0};  // zero: until the request's deadline
  Duration idle_timeout = std::chrono::minutes(30);
  Duration max_lifetime{0};  // zero: unlimited
};

class Pool {
 public:
  struct Want {
    bool transaction = false;
    bool found_rows = false;
    port::SettingsPtr settings;
  };

  Pool(io::Loop& loop, PoolOptions options, QueryMetrics& metrics);
  ~Pool();

  // A connection that has these settings already, when there is one and nobody waits. Null: use
  // Take.
  ConnectionPtr TryTake(bool transaction, bool found_rows, uint64_t settings_id);
  // A connection with a permit; its settings are the best that was there, the caller applies its
  // own. Errors: kResourceExhausted when the line is full or the wait too long; kClusterEvent when
  // mysqld cannot be reached: nothing has run.
  io::Task<Result<ConnectionPtr>> Take(Want want, Deadline deadline);
  // Back, with its permit. A tainted one must not come here.
  void Give(ConnectionPtr connection);
  // Closes it and frees its permit.
  void Discard(ConnectionPtr connection);
  // A statement's connection becomes a transaction's. Keeps its own permit when no other is free.
  void MoveToTransactions(Connection& connection);

  // Closes what has been idle or alive too long.
  void Sweep();
  void CloseIdle();
  // Ends all waits with kClusterEvent.
  void Close();
  size_t idle() const { return idle_.size(); }
  size_t connections() const { return connections_; }

 private:
  io::Semaphore& SemaphoreOf(Connection::Permit permit) {
    return permit == Connection::Permit::kTransaction ? transactions_ : statements_;
  }
  // The best idle connection of its class that lives, removed from the list; null when none.
  ConnectionPtr PickIdle(bool found_rows, uint64_t settings_id, bool only_equal);
  ConnectionPtr RemoveIdle(size_t index);
  void Free(ConnectionPtr connection);
  void Publish();

  io::Loop& loop_;
  PoolOptions options_;
  QueryMetrics& metrics_;
  io::Semaphore statements_;
  io::Semaphore transactions_;
  bool closed_ = false;
  size_t connections_ = 0;           // open ones, lent or idle
  std::vector<ConnectionPtr> idle_;  // most recently used last
};

}  // namespace paceline::vttablet
