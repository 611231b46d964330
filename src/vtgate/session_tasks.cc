// What a session does by itself: SET, transactions, USE, KILL, and tables of the gate's own.
#include "base/log.h"
#include "base/strings.h"
#include "mysql/wire/ok_packet.h"
#include "sql/replication_variables.h"
#include "vtgate/answers.h"
#include "vtgate/quiet_sink.h"
#include "vtgate/session.h"
#include "vtgate/substitute_sink.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;
using plan::GateTask;
using plan::PinReason;
using sql::Assignment;
using sql::Scope;

namespace {

// Vitess's own session variables: accepted, kept nowhere, since nothing here depends on them.
bool IsVitessVariable(std::string_view name) {
  static constexpr std::string_view kNames[] = {"workload",
                                                "transaction_mode",
                                                "ddl_strategy",
                                                "skip_query_plan_cache",
                                                "client_found_rows",
                                                "migration_context",
                                                "enable_system_settings",
                                                "session_enable_system_settings",
                                                "sql_select_limit_warning",
                                                "query_timeout"};
  for (std::string_view known : kNames) {
    if (name == known) return true;
  }
  return false;
}

std::optional<bool> AsSwitch(const Assignment& assignment) {
  std::string_view value = assignment.constant;
  if (value == "1" || EqualsIgnoreCase(value, "on") || EqualsIgnoreCase(value, "true")) return true;
  if (value == "0" || EqualsIgnoreCase(value, "off") || EqualsIgnoreCase(value, "false"))
    return false;
  if (assignment.kind == sql::ValueKind::kDefault) return true;
  return std::nullopt;
}

// Where one assignment belongs.
enum class Place : uint8_t {
  kSettings,
  kInsertId,  // the value of LAST_INSERT_ID()
  kAutocommit,
  kReadAfterWrite,
  kIgnored,
  kNextTransaction,
  kServer,
  kPin,
  kForbidden
};

// SET TRANSACTION twice: each says one thing, and the later one counts. `said`: statements with ';'
// between.
std::string JoinCharacteristics(const std::string& said, std::string_view more) {
  auto of_isolation = [](std::string_view text) {
    return Lower(text).find("isolation") != std::string::npos;
  };
  std::string joined;
  for (std::string_view one : Split(said, ';')) {
    one = Trim(one);
    if (one.empty() || of_isolation(one) == of_isolation(more)) continue;
    joined += std::string(one) + "; ";
  }
  return joined + std::string(more);
}

// START TRANSACTION without comments, as which mydumper writes WITH CONSISTENT SNAPSHOT.
std::string BeginTextOf(const sql::Outline& outline) {
  std::vector<std::string> words;
  if (outline.Has(sql::kConsistentSnapshot)) words.push_back("WITH CONSISTENT SNAPSHOT");
  if (outline.Has(sql::kTransactionReadOnly)) words.push_back("READ ONLY");
  if (outline.Has(sql::kTransactionReadWrite)) words.push_back("READ WRITE");
  return words.empty() ? "START TRANSACTION" : "START TRANSACTION " + Join(words, ", ");
}

// MariaDB 10.11 tells no tracker of a variable that was set with two at signs and no scope.
bool Untold(const Assignment& assignment, std::string_view text, bool mariadb) {
  const std::string_view written = assignment.at.In(text);
  return mariadb && written.starts_with("@@") &&
         written.substr(0, written.find('=')).find('.') == std::string_view::npos;
}

Place PlaceOf(const Assignment& assignment) {
  if (sql::IsPassword(assignment)) return Place::kForbidden;
  switch (assignment.scope) {
    case Scope::kNextTransaction:
      return Place::kNextTransaction;
    case Scope::kNames:
    case Scope::kCharset:
      return assignment.IsConstant() ? Place::kSettings : Place::kPin;
    case Scope::kUserVariable:
      return assignment.IsConstant() ? Place::kSettings : Place::kPin;
    case Scope::kSession:
      if (assignment.name == "autocommit")
        return AsSwitch(assignment) ? Place::kAutocommit : Place::kPin;
      if (ReadAfterWrite::Knows(assignment.name)) return Place::kReadAfterWrite;
      if (IsVitessVariable(assignment.name)) return Place::kIgnored;
      if (sql::IsReplicationVariable(assignment.name)) return Place::kForbidden;
      if (assignment.name == "last_insert_id" || assignment.name == "identity")
        return ParseUint(assignment.constant) ? Place::kInsertId : Place::kPin;
      // Used up by what comes next: not to be told to one connection after the other.
      if (assignment.name == "insert_id" || assignment.name.starts_with("rand_seed"))
        return Place::kPin;
      return assignment.IsConstant() ? Place::kSettings : Place::kPin;
    default:
      return Place::kServer;
  }
}

void Apply(const Assignment& assignment, bool mariadb, SessionSettings& settings) {
  if (assignment.scope == Scope::kUserVariable) {
    settings.SetUserVariable(assignment.name, assignment.text);
  } else if (assignment.scope == Scope::kNames) {
    bool standard = assignment.kind == sql::ValueKind::kDefault;
    settings.SetNames(standard ? "default" : assignment.constant, assignment.collation);
  } else if (assignment.scope == Scope::kCharset) {
    settings.SetVariable("character_set_client", assignment.text);
    settings.SetVariable("character_set_results", assignment.text);
  } else {
    // MariaDB before 11.1 knows these two by their old names only.
    std::string name = assignment.name;
    if (mariadb && name == "transaction_isolation") name = "tx_isolation";
    if (mariadb && name == "transaction_read_only") name = "tx_read_only";
    bool word =
        assignment.kind == sql::ValueKind::kWord || assignment.kind == sql::ValueKind::kString;
    settings.SetVariable(name, word ? QuoteText(assignment.constant) : assignment.text);
  }
}

}  // namespace

std::optional<Error> Session::RefusedSet(const plan::Plan& plan) const {
  for (const Assignment& assignment : plan.set.assignments) {
    if (PlaceOf(assignment) == Place::kForbidden)
      return sql::NoRightToSet(dialect_.flavor == sql::Flavor::kMariadb, assignment.name);
  }
  return std::nullopt;
}

io::Task<Status> Session::RunGateTask(Statement statement, const plan::Plan& plan) {
  switch (plan.gate) {
    case GateTask::kUse: {
      std::string wanted = plan.use_target.ToString();
      Status used = Use(wanted);
      if (!used) co_return WriteError(statement, used.error());
      TellState({mysql::wire::SessionStateType::kSchema, "", target_.ToString()});
      WriteOk(statement);
      co_return Status();
    }
    case GateTask::kSet: {
      Status done = co_await RunSet(statement, plan);
      co_return done;
    }
    case GateTask::kBegin: {
      Status done = co_await Begin(statement, plan);
      co_return done;
    }
    case GateTask::kCommit:
    case GateTask::kRollback: {
      Status done = co_await EndTransaction(statement, plan);
      co_return done;
    }
    case GateTask::kSavepoint:
    case GateTask::kRollbackTo:
    case GateTask::kReleaseSavepoint:
    case GateTask::kUnlockTables: {
      Status done = co_await SendIfPinned(statement, plan);
      co_return done;
    }
    case GateTask::kEmpty: {
      // A comment is a statement that does nothing, as servers of both flavors take it.
      if (Trim(statement.text).find_first_not_of("; \t\r\n") != std::string_view::npos) {
        WriteOk(statement);
        co_return Status();
      }
      Error error = Error::FromMysql(1065, "42000", "Query was empty");
      co_return WriteError(statement, error);
    }
    case GateTask::kKill: {
      std::string_view id_text = Trim(plan.outline.name.In(statement.text));
      std::optional<uint64_t> id = ParseUint(id_text);
      if (id_text.empty()) {  // the server words the error
        std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
        Status sent = co_await Send(statement, plan, text, "");
        co_return sent;
      }
      bool query_only = plan.outline.Has(sql::kKillsQuery);
      if (!id || gate_.registry == nullptr || !gate_.registry->Kill(*id, query_only)) {
        Error error =
            Error::FromMysql(1094, "HY000", fmt::format("Unknown thread id: {}", id_text));
        co_return WriteError(statement, error);
      }
      WriteOk(statement);
      co_return Status();
    }
    case GateTask::kShow:
    case GateTask::kVexplain: {
      OwnAnswerInput input{gate_,
                           identity_,
                           target_,
                           warnings_,
                           plan,
                           statement.text,
                           values_.warning_count,
                           values_.error_count};
      input.dialect = dialect_;
      if (plan.outline.show == sql::Show::kVitessSessions && gate_.registry != nullptr) {
        input.sessions =
            co_await gate_.registry->List(Deadline::In(2s).EarlierOf(statement.deadline));
      }
      std::optional<Result<OwnTable>> own;
      // A pinned connection still has the diagnostics of its last statement itself.
      if (own_diagnostics_ || !plan.reads_previous) own = OwnAnswer(input);
      if (!own) {  // the server's to answer
        std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
        Status sent = co_await Send(statement, plan, text, "");
        co_return sent;
      }
      if (!*own) co_return WriteError(statement, own->error());
      if ((*own)->server_columns) {
        Status sent = co_await SendSubstituted(statement, plan, std::move((*own)->rows));
        co_return sent;
      }
      StartAnswer(statement, "");
      statement.sink->WriteTable(**own);
      co_return Status();
    }
    case GateTask::kDatabaseDdl:
      co_return AnswerDatabaseDdl(statement, plan);
    case GateTask::kVitess: {
      Error error(Code::kUnimplemented, fmt::format("{} is not offered by this vtgate",
                                                    sql::KindName(plan.outline.kind)));
      co_return WriteError(statement, error);
    }
    case GateTask::kPrepare: {
      std::optional<std::string> known = co_await PrepareFromVariable(statement, plan);
      if (!known) break;
      const std::string forbidden = sql::FindReplicationSets(*known, dialect_).variable;
      if (!forbidden.empty()) {
        const bool mariadb = dialect_.flavor == sql::Flavor::kMariadb;
        co_return WriteError(statement, sql::NoRightToSet(mariadb, forbidden));
      }
      std::string begin = pinned_.id == 0 && in_transaction_ ? begin_text_ : std::string();
      Status sent = co_await Send(statement, plan, *known, std::move(begin));
      co_return sent;
    }
    case GateTask::kExecute:
    case GateTask::kDeallocate:
    case GateTask::kNone:
      break;
  }
  std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
  std::string begin = BeginFor(plan);
  Status sent = co_await Send(statement, plan, text, std::move(begin));
  co_return sent;
}

io::Task<Status> Session::SendIfPinned(Statement statement, const plan::Plan& plan) {
  const bool sets = plan.gate == GateTask::kSavepoint && (in_transaction_ || !autocommit_);
  if (pinned_.id != 0 || sets) {
    std::string begin;
    if (pinned_.id == 0) begin = in_transaction_ ? begin_text_ : BeginText();
    std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
    Status sent = co_await Send(statement, plan, text, std::move(begin));
    co_return sent;
  }
  if (plan.gate == GateTask::kRollbackTo || plan.gate == GateTask::kReleaseSavepoint) {
    std::string name = sql::Unquote(plan.outline.name.In(statement.text), dialect_);
    Error error = Error::FromMysql(1305, "42000", fmt::format("SAVEPOINT {} does not exist", name));
    co_return WriteError(statement, error);
  }
  WriteOk(statement);
  co_return Status();
}

io::Task<Status> Session::Begin(Statement statement, const plan::Plan& plan) {
  statement.kind = port::StatementKind::kText;
  statement.parameters = {};
  if (plan.outline.Has(sql::kTransactionReadOnly) && plan.outline.Has(sql::kTransactionReadWrite)) {
    Status refused = co_await Send(statement, plan, statement.text, "");  // by the server
    co_return refused;
  }
  if (in_transaction_ && pinned_.id != 0) {
    // As mysqld does: the transaction under way is committed first, on the same connection.
    Status sent = co_await Send(statement, plan, statement.text, "");
    co_return sent;
  }
  std::string text(plan.outline.statement.In(statement.text));
  if (plan.outline.Has(sql::kVersionComment)) text = BeginTextOf(plan.outline);
  begin_read_only_ = BeginsReadOnly(plan);
  begin_text_ = next_transaction_.empty() ? text : next_transaction_ + "; " + text;
  next_transaction_.clear();
  in_transaction_ = true;
  if (plan.outline.Has(sql::kConsistentSnapshot)) {
    std::string begin = begin_text_;
    Status sent =
        co_await Send(statement, plan, "DO 0", std::move(begin));  // the snapshot is taken now
    co_return sent;
  }
  if (pinned_.id != 0) {  // reserved, no transaction yet
    Status sent = co_await Send(statement, plan, text, "");
    co_return sent;
  }
  WriteOk(statement);
  co_return Status();
}

bool Session::BeginsReadOnly(const plan::Plan& plan) const {
  if (plan.outline.Has(sql::kTransactionReadOnly)) return true;
  if (plan.outline.Has(sql::kTransactionReadWrite)) return false;
  std::string said = Lower(next_transaction_);
  if (said.find("read only") != std::string::npos) return true;
  if (said.find("read write") != std::string::npos) return false;
  for (const char* name : {"transaction_read_only", "tx_read_only"}) {
    const std::string* set = settings_.Find(name);
    if (set != nullptr) return *set == "1" || EqualsIgnoreCase(sql::Unquote(*set, dialect_), "on");
  }
  return false;
}

io::Task<Status> Session::EndTransaction(Statement statement, const plan::Plan& plan) {
  statement.kind = port::StatementKind::kText;
  statement.parameters = {};
  if (plan.outline.Has(sql::kAndRelease)) closing_ = true;
  if (pinned_.id != 0) {
    Status sent = co_await Send(statement, plan, statement.text, "");
    co_return sent;
  }
  if (plan.outline.Has(sql::kAndChain) && plan.outline.Has(sql::kAndRelease)) {
    closing_ = false;
    Status sent = co_await Send(statement, plan, statement.text, "");  // the server words the error
    co_return sent;
  }
  // A chain begins a transaction also where none has ended.
  const bool chain = plan.outline.Has(sql::kAndChain);
  if (!chain) begin_text_.clear();
  if (chain && !in_transaction_) {
    begin_text_ = "START TRANSACTION";
    begin_read_only_ = false;
  }
  in_transaction_ = chain;
  WriteOk(statement);
  co_return Status();
}

io::Task<Status> Session::RunSet(Statement statement, const plan::Plan& plan) {
  SessionSettings changed = settings_;
  ReadAfterWrite own_writes = own_writes_;
  bool mariadb = dialect_.flavor == sql::Flavor::kMariadb;
  bool settings_differ = false, to_server = !plan.set.understood, pin = false;
  std::optional<bool> autocommit;
  bool untold = false;
  std::optional<uint64_t> insert_id;
  std::string next_transaction = next_transaction_;
  for (const Assignment& assignment : plan.set.assignments) {
    switch (PlaceOf(assignment)) {
      case Place::kSettings:
        Apply(assignment, mariadb, changed);
        settings_differ = true;
        break;
      case Place::kAutocommit:
        autocommit = AsSwitch(assignment);
        untold = Untold(assignment, statement.text, mariadb);
        break;
      case Place::kReadAfterWrite: {
        Status set = own_writes.Set(assignment.name, assignment.constant);
        if (!set) co_return WriteError(statement, set.error());
        break;
      }
      case Place::kInsertId:
        insert_id = ParseUint(assignment.constant);
        settings_differ = true;
        break;
      case Place::kIgnored:
        break;
      case Place::kNextTransaction:
        if (in_transaction_) {
          Error error = Error::FromMysql(
              1568, "25001",
              "Transaction characteristics can't be changed while a transaction is in progress");
          co_return WriteError(statement, error);
        }
        next_transaction =
            JoinCharacteristics(next_transaction_, plan.outline.statement.In(statement.text));
        break;
      case Place::kServer:
        to_server = true;
        break;
      case Place::kForbidden:
        break;
      case Place::kPin:
        pin = true;
        break;
    }
  }
  if (const std::optional<Error> refused = RefusedSet(plan))
    co_return WriteError(statement, *refused);
  if (statement.kind != port::StatementKind::kText && !plan.set.assignments.empty() &&
      plan.outline.placeholders > 0) {
    pin = true;  // its values are in the parameters
  }
  if (!pins_.empty() || pin || to_server) {
    plan::Plan sent_plan = plan;
    sent_plan.gate = GateTask::kNone;
    if (pin) sent_plan.pin = PinReason::kUserVariable;
    // SET autocommit = 1 commits what is open.
    sent_plan.implicit_commit = autocommit.value_or(false) && !autocommit_ && in_transaction_;
    std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
    std::string begin = pinned_.id == 0 && in_transaction_ ? begin_text_ : std::string();
    bool before = std::exchange(autocommit_, autocommit.value_or(autocommit_));
    Status sent = co_await Send(statement, sent_plan, text, std::move(begin));
    if (!sent || statement.sink->last().is_error()) {
      autocommit_ = before;
      co_return sent;
    }
    next_transaction.clear();  // the connection has it
  } else if (settings_differ) {
    bool commits = autocommit.value_or(false) && !autocommit_ && in_transaction_;
    if (commits && pinned_.id != 0) {  // as SET autocommit = 1 does
      QuietSink quiet;
      Statement commit = statement;
      commit.sink = &quiet;
      commit.kind = port::StatementKind::kText;
      commit.commits = true;
      Status committed = co_await Send(commit, plan, "COMMIT", "");
      if (!committed) co_return committed;
      if (quiet.last().is_error()) {
        Error error = mysql::wire::ErrorOf(quiet.last());
        co_return WriteError(statement, error);
      }
    }
    bool before = std::exchange(autocommit_, autocommit.value_or(autocommit_));
    Status tried = co_await SendSet(statement, plan);
    if (!tried || statement.sink->last().is_error()) {
      autocommit_ = before;
      co_return tried;
    }
  }
  if (insert_id) values_.last_insert_id = *insert_id;
  settings_ = changed;
  own_writes_ = std::move(own_writes);
  tracking_ = TrackingOf(settings_);
  if (const std::string* mode = settings_.Find("sql_mode")) {
    sql::ApplySqlMode(sql::Unquote(*mode, first_dialect_), dialect_);
  }
  next_transaction_ = next_transaction;
  bool told = statement.sink->ended();
  if (autocommit && !told && !untold) {
    mysql::wire::SessionStateEntry entry;
    entry.type = mysql::wire::SessionStateType::kSystemVariable;
    entry.name = "autocommit";
    entry.value = *autocommit ? "ON" : "OFF";
    TellState(std::move(entry));
  }
  if (autocommit && *autocommit && !autocommit_ && !told && pinned_.id != 0 && in_transaction_) {
    // Switching autocommit on commits what is open (manual: SET autocommit).
    autocommit_ = true;
    statement.commits = true;
    Status sent = co_await Send(statement, plan, "COMMIT", "");
    co_return sent;
  }
  if (autocommit) autocommit_ = *autocommit;
  if (!statement.sink->ended()) WriteOk(statement);
  co_return Status();
}

io::Task<Status> Session::SendSet(Statement statement, const plan::Plan& plan) {
  plan::Plan anywhere = plan;
  anywhere.gate = GateTask::kNone;
  anywhere.target = target_;
  anywhere.route = target_.has_database() ? plan::Route::kShard : plan::Route::kAnyKeyspace;
  anywhere.replica_ok = true;
  std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
  Status sent = co_await Send(statement, anywhere, text, "");
  co_return sent;
}

io::Task<Status> Session::SendSubstituted(
    Statement statement, const plan::Plan& plan,
    std::vector<std::vector<std::optional<std::string>>> rows) {
  bool binary = statement.kind == port::StatementKind::kExecute;
  SubstituteSink sink(*statement.sink, std::move(rows), binary);
  statement.sink = &sink;
  Status sent = co_await Send(statement, plan, statement.text, "");
  co_return sent;
}

Status Session::AnswerDatabaseDdl(const Statement& statement, const plan::Plan& plan) {
  std::string name = sql::Unquote(plan.outline.name.In(statement.text), dialect_);
  const bool exists =
      gate_.topology->vschema->Find(name) != nullptr || vschema::IsSystemSchema(name);
  const bool lenient = plan.outline.Has(sql::kIfExists);
  Error known = Error::FromMysql(1007, "HY000",
                                 fmt::format("Can't create database '{}'; database exists", name));
  Error unknown = Error::FromMysql(
      1008, "HY000", fmt::format("Can't drop database '{}'; database doesn't exist", name));
  const bool creates = plan.outline.verb == sql::Verb::kCreate;
  const bool drops = plan.outline.verb == sql::Verb::kDrop;
  if ((creates && exists) || (drops && !exists)) {
    const Error& told = creates ? known : unknown;
    if (!lenient) return WriteError(statement, told);
    StartAnswer(statement, "");
    Terminator ok;
    ok.status_flags = StatusFlags();
    ok.affected_rows = creates && dialect_.flavor == sql::Flavor::kMysql ? 1 : 0;
    ok.warnings = 1;
    statement.sink->WriteTerminator(ok);
    values_.row_count = static_cast<int64_t>(ok.affected_rows);
    values_.warning_count = 1;
    values_.error_count = 0;
    warnings_.assign(1, {"Note", told.mysql_errno(), told.message()});
    own_diagnostics_ = true;
    return {};
  }
  return WriteError(statement, Error(Code::kUnimplemented,
                                     "databases are keyspaces here: create one with vtctldclient "
                                     "CreateKeyspace, remove it with DeleteKeyspace"));
}

io::Task<std::optional<std::string>> Session::PrepareFromVariable(Statement statement,
                                                                  const plan::Plan& plan) {
  std::optional<std::string> none;
  std::string written(plan.outline.argument.In(statement.text));
  if (!written.starts_with('@') || statement.kind != port::StatementKind::kText) co_return none;
  std::string literal;
  if (!pins_.empty()) {  // the connection has it
    std::string ask = "SELECT " + written;
    std::vector<std::vector<std::string>> rows = co_await Ask(std::move(ask), statement.deadline);
    if (rows.size() != 1 || rows[0].size() != 1) co_return none;
    literal = QuoteText(rows[0][0]);
  } else {
    const auto& variables = settings_.user_variables();
    auto found = variables.find(sql::Unquote(written, dialect_));
    if (found == variables.end()) co_return none;
    literal = found->second;
  }
  std::string text(statement.text.substr(0, plan.outline.argument.offset));
  text += literal;
  // Which the caller refuses.
  if (!sql::FindReplicationSets(text, dialect_).variable.empty()) co_return text;
  Result<plan::Plan> inner = plan::MakePlan(text, dialect_, target_, *gate_.topology->vschema);
  if (!inner) co_return none;
  std::string buffer;
  none = std::string(plan::Render(text, *inner, values_, buffer));
  co_return none;
}

}  // namespace paceline::vtgate
