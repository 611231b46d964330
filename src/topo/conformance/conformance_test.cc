// The contract of topo/conn.h, held to every backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "io/blocking.h"
#include "io/sync.h"
#include "topo/conformance/backend.h"
#include "topo/lock_text.h"

namespace paceline::topo::conformance {
namespace {

using Kind = WatchEvent::Kind;

// In coroutines, where ASSERT cannot return.
#define NEED(condition)                                     \
  if (!(condition)) {                                       \
    ADD_FAILURE() << "needed: " #condition << " " << Why(); \
    co_return false;                                        \
  }

struct World {
  io::Loop& loop;
  Backend& backend;
  Conn& a;
  Conn& b;
};

Deadline Soon() { return Deadline::In(10s); }
std::string Why() { return ""; }

class Conformance : public testing::TestWithParam<BackendKind> {
 protected:
  void Run(io::Task<bool> (*body)(World)) {
    io::Loop loop;
    std::unique_ptr<Backend> backend = GetParam().make(loop);
    if (backend == nullptr) GTEST_SKIP() << GetParam().name << " is not installed";
    ConnPtr a = backend->Open("/test/global"), b = backend->Open("/test/global");
    World world{loop, *backend, *a, *b};
    bool passed = io::RunUntilDone(loop, Whole(world, body));
    EXPECT_TRUE(passed);
  }
  static io::Task<bool> Whole(World world, io::Task<bool> (*body)(World)) {
    bool passed = co_await body(world);
    co_await world.a.Stop();
    co_await world.b.Stop();
    co_return passed;
  }
};

io::Task<bool> FilesBody(World w) {
  Result<File> none = co_await w.a.Get("x/y", Soon());
  NEED(!none);
  EXPECT_EQ(none.error().code(), Code::kNotFound);
  Result<Version> first = co_await w.a.Create("x/y", "one", Soon());
  NEED(first);
  Result<Version> twice = co_await w.b.Create("x/y", "two", Soon());
  NEED(!twice);
  EXPECT_EQ(twice.error().code(), Code::kAlreadyExists);
  Result<File> got = co_await w.b.Get("x/y", Soon());
  NEED(got);
  EXPECT_EQ(got->data, "one");
  EXPECT_EQ(got->version, *first);
  Result<Version> second = co_await w.b.Update("x/y", "two", *first, Soon());
  NEED(second);
  EXPECT_GT(*second, *first);
  Result<Version> stale = co_await w.a.Update("x/y", "three", *first, Soon());
  NEED(!stale);
  EXPECT_EQ(stale.error().code(), Code::kFailedPrecondition);
  Result<Version> absent = co_await w.a.Update("x/z", "three", *first, Soon());
  NEED(!absent);
  EXPECT_EQ(absent.error().code(), Code::kFailedPrecondition);
  Result<Version> any = co_await w.a.Update("x/z", "", kAnyVersion, Soon());
  NEED(any);
  Result<File> empty = co_await w.b.Get("x/z", Soon());
  NEED(empty);
  EXPECT_EQ(empty->data, "");
  Status moved = co_await w.a.Delete("x/y", *first, Soon());
  NEED(!moved);
  EXPECT_EQ(moved.error().code(), Code::kFailedPrecondition);
  Status deleted = co_await w.a.Delete("x/y", *second, Soon());
  NEED(deleted);
  Status again = co_await w.a.Delete("x/y", kAnyVersion, Soon());
  NEED(!again);
  EXPECT_EQ(again.error().code(), Code::kNotFound);
  Status versioned = co_await w.a.Delete("x/y", *second, Soon());
  NEED(!versioned);
  EXPECT_EQ(versioned.error().code(), Code::kNotFound);
  for (std::string path : {"", "/x", "x/", "x//y", "x/../y", "x\n"}) {
    Result<File> bad = co_await w.a.Get(path, Soon());
    NEED(!bad);
    EXPECT_EQ(bad.error().code(), Code::kInvalidArgument) << path;
  }
  co_return true;
}
TEST_P(Conformance, FilesHaveVersions) { Run(FilesBody); }

io::Task<bool> DirsBody(World w) {
  std::vector<Path> paths = {"k/a/File", "k/a-b/File", "k/a/deep/er/and/deeper/still/File",
                             "k/File", "k0/File"};
  for (const Path& path : paths) {
    Result<Version> made = co_await w.a.Create(path, path, Soon());
    NEED(made);
  }
  Result<std::vector<DirEntry>> entries = co_await w.b.ListDir("k", Soon());
  NEED(entries);
  std::vector<DirEntry> expected = {
      {"File", false, false}, {"a", true, false}, {"a-b", true, false}};
  EXPECT_EQ(*entries, expected);
  Result<std::vector<DirEntry>> root = co_await w.b.ListDir("", Soon());
  NEED(root);
  EXPECT_EQ(root->size(), 2u);
  Result<std::vector<File>> files = co_await w.b.List("k/a", Soon());
  NEED(files);
  NEED(files->size() == 2);
  EXPECT_EQ((*files)[0].path, "k/a/File");
  EXPECT_EQ((*files)[1].data, "k/a/deep/er/and/deeper/still/File");
  Result<std::vector<File>> nothing = co_await w.b.List("nowhere", Soon());
  NEED(nothing);
  EXPECT_TRUE(nothing->empty());
  Result<std::vector<DirEntry>> nowhere = co_await w.b.ListDir("nowhere", Soon());
  NEED(!nowhere);
  EXPECT_EQ(nowhere.error().code(), Code::kNotFound);
  Status deleted = co_await w.a.Delete("k0/File", kAnyVersion, Soon());
  NEED(deleted);
  Result<std::vector<DirEntry>> gone = co_await w.b.ListDir("k0", Soon());
  EXPECT_FALSE(gone);
  co_return true;
}
TEST_P(Conformance, DirectoriesAreTheirFiles) { Run(DirsBody); }

io::Task<bool> BigBody(World w) {
  std::string big(1'000'000, 'x');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 + i / 251);
  Result<Version> made = co_await w.a.Create("big", big, Soon());
  NEED(made);
  Result<File> got = co_await w.b.Get("big", Soon());
  NEED(got);
  EXPECT_TRUE(got->data == big);
  co_return true;
}
TEST_P(Conformance, ABigValueComesBackWhole) { Run(BigBody); }

// Adds one to a number `times` times, by compare and set.
io::Task<bool> Count(Conn& conn, int times) {
  for (int i = 0; i < times; ++i) {
    for (;;) {
      Result<File> file = co_await conn.Get("counter", Soon());
      NEED(file);
      std::string next = std::to_string(std::stoi(file->data) + 1);
      Result<Version> written = co_await conn.Update("counter", next, file->version, Soon());
      if (written) break;
      NEED(written.error().code() == Code::kFailedPrecondition);
    }
  }
  co_return true;
}
io::Task<void> CountBeside(Conn& conn, int times, int& done, io::Event& ended) {
  bool passed = co_await Count(conn, times);
  done += passed;
  ended.Pulse();
}
io::Task<bool> WritersBody(World w) {
  Result<Version> made = co_await w.a.Create("counter", "0", Soon());
  NEED(made);
  constexpr int kWriters = 8, kTimes = 12;
  int done = 0;
  io::Event ended;
  for (int i = 0; i < kWriters; ++i)
    io::Detach(CountBeside(i % 2 ? w.a : w.b, kTimes, done, ended));
  while (done < kWriters) {
    bool woken = co_await ended.Wait(Deadline::In(60s));
    NEED(woken);
  }
  Result<File> file = co_await w.a.Get("counter", Soon());
  NEED(file);
  EXPECT_EQ(file->data, std::to_string(kWriters * kTimes));
  co_return true;
}
TEST_P(Conformance, ManyWritersLoseNoUpdate) { Run(WritersBody); }

io::Task<bool> WatchBody(World w) {
  Result<WatchPtr> watch = co_await w.a.OpenWatch("w/File", Soon());
  NEED(watch);
  Result<WatchEvent> absent = co_await (*watch)->Next(Soon());
  NEED(absent);
  EXPECT_EQ(absent->kind, Kind::kDeleted);
  Result<WatchEvent> quiet = co_await (*watch)->Next(Deadline::In(100ms));
  NEED(!quiet);
  EXPECT_EQ(quiet.error().code(), Code::kDeadlineExceeded);
  Result<Version> made = co_await w.b.Create("w/File", "0", Soon());
  NEED(made);
  Result<Version> sibling = co_await w.b.Create("w/File2", "0", Soon());
  NEED(sibling);
  Result<WatchEvent> event = co_await (*watch)->Next(Soon());
  NEED(event);
  EXPECT_EQ(event->file.data, "0");
  // Versions between may be missed, the last never.
  Version last;
  for (int i = 1; i <= 20; ++i) {
    Result<Version> written = co_await w.b.Update("w/File", std::to_string(i), kAnyVersion, Soon());
    NEED(written);
    last = *written;
  }
  while (event->file.data != "20") {
    event = co_await (*watch)->Next(Soon());
    NEED(event);
    EXPECT_EQ(event->kind, Kind::kValue);
  }
  EXPECT_EQ(event->file.version, last);
  Status deleted = co_await w.b.Delete("w/File", kAnyVersion, Soon());
  NEED(deleted);
  event = co_await (*watch)->Next(Soon());
  NEED(event);
  EXPECT_EQ(event->kind, Kind::kDeleted);
  Result<Version> back = co_await w.b.Create("w/File", "back", Soon());
  NEED(back);
  event = co_await (*watch)->Next(Soon());
  NEED(event);
  EXPECT_EQ(event->file.data, "back");
  (*watch)->Close();
  Result<WatchEvent> closed = co_await (*watch)->Next(Soon());
  NEED(!closed);
  EXPECT_EQ(closed.error().code(), Code::kCanceled);
  co_return true;
}
TEST_P(Conformance, AWatchTellsTheLastVersion) { Run(WatchBody); }

io::Task<bool> TreeBody(World w) {
  Result<Version> one = co_await w.a.Create("t/one/Tablet", "1", Soon());
  NEED(one);
  Result<WatchPtr> watch = co_await w.a.OpenWatchRecursive("t", Soon());
  NEED(watch);
  Result<WatchEvent> event = co_await (*watch)->Next(Soon());
  NEED(event);
  EXPECT_EQ(event->file.path, "t/one/Tablet");
  event = co_await (*watch)->Next(Soon());
  NEED(event);
  EXPECT_EQ(event->kind, Kind::kSynced);
  LockOptions options;
  Result<LockPtr> lock = co_await w.b.AcquireLock("t/one", options, Soon());
  NEED(lock);
  Result<Version> two = co_await w.b.Create("t/two/Tablet", "2", Soon());
  NEED(two);
  Result<Version> other = co_await w.b.Create("t0/two/Tablet", "2", Soon());
  NEED(other);
  Status deleted = co_await w.b.Delete("t/one/Tablet", kAnyVersion, Soon());
  NEED(deleted);
  std::map<Path, Kind> told;
  while (told.size() < 2) {
    event = co_await (*watch)->Next(Soon());
    NEED(event);
    told[event->file.path] = event->kind;
  }
  EXPECT_EQ(told["t/two/Tablet"], Kind::kValue);
  EXPECT_EQ(told["t/one/Tablet"], Kind::kDeleted);
  Result<WatchEvent> quiet = co_await (*watch)->Next(Deadline::In(150ms));
  EXPECT_FALSE(quiet);
  Status released = co_await (*lock)->Release(Soon());
  EXPECT_TRUE(released);
  co_return true;
}
TEST_P(Conformance, AWatchOnATreeSkipsLocks) { Run(TreeBody); }

io::Task<void> LockBeside(Conn& conn, int number, std::string& order, io::Event& ended) {
  LockOptions options;
  Result<LockPtr> lock = co_await conn.AcquireLock("s/0", options, Soon());
  order += lock ? std::to_string(number) : "!";
  if (lock) {
    Status released = co_await (*lock)->Release(Soon());
    EXPECT_TRUE(released);
  }
  ended.Pulse();
}
io::Task<bool> LockBody(World w) {
  LockOptions options;
  options.contents = MakeLockText("PlannedReparentShard", WallTime{1'700'000'000'000'000'000});
  Result<LockPtr> nowhere = co_await w.a.AcquireLock("s/0", options, Soon());
  NEED(!nowhere);
  EXPECT_EQ(nowhere.error().code(), Code::kNotFound);
  Result<Version> made = co_await w.a.Create("s/0/Shard", "", Soon());
  NEED(made);
  Result<LockPtr> lock = co_await w.a.AcquireLock("s/0", options, Soon());
  NEED(lock);
  EXPECT_TRUE((*lock)->StillHeld());
  Status held = co_await (*lock)->CheckHeld(Soon());
  EXPECT_TRUE(held);
  Result<LockPtr> tried = co_await w.b.TryLock("s/0", options, Soon());
  NEED(!tried);
  EXPECT_EQ(tried.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(tried.error().message(), testing::HasSubstr("PlannedReparentShard"));
  Result<LockPtr> late = co_await w.b.AcquireLock("s/0", options, Deadline::In(200ms));
  NEED(!late);
  EXPECT_EQ(late.error().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(late.error().message(), testing::HasSubstr("PlannedReparentShard"));
  // The entry is there for people to see.
  Result<std::vector<DirEntry>> dir = co_await w.b.ListDir("s/0", Soon());
  NEED(dir);
  std::vector<DirEntry> expected = {{"Shard", false, false}, {"locks", true, true}};
  EXPECT_EQ(*dir, expected);
  Result<std::vector<DirEntry>> entries = co_await w.b.ListDir("s/0/locks", Soon());
  NEED(entries);
  NEED(!entries->empty());
  Path entry = "s/0/locks/" + (*entries)[0].name;
  Result<File> contents = co_await w.b.Get(entry, Soon());
  NEED(contents);
  EXPECT_EQ(ParseLockText(contents->data).action, "PlannedReparentShard");
  Result<std::vector<File>> files = co_await w.b.List("s", Soon());
  NEED(files);
  EXPECT_EQ(files->size(), 1u);

  std::string order;
  io::Event ended;
  for (int i = 0; i < 3; ++i) {
    io::Detach(LockBeside(i % 2 ? w.a : w.b, i, order, ended));
    // The next asks once this one stands in line.
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(150ms));
    EXPECT_TRUE(slept);
  }
  EXPECT_EQ(order, "");
  Status released = co_await (*lock)->Release(Soon());
  EXPECT_TRUE(released);
  EXPECT_FALSE((*lock)->StillHeld());
  while (order.size() < 3) {
    bool woken = co_await ended.Wait(Soon());
    NEED(woken);
  }
  EXPECT_EQ(order, "012");
  Result<LockPtr> free = co_await w.b.TryLock("s/0", options, Soon());
  NEED(free);
  Status freed = co_await (*free)->Release(Soon());
  EXPECT_TRUE(freed);
  options.dir_must_exist = false;
  Result<LockPtr> named = co_await w.b.TryLock("internal/named_locks/n", options, Soon());
  NEED(named);
  Status unnamed = co_await (*named)->Release(Soon());
  EXPECT_TRUE(unnamed);
  co_return true;
}
TEST_P(Conformance, LocksAreExclusiveInOrderAndVisible) { Run(LockBody); }

io::Task<bool> LeaseBody(World w) {
  Result<Version> made = co_await w.a.Create("s/0/Shard", "", Soon());
  NEED(made);
  LockOptions options;
  options.lease = w.backend.ShortLease();
  Result<LockPtr> kept = co_await w.a.AcquireLock("s/0", options, Soon());
  NEED(kept);
  // Renewed, it outlives its lease.
  io::Gate pause;
  bool slept = co_await io::Sleep(pause, Deadline::In(options.lease + options.lease / 2));
  EXPECT_TRUE(slept);
  EXPECT_TRUE((*kept)->StillHeld());
  Status held = co_await (*kept)->CheckHeld(Soon());
  EXPECT_TRUE(held);
  // Dropped without release, it ends by its lease.
  kept->reset();
  Result<LockPtr> next = co_await w.b.AcquireLock("s/0", options, Deadline::In(15s));
  NEED(next);
  Status released = co_await (*next)->Release(Soon());
  EXPECT_TRUE(released);
  co_return true;
}
TEST_P(Conformance, ALockEndsByItsLease) { Run(LeaseBody); }

io::Task<bool> CutBody(World w) {
  Result<Version> made = co_await w.a.Create("s/0/Shard", "before", Soon());
  NEED(made);
  Result<WatchPtr> watch = co_await w.b.OpenWatch("s/0/Shard", Soon());
  NEED(watch);
  Result<WatchEvent> event = co_await (*watch)->Next(Soon());
  NEED(event);
  LockOptions options;
  options.lease = w.backend.ShortLease();
  Result<LockPtr> lock = co_await w.a.AcquireLock("s/0", options, Soon());
  NEED(lock);
  co_await w.backend.Cut();
  Time start = w.loop.Now();
  Result<Version> cut = co_await w.a.Update("s/0/Shard", "lost?", *made, Deadline::In(700ms));
  NEED(!cut);
  EXPECT_EQ(cut.error().code(), Code::kUnavailable) << cut.error().message();
  EXPECT_LT(w.loop.Now() - start, 1200ms);
  // The holder knows by itself that its lock may be gone.
  while ((*lock)->StillHeld()) {
    NEED(w.loop.Now() - start < options.lease + 3s);
    io::Gate pause;
    bool slept = co_await io::Sleep(pause, Deadline::In(20ms));
    EXPECT_TRUE(slept);
  }
  co_await w.backend.Heal();
  for (;;) {
    Result<Version> written = co_await w.a.Update("s/0/Shard", "after", kAnyVersion, Soon());
    if (written) break;
    NEED(written.error().code() == Code::kUnavailable);
  }
  while (event->file.data != "after") {
    event = co_await (*watch)->Next(Soon());
    NEED(event);
  }
  Result<LockPtr> next = co_await w.b.AcquireLock("s/0", options, Deadline::In(15s));
  NEED(next);
  Status lost = co_await (*lock)->Release(Soon());
  NEED(!lost);
  EXPECT_EQ(lost.error().code(), Code::kFailedPrecondition) << lost.error().message();
  Status held = co_await (*next)->CheckHeld(Soon());
  EXPECT_TRUE(held);
  co_return true;
}
TEST_P(Conformance, ACutStoreFailsInTimeAndHeals) { Run(CutBody); }

io::Task<void> StopSoon(Conn& conn, io::Event& ended) {
  io::Gate pause;
  bool slept = co_await io::Sleep(pause, Deadline::In(50ms));
  EXPECT_TRUE(slept);
  co_await conn.Stop();
  ended.Set();
}
io::Task<bool> StopBody(World w) {
  Result<WatchPtr> watch = co_await w.a.OpenWatchRecursive("", Soon());
  NEED(watch);
  Result<WatchEvent> synced = co_await (*watch)->Next(Soon());
  NEED(synced);
  io::Event ended;
  io::Detach(StopSoon(w.a, ended));
  Result<WatchEvent> stopped = co_await (*watch)->Next(Deadline::Never());
  NEED(!stopped);
  EXPECT_EQ(stopped.error().code(), Code::kCanceled);
  bool done = co_await ended.Wait(Soon());
  NEED(done);
  Result<File> refused = co_await w.a.Get("x", Soon());
  NEED(!refused);
  EXPECT_EQ(refused.error().code(), Code::kCanceled);
  co_return true;
}
TEST_P(Conformance, StopEndsWatches) { Run(StopBody); }

INSTANTIATE_TEST_SUITE_P(Backends, Conformance,
                         testing::Values(BackendKind{"memory", &MakeMemory},
                                         BackendKind{"embedded", &MakeEmbedded},
                                         BackendKind{"etcd", &MakeEtcd}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace paceline::topo::conformance
