#include "etcdmember/decide.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "etcdmember/seal.h"

namespace paceline::etcdmember {
namespace {

using topo::etcd::Member;
using topo::etcd::Membership;

constexpr int kStartsTried = 3;

const Member* FindId(const Membership& membership, uint64_t id) {
  auto found = std::find_if(membership.members.begin(), membership.members.end(),
                            [&](const Member& member) { return member.id == id; });
  return found == membership.members.end() ? nullptr : &*found;
}

const Member* FindPeer(const Membership& membership, const std::string& peer_url) {
  for (const Member& member : membership.members) {
    const auto& urls = member.peer_urls;
    if (std::find(urls.begin(), urls.end(), peer_url) != urls.end()) return &member;
  }
  return nullptr;
}

// Why the quorum goes on without us; empty: it does not, or we cannot know.
std::string Expelled(const Membership& quorum, uint64_t cluster_id, uint64_t member_id) {
  if (cluster_id == 0 || member_id == 0) return "";
  if (quorum.cluster_id != cluster_id) {
    return fmt::format("it is of cluster {:x}, and {:x} has the quorum", cluster_id,
                       quorum.cluster_id);
  }
  if (FindId(quorum, member_id) == nullptr)
    return fmt::format("member {:x} was removed from the cluster", member_id);
  return "";
}

Action DecideRunning(const View& view, const Sight& me) {
  if (!me.has_data && me.founded.empty() && view.added_id == 0)
    return Kill{"its data was deleted under it"};
  if (view.hung) return Kill{"it does not answer"};
  if (!view.server) return Wait{"etcd is starting"};
  if (view.quorum) {
    std::string why = Expelled(*view.quorum, view.server->cluster_id, view.server->member_id);
    if (!why.empty()) return SetAside{why};
    const Member* listed = FindId(*view.quorum, view.server->member_id);
    if (listed != nullptr && listed->learner) return Promote{listed->id};
  }
  if (view.server->has_leader) return Well{};
  return Wait{"the cluster has no leader"};
}

// Those who were added but never started have no name yet, and --initial-cluster wants one.
std::string InitialClusterOf(const View& view) {
  std::map<std::string, std::string> urls;
  for (const Member& member : view.quorum->members) {
    if (member.peer_urls.empty()) continue;
    std::string name = member.name;
    for (const auto& [configured, url] : view.peer_urls) {
      if (url == member.peer_urls[0]) name = configured;
    }
    urls[name.empty() ? fmt::format("member-{:x}", member.id) : name] = member.peer_urls[0];
  }
  return InitialCluster(urls);
}

Action DecideJoining(const View& view) {
  const Member* listed = FindPeer(*view.quorum, view.peer_urls.at(view.self));
  if (listed == nullptr) {
    for (const Member& member : view.quorum->members) {
      if (member.learner) return Wait{fmt::format("{} is joining first", member.peer_urls[0])};
    }
    return AddSelf{};
  }
  if (listed->id == view.added_id) return Join{InitialClusterOf(view)};
  return RemoveOldSelf{listed->id};
}

Action DecideFounding(const View& view, const Sight& me) {
  std::vector<std::string> silent, with_data;
  std::string said;
  for (const auto& [name, sight] : view.sights) {
    if (!sight.answers) silent.push_back(name);
    if (sight.has_data || !sight.founded.empty()) with_data.push_back(name);
    said += fmt::format("{}={}={}\n", name, view.peer_urls.at(name), sight.nonce);
  }
  if (!silent.empty()) {
    return Wait{fmt::format("no quorum, and {} does not say whether there is data",
                            paceline::Join(silent, ", "))};
  }
  if (!with_data.empty()) {
    return Wait{
        fmt::format("no quorum, but {} has data: start the missing members with theirs, or "
                    "set that data aside too",
                    paceline::Join(with_data, ", "))};
  }
  SnapshotId newest = NewestSnapshot(view.sights);
  std::string token = HexEncode(Sha256(said + newest.digest).substr(0, 12));
  if (me.agreed != token) return Agree{token, newest.digest};
  for (const auto& [name, sight] : view.sights) {
    if (sight.agreed != token) return Wait{fmt::format("{} has not agreed yet", name)};
  }
  return Found{token, newest.digest};
}

}  // namespace

Action Decide(const View& view) {
  const Sight& me = view.sights.at(view.self);
  if (view.running) return DecideRunning(view, me);
  if (me.has_data) {
    if (view.quorum) {
      std::string why = Expelled(*view.quorum, view.cluster_id, view.member_id);
      if (!why.empty()) return SetAside{why};
      if (view.failed_starts >= kStartsTried) return SetAside{"etcd does not start with it"};
    }
    return Run{};
  }
  // A founding goes on that we agreed to and never took part in: it is ours as well. Not when etcd
  // refuses that and we can join.
  bool may_follow = !me.agreed.empty() && !(view.quorum && view.failed_starts > 0);
  for (const auto& [name, sight] : view.sights) {
    if (may_follow && sight.answers && sight.founded == me.agreed)
      return Found{me.agreed, me.agreed_digest};
  }
  if (view.quorum) return DecideJoining(view);
  return DecideFounding(view, me);
}

bool IsOurs(const Membership& membership, const std::map<std::string, std::string>& peer_urls) {
  size_t listed = 0;
  for (const auto& [name, url] : peer_urls) listed += FindPeer(membership, url) != nullptr ? 1 : 0;
  return listed > peer_urls.size() / 2;
}

std::string InitialCluster(const std::map<std::string, std::string>& peer_urls) {
  std::vector<std::string> parts;
  for (const auto& [name, url] : peer_urls) parts.push_back(name + "=" + url);
  return paceline::Join(parts, ",");
}

SnapshotId NewestSnapshot(const std::map<std::string, Sight>& sights) {
  SnapshotId last;
  for (const auto& [name, sight] : sights) {
    if (sight.snapshot.taken_unix_ns > last.taken_unix_ns) last = sight.snapshot;
  }
  SnapshotId newest = last;
  for (const auto& [name, sight] : sights) {
    const SnapshotId& one = sight.snapshot;
    if (one.cluster_id == last.cluster_id && one.revision > newest.revision) newest = one;
  }
  return newest;
}

std::string Describe(const Action& action) {
  struct Words {
    std::string operator()(const Wait& a) const { return "waiting: " + a.why; }
    std::string operator()(const Well&) const { return "serving"; }
    std::string operator()(const Kill& a) const { return "killing etcd: " + a.why; }
    std::string operator()(const Run&) const { return "starting etcd with its data"; }
    std::string operator()(const SetAside& a) const { return "setting the data aside: " + a.why; }
    std::string operator()(const Agree& a) const { return "agreeing to found " + a.token; }
    std::string operator()(const Found& a) const {
      return fmt::format("founding {} from {}", a.token,
                         a.digest.empty() ? "nothing" : "snapshot " + a.digest.substr(0, 12));
    }
    std::string operator()(const RemoveOldSelf& a) const {
      return fmt::format("removing member {:x}, which was this one before it lost its data", a.id);
    }
    std::string operator()(const AddSelf&) const { return "adding itself as a learner"; }
    std::string operator()(const etcdmember::Join&) const { return "starting etcd as a learner"; }
    std::string operator()(const Promote&) const { return "asking to be promoted"; }
  };
  return std::visit(Words(), action);
}

}  // namespace paceline::etcdmember
