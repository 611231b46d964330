#include "topo/import_record.h"

#include <gtest/gtest.h>

namespace paceline::topo {
namespace {

using Phase = ImportRecord::Phase;

TEST(ImportRecord, ComesBackAsItWas) {
  ImportRecord record;
  record.phase = Phase::kReturning;
  record.id = "41";
  record.tablet = {"zone1", 100};
  record.source = "import@db 1:3306";
  record.database = "my shop";
  record.accounts = {"'a b'@'%'", "'c'@'10.%'"};
  Result<ImportRecord> again = ParseImportRecord(ImportRecordText(record));
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_EQ(*again, record);
}

TEST(ImportRecord, WhatCannotBeReadIsNotGuessed) {
  for (const char* text :
       {"", "phase importing\ntablet zone1-100\n", "phase ?\nid 1\ntablet zone1-100\n",
        "phase importing\nid 1\ntablet zone1\n"}) {
    Result<ImportRecord> record = ParseImportRecord(text);
    ASSERT_FALSE(record) << text;
    EXPECT_EQ(record.error().code(), Code::kDataLoss);
  }
}

TEST(ImportRecord, OnlyAfterTheSwitchMayAnybodyBeElected) {
  ImportRecord record;
  for (Phase phase : {Phase::kImporting, Phase::kSwitching, Phase::kSwitched, Phase::kReturning,
                      Phase::kCanceling}) {
    record.phase = phase;
    EXPECT_EQ(record.Bars(), phase != Phase::kSwitched) << PhaseName(phase);
  }
}

}  // namespace
}  // namespace paceline::topo
