#include <gtest/gtest.h>

#include "vttablet/query/query_rules.h"
#include "vttablet/query/table_acl.h"

namespace paceline::vttablet {
namespace {

constexpr std::string_view kGroups = R"({"table_groups": [
  {"name": "one", "table_names_or_prefixes": ["a", "pre%"], "readers": ["ann", "staff"], "writers": ["bob"], "admins": ["root"]},
  {"name": "two", "table_names_or_prefixes": ["other"], "readers": ["bob"]}]})";

Status Ask(const Admission& admission, std::string_view text, std::string user,
           std::vector<std::string> groups = {}) {
  port::QueryRequest request;
  request.text = text;
  request.caller = {"", std::move(user), std::move(groups)};
  return admission.Admit(request, sql::Dialect());
}

TEST(TableAcl, RolesPerTable) {
  auto acl = TableAcl::Parse(kGroups, {.strict = true, .exempt = {"dba"}});
  ASSERT_TRUE(acl) << acl.error().message();
  EXPECT_TRUE(Ask(**acl, "select * from a", "ann"));
  EXPECT_TRUE(Ask(**acl, "select * from `prefixed` x join a on 1", "eve", {"staff"}));
  EXPECT_TRUE(Ask(**acl, "select 1", "eve"));
  EXPECT_TRUE(Ask(**acl, "insert into a values (1)", "bob"));
  EXPECT_TRUE(Ask(**acl, "alter table a add b int", "root"));
  EXPECT_TRUE(Ask(**acl, "drop table no_group", "dba"));
  Status denied = Ask(**acl, "insert into a values (1)", "ann", {"x", "y"});
  ASSERT_FALSE(denied);
  EXPECT_EQ(denied.error().code(), Code::kPermissionDenied);
  EXPECT_EQ(
      denied.error().message(),
      "INSERT command denied to user 'ann', in groups [x, y], for table 'a' (ACL check error)");
  EXPECT_FALSE(Ask(**acl, "insert into a select * from other", "ann"));
  EXPECT_FALSE(Ask(**acl, "select * from a; select * from other", "ann"));
  EXPECT_FALSE(Ask(**acl, "select * from unknown_table", "ann"));
  EXPECT_FALSE(Ask(**acl, "select * from pr", "ann"));
  EXPECT_EQ(Ask(**acl, "select * from a", "").error().code(), Code::kUnauthenticated);
}

TEST(TableAcl, CountsOnlyUnlessStrict) {
  for (bool strict : {false, true}) {
    auto acl = TableAcl::Parse(kGroups, {.strict = strict, .dry_run = strict});
    ASSERT_TRUE(acl);
    EXPECT_TRUE(Ask(**acl, "delete from a", "ann"));
    EXPECT_EQ((*acl)->denied(), 1);
  }
}

TEST(TableAcl, WrongFilesAreRefused) {
  for (
      std::string_view text :
      {"", "[]", R"({"table_groups": 1})", R"({"table_groups": [{"readers": "x"}]})",
       R"({"table_groups": [{"table_names_or_prefixes": ["a%"]}, {"table_names_or_prefixes": ["ab"]}]})",
       R"({"table_groups": [{"table_names_or_prefixes": ["ab", "a%"]}]})"}) {
    auto acl = TableAcl::Parse(text, {});
    ASSERT_FALSE(acl) << text;
    EXPECT_EQ(acl.error().code(), Code::kInvalidArgument);
  }
}

TEST(QueryRules, TheFirstThatHoldsDecides) {
  auto rules = QueryRules::Parse(R"([
    {"Name": "let", "User": "root", "Action": "CONTINUE"},
    {"Name": "r1", "Description": "no deletes", "Plans": ["Delete"], "TableNames": ["a"], "Action": "FAIL"},
    {"Name": "r2", "Query": "select .* from b.*", "Action": "FAIL_RETRY"},
    {"Name": "r3", "LeadingComment": ".*slow.*"}])");
  ASSERT_TRUE(rules) << rules.error().message();
  EXPECT_TRUE(Ask(**rules, "delete from a", "root"));
  Status deletes = Ask(**rules, "delete from a where id = 1", "ann");
  EXPECT_EQ(deletes.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(deletes.error().message(), "disallowed due to rule: no deletes");
  EXPECT_TRUE(Ask(**rules, "delete from c", "ann"));
  EXPECT_EQ(Ask(**rules, "select x from b", "ann").error().code(), Code::kClusterEvent);
  EXPECT_TRUE(Ask(**rules, "update b set x = 'select x from b'", "ann"));
  EXPECT_FALSE(Ask(**rules, "/* slow */ select 1", "ann"));
  EXPECT_FALSE(Ask(**rules, "select 2; /* slow */ select 1", "ann"));
  EXPECT_FALSE(Ask(**rules, "select 2; delete from a", "ann"));
  EXPECT_TRUE(Ask(**rules, "select 1", "ann"));
}

TEST(QueryRules, WrongFilesAreRefused) {
  for (std::string_view text :
       {"{}", "[1]", R"([{"Query": "("}])", R"([{"Action": "EXPLODE"}])",
        R"([{"RequestIP": "1.*"}])", R"([{"BindVarConds": []}])", R"([{"Plans": "Select"}])"}) {
    EXPECT_FALSE(QueryRules::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace paceline::vttablet
