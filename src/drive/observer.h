// drive/observer.h - looks at a shard: its records in the topology, and what each of its tablets
// says of itself, all at once. Threads: the topology's loop. Lifetime: Observe() has ended before
// it is destroyed.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "drive/connect.h"
#include "io/sync.h"
#include "reparent/view.h"
#include "topo/server.h"

namespace paceline::drive {

struct ObserverOptions {
  record::KeyspaceShard shard;
  // Go on with the records of the last look while the topology is away; the first look needs it.
  bool outlive_topology = false;
  bool allow_unknown_cells = false;  // a cell whose tablets are not known is no error
  // How long a tablet has to say where it stands. One that missed it is asked on, and waited for no
  // longer than the others take.
  Duration look{std::chrono::milliseconds(1500)};
};

class Observer {
 public:
  static constexpr Duration kTopologyAway = std::chrono::milliseconds(300);
  // One that was away a moment ago is not waited for as long again, but each kLongLook-th time.
  static constexpr Duration kStillAway = std::chrono::milliseconds(50);
  static constexpr int kLongLook = 8;
  static constexpr Duration kSilent =
      std::chrono::milliseconds(20);  // at least, for one that missed a look
  static constexpr Duration kGiveUp = std::chrono::seconds(5);  // on an answer nobody waits for
  struct Member {
    record::Tablet tablet;
    std::shared_ptr<port::TabletManager> manager;
  };

  Observer(topo::Server& topo, Connect connect, ObserverOptions options);

  // Errors: those of the topology; kFailedPrecondition for a shard without tablets.
  io::Task<Status> Observe(Deadline deadline);
  // Looks again at these tablets alone, with the records of the last look.
  io::Task<void> ObserveOnly(std::set<record::TabletAlias> which, Deadline deadline);
  // What a tablet told with its answer to a call.
  void Take(const record::TabletAlias& alias, const agent::TabletStateResponse& state);

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
  struct Call;
  static io::Task<void> Ask(std::shared_ptr<Call> call,
                            std::shared_ptr<port::TabletManager> manager,
                            std::shared_ptr<io::Event> news);
  io::Task<Status> ReadRecords(Deadline deadline);
  // The records as the topology's local copy has them, for a process that has started without it.
  void Recall();
  // Asks these tablets; fills their sights.
  io::Task<void> Look(std::set<record::TabletAlias> which, Deadline deadline);
  void Fill(const agent::TabletStateResponse& state, reparent::TabletSight* sight);
  record::TabletAlias FindSource(const std::string& host, int port) const;

  topo::Server& topo_;
  Connect connect_;
  ObserverOptions options_;
  reparent::View view_;
  topo::Stored<record::Shard> shard_;
  reparent::Durability durability_ = reparent::Durability::kNone;
  std::vector<Member> members_;
  std::set<record::TabletAlias> silent_;
  std::map<record::TabletAlias, std::shared_ptr<Call>> calls_;  // those that are under way
  std::shared_ptr<io::Event> news_;                             // pulsed when one has ended
  bool topology_away_ = false;
  int looks_away_ = 0;  // since it is
};

}  // namespace paceline::drive
