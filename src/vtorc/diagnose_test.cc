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

  // The same, and a heartbeat has arrived at each replica.
  std::string Beating(int ms) {
    for (size_t i : {1, 2}) At(i).stream_mark = std::to_string(ms);
    return First(ms);
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

TEST_F(DiagnoseTest, AnImportIsLeftToPeople) {
  At(0).mysqld_running = false;
  At(1).importing = "copying";
  EXPECT_EQ(First(0), "ShardIsImported: none");
  view_.tablets[1].importing.clear();
  EXPECT_EQ(First(0), "DeadPrimary: fail over");
}

TEST_F(DiagnoseTest, SilenceNeedsTheStreamsWordOrTime) {
  EXPECT_EQ(Beating(0), "");
  At(0).reachable = false;
  EXPECT_EQ(Beating(100), "UnreachablePrimary: wait");
  EXPECT_EQ(Beating(2400), "UnreachablePrimary: wait");
  EXPECT_EQ(Beating(2500), "UnreachablePrimary: fail over");
  At(0).reachable = true;
  EXPECT_EQ(Beating(2600), "");
  At(0).reachable = false;
  At(1).io_running = At(2).io_running = false;
  EXPECT_EQ(Beating(2700), "DeadPrimary: wait");
  EXPECT_EQ(Beating(2800), "DeadPrimary: fail over");
  At(2).io_running = true;  // one stream that moves is evidence of life
  EXPECT_EQ(Beating(2850), "UnreachablePrimary: wait");
}

TEST_F(DiagnoseTest, AFrozenHostIsKnownByItsSilentStreams) {
  EXPECT_EQ(Beating(0), "");
  At(0).reachable = false;
  EXPECT_EQ(First(200), "UnreachablePrimary: wait");
  EXPECT_EQ(First(1000), "DeadPrimary: wait");
  EXPECT_EQ(First(1200), "DeadPrimary: fail over");
  EXPECT_EQ(Beating(1300), "UnreachablePrimary: wait");
  // A beat of its vttablet, whose answer is only late.
  memory_.heard[{"zone1", 100}] = Time{} + 5900ms;
  EXPECT_EQ(Beating(6000), "UnreachablePrimary: wait");
}

TEST_F(DiagnoseTest, ABusyMysqldIsWaitedForWhileItsStreamsMove) {
  EXPECT_EQ(Beating(0), "");
  At(0).reachable = false;
  At(0).hung = true;
  for (int ms = 100; ms < 60'000; ms += 500) EXPECT_EQ(Beating(ms), "UnreachablePrimary: wait");
  EXPECT_EQ(First(61'000), "DeadPrimary: fail over");
}

TEST_F(DiagnoseTest, NothingIsDoneWhereNobodyCouldLead) {
  for (reparent::TabletSight& tablet : view_.tablets) tablet.reachable = false;
  EXPECT_EQ(First(9000), "DeadPrimaryAndReplicas: none");
  EXPECT_EQ(First(90000), "DeadPrimaryAndReplicas: none");
  view_.tablets.resize(1);
  EXPECT_EQ(First(99000), "DeadPrimaryWithoutReplicas: none");
}

TEST_F(DiagnoseTest, AShardThatNobodyEverLedElectsItsFirstPrimary) {
  view_.shard_primary = {};
  for (reparent::TabletSight& tablet : view_.tablets) {
    tablet.journal_term = 0;
    tablet.journal_primary = {};
    tablet.type = TabletType::kReplica;
    tablet.read_only = true;
    tablet.source = {};
  }
  EXPECT_EQ(First(0), "ClusterHasNoPrimary: wait");
  EXPECT_EQ(First(5000), "ClusterHasNoPrimary: reparent anew");
  At(2).reachable = false;
  EXPECT_EQ(First(6000), "ClusterHasNoPrimary: none");
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
  EXPECT_EQ(First(1600), "PrimaryIsReadOnly: fix primary");
}

TEST_F(DiagnoseTest, LockedByMissingAckersIsHealedByThemOrByAnotherPrimary) {
  for (size_t i : {1, 2}) {
    At(i).source = {};
    At(i).io_running = false;
  }
  EXPECT_EQ(First(0), "LockedSemiSyncPrimary: wait");
  std::vector<Problem> found = Diagnose(view_, Time{} + 2s, options_, memory_);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[1].analysis, "AllPrimaryReplicasNotReplicating");
  EXPECT_EQ(found[2].remedy, Remedy::kRepoint);
  EXPECT_EQ(First(10'000), "LockedSemiSyncPrimary: fail over");
  At(1).reachable = At(2).reachable = false;  // nobody could be fenced: a failover would not help
  EXPECT_EQ(First(10'100), "LockedSemiSyncPrimary: none");
}

TEST_F(DiagnoseTest, WhoCannotAcknowledgeFencesNoLockedPrimary) {
  At(0).semi_sync_required = 2;
  At(1).reachable = false;  // it may acknowledge still
  view_.tablets.push_back(At(2));
  view_.tablets.back().alias = {"zone1", 103};
  view_.tablets.back().type = TabletType::kRdonly;
  view_.tablets.back().semi_sync_replica = false;
  EXPECT_EQ(First(0), "LockedSemiSyncPrimary: wait");
  EXPECT_EQ(First(10'000), "LockedSemiSyncPrimary: none");
  At(1).reachable = true;
  At(1).semi_sync_replica = false;
  EXPECT_EQ(First(10'100), "LockedSemiSyncPrimary: fail over");
}

TEST_F(DiagnoseTest, SettingsThatSomebodyChangedArePutRight) {
  At(0).semi_sync_required = 0;
  EXPECT_EQ(First(0), "PrimarySemiSyncMustBeSet: wait");
  EXPECT_EQ(First(1500), "PrimarySemiSyncMustBeSet: fix primary");
  At(0).promised_term = 4;  // somebody is about to lead the next term
  EXPECT_EQ(First(1600), "PrimarySemiSyncMustBeSet: none");
  At(0).promised_term = 3;
  At(0).semi_sync_required = 1;
  At(0).source = {"zone1", 101};
  EXPECT_EQ(First(1700), "PrimaryHasPrimary: wait");
  EXPECT_EQ(First(3200), "PrimaryHasPrimary: forget source");
  At(0).source = {};
  At(1).semi_sync_replica = false;
  EXPECT_EQ(First(4000), "ReplicaSemiSyncMustBeSet: wait");
  EXPECT_EQ(First(5500), "ReplicaSemiSyncMustBeSet: repoint");
}

TEST_F(DiagnoseTest, ErrantTransactionsNeedTwoLooks) {
  auto set = [](const char* text) { return *gtid::Set::Parse(gtid::Flavor::kMysql, text); };
  const char* kUs = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
  std::string more = std::string(kUs) + ":1-9", less = std::string(kUs) + ":1-5";
  At(0).executed = set(less.c_str());
  At(1).executed = At(2).executed = set(more.c_str());
  EXPECT_EQ(First(0), "");
  At(0).executed = set(more.c_str());  // only the look at the primary was older
  EXPECT_EQ(First(100), "");
  At(1).executed = set((more + ",4e11fa47-71ca-11e1-9e33-c80aa9429562:1").c_str());
  EXPECT_EQ(First(200), "");
  EXPECT_EQ(First(300), "ErrantGTIDDetected: none");
}

TEST_F(DiagnoseTest, ErrantTransactionsOfMariadb) {
  auto set = [](const char* text) { return *gtid::Set::Parse(gtid::Flavor::kMariadb, text); };
  view_.flavor = gtid::Flavor::kMariadb;
  At(0).executed = set("0-1-50");  // seeded: what server 3 wrote up to 0-3-40 it does not know
  At(1).executed = At(2).executed = set("0-1-51,0-3-40");
  EXPECT_EQ(First(0), "");
  EXPECT_EQ(First(100), "ErrantGTIDDetected: none");  // still 50: it was not the look's age
  At(0).executed = set("0-1-60");
  EXPECT_EQ(First(200), "");
  At(1).executed = set("0-1-60,0-2-61,0-3-40");
  EXPECT_EQ(First(300), "");
  EXPECT_EQ(First(400), "ErrantGTIDDetected: none");
  At(1).executed = set("0-1-60,0-3-40");
  EXPECT_EQ(First(500), "");
}

TEST_F(DiagnoseTest, ALoneSurvivorIsNotLocked) {
  At(0).semi_sync_required = 0;
  At(1).reachable = At(2).reachable = false;
  EXPECT_EQ(First(0), "PrimarySemiSyncMustBeSet: wait");
  EXPECT_EQ(First(9000), "PrimarySemiSyncMustBeSet: none");
  At(1).reachable = true;
  EXPECT_EQ(First(9100), "PrimarySemiSyncMustBeSet: fix primary");
}

TEST_F(DiagnoseTest, CommitsOnOneMachineAloneAreTold) {
  At(0).semi_sync_required = 0;
  At(1).type = TabletType::kDrained;
  At(2).type = TabletType::kRestore;
  EXPECT_EQ(First(0), "NoReplicaAcknowledges: wait");
  EXPECT_EQ(First(1500), "NoReplicaAcknowledges: none");
  view_.durability = reparent::Durability::kNone;  // as somebody has chosen
  EXPECT_EQ(First(3000).find("NoReplicaAcknowledges"), std::string::npos);
}

TEST_F(DiagnoseTest, OneReplicaAlone) {
  view_.tablets.pop_back();
  At(1).sql_running = false;
  EXPECT_EQ(First(0), "PrimarySingleReplicaNotReplicating: none");
}

TEST_F(DiagnoseTest, AFullDiskIsLeftForOneWithRoom) {
  At(0).disk_error = "the disk is full";
  At(0).disk_full = true;
  At(0).disk_has_room = false;
  At(1).disk_has_room = false;
  EXPECT_EQ(First(0), "PrimaryDiskFull: wait");
  EXPECT_EQ(First(1900), "PrimaryDiskFull: wait");
  EXPECT_EQ(First(2000), "PrimaryDiskFull: fail over");
  std::vector<Problem> found = Diagnose(view_, Time{} + 2100ms, options_, memory_);
  EXPECT_EQ(found[0].unfit, (std::set<TabletAlias>{{"zone1", 100}, {"zone1", 101}}));
  // Whoever is as full, or could not promise and fence, is no help.
  At(1).disk_error = "the disk is full";
  EXPECT_EQ(First(2200), "PrimaryDiskFull: none");
  At(1).disk_error = {};
  At(2).disk_has_room = false;
  EXPECT_EQ(First(2300), "PrimaryDiskFull: none");
  At(2).disk_has_room = true;
  EXPECT_EQ(First(2400), "PrimaryDiskFull: fail over");
  // The other way about it would be to lose what the replica has not received.
  view_.durability = reparent::Durability::kNone;
  At(0).semi_sync_required = 0;
  At(1).semi_sync_replica = At(2).semi_sync_replica = false;
  EXPECT_EQ(First(2500), "PrimaryDiskFull: none");
}

TEST_F(DiagnoseTest, ALowDiskGivesWayToOneWithRoom) {
  At(0).disk_low = true;
  At(0).disk_has_room = false;
  At(1).disk_low = true;
  At(1).disk_has_room = false;
  EXPECT_EQ(First(0), "PrimaryDiskLow: wait");
  EXPECT_EQ(First(2000), "PrimaryDiskLow: move away");
  std::vector<Problem> found = Diagnose(view_, Time{} + 2100ms, options_, memory_);
  EXPECT_EQ(found[0].unfit, (std::set<TabletAlias>{{"zone1", 100}, {"zone1", 101}}));
  // Neither low nor with room enough: the writes would soon come back.
  At(2).disk_has_room = false;
  EXPECT_EQ(First(2200), "PrimaryDiskLow: none");
  At(2).disk_has_room = true;
  At(2).type = record::TabletType::kRdonly;
  EXPECT_EQ(First(2300), "PrimaryDiskLow: none");
  At(2).type = record::TabletType::kReplica;
  // Full after all: nothing can be drained there any more.
  At(0).disk_low = false;
  At(0).disk_error = "the disk is full";
  At(0).disk_full = true;
  EXPECT_EQ(First(2400), "PrimaryDiskFull: wait");
}

TEST_F(DiagnoseTest, ADiskThatStallsWhileTransactionsAreCommittedIsBusy) {
  auto upto = [this](const std::string& last) {
    At(0).executed =
        *gtid::Set::Parse(gtid::Flavor::kMysql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-" + last);
  };
  upto("10");
  At(0).disk_error = "the disk is stalled";
  EXPECT_EQ(First(0), "PrimaryDiskStalled: wait");
  EXPECT_EQ(First(4900), "PrimaryDiskStalled: wait");
  upto("11");
  EXPECT_EQ(First(5000), "PrimaryDiskStalled: wait");
  EXPECT_EQ(First(9900), "PrimaryDiskStalled: wait");
  EXPECT_EQ(First(10000), "PrimaryDiskStalled: fail over");
  At(0).disk_error = {};
  EXPECT_EQ(First(10100), "");
  // Its mysqld does not even answer, and its dump threads go on beating.
  EXPECT_EQ(Beating(10200), "");
  At(0).disk_error = "the disk is stalled";
  At(0).reachable = false;
  At(0).hung = true;
  EXPECT_EQ(Beating(10300), "PrimaryDiskStalled: wait");
  EXPECT_EQ(Beating(15300), "PrimaryDiskStalled: fail over");
}

TEST_F(DiagnoseTest, AReplicasDiskIsTold) {
  At(1).disk_error = "the disk is full";
  EXPECT_EQ(First(0), "ReplicaDiskStalled: none");
  At(1).disk_full = true;
  EXPECT_EQ(First(100), "ReplicaDiskFull: none");
}

TEST_F(DiagnoseTest, AReplicaWithoutUsableDataIsTold) {
  At(1).needs_seed = "its tail holds DDL";
  EXPECT_EQ(First(0), "ReplicaNeedsSeed: none");
}

}  // namespace
}  // namespace paceline::vtorc
