#include "access/commands.h"

#include <gtest/gtest.h>

namespace paceline::access {
namespace {

TEST(CommandsTest, RolesByWhatACommandDoes) {
  for (const char* name : {"GetTablets", "ListAllTablets", "ValidateShard",
                           "FindAllShardsInKeyspace", "ShardReplicationPositions", "help"}) {
    EXPECT_EQ(RoleOfCommand(name), Role::kViewer) << name;
  }
  for (const char* name :
       {"PlannedReparentShard", "EmergencyReparentShard", "Backup", "RestoreFromBackup",
        "ChangeTabletType", "StartReplication", "SomethingNew"}) {
    EXPECT_EQ(RoleOfCommand(name), Role::kOperator) << name;
  }
  for (const char* name :
       {"DeleteKeyspace", "ExecuteFetchAsDBA", "ExecuteFetchAsDba", "ApplySchema", "ApplyVSchema",
        "InitShardMaster", "RemoveBackup", "AddCellInfo", ""}) {
    EXPECT_EQ(RoleOfCommand(name), Role::kAdmin) << name;
  }
}

TEST(CommandsTest, AFlagsValueIsNotTakenForTheCommand) {
  EXPECT_EQ(CommandOfWords({"--legacy-names", "ListAllTablets", "zone1"}), "ListAllTablets");
  EXPECT_EQ(CommandOfWords({"DeleteKeyspace", "ks"}), "DeleteKeyspace");
  EXPECT_EQ(CommandOfWords({"--something", "ListAllTablets", "DeleteKeyspace", "ks"}), "");
  EXPECT_EQ(CommandOfWords({}), "help");
}

}  // namespace
}  // namespace paceline::access
