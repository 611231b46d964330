#include "console/console.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "console/files.h"

namespace paceline::console {
namespace {

TEST(WebFilesTest, TheFirstViewIsSmall) {
  size_t bytes = 0;
  for (const WebFile& file : WebFiles()) bytes += file.gzip.size();
  EXPECT_GT(bytes, 10'000u);
  EXPECT_LT(bytes, 300'000u);
}

Operation Named(const char* action) {
  Operation operation;
  operation.action = action;
  return operation;
}

TEST(OperationsTest, WhatAnAdminsStatementSaysIsForAdmins) {
  Operations operations([](const Operation&) {});
  Operation asked = Named("execute_dba");
  asked.command = "vtctldclient ExecuteFetchAsDBA zone1-100 'SELECT secret'";
  asked.needs = access::Role::kAdmin;
  const int64_t id = operations.Begin(std::move(asked), {1});
  operations.Add(id, "the secret");
  operations.End(id, Fail(Code::kUnknown, "near 'secret'"), {2});
  EXPECT_EQ(Summary(*operations.Find(id)).dump().find("secret"), std::string::npos);
  EXPECT_NE(ToJson(*operations.Find(id)).dump().find("the secret"), std::string::npos);
}

TEST(OperationsTest, KeepsTheNewestAndBoundsTheirLines) {
  int changes = 0;
  Operations operations([&](const Operation&) { ++changes; });
  const int64_t first = operations.Begin(Named("backup"), {1});
  operations.Add(first, "one\ntwo\n");
  EXPECT_EQ(operations.Find(first)->lines.size(), 2u);
  operations.Add(first, std::string(Operations::kBytes, 'x'));
  EXPECT_TRUE(operations.Find(first)->cut);
  EXPECT_EQ(operations.running(), 1u);
  operations.End(first, Fail(Code::kUnavailable, "no luck"), {2});
  EXPECT_EQ(ToJson(*operations.Find(first))["state"], "failed");
  EXPECT_EQ(changes, 4);
  const int64_t running = operations.Begin(Named("backup"), {3});
  for (size_t i = 0; i < Operations::kKept; ++i) {
    operations.End(operations.Begin(Named("ping"), {4}), Status(), {5});
  }
  EXPECT_EQ(operations.list().size(), Operations::kKept);
  EXPECT_EQ(operations.Find(first), nullptr);
  EXPECT_NE(operations.Find(running), nullptr);  // it still runs
}

}  // namespace
}  // namespace paceline::console
