#include "reparent/lease.h"

#include <algorithm>

namespace paceline::reparent {

using record::TabletAlias;
using record::TabletType;

void GrantBook::Lead(uint64_t term, uint32_t acknowledgements) {
  if (term != term_) until_.clear();
  term_ = term;
  needed_ = acknowledgements;
}

void GrantBook::Granted(uint64_t term, const TabletAlias& by, Time asked_at) {
  if (term != term_) return;
  Time& until = until_[by];
  until = std::max(until, asked_at + kGrantTime);
}

Time GrantBook::Until() const {
  if (needed_ == 0 || until_.size() < needed_) return Time{0};
  std::vector<Time> ends;
  for (const auto& [by, until] : until_) ends.push_back(until);
  auto last = ends.begin() + (needed_ - 1);
  std::ranges::nth_element(ends, last, std::greater<>());
  return *last;
}

uint32_t GrantBook::Standing(Time now) const {
  auto stands = [now](const auto& entry) { return now < entry.second; };
  return static_cast<uint32_t>(std::ranges::count_if(until_, stands));
}

void GrantPromises::Give(const TabletAlias& to, Time received_at) {
  Time until = received_at + kGrantTime + kGrantSlack;
  for (Promised& promise : promises_) {
    if (promise.to != to) continue;
    promise.until = std::max(promise.until, until);
    return;
  }
  if (promises_.size() == kMost) {
    promises_.erase(std::ranges::min_element(promises_, {}, &Promised::until));
  }
  promises_.push_back({to, until});
}

const char* WhyNotGrant(const TabletAlias& asks, const TabletAlias& follows, bool fenced,
                        bool acknowledges, TabletType type) {
  if (type != TabletType::kReplica) return "a tablet of its type acknowledges nothing";
  if (fenced) return "it is fenced";
  if (asks != follows) return "it follows another tablet";
  if (!acknowledges) return "it does not acknowledge";
  return nullptr;
}

}  // namespace paceline::reparent
