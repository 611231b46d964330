#include "vtgate/health_gateway.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "io/blocking.h"
#include "io/sleep.h"
#include "topo/open.h"

namespace paceline::vtgate {
namespace {

class FakeTablet final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest&, port::ResultSink&,
                                           Deadline) override {
    co_return Fail(Code::kUnimplemented, "a fake");
  }
  io::Task<Status> Release(record::Target, uint64_t, Deadline) override { co_return Status(); }
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline) override {
    while (!closed) {
      sink.OnHealth(health);
      bool told = co_await news.Wait(Deadline::In(50ms));
      (void)told;
    }
    co_return Fail(Code::kUnavailable, "closed");
  }
  io::Task<void> Close() override {
    closed = true;
    news.Pulse();
    co_return;
  }
  port::TabletHealth health;
  bool closed = false;
  io::Event news;
};

struct OneTablet final : health::Dialer {
  port::QueryServicePtr Dial(const record::Tablet&) override { return tablet; }
  std::shared_ptr<FakeTablet> tablet = std::make_shared<FakeTablet>();
};

const record::Target kTarget{"ks", "0", record::TabletType::kPrimary, ""};

struct Waiter {
  explicit Waiter(HealthGateway& at) : gateway(at), place(10) {}
  HealthGateway& gateway;
  BufferPlace place;
  std::optional<Status> ended;
};

io::Task<void> WaitUntilPicked(Waiter* waiter) {
  while (!waiter->gateway.Pick(kTarget, waiter->place)) {
    Status waited =
        co_await waiter->gateway.Wait(kTarget, false, &waiter->place, Deadline::In(10s));
    if (!waited) {
      waiter->ended = waited;
      co_return;
    }
  }
  waiter->ended = Status();
}

io::Task<void> Soon() { co_await io::SleepUntil(Deadline::In(10ms)); }

io::Task<bool> Story(io::Loop& loop) {
  topo::OpenOptions open;
  open.implementation = "memory";
  open.global_address = "health_gateway";
  open.global_root = "/global";
  auto opened = topo::OpenServer(open);
  if (!opened) co_return false;
  topo::Server& topo = **opened;
  record::CellInfo cell{"health_gateway", "/zone1"};
  Status made = co_await topo.CreateCellInfo("zone1", cell, Deadline::In(5s));
  record::Tablet record;
  record.alias = {"zone1", 1};
  record.hostname = "localhost";
  record.keyspace = "ks";
  record.shard = "0";
  Status added = co_await topo.CreateTablet(record, Deadline::In(5s));
  if (!made || !added) co_return false;
  OneTablet dialer;
  port::TabletHealth& health = dialer.tablet->health;
  health.alias = record.alias;
  health.target = kTarget;
  health.term = 3;
  health.position = "MySQL56/u:1-4";
  SeededRng rng(1);
  health::WatcherOptions options;
  options.cells = {"zone1"};
  health::Watcher watcher(loop, options, topo, dialer, nullptr, rng);
  Metrics registry;
  FailoverMetrics metrics(registry);
  HealthGateway::ServiceOf service_of = [&dialer](const record::TabletAlias&) {
    return dialer.tablet;
  };
  BufferOptions buffer;
  buffer.requests = 2;
  buffer.window = 300ms;
  {
    auto turns = std::make_shared<ReplayTurns>();
    HealthGateway gateway(watcher, service_of, buffer, metrics, turns);
    // As of another loop: the turns are the same.
    HealthGateway other(watcher, service_of, buffer, metrics, turns);
    watcher.Start();
    // Two wait, a third is refused; the replay waits at the other loop.
    auto one = std::make_unique<Waiter>(gateway), replay = std::make_unique<Waiter>(other),
         killed = std::make_unique<Waiter>(gateway), late = std::make_unique<Waiter>(gateway);
    other.BeginReplay(kTarget, &replay->place);
    io::Detach(WaitUntilPicked(one.get()));
    io::Detach(WaitUntilPicked(replay.get()));
    io::Detach(WaitUntilPicked(killed.get()));
    io::Detach(WaitUntilPicked(late.get()));
    EXPECT_TRUE(late->ended && !*late->ended);
    if (late->ended && !*late->ended) {
      EXPECT_NE(late->ended->error().message().find("buffer is full"), std::string::npos);
      EXPECT_NE(late->ended->error().message().find("no healthy tablet"), std::string::npos);
    }
    killed->place.Interrupt();
    co_await Soon();
    EXPECT_TRUE(killed->ended && !*killed->ended);
    // A primary comes: what is to be replayed goes first.
    while (watcher.view().size() == 0) co_await Soon();
    health.serving = true;
    dialer.tablet->news.Pulse();
    while (!replay->ended) co_await Soon();
    EXPECT_TRUE(*replay->ended);
    EXPECT_FALSE(one->ended);
    replay->place.EndReplay();
    co_await Soon();
    EXPECT_TRUE(one->ended && *one->ended);
    one.reset(), replay.reset(), killed.reset(), late.reset();  // with their places
    BufferPlace place(1);
    std::optional<Chosen> chosen = gateway.Pick(kTarget, place);
    EXPECT_TRUE(chosen && chosen->primary->term.term == 3);
    EXPECT_TRUE(chosen && chosen->primary->position == "MySQL56/u:1-4");
    // It goes, and none comes in time.
    health.serving = false;
    dialer.tablet->news.Pulse();
    co_await Soon();
    Waiter vain(gateway);
    io::Detach(WaitUntilPicked(&vain));
    while (!vain.ended) co_await Soon();
    EXPECT_FALSE(*vain.ended);
    EXPECT_EQ(metrics.buffered.value(), 4);
    EXPECT_EQ(metrics.buffer_refused.value(), 1);
    EXPECT_EQ(metrics.buffer_expired.value(), 1);
    co_await watcher.Stop();
  }
  co_await topo.Stop();
  co_return true;
}

TEST(HealthGateway, RequestsWaitForAPrimary) {
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, Story(loop)));
}

}  // namespace
}  // namespace paceline::vtgate
