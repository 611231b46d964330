#include "vtgate/buffer.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/metrics.h"

namespace paceline::vtgate {
namespace {

// Of all buffers of the process: the one thing that people watch while a primary is away.
Gauge& Waiting() {
  static Gauge& gauge = Metrics::Process().AddGauge("BufferRequestsWaiting",
                                                    "requests that hold a place in the buffer now");
  return gauge;
}

}  // namespace

bool Buffer::Covers(const record::KeyspaceShard& shard) const {
  if (!options_.enabled) return false;
  if (options_.shards.empty()) return true;
  return std::ranges::any_of(options_.shards, [&](const std::string& one) {
    return one == shard.keyspace || one == shard.ToString();
  });
}

Buffer::Admission Buffer::Enter(const record::KeyspaceShard& shard, size_t bytes, Time now) {
  if (!Covers(shard)) return {Verdict::kOff, {}};
  Shard& state = shards_[shard];
  if (!state.away) {
    if (state.ever_ended && now - state.ended < options_.between_failovers) {
      return {Verdict::kTooSoon, {}};
    }
    state.away = true;
    state.began = now;
  }
  const Time end = state.began + options_.failover_max;
  if (now >= end) return {Verdict::kTooLong, {}};
  if (requests_ >= options_.requests || bytes > options_.bytes - bytes_) {
    return {Verdict::kFull, {}};
  }
  ++requests_;
  Waiting().Add(1);
  bytes_ += bytes;
  return {Verdict::kWait, std::min(now + options_.window, end)};
}

void Buffer::Leave(size_t bytes) {
  CHECK(requests_ > 0 && bytes_ >= bytes);
  --requests_;
  Waiting().Add(-1);
  bytes_ -= bytes;
}

bool Buffer::Serves(const record::KeyspaceShard& shard, const health::PrimaryTerm& term, Time now) {
  auto found = shards_.find(shard);
  if (found == shards_.end()) return false;  // nobody has ever waited for it
  Shard& state = found->second;
  if (state.term.NewerThan(term)) return false;
  state.term = term;
  if (!state.away) return false;
  state.away = false;
  state.ended = now;
  state.ever_ended = true;
  return true;
}

std::string WhyRefused(Buffer::Verdict verdict, const Buffer& buffer) {
  switch (verdict) {
    case Buffer::Verdict::kFull:
      return fmt::format("the buffer is full: {} requests of {} bytes wait for a primary already",
                         buffer.requests(), buffer.bytes());
    case Buffer::Verdict::kTooLong:
      return fmt::format(
          "the failover did not end within {} ms",
          std::chrono::duration_cast<std::chrono::milliseconds>(buffer.options().failover_max)
              .count());
    case Buffer::Verdict::kTooSoon:
      return "the last failover ended too short a time ago for requests to wait again";
    case Buffer::Verdict::kWait:
    case Buffer::Verdict::kOff:
      break;
  }
  return "";
}

}  // namespace paceline::vtgate
