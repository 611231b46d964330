// vttablet/query/serving_state.h - whether requests are let in, and the texts that say why not.
// vtgate's buffering (Vitess's too) reads these texts: "operation not allowed in state
// NOT_SERVING", "... SHUTTING_DOWN", "wrong tablet type". Threads: set and asked on one loop.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "record/record.h"

namespace paceline::vttablet {

class ServingState {
 public:
  // Keyspace and shard never change in a tablet's life.
  ServingState(std::string keyspace, std::string shard);

  // `leased`: what is served needs the lease (UseLease), as a primary's does whose commits others
  // acknowledge.
  void Set(record::TabletType type, bool serving, std::string reason, uint64_t term,
           bool leased = false);
  // New work is refused; transactions that are open go on until the drain ends.
  void BeginDrain() { draining_ = true; }
  // Where the end of the lease stands (Time::ns): nothing is served, and no answer given, after
  // it. Moved by another thread; outlives this.
  void UseLease(const std::atomic<int64_t>* until_ns) { lease_until_ns_ = until_ns; }

  // `pinned`: the request continues a transaction. Errors: kClusterEvent.
  Status Check(const record::Target& target, bool pinned, Time now) const;
  bool leased() const { return leased_; }
  // Before an answer is given; `leased` as it was when the request was let in, for the tablet may
  // have changed its role since.
  bool LeaseHolds(bool leased, Time now) const {
    return !leased || (lease_until_ns_ != nullptr &&
                       now.ns < lease_until_ns_->load(std::memory_order_relaxed));
  }

  bool serving() const { return serving_ && !draining_; }
  record::TabletType type() const { return type_; }
  uint64_t term() const { return term_; }

 private:
  Status Refuse(const record::Target& target, bool pinned, Time now) const;

  std::string keyspace_, shard_;
  record::TabletType type_ = record::TabletType::kUnknown;
  bool serving_ = false;
  bool draining_ = false;
  std::string reason_;
  uint64_t term_ = 0;
  bool leased_ = false;
  const std::atomic<int64_t>* lease_until_ns_ = nullptr;
};

}  // namespace paceline::vttablet
