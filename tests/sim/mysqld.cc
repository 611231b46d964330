// The mysqlds of a simulated shard: logs, semi-sync by AFTER_SYNC, replication, recovery.
#include <algorithm>

#include "shard.h"

namespace paceline::sim {

gtid::Gtid Shard::GtidOf(const Transaction& one) const {
  gtid::Source source;
  if (flavor_ == gtid::Flavor::kMariadb) {
    // The planted bug: whose transaction it is does not count.
    int server = bug_ == Bug::kSequenceAlone ? 0 : one.origin;
    source = gtid::Source::Mariadb(0, static_cast<uint32_t>(server + 1));
  } else {
    source.id[0] = static_cast<uint8_t>(one.origin + 1);
  }
  return {source, one.sequence};
}

void Shard::Receive(Mysqld& db, int transaction) {
  auto index = static_cast<size_t>(transaction);
  if (db.has.size() <= index) db.has.resize(index + 64);
  db.has[index] = 1;
  db.log.push_back(transaction);
  const Transaction& one = transactions_[index];
  db.received_set.Add(GtidOf(one));
  db.newest_sequence = std::max(db.newest_sequence, one.sequence);
}

int Shard::Append(Mysqld& db, int origin, uint64_t term, int token) {
  Transaction one;
  one.origin = origin;
  one.term = term;
  one.token = token;
  one.sequence = db.newest_sequence + 1;
  if (flavor_ == gtid::Flavor::kMysql) {
    one.sequence = 1;
    for (int i : db.log) {
      const Transaction& other = transactions_[static_cast<size_t>(i)];
      if (other.origin == origin) one.sequence = std::max(one.sequence, other.sequence + 1);
    }
  }
  transactions_.push_back(one);
  int index = static_cast<int>(transactions_.size()) - 1;
  Receive(db, index);
  return index;
}

void Shard::Execute(Mysqld& db, size_t up_to) {
  up_to = std::min(up_to, db.log.size());
  while (db.executed < up_to) {
    db.executed_set.Add(GtidOf(transactions_[static_cast<size_t>(db.log[db.executed])]));
    ++db.executed;
  }
}

// After the log was cut.
void Shard::Rebuild(Mysqld& db) {
  std::vector<int> log = std::move(db.log);
  db.log.clear();
  db.has.assign(db.has.size(), 0);
  db.received_set = db.executed_set = gtid::Set(flavor_);
  db.executed = 0;
  db.newest_sequence = 0;
  for (int i : log) Receive(db, i);
  std::ranges::fill(db.acked, size_t{0});
  ++db.log_version;
}

bool Shard::Executed(const Mysqld& db, int token) const {
  for (size_t i = 0; i < db.executed; ++i) {
    if (transactions_[static_cast<size_t>(db.log[i])].token == token) return true;
  }
  return false;
}

void Shard::Push(int source) {
  for (int i = 0; i < size(); ++i) {
    Mysqld& db = tablet(i).db;
    if (db.source == source && db.io && db.connected) PushTo(source, i);
  }
}

void Shard::PushTo(int source, int replica) {
  Mysqld& from = tablet(source).db;
  Mysqld& to = tablet(replica).db;
  size_t end = from.log.size();
  uint64_t version = from.log_version;
  world_.Send(from.process, to.process, [this, &from, &to, source, replica, end, version] {
    if (to.source != source || !to.io || from.log_version != version) return;
    if (to.pulled_from != std::pair(source, version)) to.pulled = 0;
    to.pulled_from = {source, version};
    to.connected = true;
    to.heard = world_.now();
    for (; to.pulled < end; ++to.pulled) {
      int i = from.log[to.pulled];
      auto index = static_cast<size_t>(i);
      if (index < to.has.size() && to.has[index]) continue;
      bool known = bug_ == Bug::kSequenceAlone && flavor_ == gtid::Flavor::kMariadb &&
                   transactions_[index].sequence <= to.newest_sequence;
      if (!known) Receive(to, i);
    }
    size_t all = to.log.size();
    if (to.executed < all) {
      world_.Timer(to.process, world_.Between(500us, 15ms) + to.apply_lag,
                   [this, &to, all, source] {
                     if (to.source == source) Execute(to, all);
                   });
    }
    if (!to.semi_sync) return;
    world_.Send(to.process, from.process, [this, &from, source, replica, end, version] {
      if (from.log_version != version || from.source >= 0) return;
      size_t& acked = from.acked[static_cast<size_t>(replica)];
      acked = std::max(acked, end);
      Advance(source);
    });
  });
}

void Shard::Advance(int source) {
  Mysqld& db = tablet(source).db;
  if (db.source >= 0) return;
  size_t committed = db.log.size();
  if (db.acks > 0) {
    std::vector<size_t> acked = db.acked;
    std::ranges::sort(acked, std::greater<>());
    committed = std::min(committed, acked[db.acks - 1]);
  }
  Execute(db, committed);
  while (!db.waiting.empty() && db.waiting.front().first <= db.executed) {
    auto done = std::move(db.waiting.front().second);
    db.waiting.pop_front();
    done(true);
  }
}

void Shard::EndWaiting(Mysqld& db, bool committed) {
  auto waiting = std::move(db.waiting);
  db.waiting.clear();
  for (auto& [position, done] : waiting) done(committed);
}

// The IO thread: keeps the stream, and connects anew.
void Shard::ReplicaLoop(int replica) {
  Mysqld& db = tablet(replica).db;
  world_.Timer(db.process, 250ms, [this, replica] { ReplicaLoop(replica); });
  if (!db.io || db.source < 0) return;
  if (world_.now() - db.heard > 1s) db.connected = false;
  int source = db.source;
  world_.Send(db.process, tablet(source).db.process,
              [this, source, replica] { PushTo(source, replica); });
}

void Shard::KillMysqld(int tablet_id) {
  Tablet& t = tablet(tablet_id);
  if (!t.db.process.up) return;
  world_.Log("mysqld {} dies", tablet_id);
  world_.Crash(t.db.process);
  EndWaiting(t.db, false);
  for (int i = 0; i < size(); ++i) {
    Mysqld& db = tablet(i).db;
    bool told = db.source == tablet_id && !world_.link(tablet_id, i).cut;
    if (told) world_.Timer(db.process, world_.Between(200us, 3ms), [&db] { db.connected = false; });
  }
  // mysqlctld: a primary's is held, another's starts anew.
  bool hold = t.primary_term != 0;
  t.db.held = hold;
  if (!hold)
    world_.After(world_.Between(300ms, 800ms), [this, tablet_id] { StartMysqld(tablet_id); });
  world_.Timer(t.process, world_.Between(100us, 2ms), [this, &t] {
    if (t.db.process.up) return;
    t.role_known = false;
    ShowServing(t);
    if (!t.db.held || t.deciding) return;
    t.deciding = true;
    DecideHeld(t, world_.now());
  });
}

void Shard::StartMysqld(int tablet_id) {
  Tablet& t = tablet(tablet_id);
  if (t.db.process.up) return;
  world_.Log("mysqld {} starts", tablet_id);
  world_.Start(t.db.process);
  t.db.held = false;
  t.db.read_only = true;
  t.db.connected = false;
  std::ranges::fill(t.db.acked, size_t{0});
  // What is in the log was prepared, and recovery commits it.
  Execute(t.db, t.db.log.size());
  ReplicaLoop(tablet_id);
}

}  // namespace paceline::sim
