// Sessions against a shard whose primaries die at every point of a statement's life. The fakes keep
// what was committed and under which attempt, so that they can answer Resolve as tablets do.
#include <gtest/gtest.h>

#include "io/blocking.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "vtgate/session.h"

namespace paceline::vtgate {
namespace {

using mysql::wire::Terminator;
using Fate = port::AttemptOutcome::Fate;

// Where the next call of a tablet dies.
enum class Fault : uint8_t {
  kNone,
  kRefused,    // never ran
  kBefore,     // the connection broke; it did not run
  kAfter,      // the connection broke; it had run
  kForgotten,  // of pinned ones: the tablet no longer knows the connection
  kLapsed,     // never ran, as the primary's lease has lapsed; what is open there stays open
};

// What all tablets of the shard agree on.
struct Shard {
  struct Row {
    uint64_t id = 0;
    std::string token;
  };
  std::vector<Row> rows;
  std::set<uint32_t> committed;  // attempts
  uint64_t next_id = 1;
  bool keeps_evidence = true;
  std::vector<Fault> faults;  // one for each call to come
  std::vector<std::string> log;
};

// INSERT '<token>', CALL commits(), SELECT COUNT, COMMIT, ROLLBACK, SET insert_id: what the tests
// need of a server.
class Tablet final : public port::QueryService {
 public:
  explicit Tablet(Shard& shard) : shard_(shard) {}

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline) override {
    Fault fault = Fault::kNone;
    if (!shard_.faults.empty()) {
      fault = shard_.faults.front();
      shard_.faults.erase(shard_.faults.begin());
    }
    const bool pinned = request.pinned_id != 0;
    if (fault == Fault::kRefused && !pinned) co_return Fail(Code::kClusterEvent, "draining");
    if ((fault == Fault::kForgotten || fault == Fault::kRefused) && pinned) {
      open_.erase(request.pinned_id);
      co_return Fail(Code::kAborted, "transaction: not found");
    }
    if (fault == Fault::kLapsed) co_return Fail(Code::kClusterEvent, "the lease has ended");
    if (fault == Fault::kBefore) {
      open_.erase(request.pinned_id);
      co_return Fail(Code::kUnavailable, "connection lost");
    }
    if (pinned && !open_.contains(request.pinned_id)) {
      co_return Fail(Code::kAborted, "transaction: not found");
    }
    std::string text(request.text);
    shard_.log.push_back((request.begin.empty() ? "" : std::string(request.begin) + "; ") + text);
    uint64_t id = request.pinned_id;
    if (!request.begin.empty()) {
      id = next_pin_++;
      open_[id].attempt = request.attempt;
    }
    Terminator end;
    Transaction single;
    single.attempt = request.attempt;
    Transaction& in = id != 0 ? open_[id] : single;
    std::string rows;
    Run(text, in, end, &rows);
    const bool ends = text == "COMMIT" || text == "ROLLBACK";
    if (text == "COMMIT" || text == "CALL commits()" || id == 0) Commit(in);
    if (ends) open_.erase(id), id = 0;
    if (fault == Fault::kAfter) {
      open_.erase(id);
      co_return Fail(Code::kUnavailable, "connection lost");
    }
    if (id != 0) end.status_flags |= mysql::wire::kStatusInTransaction;
    if (!rows.empty()) sink.OnColumns(1, "");
    if (!rows.empty()) sink.OnRows(rows);
    sink.OnEnd(end, true);
    port::QueryEnd done;
    done.pinned_id = id;
    co_return done;
  }
  io::Task<Status> Release(record::Target, uint64_t id, Deadline) override {
    open_.erase(id);
    co_return Status();
  }
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target, std::vector<port::AttemptQuestion> questions, Deadline) override {
    port::AttemptOutcome outcome;
    ++resolved;
    if (!shard_.keeps_evidence) {
      outcome.why = "the log is gone";
    } else if (!shard_.committed.contains(questions[0].attempt)) {
      outcome.fate = Fate::kNotCommitted;
    } else {
      outcome.fate = Fate::kCommitted;
      outcome.gtid = "0-1-5";
      outcome.changes.push_back({"vt_commerce.t", 1, 0, 0, shard_.rows.back().id});
    }
    std::vector<port::AttemptOutcome> outcomes;
    outcomes.push_back(std::move(outcome));
    co_return outcomes;
  }
  io::Task<Status> StreamHealth(port::HealthSink&, Deadline) override { co_return Status(); }
  io::Task<void> Close() override { co_return; }

  int resolved = 0;
  size_t open() const { return open_.size(); }

 private:
  struct Transaction {
    uint32_t attempt = 0;
    std::vector<Shard::Row> rows;
    uint64_t insert_id = 0;
  };
  void Run(const std::string& text, Transaction& in, Terminator& end, std::string* rows) {
    if (text.starts_with("SET insert_id = ")) {
      in.insert_id = std::stoull(text.substr(16));
    } else if (text.starts_with("INSERT")) {
      uint64_t id = in.insert_id != 0 ? in.insert_id : shard_.next_id;
      in.insert_id = 0;
      shard_.next_id = std::max(shard_.next_id, id + 1);
      in.rows.push_back({id, text.substr(text.find('\'') + 1)});
      end.affected_rows = 1;
      end.last_insert_id = id;
    } else if (text.starts_with("SELECT")) {
      end.kind = Terminator::Kind::kEof;
      end.row_count = 1;
      std::string count = std::to_string(shard_.rows.size() + in.rows.size());
      *rows = {static_cast<char>(count.size()), 0, 0, static_cast<char>(shard_.log.size())};
      *rows += count;
    }
  }
  void Commit(Transaction& in) {
    if (!in.rows.empty() && in.attempt != 0) shard_.committed.insert(in.attempt);
    for (Shard::Row& row : in.rows) shard_.rows.push_back(std::move(row));
    in.rows.clear();
  }

  Shard& shard_;
  std::map<uint64_t, Transaction> open_;
  uint64_t next_pin_ = 1;
};

class ShardGateway final : public Gateway {
 public:
  explicit ShardGateway(std::shared_ptr<Tablet> tablet) : tablet_(std::move(tablet)) {}
  std::optional<Chosen> Pick(const record::Target&, const BufferPlace&) override {
    if (away) return std::nullopt;
    return Chosen{tablet_, {"zone1", 100}, nullptr};
  }
  io::Task<Status> Wait(record::Target, bool, BufferPlace*, Deadline) override {
    ++waits;
    if (for_ever) co_return Fail(Code::kUnavailable, "no healthy tablet");
    away = false;
    co_return Status();
  }
  void BeginReplay(const record::Target&, BufferPlace*) override {}
  Result<Chosen> Find(const record::TabletAlias& alias) override {
    return Chosen{tablet_, alias, nullptr};
  }
  std::vector<TabletLine> Tablets() const override { return {}; }
  bool away = false, for_ever = false;
  int waits = 0;

 private:
  std::shared_ptr<Tablet> tablet_;
};

class Client final : public AnswerSink {
 public:
  void StartStatement(std::string_view, std::string_view, const TerminatorContext&) override {
    begun_ = ended_ = false;
    rows.clear();
  }
  void OnColumns(uint64_t, std::string_view) override { begun_ = true; }
  void OnRows(std::string_view bytes) override { rows += bytes; }
  void OnEnd(const Terminator& end, bool last) override {
    last_ = end;
    begun_ = true;
    ended_ = last;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  void WriteTerminator(const Terminator& end) override { OnEnd(end, true); }
  void WriteError(const Error& error) override { OnEnd(mysql::wire::TerminatorOf(error), true); }
  void WriteTable(const OwnTable&) override { ended_ = true; }
  bool begun() const override { return begun_; }
  bool ended() const override { return ended_; }
  const Terminator& last() const override { return last_; }
  std::string rows;

 private:
  bool begun_ = false, ended_ = false;
  Terminator last_;
};

class FailoverTest : public testing::Test {
 protected:
  FailoverTest() : gateway_(tablet_), metrics_(registry_) {
    auto view = std::make_shared<TopologyView>();
    record::SrvVSchema vschema;
    vschema.keyspaces["commerce"];
    view->vschema = vschema::Snapshot::Build(vschema, {"commerce"});
    view->shards["commerce"] = {"0"};
    gate_.topology = view;
    gate_.gateway = &gateway_;
    gate_.metrics = &metrics_;
    Connect();
  }
  ~FailoverTest() override { Disconnect(); }
  void Connect() {
    session_ = std::make_unique<Session>(gate_, SessionIdentity(), sql::Dialect());
    EXPECT_TRUE(session_->Use("commerce"));
  }
  void Disconnect() {
    io::RunUntilDone(loop_, CloseSession());
    session_.reset();
  }
  io::Task<bool> CloseSession() {
    co_await session_->Close();
    co_return true;
  }
  io::Task<Status> RunQuery(std::string text) {
    Status done = co_await session_->Query(text, client_);
    co_return done;
  }
  // The error's number, 0 when it went well, -1 when the connection would be closed.
  int Run(const std::string& text) {
    Status done = io::RunUntilDone(loop_, RunQuery(text));
    if (!done) return -1;
    return client_.last().is_error() ? client_.last().error_number : 0;
  }
  int Insert(const std::string& token) { return Run("INSERT INTO t (a) VALUES ('" + token); }
  size_t Count(const std::string& token) const {
    size_t count = 0;
    for (const Shard::Row& row : shard_.rows) count += row.token == token;
    return count;
  }

  io::Loop loop_;
  Shard shard_;
  std::shared_ptr<Tablet> tablet_ = std::make_shared<Tablet>(shard_);
  ShardGateway gateway_;
  Metrics registry_;
  FailoverMetrics metrics_;
  GateContext gate_;
  std::unique_ptr<Session> session_;
  Client client_;
};

TEST_F(FailoverTest, AWriteThatWasCommittedGetsItsResult) {
  shard_.next_id = 41;
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Insert("a"), 0);
  EXPECT_EQ(client_.last().affected_rows, 1u);
  EXPECT_EQ(client_.last().last_insert_id, 41u);
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_EQ(metrics_.result_rebuilt.value(), 1);
  EXPECT_EQ(Run("SELECT LAST_INSERT_ID()"), 0);
  EXPECT_NE(shard_.log.back().find("41"), std::string::npos) << shard_.log.back();
}

TEST_F(FailoverTest, AWriteThatWasNotCommittedIsRunAgainUnderAnotherNumber) {
  shard_.faults = {Fault::kBefore, Fault::kRefused, Fault::kBefore};
  EXPECT_EQ(Insert("a"), 0);
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_EQ(tablet_->resolved, 2);
  EXPECT_EQ(metrics_.run_again.value(), 2);
}

TEST_F(FailoverTest, CommittedWithoutARebuiltResultIsAnErrorThatNobodyRunsAgain) {
  gate_.failover.rebuild = false;
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Insert("a"), 50001);
  EXPECT_EQ(client_.last().sqlstate, "HY000");
  EXPECT_EQ(metrics_.result_lost.value(), 1);
  EXPECT_EQ(Insert("b"), 0);  // the session goes on
}

TEST_F(FailoverTest, WhatNobodyKnowsEndsTheConnection) {
  shard_.keeps_evidence = false;
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Insert("a"), -1);
  EXPECT_EQ(metrics_.unknown.value(), 1);
  gate_.failover.resolve = false;
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Insert("b"), -1);
  EXPECT_EQ(tablet_->resolved, 1);
}

TEST_F(FailoverTest, ACommitThatWasLostIsSettled) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("a"), 0);
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_EQ(Count("a"), 1u);

  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("b"), 0);
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Run("COMMIT"), 0);  // replayed, then committed
  EXPECT_EQ(Count("b"), 1u);
  EXPECT_EQ(metrics_.replayed.value(), 1);

  gate_.failover.replay = false;
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("c"), 0);
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Run("COMMIT"), 1213);
  EXPECT_EQ(Count("c"), 0u);
}

TEST_F(FailoverTest, ATransactionGoesOnWhereEachResultIsTheSame) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t"), 0);
  EXPECT_EQ(Insert("a"), 0);
  const uint64_t id = client_.last().last_insert_id;
  EXPECT_EQ(Run("SAVEPOINT s"), 0);
  shard_.faults = {Fault::kForgotten, Fault::kRefused, Fault::kNone, Fault::kBefore};
  EXPECT_EQ(Insert("b"), 0);
  EXPECT_TRUE(session_->in_transaction());
  EXPECT_EQ(Run("COMMIT"), 0);
  ASSERT_EQ(shard_.rows.size(), 2u);
  EXPECT_EQ(shard_.rows[0].id, id);
  EXPECT_EQ(tablet_->open(), 0u);
  EXPECT_EQ(gate_.transcript_bytes, 0u);
}

// Its locks would stop everybody, and first of all its own replay.
TEST_F(FailoverTest, ATransactionThatATabletRefusesToGoOnWithIsEndedThere) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("a"), 0);
  shard_.faults = {Fault::kLapsed};
  EXPECT_EQ(Insert("b"), 0);
  EXPECT_EQ(tablet_->open(), 1u);
  // The replay is refused too, half-way.
  shard_.faults = {Fault::kLapsed, Fault::kNone, Fault::kLapsed};
  EXPECT_EQ(Insert("c"), 0);
  EXPECT_EQ(tablet_->open(), 1u);
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_EQ(tablet_->open(), 0u);
  EXPECT_EQ(shard_.rows.size(), 3u);
  // One that is not replayed.
  gate_.failover.replay = false;
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("d"), 0);
  shard_.faults = {Fault::kLapsed};
  EXPECT_EQ(Insert("e"), 1213);
  EXPECT_EQ(tablet_->open(), 0u);
}

TEST_F(FailoverTest, ATransactionWhoseReadsChangedIsRolledBack) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t"), 0);
  EXPECT_EQ(Insert("a"), 0);
  shard_.rows.push_back({900, "of another"});
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Insert("b"), 1213);
  EXPECT_NE(client_.last().message.find("its statement 1 gave another result"), std::string::npos)
      << client_.last().message;
  EXPECT_FALSE(session_->in_transaction());
  EXPECT_EQ(tablet_->open(), 0u);
  EXPECT_EQ(Run("COMMIT"), 0);
  EXPECT_EQ(Count("a") + Count("b"), 0u);
}

TEST_F(FailoverTest, LimitsAndExclusionsEndIn1213) {
  gate_.failover.replay_statements = 1;
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("a"), 0);
  EXPECT_EQ(Insert("b"), 0);
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Insert("c"), 1213);
  EXPECT_NE(client_.last().message.find("more statements"), std::string::npos);
  gate_.failover.replay_statements = 1000;
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Run("CALL p()"), 0);
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Insert("c"), 1213);
  EXPECT_NE(client_.last().message.find("procedure"), std::string::npos);
}

TEST_F(FailoverTest, AProcedureThatMayHaveCommittedIsNotRunAgain) {
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("a"), 0);
  shard_.faults = {Fault::kAfter};
  EXPECT_EQ(Run("CALL commits()"), -1);
  EXPECT_EQ(Count("a"), 1u);
  EXPECT_EQ(tablet_->open(), 0u);
  Disconnect();
  Connect();
  // Where evidence says that nothing was committed it goes on.
  EXPECT_EQ(Run("BEGIN"), 0);
  EXPECT_EQ(Insert("b"), 0);
  shard_.faults = {Fault::kBefore};
  EXPECT_EQ(Run("CALL commits()"), 0);
  EXPECT_EQ(Count("b"), 1u);
  EXPECT_EQ(metrics_.replayed.value(), 1);
  EXPECT_EQ(Run("ROLLBACK"), 0);
  // Where nobody knows, it does not: as the first statement of its transaction too.
  shard_.keeps_evidence = false;
  EXPECT_EQ(Run("BEGIN"), 0);
  shard_.faults = {Fault::kAfter};
  const size_t ran = shard_.log.size();
  EXPECT_EQ(Run("CALL commits()"), -1);
  EXPECT_EQ(shard_.log.size(), ran + 1);
}

TEST_F(FailoverTest, ABatchOfRefusalsBeforeAnythingRanIsNeverSeen) {
  shard_.faults.assign(30, Fault::kRefused);
  EXPECT_EQ(Insert("a"), 0);
  gateway_.away = true;
  EXPECT_EQ(Run("SELECT COUNT(*) FROM t"), 0);
  gateway_.away = gateway_.for_ever = true;
  EXPECT_GT(Insert("b"), 0);
  EXPECT_EQ(Count("a"), 1u);
}

// Whatever dies: what the client was told is what is there.
TEST_F(FailoverTest, EveryWriteIsThereOnceOrNeverAsTheClientWasTold) {
  std::map<int, int> seen;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SeededRng rng(seed);
    gate_.failover.replay = rng.Below(4) != 0;
    gate_.failover.rebuild = rng.Below(4) != 0;
    for (int round = 0; round < 5; ++round) {
      shard_.keeps_evidence = rng.Below(6) != 0;
      shard_.faults.clear();
      for (int i = 0; i < 12; ++i) {
        shard_.faults.push_back(rng.Below(2) ? Fault::kNone : static_cast<Fault>(rng.Below(5)));
      }
      if (rng.Below(5) == 0) shard_.rows.push_back({shard_.next_id++, "of another"});
      std::string token = fmt::format("{}-{}", seed, round);
      size_t expected = 1;
      int told = 0;
      if (rng.Below(2) == 0) {
        told = Insert(token);
      } else {
        told = Run("BEGIN");
        if (told == 0 && rng.Below(2)) told = Run("SELECT COUNT(*) FROM t");
        if (told == 0) told = Insert(token);
        if (told == 0 && rng.Below(3) == 0) told = Insert(token + "+");
        if (told == 0 && rng.Below(5) == 0) shard_.rows.push_back({shard_.next_id++, "other"});
        if (told == 0) told = Run("COMMIT");
      }
      ++seen[told];
      const size_t count = Count(token);
      if (told != 0 && told != 50001) expected = 0;
      if (told == -1) {
        EXPECT_LE(count, 1u) << "seed " << seed << " token " << token;
        Disconnect();
        Connect();
      } else {
        EXPECT_EQ(count, expected) << "seed " << seed << " token " << token << " told " << told;
      }
      shard_.faults.clear();
      EXPECT_EQ(Run("ROLLBACK"), 0);
      EXPECT_EQ(tablet_->open(), 0u) << "seed " << seed;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(seen[0], 500);
  EXPECT_GT(seen[-1], 10);
  EXPECT_GT(seen[1213], 10);
  EXPECT_GT(seen[50001], 10);
}

}  // namespace
}  // namespace paceline::vtgate
