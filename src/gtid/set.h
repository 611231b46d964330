// gtid/set.h - sets of GTIDs of both flavors behind one value, with the whole set algebra.
// MySQL: (uuid, optional tag) -> intervals. MariaDB: (domain, server id) -> intervals that begin at
// 1, because "0-1-5" read as a set means everything server 1 wrote in domain 0 up to 5
// (gtid_strict_mode keeps that order). Equal sequences of two MariaDB servers are different
// transactions: 0-1-5 and 0-2-7 do not contain each other, unless gtid/history.h knows where server
// 2 took over. Threads: values. Cost: linear in the number of intervals.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace paceline::gtid {

enum class Flavor : uint8_t { kMysql, kMariadb };
// "MySQL56" and "MariaDB", the names before the slash in Vitess's encoding.
std::string_view FlavorName(Flavor flavor);

// Who numbered a transaction. MySQL: a server UUID and a tag (8.3+, lower case, may be empty).
// MariaDB: domain and server id, kept big-endian in the first 8 bytes of `id` so that both order as
// mysqld prints them.
struct Source {
  Flavor flavor = Flavor::kMysql;
  std::array<uint8_t, 16> id{};
  std::string tag;

  static Source Mariadb(uint32_t domain, uint32_t server_id);
  // With or without dashes. Errors: kInvalidArgument.
  static Result<Source> Mysql(std::string_view uuid, std::string_view tag = {});
  uint32_t domain() const;     // REQUIRES: flavor == kMariadb
  uint32_t server_id() const;  // REQUIRES: flavor == kMariadb
  std::string Uuid() const;    // REQUIRES: flavor == kMysql
  friend auto operator<=>(const Source&, const Source&) = default;
};

struct Gtid {
  Source source;
  uint64_t sequence = 0;
  // "uuid:5", "uuid:tag:5" or "0-1-5"; read with or without Vitess's flavor prefix. Errors:
  // kInvalidArgument.
  static Result<Gtid> Parse(Flavor flavor, std::string_view text);
  std::string ToString() const;
  friend auto operator<=>(const Gtid&, const Gtid&) = default;
};

// Both ends inside, first >= 1.
struct Interval {
  uint64_t first = 0, last = 0;
  friend auto operator<=>(const Interval&, const Interval&) = default;
};

// The largest sequence mysqld accepts.
inline constexpr uint64_t kMysqlSequenceMax = 9223372036854775806u;

class Set {
 public:
  struct Entry {
    Source source;
    std::vector<Interval> intervals;  // sorted, apart from each other by a gap, never empty
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  Set() = default;
  explicit Set(Flavor flavor) : flavor_(flavor) {}
  // What mysqld accepts: MySQL "uuid:1-5:7:tag:1-3, uuid2:4" (a tag holds for the intervals after
  // it within its uuid), MariaDB "0-1-5,0-2-7" (also several servers of a domain, as in
  // gtid_binlog_state). White space is free. Errors: kInvalidArgument with the place in the text.
  static Result<Set> Parse(Flavor flavor, std::string_view text);
  // "MySQL56/<set>", "MariaDB/<set>", or empty. Errors: kInvalidArgument.
  static Result<Set> ParseEncoded(std::string_view text);

  // Normal form as mysqld prints it, without line breaks. A difference of MariaDB sets that does
  // not begin at 1 is printed as "0-1-4..7", which Parse() reads back and mysqld does not.
  std::string ToString() const;
  std::string ToEncoded() const;
  // MariaDB: one GTID for each domain, the one with the highest sequence, as gtid_slave_pos takes
  // it; a tie goes to the higher server id. MySQL: ToString().
  std::string ToPosition() const;

  Flavor flavor() const { return entries_.empty() ? flavor_ : entries_.front().source.flavor; }
  bool Empty() const { return entries_.empty(); }
  // Number of sequences, at most UINT64_MAX. MariaDB counts from 1, so it is an upper bound there.
  uint64_t Count() const;
  // The highest GTID of the last source; nothing for the empty set.
  std::optional<Gtid> Last() const;
  const std::vector<Entry>& entries() const { return entries_; }

  bool Contains(const Gtid& gtid) const;
  bool Contains(const Set& other) const;  // every set contains the empty one
  bool Intersects(const Set& other) const { return !Intersection(other).Empty(); }
  Set Union(const Set& other) const;
  Set Intersection(const Set& other) const;
  Set Subtract(const Set& other) const;
  // MariaDB: with everything before it from that server in that domain.
  void Add(const Gtid& gtid);
  // REQUIRES: 1 <= first <= last.
  void Add(const Source& source, Interval interval);
  // Same transactions; an empty set equals any empty set.
  friend bool operator==(const Set& a, const Set& b) { return a.entries_ == b.entries_; }

 private:
  std::vector<Interval>& IntervalsOf(const Source& source);

  Flavor flavor_ = Flavor::kMysql;
  std::vector<Entry> entries_;  // sorted by source
};

}  // namespace paceline::gtid
