// How statements share the connections to mysqld.
#include "vttablet/query/testing.h"

namespace paceline::vttablet {
namespace {

class QueryPoolTest : public QueryServerFixture {};

INSTANTIATE_TEST_SUITE_P(BothFlavors, QueryPoolTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

TEST_P(QueryPoolTest, ASlowReaderOfAHundredMegabytesHoldsMysqldBack) {
  options.pool.statements = 1;  // which it leaves to the others
  Serve();
  Run("DELETE FROM big");
  Run("INSERT INTO big VALUES (1, REPEAT('b', 1000000))");
  for (int i = 0; i < 7; ++i)
    Run("INSERT INTO big SELECT id + (SELECT COUNT(*) FROM big), b FROM big");
  Statement& slow = Start("SELECT b FROM big LIMIT 100", [](port::QueryRequest&) {});
  slow.sink.keep = false;
  slow.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return slow.sink.row_bytes > 0; }));
  EXPECT_EQ(Run("SELECT 1").sink.First(), "1");
  EXPECT_LT(slow.sink.row_bytes, 200'000u);
  Do([&] {
    slow.sink.full = false;
    slow.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(slow));
  EXPECT_GT(slow.sink.row_bytes, 100'000'000u);
  EXPECT_EQ(slow.sink.end().row_count, 100u);
  // A reader that goes away ends the statement.
  Statement& gone = Start("SELECT b FROM big a, (SELECT 1 UNION SELECT 2) x");
  gone.sink.keep = false;
  gone.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return gone.sink.row_bytes > 0; }));
  Do([&] {
    gone.cancel.Request();
    gone.sink.full = false;
    gone.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(gone));
  EXPECT_TRUE(gone.code() == Code::kCanceled || gone.sink.end().error_number == 1317);
}

TEST_P(QueryPoolTest, AFullPoolMakesWaitAndThenRefuses) {
  options.pool.statements = 1;
  options.pool.max_waiting = 1;
  Serve();
  Statement& holds = Start("SELECT SLEEP(0.4)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Statement& waits = Start("SELECT 1");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().waiting.value() == 1; }));
  Statement& refused = Run("SELECT 1");
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_NE(refused.error().find("waiter cap"), std::string::npos);
  Statement& transaction = Run("SELECT 2", Begin);  // its permits are others
  EXPECT_TRUE(*transaction.end) << transaction.error();
  ASSERT_TRUE(Wait(holds));
  ASSERT_TRUE(Wait(waits));
  EXPECT_EQ(waits.sink.First(), "1");
  Statement& again = Start("SELECT SLEEP(0.4)");
  ASSERT_TRUE(servers->Until([&] { return server->metrics().running.value() == 1; }));
  Statement& timed_out = Run("SELECT 1", {}, 50ms);
  EXPECT_EQ(timed_out.code(), Code::kResourceExhausted);
  EXPECT_EQ(timed_out.error(), "connection pool timed out: no connection became free");
  ASSERT_TRUE(Wait(again));
}

TEST_P(QueryPoolTest, AConnectionLostMidResult) {
  Serve();
  Run("REPLACE INTO big VALUES (1, REPEAT('b', 1000000))");
  Statement& slow = Start("SELECT b FROM big a, (SELECT 1 UNION SELECT 2 UNION SELECT 3) x");
  slow.sink.keep = false;
  slow.sink.full = true;
  ASSERT_TRUE(servers->Until([&] { return slow.sink.row_bytes > 0; }));
  std::string id = servers->Ask(
      *instance, "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'vt_app' LIMIT 1");
  servers->Ask(*instance, "KILL " + id);
  Do([&] {
    slow.sink.full = false;
    slow.sink.not_full.Set();
  });
  ASSERT_TRUE(Wait(slow));
  // What was on its way may still have come; then the server's own words end it.
  EXPECT_TRUE(slow.code() == Code::kUnavailable || slow.sink.end().is_error()) << slow.error();
  EXPECT_EQ(Run("SELECT 1").sink.First(), "1");
}

TEST_P(QueryPoolTest, IdleConnectionsThatDiedAreNotUsed) {
  Serve();
  Run("SELECT 1");
  servers->Ask(
      *instance,
      "KILL " + servers->Ask(
                    *instance,
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'vt_app' LIMIT 1"));
  uint64_t gone = 0;
  servers->Until([&] { return ++gone > 5; });
  Statement& next = Run("SELECT 2");
  ASSERT_TRUE(*next.end) << next.error();
  EXPECT_EQ(next.sink.First(), "2");
}

}  // namespace
}  // namespace paceline::vttablet
