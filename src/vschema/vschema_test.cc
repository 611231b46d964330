#include <gtest/gtest.h>

#include "vschema/json.h"
#include "vschema/snapshot.h"

namespace paceline::vschema {
namespace {

using record::TabletType;

TEST(Snapshot, FindsKeyspacesByNameAndDatabase) {
  record::SrvVSchema vschema;
  vschema.keyspaces["a"];
  const auto snapshot = Snapshot::Build(vschema, {"b"}, {{"b", "legacy"}});
  EXPECT_EQ(snapshot->KeyspaceNames(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(snapshot->Find("a")->database, "vt_a");
  EXPECT_EQ(snapshot->FindByDatabase("legacy")->name, "b");
  EXPECT_EQ(snapshot->Find("c"), nullptr);
  EXPECT_EQ(snapshot->Only(), nullptr);
  EXPECT_EQ(Snapshot::Build({}, {"x"})->Only()->name, "x");
}

TEST(Snapshot, ResolvesTables) {
  record::SrvVSchema vschema;
  vschema.keyspaces["a"].tables["both"];
  vschema.keyspaces["a"].tables["mine"];
  vschema.keyspaces["b"].tables["both"];
  const auto snapshot = Snapshot::Build(vschema);
  EXPECT_EQ(snapshot->Resolve("", "mine", TabletType::kPrimary)->keyspace->name, "a");
  EXPECT_EQ(snapshot->Resolve("b", "mine", TabletType::kPrimary)->keyspace->name, "b");
  EXPECT_EQ(snapshot->Resolve("", "both", TabletType::kPrimary).error().mysql_errno(), 1046);
  EXPECT_EQ(snapshot->Resolve("c", "both", TabletType::kPrimary).error().mysql_errno(), 1049);
}

TEST(Snapshot, AppliesRoutingRules) {
  record::SrvVSchema vschema;
  vschema.keyspaces["a"];
  vschema.keyspaces["b"];
  vschema.routing_rules.rules = {{"t", {"b.t"}},
                                 {"a.t", {"b.u"}},
                                 {"a.t@replica", {"a.t"}},
                                 {"a.many", {"a.x", "b.x"}},
                                 {"a.lost", {"nope.x"}}};
  const auto snapshot = Snapshot::Build(vschema);
  EXPECT_EQ(snapshot->Resolve("", "t", TabletType::kPrimary)->keyspace->name, "b");
  EXPECT_EQ(snapshot->Resolve("a", "t", TabletType::kPrimary)->table, "u");
  EXPECT_EQ(snapshot->Resolve("a", "t", TabletType::kReplica)->keyspace->name, "a");
  EXPECT_FALSE(snapshot->Resolve("a", "many", TabletType::kPrimary));
  EXPECT_EQ(snapshot->Resolve("a", "lost", TabletType::kPrimary).error().mysql_errno(), 1049);
}

TEST(Json, RoutingRulesComeBack) {
  const auto rules = ParseRoutingRules(
      R"({"rules": [{"fromTable": "t", "to_tables": ["ks.t"]}, {"from_table": "gone"}]})");
  ASSERT_TRUE(rules);
  EXPECT_EQ(rules->rules[0].to_tables, std::vector<std::string>{"ks.t"});
  EXPECT_TRUE(rules->rules[1].to_tables.empty());
  EXPECT_EQ(*ParseRoutingRules(PrintRoutingRules(*rules)), *rules);
  EXPECT_TRUE(ParseRoutingRules("{}")->rules.empty());
  for (std::string_view bad :
       {"", "[]", "{", R"({"rules": 1})", R"({"rule": []})", R"({"rules": [{"to_tables": []}]})",
        R"({"rules": [{"from_table": "a"}, {"from_table": "a"}]})",
        R"({"rules": [{"from_table": "a", "to_tables": [1]}]})"}) {
    EXPECT_FALSE(ParseRoutingRules(bad)) << bad;
  }
}

TEST(Json, KeyspaceVSchemasComeBack) {
  const auto vschema = ParseKeyspaceVSchema(R"({"tables": {"s": {"type": "sequence"}, "t": {}}})");
  ASSERT_TRUE(vschema);
  EXPECT_EQ(vschema->tables.at("s").type, "sequence");
  EXPECT_EQ(*ParseKeyspaceVSchema(PrintKeyspaceVSchema(*vschema)), *vschema);
  EXPECT_EQ(ParseKeyspaceVSchema(R"({"sharded": true})").error().code(), Code::kUnimplemented);
  EXPECT_EQ(ParseKeyspaceVSchema(R"({"vindexes": {"h": {"type": "hash"}}})").error().code(),
            Code::kUnimplemented);
  EXPECT_EQ(ParseKeyspaceVSchema(R"({"tables": {"t": {"type": "x"}}})").error().code(),
            Code::kInvalidArgument);
  record::SrvVSchema srv;
  srv.keyspaces["ks"] = *vschema;
  EXPECT_NE(PrintSrvVSchema(srv).find("\"routing_rules\""), std::string::npos);
}

}  // namespace
}  // namespace paceline::vschema
