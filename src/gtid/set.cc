#include "gtid/set.h"

#include <algorithm>

#include "base/check.h"

namespace paceline::gtid {
namespace {

using Intervals = std::vector<Interval>;

bool Covers(const Intervals& have, const Intervals& want) {
  size_t at = 0;
  for (const Interval& w : want) {
    while (at < have.size() && have[at].last < w.first) ++at;
    if (at == have.size() || have[at].first > w.first || have[at].last < w.last) return false;
  }
  return true;
}

// Appends to a sorted list, joining what overlaps or touches. REQUIRES: i.first >= the last one's
// first.
void Append(Intervals& out, Interval i) {
  if (!out.empty() && (out.back().last >= i.first || out.back().last + 1 == i.first)) {
    out.back().last = std::max(out.back().last, i.last);
  } else {
    out.push_back(i);
  }
}

Intervals Merge(const Intervals& a, const Intervals& b) {
  Intervals out;
  out.reserve(a.size() + b.size());
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    bool from_a = j == b.size() || (i < a.size() && a[i].first <= b[j].first);
    Append(out, from_a ? a[i++] : b[j++]);
  }
  return out;
}

Intervals Common(const Intervals& a, const Intervals& b) {
  Intervals out;
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    uint64_t first = std::max(a[i].first, b[j].first), last = std::min(a[i].last, b[j].last);
    if (first <= last) out.push_back({first, last});
    if (a[i].last < b[j].last)
      ++i;
    else
      ++j;
  }
  return out;
}

Intervals Without(const Intervals& a, const Intervals& b) {
  Intervals out;
  size_t j = 0;
  for (Interval left : a) {
    while (j < b.size() && b[j].last < left.first) ++j;
    bool rest = true;
    for (size_t k = j; rest && k < b.size() && b[k].first <= left.last; ++k) {
      if (b[k].first > left.first) out.push_back({left.first, b[k].first - 1});
      rest = b[k].last < left.last;
      left.first = rest ? b[k].last + 1 : left.last;
    }
    if (rest) out.push_back(left);
  }
  return out;
}

void PutBig(uint8_t* to, uint32_t v) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<uint8_t>(v >> (24 - 8 * i));
}
uint32_t GetBig(const uint8_t* from) {
  uint32_t v = 0;
  for (int i = 0; i < 4; ++i) v = v << 8 | from[i];
  return v;
}

}  // namespace

Source Source::Mariadb(uint32_t domain, uint32_t server_id) {
  Source source;
  source.flavor = Flavor::kMariadb;
  PutBig(source.id.data(), domain);
  PutBig(source.id.data() + 4, server_id);
  return source;
}

uint32_t Source::domain() const {
  CHECK(flavor == Flavor::kMariadb);
  return GetBig(id.data());
}

uint32_t Source::server_id() const {
  CHECK(flavor == Flavor::kMariadb);
  return GetBig(id.data() + 4);
}

uint64_t Set::Count() const {
  uint64_t count = 0;
  for (const Entry& entry : entries_) {
    for (const Interval& i : entry.intervals) {
      uint64_t n = i.last - i.first;
      if (n == UINT64_MAX || count > UINT64_MAX - n - 1) return UINT64_MAX;
      count += n + 1;
    }
  }
  return count;
}

std::optional<Gtid> Set::Last() const {
  if (entries_.empty()) return std::nullopt;
  return Gtid{entries_.back().source, entries_.back().intervals.back().last};
}

bool Set::Contains(const Gtid& gtid) const {
  auto entry = std::ranges::lower_bound(entries_, gtid.source, {}, &Entry::source);
  if (entry == entries_.end() || entry->source != gtid.source) return false;
  auto i = std::ranges::lower_bound(entry->intervals, gtid.sequence, {}, &Interval::last);
  return i != entry->intervals.end() && i->first <= gtid.sequence;
}

bool Set::Contains(const Set& other) const {
  size_t at = 0;
  for (const Entry& want : other.entries_) {
    while (at < entries_.size() && entries_[at].source < want.source) ++at;
    if (at == entries_.size() || entries_[at].source != want.source) return false;
    if (!Covers(entries_[at].intervals, want.intervals)) return false;
  }
  return true;
}

Set Set::Union(const Set& other) const {
  Set out(Empty() ? other.flavor() : flavor());
  out.entries_.reserve(entries_.size() + other.entries_.size());
  size_t i = 0, j = 0;
  while (i < entries_.size() || j < other.entries_.size()) {
    if (j == other.entries_.size() ||
        (i < entries_.size() && entries_[i].source < other.entries_[j].source)) {
      out.entries_.push_back(entries_[i++]);
    } else if (i == entries_.size() || other.entries_[j].source < entries_[i].source) {
      out.entries_.push_back(other.entries_[j++]);
    } else {
      Intervals merged = Merge(entries_[i].intervals, other.entries_[j].intervals);
      out.entries_.push_back({entries_[i].source, std::move(merged)});
      ++i, ++j;
    }
  }
  return out;
}

Set Set::Intersection(const Set& other) const {
  Set out(flavor());
  size_t j = 0;
  for (const Entry& entry : entries_) {
    while (j < other.entries_.size() && other.entries_[j].source < entry.source) ++j;
    if (j == other.entries_.size()) break;
    if (other.entries_[j].source != entry.source) continue;
    Intervals common = Common(entry.intervals, other.entries_[j].intervals);
    if (!common.empty()) out.entries_.push_back({entry.source, std::move(common)});
  }
  return out;
}

Set Set::Subtract(const Set& other) const {
  Set out(flavor());
  size_t j = 0;
  for (const Entry& entry : entries_) {
    while (j < other.entries_.size() && other.entries_[j].source < entry.source) ++j;
    if (j == other.entries_.size() || other.entries_[j].source != entry.source) {
      out.entries_.push_back(entry);
      continue;
    }
    Intervals left = Without(entry.intervals, other.entries_[j].intervals);
    if (!left.empty()) out.entries_.push_back({entry.source, std::move(left)});
  }
  return out;
}

std::vector<Interval>& Set::IntervalsOf(const Source& source) {
  if (entries_.empty() || entries_.back().source < source) {
    entries_.push_back({source, {}});
    return entries_.back().intervals;
  }
  auto entry = std::ranges::lower_bound(entries_, source, {}, &Entry::source);
  if (entry->source != source) entry = entries_.insert(entry, {source, {}});
  return entry->intervals;
}

void Set::Add(const Gtid& gtid) {
  bool mariadb = gtid.source.flavor == Flavor::kMariadb;
  Add(gtid.source, {mariadb ? 1 : gtid.sequence, gtid.sequence});
}

void Set::Add(const Source& source, Interval interval) {
  CHECK(interval.first >= 1 && interval.first <= interval.last);
  Intervals& list = IntervalsOf(source);
  if (list.empty() || list.back().first <= interval.first) {
    Append(list, interval);
  } else {
    list = Merge(list, {interval});
  }
}

}  // namespace paceline::gtid
