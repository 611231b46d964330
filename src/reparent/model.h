// reparent/model.h - a shard in miniature for tests: tablets that obey the promises of decide.h,
// clients that write, and coordinators that run NextStep without any lock. Every thing that can
// happen next is an event; the owner picks one. A violated invariant is put into `violation`.
// Threads: values, copied freely.
//
// Time is abstract. A grant is given anew as long as the replica may give it, which is the worst
// case for whoever wants to open; a coordinator's wait lets all others run out, at the replica and
// then at the primary. A mysqld that dies as primary is held, and kept or rewound.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reparent/decide.h"

namespace paceline::reparent::model {

enum class Bug : uint8_t {
  kNone,
  kSkipFence,
  kPromoteMostLagging,
  kPublishBeforeWritable,
  kSameTermTwice,
  kGrantFromAnswer,   // a primary counts on a grant for longer than the replica is bound
  kPromiseForgotten,  // a vttablet that starts anew does not wait for what it may have granted
  kWaitersReleased,   // a primary that gives way is made a replica while sessions wait
  kSequenceAlone      // MariaDB: 0-1-5 and 0-2-5 taken for the same
};
std::string_view BugName(Bug bug);

struct Tab {
  bool up = true, cut = false;  // cut: unreachable for coordinators, alive for clients and replicas
  bool mysqld = true;           // false: its process has ended, and the vttablet knows it
  bool resuming = false;        // kept after a crash: serves once all it has is acknowledged
  uint32_t grants = 0;          // tablets it has promised by a grant to let no successor open
  uint32_t lease = 0;           // tablets whose grants it counts on
  uint64_t promised = 1, lead_term = 0;
  bool leads = false, read_only = true, serving = true, demoted = false, fenced = false, io = false;
  bool semi_sync = false;
  uint32_t acks = 0;
  int source = -1;
  uint32_t received = 0, executed = 0;  // one bit for each transaction
};

struct Coordinator {
  Request request;
  Attempt attempt;
  Step step;
  bool busy = false;  // `step` is under way, `next` is its next tablet
  size_t next = 0;
  StepResult result;
  bool over = false, done = false;
};

struct World {
  struct Journal {
    uint64_t term;
    int tablet;
    uint64_t sequence;  // in the domain, as MariaDB counts
  };
  struct Event {
    char kind;
    int who;
  };

  Bug bug = Bug::kNone;
  Durability durability = Durability::kSemiSync;
  gtid::Flavor flavor = gtid::Flavor::kMysql;
  std::vector<Tab> tabs;
  std::vector<Coordinator> coordinators;
  std::vector<Journal> transactions;  // term 0: a client's write
  uint32_t acked = 0;                 // all writes acknowledged to a client, and journal rows
  uint64_t acked_term = 0;            // the highest term that acknowledged one
  std::vector<std::pair<uint64_t, int>> opened;
  int shard_primary = 0;
  uint64_t shard_version = 0;
  int writes_left = 0, faults_left = 0, crashes_left = 0;
  std::string violation;
  std::vector<std::string> trace;  // filled when `tracing`
  bool tracing = false;
  bool whole_steps = false;  // all tablets of a step at once; else anything may come between them

  // `tablets` tablets of which the first leads in term 1 and all others follow.
  World(int tablets, std::vector<Request> requests);
  std::vector<Event> Events() const;
  void Do(Event event);
  // Everybody is up and reachable, and a tablet that led in vain is rewound.
  void Heal();
  View Look() const;
  // All that decides the future, for the set of states seen.
  std::string Key() const;
  static TabletAlias Alias(int tablet);

 private:
  void Write(int tablet);
  void Replicate(int tablet);
  bool Serves(const Tab& tab) const;
  bool Grants(int replica, int primary) const;
  void GiveGrants();
  void LetGrantsRunOut();
  bool LedInVain(const Tab& tab) const;
  void Keep(int tablet);
  void Rewind(Tab& tab, int leader);
  uint64_t NewestSequence(uint32_t bits) const;
  gtid::Set SetOf(uint32_t bits) const;
  bool Holds(uint32_t bits, const gtid::Set& set) const;
  uint32_t ClientWrites(uint32_t bits) const;
  void CountAcks(int tablet);
  void Decide(Coordinator& coordinator);
  void ActOnNext(Coordinator& coordinator);
  std::string Act(Coordinator& coordinator, int tablet);
  std::string DoPromote(int tablet, const Promote& step);
  std::string DoRepoint(int tablet, const Repoint& step, bool semi_sync);
  std::string DoPublish(int tablet, uint64_t term, Coordinator& coordinator);
  void CheckState();
  Journal NewestJournal(uint32_t executed) const;
};

}  // namespace paceline::reparent::model
