// sql/outline.h - what a gate must know of a statement that it forwards as it is: its kind, what it
// touches in the session, where database names stand in it. Tolerant: grammar it does not know
// gives fewer facts, never a failure, because mysqld reports errors itself. Nothing in an Outline
// points into the text; spans are offsets. Threads: pure functions. Cost: about 0.2 us for a point
// select when the Outline is reused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sql/dialect.h"
#include "sql/lexer.h"

namespace paceline::sql {

enum class Kind : uint8_t {
  kEmpty,    // nothing but comments and white space
  kUnknown,  // the first word is none that we know
  // With rows or data:
  kSelect,  // SELECT, (SELECT ...) UNION, WITH ... SELECT
  kValues,  // VALUES ROW(...)
  kTable,   // TABLE t
  kInsert,
  kReplace,
  kUpdate,
  kDelete,
  kLoad,    // LOAD DATA, LOAD XML
  kImport,  // IMPORT TABLE
  kCall,
  kDo,
  kHandler,  // HANDLER t OPEN | READ | CLOSE
  // Transactions:
  kBegin,  // BEGIN [WORK], START TRANSACTION
  kCommit,
  kRollback,
  kSavepoint,
  kRollbackTo,
  kReleaseSavepoint,
  kXa,
  kLockTables,
  kUnlockTables,
  // Session:
  kSet,     // details: sql/set.h
  kSetFor,  // MariaDB: SET STATEMENT a = 1 FOR SELECT ...
  kUse,
  kPrepare,
  kExecute,  // also EXECUTE IMMEDIATE
  kDeallocate,
  kDiagnostics,  // GET DIAGNOSTICS
  kSignal,       // SIGNAL, RESIGNAL
  kShow,
  kDescribe,  // DESCRIBE t, EXPLAIN t
  kExplain,   // EXPLAIN SELECT ..., ANALYZE SELECT (MariaDB)
  kVexplain,
  kHelp,
  // Definition and care:
  kDdl,          // `verb` and `object` tell which
  kDatabaseDdl,  // CREATE, ALTER, DROP DATABASE
  kAccount,      // users, roles, GRANT, REVOKE, SET PASSWORD stays kSet
  kTableCare,    // ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM TABLE
  kFlush,
  kReset,  // RESET, PURGE
  kKill,
  kReplication,      // CHANGE ..., START/STOP REPLICA|SLAVE|GROUP_REPLICATION
  kAdmin,            // SHUTDOWN, RESTART, CLONE, INSTALL, CACHE INDEX, BINLOG, BACKUP STAGE ...
  kCompound,         // MariaDB: BEGIN NOT ATOMIC ... END, IF/LOOP outside a procedure
  kAlterVschema,     // Vitess: ALTER VSCHEMA
  kVitessMigration,  // Vitess: ALTER/SHOW/REVERT VITESS_MIGRATION
  kRevert,           // Vitess: REVERT
  kStream,           // Vitess: STREAM, VSTREAM
};

enum class Verb : uint8_t { kNone, kCreate, kAlter, kDrop, kRename, kTruncate };
enum class Object : uint8_t {
  kNone,
  kTable,
  kView,
  kIndex,
  kDatabase,
  kProcedure,
  kFunction,
  kPackage,
  kTrigger,
  kEvent,
  kSequence,
  kServer,
  kTablespace,
  kUser,
  kRole,
  kOther,
};

// What a SHOW asks for. Those from kVitessTablets on are the gate's own.
enum class Show : uint8_t {
  kNone,
  kOther,
  kDatabases,
  kTables,
  kTableStatus,
  kOpenTables,
  kColumns,
  kIndex,
  kTriggers,
  kEvents,
  kCreate,
  kCreateDatabase,
  kProcedureStatus,
  kFunctionStatus,
  kVariables,
  kGlobalVariables,
  kStatus,
  kGlobalStatus,
  kWarnings,
  kErrors,
  kCountWarnings,
  kCountErrors,
  kProcesslist,
  kGrants,
  kEngines,
  kCharset,
  kCollation,
  kPlugins,
  kPrivileges,
  kBinaryLogs,
  kReplicaStatus,
  kProfile,
  kVitessTablets,
  kVitessShards,
  kVitessTarget,
  kVitessReplicationStatus,
  kVitessMigrations,
  kVitessMetadata,
  kVitessThrottledApps,
  kVitessThrottlerStatus,
  kVitessSessions,
  kKeyspaces,  // SHOW KEYSPACES, SHOW VITESS_KEYSPACES
  kVschemaTables,
  kVschemaKeyspaces,
  kVschemaVindexes,
  kGtidExecuted,
  kUnresolvedTransactions,
};

// Facts of a statement, or'ed together.
enum Feature : uint64_t {
  kUsesGetLock = 1ull << 0,
  kUsesReleaseLock = 1ull << 1,  // RELEASE_LOCK
  kUsesReleaseAllLocks = 1ull << 2,
  kUsesLockQuestion = 1ull << 3,   // IS_FREE_LOCK, IS_USED_LOCK
  kReadsLastInsertId = 1ull << 4,  // LAST_INSERT_ID(), @@last_insert_id, @@identity
  kSetsLastInsertId = 1ull << 5,   // LAST_INSERT_ID(expr)
  kReadsFoundRows = 1ull << 6,
  kReadsRowCount = 1ull << 7,
  kReadsDatabase = 1ull << 8,      // DATABASE(), SCHEMA()
  kReadsConnectionId = 1ull << 9,  // CONNECTION_ID(), @@pseudo_thread_id
  kReadsUser = 1ull << 10,  // USER(), CURRENT_USER, SESSION_USER(), SYSTEM_USER(), CURRENT_ROLE()
  kReadsUserVariable = 1ull << 11,
  kWritesUserVariable = 1ull << 12,  // := and INTO @a
  kReadsSystemVariable = 1ull << 13,
  kReadsDiagnostics = 1ull << 14,  // @@warning_count, @@error_count
  kCalcFoundRows = 1ull << 15,
  kTemporaryTable = 1ull << 16,  // CREATE or DROP TEMPORARY TABLE; `verb` tells which
  kIntoFile = 1ull << 17,        // INTO OUTFILE, DUMPFILE
  kIntoVariable = 1ull << 18,    // SELECT ... INTO @a
  kLocksForUpdate = 1ull << 19,
  kLocksForShare = 1ull << 20,  // FOR SHARE, LOCK IN SHARE MODE
  kLocalFile = 1ull << 21,      // LOAD DATA LOCAL
  kSystemSchema = 1ull << 22,   // names information_schema, performance_schema, mysql or sys
  kVersionComment = 1ull << 23,
  kHint = 1ull << 24,
  kVolatile = 1ull << 25,          // NOW, RAND, UUID ...: twice the same statement, two results
  kSequenceCall = 1ull << 26,      // NEXTVAL, NEXT VALUE FOR, SETVAL (MariaDB)
  kReturning = 1ull << 27,         // INSERT/REPLACE/DELETE ... RETURNING (MariaDB)
  kDuplicateUpdate = 1ull << 28,   // ON DUPLICATE KEY UPDATE
  kQualifiedRoutine = 1ull << 29,  // calls db.f(...)
  kUnterminated = 1ull << 30,      // a quote or comment is open at the end
  kMultiple = 1ull << 31,          // a ';' with more behind it: see SplitStatements
  kReadsPlaceholder = 1ull << 32,  // has ? or :name
  kSleeps = 1ull << 33,            // SLEEP, BENCHMARK, MASTER_POS_WAIT and its like
  kStoredProgram = 1ull << 34,     // has a body: CREATE PROCEDURE, FUNCTION, TRIGGER, EVENT
  // START TRANSACTION, COMMIT, ROLLBACK:
  kConsistentSnapshot = 1ull << 40,
  kTransactionReadOnly = 1ull << 41,
  kTransactionReadWrite = 1ull << 42,
  kAndChain = 1ull << 43,
  kAndRelease = 1ull << 44,
  kKillsQuery = 1ull << 45,  // KILL QUERY (else the connection)
  kIfExists = 1ull << 46,    // IF EXISTS or IF NOT EXISTS of a DDL
};

enum class DatabaseRole : uint8_t {
  kQualifier,    // db of db.t, db.t.c, db.f(...)
  kName,         // stands alone: USE db, CREATE DATABASE db, SHOW TABLES FROM db
  kSchemaValue,  // a string compared with a column such as table_schema: 'db'
  kPattern,      // of GRANT ... ON `my\_db`.*, SHOW DATABASES LIKE 'x'
};
// One place where a database's name stands; the span has the quotes.
struct DatabaseUse {
  Span at;
  DatabaseRole role = DatabaseRole::kQualifier;
  // USE and CREATE DATABASE name a keyspace; "ks:shard@type" in one of them is a target string.
};

enum class Access : uint8_t { kRead, kWrite, kCreate, kDrop, kAlter, kLock, kCare };
struct TableUse {
  Span database;  // empty when unqualified
  Span name;
  Access access = Access::kRead;
  bool has_alias = false;
};

// A call whose answer belongs to the client's session and not to the pooled connection that runs
// the statement.
enum class SessionFunction : uint8_t {
  kDatabase,      // DATABASE(), SCHEMA(): the tablet would answer with its own database's name
  kLastInsertId,  // without argument; also @@last_insert_id, @@identity
  kFoundRows,
  kRowCount,
  kConnectionId,  // also @@pseudo_thread_id
  kUser,          // USER(), SESSION_USER(), SYSTEM_USER()
  kCurrentUser,   // CURRENT_USER with or without (): the account that matched
  kWarningCount,  // @@warning_count
  kErrorCount,    // @@error_count
};
struct SessionCall {
  Span at;
  SessionFunction function = SessionFunction::kDatabase;
  bool compared = false;  // DATABASE() beside a column such as table_schema: must stay as it is
};

struct Outline {
  Kind kind = Kind::kEmpty;
  Verb verb = Verb::kNone;
  Object object = Object::kNone;
  Show show = Show::kNone;
  // EXPLAIN, SET ... FOR, PREPARE ... FROM 'text' do not look inside; EXPLAIN and SET ... FOR: the
  // kind inside.
  Kind inner = Kind::kEmpty;
  uint64_t features = 0;
  uint16_t placeholders = 0;  // '?' only; saturates
  Span statement;             // without leading and trailing comments, white space and ';'
  Span directive;             // inner text of /*vt+ ... */
  Span hint;                  // inner text of /*+ ... */
  // The main name: savepoint, prepared statement, USE's database, procedure, KILL's id, DDL's
  // object, SHOW's LIKE.
  Span name;
  Span argument;  // PREPARE ... FROM this; EXECUTE ... USING from here; SHOW ... LIKE this
  std::vector<DatabaseUse> databases;  // in text order
  std::vector<TableUse> tables;        // in text order; names of common table expressions left out
  std::vector<SessionCall> session_calls;
  // Columns of the outermost select that hold such a call and have no alias: MySQL names them by
  // their text, so who puts a value in place of the call adds ` AS <this text>`.
  std::vector<Span> unnamed_columns;
  std::vector<uint16_t>
      schema_placeholders;  // numbers of '?' compared with table_schema and its like

  bool Has(uint64_t any) const { return (features & any) != 0; }
  // May change data, schema or accounts, or locks rows: not for a replica.
  bool Writes() const;
  // Safe on a replica and safe to run twice: SELECT, SHOW, DESCRIBE ... without locks, files or
  // variables set.
  bool ReadOnly() const;
  // Ends an open transaction before it runs, as mysqld does for DDL, LOCK TABLES, account
  // statements and others.
  bool ImplicitCommit() const;
  // CALL, EXECUTE, compound and unknown statements: what runs does not stand in the text. It may
  // write, and commit.
  bool HidesStatements() const;
  // Probably answers with rows (CALL and EXECUTE: may).
  bool ReturnsRows() const;
  void Clear();
};

// Fills `outline`, whose vectors keep their memory. `text` is one statement; of several, the first
// is outlined and kMultiple set.
void Analyze(std::string_view text, const Dialect& dialect, Outline& outline);
Outline Analyze(std::string_view text, const Dialect& dialect);

std::string_view KindName(Kind kind);  // "select", "start transaction" ...: for metrics and logs
std::string_view ShowName(Show show);

// One statement of a multi-statement text, without its ';'.
// Bodies of stored programs (BEGIN ... END) are kept whole. Empty statements are left out.
std::vector<Span> SplitStatements(std::string_view text, const Dialect& dialect);

// A directive of /*vt+ NAME=value NAME */: nullopt-like empty `value` for a bare name.
struct Directive {
  std::string name, value;
};
std::vector<Directive> ParseDirectives(std::string_view directive_text);

}  // namespace paceline::sql
