#include "health/view.h"

#include <gtest/gtest.h>

#include <set>

namespace paceline::health {
namespace {

using record::TabletType;

class ViewTest : public testing::Test {
 protected:
  static record::Tablet Tablet(uint32_t uid, std::string cell = "zone1") {
    record::Tablet tablet;
    tablet.alias = {cell, uid};
    tablet.hostname = "localhost";
    tablet.keyspace = "ks";
    tablet.shard = "0";
    tablet.type = TabletType::kReplica;
    return tablet;
  }
  void Found(uint32_t uid, std::string cell = "zone1") {
    view_.Found(Tablet(uid, cell), clock_.Now());
  }
  bool Heard(uint32_t uid, TabletType type, bool serving = true, int64_t start = 0,
             uint64_t term = 0, Duration lag = Duration(0), std::string cell = "zone1") {
    port::TabletHealth health;
    health.alias = {cell, uid};
    health.target = {"ks", "0", type, ""};
    health.serving = serving;
    health.primary_term_start = {start};
    health.term = term;
    health.replication_lag = lag;
    return view_.Heard({cell, uid}, health, clock_.Now());
  }
  uint32_t Primary() {
    const TabletStatus* status = view_.PickPrimary("ks", "0");
    return status == nullptr ? 0 : status->tablet.alias.uid;
  }
  std::set<uint32_t> Replicas(std::vector<record::TabletAlias> avoid = {}) {
    std::set<uint32_t> chosen;
    for (int i = 0; i < 50; ++i) {
      const TabletStatus* status =
          view_.Pick({"ks", "0", TabletType::kReplica, ""}, "zone1", {}, avoid, rng_);
      if (status != nullptr) chosen.insert(status->tablet.alias.uid);
    }
    return chosen;
  }
  ManualClock clock_;
  SeededRng rng_{1};
  View view_{ViewOptions()};
};

TEST_F(ViewTest, TheHighestTermWins) {
  Found(1);
  Found(2);
  EXPECT_EQ(Primary(), 0u);
  EXPECT_TRUE(Heard(1, TabletType::kPrimary, true, 100));
  EXPECT_EQ(Primary(), 1u);
  // Two say so: the newer one.
  EXPECT_TRUE(Heard(2, TabletType::kPrimary, true, 200));
  EXPECT_EQ(Primary(), 2u);
  EXPECT_FALSE(Heard(1, TabletType::kPrimary, true, 100));
  EXPECT_EQ(Primary(), 2u);
  // Not even while the newer one is silent, or not serving, or gone.
  view_.Broke({"zone1", 2}, "reset");
  EXPECT_EQ(Primary(), 0u);
  Heard(2, TabletType::kPrimary, false, 200);
  EXPECT_EQ(Primary(), 0u);
  EXPECT_TRUE(view_.Gone({"zone1", 2}));
  EXPECT_EQ(Primary(), 0u);
  EXPECT_TRUE(Heard(1, TabletType::kPrimary, true, 300));
  EXPECT_EQ(Primary(), 1u);
}

TEST_F(ViewTest, TermsGoBeforeStarts) {
  Found(1);
  Found(2);
  Heard(1, TabletType::kPrimary, true, 500, 3);
  Heard(2, TabletType::kPrimary, true, 100, 4);
  EXPECT_EQ(Primary(), 2u);
}

TEST_F(ViewTest, SilenceMakesSuspect) {
  Found(1);
  Heard(1, TabletType::kPrimary, true, 100);
  clock_.Advance(900ms);
  EXPECT_TRUE(view_.Tick(clock_.Now()).empty());
  EXPECT_EQ(Primary(), 1u);
  clock_.Advance(200ms);
  EXPECT_EQ(view_.Tick(clock_.Now()).size(), 1u);
  EXPECT_TRUE(view_.Tick(clock_.Now()).empty());
  EXPECT_EQ(Primary(), 0u);
  EXPECT_TRUE(Heard(1, TabletType::kPrimary, true, 100));
  EXPECT_EQ(Primary(), 1u);
}

TEST_F(ViewTest, ReplicasByCellThenLag) {
  Found(1);
  Found(2);
  Found(3, "zone2");
  EXPECT_TRUE(Replicas().empty());
  Heard(3, TabletType::kReplica, true, 0, 0, Duration(0), "zone2");
  EXPECT_EQ(Replicas(), (std::set<uint32_t>{3}));
  Heard(1, TabletType::kReplica, true, 0, 0, 60s);
  EXPECT_EQ(Replicas(), (std::set<uint32_t>{1}));
  Heard(2, TabletType::kReplica, true, 0, 0, 1s);
  EXPECT_EQ(Replicas(), (std::set<uint32_t>{2}));
  Heard(1, TabletType::kReplica, true, 0, 0, 2s);
  EXPECT_EQ(Replicas(), (std::set<uint32_t>{1, 2}));
  EXPECT_EQ(Replicas({{"zone1", 1}}), (std::set<uint32_t>{2}));
  Heard(1, TabletType::kReplica, true, 0, 0, 3h);
  Heard(2, TabletType::kReplica, false);
  EXPECT_EQ(Replicas(), (std::set<uint32_t>{3}));
  EXPECT_EQ(Replicas({{"zone2", 3}}), (std::set<uint32_t>{3}));
}

TEST_F(ViewTest, AForgottenShardStartsAfresh) {
  Found(1);
  Heard(1, TabletType::kPrimary, true, 500);
  view_.Gone({"zone1", 1});
  Found(1);
  Heard(1, TabletType::kPrimary, true, 100);
  EXPECT_EQ(Primary(), 1u);
  EXPECT_EQ(view_.List().size(), 1u);
}

}  // namespace
}  // namespace paceline::health
