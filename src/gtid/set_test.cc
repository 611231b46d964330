#include "gtid/set.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "base/strings.h"
#include "gtid/history.h"
#include "gtid/sid_block.h"

namespace paceline::gtid {
namespace {

const std::string kU = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const std::string kV = "1e11fa47-71ca-11e1-9e33-c80aa9429562";

std::string Normal(Flavor flavor, const std::string& text) {
  Result<Set> set = Set::Parse(flavor, text);
  return set ? set->ToString() : "ERROR " + set.error().message();
}

// Each pair was taken from mysqld 9.7: SELECT GTID_SUBTRACT(text, '').
TEST(MysqlText, NormalFormIsMysqlds) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kU + ":1-5:7," + kV + ":tag:1-3", kV + ":tag:1-3," + kU + ":1-5:7"},
      {kU + ":1-5:tag:1:3:btag:4:2", kU + ":1-5:btag:2:4:tag:1:3"},
      {kU + ":1-5:tag:1:3," + kU + ":9", kU + ":1-5:9:tag:1:3"},
      {kU + ":TAG:1:3:_x9:5", kU + ":_x9:5:tag:1:3"},
      {" 3E11FA47-71CA-11E1-9E33-C80AA9429562 : 3 - 5 : 1 , , ", kU + ":1:3-5"},
      {kU + ":5-4", ""},
      {kU, ""},
      {kU + ":tag", ""},
      {"", ""},
      {",", ""},
      {kU + ":1-9223372036854775806", kU + ":1-9223372036854775806"},
      {"3e11fa4771ca11e19e33c80aa9429562:1", kU + ":1"},
      {"{" + kU + "}:1", kU + ":1"},
      {kU + ":3:4:5", kU + ":3-5"},
      {kU + ":1," + kV + ":2:tag:3,\n" + kU + ":tag:7", kV + ":2:tag:3," + kU + ":1:tag:7"},
      {kU + ":abcdefghijklmnopqrstuvwxyzabcdef:3", kU + ":abcdefghijklmnopqrstuvwxyzabcdef:3"},
  };
  for (const auto& [text, want] : cases) EXPECT_EQ(Normal(Flavor::kMysql, text), want) << text;
}

TEST(MysqlText, WhatMysqldRefusesIsRefused) {
  for (std::string tail :
       {":", "::3", ":0-4", ":tag:", ":1-9223372036854775807", ":9tag:3", ":1-",
        ":abcdefghijklmnopqrstuvwxyzabcdefg:3", ":tag:1:3,4", ":tag:1,1-4", "x"}) {
    Result<Set> set = Set::Parse(Flavor::kMysql, kU + tail);
    ASSERT_FALSE(set) << tail;
    EXPECT_EQ(set.error().code(), Code::kInvalidArgument);
    EXPECT_NE(set.error().message().find("[HERE]"), std::string::npos) << set.error().message();
  }
}

TEST(MariadbText, ListsAndPositions) {
  EXPECT_EQ(Normal(Flavor::kMariadb, "1-2-9, 0-1-5,0-2-7,0-1-3"), "0-1-5,0-2-7,1-2-9");
  EXPECT_EQ(Set::Parse(Flavor::kMariadb, "1-2-9,0-1-5,0-2-7")->ToPosition(), "0-2-7,1-2-9");
  for (std::string text :
       {"0-1", "0-1-", "a", "0-1-5;0", "4294967296-1-1", "0-1-99999999999999999999"}) {
    EXPECT_FALSE(Set::Parse(Flavor::kMariadb, text)) << text;
  }
}

TEST(Encoded, FlavorBeforeTheSlash) {
  EXPECT_EQ(Set::ParseEncoded("MariaDB/0-1-5")->ToEncoded(), "MariaDB/0-1-5");
  EXPECT_EQ(Set::ParseEncoded("MySQL56/" + kU + ":1-5")->ToEncoded(), "MySQL56/" + kU + ":1-5");
  EXPECT_EQ(Set::ParseEncoded("MariaDB/")->ToEncoded(), "MariaDB/");
  EXPECT_TRUE(Set::ParseEncoded("")->Empty());
  EXPECT_FALSE(Set::ParseEncoded("FilePos/mysql-bin.000001:4"));
  EXPECT_EQ(Gtid::Parse(Flavor::kMysql, "MySQL56/" + kU + ":tag:5")->ToString(), kU + ":tag:5");
  EXPECT_EQ(Gtid::Parse(Flavor::kMariadb, "0-1-5")->ToString(), "0-1-5");
  EXPECT_FALSE(Gtid::Parse(Flavor::kMysql, kU + ":1-2"));
}

TEST(Mariadb, EqualSequencesOfTwoServersAreDifferent) {
  Set one = *Set::Parse(Flavor::kMariadb, "0-1-5"), two = *Set::Parse(Flavor::kMariadb, "0-2-7");
  EXPECT_FALSE(one.Contains(two));
  EXPECT_FALSE(two.Contains(one));
  EXPECT_FALSE(one == *Set::Parse(Flavor::kMariadb, "0-2-5"));
}

TEST(Mariadb, TakeoversTellWhatAPositionImplies) {
  Set two = *Set::Parse(Flavor::kMariadb, "0-2-7");
  std::vector<Takeover> history = {{2, *Set::Parse(Flavor::kMariadb, "0-1-5")}};
  EXPECT_TRUE(WithHistory(two, history).Contains(*Set::Parse(Flavor::kMariadb, "0-1-5")));
  EXPECT_FALSE(WithHistory(two, history).Contains(*Set::Parse(Flavor::kMariadb, "0-1-6")));
  // Server 2 also led before; what it wrote then says nothing about 0-1-9.
  std::vector<Takeover> later = {{2, *Set::Parse(Flavor::kMariadb, "0-1-9,0-2-7")}};
  EXPECT_EQ(WithHistory(two, later), two);
  // Chains: 3 on top of 2 on top of 1; other domains stay out of it.
  history.push_back({3, *Set::Parse(Flavor::kMariadb, "0-2-7,4-1-1")});
  EXPECT_EQ(WithHistory(*Set::Parse(Flavor::kMariadb, "0-3-8"), history).ToString(),
            "0-1-5,0-2-7,0-3-8");
}

// As written by mysqld 9.7 into PREVIOUS_GTIDS.
TEST(SidBlock, TaggedFormIsMysqlds) {
  std::string bytes = *HexDecode(
      "0103000000000001"
      "1e11fa4771ca11e19e33c80aa9429562"
      "00"
      "0100000000000000"
      "0900000000000000"
      "0a00000000000000"
      "1e11fa4771ca11e19e33c80aa9429562"
      "06746167"
      "0100000000000000"
      "0300000000000000"
      "0400000000000000"
      "3e11fa4771ca11e19e33c80aa9429562"
      "00"
      "0100000000000000"
      "0100000000000000"
      "0200000000000000");
  Result<Set> set = FromSidBlock(bytes);
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(set->ToString(), kV + ":9:tag:3," + kU + ":1");
  EXPECT_EQ(*ToSidBlock(*set), bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(FromSidBlock(bytes.substr(0, cut)));
  EXPECT_FALSE(FromSidBlock(bytes + "x"));
}

// The naive model: every single GTID on its own.
using Naive = std::set<Gtid>;

Set Random(Flavor flavor) {
  Set set(flavor);
  int count = *rc::gen::inRange(0, 12);
  for (int i = 0; i < count; ++i) {
    Source source;
    if (flavor == Flavor::kMariadb) {
      source = Source::Mariadb(static_cast<uint32_t>(*rc::gen::inRange(0, 2)),
                               static_cast<uint32_t>(*rc::gen::inRange(1, 4)));
    } else {
      source =
          *Source::Mysql(*rc::gen::element(kU, kV), *rc::gen::element<std::string>("", "a", "b"));
    }
    uint64_t first = static_cast<uint64_t>(*rc::gen::inRange(1, 30));
    set.Add(source, {first, first + static_cast<uint64_t>(*rc::gen::inRange(0, 6))});
  }
  return set;
}

Naive Expand(const Set& set) {
  Naive all;
  for (const Set::Entry& entry : set.entries()) {
    for (const Interval& i : entry.intervals) {
      for (uint64_t s = i.first; s <= i.last; ++s) all.insert({entry.source, s});
    }
  }
  return all;
}

void CheckNormal(const Set& set) {
  const Source* before = nullptr;
  for (const Set::Entry& entry : set.entries()) {
    bool in_order = before == nullptr || *before < entry.source;
    RC_ASSERT(in_order);
    RC_ASSERT(!entry.intervals.empty());
    for (size_t i = 1; i < entry.intervals.size(); ++i) {
      RC_ASSERT(entry.intervals[i - 1].last + 1 < entry.intervals[i].first);
    }
    before = &entry.source;
  }
}

void CheckAlgebra(Flavor flavor) {
  Set a = Random(flavor), b = Random(flavor);
  Naive na = Expand(a), nb = Expand(b), both, either, left;
  std::set_intersection(na.begin(), na.end(), nb.begin(), nb.end(),
                        std::inserter(both, both.end()));
  std::set_union(na.begin(), na.end(), nb.begin(), nb.end(), std::inserter(either, either.end()));
  std::set_difference(na.begin(), na.end(), nb.begin(), nb.end(), std::inserter(left, left.end()));
  RC_ASSERT(Expand(a.Union(b)) == either);
  RC_ASSERT(Expand(a.Intersection(b)) == both);
  RC_ASSERT(Expand(a.Subtract(b)) == left);
  for (const Set& set : {a.Union(b), a.Intersection(b), a.Subtract(b)}) CheckNormal(set);
  RC_ASSERT(a.Contains(b) == std::includes(na.begin(), na.end(), nb.begin(), nb.end()));
  RC_ASSERT(a.Union(b).Contains(a));
  RC_ASSERT((a == b) == (na == nb));
  RC_ASSERT(a.Count() == na.size());
  RC_ASSERT(a.Last() == (na.empty() ? std::nullopt : std::optional<Gtid>(*na.rbegin())));
  for (const Gtid& gtid : nb) RC_ASSERT(a.Contains(gtid) == na.contains(gtid));
  RC_ASSERT(*Set::Parse(flavor, a.ToString()) == a);
  RC_ASSERT(*Set::ParseEncoded(a.ToEncoded()) == a);
  if (flavor == Flavor::kMysql) RC_ASSERT(*FromSidBlock(*ToSidBlock(a)) == a);
}

TEST(SetProperty, MysqlAlgebraIsThatOfSets) {
  EXPECT_TRUE(rc::check([] { CheckAlgebra(Flavor::kMysql); }));
}
TEST(SetProperty, MariadbAlgebraIsThatOfSets) {
  EXPECT_TRUE(rc::check([] { CheckAlgebra(Flavor::kMariadb); }));
}
TEST(SetProperty, AnyBytesEndInASetOrAnError) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    (void)FromSidBlock(bytes);
    (void)Set::Parse(Flavor::kMysql, bytes);
    (void)Set::Parse(Flavor::kMariadb, bytes);
  }));
}

TEST(Set, AddOfAMariadbGtidIncludesWhatCameBefore) {
  Set set(Flavor::kMariadb);
  set.Add(*Gtid::Parse(Flavor::kMariadb, "0-1-7"));
  EXPECT_EQ(set.ToString(), "0-1-7");
  Set mysql;
  mysql.Add(*Gtid::Parse(Flavor::kMysql, kU + ":7"));
  mysql.Add(*Gtid::Parse(Flavor::kMysql, kU + ":5"));
  EXPECT_EQ(mysql.ToString(), kU + ":5:7");
}

}  // namespace
}  // namespace paceline::gtid
