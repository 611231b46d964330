// vtctld/reparent_driver.h - drives reparent/decide.h to its end: builds the View from the topology
// and the tablets, runs each step, observes again. Holds the shard's lock meanwhile. May be run
// again after any failure. Threads: the topology's loop. Lifetime: Run() has ended before it is
// destroyed.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "reparent/decide.h"
#include "topo/server.h"
#include "vtctld/connect.h"

namespace paceline::vtctld {

struct ReparentOptions {
  record::KeyspaceShard shard;
  reparent::Request request;
  Duration wait_replicas{std::chrono::seconds(30)};  // of each step that waits for data
  bool wait_for_all = false;                         // refuse when a tablet cannot be reached
  // How long a tablet has to say where it stands; one that missed it once gets `kAgain`.
  Duration look{std::chrono::milliseconds(1500)};
};

class ReparentDriver {
 public:
  static constexpr Duration kAgain = std::chrono::milliseconds(300);

  // `told` gets a line for each step.
  ReparentDriver(topo::Server& topo, Connect connect, ReparentOptions options,
                 std::function<void(std::string)> told);

  // The primary that leads now. Errors: what reparent::Refuse says, with what may be lost where
  // force would go on; kDeadlineExceeded naming the holder of the shard's lock; kUnavailable when
  // the topology does not answer.
  io::Task<Result<record::TabletAlias>> Run(Deadline deadline);

 private:
  struct Member {
    record::Tablet tablet;
    std::shared_ptr<port::TabletManager> manager;
  };
  io::Task<Result<record::TabletAlias>> RunLocked(Deadline deadline);
  io::Task<Status> Observe(Deadline deadline);
  io::Task<void> Look(size_t index, Deadline deadline);
  record::TabletAlias FindSource(const std::string& host, int port) const;
  const Member* Find(const record::TabletAlias& alias) const;

  io::Task<reparent::StepResult> Do(reparent::Step step, Deadline deadline);
  io::Task<void> DoOne(const reparent::Step* step, record::TabletAlias alias, bool semi_sync,
                       reparent::StepResult* result, Deadline deadline);
  io::Task<Status> Call(const reparent::Step* step, Member member, bool semi_sync,
                        Deadline deadline);
  io::Task<Status> Publish(record::TabletAlias primary, Deadline deadline);
  io::Task<void> Refresh(record::TabletAlias alias, Deadline deadline);
  io::Task<void> Settle(Deadline deadline);

  topo::Server& topo_;
  Connect connect_;
  ReparentOptions options_;
  std::function<void(std::string)> told_;
  topo::LockPtr lock_;

  // Of the newest look.
  reparent::View view_;
  topo::Stored<record::Shard> shard_;
  std::vector<Member> members_;
  std::set<record::TabletAlias> silent_;  // missed a look before
};

}  // namespace paceline::vtctld
