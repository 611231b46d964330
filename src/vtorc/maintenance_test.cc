#include "vtorc/maintenance.h"

#include <gtest/gtest.h>

namespace paceline::vtorc {
namespace {

TEST(MaintenanceTest, CoversWhatIsNamed) {
  Maintenance maintenance = {{"ks", "new disks\nsoon"}, {"other/-80", ""}};
  maintenance = ParseMaintenance(MaintenanceText(maintenance));
  EXPECT_EQ(maintenance["ks"], "new disks soon");
  EXPECT_EQ(InMaintenance(maintenance, {"ks", "0"}), "new disks soon");
  EXPECT_EQ(InMaintenance(maintenance, {"other", "-80"}), "");
  EXPECT_EQ(InMaintenance(maintenance, {"other", "80-"}), std::nullopt);
  maintenance["*"] = "all";
  EXPECT_EQ(InMaintenance(maintenance, {"other", "80-"}), "all");
  EXPECT_TRUE(ParseMaintenance("").empty());
  EXPECT_TRUE(ParseMaintenance("\n\n").empty());
}

}  // namespace
}  // namespace paceline::vtorc
