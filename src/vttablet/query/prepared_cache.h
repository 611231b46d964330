// vttablet/query/prepared_cache.h - the prepared statements that live on one mysqld connection:
// which text under which settings has which id. Bounded; the least recently used goes first.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace paceline::vttablet {

class PreparedCache {
 public:
  struct Entry {
    std::string text;
    uint64_t settings_id =
        0;  // of the connection at prepare: sql_mode and the like are kept with the statement
    uint32_t statement_id = 0;
    uint16_t parameter_count = 0;
    // A class for each parameter as of the first execution that had one (0: none yet). MySQL makes
    // it the statement's own: from then on it casts other values to it, which another session must
    // not notice.
    std::string types;
  };

  explicit PreparedCache(size_t capacity) : capacity_(capacity) {}

  // Null when unknown. Valid until the next call.
  Entry* Find(std::string_view text, uint64_t settings_id);
  // Replaces an equal one. Statement ids that the server shall close are appended to `to_close`.
  template <class Ids>
  void Put(std::string_view text, uint64_t settings_id, uint32_t statement_id,
           uint16_t parameter_count, Ids* to_close) {
    Drop(text, settings_id, to_close);
    while (entries_.size() >= capacity_) {
      to_close->push_back(entries_.back().statement_id);
      index_.erase(KeyOf(entries_.back()));
      entries_.pop_back();
    }
    entries_.push_front({std::string(text), settings_id, statement_id, parameter_count, {}});
    index_.emplace(KeyOf(entries_.front()), entries_.begin());
  }
  template <class Ids>
  void Drop(std::string_view text, uint64_t settings_id, Ids* to_close) {
    auto found = index_.find({text, settings_id});
    if (found == index_.end()) return;
    auto entry = found->second;
    to_close->push_back(entry->statement_id);
    index_.erase(found);
    entries_.erase(entry);
  }
  // After COM_RESET_CONNECTION, which closes all.
  void Clear() {
    index_.clear();
    entries_.clear();
  }
  size_t size() const { return entries_.size(); }

 private:
  struct Key {
    std::string_view text;
    uint64_t settings_id;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<std::string_view>()(key.text) ^ (key.settings_id * 0x9e3779b97f4a7c15ull);
    }
  };
  static Key KeyOf(const Entry& entry) { return {entry.text, entry.settings_id}; }

  size_t capacity_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
};

inline PreparedCache::Entry* PreparedCache::Find(std::string_view text, uint64_t settings_id) {
  auto found = index_.find({text, settings_id});
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &*found->second;
}

}  // namespace paceline::vttablet
