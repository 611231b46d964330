#include "gtid/history.h"

namespace paceline::gtid {
namespace {

uint64_t HighestIn(const Set& set, uint32_t domain) {
  uint64_t highest = 0;
  for (const Set::Entry& entry : set.entries()) {
    if (entry.source.flavor != Flavor::kMariadb || entry.source.domain() != domain) continue;
    highest = std::max(highest, entry.intervals.back().last);
  }
  return highest;
}

// What `takeover` adds to `set`.
Set Implied(const Set& set, const Takeover& takeover) {
  Set out(Flavor::kMariadb);
  for (const Set::Entry& entry : set.entries()) {
    if (entry.source.flavor != Flavor::kMariadb) continue;
    if (entry.source.server_id() != takeover.server_id) continue;
    uint32_t domain = entry.source.domain();
    if (entry.intervals.back().last <= HighestIn(takeover.position, domain)) continue;
    for (const Set::Entry& had : takeover.position.entries()) {
      if (had.source.flavor != Flavor::kMariadb || had.source.domain() != domain) continue;
      for (const Interval& i : had.intervals) out.Add(had.source, i);
    }
  }
  return out;
}

}  // namespace

Set WithHistory(Set set, const std::vector<Takeover>& takeovers) {
  if (set.flavor() != Flavor::kMariadb) return set;
  for (bool grew = true; grew;) {
    grew = false;
    for (const Takeover& takeover : takeovers) {
      Set implied = Implied(set, takeover);
      if (set.Contains(implied)) continue;
      set = set.Union(implied);
      grew = true;
    }
  }
  return set;
}

}  // namespace paceline::gtid
