// vttablet/manager/archiver.h - this tablet's part in archiving its shard's binary logs. One tablet
// of a shard archives: the first one able to, replicas before the primary, then by alias. All
// follow the same rule on what they hear of each other, so a dead archiver is followed by the next;
// where two run for a moment, readers of the archive filter what is there twice. Threads: one loop.
// Lifetime: Stop() before destroying.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup/archive_stream.h"
#include "base/metrics.h"
#include "io/sync.h"
#include "port/mysqlctl.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "topo/server.h"

namespace paceline::vttablet {

struct ArchiverOptions {
  bool on = false;
  port::BackupPlace place;  // with keyspace and shard
  std::string compression = "zstd";
  mysql::ConnectOptions server;  // of the user that may replicate
  record::TabletAlias alias;
  Duration look = 1s;
};

// What the tablet knows of itself now.
struct ArchiverSight {
  bool able = false;  // its mysqld runs, has its data, and leads or replicates
  bool leads = false;
  mysqld::Replication* replication = nullptr;
};

// Errors: the storage's, or of the key's file. Blocks on the file system.
Result<backup::Archive> OpenArchive(const port::BackupPlace& place);
// Whether `one` archives before `other` does.
bool ArchivesBefore(const record::Tablet& one, const record::Tablet& other);

class Archiver {
 public:
  using CallTablet = std::function<std::shared_ptr<port::TabletManager>(const record::Tablet&)>;
  Archiver(io::Loop& loop, ArchiverOptions options, topo::Server& topo, CallTablet call_tablet,
           std::function<ArchiverSight()> sight);
  void Start(io::Gate& gate);
  void Fill(agent::TabletStateResponse& out) const;

 private:
  static io::Task<void> Loop(Archiver& self, io::Gate& gate);
  static io::Task<void> RunStream(Archiver& self, io::Gate& gate);
  io::Task<Status> OneRun(io::Gate& gate);
  // The alias of who archives instead; empty: this tablet shall.
  io::Task<std::string> WhoElse(Deadline deadline);
  bool MayGoOn(const io::Gate& gate) const;
  Duration Lag() const;
  bool Able() const;

  io::Loop& loop_;
  ArchiverOptions options_;
  topo::Server& topo_;
  CallTablet call_tablet_;
  std::function<ArchiverSight()> sight_;
  bool mine_ = false;
  bool streaming_ = false;
  std::unique_ptr<backup::ArchiveStream> stream_;
  std::string error_;
  Time failing_since_{};  // no run could begin since; 0: one did
};

}  // namespace paceline::vttablet
