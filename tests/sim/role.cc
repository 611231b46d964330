// How the vttablets of a simulated shard take up roles, keep their leases and come back, as
// vttablet/manager's role.cc, comeback.cc and lease.cc do; and the topology.
#include <algorithm>

#include "shard.h"

namespace paceline::sim {

namespace {
constexpr Duration kHoldPatience = 1s, kUndecidedPatience = 30s;
}  // namespace

// --- the topology
void Shard::GetShard(Process& from, std::function<void(std::optional<ShardRecord>)> done) {
  world_.Call<ShardRecord>(
      from, topo_, 1s,
      [this](std::function<void(ShardRecord)> reply) {
        if (!away) reply(record_);
      },
      std::move(done));
}

void Shard::PutShard(Process& from, ShardRecord wanted, uint64_t version,
                     std::function<void(bool)> done) {
  world_.Call<bool>(
      from, topo_, 1s,
      [this, wanted, version](std::function<void(bool)> reply) {
        if (away) return;
        if (version != 0 && version != record_.version) return reply(false);
        uint64_t next = record_.version + 1;
        record_ = wanted;
        record_.version = next;
        world_.Log("record: {} is primary", wanted.primary);
        // Watches.
        for (auto& t : tablets_) {
          world_.Send(topo_, t->process, [this, at = t.get(), record = record_] {
            at->shard = record;
            GiveWay(*at);
          });
        }
        reply(true);
      },
      [done = std::move(done)](std::optional<bool> put) { done(put.value_or(false)); });
}

// --- processes
void Shard::KillVttablet(int tablet_id) {
  Tablet& t = tablet(tablet_id);
  if (!t.process.up) return;
  world_.Log("vttablet {} dies", tablet_id);
  world_.Crash(t.process);
  t.told_serving = false;
}

void Shard::StartVttablet(int tablet_id) {
  Tablet& t = tablet(tablet_id);
  if (t.process.up) return;
  world_.Log("vttablet {} starts", tablet_id);
  world_.Start(t.process);
  t.primary = t.role_known = t.draining = t.busy = t.deciding = false;
  t.unpublished = 0;
  t.book.Follow();
  t.promises = {};
  t.promises.Restarted(world_.now());
  StatusLoop(t);
  LeaseLoop(t);
  HealthLoop(t);
  if (!t.db.process.up && t.db.held) {
    t.deciding = true;
    DecideHeld(t, world_.now());
  }
}

// --- loops
void Shard::HealthLoop(Tablet& t) {
  world_.Timer(t.process, 250ms, [this, &t] { HealthLoop(t); });
  ShowServing(t);
}

void Shard::LeaseLoop(Tablet& t) {
  world_.Timer(t.process, reparent::kGrantEvery, [this, &t] { LeaseLoop(t); });
  if (t.told_serving != Serves(t)) ShowServing(t);
  AskForGrants(t);
}

void Shard::AskForGrants(Tablet& t) {
  if (!t.book.leased()) return;
  uint64_t term = t.book.term();
  for (int i = 0; i < size(); ++i) {
    if (i == t.id) continue;
    Tablet& other = tablet(i);
    Time asked_at = world_.now();
    world_.Call<bool>(
        t.process, other.process, 900ms,
        [this, &t, &other](std::function<void(bool)> reply) {
          const char* why = reparent::WhyNotGrant(
              Alias(t.id), Alias(other.leader), other.fenced, other.acknowledges,
              other.primary ? record::TabletType::kPrimary : record::TabletType::kReplica);
          if (why == nullptr) other.promises.Give(Alias(t.id), world_.now());
          reply(why == nullptr);
        },
        [this, &t, &other, term, asked_at](std::optional<bool> granted) {
          if (!granted.value_or(false)) return;
          bool from_answer = bug_ == Bug::kGrantFromAnswer;
          t.book.Granted(term, Alias(other.id), from_answer ? world_.now() : asked_at);
          if (t.told_serving != Serves(t)) ShowServing(t);
        });
  }
}

void Shard::StatusLoop(Tablet& t) {
  world_.Timer(t.process, 500ms, [this, &t] { StatusLoop(t); });
  GetShard(t.process, [this, &t](std::optional<ShardRecord> record) {
    if (record) t.shard = *record;
    GiveWay(t);
  });
  if (!t.db.process.up || t.db.process.frozen || t.busy) return;
  if (!t.role_known) return TakeUpRole(t);
  if (!t.primary) {
    if (t.db.source >= 0 && !t.fenced) t.db.io = true;
    return;
  }
  if (t.demoted) return;
  // The record has been wrong for a while.
  t.unpublished = t.shard.primary == t.id ? 0 : t.unpublished + 1;
  bool certain = t.book.leased() && t.book.Holds(world_.now());
  if (t.unpublished <= 10 || (t.shard.start_ns > t.primary_start_ns && !certain)) return;
  t.unpublished = 0;
  int64_t start = std::max(t.primary_start_ns, t.shard.start_ns + 1);
  PutShard(t.process, {t.id, start, 0}, t.shard.version, [](bool) {});
}

// --- roles
void Shard::TakeUpRole(Tablet& t) {
  t.busy = true;
  GetShard(t.process, [this, &t](std::optional<ShardRecord> record) {
    t.busy = false;
    if (!t.db.process.up || t.role_known) return;
    if (record) t.shard = *record;
    bool recorded = t.shard.primary == t.id;
    bool led_last = t.primary_term != 0 && t.primary_term == t.promised;
    bool record_is_older = t.shard.start_ns < t.primary_start_ns;
    if (led_last && (recorded || record_is_older || !record)) return ResumePrimary(t);
    t.primary = false;
    if (t.fenced) {
      t.role_known = true;
      return ShowServing(t);
    }
    if (!recorded) {
      if (t.primary_term != 0) {
        FindLaterLeader(t, [this, &t](std::optional<TabletSight> leader) {
          if (leader && t.db.process.up && !t.role_known) RewindTo(t, *leader);
        });
        return;
      }
      return FollowSomebody(t);
    }
    t.db.read_only = true;
    t.role_known = true;
    ShowServing(t);
  });
}

// The one that a term has told, unless the recorded one says itself that it leads such a term.
void Shard::FollowSomebody(Tablet& t) {
  int recorded = t.shard.primary;
  auto follow = [this, &t](int whom) { BecomeReplicaOf(t, whom, true, [](std::string) {}); };
  if (recorded == t.leader || t.leader == t.id) return follow(recorded);
  Tablet& other = tablet(recorded);
  t.busy = true;
  world_.Call<TabletSight>(
      t.process, other.process, 1s,
      [this, &other](std::function<void(TabletSight)> reply) { State(other, reply); },
      [this, &t, recorded, follow](std::optional<TabletSight> state) {
        t.busy = false;
        bool leads = state && state->type == record::TabletType::kPrimary && !state->read_only &&
                     state->journal_term >= t.promised;
        if (t.db.process.up && !t.role_known) follow(leads ? recorded : t.leader);
      });
}

void Shard::ResumePrimary(Tablet& t) {
  world_.Log("{} resumes in term {}", t.process.name, t.primary_term);
  t.busy = t.primary = true;
  if (t.demoted) {
    t.busy = false;
    t.role_known = true;
    return ShowServing(t);
  }
  auto open = [this, &t] {
    t.db.source = -1;
    t.db.io = t.db.connected = t.db.semi_sync = false;
    t.db.acks = AcksWanted();
    t.db.read_only = false;
  };
  InDb(t, open, [this, &t](bool ok) {
    t.busy = false;
    if (!ok) return;
    ShowServing(t);
    uint64_t term = t.primary_term;
    t.busy = true;
    // Its row comes after all that recovery committed, so the acknowledgement is for that too.
    Journal(t, [this, &t, term](bool committed) {
      t.busy = false;
      if (committed && t.primary && t.primary_term == term) Confirmed(t);
    });
    // The manager's deadline: it looks again at what it is to be.
    world_.Timer(t.process, 10s, [this, &t, term] {
      if (!t.role_known && t.primary_term == term) t.busy = false;
    });
  });
}

// The recorded one first, then the others: the record may be older.
void Shard::FindLaterLeader(Tablet& t, std::function<void(std::optional<TabletSight>)> done) {
  std::vector<int> whom{t.shard.primary};
  for (int i = 0; i < size(); ++i) {
    if (i != t.shard.primary) whom.push_back(i);
  }
  std::erase(whom, t.id);
  AskWhetherLater(t, std::move(whom), std::move(done));
}

void Shard::AskWhetherLater(Tablet& t, std::vector<int> whom,
                            std::function<void(std::optional<TabletSight>)> done) {
  if (whom.empty()) return done(std::nullopt);
  Tablet& other = tablet(whom.front());
  Duration patience = other.id == t.shard.primary ? Duration(1s) : Duration(300ms);
  world_.Call<TabletSight>(
      t.process, other.process, patience,
      [this, &other](std::function<void(TabletSight)> reply) { State(other, reply); },
      [this, &t, whom, done](std::optional<TabletSight> state) {
        bool leads = state && state->type == record::TabletType::kPrimary && !state->read_only &&
                     state->journal_term > t.primary_term;
        if (leads) return done(std::move(state));
        AskWhetherLater(t, {whom.begin() + 1, whom.end()}, done);
      });
}

void Shard::GiveWay(Tablet& t) {
  if (!t.primary || t.shard.primary == t.id || !t.role_known) return;
  FindLaterLeader(t, [this, &t](std::optional<TabletSight> leader) {
    if (!leader || !t.primary || !t.role_known) return;
    world_.Log("{} gives way to {}", t.process.name, leader->alias.ToString());
    if (bug_ == Bug::kWaitersReleased && t.db.process.up) {
      t.demoted = true;
      BecomeReplicaOf(t, Index(leader->alias), true, [](std::string) {});
      return;
    }
    KillAndHold(t);
  });
}

void Shard::KillAndHold(Tablet& t) {
  t.role_known = false;
  KillMysqld(t.id);
  t.db.held = true;
  ShowServing(t);
}

void Shard::DecideHeld(Tablet& t, Time began) {
  if (t.db.process.up || !t.db.held) {
    t.deciding = false;
    return;
  }
  GetShard(t.process, [this, &t, began](std::optional<ShardRecord> record) {
    if (record) t.shard = *record;
    FindLaterLeader(t, [this, &t, began](std::optional<TabletSight> leader) {
      if (t.db.process.up) {
        t.deciding = false;
        return;
      }
      if (leader) {
        t.deciding = false;
        return RewindTo(t, *leader);
      }
      bool asked = t.promised > t.primary_term;
      if (world_.now() - began > (asked ? kUndecidedPatience : kHoldPatience)) {
        world_.Log("mysqld {} is kept", t.id);
        t.deciding = false;
        return StartMysqld(t.id);
      }
      world_.Timer(t.process, 50ms, [this, &t, began] { DecideHeld(t, began); });
    });
  });
}

// What it has and the leader has not is cut off, and mysqld starts anew; only where nothing is
// lacking, and nothing waits, it goes on as it is.
void Shard::RewindTo(Tablet& t, const TabletSight& leader) {
  Mysqld& db = t.db;
  if (!Holds(leader.executed, db.received_set)) {
    KillMysqld(t.id);
    size_t before = db.log.size();
    std::erase_if(db.log, [&](int i) {
      return !leader.executed.Contains(GtidOf(transactions_[static_cast<size_t>(i)]));
    });
    world_.Log("mysqld {} is rewound by {}", t.id, before - db.log.size());
    Rebuild(db);
  }
  t.primary = t.demoted = t.fenced = false;
  t.primary_term = 0;
  t.promised = std::max(t.promised, leader.journal_term);
  t.role_known = false;
  db.source = -1;
  db.io = false;
  db.acks = 0;
  StartMysqld(t.id);
  t.busy = false;
  ShowServing(t);
}

}  // namespace paceline::sim
