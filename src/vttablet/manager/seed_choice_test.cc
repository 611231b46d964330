#include "vttablet/manager/seed_choice.h"

#include <gtest/gtest.h>

namespace paceline::vttablet {
namespace {

constexpr const char* kUuid = "11111111-1111-1111-1111-111111111111";

gtid::Set To(uint64_t last) {
  return *gtid::Set::Parse(gtid::Flavor::kMysql, fmt::format("{}:1-{}", kUuid, last));
}

DonorSight Sight(uint32_t uid, bool leads = false) {
  DonorSight sight;
  sight.tablet.alias = {"zone1", uid};
  sight.leads = leads;
  sight.mysqld_running = true;
  sight.replicates = !leads;
  sight.lag = Duration(0);
  sight.executed = To(10);
  sight.server_version = "9.7.4";
  return sight;
}

mysqld::ServerVersion Own() { return *mysqld::ParseVersionText("9.7.4"); }

std::vector<uint32_t> Uids(const SeedChoice& choice) {
  std::vector<uint32_t> uids;
  for (const SeedSource& source : choice.sources) uids.push_back(source.tablet.alias.uid);
  return uids;
}

TEST(SeedChoice, PrefersReplicasAndThenTheLeastLag) {
  DonorSight lags = Sight(101);
  lags.lag = 20s;
  SeedChoice choice = ChooseSource({Sight(100, true), lags, Sight(102)}, Own(), {});
  EXPECT_EQ(Uids(choice), (std::vector<uint32_t>{102, 101, 100}));
  choice = ChooseSource({Sight(100, true), lags, Sight(102)}, Own(), {{"zone1", 102}});
  EXPECT_EQ(Uids(choice), (std::vector<uint32_t>{101, 100, 102}));
}

TEST(SeedChoice, ABackupIsAskedForWhenEachHasFailed) {
  std::vector<DonorSight> sights = {Sight(100, true), Sight(101)};
  EXPECT_FALSE(ChooseSource(sights, Own(), {}).exhausted);
  EXPECT_FALSE(ChooseSource(sights, Own(), {{"zone1", 101}}).exhausted);
  SeedChoice choice = ChooseSource(sights, Own(), {{"zone1", 101}, {"zone1", 100}});
  EXPECT_TRUE(choice.exhausted);
  EXPECT_EQ(*choice.leader_has, To(10));
  // Without a primary nothing says which branch of a history is the shard's.
  EXPECT_FALSE(ChooseSource({Sight(101)}, Own(), {}).leader_has);
}

TEST(SeedChoice, RefusesWhatWouldNotDo) {
  DonorSight errant = Sight(101), dead = Sight(102), other = Sight(103), stopped = Sight(104),
             seeding = Sight(105), late = Sight(106);
  errant.executed = To(11);
  dead.mysqld_running = false;
  other.server_version = "8.4.3";
  stopped.replicates = false;
  seeding.seeding = true;
  late.lag = 10min;
  SeedChoice choice =
      ChooseSource({errant, dead, other, stopped, seeding, late, Sight(100, true)}, Own(), {});
  EXPECT_EQ(Uids(choice), (std::vector<uint32_t>{100}));
  for (const char* why : {"lacks", "does not run", "8.4.3", "does not replicate", "itself", "lags"})
    EXPECT_NE(choice.refused.find(why), std::string::npos) << why;
}

TEST(SeedChoice, NothingWithoutAPrimary) {
  EXPECT_TRUE(ChooseSource({Sight(101)}, Own(), {}).sources.empty());
}

TEST(SeedChoice, AnEmptyServerReplaysShortLogsOnly) {
  EXPECT_EQ(WhySeedEmpty({true, 1000}), "");
  EXPECT_NE(WhySeedEmpty({false, 1000}), "");
  EXPECT_NE(WhySeedEmpty({true, kReplayBytesMax + 1}), "");
}

}  // namespace
}  // namespace paceline::vttablet
