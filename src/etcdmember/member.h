// etcdmember/member.h - keeps one member of an etcd cluster alive: looks at its folder, its etcd
// and the others, asks decide.h what to do, does it, looks again. Threads: one loop. Lifetime: Stop
// before destroying.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etcdmember/decide.h"
#include "etcdmember/exchange.h"
#include "etcdmember/folder.h"
#include "io/process.h"
#include "io/sync.h"

namespace paceline::etcdmember {

struct MemberAddress {
  std::string name, host;
  uint16_t client_port = 0, peer_port = 0, exchange_port = 0;
  std::string exchange() const { return fmt::format("{}:{}", host, exchange_port); }
};
// "name=host:client port:peer port:exchange port". Errors: kInvalidArgument naming the text.
Result<MemberAddress> ParseMember(std::string_view text);

struct MemberOptions {
  std::string name;
  std::vector<MemberAddress> members;  // all of the cluster, this one included
  std::string data_dir;
  std::string snapshot_dir;  // empty: data_dir + ".snapshots"
  std::string bind_address;  // where to listen; empty: all addresses
  std::string secret;
  std::string etcd = "etcd";
  std::string etcdctl;  // empty: the one beside etcd, or in PATH
  std::vector<std::string> etcd_args;
  std::string tls_cert, tls_key, tls_ca;  // any of them: https everywhere
  Duration snapshot_every = 15s;
  Duration hung_after = 30s;
};

class MemberKeeper {
 public:
  MemberKeeper(io::Loop& loop, MemberOptions options);
  ~MemberKeeper();

  // Errors: kInvalidArgument, kAlreadyExists = somebody else keeps this member.
  Status Start();
  // Ends etcd in order.
  io::Task<void> Stop();

 private:
  struct Server;  // a configured member's etcd

  static io::Task<void> Keep(MemberKeeper& self);
  io::Task<void> FindEtcdctl();
  io::Task<Duration> Round();
  io::Task<View> Look();
  static io::Task<void> LookAt(MemberKeeper& self, std::string name, std::shared_ptr<View> view,
                               std::shared_ptr<io::Gate> all);
  io::Task<void> AskForQuorum(std::shared_ptr<View> view);
  io::Task<Status> Do(Action action, const View& view);
  Status StartEtcd(std::vector<std::string> more);
  io::Task<Status> StopEtcd(int signal);
  io::Task<Status> Bring(std::string digest, View view);
  io::Task<Status> FoundFrom(std::string token, std::string digest);
  io::Task<Status> TakeSnapshot(topo::etcd::ServerStatus server);
  void NoteExit();
  Status Forget();
  Sight OwnSight() const;
  std::string Page() const;
  const MemberAddress& self() const { return *self_; }
  std::string Url(const std::string& host, uint16_t port) const;

  io::Loop& loop_;
  MemberOptions options_;
  const MemberAddress* self_ = nullptr;
  Folder folder_;
  Snapshots snapshots_;
  std::unique_ptr<Exchange> exchange_;
  std::map<std::string, std::unique_ptr<Server>> servers_;  // by member
  std::unique_ptr<io::Process> process_;
  Note note_;
  bool can_restore_ = true;  // etcdctl is there
  int failed_starts_ = 0;
  Time started_at_, answered_at_, snapshot_at_, may_start_at_;
  int64_t snapshot_revision_ = -1;
  std::string doing_ = "starting", trouble_;
  bool well_ = false;
  io::Gate gate_;
};

}  // namespace paceline::etcdmember
