#include "vtgate/pin_ledger.h"

#include <gtest/gtest.h>

namespace paceline::vtgate {
namespace {

using plan::PinReason;

class PinLedgerTest : public testing::Test {
 protected:
  void Ran(std::string text) {
    record::SrvVSchema vschema;
    vschema.keyspaces["ks"];
    auto snapshot = vschema::Snapshot::Build(vschema, {"ks"});
    Result<plan::Plan> plan =
        plan::MakePlan(text, {}, {"ks", "", record::TabletType::kPrimary}, *snapshot);
    ASSERT_TRUE(plan) << text;
    ledger_.Ran(text, *plan, {});
  }
  PinLedger ledger_;
};

TEST_F(PinLedgerTest, TheLastTemporaryTableEndsThePin) {
  Ran("CREATE TEMPORARY TABLE a (i INT)");
  Ran("CREATE TEMPORARY TABLE IF NOT EXISTS `b` AS SELECT * FROM c");
  EXPECT_TRUE(ledger_.Holds(PinReason::kTemporaryTable));
  Ran("DROP TEMPORARY TABLE A");
  EXPECT_TRUE(ledger_.Holds(PinReason::kTemporaryTable));
  Ran("DROP TABLE IF EXISTS b");
  EXPECT_FALSE(ledger_.Holds(PinReason::kTemporaryTable));
}

TEST_F(PinLedgerTest, ARenamedTableIsNotFollowed) {
  Ran("CREATE TEMPORARY TABLE a (i INT)");
  Ran("ALTER TABLE a RENAME TO z");
  Ran("DROP TABLE a");
  EXPECT_TRUE(ledger_.Holds(PinReason::kTemporaryTable));
}

TEST_F(PinLedgerTest, LocksAreAskedFor) {
  Ran("SELECT GET_LOCK('l', 1)");
  EXPECT_TRUE(ledger_.asks_for_locks());
  EXPECT_EQ(ledger_.locks(), std::set<std::string>{"'l'"});
  ledger_.LocksHeld(true);
  EXPECT_TRUE(ledger_.Holds(PinReason::kGetLock));
  EXPECT_FALSE(ledger_.asks_for_locks());
  Ran("DO RELEASE_LOCK('l')");
  EXPECT_TRUE(ledger_.asks_for_locks());
  ledger_.LocksHeld(false);
  EXPECT_FALSE(ledger_.Holds(PinReason::kGetLock));
  Ran("SELECT GET_LOCK(CONCAT('a', 'b'), 1)");
  ledger_.LocksHeld(false);
  EXPECT_TRUE(ledger_.Holds(PinReason::kGetLock));
}

TEST_F(PinLedgerTest, WhatIsTakenIsGivenBack) {
  Ran("LOCK TABLES a READ");
  EXPECT_TRUE(ledger_.Holds(PinReason::kLockTables));
  Ran("UNLOCK TABLES");
  EXPECT_FALSE(ledger_.Holds(PinReason::kLockTables));
  Ran("PREPARE s FROM 'SELECT 1'");
  Ran("PREPARE t FROM 'SELECT 2'");
  Ran("DEALLOCATE PREPARE S");
  EXPECT_TRUE(ledger_.Holds(PinReason::kPreparedStatement));
  Ran("DROP PREPARE t");
  EXPECT_FALSE(ledger_.Holds(PinReason::kPreparedStatement));
  Ran("XA START 'x'");
  Ran("XA END 'x'");
  EXPECT_TRUE(ledger_.Holds(PinReason::kXa));
  Ran("XA COMMIT 'x' ONE PHASE");
  EXPECT_FALSE(ledger_.Holds(PinReason::kXa));
  Ran("SELECT @a := 1");
  EXPECT_TRUE(ledger_.Holds(PinReason::kUserVariable));
}

}  // namespace
}  // namespace paceline::vtgate
