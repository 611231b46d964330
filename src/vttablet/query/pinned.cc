#include "vttablet/query/pinned.h"

#include <time.h>

#include <utility>

#include "base/rng.h"

namespace paceline::vttablet {
namespace {

constexpr int kCounterBits = 33;
constexpr int kLoopBits = 6;
constexpr int kRandomBits = 24;

std::string TimeText(WallTime at) {
  time_t seconds = at.unix_ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

PinnedTable::PinnedTable(uint32_t loop_index) {
  const uint64_t random = ThreadRng().Next() >> (64 - kRandomBits);
  next_ = (random << (kLoopBits + kCounterBits)) |
          (uint64_t{loop_index % (1u << kLoopBits)} << kCounterBits) | 1;
}

Pinned& PinnedTable::Add() {
  auto pinned = std::make_unique<Pinned>();
  pinned->id = next_++;
  pinned->busy = true;
  Pinned& added = *pinned;
  table_.emplace(added.id, std::move(pinned));
  return added;
}

Pinned* PinnedTable::Find(uint64_t id) {
  auto found = table_.find(id);
  return found == table_.end() ? nullptr : found->second.get();
}

Result<Pinned*> PinnedTable::Take(uint64_t id) {
  Pinned* pinned = Find(id);
  if (pinned != nullptr && !pinned->busy) {
    pinned->busy = true;
    return pinned;
  }
  if (pinned != nullptr)
    return Fail(Code::kAborted, "transaction {}: in use: for another statement", id);
  auto ended = ended_.find(id);
  if (ended == ended_.end()) return Fail(Code::kAborted, "transaction {}: not found", id);
  return Fail(Code::kAborted, "transaction {}: {}", id, ended->second);
}

void PinnedTable::End(uint64_t id, std::string reason, WallTime at) {
  if (table_.erase(id) == 0) return;
  ended_[id] = fmt::format("ended at {} ({})", TimeText(at), reason);
  ended_order_.push_back(id);
  if (ended_order_.size() > kRemembered) {
    ended_.erase(ended_order_.front());
    ended_order_.pop_front();
  }
}

}  // namespace paceline::vttablet
