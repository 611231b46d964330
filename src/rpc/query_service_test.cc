// queryservice end to end: our client, gRPC, our server, a scripted tablet.
#include "rpc/query_service.h"

#include <gtest/gtest.h>

#include <atomic>

#include "io/sync.h"
#include "mysql/wire/ok_packet.h"
#include "query.pb.h"
#include "rpc/result_codec.h"
#include "rpc/testing.h"

namespace paceline::rpc {
namespace {

// Answers by words in the text, and notes what it was asked.
class FakeTablet final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    std::string line;
    if (!request.begin.empty()) line += "[" + std::string(request.begin) + "] ";
    line += request.text;
    if (request.settings) line += " {" + request.settings->apply + "}";
    if (request.reserve) line += " reserve";
    if (request.pinned_id) line += " #" + std::to_string(request.pinned_id);
    log.push_back(line);
    port::QueryEnd end{.pinned_id = request.pinned_id, .tablet = {"zone1", 101}, .warnings = {}};
    if (!request.begin.empty() || request.text == "begin" || request.reserve) {
      if (end.pinned_id == 0) end.pinned_id = 77;
    }
    if (request.text == "commit" || request.text == "rollback") end.pinned_id = reserved ? 77 : 0;
    if (request.text == "hang") {
      io::Event canceled;
      request.cancel->SetHandler([&canceled] { canceled.Set(); });
      bool told = co_await canceled.Wait(deadline);
      if (told) ++cancels;
      co_return Fail(Code::kCanceled, "killed");
    }
    if (request.text == "not serving")
      co_return Fail(Code::kClusterEvent, "this tablet does not serve");
    if (request.text.starts_with("insert dup")) {
      sink.OnEnd(mysql::wire::TerminatorOf(
                     Error::FromMysql(1062, "23000", "Duplicate entry '1' for key 'PRIMARY'")),
                 true);
      co_return end;
    }
    value::TypedResult typed;
    if (request.text.starts_with("select")) {
      typed.fields.push_back(value::MakeField("id", value::Type::kInt64));
      int rows = request.text.find("many") == std::string_view::npos ? 2 : 200'000;
      for (int at = 0; at < rows;) {
        value::TypedResult part;
        if (at == 0) part.fields = typed.fields;
        for (int i = 0; i < 1000 && at < rows; ++i, ++at) {
          value::Row row;
          row.Append(std::to_string(at));
          part.rows.push_back(std::move(row));
        }
        query::QueryResult proto;
        ToProto(part, &proto);
        if (at <= 1000) writer = ResultWriter();
        Status written = writer.Write(proto, sink);
        EXPECT_TRUE(written);
        if (sink.Full()) {
          ++waits;
          Status room = co_await sink.WaitNotFull(deadline);
          if (!room) co_return Fail(room.error());
        }
      }
      writer.End(mysql::wire::kStatusAutocommit, sink);
      co_return end;
    }
    mysql::wire::Terminator ok;
    ok.affected_rows = 3;
    ok.last_insert_id = 12;
    sink.OnEnd(ok, true);
    co_return end;
  }
  io::Task<Status> Release(record::Target, uint64_t pinned_id, Deadline) override {
    log.push_back("release #" + std::to_string(pinned_id));
    co_return Status();
  }
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override {
    ++health_streams;
    while (!closed) {
      port::TabletHealth health;
      health.alias = {"zone1", 101};
      health.target = {"ks", "0", record::TabletType::kReplica, ""};
      health.serving = true;
      health.replication_lag = 1500ms;
      health.changed_tables = {"t" + std::to_string(++beats)};
      sink.OnHealth(health);
      bool woken = co_await beat.Wait(Deadline::In(20ms).EarlierOf(deadline));
      (void)woken;
    }
    co_return Fail(Code::kCanceled, "closed");
  }
  io::Task<void> Close() override {
    closed = true;
    beat.Set();
    co_return;
  }

  std::vector<std::string> log;  // read after a call has ended
  bool reserved = false, closed = false;
  std::atomic<int> cancels{0}, waits{0}, health_streams{0};
  int beats = 0;
  ResultWriter writer;
  io::Event beat;
};

struct QueryTest : ::testing::Test {
  QueryTest() {
    AddQueryService(pair.server, pair.server_loop, tablet);
    pair.Start();
    client = NewQueryServiceClient(pair.channel());
  }
  // The health pump outlives the server: end it on its loop.
  ~QueryTest() override {
    pair.server_loop.Post([this] { io::Detach(tablet.Close()); });
  }
  struct Answer {
    Result<port::QueryEnd> end;
    value::TypedResult result;
    Status status;
    bool in_transaction;
  };
  Answer Run(std::string text, uint64_t pinned = 0, std::string begin = "", bool reserve = false,
             std::string settings = "") {
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, "zone1"};
    request.text = text;
    request.begin = begin;
    request.pinned_id = pinned;
    request.reserve = reserve;
    if (!settings.empty())
      request.settings = std::make_shared<port::Settings>(port::Settings{1, settings});
    query::QueryResult proto;
    CollectingSink sink(&proto, 64 << 20);
    Result<port::QueryEnd> end = pair.Await(client->Execute(request, sink, Deadline::In(30s)));
    return {std::move(end), FromProto(proto), sink.status(), sink.in_transaction()};
  }
  FakeTablet tablet;
  Pair pair;
  port::QueryServicePtr client;
};

TEST_F(QueryTest, RowsAndCounts) {
  Answer rows = Run("select id from t");
  ASSERT_TRUE(rows.end) << rows.end.error().message();
  ASSERT_EQ(rows.result.rows.size(), 2u);
  EXPECT_EQ(rows.result.fields[0].name, "id");
  EXPECT_EQ(rows.result.rows[1].values, "1");
  EXPECT_EQ(rows.end->pinned_id, 0u);
  Answer count = Run("update t set x = 1");
  EXPECT_EQ(count.result.rows_affected, 3u);
  EXPECT_EQ(count.result.insert_id, 12u);
}

TEST_F(QueryTest, LargeResultStreams) {
  Answer rows = Run("select many from t");
  ASSERT_TRUE(rows.end) << rows.end.error().message();
  ASSERT_EQ(rows.result.rows.size(), 200'000u);
  EXPECT_EQ(rows.result.rows.back().values, "199999");
}

TEST_F(QueryTest, TransactionsMapToTheirCalls) {
  Answer first = Run("insert into t values (1)", 0, "start transaction read only");
  ASSERT_TRUE(first.end) << first.end.error().message();
  EXPECT_EQ(first.end->pinned_id, 77u);
  EXPECT_EQ(first.end->tablet.ToString(), "zone1-0000000101");
  EXPECT_TRUE(first.in_transaction);
  EXPECT_EQ(tablet.log.back(), "[start transaction read only] insert into t values (1)");
  Answer inside = Run("select id from t", 77);
  EXPECT_EQ(tablet.log.back(), "select id from t #77");
  EXPECT_EQ(inside.end->pinned_id, 77u);
  Answer commit = Run("COMMIT", 77);
  EXPECT_EQ(tablet.log.back(), "commit #77");
  EXPECT_EQ(commit.end->pinned_id, 0u);
  EXPECT_FALSE(commit.in_transaction);
  EXPECT_EQ(Run("select 1", 77).end.error().code(), Code::kAborted);

  Answer begin = Run("begin");
  EXPECT_TRUE(begin.in_transaction);
  EXPECT_EQ(begin.end->pinned_id, 77u);
  EXPECT_EQ(tablet.log.back(), "[begin] select 1");
  Answer again = Run("begin", 77);
  EXPECT_EQ(tablet.log[tablet.log.size() - 2], "commit #77");
  ASSERT_TRUE(pair.Await(client->Release({"ks", "0"}, 77, Deadline::In(10s))));
  EXPECT_EQ(tablet.log.back(), "rollback #77");
}

TEST_F(QueryTest, SettingsAndReservations) {
  Answer plain = Run("update t set x = 1", 0, "", false, "set @@sql_mode = ''");
  EXPECT_EQ(tablet.log.back(), "update t set x = 1 {set @@sql_mode = ''}");
  EXPECT_EQ(plain.end->pinned_id, 0u);
  tablet.reserved = true;
  Answer lock = Run("select get_lock('a', 1)", 0, "", true);
  EXPECT_EQ(tablet.log.back(), "select get_lock('a', 1) reserve");
  EXPECT_EQ(lock.end->pinned_id, 77u);
  Answer begin = Run("begin", 77);
  EXPECT_EQ(tablet.log.back(), "[begin] select 1 #77");
  Answer commit = Run("commit", 77);
  EXPECT_EQ(commit.end->pinned_id, 77u);
  ASSERT_TRUE(pair.Await(client->Release({"ks", "0"}, 77, Deadline::In(10s))));
  EXPECT_EQ(tablet.log.back(), "release #77");
}

TEST_F(QueryTest, ErrorsOfMysqldAndOfTheTablet) {
  Answer alone = Run("insert dup");
  ASSERT_TRUE(alone.end);
  EXPECT_EQ(alone.status.error().mysql_errno(), 1062);
  EXPECT_EQ(alone.status.error().message(), "Duplicate entry '1' for key 'PRIMARY'");
  Answer begun = Run("insert dup", 0, "begin");
  ASSERT_TRUE(begun.end);
  EXPECT_EQ(begun.end->pinned_id, 77u);
  EXPECT_EQ(begun.status.error().mysql_errno(), 1062);
  EXPECT_EQ(Run("not serving").end.error().code(), Code::kClusterEvent);
}

TEST_F(QueryTest, CancelReachesTheTablet) {
  port::Cancel cancel;
  port::QueryRequest request;
  request.text = "hang";
  request.cancel = &cancel;
  query::QueryResult proto;
  CollectingSink sink(&proto, 1000);
  io::Timer timer([](void* c) { static_cast<port::Cancel*>(c)->Request(); }, &cancel);
  timer.Set(pair.client_loop, pair.client_loop.Now() + 50ms);
  Result<port::QueryEnd> end = pair.Await(client->Execute(request, sink, Deadline::In(30s)));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code(), Code::kCanceled);
  for (int i = 0; i < 500 && tablet.cancels == 0; ++i) Run("select id from t");
  EXPECT_EQ(tablet.cancels, 1);
}

TEST_F(QueryTest, NobodyThereMayRunElsewhere) {
  Result<ChannelPtr> dead = Channel::Open(pair.client_loop, "127.0.0.1:1", ChannelOptions());
  port::QueryServicePtr gone = NewQueryServiceClient(*dead);
  port::QueryRequest request;
  request.text = "update t set x = 1";
  query::QueryResult proto;
  CollectingSink sink(&proto, 1000);
  Result<port::QueryEnd> end = pair.Await(gone->Execute(request, sink, Deadline::In(30s)));
  EXPECT_EQ(end.error().code(), Code::kClusterEvent);
  pair.Await(gone->Close());
}

struct CountingSink final : port::HealthSink {
  void OnHealth(const port::TabletHealth& health) override {
    last = health;
    ++count;
    if (count == 5) done();
  }
  port::TabletHealth last;
  int count = 0;
  std::function<void()> done;
};

TEST_F(QueryTest, HealthIsFannedOut) {
  Result<ChannelPtr> other =
      Channel::Open(pair.client_loop, (*pair.channel()).address(), ChannelOptions());
  port::QueryServicePtr second = NewQueryServiceClient(*other);
  for (port::QueryServicePtr subscriber : {second, client}) {
    CountingSink sink;
    sink.done = [&] { io::Detach(subscriber->Close()); };
    Status ended = pair.Await(subscriber->StreamHealth(sink, Deadline::In(30s)));
    EXPECT_EQ(ended.error().code(), Code::kCanceled);
    EXPECT_GE(sink.count, 5);
    EXPECT_EQ(sink.last.alias.uid, 101u);
    EXPECT_TRUE(sink.last.serving);
    EXPECT_EQ(sink.last.replication_lag, Duration(2s));
    EXPECT_EQ(sink.last.changed_tables.size(), 1u);
  }
  EXPECT_EQ(tablet.health_streams, 1);
}

}  // namespace
}  // namespace paceline::rpc
