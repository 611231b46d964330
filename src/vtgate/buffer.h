// vtgate/buffer.h - which requests wait while the primary of their shard is away, and until when. A
// decision only: no clock and no coroutine; whoever waits tells the time (health_gateway.cc, or a
// simulation). Threads: one.
//
// A failover of a shard begins with the first request that finds no primary, or that is refused by
// one, and ends when a primary serves whose term is not older than any seen. Meanwhile requests
// wait, each for its own window at most and for the failover's longest time. Who finds the buffer
// full is refused at once, so that those who came first keep their place.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "health/view.h"
#include "record/record.h"

namespace paceline::vtgate {

struct BufferOptions {
  bool enabled = true;
  size_t requests = 1000;       // that wait at once, over all shards
  size_t bytes = 64u << 20;     // of their statements and parameters
  Duration window = 10s;        // for one request
  Duration failover_max = 20s;  // since the first request of the failover
  // Requests do not wait for a failover that begins sooner after the one before.
  Duration between_failovers = Duration(0);
  std::vector<std::string> shards;  // "keyspace/shard" or "keyspace"; empty: all
};

class Buffer {
 public:
  explicit Buffer(BufferOptions options) : options_(std::move(options)) {}

  enum class Verdict : uint8_t { kWait, kOff, kFull, kTooLong, kTooSoon };
  struct Admission {
    Verdict verdict = Verdict::kOff;
    Time until;  // kWait
  };
  // A request finds its primary away. kWait takes a place, which Leave gives back.
  Admission Enter(const record::KeyspaceShard& shard, size_t bytes, Time now);
  void Leave(size_t bytes);
  // A primary of this term serves. True: the failover is over and all who wait for the shard go on.
  bool Serves(const record::KeyspaceShard& shard, const health::PrimaryTerm& term, Time now);

  size_t requests() const { return requests_; }
  size_t bytes() const { return bytes_; }
  const BufferOptions& options() const { return options_; }

 private:
  struct Shard {
    bool away = false;
    Time began, ended;
    bool ever_ended = false;
    health::PrimaryTerm term;  // the newest that served
  };
  bool Covers(const record::KeyspaceShard& shard) const;

  const BufferOptions options_;
  size_t requests_ = 0;
  size_t bytes_ = 0;
  std::map<record::KeyspaceShard, Shard> shards_;
};

// "the buffer is full: 1000 requests (12 MB) wait for a primary already" and so on. Empty for kWait
// and kOff.
std::string WhyRefused(Buffer::Verdict verdict, const Buffer& buffer);

}  // namespace paceline::vtgate
