#include "vtgate/session_table.h"

#include <algorithm>

#include "base/log.h"
#include "io/blocking.h"
#include "io/loop.h"
#include "io/sync.h"

namespace paceline::vtgate {
namespace {

using Describe = std::function<std::optional<SessionRow>()>;

// Outlives a List that has stopped waiting for a busy loop.
struct Listing {
  std::vector<SessionRow> rows;
  size_t open = 0;
  io::Event done;
};

std::vector<SessionRow> RowsOf(const std::vector<Describe>& sessions) {
  std::vector<SessionRow> rows;
  for (const Describe& describe : sessions) {
    std::optional<SessionRow> row = describe();
    if (row) rows.push_back(std::move(*row));
  }
  return rows;
}

}  // namespace

bool SessionTable::Enter(size_t most) {
  if (connections_.fetch_add(1, std::memory_order_relaxed) < most) return true;
  Leave();
  return false;
}

void SessionTable::Add(uint64_t id, Entry entry) {
  std::lock_guard lock(mutex_);
  entries_.emplace(id, std::move(entry));
}

void SessionTable::Remove(uint64_t id) {
  std::lock_guard lock(mutex_);
  entries_.erase(id);
}

bool SessionTable::Kill(uint64_t connection_id, bool query_only) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(connection_id);
  if (found == entries_.end()) return false;
  found->second.loop->Post([kill = found->second.kill, query_only] { kill(query_only); });
  return true;
}

io::Task<std::vector<SessionRow>> SessionTable::List(Deadline deadline) {
  std::map<io::Loop*, std::vector<Describe>> by_loop;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) by_loop[entry.loop].push_back(entry.describe);
  }
  auto listing = std::make_shared<Listing>();
  listing->open = by_loop.size();
  if (by_loop.empty()) listing->done.Set();
  io::Loop* home = &io::Loop::Current();
  for (auto& [loop, sessions] : by_loop) {
    loop->Post([home, listing, sessions = std::move(sessions)] {
      home->Post([listing, rows = RowsOf(sessions)]() mutable {
        std::move(rows.begin(), rows.end(), std::back_inserter(listing->rows));
        if (--listing->open == 0) listing->done.Set();
      });
    });
  }
  bool all = co_await listing->done.Wait(deadline);
  if (!all) LOG_WARNING("{} threads did not tell their sessions in time", listing->open);
  std::vector<SessionRow> rows = std::move(listing->rows);
  std::sort(rows.begin(), rows.end(),
            [](const SessionRow& a, const SessionRow& b) { return a.id < b.id; });
  co_return rows;
}

}  // namespace paceline::vtgate
