// A real etcd that is killed, restarted, compacted, and one endpoint of several that is dead.
#include <gtest/gtest.h>

#include <csignal>

#include "io/blocking.h"
#include "io/stream.h"
#include "topo/conformance/etcd_process.h"
#include "topo/etcd/client.h"
#include "topo/etcd/etcd_conn.h"

namespace paceline::topo::etcd {
namespace {

#define NEED(condition)                     \
  if (!(condition)) {                       \
    ADD_FAILURE() << "needed: " #condition; \
    co_return false;                        \
  }

Deadline Soon() { return Deadline::In(15s); }

io::Task<bool> Restart(io::Loop& loop, conformance::EtcdProcess& process) {
  EtcdOptions options;
  // The first endpoint has no server.
  options.endpoints = "127.0.0.1:1," + process.endpoint();
  options.root = "/vitess/global";
  Result<ConnPtr> opened = Open(loop, options);
  NEED(opened);
  Conn& conn = **opened;
  Result<Version> first = co_await conn.Create("keyspaces/ks/shards/0/Shard", "one", Soon());
  NEED(first);
  bool healed = false;
  {
    Result<WatchPtr> watch = co_await conn.OpenWatchRecursive("keyspaces", Soon());
    NEED(watch);
    Result<WatchEvent> event = co_await (*watch)->Next(Soon());
    NEED(event && event->file.data == "one");
    event = co_await (*watch)->Next(Soon());
    NEED(event && event->kind == WatchEvent::Kind::kSynced);
    LockOptions lock_options;
    lock_options.lease = 10s;
    Result<LockPtr> lock = co_await conn.AcquireLock("keyspaces/ks/shards/0", lock_options, Soon());
    NEED(lock);
    co_await process.Kill();
    // Down: reads and writes end in time.
    Time start = loop.Now();
    Result<File> down = co_await conn.Get("keyspaces/ks/shards/0/Shard", Deadline::In(400ms));
    NEED(!down);
    EXPECT_EQ(down.error().code(), Code::kUnavailable);
    Result<Version> unwritten =
        co_await conn.Update("keyspaces/ks/shards/0/Shard", "x", *first, Deadline::In(400ms));
    NEED(!unwritten);
    EXPECT_EQ(unwritten.error().code(), Code::kUnavailable);
    EXPECT_LT(loop.Now() - start, 2s);
    Result<WatchPtr> no_watch = co_await conn.OpenWatch("x", Deadline::In(300ms));
    EXPECT_FALSE(no_watch);
    Status restarted = process.Start();
    NEED(restarted);
    Result<Version> second =
        co_await conn.Update("keyspaces/ks/shards/0/Shard", "two", *first, Soon());
    NEED(second);
    event = co_await (*watch)->Next(Soon());
    NEED(event);
    EXPECT_EQ(event->file.data, "two");
    // The lock's lease went on over the restart.
    Status held = co_await (*lock)->CheckHeld(Soon());
    EXPECT_TRUE(held);
    Status released = co_await (*lock)->Release(Soon());
    EXPECT_TRUE(released);
    healed = true;
  }
  co_await conn.Stop();
  co_return healed;
}

TEST(EtcdRestart, CallsWatchesAndLocksHeal) {
  io::Loop loop;
  conformance::EtcdProcess process(loop);
  if (!process.Start()) GTEST_SKIP() << "etcd is not installed";
  EXPECT_TRUE(io::RunUntilDone(loop, Restart(loop, process)));
}

// A stream that asks for a compacted revision says so; a watch that is held up meanwhile tells the
// last version.
io::Task<bool> Compact(io::Loop& loop, conformance::EtcdProcess& process) {
  EtcdOptions options;
  options.endpoints = process.endpoint();
  options.root = "/r";
  Result<std::unique_ptr<Client>> client = Client::Make(loop, options);
  NEED(client);
  Result<WriteResult> put;
  for (int i = 0; i < 10; ++i) {
    put = co_await (*client)->Put("/r/k", std::to_string(i), kAnything, 0, Soon());
    NEED(put && put->done);
  }
  Status compacted = co_await (*client)->Compact(put->revision, Soon());
  NEED(compacted);
  {
    auto stream = (*client)->Watch("/r/k", "", 2);
    bool told = false;
    while (!told) {
      Result<WatchBatch> batch = co_await stream->Next();
      NEED(batch);
      told = batch->compacted;
    }
  }
  co_await (*client)->Stop();
  co_return true;
}

TEST(EtcdRestart, ACompactedRevisionIsTold) {
  io::Loop loop;
  conformance::EtcdProcess process(loop);
  if (!process.Start()) GTEST_SKIP() << "etcd is not installed";
  EXPECT_TRUE(io::RunUntilDone(loop, Compact(loop, process)));
}

// A store that was founded anew is another one: what it lacks is not told as deleted, what it has
// is told whatever its version.
io::Task<bool> FoundAnew(io::Loop& loop, conformance::EtcdProcess& process) {
  EtcdOptions options;
  options.endpoints = process.endpoint();
  options.root = "/vitess/global";
  Result<ConnPtr> opened = Open(loop, options);
  NEED(opened);
  Conn& conn = **opened;
  EXPECT_EQ(conn.Identity(), "");
  for (const char* path : {"cells/a", "cells/b"}) {
    Path to = path;
    Result<Version> made = co_await conn.Create(std::move(to), "old", Soon());
    NEED(made);
  }
  bool told = false;
  {
    Result<WatchPtr> watch = co_await conn.OpenWatchRecursive("cells", Soon());
    NEED(watch);
    for (int i = 0; i < 3; ++i) {
      Result<WatchEvent> event = co_await (*watch)->Next(Soon());
      NEED(event);
    }
    std::string before = conn.Identity();
    EXPECT_NE(before, "");
    co_await process.LoseDisk();
    Status restarted = process.Start();
    NEED(restarted);
    // The same version as the old one had.
    Result<Version> made = co_await conn.Create("cells/a", "new", Soon());
    NEED(made);
    EXPECT_NE(conn.Identity(), before);
    Result<WatchEvent> event = co_await (*watch)->Next(Soon());
    NEED(event && event->kind == WatchEvent::Kind::kValue);
    EXPECT_EQ(event->file.data, "new");
    // From now on deletions count again; b was not told.
    Status deleted = co_await conn.Delete("cells/a", kAnyVersion, Soon());
    NEED(deleted);
    event = co_await (*watch)->Next(Soon());
    NEED(event);
    EXPECT_EQ(event->kind, WatchEvent::Kind::kDeleted);
    EXPECT_EQ(event->file.path, "cells/a");
    told = true;
  }
  co_await conn.Stop();
  co_return told;
}

TEST(EtcdRestart, AStoreFoundedAnewIsAnotherOne) {
  io::Loop loop;
  conformance::EtcdProcess process(loop);
  if (!process.Start()) GTEST_SKIP() << "etcd is not installed";
  EXPECT_TRUE(io::RunUntilDone(loop, FoundAnew(loop, process)));
}

TEST(EtcdOptions, BadEndpointsAreRefused) {
  io::Loop loop;
  for (std::string endpoints : {"", "nohost", "a:1,b"}) {
    EtcdOptions options;
    options.endpoints = endpoints;
    auto conn = Open(loop, options);
    ASSERT_FALSE(conn);
    EXPECT_EQ(conn.error().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace paceline::topo::etcd
