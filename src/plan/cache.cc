#include "plan/cache.h"

#include <functional>
#include <utility>

namespace paceline::plan {
namespace {

size_t BytesOf(const Plan& plan) {
  size_t bytes = sizeof(Plan);
  bytes += plan.outline.databases.capacity() * sizeof(sql::DatabaseUse);
  bytes += plan.outline.tables.capacity() * sizeof(sql::TableUse);
  bytes += plan.outline.session_calls.capacity() * sizeof(sql::SessionCall);
  bytes += plan.outline.unnamed_columns.capacity() * sizeof(sql::Span);
  bytes += plan.edits.capacity() * sizeof(Edit);
  for (const Edit& edit : plan.edits) bytes += edit.text.capacity();
  return bytes;
}

}  // namespace

PlanCache::PlanCache(size_t max_bytes, size_t max_text)
    : max_bytes_(max_bytes), max_text_(max_text) {}

void PlanCache::Clear() {
  index_.clear();
  entries_.clear();
  bytes_ = 0;
}

void PlanCache::Evict() {
  while (bytes_ > max_bytes_ && !entries_.empty()) {
    const Entry& oldest = entries_.back();
    bytes_ -= oldest.bytes;
    const auto [begin, end] = index_.equal_range(oldest.hash);
    for (auto at = begin; at != end; ++at) {
      if (&*at->second != &oldest) continue;
      index_.erase(at);
      break;
    }
    entries_.pop_back();
  }
}

bool PlanCache::SeenBefore(uint64_t hash) {
  const uint32_t mark = static_cast<uint32_t>(hash >> 32) | 1;  // never that of an empty place
  return std::exchange(seen_[hash % seen_.size()], mark) == mark;
}

Result<std::shared_ptr<const Plan>> PlanCache::Get(
    std::string_view text, const sql::Dialect& dialect, const SessionTarget& target,
    const std::shared_ptr<const vschema::Snapshot>& vschema) {
  if (vschema != vschema_) {
    Clear();
    vschema_ = vschema;
  }
  const bool keep = text.size() <= max_text_;
  const uint64_t hash = keep ? std::hash<std::string_view>()(text) : 0;
  if (keep) {
    const auto [begin, end] = index_.equal_range(hash);
    for (auto at = begin; at != end; ++at) {
      const Lru::iterator entry = at->second;
      if (entry->text != text || entry->dialect != dialect || entry->target != target) continue;
      ++hits_;
      entries_.splice(entries_.begin(), entries_, entry);
      return entry->plan;
    }
  }
  ++misses_;
  Result<Plan> made = MakePlan(text, dialect, target, *vschema);
  if (!made) return Fail(made.error());
  auto plan = std::make_shared<const Plan>(std::move(*made));
  if (!keep || !plan->cacheable || !SeenBefore(hash)) return plan;
  Entry entry{hash, std::string(text), dialect, target, plan, 0};
  entry.bytes = sizeof(Entry) + 64 + entry.text.capacity() + BytesOf(*plan);
  if (entry.bytes > max_bytes_) return plan;
  bytes_ += entry.bytes;
  entries_.push_front(std::move(entry));
  index_.emplace(hash, entries_.begin());
  Evict();
  return plan;
}

}  // namespace paceline::plan
