// vttablet/query/pinned.h - connections that belong to a session for a while: in a transaction, or
// reserved. An id is 24 random bits of this process, 6 of its loop and a counter, so that none
// comes back after a restart; ended ones are remembered for a while with the reason, for the error
// that the next use gets. Threads: its loop's.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "vttablet/query/connection.h"
#include "vttablet/query/reading.h"

namespace paceline::vttablet {

struct Pinned {
  uint64_t id = 0;
  ConnectionPtr connection;  // null while a statement runs on it
  bool busy = false;
  bool reserved = false;
  bool in_transaction = false;
  uint32_t attempt = 0;  // that the transaction began with
  Time transaction_began;
  Time used_at;
  std::optional<Reading> reading;  // kept where table ACLs or rules must know it
  bool release_wanted = false;     // by someone, while busy
  bool kill_wanted = false;
  std::string kill_reason;
};

class PinnedTable {
 public:
  explicit PinnedTable(uint32_t loop_index);

  // New and busy.
  Pinned& Add();
  // Marks it busy. Errors: kAborted for ids that are unknown, ended, or in use.
  Result<Pinned*> Take(uint64_t id);
  Pinned* Find(uint64_t id);
  // Forgets it and remembers why.
  void End(uint64_t id, std::string reason, WallTime at);
  // Ids of those that `wanted` picks.
  template <class Wanted>
  std::vector<uint64_t> Select(Wanted wanted) const {
    std::vector<uint64_t> ids;
    for (const auto& [id, pinned] : table_) {
      if (wanted(*pinned)) ids.push_back(id);
    }
    return ids;
  }
  size_t size() const { return table_.size(); }

 private:
  static constexpr size_t kRemembered = 1024;
  uint64_t next_;
  std::unordered_map<uint64_t, std::unique_ptr<Pinned>> table_;
  std::unordered_map<uint64_t, std::string> ended_;
  std::deque<uint64_t> ended_order_;
};

}  // namespace paceline::vttablet
