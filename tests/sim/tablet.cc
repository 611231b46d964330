// The vttablets of a simulated shard: what vttablet/manager does, call by call, over a simulated
// mysqld. The lease is the product's own (reparent/lease.h).
#include <algorithm>

#include "shard.h"

namespace paceline::sim {

std::string_view BugName(Bug bug) {
  switch (bug) {
    case Bug::kNone:
      return "none";
    case Bug::kSkipFence:
      return "skip the fence";
    case Bug::kPromoteMostLagging:
      return "promote the most lagging";
    case Bug::kPublishBeforeWritable:
      return "publish before writable";
    case Bug::kUnknownIsFailure:
      return "outcome unknown treated as failure";
    case Bug::kSameTermTwice:
      return "two coordinators with the same term";
    case Bug::kGrantFromAnswer:
      return "a grant counted from its answer";
    case Bug::kWaitersReleased:
      return "waiters released";
    case Bug::kSequenceAlone:
      return "MariaDB sets compared by sequence alone";
  }
  return "";
}

Shard::Shard(World& world, int tablets, gtid::Flavor flavor, Bug bug)
    : world_(world), flavor_(flavor), bug_(bug) {
  topo_.name = "topo";
  topo_.host = tablets;
  transactions_.push_back({0, 1, 1, -1});
  for (int i = 0; i < tablets; ++i) {
    tablets_.push_back(std::make_unique<Tablet>());
    Tablet& t = *tablets_.back();
    t.id = i;
    t.process.name = fmt::format("vttablet-{}", i);
    t.db.process.name = fmt::format("mysqld-{}", i);
    t.process.host = t.db.process.host = i;
    t.db.received_set = t.db.executed_set = gtid::Set(flavor_);
    t.db.acked.assign(static_cast<size_t>(tablets), 0);
    Receive(t.db, 0);
    Execute(t.db, 1);
    t.role_known = true;
    if (i == 0) {
      t.primary = true;
      t.primary_term = 1;
      t.primary_start_ns = 1;
      t.db.read_only = false;
    } else {
      t.acknowledges = t.db.semi_sync = t.db.io = t.db.connected = true;
      t.db.source = 0;
    }
  }
  tablet(0).db.acks = AcksWanted();
  record_.start_ns = 1;
  opened_terms.insert(1);
  for (int i = 0; i < tablets; ++i) {
    Tablet& t = tablet(i);
    t.shard = record_;
    ReplicaLoop(i);
    StatusLoop(t);
    LeaseLoop(t);
    HealthLoop(t);
  }
}

uint32_t Shard::AcksWanted() const {
  return reparent::AcksRequired(reparent::Durability::kSemiSync, flavor_, tablets_.size() - 1);
}

bool Shard::Serves(const Tablet& t) const {
  bool would = t.process.up && t.db.process.up && t.role_known && !t.draining;
  if (!would) return false;
  return !t.primary || (!t.demoted && t.book.Holds(world_.now()));
}

void Shard::ShowServing(Tablet& t) {
  bool leads = t.primary && t.primary_term != 0 && !t.demoted && t.db.process.up;
  if (leads) {
    bool news = !t.book.leads() || t.book.term() != t.primary_term;
    t.book.Lead(t.primary_term, t.db.acks);
    if (news) AskForGrants(t);
  } else {
    t.book.Follow();
  }
  bool serves = Serves(t);
  if (serves != t.told_serving) world_.Log("{} {}", t.process.name, serves ? "serves" : "stops");
  t.told_serving = serves;
  if (health) health(t);
}

void Shard::InDb(Tablet& t, std::function<void()> work, std::function<void(bool)> then) {
  if (!t.db.process.up) return then(false);
  world_.Send(t.process, t.db.process,
              [this, &t, life = t.process.life, work = std::move(work), then = std::move(then)] {
                work();
                if (t.process.life != life) return;
                world_.Send(t.db.process, t.process, [then] { then(true); });
              });
}

void Shard::Turn(Tablet& t, std::function<void()> work, int tries) {
  if (t.busy && tries < 500) {
    world_.Timer(t.process, 10ms,
                 [this, &t, work = std::move(work), tries] { Turn(t, work, tries + 1); });
  } else if (!t.busy) {
    work();
  }
}

// --- what carries terms
std::string Shard::CheckTerm(Tablet& t, uint64_t term) {
  if (term < t.promised) return fmt::format("term {} is over: {} is promised", term, t.promised);
  t.promised = term;
  return {};
}

void Shard::PromiseTerm(Tablet& t, uint64_t term, Reply reply) {
  bool again = bug_ == Bug::kSameTermTwice && term == t.promised;
  if (term <= t.promised && !again) return reply("promised already");
  t.promised = term;
  reply({});
}

void Shard::Fence(Tablet& t, uint64_t term, Reply reply) {
  Turn(t, [this, &t, term, reply] {
    std::string late = CheckTerm(t, term);
    if (late.empty() && t.primary) late = "a primary is demoted, not fenced";
    if (!late.empty()) return reply(late);
    t.fenced = true;
    auto stop = [this, &t] {
      if (bug_ != Bug::kSkipFence) t.db.io = t.db.connected = false;
    };
    InDb(t, stop, [reply](bool ok) { reply(ok ? "" : "mysqld is down"); });
  });
}

void Shard::Demote(Tablet& t, uint64_t term, Reply reply) {
  Turn(t, [this, &t, term, reply] {
    std::string late = CheckTerm(t, term);
    if (late.empty() && !t.primary) late = "not a primary";
    if (!late.empty()) return reply(late);
    t.busy = t.draining = true;
    ShowServing(t);
    struct Drain {
      static void Look(Shard& shard, Tablet& t, Reply reply, int left) {
        bool waits = !t.db.waiting.empty() || t.db.executed < t.db.log.size();
        if (t.db.process.up && !t.db.process.frozen && waits && left > 0) {
          shard.world_.Timer(t.process, 20ms,
                             [&shard, &t, reply, left] { Look(shard, t, reply, left - 1); });
          return;
        }
        t.busy = t.draining = false;
        bool done = t.db.process.up && !t.db.process.frozen && !waits;
        if (done) t.db.read_only = t.demoted = true;
        shard.ShowServing(t);
        reply(done ? "" : "commits wait for acknowledgements");
      }
    };
    Drain::Look(*this, t, reply, 150);
  });
}

void Shard::UndoDemote(Tablet& t, uint64_t term, uint32_t acks, Reply reply) {
  Turn(t, [this, &t, term, acks, reply] {
    std::string late = CheckTerm(t, term);
    if (late.empty() && !t.primary) late = "not a primary";
    if (!late.empty()) return reply(late);
    InDb(
        t, [&t, acks] { t.db.acks = acks, t.db.read_only = false; },
        [this, &t, term, reply](bool ok) {
          if (!ok) return reply("mysqld is down");
          if (t.promised > term) {
            InDb(t, [&t] { t.db.read_only = true; }, [reply](bool) { reply("its term is over"); });
            return;
          }
          t.demoted = false;
          t.primary_term = term;
          opened_terms.insert(term);
          if (term > newest_opened) newest_opened = term, newest_leader = t.id;
          ShowServing(t);
          reply({});
        });
  });
}

void Shard::Repoint(Tablet& t, uint64_t term, int primary, bool semi_sync, Reply reply) {
  Turn(t, [this, &t, term, primary, semi_sync, reply] {
    std::string late = CheckTerm(t, term);
    if (!late.empty()) return reply(late);
    t.fenced = false;
    BecomeReplicaOf(t, primary, semi_sync, reply);
  });
}

void Shard::BecomeReplicaOf(Tablet& t, int primary, bool semi_sync, const Reply& reply) {
  if (!t.db.process.up) return reply("mysqld is down");
  if (t.primary_term != 0 && !t.demoted) {
    if (bug_ == Bug::kWaitersReleased) {
      Execute(t.db, t.db.log.size());
      EndWaiting(t.db, true);
    }
    KillAndHold(t);
    return reply("it led a term; its mysqld comes back rewound");
  }
  t.busy = true;
  auto work = [this, &t, primary, semi_sync] {
    Mysqld& db = t.db;
    EndWaiting(db, false);
    db.read_only = true;
    db.acks = 0;
    std::ranges::fill(db.acked, size_t{0});
    Execute(db, db.log.size());
    db.semi_sync = semi_sync;
    if (db.source != primary) db.connected = false;
    db.source = primary;
    db.io = true;
    db.heard = world_.now();
    PushTo(primary, t.id);
  };
  InDb(t, work, [this, &t, primary, semi_sync, reply](bool ok) {
    t.busy = false;
    if (!ok) return reply("mysqld is down");
    t.primary = t.demoted = false;
    t.primary_term = 0;
    t.leader = primary;
    t.acknowledges = semi_sync;
    t.shard.primary = primary;
    t.role_known = true;
    ShowServing(t);
    reply({});
  });
}

void Shard::Journal(Tablet& t, std::function<void(bool)> done) {
  InDb(
      t,
      [this, &t, done, life = t.process.life] {
        Append(t.db, t.id, t.primary_term, -1);
        t.db.waiting.emplace_back(t.db.log.size(), [this, &t, done, life](bool ok) {
          if (t.process.life != life) return;
          world_.Send(t.db.process, t.process, [done, ok] { done(ok); });
        });
        Push(t.id);
        Advance(t.id);
      },
      [done](bool ok) {
        if (!ok) done(false);
      });
}

void Shard::Confirmed(Tablet& t) {
  t.role_known = true;
  world_.Log("{} leads term {}", t.process.name, t.primary_term);
  ShowServing(t);
}

void Shard::Promote(Tablet& t, const reparent::Promote& step, Reply reply) {
  Turn(t, [this, &t, step, reply] {
    std::string late = CheckTerm(t, step.term);
    if (!late.empty()) return reply(late);
    if (t.primary && t.primary_term == step.term && t.role_known && !t.demoted) return reply({});
    if (!Holds(t.db.received_set, step.must_contain)) return reply("lacks what it must contain");
    t.busy = true;
    auto open = [this, &t, step] {
      Mysqld& db = t.db;
      db.io = db.connected = db.semi_sync = false;
      Execute(db, db.log.size());
      if (db.source >= 0) std::ranges::fill(db.acked, size_t{0});
      db.source = -1;
      db.acks = step.acknowledgements;
      for (int i = 0; i < size(); ++i) {
        if (tablet(i).db.source == t.id) PushTo(t.id, i);
      }
    };
    InDb(t, open, [this, &t, step, reply](bool ok) {
      t.busy = false;
      if (!ok) return reply("mysqld is down");
      if (t.promised > step.term) return reply("the term is over");
      t.primary_term = step.term;
      t.primary_start_ns = (world_.now() + t.wall).ns;
      t.demoted = t.fenced = false;
      t.leader = t.id;
      t.db.read_only = false;
      t.primary = true;
      t.role_known = false;
      if (opened_terms.contains(step.term) && newest_leader != t.id && newest_opened == step.term) {
        world_.Violate(fmt::format("I1: two tablets opened in term {}", step.term));
      }
      opened_terms.insert(step.term);
      if (step.term >= newest_opened) newest_opened = step.term, newest_leader = t.id;
      ShowServing(t);
      Journal(t, [this, &t, step, reply](bool committed) {
        if (!committed) return reply("mysqld was lost");
        bool still = t.promised <= step.term && t.primary_term == step.term && t.primary;
        if (!still) return reply("the term is over");
        Confirmed(t);
        reply({});
      });
    });
  });
}

void Shard::WaitForPosition(Tablet& t, gtid::Set position, Reply reply) {
  struct Look {
    static void At(Shard& shard, Tablet& t, gtid::Set position, Reply reply, int left) {
      if (!t.db.process.up) return reply("mysqld is down");
      if (!t.db.process.frozen && shard.Holds(t.db.executed_set, position)) return reply({});
      if (left == 0) return reply("timed out");
      shard.world_.Timer(t.process, 5ms, [&shard, &t, position, reply, left] {
        At(shard, t, position, reply, left - 1);
      });
    }
  };
  Look::At(*this, t, std::move(position), std::move(reply), 400);
}

void Shard::State(Tablet& t, std::function<void(TabletSight)> reply) {
  TabletSight sight;
  sight.alias = Alias(t.id);
  sight.type = t.primary ? record::TabletType::kPrimary : record::TabletType::kReplica;
  sight.reachable = true;
  sight.promised_term = t.promised;
  sight.serving = Serves(t);
  sight.demoted = t.demoted;
  sight.fenced = t.fenced;
  for (const reparent::Promised& promise : t.promises.all()) {
    Duration left = Deadline::At(promise.until).Left(world_.now());
    sight.grants.push_back({promise.to, (left + 999us) / 1ms * 1ms});
  }
  sight.mysqld_exited = !t.db.process.up;
  if (!t.db.process.up) return reply(sight);
  auto look = std::make_shared<TabletSight>(sight);
  auto fill = [this, &t, look] {
    const Mysqld& db = t.db;
    look->mysqld_running = true;
    look->read_only = db.read_only;
    look->source = Alias(db.source);
    look->io_running = db.io && db.connected;
    look->sql_running = db.source >= 0;
    look->semi_sync_replica = db.semi_sync;
    look->semi_sync_required = db.source < 0 ? db.acks : 0;
    look->executed = db.executed_set;
    look->received = db.source < 0 ? db.executed_set : db.received_set;
    look->lag = Duration(0);
    for (size_t i = 0; i < db.executed; ++i) {
      const Transaction& one = transactions_[static_cast<size_t>(db.log[i])];
      if (one.term <= look->journal_term) continue;
      look->journal_term = one.term;
      look->journal_primary = Alias(one.origin);
    }
  };
  InDb(t, fill, [reply, look](bool ok) {
    if (!ok) look->mysqld_exited = true;
    reply(*look);
  });
}

// --- clients
void Shard::NoteAnswer(const Tablet& t, const char* what) {
  if (t.primary_term >= newest_answered_) {
    newest_answered_ = t.primary_term;
    return;
  }
  world_.Violate(fmt::format("I1: {} answers a {} in term {} after term {} has answered",
                             t.process.name, what, t.primary_term, newest_answered_));
}

void Shard::Write(Tablet& t, int token, std::function<void(Answer)> reply) {
  if (!t.primary || t.db.read_only || !Serves(t)) return reply({Answer::kRefused, t.promised});
  uint64_t term = t.primary_term;
  bool leased = t.book.leased();
  auto answer = [this, &t, term, leased, reply](bool committed) {
    bool holds = !leased || (t.book.leased() && t.book.Holds(world_.now()));
    bool good = committed && holds && t.primary && t.primary_term == term;
    if (good) NoteAnswer(t, "write");
    reply({good ? Answer::kOk : Answer::kUnknown, term});
  };
  InDb(
      t,
      [this, &t, token, answer, life = t.process.life] {
        if (t.db.read_only) {
          world_.Send(t.db.process, t.process, [answer] { answer(false); });
          return;
        }
        Append(t.db, t.id, 0, token);
        t.db.waiting.emplace_back(t.db.log.size(), [this, &t, answer, life](bool ok) {
          if (t.process.life != life) return;
          world_.Send(t.db.process, t.process, [answer, ok] { answer(ok); });
        });
        Push(t.id);
        Advance(t.id);
      },
      [answer](bool ok) {
        if (!ok) answer(false);
      });
}

// With a token: whether that is there. Without: all that is.
void Shard::Read(Tablet& t, int token, std::function<void(Answer)> reply) {
  if (!t.primary || !Serves(t)) return reply({Answer::kRefused, t.promised});
  auto answer = std::make_shared<Answer>(Answer{Answer::kOk, t.primary_term});
  auto look = [this, &t, token, answer] {
    if (token >= 0) {
      answer->present = Executed(t.db, token);
      return;
    }
    for (size_t i = 0; i < t.db.executed; ++i) {
      int found = transactions_[static_cast<size_t>(t.db.log[i])].token;
      if (found < 0) continue;
      auto index = static_cast<size_t>(found);
      if (answer->seen.size() <= index) answer->seen.resize(index + 1);
      ++answer->seen[index];
    }
  };
  // Let in under a lease, answered under it: the tablet may have given way since.
  bool leased = t.book.leased();
  InDb(t, look, [this, &t, answer, leased, reply](bool ok) {
    bool holds = !leased || (t.book.leased() && t.book.Holds(world_.now()));
    bool good = ok && holds && t.primary && t.primary_term == answer->term;
    if (!good) return reply({Answer::kUnknown, answer->term});
    NoteAnswer(t, "read");
    reply(*answer);
  });
}

}  // namespace paceline::sim
