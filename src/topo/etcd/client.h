// topo/etcd/client.h - etcd v3 over gRPC, as plain values: several endpoints with failover, guarded
// writes, leases, watch streams. gRPC's threads only post to the loop. Threads: one loop, which
// outlives it. Stop before destroying. Errors: kUnavailable = no endpoint answered (a write's
// outcome is unknown, unless none was reached); kNotFound = the lease is gone; kInvalidArgument,
// kPermissionDenied, kUnauthenticated = as etcd says.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/task.h"
#include "topo/etcd/etcd_conn.h"

namespace paceline::topo::etcd {

struct KeyValue {
  std::string key, value;
  int64_t create_revision = 0, mod_revision = 0, lease = 0;
};

struct RangeQuery {
  std::string key, end;  // an empty end: this key alone
  bool keys_only = false;
  int64_t limit = 0;
  int64_t max_mod_revision = 0;
  bool by_mod_revision = false;  // ascending; else by key
};
struct RangeResult {
  std::vector<KeyValue> keys;
  int64_t revision = 0;
  uint64_t cluster_id = 0;
};

// What must hold for a write: the key's mod revision, kAbsent or kAnything.
inline constexpr int64_t kAbsent = 0;
inline constexpr int64_t kAnything = -1;
struct WriteResult {
  bool done = false;  // false: the guard did not hold, nothing was written
  int64_t revision = 0;
  int64_t deleted = 0;
};

struct WatchBatch {
  struct Event {
    bool deleted = false;
    KeyValue entry;
  };
  std::vector<Event> events;
  int64_t revision = 0;
  bool compacted = false;  // the start revision is gone; the stream has ended
};
class WatchStream {
 public:
  virtual ~WatchStream() = default;  // cancels
  // Errors: kUnavailable = the stream broke; kCanceled after Cancel.
  virtual io::Task<Result<WatchBatch>> Next() = 0;
  virtual void Cancel() = 0;
};

class Client {
 public:
  virtual ~Client() = default;
  static Result<std::unique_ptr<Client>> Make(io::Loop& loop, const EtcdOptions& options);
  virtual io::Task<Result<RangeResult>> Range(RangeQuery query, Deadline deadline) = 0;
  virtual io::Task<Result<WriteResult>> Put(std::string key, std::string value, int64_t guard,
                                            int64_t lease, Deadline deadline) = 0;
  virtual io::Task<Result<WriteResult>> Delete(std::string key, int64_t guard,
                                               Deadline deadline) = 0;
  virtual io::Task<Result<int64_t>> Grant(int64_t ttl_s, Deadline deadline) = 0;
  // kNotFound when it ran out.
  virtual io::Task<Status> KeepAlive(int64_t lease, Deadline deadline) = 0;
  virtual io::Task<Status> Revoke(int64_t lease, Deadline deadline) = 0;
  // Forgets what was before `revision`.
  virtual io::Task<Status> Compact(int64_t revision, Deadline deadline) = 0;
  // Events from `revision` on. A broken stream moves the client to its next endpoint.
  virtual std::shared_ptr<WatchStream> Watch(std::string key, std::string end,
                                             int64_t revision) = 0;
  // Of the cluster that answered last; 0: none has.
  virtual uint64_t cluster_id() const = 0;
  // Cancels all calls and waits until gRPC has let go of them.
  virtual io::Task<void> Stop() = 0;
};

}  // namespace paceline::topo::etcd
