// tests/sim/shard.h - a shard in simulation: mysqlds with logs, semi-sync and replication;
// vttablets that obey terms, grant and hold leases by reparent/lease.h and take up roles as
// vttablet/manager does; a topology that can be away. Decisions are the product's. Threads: one.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <set>

#include "health/view.h"
#include "reparent/decide.h"
#include "reparent/lease.h"
#include "world.h"

namespace paceline::sim {

using reparent::TabletSight;

enum class Bug : uint8_t {
  kNone,
  kSkipFence,
  kPromoteMostLagging,
  kPublishBeforeWritable,
  kUnknownIsFailure,
  kSameTermTwice,
  kGrantFromAnswer,
  kWaitersReleased,
  kSequenceAlone,
};
std::string_view BugName(Bug bug);

struct Transaction {
  int origin = 0;
  uint64_t sequence = 0;  // MySQL: of its origin; MariaDB: of the domain
  uint64_t term = 0;      // of a journal row; 0: a client's write
  int token = -1;
};

struct Mysqld {
  Process process;
  bool held = false, read_only = true;
  std::vector<int> log;  // transactions received, in order
  std::vector<char> has;
  size_t executed = 0;  // how many of the log are committed and seen by reads
  gtid::Set received_set, executed_set;
  uint64_t newest_sequence = 0;
  // As a source.
  uint32_t acks = 0;
  std::vector<size_t> acked;  // by each tablet: how much of the log
  std::deque<std::pair<size_t, std::function<void(bool)>>> waiting;
  // As a replica.
  int source = -1;
  bool io = false, connected = false, semi_sync = false;
  size_t pulled = 0;  // of the source's log
  std::pair<int, uint64_t> pulled_from{-1, 0};
  Time heard{0};
  Duration apply_lag{0};
  uint64_t log_version = 1;  // of this log; what was cut makes another one
};

struct ShardRecord {
  int primary = 0;
  int64_t start_ns = 0;
  uint64_t version = 1;
};

struct Tablet {
  int id = 0;
  Process process;
  Mysqld db;
  Duration wall{0};  // how far this host's wall clock is off
  // Durable.
  uint64_t promised = 1, primary_term = 0;
  int64_t primary_start_ns = 0;
  bool demoted = false, fenced = false, acknowledges = false;
  int leader = 0;
  // Not.
  bool primary = false, role_known = false, draining = false, busy = false, deciding = false;
  int unpublished = 0;
  ShardRecord shard;
  reparent::GrantBook book;
  reparent::GrantPromises promises;
  bool told_serving = false;
};

struct Answer {
  enum { kOk, kRefused, kUnknown } what = kRefused;
  uint64_t term = 0;
  bool present = false;      // of a token that was asked for
  std::vector<char> seen{};  // tokens, of a read
};

class Shard {
 public:
  Shard(World& world, int tablets, gtid::Flavor flavor, Bug bug);
  static record::TabletAlias Alias(int tablet) {
    return tablet < 0 ? record::TabletAlias{}
                      : record::TabletAlias{"zone1", static_cast<uint32_t>(100 + tablet)};
  }
  static int Index(const record::TabletAlias& alias) {
    return alias.empty() ? -1 : static_cast<int>(alias.uid) - 100;
  }

  int size() const { return static_cast<int>(tablets_.size()); }
  Tablet& tablet(int i) { return *tablets_[static_cast<size_t>(i)]; }
  Process& topo() { return topo_; }
  ShardRecord& record() { return record_; }
  gtid::Flavor flavor() const { return flavor_; }
  Bug bug() const { return bug_; }
  World& world() { return world_; }

  // What happens to processes.
  void KillMysqld(int tablet);
  void KillVttablet(int tablet);
  void StartVttablet(int tablet);
  void StartMysqld(int tablet);

  // Served by a tablet.
  using Reply = std::function<void(std::string)>;  // empty: done
  void PromiseTerm(Tablet& t, uint64_t term, Reply reply);
  void Fence(Tablet& t, uint64_t term, Reply reply);
  void Demote(Tablet& t, uint64_t term, Reply reply);
  void UndoDemote(Tablet& t, uint64_t term, uint32_t acks, Reply reply);
  void Repoint(Tablet& t, uint64_t term, int primary, bool semi_sync, Reply reply);
  void Promote(Tablet& t, const reparent::Promote& step, Reply reply);
  void WaitForPosition(Tablet& t, gtid::Set position, Reply reply);
  void State(Tablet& t, std::function<void(TabletSight)> reply);
  void Write(Tablet& t, int token, std::function<void(Answer)> reply);
  void Read(Tablet& t, int token, std::function<void(Answer)> reply);

  // Answered by the topology.
  void GetShard(Process& from, std::function<void(std::optional<ShardRecord>)> done);
  void PutShard(Process& from, ShardRecord wanted, uint64_t version,
                std::function<void(bool)> done);
  bool away = false;

  bool Serves(const Tablet& t) const;
  bool Holds(const gtid::Set& set, const gtid::Set& other) const { return set.Contains(other); }
  // What health streams say; called when it changes and as a beat.
  std::function<void(const Tablet&)> health;
  // Every write that was told to be committed must be on whoever leads last.
  std::set<uint64_t> opened_terms;
  uint64_t newest_opened = 1;
  int newest_leader = 0;
  const std::vector<Transaction>& transactions() const { return transactions_; }
  bool Executed(const Mysqld& db, int token) const;
  uint32_t AcksWanted() const;
  static bool Up(const Process& process) { return process.up; }

 private:
  void NoteAnswer(const Tablet& t, const char* what);
  void ShowServing(Tablet& t);
  std::string CheckTerm(Tablet& t, uint64_t term);
  void BecomeReplicaOf(Tablet& t, int primary, bool semi_sync, const Reply& reply);
  void Journal(Tablet& t, std::function<void(bool)> done);
  void Confirmed(Tablet& t);
  // On the tablet's own: loops of its life.
  void StatusLoop(Tablet& t);
  void LeaseLoop(Tablet& t);
  void AskForGrants(Tablet& t);
  void HealthLoop(Tablet& t);
  void TakeUpRole(Tablet& t);
  void FollowSomebody(Tablet& t);
  void ResumePrimary(Tablet& t);
  void GiveWay(Tablet& t);
  void DecideHeld(Tablet& t, Time began);
  void FindLaterLeader(Tablet& t, std::function<void(std::optional<TabletSight>)> done);
  void AskWhetherLater(Tablet& t, std::vector<int> whom,
                       std::function<void(std::optional<TabletSight>)> done);
  void KillAndHold(Tablet& t);
  void RewindTo(Tablet& t, const TabletSight& leader);
  // mysqld
  // Runs `work` in mysqld and `then` back here; `then(false)` when mysqld is dead.
  void InDb(Tablet& t, std::function<void()> work, std::function<void(bool)> then);
  // One change of role at a time.
  void Turn(Tablet& t, std::function<void()> work, int tries = 0);
  int Append(Mysqld& db, int origin, uint64_t term, int token);
  void Receive(Mysqld& db, int transaction);
  void Rebuild(Mysqld& db);
  gtid::Gtid GtidOf(const Transaction& one) const;
  void Push(int source);
  void PushTo(int source, int replica);
  void ReplicaLoop(int replica);
  void Advance(int source);
  void EndWaiting(Mysqld& db, bool committed);
  void Execute(Mysqld& db, size_t up_to);

  uint64_t newest_answered_ = 1;
  World& world_;
  gtid::Flavor flavor_;
  Bug bug_;
  Process topo_;
  ShardRecord record_;
  std::vector<Transaction> transactions_;
  std::vector<std::unique_ptr<Tablet>> tablets_;
};

}  // namespace paceline::sim
