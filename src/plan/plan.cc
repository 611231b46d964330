#include "plan/plan.h"

#include <algorithm>

#include "base/strings.h"
#include "sql/lexer.h"
#include "sql/replication_variables.h"

namespace paceline::plan {
namespace {

using sql::DatabaseRole;
using sql::DatabaseUse;
using sql::Kind;
using sql::Show;
using vschema::KeyspaceEntry;

constexpr ErrorSpec kUnknownDatabase{"", Code::kNotFound, 1049, "42000",
                                     "The keyspace does not exist, or no VSchema names it."};
constexpr ErrorSpec kNoDatabase{"", Code::kFailedPrecondition, 1046, "3D000",
                                "The statement needs a keyspace, and none is selected."};
constexpr ErrorSpec kTwoKeyspaces{"VT12001", Code::kUnimplemented, 1235, "42000",
                                  "One statement reaches into two keyspaces."};
constexpr ErrorSpec kReadOnlyTarget{"", Code::kFailedPrecondition, 1290, "HY000",
                                    "The session is targeted at replicas."};

bool IsPlainWord(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// `name` in the quotes that `like` has.
std::string QuotedLike(std::string_view like, std::string_view name) {
  const char quote = like.empty() ? '\0' : like[0];
  if (quote == '\'' || quote == '"') return std::string(1, quote) + std::string(name) + quote;
  if (quote == '`' || !IsPlainWord(name)) return QuoteIdentifier(name);
  return std::string(name);
}

std::string StringLiteral(std::string_view text, const sql::Dialect& dialect) {
  if (!dialect.no_backslash_escapes) return QuoteText(text);
  return "'" + ReplaceAll(text, "'", "''") + "'";
}

// Statements that a replica would refuse, or should never be asked for.
bool ChangesData(Kind kind) {
  switch (kind) {
    case Kind::kInsert:
    case Kind::kReplace:
    case Kind::kUpdate:
    case Kind::kDelete:
    case Kind::kLoad:
    case Kind::kDdl:
    case Kind::kDatabaseDdl:
    case Kind::kAccount:
      return true;
    default:
      return false;
  }
}

bool AnsweredByGate(Show show) {
  switch (show) {
    case Show::kDatabases:
    case Show::kWarnings:
    case Show::kErrors:
    case Show::kCountWarnings:
    case Show::kCountErrors:
    case Show::kProcesslist:
      return true;
    default:
      return show >= Show::kVitessTablets;
  }
}

class Planner {
 public:
  Planner(std::string_view text, const sql::Dialect& dialect, const SessionTarget& target,
          const vschema::Snapshot& vschema)
      : text_(text), dialect_(dialect), session_(target), vschema_(vschema) {}

  Result<Plan> Run() {
    sql::Analyze(text_, dialect_, plan_.outline);
    plan_.target = session_;
    plan_.writes = outline().Writes();
    plan_.replica_ok = outline().ReadOnly();
    plan_.implicit_commit = outline().ImplicitCommit();
    plan_.returns_rows = outline().ReturnsRows();
    RETURN_IF_ERROR(CheckReplicationSets());
    RETURN_IF_ERROR(Tasks());
    Pins();
    if (plan_.route == Route::kGate) {
      plan_.cacheable = false;
      const bool edited = plan_.gate == GateTask::kSet || outline().show == Show::kDatabases;
      if (!edited) return std::move(plan_);
    }
    RETURN_IF_ERROR(Where());
    if (session_.type != record::TabletType::kPrimary &&
        ChangesData(outline().kind == Kind::kSetFor ? outline().inner : outline().kind)) {
      return Fail(kReadOnlyTarget,
                  "The session's target is {}, whose tablets are read-only: USE {} to write",
                  session_.ToString(), session_.keyspace);
    }
    RETURN_IF_ERROR(Edits());
    return std::move(plan_);
  }

 private:
  const sql::Outline& outline() const { return plan_.outline; }
  std::string NameAt(sql::Span span) const { return sql::Unquote(span.In(text_), dialect_); }
  void Gate(GateTask task) {
    plan_.route = Route::kGate;
    plan_.gate = task;
  }

  // Where a SET may hide: SET itself is taken apart by the session.
  Status CheckReplicationSets() const {
    switch (outline().kind) {
      case Kind::kPrepare:
      case Kind::kExecute:
      case Kind::kSetFor:
      case Kind::kCompound:
      case Kind::kUnknown:
      case Kind::kAccount:
        break;
      case Kind::kDdl:
        if (outline().Has(sql::kStoredProgram)) break;
        return {};
      default:
        return {};
    }
    const std::string found = sql::FindReplicationSets(text_, dialect_).variable;
    if (found.empty()) return {};
    return Fail(sql::NoRightToSet(dialect_.flavor == sql::Flavor::kMariadb, found));
  }

  // What the gate answers or does by itself.
  Status Tasks() {
    switch (outline().kind) {
      case Kind::kEmpty:
        Gate(GateTask::kEmpty);
        break;
      case Kind::kUse:
        return Use();
      case Kind::kSet:
        Gate(GateTask::kSet);
        plan_.set = sql::ParseSet(text_, dialect_);
        break;
      case Kind::kBegin:
        Gate(GateTask::kBegin);
        break;
      case Kind::kCommit:
        Gate(GateTask::kCommit);
        break;
      case Kind::kRollback:
        Gate(GateTask::kRollback);
        break;
      case Kind::kSavepoint:
        Gate(GateTask::kSavepoint);
        break;
      case Kind::kRollbackTo:
        Gate(GateTask::kRollbackTo);
        break;
      case Kind::kReleaseSavepoint:
        Gate(GateTask::kReleaseSavepoint);
        break;
      case Kind::kUnlockTables:
        Gate(GateTask::kUnlockTables);
        break;
      case Kind::kKill:
        Gate(GateTask::kKill);
        break;
      case Kind::kDatabaseDdl:
        Gate(GateTask::kDatabaseDdl);
        break;
      case Kind::kVexplain:
        Gate(GateTask::kVexplain);
        break;
      case Kind::kAlterVschema:
      case Kind::kVitessMigration:
      case Kind::kRevert:
      case Kind::kStream:
        Gate(GateTask::kVitess);
        break;
      case Kind::kShow:
        if (AnsweredByGate(outline().show)) Gate(GateTask::kShow);
        plan_.reads_previous =
            outline().show >= Show::kWarnings && outline().show <= Show::kCountErrors;
        break;
      case Kind::kPrepare:
        plan_.gate = GateTask::kPrepare;
        plan_.cacheable = false;
        break;
      case Kind::kExecute:
        plan_.gate = GateTask::kExecute;
        plan_.watch_state = true;
        break;
      case Kind::kDeallocate:
        plan_.gate = GateTask::kDeallocate;
        break;
      case Kind::kCall:
      case Kind::kCompound:
      case Kind::kUnknown:
        plan_.watch_state = true;
        break;
      default:
        break;
    }
    if (outline().kind == Kind::kDiagnostics) plan_.reads_previous = true;
    plan_.rows_name_databases =
        outline().kind == Kind::kShow || outline().kind == Kind::kExplain ||
        outline().kind == Kind::kTableCare || outline().kind == Kind::kAdmin ||
        outline().Has(sql::kSystemSchema) || vschema::IsSystemSchema(session_.keyspace);
    // An INSERT or UPDATE reports the value in its OK packet.
    plan_.fetch_last_insert_id = outline().Has(sql::kSetsLastInsertId) && plan_.returns_rows;
    plan_.fetch_found_rows = outline().Has(sql::kCalcFoundRows);
    return {};
  }

  Status Use() {
    Gate(GateTask::kUse);
    ASSIGN_OR_RETURN(plan_.use_target, ParseTarget(UseName()));
    SessionTarget& target = plan_.use_target;
    if (target.keyspace.empty()) {  // USE `@replica`: only the type changes
      target.keyspace = session_.keyspace;
      target.shard = session_.shard;
    }
    return {};  // whether it is there is asked when it runs: MariaDB prepares it in any case
  }
  std::string UseName() const {
    const std::string_view written = outline().name.In(text_);
    return written.starts_with('@') ? std::string(written) : NameAt(outline().name);
  }

  void Pins() {
    const sql::Outline& o = outline();
    const auto pin = [this](PinReason reason) { plan_.pin = reason; };
    if (o.Has(sql::kWritesUserVariable) && o.kind != Kind::kSet) pin(PinReason::kUserVariable);
    for (const sql::Assignment& assignment : plan_.set.assignments) {
      if (assignment.scope == sql::Scope::kUserVariable && !assignment.IsConstant()) {
        pin(PinReason::kUserVariable);
      }
    }
    if (o.kind == Kind::kPrepare) pin(PinReason::kPreparedStatement);
    if (o.kind == Kind::kDeallocate) plan_.unpin = PinReason::kPreparedStatement;
    if (o.kind == Kind::kHandler) {
      if (EqualsIgnoreCase(o.name.In(text_), "close")) {
        plan_.unpin = PinReason::kHandler;
      } else {
        pin(PinReason::kHandler);
      }
    }
    if (o.kind == Kind::kXa) {
      const std::string_view verb = o.name.In(text_);
      if (EqualsIgnoreCase(verb, "commit") || EqualsIgnoreCase(verb, "rollback")) {
        plan_.unpin = PinReason::kXa;
      } else if (!EqualsIgnoreCase(verb, "recover")) {
        pin(PinReason::kXa);
      }
    }
    if (o.Has(sql::kUsesReleaseLock | sql::kUsesReleaseAllLocks)) {
      plan_.unpin = PinReason::kGetLock;
    }
    if (o.Has(sql::kUsesGetLock)) {
      pin(PinReason::kGetLock);
      plan_.unpin = PinReason::kNone;
    }
    if (o.kind == Kind::kLockTables) pin(PinReason::kLockTables);
    if (o.kind == Kind::kFlush && !o.argument.empty()) pin(PinReason::kGlobalReadLock);
    if (o.kind == Kind::kUnlockTables) plan_.unpin = PinReason::kLockTables;
    if (o.Has(sql::kTemporaryTable)) {
      if (o.verb == sql::Verb::kDrop) {
        plan_.unpin = PinReason::kTemporaryTable;
      } else {
        pin(PinReason::kTemporaryTable);
      }
    }
  }

  Status TakeKeyspace(const KeyspaceEntry* entry) {
    if (keyspace_ != nullptr && keyspace_ != entry) {
      return Fail(kTwoKeyspaces,
                  "the statement uses keyspaces {} and {}, which live on different shards: one "
                  "statement can use "
                  "one keyspace",
                  keyspace_->name, entry->name);
    }
    keyspace_ = entry;
    return {};
  }

  const KeyspaceEntry* FindEither(std::string_view name) const {
    const KeyspaceEntry* entry = vschema_.Find(name);
    return entry != nullptr ? entry : vschema_.FindByDatabase(name);
  }

  bool NeedsDatabase() const {
    switch (outline().kind) {
      case Kind::kCall:
        return true;
      case Kind::kShow:
        switch (outline().show) {
          case Show::kTables:
          case Show::kTableStatus:
          case Show::kOpenTables:
          case Show::kTriggers:
          case Show::kEvents:
            return true;
          default:
            return false;
        }
      case Kind::kDdl:
        return outline().Has(sql::kStoredProgram);
      default:
        return false;
    }
  }

  // The keyspace that the statement's names mean.
  Status Where() {
    const bool system_default = vschema::IsSystemSchema(session_.keyspace);
    for (const sql::TableUse& table : outline().tables) {
      if (table.database.empty() && system_default) continue;
      std::string database = table.database.empty() ? session_.keyspace : NameAt(table.database);
      if (vschema::IsSystemSchema(database)) continue;
      if (!database.empty() && vschema_.Find(database) == nullptr) {
        if (const KeyspaceEntry* entry = vschema_.FindByDatabase(database)) database = entry->name;
      }
      const std::string name = NameAt(table.name);
      const bool reaches =
          table.access == sql::Access::kRead || table.access == sql::Access::kWrite;
      if (!database.empty() && reaches && dialect_.flavor == sql::Flavor::kMariadb &&
          vschema_.Find(database) == nullptr) {
        return Fail(Error::FromMysql(1146, "42S02",
                                     fmt::format("Table '{}.{}' doesn't exist", database, name)));
      }
      ASSIGN_OR_RETURN(const vschema::TableRoute route,
                       vschema_.Resolve(database, name, session_.type));
      RETURN_IF_ERROR(TakeKeyspace(route.keyspace));
      if (route.table != name) renamed_.push_back({&table, std::string(route.table)});
    }
    for (const DatabaseUse& use : outline().databases) {
      if (use.role == DatabaseRole::kSchemaValue || use.role == DatabaseRole::kPattern) continue;
      const std::string name = NameAt(use.at);
      if (vschema::IsSystemSchema(name)) continue;
      const KeyspaceEntry* entry = FindEither(name);
      if (entry == nullptr && use.role == DatabaseRole::kName) {
        return Fail(kUnknownDatabase, "Unknown database '{}'", name);
      }
      // A column's qualifier follows its table, which a routing rule may have sent elsewhere; one
      // that no keyspace knows is mysqld's to refuse.
      if (entry != nullptr && keyspace_ == nullptr) keyspace_ = entry;
    }
    if (keyspace_ == nullptr && !session_.keyspace.empty() && !system_default) {
      keyspace_ = vschema_.Find(session_.keyspace);
      if (keyspace_ == nullptr) {
        return Fail(kUnknownDatabase, "Unknown database '{}'", session_.keyspace);
      }
    }
    if (keyspace_ == nullptr && NeedsDatabase() && !system_default && outline().databases.empty()) {
      keyspace_ = vschema_.Only();
      if (keyspace_ == nullptr) {
        return Fail(kNoDatabase, "No database selected");
      }
    }
    if (plan_.route == Route::kGate) {  // SET, whose subqueries name tables
      if (keyspace_ != nullptr && keyspace_->name != session_.keyspace) {
        plan_.target = {keyspace_->name, "", session_.type};
      }
      return {};
    }
    if (keyspace_ == nullptr) {
      plan_.route = Route::kAnyKeyspace;
      plan_.target = {"", "", session_.type};
    } else if (keyspace_->name != session_.keyspace) {
      plan_.target = {keyspace_->name, "", session_.type};
    }
    return {};
  }

  void Put(sql::Span at, std::string text, EditKind kind = EditKind::kText) {
    if (kind == EditKind::kText && at.In(text_) == text) return;
    plan_.edits.push_back({at, kind, std::move(text)});
  }

  Status Edits() {
    const bool system = outline().Has(sql::kSystemSchema) || outline().kind == Kind::kShow ||
                        vschema::IsSystemSchema(session_.keyspace);
    for (const DatabaseUse& use : outline().databases) EditDatabase(use, system);
    EditTables();
    const bool stored =
        outline().Has(sql::kStoredProgram) || outline().object == sql::Object::kView;
    if (!stored) EditCalls();
    if (system) plan_.schema_parameters = outline().schema_placeholders;
    RETURN_IF_ERROR(EditPrepared());
    std::stable_sort(plan_.edits.begin(), plan_.edits.end(),
                     [](const Edit& a, const Edit& b) { return a.at.offset < b.at.offset; });
    return {};
  }

  void EditDatabase(const DatabaseUse& use, bool system) {
    const std::string_view written = use.at.In(text_);
    std::string name = NameAt(use.at);
    switch (use.role) {
      case DatabaseRole::kQualifier:
      case DatabaseRole::kName: {
        const KeyspaceEntry* entry = vschema_.Find(name);
        if (entry == nullptr) return;
        if (keyspace_ != nullptr) entry = keyspace_;
        Put(use.at, QuotedLike(written, entry->database));
        return;
      }
      case DatabaseRole::kSchemaValue:
      case DatabaseRole::kPattern: {
        if (use.role == DatabaseRole::kSchemaValue && !system) return;
        // Drivers escape '_' in names that they compare by LIKE.
        const bool escaped = name.find("\\_") != std::string::npos;
        if (escaped) name = ReplaceAll(name, "\\_", "_");
        const KeyspaceEntry* entry = vschema_.Find(name);
        if (entry == nullptr) return;
        std::string database = entry->database;
        if (escaped) database = ReplaceAll(database, "_", "\\_");
        if (!written.empty() && written[0] == '\'') {
          Put(use.at, escaped ? "'" + database + "'" : StringLiteral(database, dialect_));
        } else {
          Put(use.at, QuotedLike(written, database));
        }
        return;
      }
    }
  }

  void EditTables() {
    // Without a database of its own on the tablet, a table of information_schema must be named in
    // full.
    if (vschema::IsSystemSchema(session_.keyspace)) {
      for (const sql::TableUse& table : outline().tables) {
        if (!table.database.empty()) continue;
        Put({table.name.offset, 0}, QuoteIdentifier(session_.keyspace) + ".");
      }
      if (outline().kind == Kind::kShow && outline().databases.empty()) ShowFromSystemSchema();
    }
    if (outline().show == Show::kTables && keyspace_ != nullptr) RenameShowTablesColumn();
    if (outline().show == Show::kDatabases) RenameShowDatabasesValues();
    for (const auto& [table, name] : renamed_) {
      std::string text = QuotedLike(table->name.In(text_), name);
      // Columns may be qualified by the name that the client knows.
      const bool aliased = table->has_alias || table->access == sql::Access::kCreate ||
                           outline().kind == Kind::kInsert || outline().kind == Kind::kReplace;
      if (table->access == sql::Access::kRead && !aliased) {
        text += " AS " + std::string(table->name.In(text_));
      }
      Put(table->name, std::move(text));
    }
  }

  // SHOW TABLES without FROM, in a session whose database no tablet's connection has.
  void ShowFromSystemSchema() {
    switch (outline().show) {
      case Show::kTables:
      case Show::kTableStatus:
      case Show::kOpenTables:
      case Show::kTriggers:
      case Show::kEvents:
        break;
      default:
        return;
    }
    sql::Lexer lexer(text_, dialect_);
    for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd;
         token = lexer.Next()) {
      const std::string_view word = text_.substr(token.begin, token.size());
      const bool last = EqualsIgnoreCase(word, "tables") || EqualsIgnoreCase(word, "status") ||
                        EqualsIgnoreCase(word, "triggers") || EqualsIgnoreCase(word, "events");
      if (!last) continue;
      Put({token.end, 0}, " FROM " + QuoteIdentifier(session_.keyspace));
      return;
    }
  }

  // SHOW DATABASES WHERE `Database` = '<keyspace>'
  void RenameShowDatabasesValues() {
    sql::Lexer lexer(text_, dialect_);
    bool where = false;
    for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd;
         token = lexer.Next()) {
      where = where || token.Is(sql::Keyword::kWhere);
      if (!where || token.kind != sql::TokenKind::kString) continue;
      const sql::Span at{token.begin, token.size()};
      if (const KeyspaceEntry* entry = vschema_.Find(NameAt(at)))
        Put(at, StringLiteral(entry->database, dialect_));
    }
  }

  // SHOW TABLES WHERE Tables_in_<keyspace> = ...
  void RenameShowTablesColumn() {
    if (keyspace_->database == keyspace_->name) return;
    const std::string known = "Tables_in_" + keyspace_->name;
    sql::Lexer lexer(text_, dialect_);
    for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd;
         token = lexer.Next()) {
      const sql::Span at{token.begin, token.size()};
      if (!token.IsName() || !EqualsIgnoreCase(NameAt(at), known)) continue;
      Put(at, QuotedLike(at.In(text_), "Tables_in_" + keyspace_->database));
    }
  }

  void EditCalls() {
    size_t edited = 0;
    for (const sql::SessionCall& call : outline().session_calls) {
      switch (call.function) {
        case sql::SessionFunction::kDatabase: {
          if (call.compared) continue;
          const std::string shown = session_.ToString();
          if (keyspace_ != nullptr && plan_.route == Route::kShard &&
              keyspace_->database == shown) {
            continue;
          }
          // IF gives the column the definition of the call itself, on both flavors.
          Put(call.at, "IF(1," +
                           (session_.keyspace.empty() ? "NULL" : StringLiteral(shown, dialect_)) +
                           "," + std::string(call.at.In(text_)) + ")");
          break;
        }
        case sql::SessionFunction::kLastInsertId:
          Put(call.at, "", EditKind::kLastInsertId);
          break;
        case sql::SessionFunction::kFoundRows:
          Put(call.at, "", EditKind::kFoundRows);
          break;
        case sql::SessionFunction::kRowCount:
          Put(call.at, "", EditKind::kRowCount);
          break;
        case sql::SessionFunction::kConnectionId:
          Put(call.at, "", EditKind::kConnectionId);
          break;
        case sql::SessionFunction::kUser:
          Put(call.at, "", EditKind::kUser);
          break;
        case sql::SessionFunction::kCurrentUser:
          Put(call.at, "", EditKind::kCurrentUser);
          break;
        case sql::SessionFunction::kWarningCount:
          Put(call.at, "", EditKind::kWarningCount);
          break;
        case sql::SessionFunction::kErrorCount:
          Put(call.at, "", EditKind::kErrorCount);
          break;
      }
      ++edited;
    }
    if (edited == 0) return;
    for (const sql::Span& column : outline().unnamed_columns) {
      const bool touched =
          std::any_of(plan_.edits.begin(), plan_.edits.end(), [&](const Edit& edit) {
            return edit.at.offset >= column.offset && edit.at.end() <= column.end();
          });
      if (!touched) continue;
      Put({column.end(), 0}, " AS " + QuoteIdentifier(column.In(text_)));
    }
  }

  // PREPARE s FROM 'text', EXECUTE IMMEDIATE 'text': names inside the literal.
  Status EditPrepared() {
    if (outline().kind != Kind::kPrepare && outline().kind != Kind::kExecute) return {};
    const std::string_view written = outline().argument.In(text_);
    if (written.size() < 2 || (written[0] != '\'' && written[0] != '"')) return {};
    const std::string inner = NameAt(outline().argument);
    ASSIGN_OR_RETURN(Plan plan, MakePlan(inner, dialect_, session_, vschema_));
    if (plan.route == Route::kShard && keyspace_ == nullptr) {
      plan_.route = Route::kShard;
      plan_.target = plan.target;
    }
    // The pinned connection itself answers what belongs to the session; only names are put in.
    std::erase_if(plan.edits, [](const Edit& edit) {
      return edit.kind != EditKind::kText || edit.text.starts_with(" AS `");
    });
    if (plan.edits.empty()) return {};
    std::string buffer;
    Put(outline().argument, StringLiteral(Render(inner, plan, SessionValues(), buffer), dialect_));
    return {};
  }

  std::string_view text_;
  const sql::Dialect& dialect_;
  const SessionTarget& session_;
  const vschema::Snapshot& vschema_;
  const KeyspaceEntry* keyspace_ = nullptr;
  std::vector<std::pair<const sql::TableUse*, std::string>> renamed_;
  Plan plan_;
};

}  // namespace

std::string_view PinReasonName(PinReason reason) {
  switch (reason) {
    case PinReason::kNone:
      return "none";
    case PinReason::kTemporaryTable:
      return "temporary table";
    case PinReason::kLockTables:
      return "LOCK TABLES";
    case PinReason::kGetLock:
      return "GET_LOCK";
    case PinReason::kUserVariable:
      return "user variable";
    case PinReason::kPreparedStatement:
      return "PREPARE";
    case PinReason::kHandler:
      return "HANDLER";
    case PinReason::kXa:
      return "XA";
    case PinReason::kGlobalReadLock:
      return "FLUSH TABLES WITH READ LOCK";
    case PinReason::kDiagnostics:
      return "diagnostics";
  }
  return "none";
}

Result<Plan> MakePlan(std::string_view text, const sql::Dialect& dialect,
                      const SessionTarget& target, const vschema::Snapshot& vschema) {
  return Planner(text, dialect, target, vschema).Run();
}

}  // namespace paceline::plan
