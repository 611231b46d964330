#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "access/guard.h"

namespace paceline::access {
namespace {

class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/paceline-access-XXXXXX";
    folder_ = mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Put(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  static std::string UsersText(const std::string& token, const std::string& role) {
    return R"({"users": [{"name": "ada", "role": ")" + role + R"(", "token_sha256": [")" +
           TokenHash(token) + R"("]}, {"name": "ci", "role": "operator", "certificate": "ci.x"}]})";
  }
  std::shared_ptr<Guard> Make(GuardOptions options) {
    options.audit_file = folder_ + "/audit.log";
    auto guard = Guard::Make(std::move(options), metrics_);
    EXPECT_TRUE(guard) << guard.error().ToString();
    return *guard;
  }
  std::vector<nlohmann::json> Audit() const {
    std::vector<nlohmann::json> lines;
    std::ifstream file(folder_ + "/audit.log");
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }
  static Request Asking(Role needs, std::string authorization = "",
                        std::string peer = "10.1.2.3:4000") {
    return {"PlannedReparentShard", "ks/0", needs, std::move(peer), std::move(authorization), ""};
  }

  std::string folder_;
  Metrics metrics_;
};

TEST_F(AccessTest, WithoutAFileOnlyThisMachineAndCertificatesAreLetIn) {
  auto guard = Make({});
  for (const char* peer : {"127.0.0.1:4711", "ipv4:127.0.0.1:4711", "ipv6:%5B::1%5D:4711",
                           "[::1]:4711", "::1:4711", "unix:/run/x", "::ffff:127.0.0.1:4711"}) {
    auto caller = guard->Admit(Asking(Role::kAdmin, "", peer));
    EXPECT_TRUE(caller) << peer;
  }
  EXPECT_EQ(guard->Admit(Asking(Role::kViewer)).error().code(), Code::kUnauthenticated);
  EXPECT_FALSE(guard->Admit(Asking(Role::kViewer, "", "ipv4:12.7.0.1:1")));
  Request with = Asking(Role::kAdmin);
  with.certificate = "node";
  EXPECT_TRUE(guard->Admit(with));
}

TEST_F(AccessTest, TokensGiveTheirOwnersRole) {
  GuardOptions options;
  options.users_file = Put("users.json", UsersText("a-token", "operator"));
  auto guard = Make(options);
  auto caller = guard->Admit(Asking(Role::kOperator, "Bearer a-token"));
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->name, "ada");
  EXPECT_EQ(guard->Admit(Asking(Role::kAdmin, "Bearer a-token")).error().code(),
            Code::kPermissionDenied);
  // "ada:a-token", "eve:a-token"
  EXPECT_TRUE(guard->Admit(Asking(Role::kViewer, "Basic YWRhOmEtdG9rZW4=")));
  EXPECT_FALSE(guard->Admit(Asking(Role::kViewer, "Basic ZXZlOmEtdG9rZW4=")));
  for (const char* forged : {"Bearer b-token", "Bearer ", "Bearer", "a-token", "Basic !", "Basic",
                             "Digest a-token", "Bearer a-token x"}) {
    EXPECT_EQ(guard->Admit(Asking(Role::kViewer, forged)).error().code(), Code::kUnauthenticated)
        << forged;
  }
  EXPECT_FALSE(guard->Admit(Asking(Role::kViewer, "", "127.0.0.1:1"))) << "may be a proxy";
  Request with = Asking(Role::kOperator);
  with.certificate = "ci.x";
  EXPECT_TRUE(guard->Admit(with));
  with.certificate = "other.x";
  EXPECT_FALSE(guard->Admit(with));
}

TEST_F(AccessTest, ActionsAndRefusalsAreLoggedWithoutSecretsAndCounted) {
  GuardOptions options;
  options.users_file = Put("users.json", UsersText("a-token", "operator"));
  auto guard = Make(options);
  Request reads = Asking(Role::kViewer, "Bearer a-token");
  guard->Done(reads, *guard->Admit(reads), Status());
  Request acts = Asking(Role::kOperator, "Bearer a-token");
  guard->Done(acts, *guard->Admit(acts), Fail(Code::kUnavailable, "no tablet"));
  EXPECT_FALSE(guard->Admit(Asking(Role::kOperator, "Bearer forged-secret")));
  EXPECT_FALSE(guard->Admit(Asking(Role::kAdmin, "Bearer a-token")));
  std::vector<nlohmann::json> lines = Audit();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0]["who"], "ada");
  EXPECT_EQ(lines[0]["action"], "PlannedReparentShard");
  EXPECT_EQ(lines[0]["target"], "ks/0");
  EXPECT_EQ(lines[0]["from"], "10.1.2.3:4000");
  EXPECT_NE(lines[0]["result"].get<std::string>().find("no tablet"), std::string::npos);
  EXPECT_EQ(lines[1]["who"], "");
  EXPECT_NE(lines[2]["result"].get<std::string>().find("needs the role admin"), std::string::npos);
  std::ifstream file(folder_ + "/audit.log");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str().find("a-token"), std::string::npos);
  EXPECT_EQ(text.str().find("forged-secret"), std::string::npos);
  const std::string page = metrics_.PrometheusText("vtctld");
  EXPECT_NE(page.find("vtctld_access_refusals{reason=\"unknown credentials\"} 1"),
            std::string::npos)
      << page;
  EXPECT_NE(page.find("vtctld_access_refusals{reason=\"role\"} 1"), std::string::npos);
}

TEST_F(AccessTest, AChangedFileIsReadAndABrokenOneLeavesTheUsers) {
  GuardOptions options;
  options.users_file = Put("users.json", UsersText("first", "admin"));
  auto guard = Make(options);
  EXPECT_TRUE(guard->Admit(Asking(Role::kAdmin, "Bearer first")));
  Put("users.json", "{}  ");
  EXPECT_TRUE(guard->Admit(Asking(Role::kAdmin, "Bearer first")));
  Put("users.json", UsersText("second", "viewer"));
  EXPECT_FALSE(guard->Admit(Asking(Role::kAdmin, "Bearer first")));
  EXPECT_TRUE(guard->Admit(Asking(Role::kViewer, "Bearer second")));
}

TEST(UsersTest, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "users"},
      {R"({"users": [{}]})", "user 1 has no \"name\""},
      {R"({"users": [{"name": "a", "role": "god"}]})", "user a: role \"god\""},
      {R"({"users": [{"name": "a", "role": "admin"}]})", "neither"},
      {R"({"users": [{"name": "a", "role": "admin", "token_sha256": ["secret"]}]})", "no SHA-256"},
      {R"({"users": [{"name": "a", "role": "viewer", "certificate": "x"},
                     {"name": "a", "role": "admin", "certificate": "y"}]})",
       "twice"},
  };
  for (const auto& [text, why] : cases) {
    Result<Users> users = Users::Parse(text);
    ASSERT_FALSE(users) << text;
    EXPECT_NE(users.error().ToString().find(why), std::string::npos) << users.error().ToString();
  }
}

}  // namespace
}  // namespace paceline::access
