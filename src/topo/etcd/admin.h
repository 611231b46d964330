// topo/etcd/admin.h - what concerns one etcd server and its cluster rather than keys: status,
// members, snapshots. Threads: one loop, which outlives it. Stop before destroying. Errors: as
// topo/etcd/client.h; calls speak to this one server and are not tried elsewhere.
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

struct Member {
  uint64_t id = 0;
  std::string name;  // empty until it was started for the first time
  std::vector<std::string> peer_urls;
  bool learner = false;
  friend bool operator==(const Member&, const Member&) = default;
};
struct Membership {
  uint64_t cluster_id = 0;
  std::vector<Member> members;
  friend bool operator==(const Membership&, const Membership&) = default;
};
struct ServerStatus {
  uint64_t cluster_id = 0, member_id = 0;
  bool has_leader = false;
  bool learner = false;
  int64_t revision = 0;
  std::string version;
  friend bool operator==(const ServerStatus&, const ServerStatus&) = default;
};

class Admin {
 public:
  virtual ~Admin() = default;
  // `options.endpoints` names one server.
  static Result<std::unique_ptr<Admin>> Make(io::Loop& loop, const EtcdOptions& options);
  // Of the server itself; answered without a quorum too.
  virtual io::Task<Result<ServerStatus>> Status(Deadline deadline) = 0;
  // As a quorum has it. Errors: kUnavailable also when the server has no quorum behind it.
  virtual io::Task<Result<Membership>> Members(Deadline deadline) = 0;
  virtual io::Task<Result<Member>> AddLearner(std::string peer_url, Deadline deadline) = 0;
  // Errors: kFailedPrecondition while it has not caught up.
  virtual io::Task<paceline::Status> Promote(uint64_t member, Deadline deadline) = 0;
  virtual io::Task<paceline::Status> Remove(uint64_t member, Deadline deadline) = 0;
  // Writes the server's database to `file`, as etcdctl does: what `etcdctl snapshot restore` takes.
  virtual io::Task<paceline::Status> Snapshot(std::string file, Deadline deadline) = 0;
  virtual io::Task<void> Stop() = 0;
};

}  // namespace paceline::topo::etcd
