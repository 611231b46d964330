#include "console/actions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace paceline::console {
namespace {

using Json = nlohmann::json;
using record::TabletType;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

health::TabletStatus Tablet(uint32_t uid, TabletType type) {
  health::TabletStatus status;
  status.tablet.alias = {"zone1", uid};
  status.tablet.keyspace = "commerce";
  status.tablet.shard = "0";
  status.target.type = type;
  status.connected = status.serving = true;
  return status;
}

World Healthy() {
  World world;
  world.tablets = {Tablet(100, TabletType::kPrimary), Tablet(101, TabletType::kReplica),
                   Tablet(102, TabletType::kReplica)};
  world.shards[{"commerce", "0"}].primary_alias = {"zone1", 100};
  return world;
}

Plan Make(const World& world, std::string_view action, const Json& arguments) {
  Result<Plan> plan = MakePlan(world, action, arguments);
  EXPECT_TRUE(plan) << plan.error().ToString();
  return plan ? std::move(*plan) : Plan();
}

std::string ErrorOf(std::string_view action, const Json& arguments) {
  const Result<Plan> plan = MakePlan(Healthy(), action, arguments);
  return plan ? "" : plan.error().ToString();
}

TEST(PlanTest, APlannedReparentExpectsThePrimaryThatItWasPlannedWith) {
  const Plan plan = Make(Healthy(), "planned_reparent",
                         {{"shard", "commerce/0"}, {"new_primary", "zone1-0000000101"}});
  EXPECT_THAT(plan.words,
              ElementsAre("PlannedReparentShard", "commerce/0", "--new-primary", "zone1-0000000101",
                          "--expected-primary", "zone1-0000000100"));
  EXPECT_EQ(plan.refused, "");
  EXPECT_THAT(plan.warnings, IsEmpty());
  EXPECT_THAT(plan.steps, Contains("zone1-0000000101 becomes the primary and takes writes"));
}

TEST(PlanTest, ALostPrimaryIsNoCaseForAPlannedReparent) {
  World world = Healthy();
  world.tablets[0].connected = false;
  const Plan plan = Make(world, "planned_reparent", {{"shard", "commerce/0"}});
  EXPECT_THAT(plan.refused, HasSubstr("use an emergency reparent"));
}

TEST(PlanTest, AnEmergencyReparentIsConfirmedAndWarnsOfAHealthyPrimary) {
  const Plan plan =
      Make(Healthy(), "emergency_reparent", {{"shard", "commerce/0"}, {"force", true}});
  EXPECT_EQ(plan.confirm, "commerce/0");
  EXPECT_THAT(plan.words, ElementsAre("EmergencyReparentShard", "commerce/0", "--force"));
  EXPECT_THAT(plan.warnings, Contains(HasSubstr("is healthy")));
}

TEST(PlanTest, ThePrimaryIsNeitherRestoredNorRetyped) {
  EXPECT_THAT(Make(Healthy(), "restore", {{"tablet", "zone1-100"}}).refused,
              HasSubstr("is the primary"));
  EXPECT_THAT(Make(Healthy(), "change_type", {{"tablet", "zone1-100"}, {"type", "rdonly"}}).refused,
              HasSubstr("planned reparent"));
  EXPECT_THAT(Make(Healthy(), "backup", {{"tablet", "zone1-100"}}).refused, HasSubstr("primary"));
  EXPECT_EQ(Make(Healthy(), "restore", {{"tablet", "zone1-101"}}).confirm, "zone1-0000000101");
}

TEST(PlanTest, AStatementThatWritesIsConfirmed) {
  EXPECT_EQ(Make(Healthy(), "execute_dba", {{"tablet", "zone1-101"}, {"sql", "SELECT 1"}}).confirm,
            "");
  EXPECT_EQ(
      Make(Healthy(), "execute_dba", {{"tablet", "zone1-101"}, {"sql", "DELETE FROM t"}}).confirm,
      "zone1-0000000101");
  EXPECT_EQ(
      Make(Healthy(), "apply_schema", {{"keyspace", "commerce"}, {"sql", "DROP TABLE t"}}).confirm,
      "commerce");
}

TEST(PlanTest, ALivingTabletIsNotDeleted) {
  EXPECT_THAT(Make(Healthy(), "delete_tablet", {{"tablet", "zone1-101"}}).refused,
              HasSubstr("stop its vttablet"));
}

TEST(PlanTest, NeedsTheRoleOfItsCommand) {
  EXPECT_EQ(RoleOf("planned_reparent"), access::Role::kOperator);
  EXPECT_EQ(RoleOf("execute_dba"), access::Role::kAdmin);
  EXPECT_EQ(RoleOf("ping"), access::Role::kOperator);
  EXPECT_EQ(ActionRoles().at("apply_schema"), access::Role::kAdmin);
}

TEST(PlanTest, WhatIsNotThereIsNamed) {
  EXPECT_THAT(ErrorOf("reparent", Json::object()), HasSubstr("planned_reparent"));
  EXPECT_THAT(ErrorOf("planned_reparent", Json::object()), HasSubstr("\"shard\" is missing"));
  EXPECT_THAT(ErrorOf("planned_reparent", {{"shard", "commerce/1"}}), HasSubstr("commerce/1"));
  EXPECT_THAT(ErrorOf("restore", {{"tablet", "zone1-9"}}), HasSubstr("zone1-9"));
  EXPECT_THAT(ErrorOf("restore", Json::array()), HasSubstr("not an object"));
  EXPECT_THAT(ErrorOf("change_type", {{"tablet", "zone1-101"}, {"type", "boss"}}),
              HasSubstr("boss"));
  EXPECT_THAT(ErrorOf("apply_vschema", {{"keyspace", "commerce"}, {"vschema", "{"}}),
              HasSubstr("not JSON"));
}

TEST(CommandTextTest, QuotesWhatAShellWouldSplit) {
  EXPECT_EQ(CommandText({"ApplySchema", "--sql", "SELECT 'x'", "commerce"}),
            R"(ApplySchema --sql 'SELECT '\''x'\''' commerce)");
}

}  // namespace
}  // namespace paceline::console
