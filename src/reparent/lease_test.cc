#include "reparent/lease.h"

#include <gtest/gtest.h>

#include "reparent/durability.h"

namespace paceline::reparent {
namespace {

using record::TabletAlias;
using record::TabletType;

const TabletAlias kA{"zone1", 100}, kB{"zone1", 101}, kC{"zone1", 102};
Time At(Duration d) { return Time{1'000'000'000'000} + d; }

TEST(GrantBook, EndsWithTheGrantOfTheLastOneNeeded) {
  GrantBook book;
  EXPECT_TRUE(book.Holds(At(0s))) << "who does not lead needs none";
  book.Lead(3, 2);
  EXPECT_FALSE(book.Holds(At(0s)));
  book.Granted(3, kA, At(0ms));
  book.Granted(3, kA, At(300ms));
  EXPECT_FALSE(book.Holds(At(0s))) << "one tablet counts once";
  book.Granted(3, kB, At(100ms));
  EXPECT_EQ(book.Until(), At(1100ms));
  book.Granted(3, kC, At(200ms));
  EXPECT_EQ(book.Until(), At(1200ms));
  EXPECT_EQ(book.Standing(At(1150ms)), 2u);
  EXPECT_FALSE(book.Holds(At(1200ms)));
  book.Granted(3, kA, At(50ms));
  EXPECT_EQ(book.Until(), At(1200ms)) << "an answer that was overtaken takes nothing back";
}

TEST(GrantBook, GrantsAreOfOneTerm) {
  GrantBook book;
  book.Lead(3, 1);
  book.Granted(2, kA, At(0s));
  EXPECT_FALSE(book.Holds(At(0s)));
  book.Granted(3, kA, At(0s));
  EXPECT_TRUE(book.Holds(At(0s)));
  book.Lead(3, 2);
  EXPECT_FALSE(book.Holds(At(0s))) << "more acknowledgements, more grants";
  book.Lead(4, 1);
  EXPECT_FALSE(book.Holds(At(0s)));
  book.Lead(4, 0);
  EXPECT_TRUE(book.Holds(At(100s))) << "nobody acknowledges, so nobody grants";
}

TEST(GrantPromises, BindLongerThanThePrimaryCountsOn) {
  GrantPromises promises;
  GrantBook book;
  book.Lead(1, 1);
  book.Granted(1, kA, At(0s));
  promises.Give(kC, At(0s));
  EXPECT_GT(promises.all()[0].until, book.Until());
  promises.Give(kC, At(500ms));
  ASSERT_EQ(promises.all().size(), 1u);
  promises.Restarted(At(1s));
  EXPECT_TRUE(promises.all()[1].to.empty());
  for (uint32_t i = 0; i < 10; ++i) promises.Give({"zone1", i}, At(std::chrono::seconds(i)));
  EXPECT_EQ(promises.all().size(), 4u);
}

TEST(Lease, OnlyAnAcknowledgerOfTheAskerGrants) {
  EXPECT_EQ(WhyNotGrant(kA, kA, false, true, TabletType::kReplica), nullptr);
  EXPECT_NE(WhyNotGrant(kA, kB, false, true, TabletType::kReplica), nullptr);
  EXPECT_NE(WhyNotGrant(kA, kA, true, true, TabletType::kReplica), nullptr);
  EXPECT_NE(WhyNotGrant(kA, kA, false, false, TabletType::kReplica), nullptr);
  EXPECT_NE(WhyNotGrant(kA, kA, false, true, TabletType::kRdonly), nullptr);
  EXPECT_NE(WhyNotGrant(kA, kA, false, true, TabletType::kPrimary), nullptr);
}

// The rule itself: whatever set of acknowledgers was fenced so that the fence holds, it shares one
// with any set of grants by which the lease holds. Both flavors, all sizes.
TEST(Lease, EveryFenceMeetsEveryLease) {
  for (gtid::Flavor flavor : {gtid::Flavor::kMysql, gtid::Flavor::kMariadb}) {
    for (uint32_t ackers = 1; ackers <= 8; ++ackers) {
      uint32_t needed = AcksRequired(Durability::kSemiSync, flavor, ackers);
      for (uint32_t fenced = 0; fenced < 1u << ackers; ++fenced) {
        auto count = static_cast<uint32_t>(__builtin_popcount(fenced));
        if (!FenceHolds(ackers, count, needed)) continue;
        for (uint32_t grants = 0; grants < 1u << ackers; ++grants) {
          if (static_cast<uint32_t>(__builtin_popcount(grants)) < needed) continue;
          EXPECT_NE(fenced & grants, 0u) << ackers << " " << fenced << " " << grants;
        }
      }
    }
  }
}

}  // namespace
}  // namespace paceline::reparent
