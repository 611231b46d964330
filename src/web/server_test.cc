#include "web/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "web/events.h"
#include "web/testing.h"

namespace paceline::web {
namespace {

using testing::Answer;
using testing::Get;
using testing::RawClient;

constexpr std::string_view kHi = "GET /hi HTTP/1.1\r\nHost: test\r\n\r\n";

class ServerTest : public ::testing::Test {
 protected:
  void Start(Limits limits = {}) {
    server_ = std::make_unique<Server>(loop_, ServerOptions{"127.0.0.1", 0, limits});
    server_->Route("/hi", [](const Request& request, Completion done) {
      done(TextResponse(200, "hi " + std::string(request.Query("name"))));
    });
    server_->Route("/tree/", [](const Request& request, Completion done) {
      done(TextResponse(200, "below " + request.path));
    });
    server_->Route("/never", [this](const Request&, Completion done) { kept_ = std::move(done); });
    server_->Route("/dropped", [](const Request&, Completion) {});
    server_->RoutePost("/echo", [](const Request& request, Completion done) {
      done(TextResponse(200, request.body + '|' + std::string(request.Header("x-kind"))));
    });
    server_->Route("/events", [this](const Request&, Completion done) {
      events_ = std::make_shared<EventStream>();
      events_->Send("first", "1");
      done(EventsResponse(events_));
    });
    const Status started = server_->Start();
    ASSERT_TRUE(started) << started.error().ToString();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void TearDown() override {
    loop_.Stop();
    if (thread_.joinable()) thread_.join();
    if (server_) server_->Stop();
  }
  uint16_t port() const { return server_->port(); }
  // The answer to `request`, after which the server has closed.
  Answer Refused(std::string_view request) {
    RawClient client(port());
    client.Send(request);
    Answer answer = client.Read();
    EXPECT_TRUE(client.ReadsEnd()) << answer.head;
    return answer;
  }

  io::Loop loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
  Completion kept_;
  std::shared_ptr<EventStream> events_;
};

TEST_F(ServerTest, EventsComeUntilTheStreamIsClosed) {
  Start();
  RawClient client(port());
  client.Send("GET /events HTTP/1.1\r\nHost: test\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("data: 1\n\n"),
              ::testing::AllOf(::testing::HasSubstr("200 OK"),
                               ::testing::HasSubstr("Content-Type: text/event-stream"),
                               ::testing::HasSubstr("event: first\n"),
                               ::testing::Not(::testing::HasSubstr("Content-Length"))));
  EXPECT_TRUE(events_->Send("second", "2"));
  EXPECT_THAT(client.ReadUntil("data: 2\n\n"), ::testing::HasSubstr("event: second\n"));
  events_->Send("last", "3");
  events_->Close();
  EXPECT_THAT(client.ReadUntil("data: 3\n\n"), ::testing::HasSubstr("event: last\n"));
  EXPECT_TRUE(client.ReadsEnd());
  EXPECT_FALSE(events_->Send("after", "4"));
}

TEST_F(ServerTest, AClientThatIsGoneEndsItsStream) {
  Start();
  {
    RawClient client(port());
    client.Send("GET /events HTTP/1.1\r\nHost: test\r\n\r\n");
    client.ReadUntil("data: 1\n\n");
  }
  for (int tries = 0; tries < 1000 && events_->Send("more", "?"); ++tries) {
    std::this_thread::yield();
    Get(port(), "/hi");
  }
  EXPECT_TRUE(events_->closed());
}

TEST(EventStreamTest, AClientThatDoesNotReadIsLetGo) {
  EventStream stream;
  const std::string data(1 << 20, 'x');
  int sent = 0;
  while (stream.Send("more", data)) ASSERT_LT(++sent, 5);
  EXPECT_TRUE(stream.closed());
  EXPECT_EQ(stream.Take(), "");
}

TEST_F(ServerTest, RoutesAndKeepsTheConnection) {
  Start();
  RawClient client(port());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.Send("GET /hi?x=1&name=a+b%26%C3%A9 HTTP/1.1\r\nHost: test\r\n\r\n"));
    const Answer answer = client.Read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hi a b&\xC3\xA9");
    EXPECT_EQ(answer.Header("x-content-type-options"), "nosniff");
    EXPECT_EQ(answer.Header("cache-control"), "no-store");
    EXPECT_THAT(answer.Header("content-security-policy"), ::testing::HasSubstr("'none'"));
  }
  // Two at once are answered in order.
  ASSERT_TRUE(client.Send(std::string(kHi) + "GET /tree/a/b HTTP/1.1\r\n\r\n"));
  EXPECT_EQ(client.Read().body, "hi ");
  EXPECT_EQ(client.Read().body, "below /tree/a/b");
}

TEST_F(ServerTest, HeadHasNoBody) {
  Start();
  RawClient client(port());
  client.Send("HEAD /hi HTTP/1.1\r\n\r\n");
  const Answer head = client.Read(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("content-length"), "3");
  client.Send(kHi);
  EXPECT_EQ(client.Read().body, "hi ");
}

TEST_F(ServerTest, UnknownPagesAndMethods) {
  Start();
  EXPECT_EQ(Get(port(), "/").status, 404);
  EXPECT_EQ(Get(port(), "/hi/").status, 404);
  EXPECT_EQ(Get(port(), "/tree").status, 404);
  EXPECT_EQ(Get(port(), "/tree/").body, "below /tree/");
  EXPECT_EQ(Get(port(), "/echo").status, 405);
  const Answer refused = Refused("DELETE /hi HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.Header("allow"), "GET, HEAD");
  EXPECT_EQ(Refused("BREW /hi HTTP/1.1\r\nConnection: close\r\n\r\n").status, 405);
}

TEST_F(ServerTest, PathsCannotClimb) {
  Start();
  for (const char* path : {"/tree/../hi", "/tree/%2e%2e/hi", "/tree/./x", "/tree//x", "//tree/x",
                           "/tree/a%2fb", "/tree/a%5Cb", "/tree/a\\b", "/tree/%00", "/tree/%zz",
                           "/tree/%4", "/tree/%0a", "/tree/..", "http://else/hi", "*"}) {
    EXPECT_EQ(Get(port(), path).status, 400) << path;
  }
  EXPECT_EQ(Get(port(), "/hi?name=%g0").status, 400);
  EXPECT_EQ(Get(port(), "/tree/a..b").status, 200);
}

TEST_F(ServerTest, MalformedRequestsGetOneRefusal) {
  Start();
  for (const char* request :
       {"nonsense\r\n\r\n", "GET /hi HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET /hi HTTP/1.1\r\nBad Header\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
    EXPECT_EQ(Refused(request).status, 400) << request;
  }
  EXPECT_EQ(Get(port(), "/hi").status, 200);
}

TEST_F(ServerTest, BodiesUpToTheLimit) {
  Limits limits;
  limits.body_bytes = 1000;
  Start(limits);
  RawClient client(port());
  client.Send("POST /echo HTTP/1.1\r\nX-Kind: k\r\nContent-Length: 1000\r\n\r\n" +
              std::string(1000, 'x'));
  EXPECT_EQ(client.Read().body, std::string(1000, 'x') + "|k");
  // The answer arrives although the client goes on sending.
  EXPECT_EQ(
      Refused("POST /echo HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000000, 'x'))
          .status,
      413);
  std::string chunked = "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunked += "64\r\n" + std::string(100, 'x') + "\r\n";
  EXPECT_EQ(Refused(chunked).status, 413);
}

TEST_F(ServerTest, HeadersUpToTheLimit) {
  Limits limits;
  limits.header_bytes = 1000;
  Start(limits);
  EXPECT_EQ(Refused("GET /hi HTTP/1.1\r\nA: " + std::string(2000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(Refused("GET /" + std::string(200000, 'x') + " HTTP/1.1\r\n\r\n").status, 431);
}

TEST_F(ServerTest, DrippingRequestsAreCutOff) {
  Limits limits;
  limits.receive = 100ms;
  Start(limits);
  RawClient silent(port());
  EXPECT_TRUE(silent.ReadsEnd());
  RawClient dripping(port());
  // A byte now and then does not prolong it: within 10 s of sending it must be over.
  bool over = false;
  const Deadline limit = Deadline::In(10s);
  dripping.Send("GET /hi HTTP/1.1\r\n");
  while (!over && !limit.Passed(SystemClock().Now())) over = !dripping.Send("A: b\r\n");
  EXPECT_TRUE(over);
  EXPECT_EQ(Get(port(), "/hi").status, 200);
}

TEST_F(ServerTest, IdleConnectionsEnd) {
  Limits limits;
  limits.idle = 50ms;
  Start(limits);
  RawClient client(port());
  client.Send(kHi);
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_TRUE(client.ReadsEnd());
}

TEST_F(ServerTest, HandlersThatDoNotAnswer) {
  Limits limits;
  limits.handle = 100ms;
  Start(limits);
  EXPECT_EQ(Get(port(), "/dropped").status, 500);
  EXPECT_EQ(Get(port(), "/never").status, 504);
  std::promise<Completion> promise;
  loop_.Post([&] { promise.set_value(std::exchange(kept_, nullptr)); });
  const Completion kept = promise.get_future().get();
  ASSERT_TRUE(kept);
  kept(TextResponse(200, "too late"));
  kept(TextResponse(200, "twice"));
  EXPECT_EQ(Get(port(), "/hi").body, "hi ");
}

TEST_F(ServerTest, TooManyConnections) {
  Limits limits;
  limits.connections = 2;
  Start(limits);
  RawClient first(port());
  first.Send(kHi);
  EXPECT_EQ(first.Read().status, 200);
  {
    RawClient second(port());
    second.Send(kHi);
    EXPECT_EQ(second.Read().status, 200);
    RawClient third(port());
    EXPECT_EQ(third.Read().status, 503);
    EXPECT_TRUE(third.ReadsEnd());
  }
  // The second's place is free again, soon.
  int status = 0;
  for (const Deadline limit = Deadline::In(10s);
       status != 200 && !limit.Passed(SystemClock().Now());) {
    status = Get(port(), "/hi").status;
  }
  EXPECT_EQ(status, 200);
}

TEST_F(ServerTest, StopsWithRequestsUnderWay) {
  Start();
  RawClient waiting(port());
  waiting.Send("GET /never HTTP/1.1\r\n\r\n");
  RawClient idle(port());
  idle.Send(kHi);
  EXPECT_EQ(idle.Read().status, 200);
  loop_.Stop();
  thread_.join();
  const uint16_t was = port();
  server_->Stop();
  kept_ = nullptr;
  EXPECT_TRUE(idle.ReadsEnd());
  Server again(loop_, ServerOptions{"localhost", was, {}});
  EXPECT_TRUE(again.Start());
}

TEST_F(ServerTest, PortInUseIsNamed) {
  Start();
  Server second(loop_, ServerOptions{"127.0.0.1", port(), {}});
  const Status refused = second.Start();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr(std::to_string(port())));
  Server nowhere(loop_, ServerOptions{"203.0.113.1", 0, {}});
  EXPECT_FALSE(nowhere.Start());
}

}  // namespace
}  // namespace paceline::web
