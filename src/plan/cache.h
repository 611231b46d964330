// plan/cache.h - a bounded LRU of plans of one thread, keyed by (text, dialect, target). Dropped
// whole when the VSchema snapshot changes. A text is kept when it comes for the second time while
// it is remembered: most texts with literals in them never do, and making a plan costs less than
// keeping it. Texts over `max_text` are not kept. Threads: one owner.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "plan/plan.h"

namespace paceline::plan {

class PlanCache {
 public:
  explicit PlanCache(size_t max_bytes, size_t max_text = 4096);

  // From the cache, or made. The pointer stays good while held.
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
  // Whether the text was asked for lately; remembers it.
  bool SeenBefore(uint64_t hash);

  const size_t max_bytes_;
  const size_t max_text_;
  size_t bytes_ = 0;
  uint64_t hits_ = 0, misses_ = 0;
  // Hashes of texts that were not kept, each where a later one may take its place.
  std::vector<uint32_t> seen_ = std::vector<uint32_t>(8192);
  Lru entries_;
  std::unordered_multimap<uint64_t, Lru::iterator> index_;
  std::shared_ptr<const vschema::Snapshot> vschema_;
};

}  // namespace paceline::plan
