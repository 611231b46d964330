// What a session does by itself: SET, transactions, USE, KILL, and tables of the gate's own.
#include "base/log.h"
#include "base/strings.h"
#include "mysql/wire/ok_packet.h"
#include "vtgate/answers.h"
#include "vtgate/session.h"

namespace paceline::vtgate {

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
  kAutocommit,
  kReadAfterWrite,
  kIgnored,
  kNextTransaction,
  kServer,
  kPin
};

Place PlaceOf(const Assignment& assignment) {
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

io::Task<Status> Session::RunGateTask(Statement statement, const plan::Plan& plan) {
  switch (plan.gate) {
    case GateTask::kUse: {
      std::string wanted = plan.use_target.ToString();
      Status used = Use(wanted);
      if (!used) co_return WriteError(statement, used.error());
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
      Error error = Error::FromMysql(1065, "42000", "Query was empty");
      co_return WriteError(statement, error);
    }
    case GateTask::kKill: {
      std::string_view id_text = Trim(plan.outline.name.In(statement.text));
      std::optional<uint64_t> id = ParseUint(id_text);
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
      OwnAnswerInput input{gate_, identity_, target_, warnings_, plan, statement.text};
      std::optional<Result<OwnTable>> own;
      // A pinned connection still has the diagnostics of its last statement itself.
      if (pinned_.id == 0 || !plan.reads_previous) own = OwnAnswer(input);
      if (!own) {  // the server's to answer
        std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
        Status sent = co_await Send(statement, plan, text, "");
        co_return sent;
      }
      if (!*own) co_return WriteError(statement, own->error());
      StartAnswer(statement, "");
      statement.sink->WriteTable(**own);
      co_return Status();
    }
    case GateTask::kDatabaseDdl: {
      Error error(Code::kUnimplemented,
                  "databases are keyspaces here: create one with vtctldclient CreateKeyspace, "
                  "remove it with DeleteKeyspace");
      co_return WriteError(statement, error);
    }
    case GateTask::kVitess: {
      Error error(Code::kUnimplemented, fmt::format("{} is not offered by this vtgate",
                                                    sql::KindName(plan.outline.kind)));
      co_return WriteError(statement, error);
    }
    case GateTask::kPrepare:
    case GateTask::kExecute:
    case GateTask::kDeallocate:
    case GateTask::kNone:
      break;
  }
  std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
  std::string begin = pinned_.id == 0 && in_transaction_ ? begin_text_ : std::string();
  Status sent = co_await Send(statement, plan, text, std::move(begin));
  co_return sent;
}

io::Task<Status> Session::SendIfPinned(Statement statement, const plan::Plan& plan) {
  bool savepoint_pending = plan.gate == GateTask::kSavepoint && in_transaction_;
  if (pinned_.id != 0 || savepoint_pending) {
    std::string begin = pinned_.id == 0 ? begin_text_ : std::string();
    std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
    Status sent = co_await Send(statement, plan, text, std::move(begin));
    if (plan.gate == GateTask::kUnlockTables && sent && pins_.size() == 1 &&
        pins_.contains(PinReason::kLockTables) && !in_transaction_) {
      co_await Unpin();
    }
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
  if (in_transaction_ && pinned_.id != 0) {
    // As mysqld does: the transaction under way is committed first, on the same connection.
    Status sent = co_await Send(statement, plan, statement.text, "");
    co_return sent;
  }
  std::string text(plan.outline.statement.In(statement.text));
  begin_read_only_ = plan.outline.Has(sql::kTransactionReadOnly);
  begin_text_ = next_transaction_.empty() ? text : next_transaction_ + "; " + text;
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

io::Task<Status> Session::EndTransaction(Statement statement, const plan::Plan& plan) {
  if (plan.outline.Has(sql::kAndRelease)) closing_ = true;
  if (pinned_.id != 0) {
    Status sent = co_await Send(statement, plan, statement.text, "");
    co_return sent;
  }
  bool chain = plan.outline.Has(sql::kAndChain) && in_transaction_;
  in_transaction_ = chain;
  if (!chain) begin_text_.clear();
  WriteOk(statement);
  co_return Status();
}

io::Task<Status> Session::RunSet(Statement statement, const plan::Plan& plan) {
  SessionSettings changed = settings_;
  ReadAfterWrite own_writes = own_writes_;
  bool mariadb = dialect_.flavor == sql::Flavor::kMariadb;
  bool settings_differ = false, to_server = !plan.set.understood, pin = false;
  std::optional<bool> autocommit;
  std::string next_transaction = next_transaction_;
  for (const Assignment& assignment : plan.set.assignments) {
    switch (PlaceOf(assignment)) {
      case Place::kSettings:
        Apply(assignment, mariadb, changed);
        settings_differ = true;
        break;
      case Place::kAutocommit:
        autocommit = AsSwitch(assignment);
        break;
      case Place::kReadAfterWrite: {
        Status set = own_writes.Set(assignment.name, assignment.constant);
        if (!set) co_return WriteError(statement, set.error());
        break;
      }
      case Place::kIgnored:
        break;
      case Place::kNextTransaction:
        if (in_transaction_) {
          Error error = Error::FromMysql(
              1568, "25001",
              "Transaction characteristics can't be changed while a transaction is in progress");
          co_return WriteError(statement, error);
        }
        next_transaction = plan.outline.statement.In(statement.text);
        break;
      case Place::kServer:
        to_server = true;
        break;
      case Place::kPin:
        pin = true;
        break;
    }
  }
  if (statement.kind != port::StatementKind::kText && !plan.set.assignments.empty() &&
      plan.outline.placeholders > 0) {
    pin = true;  // its values are in the parameters
  }
  if (!pins_.empty() || pin || to_server) {
    plan::Plan sent_plan = plan;
    sent_plan.gate = GateTask::kNone;
    if (pin) sent_plan.pin = PinReason::kUserVariable;
    std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
    std::string begin = pinned_.id == 0 && in_transaction_ ? begin_text_ : std::string();
    Status sent = co_await Send(statement, sent_plan, text, std::move(begin));
    if (!sent || statement.sink->last().is_error()) co_return sent;
  } else if (settings_differ) {
    bool accepted = false;
    Status tried = co_await TrySettings(statement, changed, &accepted);
    if (!tried || !accepted) co_return tried;
  }
  settings_ = changed;
  own_writes_ = std::move(own_writes);
  if (const std::string* mode = settings_.Find("sql_mode")) {
    sql::ApplySqlMode(sql::Unquote(*mode, first_dialect_), dialect_);
  }
  next_transaction_ = next_transaction;
  if (autocommit && *autocommit && !autocommit_ && pinned_.id != 0 && in_transaction_) {
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

namespace {

// Takes an answer that the client shall not see.
class QuietAnswer final : public AnswerSink {
 public:
  void StartStatement(std::string_view, std::string_view, const TerminatorContext&) override {}
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator& end, bool last) override {
    last_ = end;
    ended_ = last;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  void WriteTerminator(const mysql::wire::Terminator& end) override { OnEnd(end, true); }
  void WriteError(const Error& error) override { OnEnd(mysql::wire::TerminatorOf(error), true); }
  void WriteTable(const OwnTable&) override {}
  bool begun() const override { return ended_; }
  bool ended() const override { return ended_; }
  const mysql::wire::Terminator& last() const override { return last_; }

 private:
  mysql::wire::Terminator last_;
  bool ended_ = false;
};

}  // namespace

io::Task<Status> Session::TrySettings(Statement statement, SessionSettings settings,
                                      bool* accepted) {
  plan::Plan anywhere;
  anywhere.target = target_;
  anywhere.route = target_.has_database() ? plan::Route::kShard : plan::Route::kAnyKeyspace;
  anywhere.replica_ok = true;
  QuietAnswer quiet;
  Statement tried = statement;
  tried.text = "DO 0";
  tried.kind = port::StatementKind::kText;
  tried.sink = &quiet;
  std::swap(settings_, settings);
  Status sent = co_await Send(tried, anywhere, tried.text, "");
  std::swap(settings_, settings);
  if (!sent) co_return sent;
  *accepted = !quiet.last().is_error();
  if (*accepted) co_return Status();
  Error refused = mysql::wire::ErrorOf(quiet.last());
  co_return WriteError(statement, refused);
}

}  // namespace paceline::vtgate
