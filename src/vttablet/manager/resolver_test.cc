// Attempts at a primary that is killed, resolved by what its replica received, on real servers of
// both flavors; and attempts at a tablet that lives.
#include "vttablet/manager/resolver.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "mysqld/testing.h"
#include "mysqld/written.h"
#include "vttablet/manager/sidecar.h"
#include "vttablet/query/query_server.h"

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;
using Fate = port::AttemptOutcome::Fate;
const record::TabletAlias kOld{"zone1", 1}, kNew{"zone1", 2};

class QuietSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator& end, bool) override { ends.push_back(end); }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  std::vector<mysql::wire::Terminator> ends;
};

// The agent of one server, as far as logs go.
class LogAgent final : public port::Mysqlctl {
 public:
  explicit LogAgent(const mysqld::Layout& layout) : layout_(layout) {}
  io::Task<Status> WatchMysqld(port::MysqldStateSink&, Deadline) override { co_return Status(); }
  io::Task<Status> SetRole(bool, Deadline) override { co_return Status(); }
  io::Task<Status> Keep(Deadline) override { co_return Status(); }
  io::Task<Result<port::Written>> ReadWritten(port::WrittenQuery query, Deadline) override {
    mysqld::WrittenOptions options;
    options.attempt_min = port::kAttemptMin;
    options.known = *gtid::Set::ParseEncoded(query.known);
    options.relay = query.received;
    auto logs = mysqld::ReadWritten(query.received ? layout_.relay_logs() + "/vt-relay.index"
                                                   : layout_.bin_log_base() + ".index",
                                    options);
    if (!logs) co_return Fail(logs.error());
    port::Written written;
    written.told = logs->told.ToEncoded();
    for (auto& one : logs->writes) {
      auto& attempt = written.attempts.emplace_back();
      attempt.attempt = one.attempt;
      attempt.gtid = one.gtid.ToString();
      attempt.statements = one.statements;
      for (auto& change : one.changes) {
        attempt.changes.push_back({change.database, change.table, change.inserted, change.updated,
                                   change.deleted, change.columns, change.first_row});
      }
    }
    co_return written;
  }

 private:
  mysqld::Layout layout_;
};

class OneServer final : public QuerySide {
 public:
  explicit OneServer(QueryServer* server) : server_(server) {}
  void SetServing(record::TabletType, bool, std::string, uint64_t, bool) override {}
  void SetLease(Time) override {}
  void SetDiskRefusal(DiskRefusal) override {}
  void SetHealth(const port::TabletHealth&) override {}
  io::Task<bool> Drain(Deadline) override { co_return true; }
  io::Task<AttemptsSight> HoldAttempts(std::vector<uint32_t> attempts) override {
    AttemptsSight none;
    none.runs.assign(attempts.size(), false);
    co_return server_ != nullptr ? server_->HoldAttempts(attempts) : none;
  }
  void SetResolve(Resolve) override {}
  void DropConnections(const std::string&) override {}

 private:
  QueryServer* server_;
};

class ResolverTest : public ::testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    old = &servers.Add(1);
    fresh = &servers.Add(2);
    old_side = AdminOf(*old);
    new_side = AdminOf(*fresh);
    primary = std::make_unique<mysqld::Replication>(*old_side, servers.programs().version);
    replica = std::make_unique<mysqld::Replication>(*new_side, servers.programs().version);
    ASSERT_OK(servers.Await(primary->SetReadOnly(false, mysqld::InTest())));
    mysqld::SourceOptions source;
    source.host = "127.0.0.1";
    source.port = old->options().config.port;
    source.user = "vt_repl";
    ASSERT_OK(servers.Await(replica->SetSource(source, mysqld::InTest())));
    ASSERT_OK(servers.Await(replica->SetSemiSyncReplica(true, false, mysqld::InTest())));
    ASSERT_OK(servers.Await(replica->Start(mysqld::InTest())));
    ASSERT_OK(servers.Await(primary->SetSemiSyncSource(true, 1, mysqld::InTest())));
    ASSERT_OK(servers.Await(CreateSidecar(*old_side, "_vt", mysqld::InTest())));
    servers.Ask(*old, "CREATE DATABASE vt_ks");
    servers.Ask(*old, "CREATE TABLE vt_ks.t (v INT UNIQUE, id INT PRIMARY KEY AUTO_INCREMENT)");
    QueryServerOptions options;
    options.alias = kOld;
    options.keyspace = "ks";
    options.shard = "0";
    options.pool.mysqld.address = io::Address::Unix(old->layout().socket());
    options.pool.mysqld.user = "vt_app";
    options.pool.mysqld.database = "vt_ks";
    server = std::make_unique<QueryServer>(servers.loop, options);
    server->SetServing(record::TabletType::kPrimary, true, "", 1);
  }
  void TearDown() override {
    if (server != nullptr) servers.Await(AsValue(server->Close()));
  }
  static io::Task<int> AsValue(io::Task<void> task) {
    co_await task;
    co_return 0;
  }
  std::unique_ptr<mysqld::ConnectionAdmin> AdminOf(mysqld::Instance& instance) {
    mysql::ConnectOptions login;
    login.address = io::Address::Unix(instance.layout().socket());
    login.user = "vt_dba";
    return std::make_unique<mysqld::ConnectionAdmin>(login);
  }
  std::string Since() { return servers.Await(primary->Position(mysqld::InTest()))->ToEncoded(); }

  struct Attempt {
    uint32_t number = 0;
    std::string text, begin, since;
    uint64_t pinned_id = 0;
    QuietSink sink;
    port::Cancel cancel;
    std::optional<Result<port::QueryEnd>> end;
  };
  static io::Task<void> RunTo(QueryServer* server, Attempt* attempt) {
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    request.text = attempt->text;
    request.begin = attempt->begin;
    request.attempt = attempt->pinned_id == 0 ? attempt->number : 0;
    request.pinned_id = attempt->pinned_id;
    request.cancel = &attempt->cancel;
    Result<port::QueryEnd> end =
        co_await server->Execute(request, attempt->sink, Deadline::In(60s));
    attempt->end = std::move(end);
  }
  Attempt& Start(std::string text, std::string begin = "", uint64_t pinned_id = 0) {
    Attempt& one = *attempts.emplace_back(std::make_unique<Attempt>());
    one.number = port::kAttemptMin + static_cast<uint32_t>(attempts.size());
    one.text = std::move(text);
    one.begin = std::move(begin);
    one.pinned_id = pinned_id;
    one.since = Since();
    servers.loop.Post([this, at = &one] { io::Detach(RunTo(server.get(), at)); });
    return one;
  }
  Attempt& Run(std::string text, std::string begin = "", uint64_t pinned_id = 0) {
    Attempt& one = Start(std::move(text), std::move(begin), pinned_id);
    EXPECT_TRUE(servers.Until([&] { return one.end.has_value(); })) << one.text;
    return one;
  }
  // One at least: in a group commit the others wait for their leader.
  void AwaitAckWaiters(mysqld::Instance& instance) {
    std::string waiting;
    Deadline patience = mysqld::InTest(20s);
    while ((waiting.empty() || waiting == "0") && !patience.Passed(SystemClock().Now())) {
      waiting = servers.Ask(instance,
                            "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE "
                            "'Waiting for semi-sync ACK%'");
    }
    ASSERT_NE(waiting, "0");
  }
  // By its text; asking the query server would hold it from starting.
  void AwaitRunning(const std::string& part) {
    std::string seen;
    Deadline patience = mysqld::InTest(20s);
    while (seen != "1" && !patience.Passed(SystemClock().Now())) {
      seen = servers.Ask(*old,
                         "SELECT COUNT(*) FROM information_schema.processlist WHERE user = "
                         "'vt_app' AND info LIKE '%" +
                             part + "%'");
    }
    ASSERT_EQ(seen, "1") << part;
  }
  void KillOld() {
    kill(old->pid(), SIGKILL);
    ASSERT_TRUE(servers.Until([&] { return !old->running(); }));
    ASSERT_TRUE(servers.Until([&] {
      return std::ranges::all_of(attempts, [](const auto& one) { return one->end.has_value(); });
    }));
  }
  // What a promotion does with the evidence.
  void Promote() {
    ASSERT_OK(servers.Await(replica->StopIo(mysqld::InTest())));
    LogAgent agent(fresh->layout());
    Result<port::Written> written =
        servers.Await(agent.ReadWritten({.received = true}, mysqld::InTest()));
    ASSERT_OK(written);
    Result<gtid::Set> applied = servers.Await(replica->WaitForRelayLog(mysqld::InTest()));
    ASSERT_OK(applied);
    ASSERT_OK(servers.Await(replica->ForgetSource(mysqld::InTest())));
    ASSERT_OK(servers.Await(replica->SetSemiSyncReplica(false, false, mysqld::InTest())));
    ASSERT_OK(servers.Await(replica->SetReadOnly(false, mysqld::InTest())));
    std::vector<InsertKey> keys =
        servers.Await(ReadInsertKeys(*new_side, *written, mysqld::InTest()));
    Promotion promotion;
    promotion.term = 2;
    promotion.primary = kNew;
    Result<LogProof> proof = ProofOf(*written, *applied, keys);
    ASSERT_OK(proof);
    promotion.proof = std::move(*proof);
    JournalEntry entry;
    entry.term = 2;
    entry.action = "Test";
    entry.primary_alias = kNew.ToString();
    entry.position = applied->ToEncoded();
    entry.created_ns = SystemClock().WallNow().unix_ns;
    ASSERT_OK(servers.Await(
        WriteJournal(*new_side, "_vt", entry, StoreEvidence("_vt", promotion), mysqld::InTest())));
  }
  port::AttemptOutcome AskNew(const Attempt& attempt) {
    OneServer query(nullptr);
    LogAgent agent(fresh->layout());
    return Ask(*new_side, *replica, agent, query, fresh, kNew, attempt, 5s);
  }
  port::AttemptOutcome AskOld(const Attempt& attempt, Duration time = 5s) {
    OneServer query(server.get());
    LogAgent agent(old->layout());
    return Ask(*old_side, *primary, agent, query, old, kOld, attempt, time);
  }
  port::AttemptOutcome Ask(mysqld::Admin& dba, mysqld::Replication& replication,
                           port::Mysqlctl& agent, QuerySide& query, mysqld::Instance*,
                           record::TabletAlias alias, const Attempt& attempt, Duration time) {
    Resolver resolver(servers.loop, {&dba, &agent, &query, alias, "_vt", "vt_app"});
    std::vector<port::AttemptQuestion> questions = {{attempt.number, kOld, attempt.since}};
    auto outcomes = servers.Await(resolver.Resolve(replication, questions, Deadline::In(time)));
    EXPECT_TRUE(outcomes) << outcomes.error().message();
    return outcomes && outcomes->size() == 1 ? (*outcomes)[0] : port::AttemptOutcome();
  }

  mysqld::TestServers servers{GetParam()};
  mysqld::Instance* old = nullptr;
  mysqld::Instance* fresh = nullptr;
  std::unique_ptr<mysqld::ConnectionAdmin> old_side, new_side;
  std::unique_ptr<mysqld::Replication> primary, replica;
  std::unique_ptr<QueryServer> server;
  std::vector<std::unique_ptr<Attempt>> attempts;
};

INSTANTIATE_TEST_SUITE_P(BothFlavors, ResolverTest,
                         ::testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return info.param == gtid::Flavor::kMysql ? "Mysql" : "Mariadb";
                         });

TEST_P(ResolverTest, ADeadPrimarysAttempts) {
  Attempt& acknowledged = Run("INSERT INTO t (v) VALUES (1), (2)");
  ASSERT_TRUE(*acknowledged.end) << (*acknowledged.end).error().message();
  Attempt& wrong = Run("INSERT INTO t (v) VALUES (1)");
  EXPECT_EQ(wrong.sink.ends.at(0).error_number, 1062);
  Attempt& begun = Run("INSERT INTO t (v) VALUES (3)", "start transaction");
  ASSERT_NE((*begun.end)->pinned_id, 0u);
  Run("COMMIT", "", (*begun.end)->pinned_id);
  Attempt& open = Run("INSERT INTO t (v) VALUES (4)", "start transaction");
  ASSERT_NE((*open.end)->pinned_id, 0u);
  // The replica receives nothing any more: what is written now waits for its acknowledgement.
  ASSERT_OK(servers.Await(replica->StopIo(mysqld::InTest())));
  Attempt& waiting = Start("INSERT INTO t (v) VALUES (5)");
  AwaitAckWaiters(*old);
  Attempt& waiting_too = Start("INSERT INTO t (v) VALUES (6)");
  AwaitRunning("VALUES (6)");
  // MariaDB's position names what waits for its acknowledgement; health told this one before.
  waiting_too.since = waiting.since;
  EXPECT_EQ(AskOld(waiting, 600ms).fate, Fate::kUnknown) << "it still runs";
  KillOld();
  Promote();

  port::AttemptOutcome outcome = AskNew(acknowledged);
  EXPECT_EQ(outcome.fate, Fate::kCommitted) << outcome.why;
  EXPECT_EQ(outcome.statements, 1u);
  ASSERT_EQ(outcome.changes.size(), 1u);
  EXPECT_EQ(outcome.changes[0].table, "vt_ks.t");
  EXPECT_EQ(outcome.changes[0].inserted, 2u);
  EXPECT_EQ(outcome.changes[0].first_insert_id, acknowledged.sink.ends[0].last_insert_id);
  EXPECT_EQ(AskNew(begun).fate, Fate::kCommitted);
  for (const Attempt* one : {&wrong, &open, &waiting, &waiting_too}) {
    outcome = AskNew(*one);
    EXPECT_EQ(outcome.fate, Fate::kNotCommitted) << one->text << ": " << outcome.why;
  }
  Attempt unknown;
  unknown.number = waiting.number;
  EXPECT_EQ(AskNew(unknown).fate, Fate::kUnknown) << "without what was before, absence is no proof";
}

TEST_P(ResolverTest, ReceivedAndNeverAnswered) {
  Run("INSERT INTO t (v) VALUES (1)");
  // Received at the replica, which does not apply it: its acknowledgement comes with the receipt,
  // so the answer is lost on the way instead: the client does not read.
  ASSERT_OK(servers.Await(replica->StopApplier(mysqld::InTest())));
  Attempt& received = Run("INSERT INTO t (v) VALUES (7)");
  KillOld();
  ASSERT_OK(servers.Await(replica->StopIo(mysqld::InTest())));
  Result<gtid::Set> position = servers.Await(replica->Position(mysqld::InTest()));
  ASSERT_OK(position);
  // As in a promotion: the relay log is read before the applier is started, which may erase it.
  LogAgent agent(fresh->layout());
  Result<port::Written> written =
      servers.Await(agent.ReadWritten({.received = true}, mysqld::InTest()));
  ASSERT_OK(written);
  bool found = std::ranges::any_of(written->attempts, [&](const port::WrittenAttempt& one) {
    return one.attempt == received.number;
  });
  EXPECT_TRUE(found);
}

TEST_P(ResolverTest, CallsAreNotGuessed) {
  servers.Ask(*old, "CREATE PROCEDURE vt_ks.p() INSERT INTO vt_ks.t (v) VALUES (20)");
  Attempt& call = Run("CALL p()");
  Attempt& after = Run("INSERT INTO t (v) VALUES (21)");
  KillOld();
  Promote();
  port::AttemptOutcome outcome = AskNew(call);
  bool mysql = GetParam() == gtid::Flavor::kMysql;
  EXPECT_EQ(outcome.fate, mysql ? Fate::kCommitted : Fate::kUnknown) << outcome.why;
  EXPECT_EQ(AskNew(after).fate, Fate::kCommitted);
}

TEST_P(ResolverTest, ATabletThatLives) {
  Attempt& first = Run("INSERT INTO t (v) VALUES (1)");
  Attempt never;
  never.number = port::kAttemptMin + 0x777;
  never.since = Since();
  EXPECT_EQ(AskOld(first).fate, Fate::kCommitted);
  port::AttemptOutcome outcome = AskOld(never);
  EXPECT_EQ(outcome.fate, Fate::kNotCommitted) << outcome.why;
  // A statement whose client has gone is waited for.
  Attempt& slow = Start("INSERT INTO t (v) SELECT 50 + SLEEP(0.5)");
  AwaitRunning("SLEEP(0.5)");
  EXPECT_EQ(AskOld(slow).fate, Fate::kCommitted);
  // Killed by its client: not committed, and final.
  Attempt& canceled = Start("INSERT INTO t (v) SELECT 60 + SLEEP(20)");
  AwaitRunning("SLEEP(20)");
  servers.loop.Post([&] { canceled.cancel.Request(); });
  EXPECT_EQ(AskOld(canceled).fate, Fate::kNotCommitted);
  // In a new log.
  servers.Ask(*old, "FLUSH BINARY LOGS");
  EXPECT_EQ(AskOld(first).fate, Fate::kCommitted);
  Attempt& second = Run("INSERT INTO t (v) VALUES (2)");
  EXPECT_EQ(AskOld(second).fate, Fate::kCommitted);
  // Not acknowledged is not committed, not yet.
  ASSERT_OK(servers.Await(replica->StopIo(mysqld::InTest())));
  Attempt& waiting = Start("INSERT INTO t (v) VALUES (3)");
  AwaitAckWaiters(*old);
  EXPECT_EQ(AskOld(waiting, 600ms).fate, Fate::kUnknown);
  EXPECT_EQ(AskOld(first, 600ms).fate, Fate::kUnknown) << "nothing can be confirmed now";
  // Nor do our kills make it so, should one come after the look that finds no waiter.
  const std::string waiter = servers.Ask(
      *old,
      "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for semi-sync "
      "ACK%' AND info LIKE '%VALUES (3)%'");
  for (bool statement_only : {true, false}) {
    servers.Ask(
        *old, KillText(GetParam() == gtid::Flavor::kMariadb, std::stoull(waiter), statement_only));
    EXPECT_EQ(AskOld(waiting, 600ms).fate, Fate::kUnknown);
    EXPECT_EQ(servers.Ask(*old, "SELECT COUNT(*) FROM vt_ks.t WHERE v = 3"), "0") << statement_only;
  }
  ASSERT_OK(servers.Await(replica->StartIo(mysqld::InTest())));
  EXPECT_EQ(AskOld(waiting).fate, Fate::kCommitted);
}

TEST_P(ResolverTest, SessionsOfAnEarlierProcessAreAwaited) {
  OneServer query(nullptr);
  LogAgent agent(old->layout());
  Resolver resolver(servers.loop, {old_side.get(), &agent, &query, kOld, "_vt", "vt_app"});
  Attempt& running = Start("INSERT INTO t (v) SELECT 70 + SLEEP(0.8)");
  AwaitRunning("SLEEP(0.8)");
  ASSERT_OK(servers.Await(resolver.NoteFormer(mysqld::InTest())));
  std::vector<port::AttemptQuestion> questions = {{running.number, kOld, running.since}};
  auto outcomes = servers.Await(resolver.Resolve(*primary, questions, Deadline::In(20s)));
  ASSERT_OK(outcomes);
  // Ended or, where the machine was slow, killed; both are known.
  bool there = servers.Ask(*old, "SELECT COUNT(*) FROM vt_ks.t WHERE v = 70") == "1";
  EXPECT_EQ((*outcomes)[0].fate, there ? Fate::kCommitted : Fate::kNotCommitted)
      << (*outcomes)[0].why;
}

}  // namespace
}  // namespace paceline::vttablet
