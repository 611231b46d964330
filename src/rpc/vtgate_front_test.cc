// gRPC clients against the real server, front and sessions; only the tablet is a double.
#include "rpc/vtgate_front.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <vector>

#include "base/strings.h"
#include "mysql/wire/ok_packet.h"
#include "rpc/error_codec.h"
#include "rpc/result_codec.h"
#include "rpc/testing.h"
#include "rpc/vtgate.h"
#include "vtgate.pb.h"

namespace paceline::rpc {
namespace {

namespace wire = mysql::wire;

query::QueryResult Numbers(uint64_t from, uint64_t to) {
  query::QueryResult result;
  query::Field* field = result.add_fields();
  field->set_name("n");
  field->set_type(query::INT64);
  field->set_database("vt_ks");
  field->set_charset(63);
  for (uint64_t i = from; i < to; ++i) {
    std::string text = std::to_string(i);
    query::Row* row = result.add_rows();
    row->add_lengths(static_cast<int64_t>(text.size()));
    row->set_values(text);
  }
  return result;
}

// A tablet with as much SQL as these tests speak.
class FakeTablet final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    std::string text(request.text);
    Log(request, text);
    port::QueryEnd end;
    end.pinned_id = request.pinned_id;
    if (end.pinned_id != 0 && !open_.contains(end.pinned_id)) {
      co_return Fail(Code::kAborted, "transaction {} not found", end.pinned_id);
    }
    if (!request.begin.empty()) {
      end.pinned_id = ++next_id_;
      open_.insert(end.pinned_id);
    }
    uint16_t flags = end.pinned_id != 0 ? wire::kStatusInTransaction : wire::kStatusAutocommit;
    if (request.kind == port::StatementKind::kPrepare) {
      sink.OnPrepared(2, "", 0, "", 0);
      co_return end;
    }
    if (text == "COMMIT" || text == "ROLLBACK" || text == "commit" || text == "rollback") {
      open_.erase(end.pinned_id);
      end.pinned_id = 0;
      sink.OnEnd(wire::Terminator(), true);
    } else if (text.find("missing") != text.npos) {
      Error error = Error::FromMysql(1146, "42S02", "Table 'vt_ks.missing' doesn't exist");
      sink.OnEnd(wire::TerminatorOf(error), true);
    } else if (text.find("deadlock") != text.npos) {
      open_.erase(end.pinned_id);
      end.pinned_id = 0;
      Error error = Error::FromMysql(1213, "40001", "Deadlock found when trying to get lock");
      sink.OnEnd(wire::TerminatorOf(error), true);
    } else if (text.find("many") != text.npos) {
      Status sent = co_await Many(sink, deadline);
      if (!sent) co_return Fail(sent.error());
    } else if (text.starts_with("SELECT")) {
      ResultWriter writer;
      Status written = writer.Write(Numbers(1, 3), sink);
      EXPECT_TRUE(written);
      writer.End(flags, sink);
    } else {
      wire::Terminator ok;
      ok.status_flags = flags;
      ok.affected_rows = 1;
      ok.last_insert_id = 7;
      sink.OnEnd(ok, true);
    }
    co_return end;
  }
  io::Task<Status> Release(record::Target, uint64_t id, Deadline) override {
    open_.erase(id);
    ++released;
    co_return Status();
  }
  io::Task<Status> StreamHealth(port::HealthSink&, Deadline) override { co_return Status(); }
  io::Task<void> Close() override { co_return; }

  std::vector<std::string> log() {
    std::lock_guard lock(mutex_);
    return log_;
  }
  std::atomic<int> released = 0, waits = 0;

 private:
  // 50,000 rows in pieces that begin and end inside packets.
  io::Task<Status> Many(port::ResultSink& sink, Deadline deadline) {
    struct Pieces final : port::ResultSink {
      void OnColumns(uint64_t count, std::string_view packets) override {
        to->OnColumns(count, packets);
      }
      void OnRows(std::string_view bytes) override { rows += bytes; }
      void OnEnd(const wire::Terminator& end, bool last) override { to->OnEnd(end, last); }
      void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
      port::ResultSink* to = nullptr;
      std::string rows;
    } pieces;
    pieces.to = &sink;
    ResultWriter writer;
    Status written = writer.Write(Numbers(0, 50'000), pieces);
    EXPECT_TRUE(written);
    for (size_t at = 0; at < pieces.rows.size(); at += 1001) {
      if (sink.Full()) {
        ++waits;
        Status room = co_await sink.WaitNotFull(deadline);
        if (!room) co_return room;
      }
      sink.OnRows(std::string_view(pieces.rows).substr(at, 1001));
    }
    writer.End(wire::kStatusAutocommit, sink);
    co_return Status();
  }
  void Log(const port::QueryRequest& request, std::string_view text) {
    std::lock_guard lock(mutex_);
    std::string line = request.begin.empty() ? "" : std::string(request.begin) + "; ";
    if (request.settings) line += "[" + request.settings->apply + "] ";
    log_.push_back(fmt::format("{}{}{} @{}", request.pinned_id != 0 ? "tx " : "", line, text,
                               request.target.ToString()));
  }

  std::mutex mutex_;
  std::vector<std::string> log_;
  std::set<uint64_t> open_;
  uint64_t next_id_ = 100;
};

class OneTablet final : public vtgate::Gateway {
 public:
  explicit OneTablet(std::shared_ptr<FakeTablet> tablet) : tablet_(std::move(tablet)) {}
  std::optional<vtgate::Chosen> Pick(const record::Target&, const vtgate::BufferPlace&) override {
    return vtgate::Chosen{tablet_, {"zone1", 100}, nullptr};
  }
  io::Task<Status> Wait(record::Target, bool, vtgate::BufferPlace*, Deadline) override {
    co_return Status();
  }
  void BeginReplay(const record::Target&, vtgate::BufferPlace*) override {}
  Result<vtgate::Chosen> Find(const record::TabletAlias& alias) override {
    return vtgate::Chosen{tablet_, alias, nullptr};
  }
  std::vector<vtgate::TabletLine> Tablets() const override { return {}; }

 private:
  std::shared_ptr<FakeTablet> tablet_;
};

class VtgateFrontTest : public testing::Test {
 protected:
  void Serve(VtgateFrontOptions options) {
    options.flavor = sql::Flavor::kMysql;
    auto topology = std::make_shared<vtgate::TopologyView>();
    topology->vschema = vschema::Snapshot::Build({}, {"ks", "other"});
    topology->shards = {{"ks", {"0"}}, {"other", {"0"}}};
    gate_.topology = topology;
    gate_.gateway = &gateway_;
    gate_.registry = &table_;
    front_ = std::make_unique<VtgateFront>(pair_.server_loop, gate_, table_, options);
    AddVtgate(pair_.server, pair_.server_loop, *front_);
    pair_.server_loop.Post([this] { front_->Start(); });
    pair_.Start();
    session_.set_autocommit(true);
    session_.set_target_string("ks@primary");
  }
  void SetUp() override { Serve(VtgateFrontOptions()); }
  void TearDown() override {
    std::promise<void> stopped;
    pair_.server_loop.Post([this, &stopped] { io::Detach(StopFront(front_.get(), &stopped)); });
    stopped.get_future().wait();
  }
  static io::Task<void> StopFront(VtgateFront* front, std::promise<void>* stopped) {
    co_await front->Stop(Deadline::In(5s));
    stopped->set_value();
  }
  template <class Request, class Response>
  Response Call(const char* method, const Request& request) {
    Response response;
    Status status =
        pair_.Await(pair_.channel()->Unary(method, request, response, Deadline::In(20s)));
    EXPECT_TRUE(status) << status.error().message();
    return response;
  }
  // Takes up the session, as clients do.
  ::vtgate::ExecuteResponse Run(const query::BoundQuery& query) {
    ::vtgate::ExecuteRequest request;
    *request.mutable_session() = session_;
    *request.mutable_query() = query;
    auto response = Call<::vtgate::ExecuteRequest, ::vtgate::ExecuteResponse>(
        "/vtgateservice.Vitess/Execute", request);
    EXPECT_TRUE(response.has_session());
    session_ = response.session();
    return response;
  }
  ::vtgate::ExecuteResponse Run(const std::string& sql) {
    query::BoundQuery query;
    query.set_sql(sql);
    return Run(query);
  }
  std::string LastAtTablet() {
    std::vector<std::string> log = tablet_->log();
    return log.empty() ? "" : log.back();
  }

  std::shared_ptr<FakeTablet> tablet_ = std::make_shared<FakeTablet>();
  OneTablet gateway_{tablet_};
  vtgate::SessionTable table_;
  vtgate::GateContext gate_;
  std::unique_ptr<VtgateFront> front_;
  Pair pair_;
  ::vtgate::Session session_;
};

TEST_F(VtgateFrontTest, AutocommitGivesTypedRowsAndTheSession) {
  ::vtgate::ExecuteResponse response = Run("SELECT n FROM t");
  EXPECT_FALSE(response.has_error());
  ASSERT_EQ(response.result().rows_size(), 2);
  EXPECT_EQ(response.result().fields(0).type(), query::INT64);
  EXPECT_EQ(response.result().fields(0).database(), "ks");
  EXPECT_EQ(response.result().rows(1).values(), "2");
  EXPECT_FALSE(session_.sessionuuid().empty());
  EXPECT_FALSE(session_.in_transaction());
  EXPECT_EQ(session_.target_string(), "ks@primary");
  EXPECT_EQ(session_.found_rows(), 2u);

  std::string uuid = session_.sessionuuid();
  response = Run("INSERT INTO t VALUES (1)");
  EXPECT_EQ(response.result().rows_affected(), 1u);
  EXPECT_EQ(response.result().insert_id(), 7u);
  EXPECT_EQ(session_.last_insert_id(), 7u);
  EXPECT_EQ(session_.row_count(), 1);
  EXPECT_EQ(session_.sessionuuid(), uuid);
}

TEST_F(VtgateFrontTest, ACallWithoutASessionGetsOne) {
  ::vtgate::ExecuteRequest request;
  request.mutable_query()->set_sql("SELECT 1 FROM ks.t");
  auto response = Call<::vtgate::ExecuteRequest, ::vtgate::ExecuteResponse>(
      "/vtgateservice.Vitess/Execute", request);
  EXPECT_TRUE(response.session().autocommit());
  EXPECT_FALSE(response.session().sessionuuid().empty());
}

TEST_F(VtgateFrontTest, ATransactionShowsOneShardSession) {
  Run("begin");
  EXPECT_TRUE(session_.in_transaction());
  EXPECT_EQ(session_.shard_sessions_size(), 0);
  Run("INSERT INTO t VALUES (1)");
  ASSERT_EQ(session_.shard_sessions_size(), 1);
  EXPECT_EQ(session_.shard_sessions(0).transaction_id(), 101);
  EXPECT_EQ(session_.shard_sessions(0).target().keyspace(), "ks");
  EXPECT_EQ(session_.shard_sessions(0).tablet_alias().uid(), 100u);
  EXPECT_TRUE(LastAtTablet().starts_with("begin; INSERT"));
  Run("SELECT n FROM t");
  EXPECT_TRUE(LastAtTablet().starts_with("tx SELECT"));
  Run("commit");
  EXPECT_FALSE(session_.in_transaction());
  EXPECT_EQ(session_.shard_sessions_size(), 0);
}

TEST_F(VtgateFrontTest, MysqlErrorsKeepTheirNumbersAndTheTransaction) {
  Run("begin");
  Run("INSERT INTO t VALUES (1)");
  ::vtgate::ExecuteResponse response = Run("SELECT * FROM missing");
  ASSERT_TRUE(response.has_error());
  EXPECT_NE(response.error().message().find("(errno 1146) (sqlstate 42S02)"), std::string::npos);
  EXPECT_NE(response.error().message().find("'ks.missing'"), std::string::npos)
      << response.error().message();
  EXPECT_TRUE(session_.in_transaction());
  EXPECT_EQ(session_.shard_sessions_size(), 1);
}

TEST_F(VtgateFrontTest, TargetsFollowTheClientAndUse) {
  Run("SELECT n FROM t");
  session_.set_target_string("other");
  Run("SELECT n FROM t");
  EXPECT_TRUE(LastAtTablet().ends_with("@other.0.primary")) << LastAtTablet();
  EXPECT_EQ(session_.target_string(), "other");
  Run("USE ks");
  EXPECT_EQ(session_.target_string(), "ks");
  session_.set_target_string("nowhere");
  ::vtgate::ExecuteResponse response = Run("SELECT 1");
  EXPECT_EQ(FromProto(response.error()).mysql_errno(), 1049);
}

TEST_F(VtgateFrontTest, BindVariablesAreWrittenIn) {
  query::BoundQuery query;
  query.set_sql("INSERT INTO t (a, b) VALUES (:name, ?)");
  query::BindVariable text;
  text.set_type(query::VARCHAR);
  text.set_value("O'Brien");
  (*query.mutable_bind_variables())["name"] = text;
  text.set_type(query::INT64);
  text.set_value("5");
  (*query.mutable_bind_variables())["v1"] = text;
  EXPECT_FALSE(Run(query).has_error());
  EXPECT_NE(LastAtTablet().find("VALUES ('O\\'Brien', 5)"), std::string::npos) << LastAtTablet();

  query.set_sql("SELECT :absent FROM t");
  ::vtgate::ExecuteResponse response = Run(query);
  EXPECT_EQ(response.error().code(), vtrpc::INVALID_ARGUMENT);
}

TEST_F(VtgateFrontTest, AnUnknownTransactionIsAborted) {
  Run("begin");
  Run("INSERT INTO t VALUES (1)");
  ::vtgate::Session stale = session_;
  session_.set_sessionuuid("8a1c0d9e-0000-4000-8000-000000000000");
  ::vtgate::ExecuteResponse response = Run("INSERT INTO t VALUES (2)");
  EXPECT_EQ(response.error().code(), vtrpc::ABORTED);
  EXPECT_NE(response.error().message().find("transaction 101 not found"), std::string::npos);
  EXPECT_FALSE(session_.in_transaction());
  EXPECT_EQ(LastAtTablet().find("(2)"), std::string::npos);
  EXPECT_FALSE(Run("INSERT INTO t VALUES (3)").has_error());

  session_ = stale;
  session_.set_sessionuuid("8a1c0d9e-0000-4000-8000-000000000000");
  EXPECT_FALSE(Run("rollback").has_error());  // that much is true already
  session_ = stale;
  EXPECT_FALSE(Run("commit").has_error());
}

TEST_F(VtgateFrontTest, AMessageAloneMakesTheSessionAgain) {
  session_.set_sessionuuid("8a1c0d9e-0000-4000-8000-000000000000");
  (*session_.mutable_system_variables())["sql_mode"] = "'ANSI'";
  (*session_.mutable_system_variables())["no; DROP"] = "1";
  query::BindVariable five;
  five.set_type(query::INT64);
  five.set_value("5");
  (*session_.mutable_user_defined_variables())["a"] = five;
  session_.set_last_insert_id(42);
  EXPECT_FALSE(Run("SELECT n FROM t").has_error());
  EXPECT_NE(LastAtTablet().find("@@session.sql_mode = 'ANSI'"), std::string::npos);
  EXPECT_NE(LastAtTablet().find("@`a` = 5"), std::string::npos) << LastAtTablet();
  EXPECT_NE(session_.sessionuuid(), "8a1c0d9e-0000-4000-8000-000000000000");
  EXPECT_EQ(session_.system_variables_size(), 1);
  EXPECT_EQ(session_.user_defined_variables().at("a").value(), "5");
  EXPECT_EQ(session_.last_insert_id(), 42u);
}

TEST_F(VtgateFrontTest, AClientThatKnowsOfNoTransactionWritesIntoNone) {
  ::vtgate::Session before = session_;
  Run("begin");
  before.set_sessionuuid(session_.sessionuuid());
  Run("INSERT INTO t VALUES (1)");
  session_ = before;  // it never got those answers
  EXPECT_FALSE(Run("INSERT INTO t VALUES (2)").has_error());
  EXPECT_TRUE(LastAtTablet().starts_with("INSERT")) << LastAtTablet();
  EXPECT_FALSE(session_.in_transaction());
}

TEST_F(VtgateFrontTest, AutocommitFollowsTheClient) {
  Run("SELECT n FROM t");
  session_.set_autocommit(false);
  Run("INSERT INTO t VALUES (1)");
  EXPECT_TRUE(session_.in_transaction());
  EXPECT_FALSE(session_.autocommit());
  Run("commit");
  EXPECT_FALSE(session_.in_transaction());
}

TEST_F(VtgateFrontTest, CloseSessionRollsBack) {
  Run("begin");
  Run("INSERT INTO t VALUES (1)");
  ::vtgate::CloseSessionRequest request;
  *request.mutable_session() = session_;
  auto response = Call<::vtgate::CloseSessionRequest, ::vtgate::CloseSessionResponse>(
      "/vtgateservice.Vitess/CloseSession", request);
  EXPECT_FALSE(response.has_error());
  EXPECT_EQ(tablet_->released, 1);
  EXPECT_EQ(Run("commit").error().code(), vtrpc::ABORTED);
}

TEST_F(VtgateFrontTest, PrepareTellsHowManyParameters) {
  ::vtgate::PrepareRequest request;
  *request.mutable_session() = session_;
  request.mutable_query()->set_sql("INSERT INTO t (a, b) VALUES (:a, ':b', :c)");
  auto response = Call<::vtgate::PrepareRequest, ::vtgate::PrepareResponse>(
      "/vtgateservice.Vitess/Prepare", request);
  EXPECT_EQ(response.params_count(), 2u);
  EXPECT_NE(LastAtTablet().find("(?, ':b', ?)"), std::string::npos) << LastAtTablet();
}

TEST_F(VtgateFrontTest, BatchesStopWhereTheTransactionIsLost) {
  ::vtgate::ExecuteBatchRequest request;
  *request.mutable_session() = session_;
  request.add_queries()->set_sql("INSERT INTO t VALUES (1)");
  request.add_queries()->set_sql("SELECT * FROM missing");
  request.add_queries()->set_sql("SELECT n FROM t");
  auto response = Call<::vtgate::ExecuteBatchRequest, ::vtgate::ExecuteBatchResponse>(
      "/vtgateservice.Vitess/ExecuteBatch", request);
  ASSERT_EQ(response.results_size(), 3);
  EXPECT_EQ(response.results(0).result().insert_id(), 7u);
  EXPECT_TRUE(response.results(1).has_error());
  EXPECT_EQ(response.results(2).result().rows_size(), 2);

  request.clear_queries();
  request.add_queries()->set_sql("begin");
  request.add_queries()->set_sql("UPDATE t SET a = 1");
  request.add_queries()->set_sql("UPDATE deadlock SET a = 1");
  request.add_queries()->set_sql("UPDATE t SET a = 2");
  response = Call<::vtgate::ExecuteBatchRequest, ::vtgate::ExecuteBatchResponse>(
      "/vtgateservice.Vitess/ExecuteBatch", request);
  ASSERT_EQ(response.results_size(), 4);
  EXPECT_EQ(FromProto(response.results(2).error()).mysql_errno(), 1213);
  EXPECT_EQ(response.results(3).error().code(), vtrpc::ABORTED);
  EXPECT_TRUE(LastAtTablet().starts_with("tx UPDATE deadlock")) << LastAtTablet();
  EXPECT_FALSE(response.session().in_transaction());
}

TEST_F(VtgateFrontTest, MultiRunsUntilTheFirstError) {
  ::vtgate::ExecuteMultiRequest request;
  *request.mutable_session() = session_;
  request.set_sql(
      "INSERT INTO t VALUES (1); SELECT n FROM t; SELECT * FROM missing; SELECT n FROM t");
  auto response = Call<::vtgate::ExecuteMultiRequest, ::vtgate::ExecuteMultiResponse>(
      "/vtgateservice.Vitess/ExecuteMulti", request);
  ASSERT_EQ(response.results_size(), 2);
  EXPECT_EQ(response.results(1).rows_size(), 2);
  EXPECT_EQ(FromProto(response.error()).mysql_errno(), 1146);
  EXPECT_EQ(tablet_->log().size(), 3u);
  // Where one statement is asked for, several are refused.
  EXPECT_EQ(FromProto(Run("SELECT n FROM t; SELECT n FROM t").error()).mysql_errno(), 1064);
}

TEST_F(VtgateFrontTest, StreamsManyRowsInBatches) {
  ::vtgate::StreamExecuteRequest request;
  *request.mutable_session() = session_;
  request.mutable_query()->set_sql("SELECT n FROM many");
  std::unique_ptr<ClientStream> stream =
      pair_.channel()->Stream("/vtgateservice.Vitess/StreamExecute", request, Deadline::In(30s));
  ::vtgate::StreamExecuteResponse message;
  ASSERT_TRUE(*pair_.Await(stream->Next(message, Deadline::In(10s))));
  ASSERT_EQ(message.result().fields_size(), 1);
  EXPECT_EQ(message.result().rows_size(), 0);
  int rows = 0, batches = 0;
  bool session = false;
  for (;;) {
    Result<bool> next = pair_.Await(stream->Next(message, Deadline::In(10s)));
    ASSERT_TRUE(next) << next.error().message();
    if (!*next) break;
    EXPECT_FALSE(session) << "the session comes last";
    session = message.has_session();
    if (!session) ++batches;
    for (const query::Row& row : message.result().rows()) {
      ASSERT_EQ(row.values(), std::to_string(rows));
      ++rows;
    }
  }
  EXPECT_EQ(rows, 50'000);
  EXPECT_GT(batches, 5);
  EXPECT_GT(tablet_->waits, 5);
  EXPECT_TRUE(session);
}

TEST_F(VtgateFrontTest, AStreamedErrorEndsTheCallAfterTheSession) {
  ::vtgate::StreamExecuteRequest request;
  *request.mutable_session() = session_;
  request.mutable_query()->set_sql("SELECT * FROM missing");
  std::unique_ptr<ClientStream> stream =
      pair_.channel()->Stream("/vtgateservice.Vitess/StreamExecute", request, Deadline::In(30s));
  ::vtgate::StreamExecuteResponse message;
  ASSERT_TRUE(*pair_.Await(stream->Next(message, Deadline::In(10s))));
  EXPECT_TRUE(message.has_session());
  Result<bool> next = pair_.Await(stream->Next(message, Deadline::In(10s)));
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().mysql_errno(), 1146);
}

TEST_F(VtgateFrontTest, StreamsSeveralResults) {
  ::vtgate::StreamExecuteMultiRequest request;
  *request.mutable_session() = session_;
  request.set_sql("SELECT n FROM t; INSERT INTO t VALUES (1); SELECT * FROM missing");
  std::unique_ptr<ClientStream> stream = pair_.channel()->Stream(
      "/vtgateservice.Vitess/StreamExecuteMulti", request, Deadline::In(30s));
  int results = 0, rows = 0, errors = 0;
  bool session = false, more = true;
  ::vtgate::StreamExecuteMultiResponse message;
  while (*pair_.Await(stream->Next(message, Deadline::In(10s)))) {
    session = message.has_session();
    if (session) continue;
    results += message.new_result() ? 1 : 0;
    rows += message.result().result().rows_size();
    errors += message.result().has_error() ? 1 : 0;
    more = message.more_results();
  }
  EXPECT_EQ(results, 3);
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(errors, 1);
  EXPECT_FALSE(more);
  EXPECT_TRUE(session);
}

class ExpiringTest : public VtgateFrontTest {
 protected:
  void SetUp() override {
    VtgateFrontOptions options;
    options.transaction_timeout = 150ms;
    options.most_sessions = 2;
    Serve(options);
  }
};

TEST_F(ExpiringTest, AnIdleTransactionIsRolledBack) {
  Run("begin");
  Run("INSERT INTO t VALUES (1)");
  // Without a call in between, which would count as use.
  while (tablet_->released == 0) std::this_thread::yield();
  ::vtgate::ExecuteResponse response = Run("commit");
  EXPECT_EQ(response.error().code(), vtrpc::ABORTED);
  EXPECT_FALSE(session_.in_transaction());
  EXPECT_FALSE(Run("SELECT n FROM t").has_error());
}

TEST_F(ExpiringTest, TheOldestIdleSessionMakesRoom) {
  ::vtgate::Session fresh = session_;
  Run("SELECT n FROM t");
  ::vtgate::Session first = session_;
  for (int i = 0; i < 3; ++i) {
    session_ = fresh;
    EXPECT_FALSE(Run("SELECT n FROM t").has_error());
  }
  session_ = first;
  EXPECT_FALSE(Run("SELECT n FROM t").has_error());  // made again from its message
  EXPECT_NE(session_.sessionuuid(), first.sessionuuid());
}

}  // namespace
}  // namespace paceline::rpc
