#include "vttablet/query/serving_state.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

using record::TabletType;

const record::Target kPrimary{"ks", "0", TabletType::kPrimary, ""};
const record::Target kReplica{"ks", "0", TabletType::kReplica, ""};

TEST(ServingState, ServesUntilTheLeaseEnds) {
  std::atomic<int64_t> until_ns = 100;
  ServingState state("ks", "0");
  state.Set(TabletType::kPrimary, true, "", 1, true);
  EXPECT_FALSE(state.Check(kPrimary, false, Time{1})) << "nobody said where the lease stands";
  state.UseLease(&until_ns);
  EXPECT_TRUE(state.Check(kPrimary, false, Time{99}));
  Status late = state.Check(kPrimary, true, Time{100});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), Code::kClusterEvent);
  EXPECT_NE(late.error().message().find("NOT_SERVING"), std::string::npos);
  until_ns = 200;
  EXPECT_TRUE(state.Check(kPrimary, false, Time{100})) << "one grant ends a lapse";
}

TEST(ServingState, ReplicasAndLonePrimariesNeedNoLease) {
  std::atomic<int64_t> until_ns = 0;
  ServingState state("ks", "0");
  state.UseLease(&until_ns);
  state.Set(TabletType::kReplica, true, "", 1);
  EXPECT_TRUE(state.Check(kReplica, false, Time{100}));
  state.Set(TabletType::kPrimary, true, "", 1, false);
  EXPECT_TRUE(state.Check(kPrimary, false, Time{100}));
}

TEST(ServingState, WhatWasLetInUnderTheLeaseIsJudgedByIt) {
  std::atomic<int64_t> until_ns = 100;
  ServingState state("ks", "0");
  state.UseLease(&until_ns);
  state.Set(TabletType::kPrimary, true, "", 1, true);
  const bool leased = state.leased();
  state.Set(TabletType::kReplica, true, "", 2);
  until_ns = 0;
  EXPECT_FALSE(state.LeaseHolds(leased, Time{50}));
  EXPECT_TRUE(state.LeaseHolds(state.leased(), Time{50}));
}

}  // namespace
}  // namespace paceline::vttablet
