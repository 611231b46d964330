// vtctld/backup_keeper.h - backups of every shard at an interval, their verification, and an end to
// old ones. Threads: the loop's thread. Two vtctlds at once do no harm: a tablet makes one backup
// at a time, and what is removed twice is removed.
#pragma once

#include <string>
#include <vector>

#include "backup/retention.h"
#include "base/metrics.h"
#include "io/sync.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld {

class BackupKeeper {
 public:
  BackupKeeper(io::Loop& loop, topo::Server& topo, Vtctld& vtctld, backup::StorageOptions storage,
               backup::BackupRules rules);

  void Start();
  // A backup that runs goes on at its tablet.
  io::Task<void> Stop(Deadline deadline);

 private:
  static io::Task<void> Loop(BackupKeeper& self);
  io::Task<Status> LookAt(std::string keyspace, std::string shard);
  io::Task<Status> MakeAndRemove(std::string keyspace, std::string shard);
  // Tells what is bad by gauges and the log, and verifies the newest where that is due.
  io::Task<Status> Verify(std::string keyspace, std::string shard);
  using Entries = Result<std::vector<backup::BackupEntry>>;
  io::Task<Entries> List(std::string keyspace, std::string shard);
  io::Task<Status> PruneArchive(std::string keyspace, std::string shard);
  io::Loop& loop_;
  topo::Server& topo_;
  Vtctld& vtctld_;
  backup::StorageOptions storage_;
  backup::BackupRules rules_;
  MetricFamily<Counter>& verifications_;
  MetricFamily<Gauge>& bad_;
  io::Gate gate_;
};

}  // namespace paceline::vtctld
