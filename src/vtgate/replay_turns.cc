#include "vtgate/replay_turns.h"

#include <utility>

namespace paceline::vtgate {

void ReplayTurns::Shard::End() {
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& one) { return one.second.expired(); });
  for (const auto& [inbox, event] : listeners_) {
    inbox->Post([event] {
      if (std::shared_ptr<io::Event> there = event.lock()) there->Pulse();
    });
  }
}

void ReplayTurns::Shard::Listen(std::shared_ptr<io::Inbox> inbox, std::weak_ptr<io::Event> event) {
  std::lock_guard lock(mutex_);
  listeners_.emplace_back(std::move(inbox), std::move(event));
}

std::shared_ptr<ReplayTurns::Shard> ReplayTurns::Of(const record::KeyspaceShard& shard) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<Shard>& found = shards_[shard];
  if (found == nullptr) found = std::make_shared<Shard>();
  return found;
}

}  // namespace paceline::vtgate
