// etcdmember/decide.h - what the wrapper of one etcd member does next, from what is seen of all.
// Pure: no clock, no I/O; safe to run again after any crash.
//
// E1 A cluster is founded only when every configured member answers and none has data, so never two
//    out of a partition: each founding has a token of its own, made of what all members said, and a
//    member takes part in a second one only after it has lost its data and said so.
// E2 A member whose data is gone never starts under its old identity: it votes for nothing it has
//    forgotten. It takes itself out of the cluster and comes back as a learner.
// E3 Data is set aside only when a quorum goes on without it, and it is kept.
// The states of a member: empty (a nonce names this emptiness) -> agreed (to one founding) ->
// founded; or empty -> added as a learner -> voter. Docs: docs/decisions/0006-etcd-that-heals.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "topo/etcd/admin.h"

namespace paceline::etcdmember {

struct SnapshotId {
  std::string digest;  // hex SHA-256 of its contents; empty: no snapshot
  uint64_t cluster_id = 0;
  int64_t revision = 0;
  int64_t taken_unix_ns = 0;
  friend bool operator==(const SnapshotId&, const SnapshotId&) = default;
};

// What a member's wrapper tells of it.
struct Sight {
  bool answers = false;
  bool has_data = false;
  std::string nonce;          // without data
  std::string agreed;         // token of the founding it agreed to, durably
  std::string agreed_digest;  // the snapshot that one starts from; empty: from nothing
  std::string founded;        // token of the founding it started, durably before it started
  SnapshotId snapshot;        // the newest it has at hand
  friend bool operator==(const Sight&, const Sight&) = default;
};

struct View {
  std::string self;
  std::map<std::string, std::string> peer_urls;  // of the configured members, by name
  std::map<std::string, Sight> sights;           // ours included
  std::optional<topo::etcd::Membership> quorum;  // from a server with a quorum behind it
  // Of our own etcd:
  bool running = false;
  std::optional<topo::etcd::ServerStatus> server;  // of the running one; empty: no answer
  bool hung = false;                               // no answer for too long
  uint64_t cluster_id = 0, member_id = 0;          // as our data's last server said; 0: unknown
  uint64_t added_id = 0;                           // added as this learner, and never started as it
  int failed_starts = 0;                           // in a row
};

// What to do. `why` is for people.
struct Wait {
  std::string why;
};
struct Well {};  // our member serves
struct Kill {
  std::string why;
};
struct Run {};  // with the data there is
struct SetAside {
  std::string why;
};
struct Agree {
  std::string token, digest;
};
struct Found {
  std::string token, digest;
};
struct RemoveOldSelf {
  uint64_t id = 0;
};
struct AddSelf {};
struct Join {
  std::string initial_cluster;
};
struct Promote {
  uint64_t id = 0;
};
using Action = std::variant<Wait, Well, Kill, Run, SetAside, Agree, Found, RemoveOldSelf, AddSelf,
                            Join, Promote>;

Action Decide(const View& view);

// Most of the configured members stand in it: one that does not is a stranger's, or a member that
// etcd has founded for itself alone.
bool IsOurs(const topo::etcd::Membership& membership,
            const std::map<std::string, std::string>& peer_urls);
// "name=url,...", sorted: what --initial-cluster takes.
std::string InitialCluster(const std::map<std::string, std::string>& peer_urls);
// The newest of all that are at hand: of the cluster that was alive last, its highest revision.
SnapshotId NewestSnapshot(const std::map<std::string, Sight>& sights);
std::string Describe(const Action& action);

}  // namespace paceline::etcdmember
