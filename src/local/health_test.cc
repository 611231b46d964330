#include "local/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace paceline::local {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ClusterHealth Well() {
  ClusterHealth health;
  health.tablets.resize(3);
  for (size_t i = 0; i < 3; ++i) {
    health.tablets[i].alias = "zone1-000000010" + std::to_string(i);
    health.tablets[i].type = i == 0 ? "primary" : "replica";
    health.tablets[i].serving = true;
  }
  health.primary = {.semi_sync = true, .replicas_wanted = 1, .replicas = 2};
  return health;
}

Verdict Of(const ClusterHealth& health) {
  Verdict verdict;
  Judge(health, "commerce/0", verdict);
  return verdict;
}

TEST(Judge, AllIsWell) {
  EXPECT_THAT(Of(Well()).problems, IsEmpty());
  EXPECT_EQ(Of(Well()).exit_code(), 0);
}

TEST(Judge, ATabletThatIsNotWellIsNamed) {
  ClusterHealth health = Well();
  health.tablets[2].type = "drained";
  EXPECT_THAT(Of(health).problems, ElementsAre(HasSubstr("0102 is drained")));
  EXPECT_EQ(Of(health).exit_code(), 1);

  health = Well();
  health.tablets[1].serving = false;
  health.tablets[1].reason = "mysqld does not run";
  EXPECT_THAT(Of(health).problems, ElementsAre(HasSubstr("mysqld does not run")));

  health = Well();
  health.tablets[1].lag_s = 31;
  health.tablets[2].replication_broken = true;
  EXPECT_THAT(Of(health).problems,
              ElementsAre(HasSubstr("lags 31 s"), HasSubstr("stopped by an error")));

  health = Well();
  health.tablets[1].error = "connection refused";
  health.tablets[2].registered = false;
  EXPECT_THAT(Of(health).problems,
              ElementsAre(HasSubstr("0101 does not answer"), HasSubstr("not in the topology")));
  EXPECT_EQ(Of(health).exit_code(), 1);
}

TEST(Judge, WritesThatStandStillAreToldFirst) {
  ClusterHealth health = Well();
  health.tablets[0].error = "connection refused";
  EXPECT_THAT(Of(health).problems,
              ElementsAre(HasSubstr("EmergencyReparentShard commerce/0"), HasSubstr("0100")));
  EXPECT_EQ(Of(health).exit_code(), 3);

  health = Well();
  health.tablets[0].serving = false;
  EXPECT_THAT(Of(health).problems, ElementsAre(HasSubstr("no writes: zone1-0000000100")));

  health = Well();
  health.primary.replicas = 0;
  EXPECT_THAT(Of(health).problems, ElementsAre(HasSubstr("commits wait")));
  EXPECT_EQ(Of(health).exit_code(), 3);

  health = Well();
  health.primary.read_only = true;
  EXPECT_THAT(Of(health).problems, ElementsAre(HasSubstr("SetWritable zone1-0000000100 true")));

  health = Well();
  health.gate_error = "connection refused";
  EXPECT_EQ(Of(health).exit_code(), 3);
}

TEST(Judge, ADiskThatTakesNoWrites) {
  ClusterHealth health = Well();
  health.tablets[2].disk_error = "the disk of /data is full";
  EXPECT_EQ(Of(health).exit_code(), 1);
  health = Well();
  health.tablets[0].disk_error = "the disk of /data is full";
  EXPECT_EQ(Of(health).exit_code(), 3);
  EXPECT_NE(Of(health).problems[0].find("is full: make room"), std::string::npos);
}

TEST(ReadTabletHealth, FromItsPages) {
  const TabletHealth tablet = ReadTabletHealth(
      "zone1-0000000101",
      R"({"TabletStateName": "NOT_SERVING", "TabletType": "replica", "replicationLagSec": 7,
          "ReplicationBroken": 1, "DiskError": "full"})",
      R"([{"Key": "Current State", "Value": "REPLICA: Not Serving, mysqld does not run"}])");
  EXPECT_EQ(tablet.error, "");
  EXPECT_EQ(tablet.type, "replica");
  EXPECT_FALSE(tablet.serving);
  EXPECT_EQ(tablet.reason, "mysqld does not run");
  EXPECT_EQ(tablet.lag_s, 7);
  EXPECT_TRUE(tablet.replication_broken);
  EXPECT_EQ(tablet.disk_error, "full");
  EXPECT_NE(ReadTabletHealth("zone1-0000000101", "{}", "").error, "");
  EXPECT_NE(ReadTabletHealth("zone1-0000000101", "gone", "gone").error, "");
}

TEST(ReadPrimaryHealth, FromTheFullStatus) {
  const PrimaryHealth primary = ReadPrimaryHealth(
      R"({"status": {"read_only": true, "semi_sync_primary_enabled": true,
          "semi_sync_primary_clients": 2, "semi_sync_wait_for_replica_count": 1}})");
  EXPECT_TRUE(primary.read_only && primary.semi_sync);
  EXPECT_EQ(primary.replicas, 2);
  EXPECT_EQ(primary.replicas_wanted, 1);
  EXPECT_FALSE(ReadPrimaryHealth("nothing").semi_sync);
}

}  // namespace
}  // namespace paceline::local
