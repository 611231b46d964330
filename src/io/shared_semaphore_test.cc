#include "io/shared_semaphore.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "io/blocking.h"
#include "io/sleep.h"

namespace paceline::io {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMany = 1000;

Task<void> Wait(SharedSemaphore* semaphore, int name, std::vector<std::string>* log,
                Deadline deadline) {
  Status got = co_await semaphore->Acquire(log, kMany, deadline);
  log->push_back(std::to_string(name) + (got ? "" : " " + std::string(got.error().message())));
}

Task<bool> OneLoop(SharedSemaphore* semaphore) {
  std::vector<std::string> log;
  EXPECT_TRUE(semaphore->TryAcquire());
  EXPECT_FALSE(semaphore->TryAcquire());
  Status full = co_await semaphore->Acquire(&log, 0, Deadline::In(1s));
  EXPECT_EQ(full.error().code(), Code::kResourceExhausted);
  Detach(Wait(semaphore, 1, &log, Deadline::In(10s)));
  Detach(Wait(semaphore, 2, &log, Deadline::In(1ms)));
  Detach(Wait(semaphore, 3, &log, Deadline::In(10s)));
  while (log.empty()) co_await SleepUntil(Deadline::In(1ms));
  EXPECT_EQ(log, std::vector<std::string>{"2 nothing became free in time"});
  EXPECT_EQ(semaphore->waiting(), 2u);
  semaphore->Release();
  EXPECT_FALSE(semaphore->TryAcquire());  // it is 1's, though 1 has not run yet
  while (log.size() < 2) co_await SleepUntil(Deadline::In(1ms));
  EXPECT_EQ(log.back(), "1");
  semaphore->Cancel(&log);
  while (log.size() < 3) co_await SleepUntil(Deadline::In(1ms));
  EXPECT_EQ(log.back(), "3 closed");
  semaphore->Release();
  EXPECT_TRUE(semaphore->TryAcquire());
  semaphore->Release();
  co_return true;
}

TEST(SharedSemaphore, InOrderWithinDeadlines) {
  Loop loop;
  SharedSemaphore semaphore(1);
  EXPECT_TRUE(RunUntilDone(loop, OneLoop(&semaphore)));
}

// Threads with a loop each, which end when `left` of their coroutines have ended.
struct Crowd {
  explicit Crowd(size_t permits) : semaphore(permits) {}
  SharedSemaphore semaphore;
  std::atomic<int64_t> held{0}, most{0}, got{0};
};

Task<bool> Work(Crowd* crowd, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    Status got = co_await crowd->semaphore.Acquire(crowd, kMany, Deadline::In(60s));
    EXPECT_TRUE(got);
    if (!got) co_return false;
    int64_t now = crowd->held.fetch_add(1) + 1;
    int64_t most = crowd->most.load();
    while (now > most && !crowd->most.compare_exchange_weak(most, now)) {
    }
    crowd->got.fetch_add(1);
    if (round % 3 == 0) co_await SleepUntil(Deadline::In(Duration(0)));
    crowd->held.fetch_sub(1);
    crowd->semaphore.Release();
  }
  co_return true;
}

Task<void> Count(Crowd* crowd, int rounds, int* left, Event* done) {
  bool worked = co_await Work(crowd, rounds);
  EXPECT_TRUE(worked);
  if (--*left == 0) done->Set();
}

Task<bool> Workers(Crowd* crowd, int workers, int rounds) {
  int left = workers;
  Event done;
  for (int i = 0; i < workers; ++i) Detach(Count(crowd, rounds, &left, &done));
  bool ended = co_await done.Wait(Deadline::In(60s));
  co_return ended;
}

TEST(SharedSemaphore, TheBoundHoldsOverThreadsAndNobodyIsForgotten) {
  constexpr int kThreads = 4, kWorkers = 16, kRounds = 500;
  constexpr size_t kPermits = 3;
  Crowd crowd(kPermits);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&crowd] {
      Loop loop;
      EXPECT_TRUE(RunUntilDone(loop, Workers(&crowd, kWorkers, kRounds)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(crowd.most.load(), static_cast<int64_t>(kPermits));
  EXPECT_EQ(crowd.got.load(), kThreads * kWorkers * kRounds);
  EXPECT_EQ(crowd.semaphore.waiting(), 0u);
  for (size_t i = 0; i < kPermits; ++i) EXPECT_TRUE(crowd.semaphore.TryAcquire());
  EXPECT_FALSE(crowd.semaphore.TryAcquire());
}

TEST(SharedSemaphore, TheLoopThatAskedFirstIsServedFirst) {
  SharedSemaphore semaphore(1);
  ASSERT_TRUE(semaphore.TryAcquire());
  Loop here, there;
  std::vector<std::string> log_here, log_there;
  std::atomic<bool> there_has{false};
  there.Post([&] { Detach(Wait(&semaphore, 1, &log_there, Deadline::In(60s))); });
  std::thread thread([&] { there.Run(); });
  while (semaphore.waiting() < 1) std::this_thread::yield();
  struct Here {
    static Task<bool> Run(SharedSemaphore* semaphore, std::vector<std::string>* log) {
      Detach(Wait(semaphore, 2, log, Deadline::In(60s)));
      semaphore->Release();
      // 1 keeps it, so 2 gets its own only from the second release.
      semaphore->Release();
      while (log->empty()) co_await SleepUntil(Deadline::In(1ms));
      co_return true;
    }
  };
  EXPECT_TRUE(RunUntilDone(here, Here::Run(&semaphore, &log_here)));
  there.Post([&] { there_has = log_there.size() == 1; });
  there.Post([&] { there.Stop(); });
  thread.join();
  EXPECT_TRUE(there_has);
  EXPECT_EQ(log_here, std::vector<std::string>{"2"});
}

}  // namespace
}  // namespace paceline::io
