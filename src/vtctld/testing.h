// vtctld/testing.h - a shard of tablets in memory: what a vttablet answers, without mysqld, sockets
// or processes; for tests of this room and of the clients. Threads: one loop.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "drive/connect.h"
#include "gtid/set.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "topo/server.h"

namespace paceline::vtctld {

using drive::Connect;

class FakeShard;

class FakeTablet final : public port::TabletManager {
 public:
  FakeTablet(FakeShard& shard, record::Tablet record, int number);

#define PACELINE_METHOD(Method)                                              \
  io::Task<Status> Method(const tabletmanagerdata::Method##Request& request, \
                          tabletmanagerdata::Method##Response& response, Deadline) override;
  PACELINE_METHOD(Ping)
  PACELINE_METHOD(GetSchema)
  PACELINE_METHOD(SetReadOnly)
  PACELINE_METHOD(SetReadWrite)
  PACELINE_METHOD(ChangeType)
  PACELINE_METHOD(RefreshState)
  PACELINE_METHOD(ReloadSchema)
  PACELINE_METHOD(ExecuteFetchAsDba)
  PACELINE_METHOD(ReplicationStatus)
  PACELINE_METHOD(PrimaryPosition)
  PACELINE_METHOD(WaitForPosition)
  PACELINE_METHOD(StartReplication)
  PACELINE_METHOD(StopReplication)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method)                                  \
  io::Task<Status> Method(const agent::Method##Request& request, \
                          agent::Method##Response& response, Deadline) override;
  PACELINE_METHOD(PromiseTerm)
  PACELINE_METHOD(Fence)
  PACELINE_METHOD(Promote)
  PACELINE_METHOD(Demote)
  PACELINE_METHOD(UndoDemote)
  PACELINE_METHOD(Repoint)
  PACELINE_METHOD(TabletState)
#undef PACELINE_METHOD

  record::Tablet record;
  bool dead = false, has_no_tables = false;
  uint64_t promised = 0, journal = 0;
  bool read_only = true, serving = true, demoted = false, fenced = false, io_running = false,
       semi_sync = false;
  uint32_t acknowledgements = 0;
  record::TabletAlias source;
  gtid::Set executed{gtid::Flavor::kMysql};
  std::vector<std::string> statements;  // of ExecuteFetchAsDba
  int reloads = 0;

 private:
  // Fails when dead, or when the coordinator is cut off.
  Status Answer();
  Status CheckTerm(uint64_t term);
  void Follow();
  void Write();
  FakeShard& shard_;
  gtid::Source uuid_;
  uint64_t sequence_ = 0;
};

// test_keyspace/0 with three tablets of cell asiaeast1c, or any number.
class FakeShard {
 public:
  explicit FakeShard(int tablets = 3);
  // Cell, keyspace, shard and tablet records.
  io::Task<Status> Register(topo::Server* topo, std::string durability);
  Connect connect();
  FakeTablet& tablet(int uid) { return *tablets_.at(static_cast<uint32_t>(uid)); }
  FakeTablet* Find(const record::TabletAlias& alias);
  const std::map<uint32_t, std::shared_ptr<FakeTablet>>& tablets() const { return tablets_; }

  topo::Server* topo = nullptr;
  // How many calls still reach a tablet; then all fail, as if the coordinator had lost its network.
  // -1: no limit.
  int calls_left = -1;

 private:
  std::map<uint32_t, std::shared_ptr<FakeTablet>> tablets_;
};

}  // namespace paceline::vtctld
