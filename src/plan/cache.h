// plan/cache.h - a bounded LRU of plans of one thread, keyed by (text, dialect, target). Dropped
// whole when the VSchema snapshot changes. Long texts and those seen once do not displace useful
// ones: texts over `max_text` are not kept. Threads: one owner.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "plan/plan.h"

namespace paceline::plan {

class PlanCache {
 public:
  explicit PlanCache(size_t max_bytes, size_t max_text = 4096);

  // From the cache, or made and kept. The pointer stays good while held.
  Result<std::shared_ptr<const Plan>> Get(std::string_view text, const sql::Dialect& dialect,
                                          const SessionTarget& target,
                                          const std::shared_ptr<const vschema::Snapshot>& vschema);
  void Clear();
  size_t bytes() const { return bytes_; }
  size_t size() const { return entries_.size(); }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  struct Entry {
    uint64_t hash = 0;
    std::string text;
    sql::Dialect dialect;
    SessionTarget target;
    std::shared_ptr<const Plan> plan;
    size_t bytes = 0;
  };
  using Lru = std::list<Entry>;  // newest first

  void Evict();

  const size_t max_bytes_;
  const size_t max_text_;
  size_t bytes_ = 0;
  uint64_t hits_ = 0, misses_ = 0;
  Lru entries_;
  std::unordered_multimap<uint64_t, Lru::iterator> index_;
  std::shared_ptr<const vschema::Snapshot> vschema_;
};

}  // namespace paceline::plan
