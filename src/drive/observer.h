// drive/observer.h - looks at a shard: its records in the topology, and what each of its tablets
// says of itself, all at once. Threads: the topology's loop. Lifetime: Observe() has ended before
// it is destroyed.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "drive/connect.h"
#include "reparent/view.h"
#include "topo/server.h"

namespace paceline::drive {

struct ObserverOptions {
  record::KeyspaceShard shard;
  // Go on with the records of the last look while the topology is away; the first look needs it.
  bool outlive_topology = false;
  bool allow_unknown_cells = false;  // a cell whose tablets are not known is no error
  // How long a tablet has to say where it stands; one that missed it once gets `kAgain`.
  Duration look{std::chrono::milliseconds(1500)};
};

class Observer {
 public:
  static constexpr Duration kAgain = std::chrono::milliseconds(300);
  struct Member {
    record::Tablet tablet;
    std::shared_ptr<port::TabletManager> manager;
  };

  Observer(topo::Server& topo, Connect connect, ObserverOptions options);

  // Errors: those of the topology; kFailedPrecondition for a shard without tablets.
  io::Task<Status> Observe(Deadline deadline);

  // Of the newest look.
  const reparent::View& view() const { return view_; }
  const std::vector<Member>& members() const { return members_; }
  const Member* Find(const record::TabletAlias& alias) const;
  const topo::Stored<record::Shard>& shard() const { return shard_; }
  bool topology_away() const { return topology_away_; }
  // Who did not answer in some look; they get less time in the next one.
  const std::set<record::TabletAlias>& silent() const { return silent_; }
  // What another observer knows, so that this one need not find it out again.
  void StartFrom(const Observer& other);

 private:
  io::Task<Status> ReadRecords(Deadline deadline);
  // The records as the topology's local copy has them, for a process that has started without it.
  void Recall();
  io::Task<void> Look(size_t index, Deadline deadline);
  record::TabletAlias FindSource(const std::string& host, int port) const;

  topo::Server& topo_;
  Connect connect_;
  ObserverOptions options_;
  reparent::View view_;
  topo::Stored<record::Shard> shard_;
  reparent::Durability durability_ = reparent::Durability::kNone;
  std::vector<Member> members_;
  std::set<record::TabletAlias> silent_;
  bool topology_away_ = false;
};

}  // namespace paceline::drive
