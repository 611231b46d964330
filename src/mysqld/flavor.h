// mysqld/flavor.h - all that differs between MySQL and MariaDB, as texts and their reading; pure.
// The order of steps and the waiting are in replication.h and instance.h, the same for both.
// Threads: any; the two objects are constants.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mysql/client/query_result.h"
#include "mysqld/config.h"
#include "mysqld/status.h"
#include "mysqld/version.h"

namespace paceline::mysqld {

// Statements to run one after the other on one connection.
using Statements = std::vector<std::string>;

// The accounts of a server by what they are for (users.h); their names are the operator's choice.
enum class Account : uint8_t { kDba, kApp, kAppDebug, kAllPrivs, kRepl, kFiltered, kBench };

class Flavor {
 public:
  virtual ~Flavor() = default;
  virtual gtid::Flavor gtid_flavor() const = 0;

  // Process.
  // The flavor's lines of my.cnf.
  virtual std::string Config(const ServerVersion& version, bool small) const = 0;
  // Makes the data directory that my_cnf names and runs `init_sql_file` in it.
  virtual std::vector<std::string> InitCommand(const Programs& programs, const std::string& my_cnf,
                                               const std::string& init_sql_file) const = 0;
  // What a copied data directory must lose to be a server of its own, relative to the data folder.
  virtual std::vector<std::string> IdentityFiles() const = 0;
  // Grants that only this flavor knows, for the account of this role, whatever it is called.
  virtual Statements ExtraGrants(Account account) const = 0;
  // What the application's account may do: everything in the databases of keyspaces (SELECT, SHOW
  // VIEW and `writes`), reading in the sidecar `_vt` and next to nothing in `mysql`. Not: ending
  // binary logs and replication (RELOAD), accounts.
  virtual Statements AppGrants(std::string_view account, std::string_view writes) const = 0;
  // Ends the accounts that initialisation makes and nobody needs.
  virtual std::string DropRoot() const = 0;

  // Replication.
  virtual Statements SetSource(const SourceOptions& options) const = 0;
  // The same under a running applier of a replica by GTID; empty where the server cannot.
  virtual Statements ChangeSource(const SourceOptions& options) const = 0;
  virtual std::string Start() const = 0;
  virtual std::string Stop() const = 0;
  virtual std::string StartIo() const = 0;
  virtual std::string StopIo() const = 0;
  virtual std::string StartApplier() const = 0;
  virtual std::string StopApplier() const = 0;
  // Forgets the source; keeps data and binary logs.
  virtual Statements ForgetSource() const = 0;
  // Deletes binary logs and the GTID history, for a server that has lost its data or never had any.
  virtual Statements ForgetHistory(const ServerVersion& version) const = 0;
  // Declares `set` as already applied. REQUIRES: ForgetHistory before.
  virtual Statements SetHistory(const gtid::Set& set) const = 0;
  virtual std::string StatusQuery() const = 0;
  // One row of StatusQuery; `executed` is filled by the caller and `received` is joined with it.
  virtual Result<ReplicationStatus> ReadStatus(const mysql::QueryResult& result) const = 0;
  // Heartbeats received from the source, in the last column of the one row.
  virtual std::string HeartbeatsQuery() const = 0;
  virtual std::string PrimaryStatusQuery(const ServerVersion& version) const = 0;
  // One row; each of its columns is a part of the position, joined.
  virtual std::string PositionQuery() const = 0;
  // Answers 0 when the server has applied `set` within `seconds`.
  virtual std::string WaitQuery(const gtid::Set& set, double seconds) const = 0;

  // Seeding.
  // One value: bytes of all InnoDB files.
  virtual std::string DataBytesQuery() const = 0;
  // Whether the binary logs from `first_log` on reach back to an empty server.
  virtual std::string LogsCompleteQuery(std::string_view first_log) const = 0;
  virtual bool ReadLogsComplete(const mysql::QueryResult& result) const = 0;

  // Writes. `lock_wait_s`: setting read-only waits for running statements so long at most.
  virtual std::string SetReadOnly(bool on, uint32_t lock_wait_s) const = 0;
  // One row: read_only, super_read_only.
  virtual std::string ReadOnlyQuery() const = 0;
  virtual Statements SetSemiSyncSource(bool on, uint32_t acks) const = 0;
  // One value: 1 where commits are durable and wait between the log's sync and the engine's commit.
  virtual std::string DurabilityQuery() const = 0;
  virtual std::string SetSemiSyncReplica(bool on) const = 0;
  // Rows of (name, value); fails as unknown variable where semi-sync is not installed.
  virtual std::string SemiSyncQuery() const = 0;
};

const Flavor& MysqlFlavor();
const Flavor& MariadbFlavor();
inline const Flavor& FlavorOf(gtid::Flavor flavor) {
  return flavor == gtid::Flavor::kMariadb ? MariadbFlavor() : MysqlFlavor();
}
inline const Flavor& FlavorOf(const ServerVersion& version) { return FlavorOf(version.flavor); }

// A hundred years: an acknowledgement is waited for without end (DESIGN section 7, waiters). Not
// the largest number, which overflows once it is turned into nanoseconds.
inline constexpr uint64_t kSemiSyncTimeoutMs = 3'153'600'000'000;

}  // namespace paceline::mysqld
