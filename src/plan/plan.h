// plan/plan.h - where a statement goes and what it does to the session, for keyspaces that are not
// sharded. Pure: a plan depends on the text, the dialect, the session's target and a VSchema
// snapshot, never on data, so it can be cached by these four (plan/cache.h). What changes with each
// execution (LAST_INSERT_ID and the like) stays open as edits that Render() fills in. Threads:
// values and pure functions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "plan/target.h"
#include "record/record.h"
#include "sql/normalize.h"
#include "sql/outline.h"
#include "sql/set.h"
#include "vschema/snapshot.h"

namespace paceline::plan {

// Who answers.
enum class Route : uint8_t {
  kShard,        // one shard of `target.keyspace`; empty shard: its only one
  kAnyKeyspace,  // any tablet of any keyspace (SELECT 1 without a database)
  kGate,         // the gate itself, without a tablet: see `gate`
};

// What the gate does by itself. With kShard, what it does besides sending.
enum class GateTask : uint8_t {
  kNone,
  kUse,    // switch the session to `use_target`, then OK
  kSet,    // `set` holds the assignments; which of them need a tablet is the session's business
  kBegin,  // mark the transaction as begun (or send at once for CONSISTENT SNAPSHOT), then OK
  kCommit,
  kRollback,
  kSavepoint,  // send when a transaction is open on a tablet, else OK (rollback to: 1305)
  kRollbackTo,
  kReleaseSavepoint,
  kPrepare,  // SQL PREPARE, EXECUTE, DEALLOCATE: pinned, sent
  kExecute,
  kDeallocate,
  kKill,  // `outline.name` is the id; a connection of a gate
  kShow,  // outline.show says which: databases, processlist, warnings, VITESS_*, VSCHEMA, keyspaces
          // ...
  kVexplain,
  kEmpty,         // nothing but comments: 1065 42000 "Query was empty"
  kUnlockTables,  // sent when pinned, else OK
  kDatabaseDdl,   // CREATE, ALTER, DROP DATABASE `outline.name`: keyspaces are the topology's
                  // business
  kVitess,        // ALTER VSCHEMA, VITESS_MIGRATION, REVERT, STREAM: outline.kind says which
};

enum class PinReason : uint8_t {
  kNone,
  kTemporaryTable,
  kLockTables,
  kGetLock,
  kUserVariable,
  kPreparedStatement,
  kHandler,
  kXa,
  kGlobalReadLock,
  kDiagnostics,  // until LAST_INSERT_ID() and FOUND_ROWS() have been asked for
};
std::string_view PinReasonName(PinReason reason);

enum class EditKind : uint8_t {
  kText,  // `text` is put in
  // The session's value is put in.
  kLastInsertId,
  kFoundRows,
  kRowCount,
  kConnectionId,
  kUser,
  kCurrentUser,
  kWarningCount,
  kErrorCount,
};
struct Edit {
  sql::Span at;
  EditKind kind = EditKind::kText;
  std::string text;
};

struct Plan {
  Route route = Route::kShard;
  GateTask gate = GateTask::kNone;
  SessionTarget target;                // where it goes
  SessionTarget use_target;            // of kUse
  sql::Outline outline;                // spans are of the original text
  sql::SetStatement set;               // of kSet
  std::vector<Edit> edits;             // by offset, not overlapping
  PinReason pin = PinReason::kNone;    // the session needs this one connection from now on
  PinReason unpin = PinReason::kNone;  // this pin may end with it: look whether it was the last one
  bool writes = false;
  bool replica_ok = false;  // may run on a replica, and twice
  bool implicit_commit = false;
  bool returns_rows = false;
  // Its rows are about databases (SHOW, EXPLAIN, information_schema): names in them are to be shown
  // as the client knows them.
  bool rows_name_databases = false;
  // Reads what the statement before it left (SHOW WARNINGS, GET DIAGNOSTICS, @@warning_count): must
  // not disturb it.
  bool reads_previous = false;
  // Its result does not tell what later statements may ask for: read LAST_INSERT_ID() or
  // FOUND_ROWS() on the same connection at once (SELECT LAST_INSERT_ID(5), SELECT
  // SQL_CALC_FOUND_ROWS ...).
  bool fetch_last_insert_id = false;
  bool fetch_found_rows = false;
  // May change session state in ways its text does not show (CALL, compound, unknown): look at the
  // state changes that the END frame carries.
  bool watch_state = false;
  // A prepared statement's parameters that are database names: "ks" must be sent as "vt_ks".
  std::vector<uint16_t> schema_parameters;
  bool cacheable = true;  // not for SET, USE and others that are cheap or rare
  // Made by who first asks for it; a plan is used by one thread.
  mutable std::shared_ptr<const sql::Fingerprint> fingerprint;
};

// What a session answers for the edits; the gate fills in what the plan has edits for.
struct SessionValues {
  uint64_t last_insert_id = 0;
  uint64_t found_rows = 0;
  int64_t row_count = -1;
  uint64_t connection_id = 0;
  std::string user;          // "app@10.1.2.3"
  std::string current_user;  // "app@%"
  uint64_t warning_count = 0;
  uint64_t error_count = 0;
};

// Errors, as mysqld would report them: 1046 3D000 no database selected, 1049 42000 unknown
// database; 1235 42000 a statement that joins two keyspaces; 1290 HY000 a write with a replica
// target; those of Snapshot::Resolve.
Result<Plan> MakePlan(std::string_view text, const sql::Dialect& dialect,
                      const SessionTarget& target, const vschema::Snapshot& vschema);

// The text to send. Costs nothing when there are no edits: returns `text` itself and leaves
// `buffer` alone.
std::string_view Render(std::string_view text, const Plan& plan, const SessionValues& values,
                        std::string& buffer);

// `vt_ks` -> `ks` in texts that go to the client (errors, names of databases), where the name
// stands alone: `vt_ks`, 'vt_ks', vt_ks.t. Fast when `database` does not occur.
std::string ToClientNames(std::string_view text, std::string_view database,
                          std::string_view keyspace);

}  // namespace paceline::plan
