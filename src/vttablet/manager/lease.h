// vttablet/manager/lease.h - keeps the lease of a tablet that leads (reparent/lease.h has the
// rules): asks every other tablet of the shard for a grant four times a second, each request on its
// own, so that a slow answer delays no other. Threads: the manager's loop. Lifetime: its gate is
// closed before it is destroyed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "io/sync.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "reparent/lease.h"

namespace paceline::vttablet {

// Where another tablet of the shard is; remembered, for the topology may be away.
struct LeaseMember {
  record::TabletAlias alias;
  std::string hostname;
  int grpc_port = 0;
  bool acknowledges = false;  // as the policy and its type have it
  friend bool operator==(const LeaseMember&, const LeaseMember&) = default;
};
class Lease {
 public:
  struct Needs {
    std::function<std::shared_ptr<port::TabletManager>(const record::Tablet&)> call_tablet;
    std::function<void(Time)> moved;  // its end, at once
    std::function<void()> changed;    // Holds() is not what it was
  };
  Lease(io::Loop& loop, record::TabletAlias self, Needs needs);

  // The shard's tablets, this one among them or not.
  void SetMembers(const std::vector<LeaseMember>& members);
  // This tablet leads `term`; asks at once when that is news.
  void Lead(uint64_t term, uint32_t acknowledgements);
  void Follow();

  bool leads() const { return book_.leads(); }
  bool leased() const { return book_.leased(); }
  bool Holds() const { return !book_.leased() || holds_; }
  std::string WhyNot() const;

  // Runs until the gate closes.
  static io::Task<void> Loop(Lease& self, io::Gate& gate);

 private:
  struct Peer {
    LeaseMember member;
    std::shared_ptr<port::TabletManager> manager;
    int asking = 0;
    Time answered_at;  // or first asked at, over this connection
  };

  static io::Task<void> Ask(Lease& self, io::Gate& gate, std::shared_ptr<Peer> peer);
  void AskAll(io::Gate& gate);
  void Judge();

  io::Loop& loop_;
  record::TabletAlias self_;
  Needs needs_;
  reparent::GrantBook book_;
  std::map<record::TabletAlias, std::shared_ptr<Peer>> peers_;
  std::vector<LeaseMember> members_;
  bool holds_ = false;
  bool told_ = true;   // what `changed` told last
  bool held_ = false;  // once in this term: only then is it lost
  Time asked_at_{0};
  io::Event ask_now_;
  Counter& lapses_;
  Histogram& renewal_ns_;
};

}  // namespace paceline::vttablet
