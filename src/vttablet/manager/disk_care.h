// vttablet/manager/disk_care.h - acts before the tablet's disk is full (disk_level.h): removes
// binary logs that are archived and that no other tablet needs, then has the query side refuse what
// makes data grow; takes writes again when there is room. Threads: one loop. Lifetime: its loops
// end with the gate.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/archive.h"
#include "mysqld/binary_logs.h"
#include "port/mysqlctl.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "topo/server.h"
#include "vttablet/manager/disk_level.h"
#include "vttablet/manager/disk_probe.h"
#include "vttablet/query/disk_refusal.h"

namespace paceline::vttablet {

struct DiskCareOptions {
  DiskProbeOptions probe;
  DiskLimits limits;
  record::Tablet tablet;
  port::BackupPlace archive;  // of the binary logs; storage empty: they are not archived
  Duration purge_every = std::chrono::seconds(5);
  Duration look = std::chrono::seconds(1);
  // For vtorc to move the primary to a replica with room, before writes are refused.
  Duration move_patience = std::chrono::seconds(15);
};

struct DiskCareNeeds {
  topo::Server* topo = nullptr;
  std::function<std::shared_ptr<port::TabletManager>(const record::Tablet&)> call_tablet;
  // Null while its mysqld does not run or holds no data of its own.
  std::function<mysqld::Replication*()> server;
  std::function<void(DiskRefusal)> refuse;
  std::function<void()> changed;  // what this tells has become something else
};

class DiskCare {
 public:
  DiskCare(io::Loop& loop, DiskCareOptions options, DiskCareNeeds needs);
  void Start(io::Gate& gate);
  // In force with the next look at the disk.
  void SetLimits(DiskLimits limits) { options_.limits = limits; }

  // Why the disk takes no writes at all, with what to do; empty: it does.
  const std::string& Error() const { return probe_.Error(); }
  bool full() const { return probe_.full(); }
  // It works, and a primary should give way to one with room.
  bool low() const { return Error().empty() && level_ >= DiskLevel::kLow; }
  // For the writes of a primary whose disk is low or full.
  bool HasRoom() const { return Error().empty() && vttablet::HasRoom(space_, options_.limits); }
  // Error(), or what the level means for clients; empty: nothing.
  std::string Trouble() const;
  void Fill(agent::TabletStateResponse& out) const;

  const DiskSpace& space() const { return space_; }
  DiskLevel level() const { return level_; }
  const DiskTrend& trend() const { return trend_; }
  uint64_t purged_logs() const { return purged_logs_; }
  uint64_t purged_bytes() const { return purged_bytes_; }
  // How the last removal of logs went, for people.
  const std::string& purge_told() const { return purge_told_; }

 private:
  // Who has what: a log may go where each has all that was written before the next one.
  struct Holder {
    std::string lacks;  // "zone1-0000000101 has not applied"
    backup::ArchivePosition has;
  };
  void Seen(const DiskSpace& space);
  void UpdateRefusal();
  // While the disk is low: whether another could lead.
  static io::Task<void> RoomLoop(DiskCare& self, io::Gate& gate);
  io::Task<bool> RoomElsewhere(Deadline deadline);
  static io::Task<void> PurgeLoop(DiskCare& self, io::Gate& gate);
  // What was done.
  io::Task<Result<std::string>> Purge(Deadline deadline);
  io::Task<Result<std::vector<Holder>>> FindHolders(Deadline deadline);
  io::Task<Result<Holder>> AskTablet(record::Tablet tablet, Deadline deadline);

  io::Loop& loop_;
  DiskCareOptions options_;
  DiskCareNeeds needs_;
  DiskSpace space_;
  DiskLevel level_ = DiskLevel::kRoom;
  DiskTrend trend_;
  Time low_since_{};
  std::optional<bool> room_elsewhere_;  // as last asked; nothing: not yet
  DiskRefusal refusal_ = DiskRefusal::kNothing;
  std::string trouble_;
  std::string purge_told_;
  uint64_t purged_logs_ = 0, purged_bytes_ = 0;
  DiskProbe probe_;
};

}  // namespace paceline::vttablet
