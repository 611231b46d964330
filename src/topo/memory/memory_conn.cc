#include "topo/memory/memory_conn.h"

#include <algorithm>
#include <utility>

#include "io/sync.h"
#include "topo/refusals.h"
#include "topo/watch_queue.h"

namespace paceline::topo::memory {
namespace {

constexpr Duration kDefaultLease = 30s;

bool Below(std::string_view path, std::string_view dir) {
  if (dir.empty()) return true;
  return path.size() > dir.size() + 1 && path.starts_with(dir) && path[dir.size()] == '/';
}

}  // namespace

class MemoryWatch;

class Conn final : public MemoryConn {
 public:
  Conn(io::Loop& loop, std::shared_ptr<Store> store, std::string root)
      : loop_(loop), store_(std::move(store)), root_(std::move(root)) {
    while (root_.ends_with('/')) root_.pop_back();
    if (!root_.empty()) root_ += '/';
    store_->conns_.insert(this);
  }
  ~Conn() override { store_->conns_.erase(this); }

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
  std::string Identity() const override { return fmt::format("memory-{}", store_->founded_); }
  io::Task<void> Stop() override;

  Faults& faults() override { return faults_; }
  void FaultsChanged() override;
  bool away() const { return faults_.cut_off || faults_.refuse; }

  // What every call does first: latency and faults.
  io::Task<Status> Reach(Path path, bool allow_root, Deadline deadline);
  // What every write does last.
  Status Answer();
  void Notify(const std::string& full_path);
  std::vector<File> FilesBelow(std::string_view dir) const;
  std::string Full(std::string_view path) const { return root_ + std::string(path); }

  io::Loop& loop_;
  std::shared_ptr<Store> store_;
  std::string root_;
  Faults faults_;
  io::Gate gate_;
  io::Event changed_;  // pulsed: locks or faults
  std::set<MemoryWatch*> watches_;
};

class MemoryWatch final : public Watch {
 public:
  MemoryWatch(Conn& conn, Path path, bool recursive)
      : conn_(conn), path_(std::move(path)), recursive_(recursive) {
    conn_.watches_.insert(this);
  }
  ~MemoryWatch() override { conn_.watches_.erase(this); }
  io::Task<Result<WatchEvent>> Next(Deadline deadline) override { return queue_.Next(deadline); }
  void Close() override { queue_.Close(); }

  void Start() {
    CatchUp();
    if (recursive_)
      queue_.Synced();
    else if (!conn_.store_->files_.contains(conn_.Full(path_)))
      queue_.Absent(path_);
  }
  void CatchUp() {
    if (recursive_) return queue_.Replace(conn_.FilesBelow(path_));
    std::vector<File> files;
    auto found = conn_.store_->files_.find(conn_.Full(path_));
    if (found != conn_.store_->files_.end())
      files.push_back({path_, found->second.data, found->second.version});
    queue_.Replace(std::move(files));
  }
  void Changed(std::string_view path) {
    if (path != path_ && !(recursive_ && Below(path, path_))) return;
    auto found = conn_.store_->files_.find(conn_.Full(path));
    if (found == conn_.store_->files_.end()) return queue_.Deleted(Path(path));
    queue_.Value({Path(path), found->second.data, found->second.version});
  }

 private:
  Conn& conn_;
  Path path_;
  bool recursive_;
  WatchQueue queue_;
};

class MemoryLock final : public Lock {
 public:
  MemoryLock(Conn& conn, std::string dir, int64_t id, Duration lease)
      : conn_(conn), dir_(std::move(dir)), id_(id), lease_(lease), timer_(&OnTimer, this) {
    held_until_ = conn_.loop_.Now() + lease_;
    timer_.Set(conn_.loop_, conn_.loop_.Now() + lease_ / 3);
  }
  bool StillHeld() const override { return !released_ && conn_.loop_.Now() < held_until_; }
  io::Task<Status> CheckHeld(Deadline deadline) override {
    Status reached = co_await conn_.Reach("", true, deadline);
    if (!reached) co_return Fail(reached.error());
    co_return Find() != nullptr ? Status() : Lost();
  }
  io::Task<Status> Release(Deadline deadline) override {
    released_ = true;
    timer_.Cancel();
    Status reached = co_await conn_.Reach("", true, deadline);
    if (!reached) co_return Fail(reached.error());
    Store::LockEntry* entry = Find();
    if (entry == nullptr) co_return Lost();
    auto& queue = conn_.store_->locks_[dir_];
    std::erase_if(queue, [this](const auto& e) { return e.id == id_; });
    if (queue.empty()) conn_.store_->locks_.erase(dir_);
    conn_.store_->Changed("");
    co_return Status();
  }

 private:
  static void OnTimer(void* self) { static_cast<MemoryLock*>(self)->Renew(); }
  Status Lost() const {
    return Fail(Code::kFailedPrecondition, "the lock on {} was lost: its lease ran out", dir_);
  }
  Store::LockEntry* Find() {
    conn_.store_->DropExpired(dir_, conn_.loop_.Now());
    auto found = conn_.store_->locks_.find(dir_);
    if (found == conn_.store_->locks_.end()) return nullptr;
    for (Store::LockEntry& entry : found->second) {
      if (entry.id == id_) return &entry;
    }
    return nullptr;
  }
  void Renew() {
    Time now = conn_.loop_.Now();
    if (!conn_.away()) {
      Store::LockEntry* entry = Find();
      if (entry == nullptr) return;
      entry->expires = held_until_ = now + lease_;
    }
    timer_.Set(conn_.loop_, now + lease_ / 3);
  }
  Conn& conn_;
  std::string dir_;
  int64_t id_;
  Duration lease_;
  Time held_until_;
  bool released_ = false;
  io::Timer timer_;
};

void Store::Changed(const std::string& path) {
  for (Conn* conn : conns_) conn->Notify(path);
}

void Store::DropExpired(const std::string& dir, Time now) {
  auto found = locks_.find(dir);
  if (found == locks_.end()) return;
  if (std::erase_if(found->second, [now](const LockEntry& entry) { return entry.expires <= now; }) >
      0) {
    if (found->second.empty()) locks_.erase(found);
    Changed("");
  }
}

void Conn::Notify(const std::string& full_path) {
  if (full_path.empty()) return changed_.Pulse();
  if (away() || !full_path.starts_with(root_)) return;
  for (MemoryWatch* watch : watches_)
    watch->Changed(std::string_view(full_path).substr(root_.size()));
}

void Conn::FaultsChanged() {
  changed_.Pulse();
  if (away()) return;
  for (MemoryWatch* watch : watches_) watch->CatchUp();
}

io::Task<void> Conn::Stop() {
  for (MemoryWatch* watch : watches_) watch->Close();
  changed_.Pulse();
  bool left = co_await gate_.Close(Deadline::Never());
  (void)left;
}

io::Task<Status> Conn::Reach(Path path, bool allow_root, Deadline deadline) {
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  Status valid = ValidatePath(path, allow_root);
  if (!valid) co_return Fail(valid.error());
  if (faults_.latency > Duration(0)) {
    Deadline until = Deadline::At(loop_.Now() + faults_.latency).EarlierOf(deadline);
    bool open = co_await io::Sleep(gate_, until);
    if (!open) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  }
  while (faults_.cut_off && !deadline.Passed(loop_.Now()) && !gate_.closed()) {
    bool pulsed = co_await changed_.Wait(deadline);
    (void)pulsed;
  }
  if (away()) co_return Fail(Code::kUnavailable, "the topology store does not answer (fault)");
  if (deadline.Passed(loop_.Now()))
    co_return Fail(Code::kUnavailable, "the topology store did not answer in time");
  co_return Status();
}

Status Conn::Answer() {
  if (faults_.lost_answers == 0) return {};
  --faults_.lost_answers;
  return Fail(Code::kUnavailable, "the topology store's answer was lost (fault)");
}

std::vector<File> Conn::FilesBelow(std::string_view dir) const {
  std::vector<File> files;
  std::string prefix = Full(dir);
  if (!dir.empty()) prefix += '/';
  for (auto at = store_->files_.lower_bound(prefix); at != store_->files_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    files.push_back({at->first.substr(root_.size()), at->second.data, at->second.version});
  }
  return files;
}

io::Task<Result<File>> Conn::Get(Path path, Deadline deadline) {
  Status reached = co_await Reach(path, false, deadline);
  if (!reached) co_return Fail(reached.error());
  auto found = store_->files_.find(Full(path));
  if (found != store_->files_.end())
    co_return File{path, found->second.data, found->second.version};
  // A lock's entry: <dir>/locks/<id>.
  size_t id_at = path.rfind('/');
  if (id_at != Path::npos && path.substr(0, id_at).ends_with("/locks")) {
    auto lock = store_->locks_.find(Full(path.substr(0, id_at - 6)));
    if (lock != store_->locks_.end()) {
      for (const auto& entry : lock->second) {
        if (std::to_string(entry.id) == path.substr(id_at + 1))
          co_return File{path, entry.contents, {entry.id}};
      }
    }
  }
  co_return Absent(path);
}

io::Task<Result<std::vector<DirEntry>>> Conn::ListDir(Path dir, Deadline deadline) {
  Status reached = co_await Reach(dir, true, deadline);
  if (!reached) co_return Fail(reached.error());
  std::set<DirEntry> entries;
  std::string prefix = Full(dir);
  if (!dir.empty()) prefix += '/';
  auto add = [&](std::string_view full, bool ephemeral) {
    std::string_view rest = full.substr(prefix.size());
    size_t slash = rest.find('/');
    entries.insert(
        {std::string(rest.substr(0, slash)), slash != std::string_view::npos, ephemeral});
  };
  for (auto at = store_->files_.lower_bound(prefix); at != store_->files_.end(); ++at) {
    if (!at->first.starts_with(prefix)) break;
    add(at->first, false);
  }
  for (const auto& [lock_dir, queue] : store_->locks_) {
    for (const auto& entry : queue) {
      std::string full = fmt::format("{}/locks/{}", lock_dir, entry.id);
      bool direct = prefix == lock_dir + "/" || prefix == lock_dir + "/locks/";
      if (full.starts_with(prefix)) add(full, direct);
    }
  }
  if (entries.empty()) co_return AbsentDir(dir);
  std::vector<DirEntry> sorted;
  for (const DirEntry& entry : entries) {
    if (!sorted.empty() && sorted.back().name == entry.name &&
        sorted.back().is_directory == entry.is_directory)
      continue;
    sorted.push_back(entry);
  }
  co_return sorted;
}

io::Task<Result<std::vector<File>>> Conn::List(Path dir, Deadline deadline) {
  Status reached = co_await Reach(dir, true, deadline);
  if (!reached) co_return Fail(reached.error());
  co_return FilesBelow(dir);
}

io::Task<Result<Version>> Conn::Create(Path path, std::string data, Deadline deadline) {
  Status reached = co_await Reach(path, false, deadline);
  if (!reached) co_return Fail(reached.error());
  std::string full = Full(path);
  Version version{store_->revision_ + 1};
  bool fresh = store_->files_.try_emplace(full, Store::Value{std::move(data), version}).second;
  if (!fresh) co_return Exists(path);
  ++store_->revision_;
  store_->Changed(full);
  Status answer = Answer();
  if (!answer) co_return Fail(answer.error());
  co_return version;
}

io::Task<Result<Version>> Conn::Update(Path path, std::string data, Version expected,
                                       Deadline deadline) {
  Status reached = co_await Reach(path, false, deadline);
  if (!reached) co_return Fail(reached.error());
  std::string full = Full(path);
  auto found = store_->files_.find(full);
  bool absent = found == store_->files_.end();
  if (expected != kAnyVersion && (absent || found->second.version != expected)) {
    co_return Moved(path, expected);
  }
  Version version{++store_->revision_};
  store_->files_[full] = {std::move(data), version};
  store_->Changed(full);
  Status answer = Answer();
  if (!answer) co_return Fail(answer.error());
  co_return version;
}

io::Task<Status> Conn::Delete(Path path, Version expected, Deadline deadline) {
  Status reached = co_await Reach(path, false, deadline);
  if (!reached) co_return Fail(reached.error());
  std::string full = Full(path);
  auto found = store_->files_.find(full);
  if (found == store_->files_.end()) co_return Absent(path);
  if (expected != kAnyVersion && found->second.version != expected) {
    co_return Moved(path, expected);
  }
  store_->files_.erase(found);
  ++store_->revision_;
  store_->Changed(full);
  co_return Answer();
}

io::Task<Result<WatchPtr>> Conn::OpenWatch(Path path, Deadline deadline) {
  Status reached = co_await Reach(path, false, deadline);
  if (!reached) co_return Fail(reached.error());
  auto watch = std::make_unique<MemoryWatch>(*this, path, false);
  watch->Start();
  co_return WatchPtr(std::move(watch));
}

io::Task<Result<WatchPtr>> Conn::OpenWatchRecursive(Path dir, Deadline deadline) {
  Status reached = co_await Reach(dir, true, deadline);
  if (!reached) co_return Fail(reached.error());
  auto watch = std::make_unique<MemoryWatch>(*this, dir, true);
  watch->Start();
  co_return WatchPtr(std::move(watch));
}

io::Task<Result<LockPtr>> Conn::AcquireLock(Path dir, LockOptions options, Deadline deadline) {
  Status reached = co_await Reach(dir, false, deadline);
  if (!reached) co_return Fail(reached.error());
  if (options.dir_must_exist && FilesBelow(dir).empty()) {
    co_return NothingToLock(dir);
  }
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  Duration lease =
      options.lease > Duration(0) ? std::max<Duration>(options.lease, 1s) : kDefaultLease;
  std::string full = Full(dir);
  int64_t id = ++store_->revision_;
  store_->locks_[full].push_back({id, options.contents, lease, loop_.Now() + lease});
  auto lock = std::make_unique<MemoryLock>(*this, full, id, lease);
  for (;;) {
    Time now = loop_.Now();
    store_->DropExpired(full, now);
    auto queue = store_->locks_.find(full);
    bool queued = false;
    if (queue != store_->locks_.end()) {
      for (const auto& entry : queue->second) queued |= entry.id == id;
    }
    if (!queued)
      co_return Fail(Code::kUnavailable, "waiting for the lock on {}: the lease ran out", dir);
    if (queue->second.front().id == id && !away()) co_return LockPtr(std::move(lock));
    if (deadline.Passed(now) || gate_.closed()) {
      std::string holder = DescribeLock(queue->second.front().contents);
      std::erase_if(queue->second, [id](const auto& entry) { return entry.id == id; });
      if (queue->second.empty()) store_->locks_.erase(queue);
      store_->Changed("");
      co_return Fail(Code::kDeadlineExceeded, "the lock on {} is held: {}", dir, holder);
    }
    Deadline until = deadline.EarlierOf(Deadline::At(queue->second.front().expires));
    bool pulsed = co_await changed_.Wait(until);
    (void)pulsed;
  }
}

io::Task<Result<LockPtr>> Conn::TryLock(Path dir, LockOptions options, Deadline deadline) {
  Status reached = co_await Reach(dir, false, deadline);
  if (!reached) co_return Fail(reached.error());
  std::string full = Full(dir);
  store_->DropExpired(full, loop_.Now());
  auto queue = store_->locks_.find(full);
  if (queue != store_->locks_.end()) {
    co_return LockHeld(Code::kAlreadyExists, dir, queue->second.front().contents);
  }
  Result<LockPtr> lock = co_await AcquireLock(dir, options, deadline);
  co_return lock;
}

std::unique_ptr<MemoryConn> Open(io::Loop& loop, std::shared_ptr<Store> store, std::string root) {
  return std::make_unique<Conn>(loop, std::move(store), std::move(root));
}

}  // namespace paceline::topo::memory
