// vtgate/session_table.h - every client connection and session of the process. Threads: any.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "vtgate/session.h"

namespace paceline::vtgate {

class SessionTable final : public SessionRegistry {
 public:
  struct Entry {
    io::Loop* loop = nullptr;  // which owns the session
    // Both are run there. What `describe` gives is nothing once the session has ended.
    std::function<void(bool query_only)> kill;
    std::function<std::optional<SessionRow>()> describe;
  };
  // One connection, from its accepting to its closing: false, and nothing is counted, when there
  // are `most` already. Each true is given back by Leave.
  bool Enter(size_t most);
  void Leave() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  size_t connections() const { return connections_.load(std::memory_order_relaxed); }

  uint64_t NextId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  void Add(uint64_t id, Entry entry);
  void Remove(uint64_t id);
  bool Kill(uint64_t connection_id, bool query_only) override;
  io::Task<std::vector<SessionRow>> List(Deadline deadline) override;

 private:
  mutable std::mutex mutex_;
  std::map<uint64_t, Entry> entries_;
  std::atomic<uint64_t> next_id_{1};
  std::atomic<size_t> connections_{0};
};

}  // namespace paceline::vtgate
