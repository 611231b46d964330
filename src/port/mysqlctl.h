// port/mysqlctl.h - the service mysqlctl.MysqlCtl (proto/mysqlctl.proto) and what Paceline adds to
// it (paceline.agent.MysqldAgent): the process of one mysqld, and immediate notice when it dies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/sink.h"
#include "io/task.h"

#define PACELINE_MYSQLCTL_METHODS(X) \
  X(Start)                           \
  X(Shutdown) X(RunMysqlUpgrade) X(ReinitConfig) X(RefreshConfig) X(VersionString) X(HostMetrics)

#define PACELINE_DECLARE(Method) \
  class Method##Request;         \
  class Method##Response;
namespace mysqlctl {
PACELINE_MYSQLCTL_METHODS(PACELINE_DECLARE)
}
#undef PACELINE_DECLARE

namespace paceline::port {

struct MysqldState {
  bool running = false;
  int32_t pid = 0;
  uint64_t start_count =
      0;                  // how often the agent has seen it start: a change means it was restarted
  std::string last_exit;  // "signal 9", "exit code 1", "gone"; empty while it never ended
  bool held = false;      // died as primary: waits for Keep (DESIGN section 7, step 7)
  // Why its data cannot be used: gone, or mysqld does not start on it. Waits for Seed.
  std::string unusable;
  // A seed takes its place: mysqld may answer, but has not got the history of what it holds.
  bool placing = false;
};

// Where the backups of a shard are, and what they are sealed with.
struct BackupPlace {
  std::string storage;  // "file"; empty: none is set
  std::string root;
  std::string key_file;  // a file on the agent's machine; empty: not encrypted
  std::string keyspace, shard;
};
struct BackupOrder {
  BackupPlace place;
  std::string alias;   // the tablet's
  std::string engine;  // empty: the flavor's own that does not stop mysqld
  std::string compression = "zstd";
  uint64_t rate = 0;       // bytes a second at most; 0: no limit
  bool count_rows = true;  // into the manifest, for VerifyBackup
};
struct VerifyOrder {
  BackupPlace place;
  std::string backup;  // its name
};

// Whose data replaces that of this mysqld.
struct SeedOrder {
  enum class Way : uint8_t { kClone = 1, kMariabackup = 2, kBackup = 3 };
  Way way = Way::kClone;
  // kClone: the donor's mysqld, and an account there with BACKUP_ADMIN.
  std::string host;
  uint16_t port = 0;
  std::string user, password;
  // kMariabackup: the donor's vttablet, gRPC.
  std::string tablet_address;
  // kBackup
  BackupPlace place;
  std::string backup;  // its name
};
struct SeedProgress {
  std::string phase;   // "copying", "preparing", "starting"
  uint64_t bytes = 0;  // 0: nothing that is measured moves
  uint64_t total = 0;  // 0: not known; an estimate where the data is in use
};
class SeedSink {
 public:
  virtual ~SeedSink() = default;
  // False: the caller wants no more of it; the seed ends with kCanceled and nothing is replaced.
  virtual bool OnProgress(const SeedProgress& progress) = 0;
};

struct RewindOrder {
  // All that the primary of the promised term has, in Vitess's encoding ("MySQL56/..."). MariaDB:
  // with what it implies already added (gtid/history.h).
  std::string keep;
  bool kill = false;  // a live mysqld gets SIGKILL first; without it Rewind refuses one that lives
};
struct RewindReport {
  uint64_t transactions = 0;  // complete ones that were cut off; 0: nothing was lacking
  bool only_sidecar = false;  // all of them wrote to `_vt` alone: no alarm
  std::string export_file;    // SQL with row images, on the tablet's disk; empty: nothing cut
  std::string cut;            // the set that was cut, in Vitess's encoding
  std::string position;       // all that mysqld has now
};

// A change of semi-sync as a source, for the journal that Rewind judges by.
struct SemiSyncNote {
  bool on = false;  // on: told after it is in force; off: before it is withdrawn
  uint32_t acknowledgements = 0;
  bool durable = false;  // innodb_flush_log_at_trx_commit = 1, sync_binlog = 1 and AFTER_SYNC, as
                         // the server said
  // A commit was acknowledged since, and with it all before; the other members are not looked at.
  bool confirmed = false;
};

struct WrittenQuery {
  // The relay log, whose IO thread is stopped; else the own binary log.
  bool received = false;
  // Own log: logs whose transactions are all in it are not read. Vitess's encoding.
  std::string known;
};
// Row images of one table in a transaction of an attempt.
struct WrittenChange {
  std::string database, table;
  uint64_t inserted = 0, updated = 0, deleted = 0;
  uint32_t columns = 0;  // 0: the table may have been altered since
  // (position from 1 on, value) of integer columns of the first inserted row.
  std::vector<std::pair<uint32_t, uint64_t>> first_row;
};
struct WrittenAttempt {
  uint32_t attempt = 0;  // QueryRequest::attempt
  std::string gtid;      // "uuid:5", "0-1-5"
  uint64_t statements = 0;
  std::vector<WrittenChange> changes;
};
struct Written {
  std::vector<WrittenAttempt> attempts;  // in the order of the log
  // All transactions that were read and told apart: what is not in it may be anything. Vitess's
  // encoding.
  std::string told;
  // Of the others: what a procedure wrote that was called (MariaDB, where CALL has no number).
  std::string procedures;
};

class MysqldStateSink {
 public:
  virtual ~MysqldStateSink() = default;
  virtual void OnState(const MysqldState& state) = 0;
};

class Mysqlctl {
 public:
  virtual ~Mysqlctl() = default;
#define PACELINE_METHOD(Method)                                                                \
  virtual io::Task<Status> Method(const ::mysqlctl::Method##Request& request,                  \
                                  ::mysqlctl::Method##Response& response, Deadline deadline) { \
    (void)request, (void)response, (void)deadline;                                             \
    co_return Fail(Code::kUnimplemented, "MysqlCtl." #Method " is not offered here");          \
  }
  PACELINE_MYSQLCTL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

  // paceline.agent.MysqldAgent. Watch: the state at once, then every change at once; ends with an
  // error when the agent goes.
  virtual io::Task<Status> WatchMysqld(MysqldStateSink& sink, Deadline deadline) = 0;
  // Durable (fsync) before it returns: whether a death of mysqld must be held for vttablet's word.
  virtual io::Task<Status> SetRole(bool primary, Deadline deadline) = 0;
  // The word: start the held mysqld as it is.
  virtual io::Task<Status> Keep(Deadline deadline) = 0;
  // The other word: exports and cuts off what the binary log has beyond `order.keep`, starts the
  // held mysqld, and notes it as a replica's. Safe to repeat, also after a crash in the middle.
  // Errors: kFailedPrecondition names the condition of failover-evidence that does not hold:
  // nothing was cut unless the text says so, and the tablet must be seeded anew (mysqld stays as it
  // is: held, or running read-only); kAlreadyExists: mysqld lives and `kill` is false; others: try
  // again.
  virtual io::Task<Result<RewindReport>> Rewind(RewindOrder order, Deadline deadline) {
    (void)order, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.Rewind is not offered here");
  }
  // Fetches another server's data beside the old, puts it in its place and starts mysqld on it,
  // read-only, nobody's replica, with a new server id and the history of what it holds. The old
  // data is kept aside until ForgetOldData. An error before the exchange leaves all as it was; a
  // seed that was cut short after it is completed by the next agent. Returns the position, Vitess's
  // encoding. Errors: kUnavailable the donor went away: another may do; kResourceExhausted no room.
  virtual io::Task<Result<std::string>> Seed(SeedOrder order, SeedSink& sink, Deadline deadline) {
    (void)order, (void)sink, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.Seed is not offered here");
  }
  // Makes a backup while mysqld serves (the engine "builtin" stops it meanwhile). Returns its name.
  // Errors: kFailedPrecondition no storage is set, or the engine does not fit; kAlreadyExists one
  // runs; those of the storage. An interrupted backup is never listed.
  virtual io::Task<Result<std::string>> Backup(BackupOrder order, SeedSink& sink,
                                               Deadline deadline) {
    (void)order, (void)sink, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.Backup is not offered here");
  }
  // Restores a backup beside the data, starts a server on it, checks each table and holds its rows
  // against what the manifest counted. The verdict, which is also returned for people, is kept with
  // the backup. Errors: kDataLoss: the backup is bad, and why; others: nothing was found out.
  virtual io::Task<Result<std::string>> VerifyBackup(VerifyOrder order, SeedSink& sink,
                                                     Deadline deadline) {
    (void)order, (void)sink, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.VerifyBackup is not offered here");
  }
  // What a Seed kept aside is not needed any more. `keep_logs`: its binary logs move to the folder
  // of errant transactions.
  virtual io::Task<Status> ForgetOldData(bool keep_logs, Deadline deadline) {
    (void)keep_logs, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.ForgetOldData is not offered here");
  }
  // This mysqld's data as a stream, while it runs (MariaDB: mbstream). Complete only when it
  // succeeds.
  virtual io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) {
    (void)sink, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.StreamData is not offered here");
  }
  // SIGKILL, whatever the role, and held afterwards: for a fenced primary that still lives.
  virtual io::Task<Status> Kill(Deadline deadline) {
    (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.Kill is not offered here");
  }
  // Durable (fsync) before it returns.
  virtual io::Task<Status> NoteSemiSync(SemiSyncNote note, Deadline deadline) {
    (void)note, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.NoteSemiSync is not offered here");
  }
  // Evidence for writes in flight: which transactions of a log carry the numbers of attempts.
  virtual io::Task<Result<port::Written>> ReadWritten(WrittenQuery query, Deadline deadline) {
    (void)query, (void)deadline;
    co_return Fail(Code::kUnimplemented, "MysqldAgent.ReadWritten is not offered here");
  }
};

}  // namespace paceline::port
