#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "io/blocking.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/resolve.h"
#include "io/stream.h"
#include "io/sync.h"
#include "io/task.h"
#include "io/testing.h"
#include "io/tls.h"

namespace paceline::io {
namespace {

Task<int> Identity(int value) { co_return value; }

Task<int64_t> SumOf(int count) {
  int64_t sum = 0;
  for (int i = 0; i < count; ++i) {
    int value = co_await Identity(i);
    sum += value;
  }
  co_return sum;
}

TEST(Task, AMillionAwaitsKeepTheStackFlat) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, SumOf(1'000'000)), 499'999'500'000);
}

Task<int> PingPong(Semaphore& mine, Semaphore& other, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    Status got = co_await mine.Acquire(Deadline::In(30s));
    if (!got) co_return i;
    other.Release();
  }
  co_return rounds;
}

Task<void> PingPongDetached(Semaphore& mine, Semaphore& other, int rounds, int& done) {
  int played = co_await PingPong(mine, other, rounds);
  done = played;
}

Task<int> TwoPlayers() {
  Semaphore left(1), right(0);
  int done = 0;
  Detach(PingPongDetached(right, left, 200'000, done));
  int played = co_await PingPong(left, right, 200'000);
  Status last = co_await left.Acquire(Deadline::In(5s));  // the other's last release
  co_return last ? std::min(played, done) : -1;
}

TEST(Sync, WakeUpsDoNotNest) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, TwoPlayers()), 200'000);
}

Task<std::vector<int>> WaitsEndInOrder() {
  std::vector<int> order;
  Event never;
  for (int i : {3, 1, 2}) {
    struct Waiter {
      static Task<void> Run(Event& event, int i, std::vector<int>& order) {
        bool set = co_await event.Wait(Deadline::In(i * 10ms));
        order.push_back(set ? -1 : i);
      }
    };
    Detach(Waiter::Run(never, i, order));
  }
  bool set = co_await never.Wait(Deadline::In(60ms));
  order.push_back(set ? -1 : 6);
  co_return order;
}

TEST(Sync, TimersFireInOrder) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, WaitsEndInOrder()), (std::vector<int>{1, 2, 3, 6}));
}

Task<bool> GateWaitsForGuests() {
  Gate gate;
  std::optional<Gate::Pass> pass = gate.Enter();
  bool early = co_await gate.Close(Deadline::In(5ms));
  bool refused = !gate.Enter().has_value();
  pass.reset();
  bool closed = co_await gate.Close(Deadline::In(1s));
  co_return !early && refused && closed;
}

TEST(Sync, GateWaitsForGuests) {
  Loop loop;
  EXPECT_TRUE(RunUntilDone(loop, GateWaitsForGuests()));
}

Task<void> Consume(Channel<int>& channel, int64_t& sum) {
  for (;;) {
    Result<std::optional<int>> item = co_await channel.Pop(Deadline::In(5s));
    if (!item || !*item) co_return;
    sum += **item;
  }
}

Task<int64_t> ThroughAChannel() {
  Channel<int> channel(3);
  int64_t sum = 0;
  Detach(Consume(channel, sum));
  for (int i = 1; i <= 1000; ++i) {
    Status pushed = co_await channel.Push(i, Deadline::In(5s));
    if (!pushed) co_return -1;
  }
  channel.Close();
  Gate gate;
  bool open = co_await Sleep(gate, Deadline::In(5ms));
  co_return open ? sum : -2;
}

TEST(Sync, ChannelIsBoundedAndDrains) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, ThroughAChannel()), 500'500);
}

Task<void> Echo(Listener& listener, bool& done) {
  Result<int> fd = co_await listener.Accept(Deadline::In(5s));
  if (!fd) co_return;
  Socket socket(Loop::Current(), *fd);
  Writer writer(socket);
  char buffer[4096];
  for (;;) {
    Result<size_t> got = co_await socket.Read(buffer, sizeof buffer, Deadline::In(5s));
    if (!got) break;
    writer.Append({buffer, *got});
    Status room = co_await writer.WaitBelow(64 * 1024, Deadline::In(5s));
    if (!room) break;
  }
  done = true;
}

Task<void> ReadBack(Stream& stream, size_t size, std::string& out, Event& done) {
  out.resize(size);
  Status got = co_await stream.ReadFull(out.data(), size, Deadline::In(20s));
  if (!got) out = got.error().ToString();
  done.Set();
}

Task<std::string> EchoSession(Address address, size_t size) {
  Result<std::unique_ptr<Listener>> listener = Listener::Listen(Loop::Current(), address);
  if (!listener) co_return listener.error().ToString();
  if (!address.is_unix()) address.port = (*listener)->port();
  bool echo_done = false;
  Detach(Echo(**listener, echo_done));
  Result<std::unique_ptr<Socket>> socket = co_await Connect(address, Deadline::In(5s));
  if (!socket) co_return socket.error().ToString();
  std::string sent(size, 'x');
  for (size_t i = 0; i < size; ++i) sent[i] = static_cast<char>(i * 31);
  std::string back;
  Event read_done;
  Detach(ReadBack(**socket, size, back, read_done));
  Status written = co_await (*socket)->WriteAll(sent, Deadline::In(20s));
  if (!written) co_return written.error().ToString();
  bool read = co_await read_done.Wait(Deadline::In(20s));
  socket->reset();
  Gate gate;
  while (!echo_done) {
    bool open = co_await Sleep(gate, Deadline::In(1ms));
    if (!open) break;
  }
  co_return !read ? "timed out" : back == sent ? "same" : "different";
}

TEST(Stream, EchoesMegabytesOverTcpAndUnix) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, EchoSession(Address::Tcp("127.0.0.1", 0), 5'000'000)), "same");
  std::string path = testing::TempDir() + "/paceline-io-test.sock";
  unlink(path.c_str());
  EXPECT_EQ(RunUntilDone(loop, EchoSession(Address::Unix(path), 5'000'000)), "same");
}

TEST(Stream, ASocketFileLeftBehindIsTakenOver) {
  Loop loop;
  std::string path = testing::TempDir() + "/paceline-io-left.sock";
  unlink(path.c_str());
  ASSERT_TRUE(Listener::Listen(loop, Address::Unix(path)));
  Result<std::unique_ptr<Listener>> first = Listener::Listen(loop, Address::Unix(path));
  ASSERT_TRUE(first) << first.error().ToString();
  Result<std::unique_ptr<Listener>> second = Listener::Listen(loop, Address::Unix(path));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
}

// That of a client which asked and that of the server which took it.
Task<bool> BothEndsProbe(Listener* listener) {
  Address address = Address::Tcp("127.0.0.1", listener->port());
  Result<std::unique_ptr<Socket>> socket = co_await Connect(address, Deadline::In(5s));
  Result<int> taken = co_await listener->Accept(Deadline::In(5s));
  if (!socket || !taken) co_return false;
  bool probed = true;
  for (int fd : {(*socket)->fd(), *taken}) {
    int on = 0;
    socklen_t size = sizeof on;
    getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &size);
    probed = probed && on != 0;
  }
  close(*taken);
  co_return probed;
}

TEST(Listener, PeersThatVanishAreProbedFor) {
  Loop loop;
  Result<std::unique_ptr<Listener>> listener = Listener::Listen(loop, Address::Tcp("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  EXPECT_TRUE(RunUntilDone(loop, BothEndsProbe(listener->get())));
}

TEST(Stream, APortInUseIsNamed) {
  Loop loop;
  Result<std::unique_ptr<Listener>> first = Listener::Listen(loop, Address::Tcp("127.0.0.1", 0));
  ASSERT_TRUE(first);
  Result<std::unique_ptr<Listener>> second =
      Listener::Listen(loop, Address::Tcp("127.0.0.1", (*first)->port()));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message().find(std::to_string((*first)->port())), std::string::npos);
}

Task<Code> ReadUntil(Deadline deadline) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) co_return Code::kInternal;
  Socket left(Loop::Current(), pair[0]);
  Socket right(Loop::Current(), pair[1]);
  char byte;
  Result<size_t> got = co_await left.Read(&byte, 1, deadline);
  co_return got ? Code::kOk : got.error().code();
}

TEST(Stream, AReadEndsAtItsDeadline) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, ReadUntil(Deadline::In(10ms))), Code::kDeadlineExceeded);
}

Task<void> AcceptTls(std::unique_ptr<Socket> socket, std::shared_ptr<TlsContext> context,
                     std::string& got, Event& done) {
  Result<StreamPtr> stream = co_await TlsAccept(std::move(socket), context, "", Deadline::In(5s));
  if (stream) {
    got.resize(200'000);
    Status read = co_await (*stream)->ReadFull(got.data(), got.size(), Deadline::In(5s));
    if (!read) got = read.error().ToString();
    Status answered = co_await (*stream)->WriteAll("thanks", Deadline::In(5s));
    if (!answered) got = answered.error().ToString();
  } else {
    got = stream.error().ToString();
  }
  done.Set();
}

Task<std::string> TlsSession(std::shared_ptr<TlsContext> server,
                             std::shared_ptr<TlsContext> client) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0) co_return "socketpair";
  auto left = std::make_unique<Socket>(Loop::Current(), pair[0]);
  auto right = std::make_unique<Socket>(Loop::Current(), pair[1]);
  std::string got;
  Event done;
  Detach(AcceptTls(std::move(left), server, got, done));
  Result<StreamPtr> stream = co_await TlsConnect(std::move(right), client, Deadline::In(5s));
  if (!stream) {
    bool ended = co_await done.Wait(Deadline::In(5s));
    co_return ended ? stream.error().ToString() : "hangs";
  }
  std::string sent(200'000, 'y');
  Status written = co_await (*stream)->WriteAll(sent, Deadline::In(5s));
  if (!written) co_return written.error().ToString();
  char thanks[6];
  Status read = co_await (*stream)->ReadFull(thanks, 6, Deadline::In(5s));
  bool ended = co_await done.Wait(Deadline::In(5s));
  co_return read&& ended&& got == sent ? std::string(thanks, 6) : got;
}

Task<Result<CommandResult>> Shell(std::vector<std::string> argv, Duration limit) {
  ProcessOptions options;
  options.argv = std::move(argv);
  Result<CommandResult> result = co_await RunCommand(options, Deadline::In(limit));
  co_return result;
}

TEST(Tls, CarriesDataAndVerifies) {
  Loop loop;
  std::string dir = testing::TempDir();
  Result<CommandResult> made =
      RunUntilDone(loop, Shell({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                                "/CN=paceline", "-addext", "subjectAltName=DNS:paceline", "-keyout",
                                dir + "/key.pem", "-out", dir + "/cert.pem"},
                               20s));
  ASSERT_TRUE(made && made->exit.code == 0) << (made ? made->output : made.error().ToString());
  auto server = TlsContext::Server({.cert_file = dir + "/cert.pem", .key_file = dir + "/key.pem"});
  auto trusting = TlsContext::Client({.ca_file = dir + "/cert.pem", .server_name = "paceline"});
  auto other_name = TlsContext::Client({.ca_file = dir + "/cert.pem", .server_name = "elsewhere"});
  ASSERT_TRUE(server && trusting && other_name);
  EXPECT_EQ(RunUntilDone(loop, TlsSession(*server, *trusting)), "thanks");
  EXPECT_NE(RunUntilDone(loop, TlsSession(*server, *other_name)), "thanks");
}

TEST(Process, TellsHowACommandEnded) {
  Loop loop;
  Result<CommandResult> result =
      RunUntilDone(loop, Shell({"sh", "-c", "echo out; echo err >&2; exit 3"}, 10s));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit.code, 3);
  EXPECT_EQ(result->output, "out\nerr\n");
  Result<CommandResult> missing = RunUntilDone(loop, Shell({"no-such-program-here"}, 10s));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  Result<CommandResult> slow = RunUntilDone(loop, Shell({"sleep", "600"}, 20ms));
  ASSERT_FALSE(slow);
  EXPECT_EQ(slow.error().code(), Code::kDeadlineExceeded);
}

Task<std::string> KillAndWait() {
  ProcessOptions options;
  options.argv = {"sleep", "600"};
  Result<std::unique_ptr<Process>> child = Process::Start(Loop::Current(), options);
  if (!child) co_return child.error().ToString();
  Result<std::unique_ptr<Process>> adopted = Process::Adopt(Loop::Current(), (*child)->pid());
  if (!adopted) co_return adopted.error().ToString();
  Status killed = (*adopted)->Signal(SIGKILL);
  if (!killed) co_return killed.error().ToString();
  std::optional<ExitStatus> seen = co_await (*adopted)->WaitExit(Deadline::In(5s));
  std::optional<ExitStatus> status = co_await (*child)->WaitExit(Deadline::In(5s));
  co_return (seen ? "seen " : "unseen ") + (status ? status->ToString() : "running");
}

TEST(Process, ADeathIsSeenByParentAndAdopter) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, KillAndWait()), "seen signal 9");
  EXPECT_TRUE(ProcessStartTicks(getpid()).has_value());
}

Task<int> OnAnotherThread() {
  std::function<int()> work = [] { return 42; };
  int value = co_await RunBlocking<int>(std::move(work));
  Worker worker("test");
  std::function<int()> more = [] { return 1; };
  int added = co_await RunOn<int>(worker, std::move(more));
  co_return value + added;
}

Task<void> Forgotten(std::function<bool()> work) {
  [[maybe_unused]] bool done = co_await RunBlocking<bool>(std::move(work));
}

TEST(Blocking, WorkMayEndAfterItsLoop) {
  auto inbox = std::make_unique<Loop>()->inbox();
  inbox->Post([] { FAIL() << "its loop has ended"; });
  std::atomic<bool> begun = false, go_on = false, ended = false;
  {
    Loop loop;
    loop.Post([&] {
      Detach(Forgotten([&] {
        begun = true;
        while (!go_on) std::this_thread::yield();
        return true;
      }));
      loop.Stop();
    });
    loop.Run();
  }
  go_on = true;
  PostBlocking([&] { ended = true; });
  while (!begun || !ended) std::this_thread::yield();
}

TEST(Resolve, TellsAllThatANameStandsFor) {
  Loop loop;
  auto all = RunUntilDone(loop, AddressesOf(Address::Tcp("localhost", 7)));
  ASSERT_TRUE(all);
  ASSERT_FALSE(all->empty());
  for (const Address& one : *all) {
    EXPECT_TRUE(one.ToString() == "127.0.0.1:7" || one.ToString() == "[::1]:7") << one.ToString();
  }
  auto none = RunUntilDone(loop, AddressesOf(Address::Tcp("nowhere.invalid", 7)));
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().ToString().find("nowhere.invalid"), std::string::npos);
}

TEST(FreePortForTest, GivesPortsBelowThoseOfTheKernel) {
  Loop loop;
  const uint16_t first = FreePortForTest(), second = FreePortForTest();
  EXPECT_NE(first, second);
  uint32_t first_of_kernel = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_of_kernel;
  if (first_of_kernel >= 32768) {
    EXPECT_LT(std::max(first, second), first_of_kernel);
  }
  auto taken = Listener::Listen(loop, Address::Tcp("127.0.0.1", first));
  ASSERT_TRUE(taken);
  for (int i = 0; i < 4100; ++i) ASSERT_NE(FreePortForTest(), first);
}

TEST(Blocking, ComesBackToTheLoop) {
  Loop loop;
  EXPECT_EQ(RunUntilDone(loop, OnAnotherThread()), 43);
}

}  // namespace
}  // namespace paceline::io
