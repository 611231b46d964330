// mysqld/replication.h - the verbs of replication on one server, the same for both flavors. Each is
// safe to repeat. Errors: mysqld's own with what was being done before them, kDeadlineExceeded,
// kUnavailable. No verb writes to the binary log but EnableEvents. Threads: the loop's thread.
// Lifetime: `admin` outlives it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "gtid/set.h"
#include "io/task.h"
#include "mysqld/admin.h"
#include "mysqld/flavor.h"
#include "mysqld/status.h"

namespace paceline::mysqld {

struct ReadOnly {
  bool read_only = true, super_read_only = true;  // MariaDB has no super: both are the same there
};

// What is in force when semi-sync is on: all three conditions of rewinding that settings can break.
struct SemiSyncChange {
  bool on = false;
  uint32_t acks = 0;
  bool durable =
      false;  // flush_log_at_trx_commit = 1, sync_binlog = 1, AFTER_SYNC, endless timeout
};
// Makes a change of semi-sync durable; see mysqld/history.h.
using SemiSyncJournal = std::function<io::Task<Status>(SemiSyncChange, Deadline)>;

class Replication {
 public:
  Replication(Admin& admin, ServerVersion version)
      : admin_(admin), version_(std::move(version)), flavor_(FlavorOf(version_)) {}

  // All transactions that the server has executed. MySQL: gtid_executed. MariaDB: the binary log's
  // state of every server joined with gtid_slave_pos (a cloned replica has only the latter; see
  // gtid/history.h for what it implies).
  io::Task<Result<gtid::Set>> Position(Deadline deadline);
  // Empty when the server is nobody's replica.
  io::Task<Result<std::optional<ReplicationStatus>>> Replica(Deadline deadline);
  // Changes whenever anything arrives from the source: an event or a heartbeat.
  io::Task<Result<std::string>> StreamMark(ReplicationStatus status, Deadline deadline);
  io::Task<Result<PrimaryStatus>> Primary(Deadline deadline);

  struct SeedFacts {
    uint64_t data_bytes = 0;
    uint64_t log_bytes = 0;      // of all binary logs
    bool logs_complete = false;  // they reach back to an empty server
  };
  // What a tablet that is to be seeded wants to know of its donor.
  io::Task<Result<SeedFacts>> GetSeedFacts(Deadline deadline);

  // Points replication at a source by GTID; it must be started afterwards. An applier that runs may
  // go on meanwhile (MySQL), with what its relay log holds: starting its many threads anew takes
  // longer than all the rest.
  io::Task<Status> SetSource(SourceOptions options, Deadline deadline);
  // MariaDB: starting the IO thread erases the relay log, and so does starting the applier while
  // both are stopped (seen on 10.11): what was received and not applied must be fetched again. So
  // before a promotion stop the IO thread alone.
  io::Task<Status> Start(Deadline deadline) {
    return One("starting replication", flavor_.Start(), deadline);
  }
  // At once, also where the source died in the middle of a transaction.
  io::Task<Status> Stop(Deadline deadline);
  // Leaves an applier as it is that has nothing to apply and, since nothing is received any more,
  // gets nothing: stopping its workers takes MySQL some 10 ms.
  // Who promotes owes a ForgetSource later. `drained`: its source ended cleanly, so that no
  // transaction is there in part.
  io::Task<Status> StopUnlessIdle(bool drained, Deadline deadline);
  io::Task<Status> StartIo(Deadline deadline) {
    return One("starting the IO thread", flavor_.StartIo(), deadline);
  }
  // At once, also where the source is frozen or cut off.
  io::Task<Status> StopIo(Deadline deadline);
  io::Task<Status> StartApplier(Deadline deadline) {
    return One("starting the applier", flavor_.StartApplier(), deadline);
  }
  io::Task<Status> StopApplier(Deadline deadline) {
    return One("stopping the applier", flavor_.StopApplier(), deadline);
  }
  // Stops and forgets the source.
  io::Task<Status> ForgetSource(Deadline deadline);
  // Also deletes binary logs and GTID history, and declares `history` as executed. Destroys
  // evidence: for new or re-seeded servers only.
  io::Task<Status> ResetHistory(gtid::Set history, Deadline deadline);

  // Until all of `set` is applied. Errors: kDeadlineExceeded naming the set and where the server
  // stands.
  io::Task<Status> WaitForPosition(gtid::Set set, Deadline deadline);
  // Until what the relay log holds is applied; stop the IO thread before. Returns the position
  // reached. Errors: also kFailedPrecondition with the applier's error when it has stopped on one.
  io::Task<Result<gtid::Set>> WaitForRelayLog(Deadline deadline);

  // On: no client writes any more (MariaDB: none without READ ONLY ADMIN). Waits for statements
  // that run, at most until the deadline; never ends for a primary whose sessions wait for a
  // semi-sync acknowledgement.
  io::Task<Status> SetReadOnly(bool on, Deadline deadline);
  io::Task<Result<ReadOnly>> GetReadOnly(Deadline deadline);
  // REQUIRES: before switching the source side off: no session waits (it would be released; DESIGN
  // section 7, waiters). With a journal: "off" is journaled before it is applied and "on" after,
  // and a journal that fails fails the call.
  io::Task<Status> SetSemiSyncSource(bool on, uint32_t acks, Deadline deadline);
  // Takes effect when the IO thread connects the next time; `restart_io` does that at once where it
  // runs.
  io::Task<Status> SetSemiSyncReplica(bool on, bool restart_io, Deadline deadline);
  io::Task<Result<SemiSyncStatus>> GetSemiSync(Deadline deadline);

  // A new primary, writable: events that replication had disabled run again, and the scheduler
  // runs. Written to the binary log, where replicas keep them disabled.
  io::Task<Status> EnableEvents(Deadline deadline);
  io::Task<Status> StopEvents(Deadline deadline);

  // Until then changes of semi-sync are not journaled, and a crash of this primary means a new
  // seed.
  void SetJournal(SemiSyncJournal journal) { journal_ = std::move(journal); }

  const Flavor& flavor() const { return flavor_; }
  const ServerVersion& version() const { return version_; }
  Admin& admin() { return admin_; }

 private:
  io::Task<Status> One(const char* doing, std::string sql, Deadline deadline);
  io::Task<Status> Many(const char* doing, Statements statements, Deadline deadline);
  // Kills the replication thread whose state begins and ends so. Its id; empty where there is none.
  io::Task<std::string> KillThread(std::string begin, std::string end, Deadline deadline);
  io::Task<void> LetReceiverEnd(std::string id, Deadline deadline);
  io::Task<void> EndUnfinishedGroup(Deadline deadline);
  Admin& admin_;
  ServerVersion version_;
  const Flavor& flavor_;
  SemiSyncJournal journal_;
};

}  // namespace paceline::mysqld
