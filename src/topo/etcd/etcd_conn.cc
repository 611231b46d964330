#include "topo/etcd/etcd_conn.h"

#include <set>
#include <utility>

#include "base/strings.h"
#include "io/sync.h"
#include "topo/etcd/client.h"
#include "topo/refusals.h"
#include "topo/watch_queue.h"

namespace paceline::topo::etcd {
namespace {

constexpr Duration kDefaultLease = 30s;
constexpr Duration kLockPoll = 50ms;
constexpr Duration kReopenFirst = 50ms;
constexpr Duration kReopenMax = 1s;

struct LockState {
  int64_t lease_id = 0;
  Duration lease{0};
  Time held_until;
  bool done = false;
  bool lost = false;
};

// What a Watch and the coroutine that feeds it share.
struct WatchState {
  WatchQueue queue;
  std::string key, end;
  std::shared_ptr<WatchStream> stream;
  bool closed = false;
};

class EtcdConn;

class EtcdWatch final : public Watch {
 public:
  EtcdWatch(EtcdConn& conn, std::shared_ptr<WatchState> state);
  ~EtcdWatch() override;
  io::Task<Result<WatchEvent>> Next(Deadline deadline) override {
    return state_->queue.Next(deadline);
  }
  void Close() override {
    state_->closed = true;
    state_->queue.Close();
    if (state_->stream != nullptr) state_->stream->Cancel();
  }

 private:
  EtcdConn& conn_;
  std::shared_ptr<WatchState> state_;
};

class EtcdConn final : public Conn {
 public:
  EtcdConn(io::Loop& loop, std::unique_ptr<Client> client, std::string root)
      : loop_(loop), client_(std::move(client)) {
    bool slash = root.starts_with('/');
    while (root.ends_with('/')) root.pop_back();
    root_ = root.empty() ? (slash ? "/" : "") : root + "/";
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
  std::string Identity() const override {
    return client_->cluster_id() == 0 ? "" : fmt::format("{:x}", client_->cluster_id());
  }
  io::Task<void> Stop() override;

  std::string Key(std::string_view path) const { return root_ + std::string(path); }
  // First and end key of what lies below a directory.
  RangeQuery Below(std::string_view dir) const {
    RangeQuery query;
    query.key = dir.empty() ? root_ : Key(dir) + "/";
    query.end = query.key;
    if (query.key.empty()) {
      query.key = query.end = std::string(1, '\0');  // etcd: from the first key to the last
    } else {
      ++query.end.back();
    }
    return query;
  }
  std::vector<File> FilesOf(std::vector<KeyValue> keys) const {
    std::vector<File> files;
    for (KeyValue& kv : keys) {
      // Leased keys are locks.
      if (kv.lease == 0)
        files.push_back({kv.key.substr(root_.size()), std::move(kv.value), {kv.mod_revision}});
    }
    return files;
  }
  io::Task<Result<WatchPtr>> StartWatch(Path path, bool recursive, Deadline deadline);
  io::Task<void> Feed(std::shared_ptr<WatchState> state, RangeResult seen);
  io::Task<Result<LockPtr>> TakeLock(Path dir, LockOptions options, bool wait, Deadline deadline);
  io::Task<void> Renew(std::shared_ptr<LockState> state);
  io::Task<void> GiveUp(int64_t lease);

  io::Loop& loop_;
  std::unique_ptr<Client> client_;
  std::string root_;
  io::Gate gate_;
  std::set<EtcdWatch*> watches_;
};

EtcdWatch::EtcdWatch(EtcdConn& conn, std::shared_ptr<WatchState> state)
    : conn_(conn), state_(std::move(state)) {
  conn_.watches_.insert(this);
}
EtcdWatch::~EtcdWatch() {
  Close();
  conn_.watches_.erase(this);
}

class EtcdLock final : public Lock {
 public:
  EtcdLock(EtcdConn& conn, std::shared_ptr<LockState> state, Path dir)
      : conn_(conn), state_(std::move(state)), dir_(std::move(dir)) {}
  ~EtcdLock() override { state_->done = true; }
  bool StillHeld() const override {
    return !state_->done && !state_->lost && conn_.loop_.Now() < state_->held_until;
  }
  io::Task<Status> CheckHeld(Deadline deadline) override {
    Time before = conn_.loop_.Now();
    Status kept = co_await conn_.client_->KeepAlive(state_->lease_id, deadline);
    if (!kept && kept.error().code() == Code::kNotFound) co_return Lost();
    if (kept) state_->held_until = before + state_->lease;
    co_return kept;
  }
  io::Task<Status> Release(Deadline deadline) override {
    state_->done = true;
    Status revoked = co_await conn_.client_->Revoke(state_->lease_id, deadline);
    if (!revoked && revoked.error().code() == Code::kNotFound) co_return Lost();
    co_return revoked;
  }

 private:
  Status Lost() const {
    return Fail(Code::kFailedPrecondition, "the lock on {} was lost: its lease ran out", dir_);
  }
  EtcdConn& conn_;
  std::shared_ptr<LockState> state_;
  Path dir_;
};

io::Task<Result<File>> EtcdConn::Get(Path path, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  RangeQuery query;
  query.key = Key(path);
  Result<RangeResult> found = co_await client_->Range(query, deadline);
  if (!found) co_return Fail(found.error());
  if (found->keys.empty()) co_return Absent(path);
  KeyValue& kv = found->keys[0];
  co_return File{path, std::move(kv.value), {kv.mod_revision}};
}

io::Task<Result<std::vector<DirEntry>>> EtcdConn::ListDir(Path dir, Deadline deadline) {
  Status valid = ValidatePath(dir, true);
  if (!valid) co_return Fail(valid.error());
  RangeQuery query = Below(dir);
  query.keys_only = true;
  Result<RangeResult> found = co_await client_->Range(query, deadline);
  if (!found) co_return Fail(found.error());
  std::vector<DirEntry> entries;
  size_t skip = dir.empty() ? root_.size() : query.key.size();
  for (const KeyValue& kv : found->keys) {
    std::string_view rest = std::string_view(kv.key).substr(skip);
    size_t slash = rest.find('/');
    bool is_directory = slash != std::string_view::npos;
    std::string_view name = rest.substr(0, slash);
    bool ephemeral = kv.lease != 0 && (!is_directory || name == "locks");
    if (!entries.empty() && entries.back().name == name &&
        entries.back().is_directory == is_directory)
      continue;
    entries.push_back({std::string(name), is_directory, ephemeral});
  }
  if (entries.empty()) co_return AbsentDir(dir);
  // Keys are sorted as whole texts, in which "a-b/x" comes before "a/x".
  std::set<DirEntry> sorted(entries.begin(), entries.end());
  co_return std::vector<DirEntry>(sorted.begin(), sorted.end());
}

io::Task<Result<std::vector<File>>> EtcdConn::List(Path dir, Deadline deadline) {
  Status valid = ValidatePath(dir, true);
  if (!valid) co_return Fail(valid.error());
  RangeQuery query = Below(dir);
  Result<RangeResult> found = co_await client_->Range(query, deadline);
  if (!found) co_return Fail(found.error());
  co_return FilesOf(std::move(found->keys));
}

io::Task<Result<Version>> EtcdConn::Create(Path path, std::string data, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string key = Key(path);
  Result<WriteResult> written = co_await client_->Put(key, data, kAbsent, 0, deadline);
  if (!written) co_return Fail(written.error());
  if (!written->done) co_return Exists(path);
  co_return Version{written->revision};
}

io::Task<Result<Version>> EtcdConn::Update(Path path, std::string data, Version expected,
                                           Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string key = Key(path);
  int64_t guard = expected == kAnyVersion ? kAnything : expected.number;
  Result<WriteResult> written = co_await client_->Put(key, data, guard, 0, deadline);
  if (!written) co_return Fail(written.error());
  if (!written->done) {
    co_return Moved(path, expected);
  }
  co_return Version{written->revision};
}

io::Task<Status> EtcdConn::Delete(Path path, Version expected, Deadline deadline) {
  Status valid = ValidatePath(path, false);
  if (!valid) co_return Fail(valid.error());
  std::string key = Key(path);
  int64_t guard = expected == kAnyVersion ? kAnything : expected.number;
  Result<WriteResult> written = co_await client_->Delete(key, guard, deadline);
  if (!written) co_return Fail(written.error());
  if (written->done && written->deleted > 0) co_return Status();
  if (!written->done) {
    Result<File> there = co_await Get(path, deadline);
    if (there) {
      co_return Moved(path, expected);
    }
    if (there.error().code() != Code::kNotFound) co_return Fail(there.error());
  }
  co_return Absent(path);
}

io::Task<Result<WatchPtr>> EtcdConn::OpenWatch(Path path, Deadline deadline) {
  Result<WatchPtr> watch = co_await StartWatch(path, false, deadline);
  co_return watch;
}
io::Task<Result<WatchPtr>> EtcdConn::OpenWatchRecursive(Path dir, Deadline deadline) {
  Result<WatchPtr> watch = co_await StartWatch(dir, true, deadline);
  co_return watch;
}

io::Task<Result<WatchPtr>> EtcdConn::StartWatch(Path path, bool recursive, Deadline deadline) {
  Status valid = ValidatePath(path, recursive);
  if (!valid) co_return Fail(valid.error());
  RangeQuery query;
  if (recursive)
    query = Below(path);
  else
    query.key = Key(path);
  Result<RangeResult> found = co_await client_->Range(query, deadline);
  if (!found) co_return Fail(found.error());
  if (gate_.closed()) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  auto state = std::make_shared<WatchState>();
  state->key = query.key;
  state->end = query.end;
  std::vector<File> files = FilesOf(std::move(found->keys));
  bool absent = files.empty();
  state->queue.Replace(std::move(files));
  if (recursive)
    state->queue.Synced();
  else if (absent)
    state->queue.Absent(path);
  auto watch = std::make_unique<EtcdWatch>(*this, state);
  found->keys.clear();
  io::Detach(Feed(state, std::move(*found)));
  co_return WatchPtr(std::move(watch));
}

// Keeps one stream open for the watch. After any break everything is read again: that also covers a
// compaction and a store that was restored to an older revision, which a resume alone would wait on
// for ever.
io::Task<void> EtcdConn::Feed(std::shared_ptr<WatchState> state, RangeResult seen) {
  auto pass = gate_.Enter();
  Duration pause = kReopenFirst;
  while (pass && !state->closed && !gate_.closed()) {
    state->stream = client_->Watch(state->key, state->end, seen.revision + 1);
    for (;;) {
      auto stream = state->stream;
      Result<WatchBatch> batch = co_await stream->Next();
      if (!batch || batch->compacted || state->closed) break;
      pause = kReopenFirst;
      for (WatchBatch::Event& event : batch->events) {
        std::string path = event.entry.key.substr(root_.size());
        if (event.deleted)
          state->queue.Deleted(path);
        else if (event.entry.lease == 0) {
          state->queue.Value(
              {std::move(path), std::move(event.entry.value), {event.entry.mod_revision}});
        }
      }
    }
    state->stream->Cancel();
    state->stream.reset();
    bool reread = false;
    while (!reread && !state->closed && !gate_.closed()) {
      RangeQuery query;
      query.key = state->key;
      query.end = state->end;
      Deadline limit = Deadline::At(loop_.Now() + 3s);
      Result<RangeResult> found = co_await client_->Range(query, limit);
      if (found && !state->closed) {
        bool other_store = found->cluster_id != seen.cluster_id;
        seen.revision = found->revision;
        seen.cluster_id = found->cluster_id;
        state->queue.Replace(FilesOf(std::move(found->keys)), other_store);
        reread = true;
      } else if (!found && (found.error().code() == Code::kPermissionDenied ||
                            found.error().code() == Code::kUnauthenticated)) {
        state->queue.Fail(Error(Code::kAborted, found.error().message()));
        co_return;
      }
      Deadline next = Deadline::At(loop_.Now() + pause);
      pause = std::min(pause * 2, kReopenMax);
      bool open = co_await io::Sleep(gate_, next);
      if (!open) break;
    }
  }
}

io::Task<Result<LockPtr>> EtcdConn::AcquireLock(Path dir, LockOptions options, Deadline deadline) {
  Result<LockPtr> lock = co_await TakeLock(dir, options, true, deadline);
  co_return lock;
}
io::Task<Result<LockPtr>> EtcdConn::TryLock(Path dir, LockOptions options, Deadline deadline) {
  Result<LockPtr> lock = co_await TakeLock(dir, options, false, deadline);
  co_return lock;
}

io::Task<Result<LockPtr>> EtcdConn::TakeLock(Path dir, LockOptions options, bool wait,
                                             Deadline deadline) {
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  Status valid = ValidatePath(dir, false);
  if (!valid) co_return Fail(valid.error());
  if (options.dir_must_exist) {
    RangeQuery query = Below(dir);
    query.keys_only = true;
    query.limit = 1;
    Result<RangeResult> found = co_await client_->Range(query, deadline);
    if (!found) co_return Fail(found.error());
    if (found->keys.empty()) co_return NothingToLock(dir);
  }
  auto state = std::make_shared<LockState>();
  Duration lease =
      options.lease > Duration(0) ? std::max<Duration>(options.lease, 1s) : kDefaultLease;
  int64_t ttl_s = (lease + 999ms) / 1s;
  state->lease = std::chrono::seconds(ttl_s);
  state->held_until = loop_.Now() + state->lease;
  Result<int64_t> granted = co_await client_->Grant(ttl_s, deadline);
  if (!granted) co_return Fail(granted.error());
  int64_t lease_id = *granted;
  state->lease_id = lease_id;
  io::Detach(Renew(state));
  std::string key = fmt::format("{}/locks/{}", Key(dir), lease_id);
  Result<WriteResult> put =
      co_await client_->Put(key, options.contents, kAbsent, lease_id, deadline);
  if (!put || !put->done) {
    state->done = true;
    io::Detach(GiveUp(lease_id));
    if (!put) co_return Fail(put.error());
    co_return Fail(Code::kInternal, "the lock on {}: its key exists", dir);
  }
  RangeQuery older = Below(dir + "/locks");
  older.max_mod_revision = put->revision - 1;
  older.by_mod_revision = true;
  std::string holder;
  for (;;) {
    Result<RangeResult> before_us = co_await client_->Range(older, deadline);
    if (before_us && before_us->keys.empty() && !state->lost) break;
    if (before_us && !before_us->keys.empty()) holder = before_us->keys[0].value;
    Time now = loop_.Now();
    bool refused = !wait && before_us;
    if (refused || deadline.Passed(now) || gate_.closed() || state->lost) {
      state->done = true;
      io::Detach(GiveUp(lease_id));
      if (state->lost)
        co_return Fail(Code::kUnavailable, "waiting for the lock on {}: the lease ran out", dir);
      if (holder.empty() && !before_us) co_return Fail(before_us.error());
      Code code = refused ? Code::kAlreadyExists : Code::kDeadlineExceeded;
      co_return LockHeld(code, dir, holder);
    }
    Deadline next = Deadline::At(now + kLockPoll).EarlierOf(deadline);
    bool open = co_await io::Sleep(gate_, next);
    (void)open;
  }
  co_return std::make_unique<EtcdLock>(*this, state, dir);
}

io::Task<void> EtcdConn::Renew(std::shared_ptr<LockState> state) {
  auto pass = gate_.Enter();
  Duration pause = state->lease / 3;
  while (pass && !state->done) {
    Deadline next = Deadline::At(loop_.Now() + pause);
    bool open = co_await io::Sleep(gate_, next);
    if (!open || state->done) break;
    Time before = loop_.Now();
    Deadline limit = Deadline::At(before + std::min<Duration>(state->lease / 3, 2s));
    int64_t lease_id = state->lease_id;
    Status kept = co_await client_->KeepAlive(lease_id, limit);
    if (!kept && kept.error().code() == Code::kNotFound) {
      state->lost = true;
      break;
    }
    if (kept) state->held_until = before + state->lease;
    pause = kept ? state->lease / 3 : std::min<Duration>(state->lease / 10, 200ms);
  }
}

io::Task<void> EtcdConn::GiveUp(int64_t lease) {
  Deadline limit = Deadline::At(loop_.Now() + 2s);
  Status revoked = co_await client_->Revoke(lease, limit);
  (void)revoked;  // else it runs out
}

io::Task<void> EtcdConn::Stop() {
  for (EtcdWatch* watch : watches_) watch->Close();
  co_await client_->Stop();
  bool left = co_await gate_.Close(Deadline::Never());
  (void)left;
}

}  // namespace

Result<ConnPtr> Open(io::Loop& loop, const EtcdOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Make(loop, options));
  return ConnPtr(std::make_unique<EtcdConn>(loop, std::move(client), options.root));
}

}  // namespace paceline::topo::etcd
