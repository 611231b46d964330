#include "vtgate/buffer.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using Verdict = Buffer::Verdict;

const record::KeyspaceShard kShard{"ks", "0"};
Time At(Duration since) { return Time{0} + since; }
health::PrimaryTerm Term(uint64_t term) { return {term, {}}; }

TEST(Buffer, EachWaitsForItsWindowAndAllForTheFailoversLongest) {
  Buffer buffer({.window = 10s, .failover_max = 15s});
  Buffer::Admission first = buffer.Enter(kShard, 10, At(1s));
  EXPECT_EQ(first.verdict, Verdict::kWait);
  EXPECT_EQ(first.until, At(11s));
  EXPECT_EQ(buffer.Enter(kShard, 10, At(8s)).until, At(16s));
  EXPECT_EQ(buffer.Enter(kShard, 10, At(16s)).verdict, Verdict::kTooLong);
  EXPECT_TRUE(buffer.Serves(kShard, Term(2), At(17s)));
  EXPECT_EQ(buffer.Enter(kShard, 10, At(18s)).until, At(28s));
}

TEST(Buffer, WhoFindsItFullIsRefusedAndPlacesComeBack) {
  Buffer buffer({.requests = 2, .bytes = 100});
  EXPECT_EQ(buffer.Enter(kShard, 60, At(1s)).verdict, Verdict::kWait);
  EXPECT_EQ(buffer.Enter({"other", "0"}, 60, At(1s)).verdict, Verdict::kFull);  // bytes
  EXPECT_EQ(buffer.Enter({"other", "0"}, 40, At(1s)).verdict, Verdict::kWait);
  EXPECT_EQ(buffer.Enter(kShard, 0, At(1s)).verdict, Verdict::kFull);  // requests
  EXPECT_NE(WhyRefused(Verdict::kFull, buffer).find("2 requests of 100 bytes"), std::string::npos);
  buffer.Leave(60);
  EXPECT_EQ(buffer.Enter(kShard, 60, At(1s)).verdict, Verdict::kWait);
}

TEST(Buffer, APrimaryOfAnOlderTermReleasesNobody) {
  Buffer buffer({});
  buffer.Enter(kShard, 1, At(1s));
  EXPECT_TRUE(buffer.Serves(kShard, Term(5), At(2s)));
  EXPECT_FALSE(buffer.Serves(kShard, Term(5), At(3s)));  // nobody waits
  buffer.Enter(kShard, 1, At(4s));
  EXPECT_FALSE(buffer.Serves(kShard, Term(4), At(5s)));
  EXPECT_TRUE(buffer.Serves(kShard, Term(5), At(6s)));  // the same one, back again
}

TEST(Buffer, FlagsTurnItOff) {
  Buffer off({.enabled = false});
  EXPECT_EQ(off.Enter(kShard, 1, At(1s)).verdict, Verdict::kOff);
  Buffer some({.shards = {"a", "b/0"}});
  EXPECT_EQ(some.Enter({"a", "1"}, 1, At(1s)).verdict, Verdict::kWait);
  EXPECT_EQ(some.Enter({"b", "0"}, 1, At(1s)).verdict, Verdict::kWait);
  EXPECT_EQ(some.Enter({"b", "1"}, 1, At(1s)).verdict, Verdict::kOff);
  Buffer rare({.between_failovers = 60s});
  EXPECT_EQ(rare.Enter(kShard, 1, At(1s)).verdict, Verdict::kWait);
  rare.Serves(kShard, Term(1), At(2s));
  EXPECT_EQ(rare.Enter(kShard, 1, At(60s)).verdict, Verdict::kTooSoon);
  EXPECT_EQ(rare.Enter(kShard, 1, At(62s)).verdict, Verdict::kWait);
}

}  // namespace
}  // namespace paceline::vtgate
