#include "vtorc/diagnose.h"

#include <gtest/gtest.h>

namespace paceline::vtorc {
namespace {

using record::TabletAlias;
using record::TabletType;

class DiagnoseTest : public testing::Test {
 protected:
  DiagnoseTest() {
    view_.shard = {"ks", "0"};
    view_.durability = reparent::Durability::kSemiSync;
    for (uint32_t uid : {100u, 101u, 102u}) {
      reparent::TabletSight tablet;
      tablet.alias = {"zone1", uid};
      tablet.reachable = tablet.mysqld_running = tablet.serving = true;
      tablet.promised_term = tablet.journal_term = 3;
      tablet.journal_primary = {"zone1", 100};
      tablet.type = uid == 100 ? TabletType::kPrimary : TabletType::kReplica;
      tablet.read_only = uid != 100;
      if (uid == 100) {
        tablet.semi_sync_required = 1;
      } else {
        tablet.source = {"zone1", 100};
        tablet.io_running = tablet.sql_running = tablet.semi_sync_replica = true;
      }
      view_.tablets.push_back(tablet);
    }
    view_.shard_primary = {"zone1", 100};
  }
  reparent::TabletSight& At(size_t i) { return view_.tablets[i]; }
  // What is found at `ms` milliseconds, first problem first: "DeadPrimary: fail over".
  std::string First(int ms) {
    std::vector<Problem> found =
        Diagnose(view_, Time{} + std::chrono::milliseconds(ms), options_, memory_);
    if (found.empty()) return "";
    return found[0].analysis + ": " + std::string(RemedyName(found[0].remedy));
  }

  reparent::View view_;
  DiagnoseOptions options_;
  Memory memory_;
};

TEST_F(DiagnoseTest, AHealthyShardHasNoProblem) { EXPECT_EQ(First(0), ""); }

TEST_F(DiagnoseTest, ADeadMysqldIsActedUponAtOnce) {
  At(0).mysqld_running = false;
  EXPECT_EQ(First(0), "DeadPrimary: fail over");
}

TEST_F(DiagnoseTest, SilenceNeedsTheStreamsWordOrTime) {
  At(0).reachable = false;
  EXPECT_EQ(First(0), "UnreachablePrimary: wait");
  EXPECT_EQ(First(2000), "UnreachablePrimary: wait");
  EXPECT_EQ(First(2500), "UnreachablePrimary: fail over");
  At(0).reachable = true;
  EXPECT_EQ(First(2600), "");
  At(0).reachable = false;
  At(1).io_running = At(2).io_running = false;
  EXPECT_EQ(First(2700), "DeadPrimary: wait");
  EXPECT_EQ(First(2900), "DeadPrimary: fail over");
  At(2).io_running = true;  // one stream that holds is evidence of life
  EXPECT_EQ(First(2950), "UnreachablePrimary: wait");
}

TEST_F(DiagnoseTest, NothingIsDoneWhereNobodyCouldLead) {
  for (reparent::TabletSight& tablet : view_.tablets) tablet.reachable = false;
  EXPECT_EQ(First(9000), "DeadPrimaryAndReplicas: none");
  EXPECT_EQ(First(90000), "DeadPrimaryAndReplicas: none");
  view_.tablets.resize(1);
  EXPECT_EQ(First(99000), "DeadPrimaryWithoutReplicas: none");
}

TEST_F(DiagnoseTest, AShardThatNobodyEverLedIsLeftToAPerson) {
  view_.shard_primary = {};
  for (reparent::TabletSight& tablet : view_.tablets) {
    tablet.journal_term = 0;
    tablet.journal_primary = {};
    tablet.type = TabletType::kReplica;
    tablet.read_only = true;
    tablet.source = {};
  }
  EXPECT_EQ(First(0), "ClusterHasNoPrimary: none");
}

TEST_F(DiagnoseTest, ReplicasAreMendedWithPatience) {
  At(1).source = {"zone1", 102};
  EXPECT_EQ(First(0), "ConnectedToWrongPrimary: wait");
  EXPECT_EQ(First(1500), "ConnectedToWrongPrimary: repoint");
  At(1).source = {"zone1", 100};
  EXPECT_EQ(First(1600), "");
  At(1).source = {};
  At(1).io_running = false;
  EXPECT_EQ(First(1700), "NotConnectedToPrimary: wait");
  EXPECT_EQ(First(3200), "NotConnectedToPrimary: repoint");
  At(1) = At(2);
  At(1).fenced = true;
  EXPECT_EQ(First(4000), "ReplicationStopped: wait");
  EXPECT_EQ(First(5500), "ReplicationStopped: repoint");
  At(1).fenced = false;
  At(1).read_only = false;
  EXPECT_EQ(First(6000), "ReplicaIsWritable: wait");
  EXPECT_EQ(First(7500), "ReplicaIsWritable: make read-only");
}

TEST_F(DiagnoseTest, ALeaderThatFollowsIsReparentedAnewAndNotOpened) {
  At(0).read_only = true;
  At(0).type = TabletType::kReplica;
  At(0).source = {"zone1", 101};  // an acker of the next one already, which was never promoted
  EXPECT_EQ(First(0), "PrimaryIsReadOnly: wait");
  EXPECT_EQ(First(1500), "PrimaryIsReadOnly: reparent anew");
}

TEST_F(DiagnoseTest, ALeaderWhosePromotionWasOvertakenIsPromotedAnew) {
  At(0).type = TabletType::kReplica;  // its journal row was acknowledged, and its term was over
  At(0).promised_term = 4;
  At(0).serving = false;
  EXPECT_EQ(First(0), "PrimaryCurrentTypeMismatch: wait");
  EXPECT_EQ(First(1500), "PrimaryCurrentTypeMismatch: promote anew");
}

TEST_F(DiagnoseTest, AnUnfinishedReparentIsRunAgain) {
  At(0).demoted = At(0).read_only = true;
  EXPECT_EQ(First(0), "PrimaryIsReadOnly: wait");
  EXPECT_EQ(First(1500), "PrimaryIsReadOnly: reparent anew");
  At(0).demoted = false;
  EXPECT_EQ(First(1600), "PrimaryIsReadOnly: make writable");
}

TEST_F(DiagnoseTest, LockedByMissingAckersIsToldAndTheirReplicasAreMended) {
  for (size_t i : {1, 2}) {
    At(i).source = {};
    At(i).io_running = false;
  }
  EXPECT_EQ(First(0), "LockedSemiSyncPrimary: none");
  std::vector<Problem> found = Diagnose(view_, Time{} + 2s, options_, memory_);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].remedy, Remedy::kRepoint);
}

}  // namespace
}  // namespace paceline::vtorc
