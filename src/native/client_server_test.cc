// Both ends over real sockets, with a QueryService that the test scripts.
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "base/rng.h"
#include "io/blocking.h"
#include "native/client.h"
#include "native/server.h"

namespace paceline::native {
namespace {

using namespace std::chrono_literals;
using mysql::wire::Terminator;

// One row packet per 1000 bytes, or what the statement's text asks for.
class ScriptedService final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    ++running;
    max_running = std::max(max_running, running);
    Result<port::QueryEnd> end = co_await Answer(request, sink, deadline);
    --running;
    co_return end;
  }
  io::Task<Result<port::QueryEnd>> Answer(const port::QueryRequest& request, port::ResultSink& sink,
                                          Deadline deadline) {
    texts.emplace_back(request.text);
    attempts.push_back(request.attempt);
    std::string_view text = request.text;
    port::QueryEnd end;
    Terminator ok;
    if (text == "refuse")
      co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
    if (text == "pin") end.pinned_id = 1000 + ++pins;
    if (text == "unpin") end.pinned_id = 0;
    if (text == "wait") {
      if (request.cancel != nullptr) {
        request.cancel->SetHandler([this] { canceled.Set(); });
      }
      started.Set();
      bool was = co_await canceled.Wait(deadline);
      request.cancel->SetHandler(nullptr);
      if (was) co_return Fail(Code::kCanceled, "canceled by the client");
      co_return Fail(Code::kDeadlineExceeded, "timed out");
    }
    if (request.kind == port::StatementKind::kPrepare) {
      sink.OnPrepared(1, "PPP", 2, "CCCC", 3);
      co_return end;
    }
    if (text.starts_with("bytes ")) {
      uint64_t left = std::stoull(std::string(text.substr(6)));
      std::string columns("\x01\x00\x00\x01\x01", 5);
      sink.OnColumns(1, columns);
      std::string rows(50'000, 'r');
      while (left > 0) {
        uint64_t now = std::min<uint64_t>(left, rows.size());
        sink.OnRows(std::string_view(rows).substr(0, now));
        sent += now;
        left -= now;
        if (sink.Full()) {
          Status room = co_await sink.WaitNotFull(deadline);
          if (!room) co_return Fail(room.error());
        }
      }
      ok.kind = Terminator::Kind::kEof;
    }
    if (text.starts_with("length")) ok.affected_rows = text.size();
    if (text == "two") {
      Terminator first;
      first.status_flags = mysql::wire::kStatusMoreResults;
      first.affected_rows = 1;
      sink.OnEnd(first, false);
      ok.affected_rows = 2;
    }
    end.warnings.push_back({"Note", 1, "noted"});
    sink.OnEnd(ok, true);
    co_return end;
  }
  io::Task<Status> Release(record::Target, uint64_t pinned_id, Deadline) override {
    released.insert(pinned_id);
    if (released_event != nullptr) released_event->Set();
    co_return Status();
  }
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override {
    ++health_streams;
    for (;;) {
      port::TabletHealth health;
      health.term = ++beats;
      health.error = beat_error;
      sink.OnHealth(health);
      bool closed = co_await health_end.Wait(deadline.EarlierOf(Deadline::In(5ms)));
      if (closed) co_return Fail(Code::kCanceled, "closed");
      if (deadline.Passed(SystemClock().Now())) co_return Fail(Code::kDeadlineExceeded, "over");
    }
  }
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target target, std::vector<port::AttemptQuestion> questions, Deadline) override {
    if (target.shard != "0") co_return Fail(Code::kClusterEvent, "wrong shard");
    std::vector<port::AttemptOutcome> outcomes;
    for (const port::AttemptQuestion& question : questions) {
      port::AttemptOutcome& outcome = outcomes.emplace_back();
      outcome.fate = port::AttemptOutcome::Fate::kCommitted;
      outcome.gtid = question.since + ":" + std::to_string(question.attempt);
    }
    co_return outcomes;
  }
  io::Task<void> Close() override { co_return; }

  std::vector<std::string> texts;
  std::vector<uint32_t> attempts;
  std::set<uint64_t> released;
  io::Event started, canceled, health_end;
  io::Event* released_event = nullptr;
  std::string beat_error;
  uint64_t sent = 0, pins = 0, beats = 0;
  int running = 0, max_running = 0, health_streams = 0;
};

class RecordingSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t count, std::string_view packets) override {
    column_count = count;
    columns.append(packets);
  }
  void OnRows(std::string_view bytes) override { row_bytes += bytes.size(); }
  void OnEnd(const Terminator& end, bool last) override {
    ends.push_back(end);
    ended = last;
  }
  void OnPrepared(uint16_t parameter_count, std::string_view p, uint16_t count, std::string_view c,
                  uint16_t) override {
    columns =
        std::to_string(parameter_count) + std::string(p) + std::to_string(count) + std::string(c);
  }
  bool Full() const override { return full; }
  io::Task<Status> WaitNotFull(Deadline deadline) override {
    bool was = co_await not_full.Wait(deadline);
    if (!was) co_return Fail(Code::kDeadlineExceeded, "full");
    co_return Status();
  }
  uint64_t column_count = 0, row_bytes = 0;
  std::string columns;
  std::vector<Terminator> ends;
  bool ended = false;
  bool full = false;
  io::Event not_full;
};

class ClientServerTest : public ::testing::TestWithParam<bool> {
 protected:
  ClientServerTest() {
    path_ = "/tmp/paceline-native-" + std::to_string(ThreadRng().Next()) + ".sock";
    options_.tablet = {"zone1", 100};
    options_.addresses = {io::Address::Tcp("127.0.0.1", 0)};
    if (GetParam()) options_.addresses.push_back(io::Address::Unix(path_));
    server_ = *Server::Listen(loop_, {{&loop_, &service_}}, options_);
    client_ = Await(Client::Connect(ToServer(), Deadline::In(5s))).value();
  }
  ~ClientServerTest() override {
    loop_.Post([this] {
      service_.canceled.Set();
      service_.health_end.Set();
    });
    if (client_ != nullptr) Drain(client_->Close());
    if (server_ != nullptr) Drain(server_->Close());
  }
  ClientOptions ToServer() {
    ClientOptions to;
    to.address = io::Address::Tcp("127.0.0.1", server_->port());
    to.tablet = {"zone1", 100};
    return to;
  }
  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(loop_, std::move(task));
  }
  static io::Task<int> AsValue(io::Task<void> task) {
    co_await task;
    co_return 0;
  }
  void Drain(io::Task<void> task) { Await(AsValue(std::move(task))); }
  // Lets the loop run until `done`, 10 s at most.
  bool Until(std::function<bool()> done) { return Await(Poll(std::move(done))); }
  static io::Task<bool> Poll(std::function<bool()> done) {
    io::Gate gate;
    Deadline end = Deadline::In(10s);
    while (!done()) {
      if (end.Passed(SystemClock().Now())) co_return false;
      [[maybe_unused]] bool open = co_await io::Sleep(gate, Deadline::In(1ms));
    }
    co_return true;
  }
  struct Running {
    std::string text;
    uint32_t attempt = 0;
    RecordingSink sink;
    port::Cancel cancel;
    std::optional<Result<port::QueryEnd>> end;
  };
  static io::Task<void> RunTo(Client* client, Running* running, Duration time) {
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    request.text = running->text;
    request.attempt = running->attempt;
    request.cancel = &running->cancel;
    Result<port::QueryEnd> end =
        co_await client->Execute(request, running->sink, Deadline::In(time));
    running->end = std::move(end);
  }
  // Starts a statement; its end comes when the loop runs.
  Running& Start(std::string text, Duration time = 10s) {
    auto& running = started_.emplace_back(std::make_unique<Running>());
    running->text = std::move(text);
    loop_.Post([this, at = running.get(), time] { io::Detach(RunTo(client_.get(), at, time)); });
    return *running;
  }
  Running& Run(std::string text, Duration time = 10s) {
    Running& running = Start(std::move(text), time);
    EXPECT_TRUE(Until([&] { return running.end.has_value(); }));
    return running;
  }

  std::string path_;
  io::Loop loop_;
  ScriptedService service_;
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Client> client_;
  std::vector<std::unique_ptr<Running>> started_;
};

INSTANTIATE_TEST_SUITE_P(TcpAndUnix, ClientServerTest, ::testing::Bool());

TEST_P(ClientServerTest, AStatementAndItsEnd) {
  EXPECT_EQ(client_->over_unix(), GetParam());
  Running& query = Run("bytes 10");
  ASSERT_TRUE(*query.end) << query.end->error().message();
  EXPECT_EQ(query.sink.column_count, 1u);
  EXPECT_EQ(query.sink.row_bytes, 10u);
  EXPECT_TRUE(query.sink.ended);
  EXPECT_EQ((*query.end)->tablet.uid, 100u);
  ASSERT_EQ((*query.end)->warnings.size(), 1u);
  EXPECT_EQ((*query.end)->warnings[0].message, "noted");
}

TEST_P(ClientServerTest, MoreResultsOfOneStatement) {
  Running& query = Run("two");
  ASSERT_EQ(query.sink.ends.size(), 2u);
  EXPECT_EQ(query.sink.ends[0].affected_rows, 1u);
  EXPECT_EQ(query.sink.ends[1].affected_rows, 2u);
}

TEST_P(ClientServerTest, ManyAtOnceShareTheConnection) {
  std::vector<Running*> all;
  for (int i = 0; i < 500; ++i) all.push_back(&Start("bytes " + std::to_string(i * 137)));
  ASSERT_TRUE(Until([&] {
    return std::all_of(all.begin(), all.end(), [](Running* one) { return one->end.has_value(); });
  }));
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(*all[i]->end);
    EXPECT_EQ(all[i]->sink.row_bytes, static_cast<uint64_t>(i * 137));
  }
  EXPECT_EQ(server_->connections(), 1u);
  EXPECT_EQ(client_->calls_running(), 0u);
}

TEST_P(ClientServerTest, ASlowReaderHoldsOnlyItsWindow) {
  Running& slow = Start("bytes 100000000");
  slow.sink.full = true;
  ASSERT_TRUE(Until([&] { return slow.sink.row_bytes > 0; }));
  Running& other = Run("bytes 1000000");  // others go on
  ASSERT_TRUE(*other.end);
  EXPECT_LT(service_.sent, 1'000'000 + 2 * static_cast<uint64_t>(kWindowBytes));
  slow.sink.full = false;
  loop_.Post([&] { slow.sink.not_full.Set(); });
  ASSERT_TRUE(Until([&] { return slow.end.has_value(); }));
  ASSERT_TRUE(*slow.end);
  EXPECT_EQ(slow.sink.row_bytes, 100'000'000u);
}

TEST_P(ClientServerTest, LongStatementsArriveWhole) {
  for (size_t size :
       {kMaxDataBytes / 2 - 10, kMaxDataBytes / 2 + 10, kMaxDataBytes, 20 * kMaxDataBytes + 17}) {
    Running& query = Start("length" + std::string(size, 'x'));
    Running& between = Start("two");
    ASSERT_TRUE(Until([&] { return query.end && between.end; }));
    ASSERT_TRUE(*query.end);
    EXPECT_EQ(query.sink.ends[0].affected_rows, query.text.size());
  }
}

TEST_P(ClientServerTest, AttemptsAreNumbered) {
  Run("plain");
  Running& marked = Start("marked");
  marked.attempt = port::kAttemptMin + 7;
  Running& long_one = Start("length" + std::string(200'000, 'x'));
  long_one.attempt = port::kAttemptMin + 8;
  ASSERT_TRUE(Until([&] { return marked.end && long_one.end; }));
  EXPECT_EQ(service_.attempts, (std::vector<uint32_t>{0, marked.attempt, long_one.attempt}));
}

TEST_P(ClientServerTest, AttemptsAreResolved) {
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  std::vector<port::AttemptQuestion> questions = {{port::kAttemptMin, {"zone1", 100}, "since"},
                                                  {port::kAttemptMin + 1, {"zone1", 100}, ""}};
  auto told = Await(client_->Resolve(target, questions, Deadline::In(5s)));
  ASSERT_TRUE(told) << told.error().message();
  ASSERT_EQ(told->size(), 2u);
  EXPECT_EQ((*told)[0].gtid, "since:2147483648");
  target.shard = "1";
  auto refused = Await(client_->Resolve(target, questions, Deadline::In(5s)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kClusterEvent);
  questions.resize(port::kQuestionsMax + 1);
  auto many = Await(client_->Resolve(target, questions, Deadline::In(5s)));
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code(), Code::kResourceExhausted) << many.error().message();
}

TEST_P(ClientServerTest, ErrorsKeepTheirCode) {
  Running& query = Run("refuse");
  ASSERT_FALSE(*query.end);
  EXPECT_EQ(query.end->error().code(), Code::kClusterEvent);
  EXPECT_EQ(query.end->error().message(), "operation not allowed in state NOT_SERVING");
}

TEST_P(ClientServerTest, CancelReachesTheService) {
  Running& query = Start("wait");
  ASSERT_TRUE(Until([&] { return service_.started.set(); }));
  loop_.Post([&] { query.cancel.Request(); });
  ASSERT_TRUE(Until([&] { return query.end.has_value(); }));
  EXPECT_EQ(query.end->error().code(), Code::kCanceled);
}

TEST_P(ClientServerTest, TheDeadlineEndsACall) {
  Running& query = Run("wait", 50ms);
  ASSERT_FALSE(*query.end);
  EXPECT_EQ(query.end->error().code(), Code::kDeadlineExceeded);
  Running& after = Run("two");
  EXPECT_TRUE(*after.end);
  EXPECT_TRUE(Until([&] { return client_->calls_running() == 0; }));
}

TEST_P(ClientServerTest, ABreakTellsWhatMayHaveRun) {
  Running& query = Start("wait");
  ASSERT_TRUE(Until([&] { return service_.started.set(); }));
  Drain(server_->Close());
  ASSERT_TRUE(Until([&] { return query.end.has_value(); }));
  EXPECT_EQ(query.end->error().code(), Code::kUnavailable);
  Running& after = Run("two");
  EXPECT_EQ(after.end->error().code(), Code::kClusterEvent);
  EXPECT_TRUE(client_->broken().has_value());
}

TEST_P(ClientServerTest, GoAwayLetsRunningCallsEnd) {
  Running& query = Start("wait");
  ASSERT_TRUE(Until([&] { return service_.started.set(); }));
  server_->GoAway("upgrade");
  ASSERT_TRUE(Until([&] { return client_->broken_event().set(); }));
  Running& refused = Run("two");
  EXPECT_EQ(refused.end->error().code(), Code::kClusterEvent);
  loop_.Post([&] { service_.canceled.Set(); });
  ASSERT_TRUE(Until([&] { return query.end.has_value(); }));
  EXPECT_EQ(query.end->error().code(), Code::kCanceled);
}

TEST_P(ClientServerTest, PinnedConnectionsGoBackWhenTheirClientGoes) {
  Running& first = Run("pin");
  Running& second = Run("pin");
  ASSERT_EQ((*first.end)->pinned_id, 1001u);
  ASSERT_EQ((*second.end)->pinned_id, 1002u);
  record::Target target{"ks", "0", record::TabletType::kPrimary, ""};
  Status released = Await(client_->Release(target, 1001, Deadline::In(5s)));
  EXPECT_TRUE(released);
  EXPECT_EQ(service_.released, std::set<uint64_t>({1001}));
  service_.released.clear();
  Drain(client_->Close());
  ASSERT_TRUE(Until([&] { return !service_.released.empty(); }));
  EXPECT_EQ(service_.released, std::set<uint64_t>({1002}));
}

TEST_P(ClientServerTest, CloseLeavesTheOutcomeOfCallsUnknown) {
  Running& query = Start("wait");
  ASSERT_TRUE(Until([&] { return service_.started.set(); }));
  Drain(client_->Close());
  ASSERT_TRUE(query.end.has_value());
  EXPECT_EQ(query.end->error().code(), Code::kUnavailable);
}

class CountingHealth final : public port::HealthSink {
 public:
  void OnHealth(const port::TabletHealth& health) override { last = health.term; }
  uint64_t last = 0;
};

TEST_P(ClientServerTest, HealthComesUntilItsDeadline) {
  CountingHealth sink;
  Status ended = Await(client_->StreamHealth(sink, Deadline::In(200ms)));
  EXPECT_EQ(ended.error().code(), Code::kDeadlineExceeded);
  EXPECT_GT(sink.last, 3u);
  EXPECT_TRUE(Await(client_->Ping(Deadline::In(1s))));
}

// A watcher that asks for health and stops reading, until `reads` is set; answers what it then
// gets.
io::Task<uint64_t> LazyWatcher(uint16_t port, io::Event* reads) {
  Result<std::unique_ptr<io::Socket>> socket =
      co_await io::Connect(io::Address::Tcp("127.0.0.1", port), Deadline::In(5s));
  if (!socket) co_return 0;
  std::string hello;
  AppendHello(&hello, {.program = "lazy"});
  AppendEmpty(&hello, FrameType::kWatchHealth, 1);
  Status written = co_await (*socket)->WriteAll(hello, Deadline::In(5s));
  bool told = co_await reads->Wait(Deadline::In(20s));
  uint64_t bytes = 0;
  std::string buffer(1 << 20, 0);
  while (told && written) {
    Result<size_t> got = (*socket)->TryRead(buffer.data(), buffer.size());
    if (!got) break;
    bytes += *got;
    if (*got > 0) continue;
    io::Wake wake = co_await (*socket)->WaitReadable(Deadline::In(200ms));
    if (wake != io::Wake::kDone) break;
  }
  co_return bytes;
}

TEST_P(ClientServerTest, AWatcherThatDoesNotReadFillsNobodysMemory) {
  constexpr uint64_t kBeatBytes = 200'000;
  service_.beat_error = std::string(kBeatBytes, 'e');
  io::Event reads;
  std::optional<uint64_t> got;
  struct Into {
    static io::Task<void> Run(uint16_t port, io::Event* reads, std::optional<uint64_t>* got) {
      uint64_t bytes = co_await LazyWatcher(port, reads);
      *got = bytes;
    }
  };
  loop_.Post([&] { io::Detach(Into::Run(server_->port(), &reads, &got)); });
  ASSERT_TRUE(Until([&] { return service_.beats >= 200; }));
  loop_.Post([&] {
    service_.health_end.Set();
    reads.Set();
  });
  ASSERT_TRUE(Until([&] { return got.has_value(); }));
  EXPECT_GT(*got, kBeatBytes);
  EXPECT_LT(*got, 100 * kBeatBytes);
}

io::Task<Status> SendAndAwaitEnd(uint16_t port, std::string bytes) {
  Result<std::unique_ptr<io::Socket>> socket =
      co_await io::Connect(io::Address::Tcp("127.0.0.1", port), Deadline::In(5s));
  if (!socket) co_return Fail(socket.error());
  Status written = co_await (*socket)->WriteAll(bytes, Deadline::In(5s));
  std::string buffer(64 * 1024, 0);
  while (written) {
    Result<size_t> got = (*socket)->TryRead(buffer.data(), buffer.size());
    if (!got) co_return Status();  // closed
    if (*got > 0) continue;
    io::Wake wake = co_await (*socket)->WaitReadable(Deadline::In(5s));
    if (wake == io::Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "it stays open");
  }
  co_return written;
}

TEST_P(ClientServerTest, NumbersInUseAreUsedOnce) {
  for (uint32_t second : {1u, 16385u, 0u}) {
    std::string bytes;
    AppendHello(&bytes, {.program = "again"});
    AppendEmpty(&bytes, FrameType::kWatchHealth, 1);
    AppendEmpty(&bytes, FrameType::kWatchHealth, second);
    Status ended = Await(SendAndAwaitEnd(server_->port(), bytes));
    EXPECT_TRUE(ended) << second;
  }
}

TEST_P(ClientServerTest, PreparedDefinitionsCome) {
  RecordingSink sink;
  port::QueryRequest request;
  request.kind = port::StatementKind::kPrepare;
  request.text = "select ?";
  Result<port::QueryEnd> end = Await(client_->Execute(request, sink, Deadline::In(5s)));
  ASSERT_TRUE(end);
  EXPECT_EQ(sink.columns, "1PPP2CCCC");
}

TEST_P(ClientServerTest, AnotherTabletIsRefused) {
  ClientOptions to = ToServer();
  to.tablet = {"zone1", 999};
  Result<std::unique_ptr<Client>> other = Await(Client::Connect(to, Deadline::In(5s)));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code(), Code::kFailedPrecondition);
}

io::Task<Status> SendNoise(uint16_t port, std::string noise) {
  Result<std::unique_ptr<io::Socket>> socket =
      co_await io::Connect(io::Address::Tcp("127.0.0.1", port), Deadline::In(5s));
  if (!socket) co_return Fail(socket.error());
  Status written = co_await (*socket)->WriteAll(noise, Deadline::In(5s));
  (*socket)->Shutdown();
  co_return Status();
}

TEST_P(ClientServerTest, NoiseHurtsOnlyItsOwnConnection) {
  SeededRng rng(3);
  std::string hello;
  AppendHello(&hello, {.program = "noise"});
  for (int i = 0; i < 100; ++i) {
    std::string noise = i % 2 == 0 ? hello : "";
    for (uint64_t size = rng.Below(200); size > 0; --size) {
      noise.push_back(static_cast<char>(rng.Below(4) == 0 ? rng.Next() : rng.Below(18)));
    }
    ASSERT_TRUE(Await(SendNoise(server_->port(), noise)));
  }
  Running& query = Run("two");
  EXPECT_TRUE(*query.end);
  EXPECT_TRUE(Until([&] { return server_->connections() == 1; }));
}

}  // namespace
}  // namespace paceline::native
