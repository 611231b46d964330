#include "vtorc/history.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace paceline::vtorc {
namespace {

TEST(HistoryTest, SurvivesARestartAndStaysBounded) {
  std::string file = testing::TempDir() + "/vtorc-history-test.db";
  std::filesystem::remove(file);
  {
    History history;
    ASSERT_TRUE(history.Open(file));
    for (size_t i = 1; i <= History::kKept + 5; ++i) {
      Recovery& recovery = history.Begin({static_cast<int64_t>(i) * 1'000'000});
      recovery.shard = "ks/0";
      recovery.analysis = "DeadPrimary";
      recovery.stages.push_back({{static_cast<int64_t>(i + 7) * 1'000'000}, "fence", "two"});
      if (i % 2 == 0) recovery.ended = recovery.began;
      history.Store(recovery);
    }
    EXPECT_EQ(history.list().size(), History::kKept);
  }
  History again;
  ASSERT_TRUE(again.Open(file));
  ASSERT_EQ(again.list().size(), History::kKept);
  const Recovery& last = again.list().back();
  EXPECT_EQ(last.id, static_cast<int64_t>(History::kKept) + 5);
  EXPECT_EQ(last.error, "vtorc ended meanwhile");
  ASSERT_EQ(last.stages.size(), 1u);
  EXPECT_EQ(last.stages[0].name, "fence");
  EXPECT_NE(ToJson(last).find("\"after_ms\":7"), std::string::npos) << ToJson(last);
  EXPECT_EQ(again.Begin({}).id, last.id + 1);
  std::filesystem::remove(file);
}

TEST(HistoryTest, WorksWithoutAFile) {
  History history;
  int64_t id = history.Begin({}).id;
  history.Store(*history.Find(id));
  EXPECT_EQ(history.Find(id + 1), nullptr);
  EXPECT_FALSE(history.Open("/nowhere/at/all.db"));
}

}  // namespace
}  // namespace paceline::vtorc
