// vttablet/query/pool.h - a tablet's bounded set of mysqld connections, as one loop sees it. Three
// kinds of permits bound it: one for single statements, one for transactions and reservations, one
// for results that a client takes more slowly than mysqld gives them, so that neither open
// transactions nor slow readers can starve the rest. Who finds none free waits in line; the line is
// bounded too. Permits and line are the tablet's (PoolBudget), so that any loop may use all of the
// capacity; idle connections belong to the loop that opened them, and one is closed where another
// loop needs its place. Threads: its loop's.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "io/loop.h"
#include "io/shared_semaphore.h"
#include "io/sync.h"
#include "vttablet/query/connection.h"
#include "vttablet/query/metrics.h"

namespace paceline::vttablet {

class Pool;

// What the pools of a tablet's loops share. Threads: any.
class PoolBudget {
 public:
  PoolBudget(size_t statements, size_t transactions, size_t streams)
      : statements(statements),
        transactions(transactions),
        streams(streams),
        places(statements + transactions + streams) {}

  io::SharedSemaphore statements, transactions, streams;
  io::SharedSemaphore places;  // of open connections, lent or idle

  // From the pool's own loop. After Leave nothing is asked of it any more.
  void Join(io::Loop& loop, Pool& pool);
  void Leave(Pool& pool);
  // Somebody waits for a place: each loop gives one up that it does not use, while that is so.
  void AskForPlace();

 private:
  struct Member {
    io::Loop* loop = nullptr;
    Pool* pool = nullptr;  // read and written on its loop
  };
  std::mutex mutex_;
  std::vector<std::shared_ptr<Member>> members_;
};

struct PoolOptions {
  MysqldOptions mysqld;
  size_t statements = 16;     // permits for single statements
  size_t transactions = 20;   // permits for transactions and reservations
  size_t streams = 200;       // permits for results whose readers are slow
  size_t max_waiting = 5000;  // for each kind of permit
  Duration wait_timeout{0};   // zero: until the request's deadline
  Duration idle_timeout = std::chrono::minutes(30);
  Duration max_lifetime{0};  // zero: unlimited
  // Shared with other loops' pools, of the same numbers of permits; null: one of its own.
  std::shared_ptr<PoolBudget> budget;
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
  // A statement's connection becomes one of this kind. Keeps its own permit when no other is free.
  void Move(Connection& connection, Connection::Permit to);

  // Closes what has been idle or alive too long.
  void Sweep();
  void CloseIdle();
  // Closes the one that was used least recently, if a loop waits for its place.
  void GiveUpPlace();
  // Ends all waits with kClusterEvent.
  void Close();
  size_t idle() const { return idle_.size(); }
  size_t connections() const { return connections_; }

 private:
  io::SharedSemaphore& SemaphoreOf(Connection::Permit permit) {
    if (permit == Connection::Permit::kStream) return budget_->streams;
    return permit == Connection::Permit::kTransaction ? budget_->transactions : budget_->statements;
  }
  io::Task<Status> TakePermit(bool transaction, Deadline deadline);
  // A place for one more connection, be it that of an idle one.
  io::Task<Status> TakePlace(Deadline deadline);
  // The best idle connection of its class that lives, removed from the list; null when none.
  ConnectionPtr PickIdle(bool found_rows, uint64_t settings_id, bool only_equal);
  ConnectionPtr RemoveIdle(size_t index);
  void Free(ConnectionPtr connection);
  void Publish();

  io::Loop& loop_;
  PoolOptions options_;
  QueryMetrics& metrics_;
  std::shared_ptr<PoolBudget> budget_;
  bool closed_ = false;
  size_t connections_ = 0;           // open ones of this loop, lent or idle
  std::vector<ConnectionPtr> idle_;  // most recently used last
};

}  // namespace paceline::vttablet
