// sql/keyword.h - the words that an outline looks at. Not every reserved word of the servers: one
// that is missing here is a plain identifier, and mysqld says so where it may not be one. Threads:
// a constant table.
#pragma once

#include <cstdint>
#include <string_view>

namespace paceline::sql {

// clang-format off
#define PACELINE_SQL_KEYWORDS(X) \
  X(kAccessible, "accessible") X(kAccount, "account") X(kAction, "action") X(kAdd, "add")         \
  X(kAdmin, "admin") X(kAfter, "after") X(kAgainst, "against") X(kAggregate, "aggregate")         \
  X(kAlgorithm, "algorithm") X(kAll, "all") X(kAlter, "alter") X(kAnalyse, "analyse")             \
  X(kAnalyze, "analyze") X(kAnd, "and") X(kAny, "any") X(kAs, "as") X(kAsc, "asc") X(kAt, "at")   \
  X(kAtomic, "atomic") X(kAuthors, "authors") X(kAutocommit, "autocommit") X(kAvg, "avg")         \
  X(kBackup, "backup") X(kBefore, "before") X(kBegin, "begin") X(kBenchmark, "benchmark")         \
  X(kBetween, "between") X(kBigint, "bigint") X(kBinary, "binary") X(kBind, "bind")               \
  X(kBinlog, "binlog") X(kBody, "body") X(kBoth, "both") X(kBy, "by") X(kCache, "cache")          \
  X(kCall, "call") X(kCascade, "cascade") X(kCascaded, "cascaded") X(kCase, "case")               \
  X(kCast, "cast") X(kChain, "chain") X(kChange, "change") X(kChannel, "channel")                 \
  X(kChar, "char") X(kCharacter, "character") X(kCharset, "charset") X(kCheck, "check")           \
  X(kChecksum, "checksum") X(kClientStatistics, "client_statistics") X(kClone, "clone")           \
  X(kClose, "close") X(kCluster, "cluster") X(kCoalesce, "coalesce") X(kCode, "code")             \
  X(kCollate, "collate") X(kCollation, "collation") X(kColumn, "column") X(kColumns, "columns")   \
  X(kComment, "comment") X(kCommit, "commit") X(kComponent, "component")                          \
  X(kCompression, "compression") X(kConcurrent, "concurrent") X(kCondition, "condition")          \
  X(kConnection, "connection") X(kConnectionId, "connection_id") X(kConsistent, "consistent")     \
  X(kConstraint, "constraint") X(kConstraintCatalog, "constraint_catalog")                        \
  X(kConstraintSchema, "constraint_schema") X(kContributors, "contributors")                      \
  X(kConvert, "convert") X(kCount, "count") X(kCreate, "create") X(kCross, "cross")               \
  X(kCurdate, "curdate") X(kCurrent, "current") X(kCurrentDate, "current_date")                   \
  X(kCurrentRole, "current_role") X(kCurrentTime, "current_time")                                 \
  X(kCurrentTimestamp, "current_timestamp") X(kCurrentUser, "current_user")                       \
  X(kCursor, "cursor") X(kCurtime, "curtime") X(kData, "data") X(kDatabase, "database")           \
  X(kDatabases, "databases") X(kDayofweek, "dayofweek") X(kDays, "days") X(kDb, "db")             \
  X(kDeallocate, "deallocate") X(kDeclare, "declare") X(kDefault, "default")                      \
  X(kDefiner, "definer") X(kDelayed, "delayed") X(kDelete, "delete") X(kDeny, "deny")             \
  X(kDesKeyFile, "des_key_file") X(kDesc, "desc") X(kDescribe, "describe")                        \
  X(kDiagnostics, "diagnostics") X(kDirectory, "directory") X(kDisable, "disable")                \
  X(kDiscard, "discard") X(kDistinct, "distinct") X(kDistinctrow, "distinctrow") X(kDiv, "div")   \
  X(kDo, "do") X(kDrop, "drop") X(kDual, "dual") X(kDumpfile, "dumpfile")                         \
  X(kDuplicate, "duplicate") X(kEach, "each") X(kElse, "else") X(kElseif, "elseif")               \
  X(kElsif, "elsif") X(kEmpty, "empty") X(kEnable, "enable") X(kEncryption, "encryption")         \
  X(kEnd, "end") X(kEnforced, "enforced") X(kEngine, "engine") X(kEngines, "engines")             \
  X(kError, "error") X(kErrorLog, "error_log") X(kErrors, "errors") X(kEvent, "event")            \
  X(kEventObjectSchema, "event_object_schema") X(kEventSchema, "event_schema")                    \
  X(kEvents, "events") X(kEvery, "every") X(kExcept, "except") X(kExchange, "exchange")           \
  X(kExecute, "execute") X(kExists, "exists") X(kExplain, "explain") X(kExtended, "extended")     \
  X(kExtract, "extract") X(kFalse, "false") X(kFetch, "fetch") X(kFields, "fields")               \
  X(kFile, "file") X(kFirst, "first") X(kFlush, "flush") X(kFor, "for") X(kForce, "force")        \
  X(kForeign, "foreign") X(kFormat, "format") X(kFoundRows, "found_rows") X(kFrom, "from")        \
  X(kFull, "full") X(kFulltext, "fulltext") X(kFunction, "function") X(kFunctions, "functions")   \
  X(kGeneral, "general") X(kGet, "get") X(kGetLock, "get_lock") X(kGlobal, "global")              \
  X(kGrant, "grant") X(kGrants, "grants") X(kGroup, "group")                                      \
  X(kGroupReplication, "group_replication") X(kGtid, "gtid") X(kGtidExecuted, "gtid_executed")    \
  X(kGtids, "gtids") X(kHandler, "handler") X(kHash, "hash") X(kHaving, "having")                 \
  X(kHelp, "help") X(kHighPriority, "high_priority") X(kHistogram, "histogram")                   \
  X(kHost, "host") X(kHosts, "hosts") X(kIdentified, "identified") X(kIf, "if")                   \
  X(kIgnore, "ignore") X(kImmediate, "immediate") X(kImport, "import") X(kIn, "in")               \
  X(kIndex, "index") X(kIndexSchema, "index_schema") X(kIndexStatistics, "index_statistics")      \
  X(kIndexes, "indexes") X(kInfile, "infile") X(kInformationSchema, "information_schema")         \
  X(kInner, "inner") X(kInnodbStatus, "innodb_status") X(kInplace, "inplace")                     \
  X(kInsert, "insert") X(kInstall, "install") X(kInstance, "instance")                            \
  X(kInstanceId, "instance_id") X(kIntersect, "intersect") X(kInterval, "interval")               \
  X(kInto, "into") X(kInvisible, "invisible") X(kIs, "is") X(kIsFreeLock, "is_free_lock")         \
  X(kIsUsedLock, "is_used_lock") X(kIsolation, "isolation") X(kIterate, "iterate")                \
  X(kJoin, "join") X(kJsonTable, "json_table") X(kKey, "key") X(kKeys, "keys")                    \
  X(kKeyspaces, "keyspaces") X(kKill, "kill") X(kLanguage, "language") X(kLast, "last")           \
  X(kLastInsertId, "last_insert_id") X(kLateral, "lateral") X(kLc, "lc") X(kLeading, "leading")   \
  X(kLeave, "leave") X(kLeft, "left") X(kLevel, "level") X(kLibraries, "libraries")               \
  X(kLibrary, "library") X(kLike, "like") X(kLimit, "limit") X(kLinear, "linear")                 \
  X(kLines, "lines") X(kList, "list") X(kLoad, "load") X(kLocal, "local")                         \
  X(kLocaltime, "localtime") X(kLocaltimestamp, "localtimestamp") X(kLock, "lock")                \
  X(kLocked, "locked") X(kLocks, "locks") X(kLog, "log") X(kLogfile, "logfile")                   \
  X(kLogs, "logs") X(kLoop, "loop") X(kLowPriority, "low_priority")                               \
  X(kLowpriority, "lowpriority") X(kMaster, "master") X(kMasterGtidWait, "master_gtid_wait")      \
  X(kMasterPosWait, "master_pos_wait") X(kMatch, "match") X(kMaxvalue, "maxvalue")                \
  X(kMerge, "merge") X(kMid, "mid") X(kMigration, "migration") X(kMinus, "minus")                 \
  X(kMinute, "minute") X(kMod, "mod") X(kMode, "mode") X(kModify, "modify") X(kMutex, "mutex")    \
  X(kMysql, "mysql") X(kNames, "names") X(kNatural, "natural") X(kNested, "nested")               \
  X(kNext, "next") X(kNextkey, "nextkey") X(kNextval, "nextval") X(kNo, "no")                     \
  X(kNoWriteToBinlog, "no_write_to_binlog") X(kNot, "not") X(kNow, "now") X(kNowait, "nowait")    \
  X(kNtile, "ntile") X(kNull, "null") X(kObjectSchema, "object_schema") X(kOf, "of")              \
  X(kOff, "off") X(kOffline, "offline") X(kOffset, "offset") X(kOj, "oj") X(kOn, "on")            \
  X(kOne, "one") X(kOnline, "online") X(kOnly, "only") X(kOpen, "open")                           \
  X(kOptimize, "optimize") X(kOptimizerCosts, "optimizer_costs") X(kOption, "option")             \
  X(kOr, "or") X(kOrder, "order") X(kOrdinality, "ordinality") X(kOut, "out")                     \
  X(kOuter, "outer") X(kOutfile, "outfile") X(kOver, "over") X(kOverlay, "overlay")               \
  X(kOwner, "owner") X(kPackage, "package") X(kParameter, "parameter")                            \
  X(kParentSchema, "parent_schema") X(kParseTree, "parse_tree") X(kParser, "parser")              \
  X(kPartition, "partition") X(kPartitions, "partitions") X(kPassword, "password")                \
  X(kPath, "path") X(kPerformanceSchema, "performance_schema") X(kPeriod, "period")               \
  X(kPersist, "persist") X(kPersistOnly, "persist_only") X(kPhase, "phase")                       \
  X(kPlugin, "plugin") X(kPlugins, "plugins") X(kPosition, "position") X(kPrepare, "prepare")     \
  X(kPrevious, "previous") X(kPrimary, "primary") X(kPrior, "prior")                              \
  X(kPrivileges, "privileges") X(kProcedure, "procedure") X(kProcedures, "procedures")            \
  X(kProcess, "process") X(kProcesslist, "processlist") X(kProfile, "profile")                    \
  X(kProfiles, "profiles") X(kPrune, "prune") X(kPublic, "public") X(kPurge, "purge")             \
  X(kQuery, "query") X(kQuick, "quick") X(kQuit, "quit") X(kRand, "rand")                         \
  X(kRandomBytes, "random_bytes") X(kRange, "range") X(kRead, "read") X(kRebuild, "rebuild")      \
  X(kRecover, "recover") X(kRecursive, "recursive") X(kReferencedSchema, "referenced_schema")     \
  X(kReferencedTableSchema, "referenced_table_schema") X(kReferences, "references")               \
  X(kRegexp, "regexp") X(kRelaylog, "relaylog") X(kRelease, "release")                            \
  X(kReleaseAllLocks, "release_all_locks") X(kReleaseLock, "release_lock") X(kRename, "rename")   \
  X(kReorganize, "reorganize") X(kRepair, "repair") X(kRepeat, "repeat") X(kReplace, "replace")   \
  X(kReplica, "replica") X(kReplicas, "replicas") X(kReplication, "replication")                  \
  X(kReplicationUser, "replication_user") X(kRequire, "require") X(kReset, "reset")               \
  X(kResignal, "resignal") X(kResource, "resource") X(kRestart, "restart")                        \
  X(kRestore, "restore") X(kRestrict, "restrict") X(kResume, "resume") X(kReturn, "return")       \
  X(kReturning, "returning") X(kReturns, "returns") X(kRevert, "revert") X(kRevoke, "revoke")     \
  X(kRight, "right") X(kRole, "role") X(kRollback, "rollback") X(kRollup, "rollup")               \
  X(kRoutine, "routine") X(kRoutineSchema, "routine_schema") X(kRow, "row")                       \
  X(kRowCount, "row_count") X(kRows, "rows") X(kSavepoint, "savepoint") X(kSchema, "schema")      \
  X(kSchemaName, "schema_name") X(kSchemas, "schemas") X(kSecond, "second")                       \
  X(kSecondary, "secondary") X(kSecurity, "security") X(kSelect, "select")                        \
  X(kSequence, "sequence") X(kSequenceSchema, "sequence_schema") X(kServer, "server")             \
  X(kSession, "session") X(kSessionUser, "session_user") X(kSet, "set") X(kSetval, "setval")      \
  X(kShare, "share") X(kShow, "show") X(kShutdown, "shutdown") X(kSignal, "signal")               \
  X(kSimple, "simple") X(kSkip, "skip") X(kSlave, "slave") X(kSleep, "sleep")                     \
  X(kSnapshot, "snapshot") X(kSoname, "soname") X(kSounds, "sounds") X(kSource, "source")         \
  X(kSourceLogFile, "source_log_file") X(kSourcePosWait, "source_pos_wait")                       \
  X(kSpatial, "spatial") X(kSql, "sql") X(kSqlBigResult, "sql_big_result")                        \
  X(kSqlBufferResult, "sql_buffer_result") X(kSqlCache, "sql_cache")                              \
  X(kSqlCalcFoundRows, "sql_calc_found_rows") X(kSqlNoCache, "sql_no_cache")                      \
  X(kSqlSmallResult, "sql_small_result") X(kSqlThread, "sql_thread") X(kSrs, "srs")               \
  X(kStage, "stage") X(kStart, "start") X(kStarting, "starting") X(kStatement, "statement")       \
  X(kStatistics, "statistics") X(kStatus, "status") X(kStop, "stop") X(kStorage, "storage")       \
  X(kStraightJoin, "straight_join") X(kStream, "stream") X(kSubstr, "substr")                     \
  X(kSubstring, "substring") X(kSuper, "super") X(kSys, "sys") X(kSysdate, "sysdate")             \
  X(kSystem, "system") X(kSystemTime, "system_time") X(kSystemUser, "system_user")                \
  X(kTable, "table") X(kTableSchema, "table_schema") X(kTableStatistics, "table_statistics")      \
  X(kTables, "tables") X(kTablespace, "tablespace") X(kTemporary, "temporary")                    \
  X(kTerminated, "terminated") X(kThen, "then") X(kThread, "thread") X(kThreads, "threads")       \
  X(kTo, "to") X(kTop, "top") X(kTraditional, "traditional") X(kTraffic, "traffic")               \
  X(kTrailing, "trailing") X(kTransaction, "transaction") X(kTransactions, "transactions")        \
  X(kTree, "tree") X(kTrigger, "trigger") X(kTriggerSchema, "trigger_schema")                     \
  X(kTriggers, "triggers") X(kTrim, "trim") X(kTruncate, "truncate") X(kType, "type")             \
  X(kUncommitted, "uncommitted") X(kUndo, "undo") X(kUndofile, "undofile")                        \
  X(kUninstall, "uninstall") X(kUnion, "union") X(kUnique, "unique")                              \
  X(kUniqueConstraintSchema, "unique_constraint_schema") X(kUnixTimestamp, "unix_timestamp")      \
  X(kUnlock, "unlock") X(kUnresolved, "unresolved") X(kUnsigned, "unsigned") X(kUntil, "until")   \
  X(kUpdate, "update") X(kUpgrade, "upgrade") X(kUse, "use") X(kUser, "user")                     \
  X(kUserResources, "user_resources") X(kUserStatistics, "user_statistics")                       \
  X(kUserVariables, "user_variables") X(kUsing, "using") X(kUtcDate, "utc_date")                  \
  X(kUtcTime, "utc_time") X(kUtcTimestamp, "utc_timestamp") X(kUuid, "uuid")                      \
  X(kUuidShort, "uuid_short") X(kValue, "value") X(kValues, "values")                             \
  X(kVariables, "variables") X(kVerbose, "verbose") X(kVersion, "version")                        \
  X(kVersioning, "versioning") X(kVexplain, "vexplain") X(kVgtidExecuted, "vgtid_executed")       \
  X(kView, "view") X(kViewSchema, "view_schema") X(kViews, "views") X(kVindex, "vindex")          \
  X(kVindexes, "vindexes") X(kVisible, "visible") X(kVitessKeyspaces, "vitess_keyspaces")         \
  X(kVitessMetadata, "vitess_metadata") X(kVitessMigration, "vitess_migration")                   \
  X(kVitessMigrations, "vitess_migrations")                                                       \
  X(kVitessReplicationStatus, "vitess_replication_status")                                        \
  X(kVitessSessions, "vitess_sessions") X(kVitessShards, "vitess_shards")                         \
  X(kVitessTablets, "vitess_tablets") X(kVitessTarget, "vitess_target")                           \
  X(kVitessThrottledApps, "vitess_throttled_apps") X(kVitessThrottler, "vitess_throttler")        \
  X(kVschema, "vschema") X(kVstream, "vstream") X(kWait, "wait")                                  \
  X(kWaitForExecutedGtidSet, "wait_for_executed_gtid_set")                                        \
  X(kWaitUntilSqlThreadAfterGtids, "wait_until_sql_thread_after_gtids") X(kWarning, "warning")    \
  X(kWarnings, "warnings") X(kWhen, "when") X(kWhere, "where") X(kWhile, "while")                 \
  X(kWindow, "window") X(kWith, "with") X(kWithout, "without") X(kWork, "work")                   \
  X(kWrite, "write") X(kXa, "xa") X(kXid, "xid") X(kXml, "xml") X(kXor, "xor")
// clang-format on

enum class Keyword : uint16_t {
  kNone,
#define PACELINE_SQL_KEYWORD(name, word) name,
  PACELINE_SQL_KEYWORDS(PACELINE_SQL_KEYWORD)
#undef PACELINE_SQL_KEYWORD
};

// kNone when it is none; any case.
Keyword FindKeyword(std::string_view word);
// In lower case; empty for kNone.
std::string_view KeywordText(Keyword keyword);

}  // namespace paceline::sql
