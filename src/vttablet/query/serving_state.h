// vttablet/query/serving_state.h - whether requests are let in, and the texts that say why not.
// vtgate's buffering (Vitess's too) reads these texts: "operation not allowed in state
// NOT_SERVING", "... SHUTTING_DOWN", "wrong tablet type". Threads: set and asked on one loop.
#pragma once

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

  void Set(record::TabletType type, bool serving, std::string reason, uint64_t term);
  // New work is refused; transactions that are open go on until the drain ends.
  void BeginDrain() { draining_ = true; }
  // The lease: nothing is served, and no answer given, after it. Time{INT64_MAX}: no lease is in
  // use.
  void SetLease(Time until) { lease_until_ = until; }
  // Other types that requests may name, as Vitess's "also allow" after a promotion.
  void SetAlsoAllowed(std::vector<record::TabletType> types) { also_allowed_ = std::move(types); }

  // `pinned`: the request continues a transaction. Errors: kClusterEvent.
  Status Check(const record::Target& target, bool pinned, Time now) const;
  // Before an answer is given.
  bool LeaseHolds(Time now) const { return lease_until_.ns == INT64_MAX || now < lease_until_; }
  bool has_lease() const { return lease_until_.ns != INT64_MAX; }

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
  Time lease_until_{INT64_MAX};
  std::vector<record::TabletType> also_allowed_;
};

}  // namespace paceline::vttablet
