// topo/memory/memory_conn.h - a topology within one process, for tests, simulation and
// single-process clusters; each Conn can be cut off or made slow. Threads: one loop for a Store and
// all its Conns.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "io/loop.h"
#include "topo/conn.h"

namespace paceline::topo::memory {

class Conn;
class MemoryLock;
class MemoryWatch;

// What is stored; shared by the Conns that look at it.
class Store {
 public:
  struct Value {
    std::string data;
    Version version;
  };
  struct LockEntry {
    int64_t id = 0;
    std::string contents;
    Duration lease{0};
    Time expires;
  };
  // All is gone, as after a new etcd was founded from nothing. Watches are not told.
  void FoundAnew() {
    files_.clear();
    ++founded_;
  }

 private:
  friend class Conn;
  friend class MemoryLock;
  friend class MemoryWatch;
  void Changed(const std::string& path);
  void DropExpired(const std::string& dir, Time now);

  int64_t revision_ = 0;
  int founded_ = 0;
  std::map<std::string, Value, std::less<>> files_;  // by full path
  std::map<std::string, std::deque<LockEntry>, std::less<>> locks_;
  std::set<Conn*> conns_;
};

// Faults of one Conn. Tests change them at any time.
struct Faults {
  bool cut_off = false;  // calls wait for their deadline, then kUnavailable; watches and lock
                         // renewals stand still
  bool refuse = false;   // calls fail with kUnavailable at once
  Duration latency{0};   // before each call takes effect
  // The next so many writes take effect but answer kUnavailable.
  int lost_answers = 0;
};

class MemoryConn : public topo::Conn {
 public:
  virtual Faults& faults() = 0;
  // Call after changing faults: watches catch up, waiters look again.
  virtual void FaultsChanged() = 0;
};

// `root` is put before every path. REQUIRES: on a loop, which outlives it.
std::unique_ptr<MemoryConn> Open(io::Loop& loop, std::shared_ptr<Store> store, std::string root);

}  // namespace paceline::topo::memory
