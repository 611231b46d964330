// topo/conn.h - one cell's topology store: small versioned files, watches, locks.
// Backends: topo/etcd, topo/embedded, topo/memory; each passes topo/conformance. Paths are relative
// to the root the Conn was opened with, parts joined by '/', no leading one:
// "keyspaces/commerce/shards/0/Shard". A directory exists while a file lies below it; "" is the
// root. Threads: call on the owning loop only. Lifetime: outlives every Watch and Lock it hands
// out; Stop before destroying. Errors of every call: kUnavailable = the store did not answer (for
// writes: outcome unknown, Get before retrying); no call outlasts its deadline by more than a tick.
// kInvalidArgument = a malformed path.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"

namespace paceline::topo {

using Path = std::string;

// Grows with each write of a file; opaque otherwise (etcd: the mod revision). Zero is kAnyVersion.
struct Version {
  int64_t number = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
};
inline constexpr Version kAnyVersion{0};

struct File {
  Path path;
  std::string data;
  Version version;
  friend bool operator==(const File&, const File&) = default;
};

struct DirEntry {
  std::string name;  // without the directory
  bool is_directory = false;
  bool ephemeral = false;  // a lock's entry
  friend auto operator<=>(const DirEntry&, const DirEntry&) = default;
};

struct WatchEvent {
  enum class Kind : uint8_t {
    kValue,    // `file` is the newest value of file.path
    kDeleted,  // file.path is gone (or is not there at all, as the first event of a watch on a
               // file)
    kSynced,  // all files that were there when the watch was opened have been told; once, recursive
              // watches only
  };
  Kind kind = Kind::kValue;
  File file;
};

// A watch may miss versions between, never the last. It heals by itself after an outage or a
// compaction of the store, and then tells what changed meanwhile. When the store has become another
// one (Conn::Identity), what is missing there is not told as deleted: who watches goes on with it.
// It holds at most one pending event per file.
class Watch {
 public:
  virtual ~Watch() = default;
  // One caller at a time. Errors: kDeadlineExceeded = nothing new so far, call again; kCanceled =
  // Close was called or the Conn stopped; kAborted = lost for good (say, access revoked), with the
  // reason: open it again.
  virtual io::Task<Result<WatchEvent>> Next(Deadline deadline) = 0;
  // Ends Next with kCanceled. Idempotent. The destructor closes too, but no Next may run then.
  virtual void Close() = 0;
};
using WatchPtr = std::unique_ptr<Watch>;

// A held lock. Renewed in the background until Release or destruction; a destroyed, unreleased lock
// ends by its lease.
class Lock {
 public:
  virtual ~Lock() = default;
  // False once the lease may have run out by our own clock, counted from before the last renewal
  // was sent. No I/O: ask before each step that cannot be taken back.
  virtual bool StillHeld() const = 0;
  // Asks the store. Errors: kFailedPrecondition = lost; kUnavailable.
  virtual io::Task<Status> CheckHeld(Deadline deadline) = 0;
  // Gives the lock up. Errors: kFailedPrecondition = it was lost before; kUnavailable = it ends by
  // its lease.
  virtual io::Task<Status> Release(Deadline deadline) = 0;
};
using LockPtr = std::unique_ptr<Lock>;

struct LockOptions {
  std::string contents;        // for people and tools: JSON of topo/lock_text.h
  Duration lease{0};           // zero: the backend's default (etcd 30 s, as Vitess); at least 1 s
  bool dir_must_exist = true;  // kNotFound when nothing lies below `dir`; false for named locks
};

class Conn {
 public:
  virtual ~Conn() = default;

  // Errors: kNotFound.
  virtual io::Task<Result<File>> Get(Path path, Deadline deadline) = 0;
  // Sorted by name. Locks show as a directory "locks" with ephemeral entries. Errors: kNotFound.
  virtual io::Task<Result<std::vector<DirEntry>>> ListDir(Path dir, Deadline deadline) = 0;
  // Every file below `dir` at any depth with its data, sorted by path; locks are left out; empty
  // when none.
  virtual io::Task<Result<std::vector<File>>> List(Path dir, Deadline deadline) = 0;
  // Errors: kAlreadyExists.
  virtual io::Task<Result<Version>> Create(Path path, std::string data, Deadline deadline) = 0;
  // Stores `data` if the current version equals `expected`; with kAnyVersion always, creating the
  // file if need be. Errors: kFailedPrecondition = the version moved or the file is gone.
  virtual io::Task<Result<Version>> Update(Path path, std::string data, Version expected,
                                           Deadline deadline) = 0;
  // Errors: kNotFound, kFailedPrecondition = version moved.
  virtual io::Task<Status> Delete(Path path, Version expected, Deadline deadline) = 0;

  // First event = the current value, or kDeleted when there is none; then newer ones. Deletion does
  // not end it.
  virtual io::Task<Result<WatchPtr>> OpenWatch(Path path, Deadline deadline) = 0;
  // Files below `dir` at any depth, locks left out: all current ones, kSynced, then changes. `dir`
  // need not exist yet.
  virtual io::Task<Result<WatchPtr>> OpenWatchRecursive(Path dir, Deadline deadline) = 0;

  // Waits in order of asking until the lock on `dir` is ours. Errors: kDeadlineExceeded, naming the
  // holder; kNotFound.
  virtual io::Task<Result<LockPtr>> AcquireLock(Path dir, LockOptions options,
                                                Deadline deadline) = 0;
  // Without waiting for a holder. Errors: kAlreadyExists, naming the holder; kNotFound.
  virtual io::Task<Result<LockPtr>> TryLock(Path dir, LockOptions options, Deadline deadline) = 0;

  // Which store it is, as last heard: another one when it was founded anew, from a snapshot or from
  // nothing, so that what is missing in it need not have been deleted by anybody. Empty: not known.
  virtual std::string Identity() const { return {}; }

  // Ends watches and calls (kCanceled or kUnavailable) and waits for its own work to end. Locks not
  // released are left to their lease. Idempotent.
  virtual io::Task<void> Stop() = 0;
};
using ConnPtr = std::unique_ptr<Conn>;

// Errors: kInvalidArgument for empty parts, "." and "..", control characters, a leading or trailing
// '/', or a part "locks", which belongs to locks. `allow_root` admits "".
Status ValidatePath(std::string_view path, bool allow_root);

}  // namespace paceline::topo
