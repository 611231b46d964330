#include "rpc/server.h"

#include <gtest/gtest.h>

#include <atomic>

#include "io/sync.h"
#include "rpc/method.h"
#include "rpc/testing.h"
#include "tabletmanagerdata.pb.h"

namespace paceline::rpc {
namespace {

using tabletmanagerdata::PingRequest;
using tabletmanagerdata::PingResponse;

constexpr char kPing[] = "/test.Service/Ping";
constexpr char kStream[] = "/test.Service/Stream";

struct Observed {
  std::atomic<int> canceled{0}, ended{0}, sent{0};
};

// What the payload asks for is what happens.
io::Task<Status> Serve(ServerCall& call, const PingRequest& request, PingResponse& response,
                       Observed& seen) {
  std::string word = request.payload();
  if (word == "mysql") co_return Fail(Error::FromMysql(1146, "42S02", "Table 't' doesn't exist"));
  if (word == "cluster") co_return Fail(Code::kClusterEvent, "not serving");
  if (word == "readonly") co_return Fail(Code::kReadOnly, "read only");
  if (word == "wait") {
    co_await call.WaitCanceled();
    if (call.canceled()) ++seen.canceled;
    ++seen.ended;
    co_return Fail(Code::kCanceled, "told to stop");
  }
  response.set_payload(word + "!");
  co_return Status();
}

io::Task<Status> ServeStream(ServerCall& call, const PingRequest& request, Observed& seen) {
  int64_t count = std::stoll(request.payload());
  std::string body(20'000, 'x');
  for (int64_t i = 0; i < count; ++i) {
    PingResponse message;
    message.set_payload(std::to_string(i) + " " + body);
    Status sent = co_await call.Send(message);
    if (!sent) {
      ++seen.canceled;
      ++seen.ended;
      co_return sent;
    }
    ++seen.sent;
  }
  ++seen.ended;
  if (count == 3) co_return Fail(Code::kNotFound, "three is not enough");
  co_return Status();
}

struct RpcTest : ::testing::Test {
  RpcTest() {
    pair.server.Add(
        pair.server_loop,
        UnaryHandler<PingRequest, PingResponse>(
            kPing, [this](ServerCall& call, const PingRequest& request, PingResponse& response) {
              return Serve(call, request, response, seen);
            }));
    pair.server.Add(
        pair.server_loop,
        StreamHandler<PingRequest>(kStream, [this](ServerCall& call, const PingRequest& request) {
          return ServeStream(call, request, seen);
        }));
    pair.Start();
  }
  void WaitFor(std::atomic<int>& counter, int value) {
    for (int i = 0; i < 500 && counter != value; ++i) {
      io::Gate gate;
      pair.Await(Wrap(gate));
    }
    EXPECT_EQ(counter, value);
  }
  static io::Task<bool> Wrap(io::Gate& gate) {
    bool slept = co_await io::Sleep(gate, Deadline::In(10ms));
    co_return slept;
  }
  Status Ping(const char* method, std::string payload, Deadline deadline,
              std::string* answer = nullptr) {
    PingRequest request;
    request.set_payload(payload);
    PingResponse response;
    Status status = pair.Await(pair.channel()->Unary(method, request, response, deadline));
    if (answer != nullptr) *answer = response.payload();
    return status;
  }
  std::unique_ptr<ClientStream> Open(std::string count, Deadline deadline) {
    PingRequest request;
    request.set_payload(count);
    return pair.channel()->Stream(kStream, request, deadline);
  }

  Observed seen;
  Pair pair;
};

TEST_F(RpcTest, UnaryAnswersAndErrors) {
  std::string answer;
  Status ok = Ping(kPing, "hello", Deadline::In(10s), &answer);
  ASSERT_TRUE(ok) << ok.error().message();
  EXPECT_EQ(answer, "hello!");

  Status mysql = Ping(kPing, "mysql", Deadline::In(10s));
  ASSERT_FALSE(mysql);
  EXPECT_EQ(mysql.error().mysql_errno(), 1146);
  EXPECT_EQ(mysql.error().sqlstate(), "42S02");
  EXPECT_EQ(mysql.error().message(), "Table 't' doesn't exist");

  // Codes that gRPC itself does not know.
  EXPECT_EQ(Ping(kPing, "cluster", Deadline::In(10s)).error().code(), Code::kClusterEvent);
  EXPECT_EQ(Ping(kPing, "readonly", Deadline::In(10s)).error().code(), Code::kReadOnly);

  Status unknown = Ping("/test.Service/Nothing", "", Deadline::In(10s));
  EXPECT_EQ(unknown.error().code(), Code::kUnimplemented);
  EXPECT_EQ(unknown.error().message(), "/test.Service/Nothing is not offered here");
}

TEST_F(RpcTest, DeadlineEndsBothSides) {
  Status status = Ping(kPing, "wait", Deadline::In(100ms));
  EXPECT_EQ(status.error().code(), Code::kDeadlineExceeded);
  WaitFor(seen.ended, 1);
}

TEST_F(RpcTest, PassedDeadlineFailsAtOnce) {
  EXPECT_EQ(Ping(kPing, "hello", Deadline::In(0s)).error().code(), Code::kDeadlineExceeded);
}

TEST_F(RpcTest, CloseCancelsTheHandler) {
  struct Calls {
    static io::Task<Status> Run(ChannelPtr channel) {
      PingRequest request;
      request.set_payload("wait");
      PingResponse response;
      Status status = co_await channel->Unary(kPing, request, response, Deadline::In(60s));
      co_return status;
    }
    static io::Task<Status> Both(ChannelPtr channel) {
      io::Loop::Current().Post([channel] { io::Detach(channel->Close()); });
      io::Task<Status> call = Run(channel);
      Status status = co_await call;
      co_return status;
    }
  };
  EXPECT_EQ(pair.Await(Calls::Both(pair.channel())).error().code(), Code::kCanceled);
  EXPECT_EQ(Ping(kPing, "hello", Deadline::In(1s)).error().code(), Code::kCanceled);
}

TEST_F(RpcTest, CancelFunctionReachesTheHandler) {
  struct Calls {
    static io::Task<Status> Run(ChannelPtr channel, std::function<void()>& cancel) {
      PingRequest request;
      request.set_payload("wait");
      PingResponse response;
      Status status = co_await channel->Unary(kPing, request, response, Deadline::In(60s), &cancel);
      co_return status;
    }
  };
  std::function<void()> cancel;
  Status warm = Ping(kPing, "warm", Deadline::In(10s));
  ASSERT_TRUE(warm);
  // Posted before the call begins, run after it has.
  pair.client_loop.Post([&] {
    pair.client_loop.Post([&] {
      ASSERT_TRUE(cancel);
      cancel();
    });
  });
  Status status = pair.Await(Calls::Run(pair.channel(), cancel));
  EXPECT_EQ(status.error().code(), Code::kCanceled);
}

TEST_F(RpcTest, StreamDeliversAllInOrder) {
  std::unique_ptr<ClientStream> stream = Open("500", Deadline::In(30s));
  int next = 0;
  for (;;) {
    PingResponse message;
    Result<bool> more = pair.Await(stream->Next(message, Deadline::In(10s)));
    ASSERT_TRUE(more) << more.error().message();
    if (!*more) break;
    ASSERT_TRUE(message.payload().starts_with(std::to_string(next) + " "));
    ++next;
  }
  EXPECT_EQ(next, 500);
}

TEST_F(RpcTest, StreamEndsWithTheHandlersError) {
  std::unique_ptr<ClientStream> stream = Open("3", Deadline::In(30s));
  PingResponse message;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(*pair.Await(stream->Next(message, Deadline::In(10s))));
  Result<bool> end = pair.Await(stream->Next(message, Deadline::In(10s)));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code(), Code::kNotFound);
  EXPECT_EQ(end.error().message(), "three is not enough");
}

TEST_F(RpcTest, SlowReaderStopsTheSender) {
  std::unique_ptr<ClientStream> stream = Open("100000", Deadline::In(60s));
  PingResponse message;
  ASSERT_TRUE(*pair.Await(stream->Next(message, Deadline::In(10s))));
  int before = -1;
  for (int i = 0; i < 200 && before != seen.sent; ++i) {
    before = seen.sent;
    io::Gate gate;
    pair.Await(Wrap(gate));
  }
  // 2 GB are asked for; the queues of both ends and gRPC's windows hold a few MB at most.
  EXPECT_LT(seen.sent, 2000);
  stream->Cancel();
  WaitFor(seen.ended, 1);
  EXPECT_EQ(seen.canceled, 1);
}

TEST_F(RpcTest, NobodyListening) {
  Result<ChannelPtr> dead = Channel::Open(pair.client_loop, "127.0.0.1:1", ChannelOptions());
  PingRequest request;
  PingResponse response;
  Status status = pair.Await((*dead)->Unary(kPing, request, response, Deadline::In(20s)));
  EXPECT_EQ(status.error().code(), Code::kUnavailable);
  EXPECT_TRUE(status.error().message().starts_with("127.0.0.1:1: ")) << status.error().message();
  pair.Await((*dead)->Close());
}

TEST_F(RpcTest, PortInUse) {
  Server second;
  ServerOptions options;
  options.address = fmt::format("127.0.0.1:{}", pair.server.port());
  Status started = second.Start(options);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kAlreadyExists);
  EXPECT_NE(started.error().message().find(options.address), std::string::npos);
}

TEST_F(RpcTest, ShutdownEndsStreamsAndCalls) {
  std::unique_ptr<ClientStream> stream = Open("100000", Deadline::Never());
  PingResponse message;
  ASSERT_TRUE(*pair.Await(stream->Next(message, Deadline::In(10s))));
  ASSERT_TRUE(pair.server.ShutdownBlocking(Deadline::In(50ms)));
  Result<bool> more = true;
  while (more && *more) more = pair.Await(stream->Next(message, Deadline::In(10s)));
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().code(), Code::kDeadlineExceeded) << more.error().message();
  EXPECT_EQ(Ping(kPing, "hello", Deadline::In(10s)).error().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace paceline::rpc
