// vtgate/replay_turns.h - which shards have transactions that are to be replayed, over all loops of
// a gate: what they run again must find things as they were, so everybody else lets them go first
// (a write let in before takes the AUTO_INCREMENT value that a client was told). Threads: any.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "io/loop.h"
#include "io/sync.h"
#include "record/record.h"

namespace paceline::vtgate {

class ReplayTurns {
 public:
  class Shard {
   public:
    size_t count() const { return count_.load(std::memory_order_acquire); }
    void Begin() { count_.fetch_add(1, std::memory_order_acq_rel); }
    // The last one pulses, on its loop, whatever event still lives.
    void End();
    void Listen(std::shared_ptr<io::Inbox> inbox, std::weak_ptr<io::Event> event);

   private:
    std::atomic<size_t> count_{0};
    std::mutex mutex_;
    std::vector<std::pair<std::shared_ptr<io::Inbox>, std::weak_ptr<io::Event>>> listeners_;
  };
  std::shared_ptr<Shard> Of(const record::KeyspaceShard& shard);

 private:
  std::mutex mutex_;
  std::map<record::KeyspaceShard, std::shared_ptr<Shard>> shards_;
};

}  // namespace paceline::vtgate
