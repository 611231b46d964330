// reparent/lease.h - the lease of a primary (DESIGN section 7, "Grants"): the primary's book of
// what its replicas granted, and a replica's memory of what it promised by that. Pure: handed
// every Time, which goes on during a suspend. Threads: values.
//
// Who must grant: as many of its acknowledgers as a commit of it waits for. A successor opens only
// after a fence that leaves fewer acknowledgers than that (FenceHolds), so at least one that
// granted was fenced, and its grant is waited out. Then reads hold by the same quorum as writes.
// See docs/decisions/0013-who-grants-the-lease.md.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/time.h"
#include "record/record.h"

namespace paceline::reparent {

// What a primary may count on after it asked.
inline constexpr Duration kGrantTime = std::chrono::seconds(1);
inline constexpr Duration kGrantEvery = std::chrono::milliseconds(250);
// A replica holds itself bound a little longer than the primary counts on: two clocks never run
// alike.
inline constexpr Duration kGrantSlack = std::chrono::milliseconds(20);

// The primary's side.
class GrantBook {
 public:
  // This tablet leads `term`, its commits wait for `acknowledgements`. Another term: all grants are
  // void.
  void Lead(uint64_t term, uint32_t acknowledgements);
  void Follow() { *this = {}; }
  // `by` granted, and was asked at `asked_at`: what a grant was worth is counted from there.
  void Granted(uint64_t term, const record::TabletAlias& by, Time asked_at);

  bool leads() const { return term_ != 0; }
  uint64_t term() const { return term_; }
  uint32_t needed() const { return needed_; }
  // Needs none when nobody acknowledges its commits.
  bool leased() const { return leads() && needed_ > 0; }
  // When the lease ends; Time{0} when there are too few grants.
  Time Until() const;
  bool Holds(Time now) const { return !leased() || now < Until(); }
  // How many grants still stand.
  uint32_t Standing(Time now) const;

 private:
  uint64_t term_ = 0;
  uint32_t needed_ = 0;
  std::map<record::TabletAlias, Time> until_;
};

// A replica's side.
struct Promised {
  record::TabletAlias to;  // empty: whoever it followed before it was started anew
  Time until;
};
class GrantPromises {
 public:
  // What was promised before a crash is not known: it may bind for a whole grant.
  void Restarted(Time now) { Give({}, now); }
  void Give(const record::TabletAlias& to, Time received_at);
  // The newest of each tablet, those that have run out too; few.
  const std::vector<Promised>& all() const { return promises_; }

 private:
  static constexpr size_t kMost = 4;
  std::vector<Promised> promises_;
};

// Why a tablet must not grant, or null. `follows`: whom it is set to replicate from;
// `acknowledges`: whether that one's commits are acknowledged by it; `fenced`: it receives nothing
// until it is repointed.
const char* WhyNotGrant(const record::TabletAlias& asks, const record::TabletAlias& follows,
                        bool fenced, bool acknowledges, record::TabletType type);

}  // namespace paceline::reparent
