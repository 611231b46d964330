#include "topo/embedded/embedded_conn.h"

#include <atomic>
#include <functional>
#include <set>
#include <utility>

#include "io/blocking.h"
#include "io/sync.h"
#include "topo/embedded/database.h"
#include "topo/embedded/operations.h"
#include "topo/pending.h"
#include "topo/refusals.h"
#include "topo/watch_queue.h"

namespace paceline::topo::embedded {
namespace {

constexpr Duration kDefaultLease = 30s;
constexpr Duration kRetryEvery = 5ms;
constexpr int kMaxQueued = 1024;

// A held lock as its renewal sees it; the Lock object may be gone earlier.
struct LockState {
  int64_t id = 0;
  Duration lease{0};
  Time held_until;
  bool done = false;
  bool lost = false;
};

class EmbeddedConn;

class EmbeddedWatch final : public Watch {
 public:
  EmbeddedWatch(EmbeddedConn& conn, Path path, bool recursive);
  ~EmbeddedWatch() override;
  io::Task<Result<WatchEvent>> Next(Deadline deadline) override { return queue_.Next(deadline); }
  void Close() override { queue_.Close(); }
  void Apply(const Changes& changes);
  bool Wants(std::string_view path) const {
    return recursive_ ? PathBelow(path, path_) : path == path_;
  }

  EmbeddedConn& conn_;
  Path path_;
  bool recursive_;
  WatchQueue queue_;
};

class EmbeddedConn final : public Conn {
 public:
  EmbeddedConn(io::Loop& loop, std::string file, std::string root)
      : loop_(loop), database_(std::make_shared<Database>(std::move(file))), worker_("topology") {
    while (root.ends_with('/')) root.pop_back();
    root_ = root.empty() ? "" : root + "/";
  }

  io::Task<Result<File>> Get(Path path, Deadline deadline) override;
  io::Task<Result<std::vector<DirEntry>>> ListDir(Path dir, Deadline deadline) override;
  io::Task<Result<std::vector<File>>> List(Path dir, Deadline deadline) override;
  io::Task<Result<Version>> Create(Path path, std::string data, Deadline deadline) override;
  io::Task<Result<Version>> Update(Path path, std::string data, Version expected,
                                   Deadline deadline) override;
  io::Task<Status> Delete(Path path, Version expected, Deadline deadline) override;
  io::Task<Result<WatchPtr>> OpenWatch(Path path, Deadline deadline) override;
  io::Task<Result<WatchPtr>> OpenWatchRecursive(Path dir, Deadline deadline) override;
  io::Task<Result<LockPtr>> AcquireLock(Path dir, LockOptions options, Deadline deadline) override;
  io::Task<Result<LockPtr>> TryLock(Path dir, LockOptions options, Deadline deadline) override;
  io::Task<void> Stop() override;

  // Runs `work` on the worker, again while another process holds the writer's lock, until the
  // deadline.
  template <class T>
  io::Task<Result<T>> Run(std::function<Result<T>(Database&)> work, Deadline deadline);
  io::Task<Result<WatchPtr>> StartWatch(Path path, bool recursive, Deadline deadline);
  io::Task<Result<LockPtr>> TakeLock(Path dir, LockOptions options, bool wait, Deadline deadline);
  io::Task<void> Poll();
  io::Task<void> Renew(std::shared_ptr<LockState> state);
  io::Task<void> GiveUp(int64_t id);

  io::Loop& loop_;
  std::string root_;
  std::shared_ptr<Database> database_;
  std::shared_ptr<std::atomic<int>> queued_ = std::make_shared<std::atomic<int>>(0);
  io::Gate gate_;
  std::set<EmbeddedWatch*> watches_;
  bool polling_ = false;
  bool poll_all_ = false;  // look even if the file says that nothing changed: a watch was added
  int64_t seen_ = 0;       // revision up to which watches were told
  io::Worker worker_;      // last: joined before what its work uses goes away
};

EmbeddedWatch::EmbeddedWatch(EmbeddedConn& conn, Path path, bool recursive)
    : conn_(conn), path_(std::move(path)), recursive_(recursive) {
  conn_.watches_.insert(this);
}
EmbeddedWatch::~EmbeddedWatch() { conn_.watches_.erase(this); }

void EmbeddedWatch::Apply(const Changes& changes) {
  if (changes.full) {
    std::vector<File> files;
    for (const Change& change : changes.list) {
      if (Wants(change.file.path)) files.push_back(change.file);
    }
    return queue_.Replace(std::move(files));
  }
  for (const Change& change : changes.list) {
    if (!Wants(change.file.path)) continue;
    if (change.deleted)
      queue_.Deleted(change.file.path);
    else
      queue_.Value(change.file);
  }
}

class EmbeddedLock final : public Lock {
 public:
  EmbeddedLock(EmbeddedConn& conn, std::shared_ptr<LockState> state, Path dir)
      : conn_(conn), state_(std::move(state)), dir_(std::move(dir)) {}
  ~EmbeddedLock() override { state_->done = true; }
  bool StillHeld() const override {
    return !state_->done && !state_->lost && conn_.loop_.Now() < state_->held_until;
  }
  io::Task<Status> CheckHeld(Deadline deadline) override {
    int64_t id = state_->id;
    std::function<Result<bool>(Database&)> work = [id](Database& db) { return LockIsHeld(db, id); };
    Result<bool> held = co_await conn_.Run<bool>(work, deadline);
    if (!held) co_return Fail(held.error());
    if (!*held) co_return Lost();
    co_return Status();
  }
  io::Task<Status> Release(Deadline deadline) override {
    state_->done = true;
    int64_t id = state_->id;
    std::function<Result<bool>(Database&)> work = [id](Database& db) { return DropLock(db, id); };
    Result<bool> dropped = co_await conn_.Run<bool>(work, deadline);
    if (!dropped) co_return Fail(dropped.error());
    if (!*dropped) co_return Lost();
    co_return Status();
  }

 private:
  Status Lost() const {
    return Fail(Code::kFailedPrecondition, "the lock on {} was lost: its lease ran out", dir_);
  }
  EmbeddedConn& conn_;
  std::shared_ptr<LockState> state_;
  Path dir_;
};

template <class T>
io::Task<Result<T>> EmbeddedConn::Run(std::function<Result<T>(Database&)> work, Deadline deadline) {
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  for (;;) {
    if (queued_->load() >= kMaxQueued) {
      co_return Fail(Code::kUnavailable, "topology file {}: {} calls wait already",
                     database_->file(), kMaxQueued);
    }
    auto pending = std::make_shared<Pending<Result<T>>>(loop_);
    queued_->fetch_add(1);
    worker_.Post([pending, work, database = database_, queued = queued_] {
      queued->fetch_sub(1);
      if (pending->abandoned()) return;
      Status open = database->Open();
      if (!open) return pending->Complete(Fail(open.error()));
      pending->Complete(work(*database));
    });
    std::optional<Result<T>> result = co_await pending->Wait(deadline);
    if (!result) {
      co_return Fail(Code::kUnavailable, "topology file {} did not answer in time",
                     database_->file());
    }
    if (*result || result->error().code() != Code::kAborted) co_return std::move(*result);
    Time now = loop_.Now();
    if (deadline.Passed(now)) co_return Fail(Code::kUnavailable, "{}", result->error().message());
    Deadline again = Deadline::At(now + kRetryEvery).EarlierOf(deadline);
    bool open = co_await io::Sleep(gate_, again);
    if (!open) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  }
}

io::Task<Result<File>> EmbeddedConn::Get(Path path, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<File>(Database&)> work = [root, path](Database& db) {
    return ReadFile(db, root, path);
  };
  Result<File> file = co_await Run<File>(work, deadline);
  co_return file;
}

io::Task<Result<std::vector<DirEntry>>> EmbeddedConn::ListDir(Path dir, Deadline deadline) {
  Status valid = ValidatePath(dir, true);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  using Entries = std::vector<DirEntry>;
  std::function<Result<Entries>(Database&)> work = [root, dir](Database& db) {
    return ReadDir(db, root, dir);
  };
  Result<Entries> entries = co_await Run<Entries>(work, deadline);
  co_return entries;
}

io::Task<Result<std::vector<File>>> EmbeddedConn::List(Path dir, Deadline deadline) {
  Status valid = ValidatePath(dir, true);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<Snapshot>(Database&)> work = [root, dir](Database& db) {
    return ReadSnapshot(db, root, dir, true);
  };
  Result<Snapshot> snapshot = co_await Run<Snapshot>(work, deadline);
  if (!snapshot) co_return Fail(snapshot.error());
  co_return std::move(snapshot->files);
}

io::Task<Result<Version>> EmbeddedConn::Create(Path path, std::string data, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<Version>(Database&)> work = [root, path, data](Database& db) {
    return CreateFile(db, root, path, data);
  };
  Result<Version> version = co_await Run<Version>(work, deadline);
  co_return version;
}

io::Task<Result<Version>> EmbeddedConn::Update(Path path, std::string data, Version expected,
                                               Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<Version>(Database&)> work = [root, path, data, expected](Database& db) {
    return UpdateFile(db, root, path, data, expected);
  };
  Result<Version> version = co_await Run<Version>(work, deadline);
  co_return version;
}

io::Task<Status> EmbeddedConn::Delete(Path path, Version expected, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<Version>(Database&)> work = [root, path, expected](Database& db) {
    return DeleteFile(db, root, path, expected);
  };
  Result<Version> deleted = co_await Run<Version>(work, deadline);
  if (!deleted) co_return Fail(deleted.error());
  co_return Status();
}

io::Task<Result<WatchPtr>> EmbeddedConn::OpenWatch(Path path, Deadline deadline) {
  Result<WatchPtr> watch = co_await StartWatch(path, false, deadline);
  co_return watch;
}
io::Task<Result<WatchPtr>> EmbeddedConn::OpenWatchRecursive(Path dir, Deadline deadline) {
  Result<WatchPtr> watch = co_await StartWatch(dir, true, deadline);
  co_return watch;
}

io::Task<Result<WatchPtr>> EmbeddedConn::StartWatch(Path path, bool recursive, Deadline deadline) {
  Status valid = ValidatePath(path, recursive);
  if (!valid) co_return Fail(valid.error());
  std::string root = root_;
  std::function<Result<Snapshot>(Database&)> work = [root, path, recursive](Database& db) {
    return ReadSnapshot(db, root, path, recursive);
  };
  Result<Snapshot> snapshot = co_await Run<Snapshot>(work, deadline);
  if (!snapshot) co_return Fail(snapshot.error());
  auto watch = std::make_unique<EmbeddedWatch>(*this, path, recursive);
  bool absent = snapshot->files.empty();
  watch->queue_.Replace(std::move(snapshot->files));
  if (recursive)
    watch->queue_.Synced();
  else if (absent)
    watch->queue_.Absent(path);
  // The poll may have passed this revision before the watch was there.
  seen_ = watches_.size() == 1 ? snapshot->revision : std::min(seen_, snapshot->revision);
  poll_all_ = true;
  if (!polling_) {
    polling_ = true;
    io::Detach(Poll());
  }
  co_return WatchPtr(std::move(watch));
}

io::Task<void> EmbeddedConn::Poll() {
  auto pass = gate_.Enter();
  while (pass && !watches_.empty()) {
    Deadline next = Deadline::At(loop_.Now() + kPollEvery);
    bool open = co_await io::Sleep(gate_, next);
    if (!open) break;
    std::string root = root_;
    int64_t since = seen_;
    bool all = std::exchange(poll_all_, false);
    std::function<Result<Changes>(Database&)> work = [root, since, all](Database& db) {
      return ReadChanges(db, root, since, all);
    };
    Deadline limit = Deadline::At(loop_.Now() + 2s);
    Result<Changes> changes = co_await Run<Changes>(work, limit);
    if (!changes) {
      poll_all_ = true;  // what was noticed as changed has not been told
      continue;
    }
    if (changes->revision < 0) continue;
    for (EmbeddedWatch* watch : watches_) watch->Apply(*changes);
    // A watch that was added meanwhile may have lowered it.
    if (!poll_all_) seen_ = changes->revision;
  }
  polling_ = false;
}

io::Task<Result<LockPtr>> EmbeddedConn::AcquireLock(Path dir, LockOptions options,
                                                    Deadline deadline) {
  Result<LockPtr> lock = co_await TakeLock(dir, options, true, deadline);
  co_return lock;
}
io::Task<Result<LockPtr>> EmbeddedConn::TryLock(Path dir, LockOptions options, Deadline deadline) {
  Result<LockPtr> lock = co_await TakeLock(dir, options, false, deadline);
  co_return lock;
}

io::Task<Result<LockPtr>> EmbeddedConn::TakeLock(Path dir, LockOptions options, bool wait,
                                                 Deadline deadline) {
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  Status valid = ValidatePath(dir, false);
  if (!valid) co_return Fail(valid.error());
  auto state = std::make_shared<LockState>();
  state->lease =
      options.lease > Duration(0) ? std::max<Duration>(options.lease, 1s) : kDefaultLease;
  std::string root = root_;
  Duration lease = state->lease;
  state->held_until = loop_.Now() + lease;
  std::function<Result<LockSight>(Database&)> enqueue = [root, dir, options, wait,
                                                         lease](Database& db) {
    return EnqueueLock(db, root, dir, options, wait, lease);
  };
  // A row that was put in after we stopped waiting for it ends by its lease.
  Result<LockSight> sight = co_await Run<LockSight>(enqueue, deadline);
  if (!sight) co_return Fail(sight.error());
  state->id = sight->id;
  io::Detach(Renew(state));
  int64_t id = state->id;
  std::function<Result<LockSight>(Database&)> look = [root, dir, id](Database& db) {
    return LookAtLock(db, root, dir, id);
  };
  while (!sight->ours) {
    Time now = loop_.Now();
    bool ended = deadline.Passed(now) || gate_.closed() || state->lost;
    if (ended) {
      state->done = true;
      io::Detach(GiveUp(id));
      if (state->lost)
        co_return Fail(Code::kUnavailable, "waiting for the lock on {}: the lease ran out", dir);
      co_return LockHeld(Code::kDeadlineExceeded, dir, sight->holder);
    }
    Deadline next = Deadline::At(now + kPollEvery).EarlierOf(deadline);
    bool open = co_await io::Sleep(gate_, next);
    if (!open) continue;
    Deadline limit = Deadline::At(now + 2s).EarlierOf(deadline);
    Result<LockSight> again = co_await Run<LockSight>(look, limit);
    if (again)
      sight = std::move(again);
    else if (again.error().code() == Code::kFailedPrecondition)
      state->lost = true;
  }
  co_return std::make_unique<EmbeddedLock>(*this, state, dir);
}

io::Task<void> EmbeddedConn::Renew(std::shared_ptr<LockState> state) {
  auto pass = gate_.Enter();
  Duration pause = state->lease / 3;
  while (pass && !state->done) {
    Deadline next = Deadline::At(loop_.Now() + pause);
    bool open = co_await io::Sleep(gate_, next);
    if (!open || state->done) break;
    Time before = loop_.Now();
    int64_t id = state->id;
    Duration lease = state->lease;
    std::function<Result<bool>(Database&)> work = [id, lease](Database& db) {
      return RenewLock(db, id, lease);
    };
    Deadline limit = Deadline::At(before + lease / 3);
    Result<bool> renewed = co_await Run<bool>(work, limit);
    if (renewed && !*renewed) {
      state->lost = true;
      break;
    }
    if (renewed) state->held_until = before + lease;
    pause = renewed ? lease / 3 : std::min<Duration>(lease / 10, 200ms);
  }
}

io::Task<void> EmbeddedConn::GiveUp(int64_t id) {
  std::function<Result<bool>(Database&)> work = [id](Database& db) { return DropLock(db, id); };
  Deadline limit = Deadline::At(loop_.Now() + 2s);
  Result<bool> dropped = co_await Run<bool>(work, limit);
  (void)dropped;  // else its lease ends it
}

io::Task<void> EmbeddedConn::Stop() {
  for (EmbeddedWatch* watch : watches_) watch->Close();
  bool left = co_await gate_.Close(Deadline::Never());
  (void)left;
}

}  // namespace

ConnPtr Open(io::Loop& loop, std::string file, std::string root) {
  return std::make_unique<EmbeddedConn>(loop, std::move(file), std::move(root));
}

}  // namespace paceline::topo::embedded
