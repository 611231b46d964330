#include "sql/outline.h"

#include "base/strings.h"
#include "sql/scanner.h"

namespace paceline::sql {

void Outline::Clear() {
  kind = inner = Kind::kEmpty;
  verb = Verb::kNone;
  object = Object::kNone;
  show = Show::kNone;
  features = 0;
  placeholders = 0;
  statement = directive = hint = name = argument = Span();
  databases.clear();
  tables.clear();
  session_calls.clear();
  unnamed_columns.clear();
  schema_placeholders.clear();
}

bool Outline::Writes() const {
  switch (kind == Kind::kSetFor ? inner : kind) {
    case Kind::kInsert:
    case Kind::kReplace:
    case Kind::kUpdate:
    case Kind::kDelete:
    case Kind::kLoad:
    case Kind::kImport:
    case Kind::kCall:
    case Kind::kXa:
    case Kind::kDdl:
    case Kind::kDatabaseDdl:
    case Kind::kAccount:
    case Kind::kTableCare:
    case Kind::kCompound:
    case Kind::kLockTables:
    case Kind::kExecute:
    case Kind::kUnknown:
    case Kind::kAdmin:
      return true;
    case Kind::kExplain:
      // MariaDB's ANALYZE runs what it explains; MySQL's EXPLAIN ANALYZE takes only SELECT.
      return (inner == Kind::kInsert || inner == Kind::kReplace || inner == Kind::kUpdate ||
              inner == Kind::kDelete);
    default:
      return Has(kLocksForUpdate | kLocksForShare | kSequenceCall | kUsesGetLock | kIntoFile);
  }
}

bool Outline::ReadOnly() const {
  switch (kind == Kind::kSetFor ? inner : kind) {
    case Kind::kSelect:
    case Kind::kValues:
    case Kind::kTable:
    case Kind::kShow:
    case Kind::kDescribe:
    case Kind::kHelp:
    case Kind::kExplain:
      break;
    default:
      return false;
  }
  return !Writes() && !Has(kSetsLastInsertId | kWritesUserVariable | kUsesReleaseLock |
                           kUsesReleaseAllLocks | kQualifiedRoutine);
}

bool Outline::ImplicitCommit() const {
  switch (kind) {
    case Kind::kDdl:
      // CREATE and DROP TEMPORARY TABLE leave the transaction open; ALTER of one does not say so in
      // its text.
      return !Has(kTemporaryTable);
    case Kind::kDatabaseDdl:
    case Kind::kAccount:
    case Kind::kTableCare:
    case Kind::kLockTables:
    case Kind::kBegin:
    case Kind::kReplication:
    case Kind::kFlush:
    case Kind::kReset:
    case Kind::kImport:
      return true;
    case Kind::kAdmin:
      return true;
    default:
      return false;
  }
}

bool Outline::HidesStatements() const {
  switch (kind == Kind::kSetFor ? inner : kind) {
    case Kind::kCall:
    case Kind::kExecute:
    case Kind::kCompound:
    case Kind::kUnknown:
      return true;
    default:
      return false;
  }
}

bool Outline::ReturnsRows() const {
  switch (kind == Kind::kSetFor ? inner : kind) {
    case Kind::kSelect:
      return !Has(kIntoFile | kIntoVariable);
    case Kind::kValues:
    case Kind::kTable:
    case Kind::kShow:
    case Kind::kDescribe:
    case Kind::kExplain:
    case Kind::kVexplain:
    case Kind::kHelp:
    case Kind::kTableCare:
    case Kind::kCall:
    case Kind::kExecute:
    case Kind::kUnknown:
    case Kind::kCompound:
    case Kind::kStream:
      return true;
    case Kind::kHandler:
    case Kind::kXa:  // HANDLER t READ, XA RECOVER
      return true;
    default:
      return Has(kReturning);
  }
}

void Analyze(std::string_view text, const Dialect& dialect, Outline& outline) {
  outline.Clear();
  Scanner scanner(text, dialect, outline);
  scanner.Run();
}

Outline Analyze(std::string_view text, const Dialect& dialect) {
  Outline outline;
  Analyze(text, dialect, outline);
  return outline;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kEmpty:
      return "empty";
    case Kind::kUnknown:
      return "unknown";
    case Kind::kSelect:
      return "select";
    case Kind::kValues:
      return "values";
    case Kind::kTable:
      return "table";
    case Kind::kInsert:
      return "insert";
    case Kind::kReplace:
      return "replace";
    case Kind::kUpdate:
      return "update";
    case Kind::kDelete:
      return "delete";
    case Kind::kLoad:
      return "load";
    case Kind::kImport:
      return "import";
    case Kind::kCall:
      return "call";
    case Kind::kDo:
      return "do";
    case Kind::kHandler:
      return "handler";
    case Kind::kBegin:
      return "begin";
    case Kind::kCommit:
      return "commit";
    case Kind::kRollback:
      return "rollback";
    case Kind::kSavepoint:
      return "savepoint";
    case Kind::kRollbackTo:
      return "rollback_to";
    case Kind::kReleaseSavepoint:
      return "release_savepoint";
    case Kind::kXa:
      return "xa";
    case Kind::kLockTables:
      return "lock_tables";
    case Kind::kUnlockTables:
      return "unlock_tables";
    case Kind::kSet:
      return "set";
    case Kind::kSetFor:
      return "set_for";
    case Kind::kUse:
      return "use";
    case Kind::kPrepare:
      return "prepare";
    case Kind::kExecute:
      return "execute";
    case Kind::kDeallocate:
      return "deallocate";
    case Kind::kDiagnostics:
      return "diagnostics";
    case Kind::kSignal:
      return "signal";
    case Kind::kShow:
      return "show";
    case Kind::kDescribe:
      return "describe";
    case Kind::kExplain:
      return "explain";
    case Kind::kVexplain:
      return "vexplain";
    case Kind::kHelp:
      return "help";
    case Kind::kDdl:
      return "ddl";
    case Kind::kDatabaseDdl:
      return "database_ddl";
    case Kind::kAccount:
      return "account";
    case Kind::kTableCare:
      return "table_care";
    case Kind::kFlush:
      return "flush";
    case Kind::kReset:
      return "reset";
    case Kind::kKill:
      return "kill";
    case Kind::kReplication:
      return "replication";
    case Kind::kAdmin:
      return "admin";
    case Kind::kCompound:
      return "compound";
    case Kind::kAlterVschema:
      return "alter_vschema";
    case Kind::kVitessMigration:
      return "vitess_migration";
    case Kind::kRevert:
      return "revert";
    case Kind::kStream:
      return "stream";
  }
  return "unknown";
}

std::string_view ShowName(Show show) {
  static constexpr std::string_view kNames[] = {
      "none",
      "other",
      "databases",
      "tables",
      "table_status",
      "open_tables",
      "columns",
      "index",
      "triggers",
      "events",
      "create",
      "create_database",
      "procedure_status",
      "function_status",
      "variables",
      "global_variables",
      "status",
      "global_status",
      "warnings",
      "errors",
      "count_warnings",
      "count_errors",
      "processlist",
      "grants",
      "engines",
      "charset",
      "collation",
      "plugins",
      "privileges",
      "binary_logs",
      "replica_status",
      "profile",
      "vitess_tablets",
      "vitess_shards",
      "vitess_target",
      "vitess_replication_status",
      "vitess_migrations",
      "vitess_metadata",
      "vitess_throttled_apps",
      "vitess_throttler_status",
      "vitess_sessions",
      "keyspaces",
      "vschema_tables",
      "vschema_keyspaces",
      "vschema_vindexes",
      "gtid_executed",
      "unresolved_transactions",
  };
  static_assert(std::size(kNames) == static_cast<size_t>(Show::kUnresolvedTransactions) + 1);
  return kNames[static_cast<size_t>(show)];
}

std::vector<Directive> ParseDirectives(std::string_view text) {
  std::vector<Directive> out;
  size_t at = 0;
  const auto space = [&](size_t i) { return text[i] == ' ' || text[i] == '\t' || text[i] == '\n'; };
  while (at < text.size()) {
    if (space(at)) {
      ++at;
      continue;
    }
    Directive directive;
    const size_t begin = at;
    while (at < text.size() && !space(at) && text[at] != '=') ++at;
    directive.name = Upper(text.substr(begin, at - begin));
    if (at < text.size() && text[at] == '=') {
      ++at;
      if (at < text.size() && (text[at] == '\'' || text[at] == '"')) {
        const size_t close = text.find(text[at], at + 1);
        const size_t end = close == std::string_view::npos ? text.size() : close;
        directive.value = std::string(text.substr(at + 1, end - at - 1));
        at = close == std::string_view::npos ? text.size() : close + 1;
      } else {
        const size_t value = at;
        while (at < text.size() && !space(at)) ++at;
        directive.value = std::string(text.substr(value, at - value));
      }
    }
    if (!directive.name.empty()) out.push_back(std::move(directive));
  }
  return out;
}

}  // namespace paceline::sql
