// drive/reparent_driver.h - drives reparent/decide.h to its end: builds the View from the topology
// and the tablets, runs each step, observes again. Holds the shard's lock meanwhile. May be run
// again after any failure. Threads: the topology's loop. Lifetime: Run() has ended before it is
// destroyed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "drive/observer.h"
#include "io/sync.h"
#include "io/together.h"
#include "reparent/decide.h"
#include "topo/server.h"

namespace paceline::drive {

struct ReparentOptions {
  record::KeyspaceShard shard;
  reparent::Request request;
  Duration wait_replicas{std::chrono::seconds(30)};  // of each step that waits for data
  std::string coordinator;    // who asks, for the tablets' memory of their promise
  bool wait_for_all = false;  // refuse when a tablet cannot be reached
  // Go on with what StartFrom told, and without the shard's lock, while the topology is away. Does
  // not wait for a lock that another holds.
  bool outlive_topology = false;
  Duration lock_patience{std::chrono::milliseconds(500)};  // only then
  // Without the lock: not before, since a term that somebody took may still be on its way.
  std::optional<Deadline> others_until;
  // Before each step is run; may be empty.
  std::function<void(const reparent::Step&)> on_step;
};

class ReparentDriver {
 public:
  // `told` gets a line for each step.
  ReparentDriver(topo::Server& topo, Connect connect, ReparentOptions options,
                 std::function<void(std::string)> told);

  // Before Run: what an observer of the shard knows already.
  void StartFrom(const Observer& known) { observer_.StartFrom(known); }

  // The primary that leads now. Errors: what reparent::Refuse says, with what may be lost where
  // force would go on; kDeadlineExceeded naming the holder of the shard's lock, or kAborted where
  // it was not to be waited for; kUnavailable when the topology does not answer.
  io::Task<Result<record::TabletAlias>> Run(Deadline deadline);
  // The last term that this run asked for; 0: none.
  uint64_t term() const { return term_; }

 private:
  io::Task<Result<record::TabletAlias>> RunLocked(Deadline deadline);
  io::Task<Status> Observe(Deadline deadline);

  // A step under way at several tablets. Whoever answers once it is over is no longer listened to.
  struct Round {
    reparent::Step step;
    reparent::StepResult result;
    size_t left = 0;
    bool over = false;
    io::Event answered;
  };
  io::Task<reparent::StepResult> Do(reparent::Step step, Deadline deadline);
  // What is to be looked at after a step: no more than it may have changed.
  io::Task<Status> LookAfter(reparent::Step step, reparent::StepResult result, Deadline deadline);
  io::Task<void> DoOne(std::shared_ptr<Round> round, record::TabletAlias alias, bool semi_sync,
                       Deadline deadline);
  io::Task<Status> Call(std::shared_ptr<Round> round, Observer::Member member, bool semi_sync,
                        Deadline deadline);
  io::Task<Status> Publish(record::TabletAlias primary, Deadline deadline);
  io::Task<void> Refresh(record::TabletAlias alias, Deadline deadline);
  io::Task<void> Settle(Deadline deadline);

  // What a tablet told with its answer to a step.
  template <class Response>
  void Take(const Round& round, const record::TabletAlias& alias, const Response& response);

  topo::Server& topo_;
  ReparentOptions options_;
  std::function<void(std::string)> told_;
  topo::LockPtr lock_;
  uint64_t term_ = 0;
  Observer observer_;
  io::Together calls_;                    // of all rounds
  std::set<record::TabletAlias> untold_;  // did a step, and did not tell where they stand
};

}  // namespace paceline::drive
