// vtctld against topology in memory and tablets in memory: reparents, schema changes, and what the
// run-book prints.
#include "vtctld/vtctld.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "io/blocking.h"
#include "query.pb.h"
#include "replicationdata.pb.h"
#include "topo/open.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctld/testing.h"
#include "vtctld/text.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

struct Captured final : port::CommandOutput {
  void Print(std::string_view text) override { printed += text; }
  void Log(std::string_view line) override { logged += std::string(line) + "\n"; }
  std::string printed, logged;
};

class VtctldTest : public ::testing::Test {
 public:
  void Start(int tablets = 3, std::string durability = "semi_sync") {
    StartLog({.program = "test", .level = LogLevel::kError});
    shard_ = std::make_unique<FakeShard>(tablets);
    Status made = io::RunUntilDone(loop_, Open(this, durability));
    ASSERT_TRUE(made) << made.error().message();
    vtctld_ = std::make_unique<Vtctld>(*topo_, shard_->connect());
  }
  ~VtctldTest() override {
    if (topo_) io::RunUntilDone(loop_, Stop(topo_.get()));
  }
  static io::Task<Status> Open(VtctldTest* test, std::string durability) {
    topo::OpenOptions options;
    options.implementation = "memory";
    options.global_address = "memory";
    options.global_root = "/global";
    Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(options);
    if (!topo) co_return Fail(topo.error());
    test->topo_ = std::move(*topo);
    Status made = co_await test->shard_->Register(test->topo_.get(), durability);
    co_return made;
  }
  static io::Task<bool> Stop(topo::Server* topo) {
    co_await topo->Stop();
    co_return true;
  }
  // A line of vtctlclient, its error in `error_`.
  std::string Legacy(std::vector<std::string> words, bool old_names = true) {
    if (old_names) words.insert(words.begin(), "--legacy-names");
    Captured output;
    Status done =
        io::RunUntilDone(loop_, vtctld_->ExecuteVtctlCommand(words, output, Deadline::In(20s)));
    error_ = done ? "" : done.error().message();
    logged_ = output.logged;
    return output.printed;
  }
  // A line of vtctldclient.
  std::string Run(std::string name, std::vector<std::string> words, bool json = false) {
    Captured output;
    Call call{*vtctld_, output, Deadline::In(20s), std::move(words)};
    call.json = json;
    Status done = io::RunUntilDone(loop_, RunCommand(name, call));
    error_ = done ? "" : done.error().message();
    logged_ = output.logged;
    return output.printed;
  }
  record::Shard ShardRecord() {
    auto shard = io::RunUntilDone(loop_, topo_->GetShard("test_keyspace", "0", Deadline::In(5s)));
    EXPECT_TRUE(shard);
    return shard->value;
  }
  void ExpectHealthy(uint32_t leader) {
    EXPECT_EQ(ShardRecord().primary_alias.uid, leader);
    EXPECT_GT(ShardRecord().primary_term_start.unix_ns, 0);
    for (const auto& [uid, tablet] : shard_->tablets()) {
      if (tablet->dead) continue;
      EXPECT_EQ(tablet->read_only, uid != leader) << uid;
      EXPECT_FALSE(tablet->fenced) << uid;
      EXPECT_EQ(tablet->source.uid, uid == leader ? 0 : leader) << uid;
    }
  }

  io::Loop loop_;
  std::unique_ptr<FakeShard> shard_;
  std::unique_ptr<topo::Server> topo_;
  std::unique_ptr<Vtctld> vtctld_;
  std::string error_, logged_;
};

TEST_F(VtctldTest, TheRunBookAsWritten) {
  Start(5);
  EXPECT_EQ(Legacy({"ListAllTablets", "asiaeast1c"}),
            "asiaeast1c-0000000100 test_keyspace 0 replica 10.64.1.6:15002 10.64.1.6:3306 []\n"
            "asiaeast1c-0000000101 test_keyspace 0 replica 10.64.1.7:15002 10.64.1.7:3306 []\n"
            "asiaeast1c-0000000102 test_keyspace 0 replica 10.64.1.8:15002 10.64.1.8:3306 []\n"
            "asiaeast1c-0000000103 test_keyspace 0 replica 10.64.1.9:15002 10.64.1.9:3306 []\n"
            "asiaeast1c-0000000104 test_keyspace 0 replica 10.64.1.10:15002 10.64.1.10:3306 []\n");
  Legacy({"InitShardMaster", "-force", "test_keyspace/0", "asiaeast1c-0000000100"});
  EXPECT_EQ(error_, "");
  ExpectHealthy(100);
  EXPECT_EQ(shard_->tablet(100).acknowledgements, 2u);  // half of four replicas

  Legacy({"ApplySchema", "-sql", "CREATE TABLE greetings (id BIGINT)", "test_keyspace"});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(shard_->tablet(100).statements.at(0),
            "vt_test_keyspace: CREATE TABLE greetings (id BIGINT)");
  EXPECT_EQ(shard_->tablet(104).reloads, 1);
  EXPECT_THAT(Legacy({"GetSchema", "asiaeast1c-0000000100"}),
              HasSubstr("\"table_definitions\": [\n    {\n      \"name\": \"greetings\""));
  Legacy({"Backup", "asiaeast1c-0000000102"});
  EXPECT_THAT(error_, HasSubstr("asiaeast1c-0000000102"));
  Legacy({"ListBackups", "test_keyspace/0"});
  EXPECT_THAT(error_, HasSubstr("--backup-storage-implementation"));
  Legacy({"RebuildVSchemaGraph"});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Legacy({"ExecuteFetchAsDba", "asiaeast1c-0000000100", "SELECT * FROM greetings"}),
            "+----+-------+\n"
            "| id | name  |\n"
            "+----+-------+\n"
            "| 1  | world |\n"
            "| 1  | Jos\xc3\xa9  |\n"
            "| 3  | NULL  |\n"
            "+----+-------+\n");

  std::string positions = Legacy({"ShardReplicationPositions", "test_keyspace/0"});
  EXPECT_THAT(
      positions,
      MatchesRegex(
          "asiaeast1c-0000000100 test_keyspace 0 master 10.64.1.6:15002 10.64.1.6:3306 \\[\\] "
          "MySQL56/f36f1cdb-c436-11e6-bce5-0a580a000000:1-2 0\n"
          "asiaeast1c-0000000101 test_keyspace 0 replica (.|\n)*"));
  shard_->tablet(100).dead = true;
  Legacy({"EmergencyReparentShard", "-keyspace_shard=test_keyspace/0",
          "-new_master=asiaeast1c-0000000102"});
  EXPECT_EQ(error_, "");
  ExpectHealthy(102);
  EXPECT_THAT(Legacy({"ShardReplicationPositions", "test_keyspace/0"}),
              HasSubstr("asiaeast1c-0000000100 test_keyspace 0 master 10.64.1.6:15002 "
                        "10.64.1.6:3306 [] <err> <err> <err>\n"));

  // It comes back by the manual commands.
  shard_->tablet(100).dead = false;
  shard_->tablet(100).read_only = true;
  Legacy({"ReparentTablet", "asiaeast1c-0000000100"});
  EXPECT_EQ(error_, "");
  Legacy({"StartSlave", "asiaeast1c-0000000100"});
  EXPECT_EQ(error_, "");
  Legacy({"StopSlave", "asiaeast1c-0000000100"});
  EXPECT_FALSE(shard_->tablet(100).io_running);
  Legacy({"startslave", "--", "asiaeast1c-0000000100"});
  EXPECT_TRUE(shard_->tablet(100).io_running);
  ExpectHealthy(102);
  Legacy({"SetReadOnly", "asiaeast1c-0000000102"});
  EXPECT_TRUE(shard_->tablet(102).read_only);
  Legacy({"SetReadWrite", "asiaeast1c-0000000102"});
  ExpectHealthy(102);
  Legacy({"SetReadWrite", "asiaeast1c-0000000101"});
  EXPECT_THAT(error_, HasSubstr("whose primary is asiaeast1c-0000000102"));
  ExpectHealthy(102);
}

TEST_F(VtctldTest, TodaysLinesSayPrimaryAndSinceWhen) {
  Start();
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000101"});
  EXPECT_EQ(error_, "");
  ExpectHealthy(101);
  EXPECT_EQ(Run("GetTablets", {"--tablet-type", "primary"}),
            "asiaeast1c-0000000101 test_keyspace 0 primary 10.64.1.7:15002 10.64.1.7:3306 [] "
            "2016-12-17T18:40:00Z\n");
  EXPECT_THAT(
      Run("GetShard", {"test_keyspace/0"}),
      HasSubstr("\"primary_alias\": {\n      \"cell\": \"asiaeast1c\",\n      \"uid\": 101"));
  // And so does the legacy service, unless the client asks for the old names.
  EXPECT_THAT(Legacy({"ListAllTablets"}, false), HasSubstr("0 primary 10.64.1.7:15002"));
}

TEST_F(VtctldTest, PlannedReparentMovesAndMovesAway) {
  Start();
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
  ExpectHealthy(100);
  std::string told =
      Run("PlannedReparentShard", {"test_keyspace/0", "--avoid-primary", "asiaeast1c-0000000100"});
  EXPECT_EQ(error_, "");
  EXPECT_NE(ShardRecord().primary_alias.uid, 100u);
  ExpectHealthy(ShardRecord().primary_alias.uid);
  EXPECT_THAT(told, HasSubstr("leads test_keyspace/0"));
  Run("PlannedReparentShard", {"test_keyspace/0", "--expected-primary", "asiaeast1c-0000000100"});
  EXPECT_THAT(error_, HasSubstr("not asiaeast1c-0000000100 as expected"));
}

TEST_F(VtctldTest, RefusesWhatCannotBeSafe) {
  Start();
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
  ExpectHealthy(100);
  Run("InitShardPrimary", {"test_keyspace/0", "asiaeast1c-0000000101"});
  EXPECT_THAT(error_, HasSubstr("use PlannedReparentShard"));
  shard_->tablet(100).dead = true;
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000101"});
  EXPECT_THAT(error_, HasSubstr("use EmergencyReparentShard"));
  Run("EmergencyReparentShard", {"test_keyspace/0", "--wait-for-all-tablets"});
  EXPECT_THAT(error_, HasSubstr("all were to be waited for"));
  // Of two ackers of whom one suffices, both must be seen.
  shard_->tablet(102).dead = true;
  Run("EmergencyReparentShard", {"test_keyspace/0"});
  EXPECT_THAT(error_, HasSubstr("asiaeast1c-0000000102"));
  EXPECT_EQ(ShardRecord().primary_alias.uid, 100u);
  EXPECT_FALSE(shard_->tablet(101).fenced);
  Legacy({"EmergencyReparentShard", "--force", "test_keyspace/0"});
  EXPECT_EQ(error_, "");
  ExpectHealthy(101);
  EXPECT_THAT(logged_, HasSubstr("asiaeast1c-0000000101"));
}

// The coordinator loses its network after every single call in turn; whoever runs the command again
// ends well.
TEST_F(VtctldTest, TypesOfAShardChangeOneAtATime) {
  Start(3);
  auto lock = io::RunUntilDone(
      loop_, topo_->LockShard("test_keyspace", "0", "another change", Deadline::In(5s)));
  ASSERT_TRUE(lock);
  vtctldata::ChangeTabletTypeRequest request;
  vtctldata::ChangeTabletTypeResponse response;
  request.mutable_tablet_alias()->set_cell("asiaeast1c");
  request.mutable_tablet_alias()->set_uid(101);
  request.set_db_type(topodata::RDONLY);
  auto change = [&](Duration patience) {
    return io::RunUntilDone(loop_,
                            vtctld_->ChangeTabletType(request, response, Deadline::In(patience)));
  };
  EXPECT_FALSE(change(200ms));
  EXPECT_EQ(shard_->tablet(101).record.type, record::TabletType::kReplica);
  EXPECT_TRUE(io::RunUntilDone(loop_, (*lock)->Release(Deadline::In(5s))));
  Status changed = change(5s);
  EXPECT_TRUE(changed) << changed.error().ToString();
  EXPECT_EQ(shard_->tablet(101).record.type, record::TabletType::kRdonly);
}

TEST_F(VtctldTest, EveryCutHealsWhenRunAgain) {
  int cuts = 0;
  for (bool emergency : {false, true}) {
    for (int calls = 1;; ++calls) {
      shard_.reset();
      if (topo_) io::RunUntilDone(loop_, Stop(topo_.get()));
      topo_.reset();
      Start();
      Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
      ASSERT_EQ(error_, "");
      std::string command = emergency ? "EmergencyReparentShard" : "PlannedReparentShard";
      shard_->tablet(100).dead = emergency;
      shard_->calls_left = calls;
      Run(command, {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000101"});
      bool whole = shard_->calls_left > 0;
      shard_->calls_left = -1;
      if (whole) break;
      ++cuts;
      Run(command, {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000101"});
      ASSERT_EQ(error_, "") << command << " cut after " << calls;
      ExpectHealthy(101);
    }
  }
  EXPECT_GT(cuts, 20);
}

TEST_F(VtctldTest, SchemaChangesAreCheckedBeforeTheyRun) {
  Start();
  Run("ApplySchema", {"--sql", "CREATE TABLE a (id INT)", "test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("has no primary"));
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
  Run("ApplySchema", {"--sql", "CREATE TABLE a (id INT); SELECT 1", "test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("not select: \"SELECT 1\""));
  EXPECT_TRUE(shard_->tablet(100).statements.empty());
  Run("ApplySchema", {"--sql", "CREATE TABLE a (id INT, k INT); ALTER TABLE a ADD KEY (k)",
                      "--sql=DROP TABLE a", "test_keyspace"});
  EXPECT_EQ(error_, "");
  // Each is parsed first, so that a mistake in the last one applies none.
  EXPECT_EQ(shard_->tablet(100).statements.size(), 6u);
  Run("ApplySchema", {"--sql", "CREATE TABLE BROKEN", "test_keyspace"});
  EXPECT_EQ(error_,
            "keyspace test_keyspace, shard 0: \"CREATE TABLE BROKEN\" on asiaeast1c-0000000100: "
            "You have an error in your SQL syntax");
  Run("ApplySchema", {"--sql", "DROP TABLE a; CREATE TABLE BROKEN", "test_keyspace"});
  EXPECT_EQ(error_,
            "keyspace test_keyspace: nothing was applied: \"CREATE TABLE BROKEN\" on "
            "asiaeast1c-0000000100: You have an error in your SQL syntax");
  Run("ApplySchema", {"--ddl-strategy", "vitess", "--sql", "DROP TABLE a", "test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("Online DDL belongs to a later version"));
  Run("ApplySchema", {"test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("--sql"));
}

TEST_F(VtctldTest, CopySchemaShardCreatesWhatIsLacking) {
  Start();
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
  Run("CopySchemaShard", {"asiaeast1c-0000000101", "test_keyspace/0"});
  EXPECT_EQ(error_, "");
  EXPECT_TRUE(shard_->tablet(100).statements.empty());
  shard_->tablet(100).has_no_tables = true;
  Run("CopySchemaShard", {"asiaeast1c-0000000101", "test_keyspace/0"});
  EXPECT_EQ(shard_->tablet(100).statements.size(), 1u);
  EXPECT_EQ(error_, "test_keyspace/0 still lacks table greetings");
  Run("CopySchemaShard", {"--skip-verify", "asiaeast1c-0000000101", "test_keyspace/0"});
  EXPECT_EQ(error_, "");
  Run("CopySchemaShard", {"test_keyspace/1", "test_keyspace/0"});
  EXPECT_THAT(error_, HasSubstr("1"));
}

TEST_F(VtctldTest, RecordsComeAndGo) {
  Start();
  EXPECT_EQ(Run("AddCellInfo", {"--root", "/zone2", "--server-address", "memory", "zone2"}),
            "Created cell: zone2\n");
  Run("AddCellInfo", {"--root", "/zone2", "--server-address", "memory", "zone2"});
  EXPECT_THAT(error_, HasSubstr("already exists"));
  EXPECT_EQ(Run("GetCellInfoNames", {}), "asiaeast1c\nzone2\n");
  Run("AddCellsAlias", {"--cells", "asiaeast1c,zone2", "near"});
  EXPECT_EQ(Run("GetCellsAliases", {}),
            "{\n  \"near\": {\n    \"cells\": [\n      \"asiaeast1c\",\n      \"zone2\"\n    ]\n  "
            "}\n}\n");
  Run("CreateKeyspace", {"--durability-policy", "cross_cell", "commerce"});
  EXPECT_EQ(error_, "");
  Run("CreateKeyspace", {"commerce"});
  EXPECT_THAT(error_, HasSubstr("already exists"));
  Run("CreateKeyspace", {"--durability-policy", "wishful", "other"});
  EXPECT_THAT(error_, HasSubstr("wishful"));
  Run("CreateShard", {"commerce/-80"});
  Run("CreateShard", {"commerce/80-"});
  Run("RebuildKeyspaceGraph", {"commerce"});
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Run("GetSrvKeyspaces", {"commerce", "zone2"}), HasSubstr("\"name\": \"80-\""));
  Run("DeleteShards", {"commerce/-80"});
  EXPECT_THAT(error_, HasSubstr("still serves in cell"));
  Run("DeleteKeyspace", {"commerce"});
  EXPECT_THAT(error_, HasSubstr("still has 2 shards"));
  Run("DeleteKeyspace", {"--recursive", "commerce"});
  EXPECT_EQ(error_, "");
  EXPECT_EQ(Run("GetSrvKeyspaceNames", {"zone2"}),
            "{\n  \"zone2\": {\n    \"names\": []\n  }\n}\n");
  Run("DeleteCellInfo", {"zone2"});
  EXPECT_EQ(error_, "");
  shard_->tablet(101).dead = true;
  Run("DeleteTablets", {"asiaeast1c-101"});
  EXPECT_EQ(error_ + logged_, "");
  Run("DeleteTablets", {"asiaeast1c-102"});
  EXPECT_EQ(error_, "");
  EXPECT_THAT(logged_, HasSubstr("asiaeast1c-0000000102 still runs"));
  EXPECT_EQ(Run("GetShardReplication", {"test_keyspace/0"}).find("102"), std::string::npos);
}

TEST_F(VtctldTest, VSchemaAndRulesKeepWhatTheyHold) {
  Start();
  Run("ApplyVSchema", {"--vschema",
                       "{\"sharded\":true,\"vindexes\":{\"h\":{\"type\":\"hash\"}},\"tables\":{"
                       "\"t\":{\"columnVindexes\":[{\"column\":\"id\",\"name\":\"h\"}]}}}",
                       "test_keyspace"});
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Run("GetVSchema", {"test_keyspace"}), HasSubstr("\"type\": \"hash\""));
  EXPECT_THAT(Run("GetSrvVSchema", {"asiaeast1c"}), HasSubstr("\"column_vindexes\""));
  Run("ApplyVSchema",
      {"--vschema", "{\"tables\":{\"t\":{\"column_vindexes\":[{\"name\":\"nope\"}]}}}",
       "test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("nope"));
  Run("ApplyVSchema", {"--vschema", "{oops", "test_keyspace"});
  EXPECT_THAT(error_, HasSubstr("this JSON is no vschema.Keyspace"));
  Run("ApplyRoutingRules",
      {"--rules", "{\"rules\":[{\"fromTable\":\"t\",\"toTables\":[\"test_keyspace.t\"]}]}"});
  EXPECT_EQ(error_, "");
  EXPECT_THAT(Run("GetRoutingRules", {}), HasSubstr("\"from_table\": \"t\""));
  Run("ApplyRoutingRules",
      {"--rules", "{\"rules\":[{\"fromTable\":\"t\"},{\"fromTable\":\"t\"}]}"});
  EXPECT_THAT(error_, HasSubstr("two routing rules"));
}

TEST_F(VtctldTest, ValidationNamesWhatDoesNotFit) {
  Start();
  EXPECT_THAT(Run("ValidateShard", {"test_keyspace/0"}),
              HasSubstr("no primary for shard test_keyspace/0"));
  Run("PlannedReparentShard", {"test_keyspace/0", "--new-primary", "asiaeast1c-0000000100"});
  EXPECT_EQ(Run("Validate", {"--ping-tablets"}), "Validation complete; no issues found.\n");
  Run("DeleteTablets", {"asiaeast1c-0000000102"});
  EXPECT_THAT(Run("ValidateShard", {"-p", "test_keyspace/0"}),
              HasSubstr("a server at 10.64.1.8:3306 replicates from asiaeast1c-0000000100"));
  EXPECT_TRUE(
      io::RunUntilDone(loop_, topo_->CreateTablet(shard_->tablet(102).record, Deadline::In(5s))));
  shard_->tablet(101).source = {"asiaeast1c", 102};
  EXPECT_THAT(Run("ValidateShard", {"-p", "test_keyspace/0"}),
              HasSubstr("asiaeast1c-0000000101 replicates from 10.64.1.8:3306"));
  shard_->tablet(102).dead = true;
  EXPECT_THAT(Run("ValidateKeyspace", {"-p", "test_keyspace"}),
              HasSubstr("Ping(asiaeast1c-0000000102) failed"));
}

TEST_F(VtctldTest, WordsThatDoNotFitAreExplained) {
  Start();
  Run("GetTablet", {});
  EXPECT_EQ(error_, "GetTablet takes 1 argument, not 0. Usage: GetTablet <alias>");
  Run("GetTablte", {});
  EXPECT_EQ(error_, "unknown command GetTablte: did you mean GetTablet or GetTablets?");
  Run("GetTablet", {"nonsense"});
  EXPECT_THAT(error_, HasSubstr("nonsense"));
  Run("MoveTables", {"create"});
  EXPECT_EQ(error_, "MoveTables belongs to a later version of Paceline");
  EXPECT_THAT(Run("gettablets", {"--help"}), HasSubstr("--keyspace"));
  Legacy({"-unknown", "ListAllTablets"});
  EXPECT_THAT(error_, HasSubstr("-unknown"));
  EXPECT_THAT(Legacy({"help"}), HasSubstr("ListAllTablets [<cell>,...]"));
}

// Every command of the table answers --help and has a name of its own.
TEST_F(VtctldTest, EveryCommandHelps) {
  Start();
  std::set<std::string> names;
  for (const Command& command : AllCommands()) {
    EXPECT_TRUE(names.insert(std::string(command.name)).second) << command.name;
    if (command.shown >= Shown::kLater || command.name == "LegacyVtctlCommand") continue;
    EXPECT_THAT(Run(std::string(command.name), {"--help"}), HasSubstr(std::string(command.name)))
        << error_;
  }
}

TEST(Json, WhatDoesNotParseIsToldInOneLine) {
  topodata::Tablet tablet;
  Status read = FromJson("{\"alias\": ", &tablet);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), HasSubstr("topodata.Tablet"));
  EXPECT_THAT(read.error().message(), Not(HasSubstr("\n")));
}

TEST(Json, AsVitessPrintsIt) {
  topodata::Tablet tablet;
  tablet.mutable_alias()->set_cell("z\"1");
  (*tablet.mutable_port_map())["vt"] = 15002;
  tablet.set_type(topodata::PRIMARY);
  EXPECT_EQ(ToJson(tablet, {.compact = true}),
            "{\n  \"alias\": {\n    \"cell\": \"z\\\"1\"\n  },\n  \"port_map\": {\n    \"vt\": "
            "15002\n  },\n  \"type\": \"PRIMARY\"\n}");
  EXPECT_THAT(ToJson(tablet), HasSubstr("\"primary_term_start_time\": null"));
  tablet.mutable_primary_term_start_time()->set_seconds(5);
  EXPECT_THAT(ToJson(tablet, {.structs = true}),
              HasSubstr("\"type\": 1,\n  \"primary_term_start_time\": {\n    \"seconds\": 5\n  }"));
  query::QueryResult result;
  result.add_rows()->set_values("ab");
  result.mutable_rows(0)->add_lengths(2);
  result.set_insert_id(7);
  EXPECT_THAT(ToJson(result, {.compact = true}),
              HasSubstr("\"insert_id\": \"7\",\n  \"rows\": [\n    {\n      \"lengths\": [\n       "
                        " \"2\"\n      ],\n      \"values\": \"YWI=\""));
}

}  // namespace
}  // namespace paceline::vtctld
