#include "vtgate/session.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "mysql/wire/ok_packet.h"
#include "vtgate/answers.h"
#include "vtgate/found_rows.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;
using plan::GateTask;
using plan::PinReason;

Session::Session(GateContext& gate, SessionIdentity identity, sql::Dialect dialect)
    : gate_(gate),
      identity_(std::move(identity)),
      dialect_(dialect),
      first_dialect_(dialect),
      own_writes_(gate.read_after_write, identity_.user) {
  caller_.principal = identity_.principal;
  caller_.user = identity_.user;
  caller_.groups = identity_.groups;
  values_.connection_id = identity_.connection_id;
  values_.user = identity_.user + "@" + identity_.host;
  values_.current_user = identity_.user + "@%";
  NewDiagnostics();
}

// What a new session answers.
void Session::NewDiagnostics() {
  values_.row_count = 0;
  values_.found_rows = dialect_.flavor == sql::Flavor::kMariadb ? 1 : 0;
}

Session::~Session() {
  CHECK_MSG(pinned_.id == 0, "a Session was destroyed while it held a connection");
}

sql::Flavor FlavorOfVersion(std::string_view version) {
  return version.find("MariaDB") != std::string_view::npos ? sql::Flavor::kMariadb
                                                           : sql::Flavor::kMysql;
}

namespace {

// A shard that does not exist is an error at once, not a primary to wait for.
Status CheckShard(const TopologyView& topology, std::string_view keyspace, std::string_view shard) {
  auto found = topology.shards.find(keyspace);
  if (shard.empty() || found == topology.shards.end()) return {};
  const std::vector<std::string>& shards = found->second;
  if (std::find(shards.begin(), shards.end(), shard) != shards.end()) return {};
  return Fail(Error::FromMysql(1049, "42000",
                               fmt::format("Unknown database '{0}:{1}': the shards of {0} are {2}",
                                           keyspace, shard, Join(shards, ", "))));
}

}  // namespace

Status CheckDatabase(const TopologyView& topology, std::string_view text) {
  ASSIGN_OR_RETURN(plan::SessionTarget target, plan::ParseTarget(text));
  bool known = target.keyspace.empty() || vschema::IsSystemSchema(target.keyspace) ||
               topology.vschema->Find(target.keyspace) != nullptr;
  if (!known) {
    return Fail(
        Error::FromMysql(1049, "42000", fmt::format("Unknown database '{}'", target.keyspace)));
  }
  return CheckShard(topology, target.keyspace, target.shard);
}

Status Session::Use(std::string_view text) {
  RETURN_IF_ERROR(CheckDatabase(*gate_.topology, text));
  ASSIGN_OR_RETURN(plan::SessionTarget target, plan::ParseTarget(text));
  if (target.keyspace.empty()) target.keyspace = target_.keyspace;  // "@replica" alone
  target_ = std::move(target);
  return {};
}

void Session::SetCollation(std::string_view charset, std::string_view collation) {
  settings_.SetNames(charset, collation);
  dialect_.bytes = sql::ByteSchemeOf(charset);
  first_settings_ = settings_;
  first_dialect_ = dialect_;
}

void Session::IgnoreSpace() {
  settings_.SetVariable("sql_mode", "CONCAT(@@global.sql_mode, ',IGNORE_SPACE')");
  first_settings_ = settings_;
}

uint16_t Session::StatusFlags() const {
  uint16_t flags = 0;
  if (autocommit_) flags |= mysql::wire::kStatusAutocommit;
  if (in_transaction_) flags |= mysql::wire::kStatusInTransaction;
  if (in_transaction_ && begin_read_only_) flags |= mysql::wire::kStatusInTransactionReadOnly;
  if (dialect_.no_backslash_escapes) flags |= mysql::wire::kStatusNoBackslashEscapes;
  return flags;
}

std::string Session::PinnedBecause() const {
  std::vector<std::string> names;
  if (in_transaction_ && pinned_.id != 0) names.emplace_back("transaction");
  for (PinReason reason : pins_) names.emplace_back(plan::PinReasonName(reason));
  return Join(names, ",");
}

void Session::Recall(uint64_t last_insert_id, uint64_t found_rows, int64_t row_count) {
  values_.last_insert_id = last_insert_id;
  values_.found_rows = found_rows;
  values_.row_count = row_count;
}

void Session::StartAnswer(const Statement& statement, std::string_view keyspace) {
  TerminatorContext context;
  context.autocommit = autocommit_;
  context.in_transaction = in_transaction_ && pinned_.id == 0;
  context.more_statements = statement.more;
  context.rename_rows = rename_rows_;
  context.transaction = explicit_;
  context.tracking = &tracking_;
  context.added_state = told_state_;
  const vschema::KeyspaceEntry* entry = gate_.topology->vschema->Find(keyspace);
  if (entry != nullptr && entry->database != entry->name) {
    statement.sink->StartStatement(entry->database, entry->name, context);
  } else {
    statement.sink->StartStatement("", "", context);
  }
}

void Session::WriteOk(const Statement& statement) {
  StartAnswer(statement, "");
  Terminator ok;
  ok.status_flags = StatusFlags();
  statement.sink->WriteTerminator(ok);
  values_.row_count = 0;
  if (dialect_.flavor == sql::Flavor::kMariadb) return;  // keeps what it had to say before
  values_.warning_count = values_.error_count = 0;
  warnings_.clear();
  own_diagnostics_ = true;
}

void Session::TellState(mysql::wire::SessionStateEntry entry) {
  using mysql::wire::SessionStateType;
  bool tell =
      entry.type == SessionStateType::kSchema ? tracking_.schema : tracking_.Tells(entry.name);
  if (tell) mysql::wire::AppendSessionState(&told_state_, entry);
}

Status Session::WriteError(const Statement& statement, const Error& error) {
  ++gate_.counters.errors;
  if (statement.sink->begun())
    return Fail(error);  // in the middle of a result: nothing else can be said
  statement.sink->WriteError(error);
  warnings_.assign(1, {"Error", error.mysql_errno(), error.message()});
  values_.warning_count = values_.error_count = 1;
  values_.row_count = -1;
  own_diagnostics_ = true;
  return {};
}

io::Task<Status> Session::Query(std::string_view text, AnswerSink& sink) {
  Statement statement;
  statement.sink = &sink;
  statement.deadline = Deadline::In(gate_.query_timeout);
  running_ = text.substr(0, 1024);
  if (!identity_.multi_statements || text.find(';') == std::string_view::npos) {
    statement.text = text;
    Status done = co_await RunOne(statement);
    running_.clear();
    co_return done;
  }
  std::vector<sql::Span> parts = sql::SplitStatements(text, dialect_);
  if (parts.empty()) parts.push_back({0, static_cast<uint32_t>(text.size())});
  Status done;
  for (size_t i = 0; i < parts.size(); ++i) {
    statement.text = parts[i].In(text);
    statement.more = i + 1 < parts.size();
    done = co_await RunOne(statement);
    if (!done || sink.last().is_error() || closing_) break;
  }
  running_.clear();
  co_return done;
}

io::Task<Status> Session::Prepare(std::string_view text, AnswerSink& sink) {
  const Time began = SystemClock().Now();
  const plan::SessionTarget target = target_;
  Status done = co_await PrepareUncounted(text, &sink);
  Count("Prepare", target, began, sink, done);
  co_return done;
}

io::Task<Status> Session::PrepareUncounted(std::string_view text, AnswerSink* sink) {
  Statement statement;
  statement.sink = sink;
  statement.text = text;
  statement.kind = port::StatementKind::kPrepare;
  told_state_.clear();
  rename_rows_ = false;
  statement.deadline = Deadline::In(gate_.query_timeout);
  Result<std::shared_ptr<const plan::Plan>> plan =
      gate_.plans.Get(text, dialect_, target_, gate_.topology->vschema);
  StartAnswer(statement, target_.keyspace);
  if (!plan) co_return WriteError(statement, plan.error());
  if (const std::optional<Error> refused = RefusedSet(**plan))
    co_return WriteError(statement, *refused);
  const bool vitess = (*plan)->gate == GateTask::kVitess || (*plan)->gate == GateTask::kVexplain ||
                      (*plan)->outline.show >= sql::Show::kVitessTablets;
  if (vitess) {
    sink->OnPrepared(0, "", 0, "", 0);  // answered here when it is executed
    co_return Status();
  }
  // All else is prepared on a tablet, what the gate will do by itself too: the server knows which
  // statements can be prepared, and what columns they have.
  std::string_view rendered = plan::Render(text, **plan, values_, buffer_);
  Status sent = co_await Send(statement, **plan, rendered, "");
  co_return sent;
}

io::Task<Status> Session::Execute(const PreparedStatement& prepared, std::string_view parameters,
                                  AnswerSink& sink) {
  Statement statement;
  statement.sink = &sink;
  statement.text = prepared.text;
  statement.parameters = parameters;
  statement.kind = port::StatementKind::kExecute;
  statement.deadline = Deadline::In(gate_.query_timeout);
  running_ = std::string_view(prepared.text).substr(0, 1024);
  Status done = co_await RunOne(statement);
  running_.clear();
  co_return done;
}

Error Session::SecondStatement(std::string_view text) const {
  std::vector<sql::Span> parts = sql::SplitStatements(text, dialect_);
  std::string_view rest = parts.size() > 1 ? text.substr(parts[1].offset) : text;
  long line = 1 + std::count(text.begin(), text.end() - static_cast<long>(rest.size()), '\n');
  const char* server = dialect_.flavor == sql::Flavor::kMariadb ? "MariaDB" : "MySQL";
  return Error::FromMysql(
      1064, "42000",
      fmt::format("You have an error in your SQL syntax; check the manual that corresponds to your "
                  "{} server version for the right syntax to use near '{}' at line {}",
                  server, rest.substr(0, 80), line));
}

io::Task<Status> Session::RunOne(Statement statement) {
  const Time began = SystemClock().Now();
  const plan::SessionTarget target = target_;  // of before: USE may change it
  Status done = co_await RunUncounted(statement);
  Count("Execute", target, began, *statement.sink, done);
  co_return done;
}

void Session::Count(std::string_view operation, const plan::SessionTarget& target, Time began,
                    const AnswerSink& sink, const Status& done) {
  const Terminator& last = sink.last();
  QueryProbe::Statement counted;
  counted.operation = operation;
  counted.target = &target;
  counted.took = SystemClock().Now() - began;
  std::optional<Error> error;
  if (!done) {
    error = done.error();
  } else if (last.is_error()) {
    error = mysql::wire::ErrorOf(last);
  } else if (last.kind == Terminator::Kind::kOk) {
    counted.rows_affected = static_cast<int64_t>(last.affected_rows);
  } else {
    counted.rows_returned = static_cast<int64_t>(last.row_count);
  }
  if (error) counted.error = &*error;
  gate_.probe.Count(counted);
}

io::Task<Status> Session::RunUncounted(Statement statement) {
  ++gate_.counters.queries;
  told_state_.clear();
  rename_rows_ = false;
  Result<std::shared_ptr<const plan::Plan>> plan =
      gate_.plans.Get(statement.text, dialect_, target_, gate_.topology->vschema);
  StartAnswer(statement, target_.keyspace);
  if (!plan) co_return WriteError(statement, plan.error());
  std::shared_ptr<const plan::Plan> held = std::move(*plan);
  gate_.probe.CountPlan(*held);
  rename_rows_ = held->rows_name_databases;
  NoteExplicit(*held);
  bool multiple = held->outline.Has(sql::kMultiple) &&
                  sql::SplitStatements(statement.text, dialect_).size() > 1;
  if (multiple && statement.kind == port::StatementKind::kText) {
    // A client without CLIENT_MULTI_STATEMENTS; the tablets' connections would run them all.
    co_return WriteError(statement, SecondStatement(statement.text));
  }
  const bool noted = gate_.statements != nullptr || gate_.query_log != nullptr;
  const Time began = noted ? io::Loop::Current().Now() : Time();
  Status done = co_await RunPlan(statement, *held);
  if (noted && done) NoteStatement(statement, *held, io::Loop::Current().Now() - began);
  reads_insert_ids_ = reads_insert_ids_ || held->outline.Has(sql::kReadsLastInsertId);
  bool settles = done && (!pins_.empty() || held->pin != PinReason::kNone ||
                          (pinned_.id != 0 && WantsProbe(*held)));
  if (settles) done = co_await Settle(statement, *held);
  using Explicit = TerminatorContext::Explicit;
  explicit_ = explicit_ != Explicit::kNone && in_transaction_ ? Explicit::kOpen : Explicit::kNone;
  co_return done;
}

// Before the statement runs: whether it begins a transaction that the client is told of.
void Session::NoteExplicit(const plan::Plan& plan) {
  using Explicit = TerminatorContext::Explicit;
  if (dialect_.flavor == sql::Flavor::kMariadb) return;
  if (plan.gate == GateTask::kBegin && explicit_ == Explicit::kNone) {
    explicit_ = plan.outline.Has(sql::kConsistentSnapshot) ? Explicit::kBeginsWithSnapshot
                                                           : Explicit::kBegins;
  }
}

constexpr uint16_t kSyntaxError = 1064;

io::Task<Status> Session::RunPlan(Statement statement, const plan::Plan& plan) {
  if (plan.gate != GateTask::kNone) {
    Status done = co_await RunGateTask(statement, plan);
    co_return done;
  }
  bool loads_file = plan.outline.kind == sql::Kind::kLoad && plan.outline.Has(sql::kLocalFile);
  if (loads_file && statement.kind == port::StatementKind::kText &&
      statement.parameters.data() == nullptr) {
    Status done = co_await LoadLocal(statement, plan);
    co_return done;
  }
  std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
  std::string begin;
  if (pinned_.id == 0 && in_transaction_ && plan.implicit_commit) {
    // The transaction that no tablet has yet ends with it, unless it is no statement at all.
    in_transaction_ = false;
    std::string begun = std::exchange(begin_text_, {});
    Status ended = co_await Send(statement, plan, text, "");
    const Terminator& last = statement.sink->last();
    if (ended && last.is_error() && last.error_number == kSyntaxError) {
      in_transaction_ = true;
      begin_text_ = std::move(begun);
    }
    co_return ended;
  }
  if (pinned_.id == 0 && !in_transaction_ && autocommit_ && !next_transaction_.empty() &&
      !plan.outline.tables.empty()) {
    // SET TRANSACTION is for this statement alone. The isolation of one that writes by itself makes
    // no difference that others could see, and its loss is told apart by what it begins with.
    std::string once = std::exchange(next_transaction_, {});
    if (plan.replica_ok || Lower(once).find("read only") != std::string::npos)
      begin = std::move(once);
  } else if (!in_transaction_ && !next_transaction_.empty() &&
             (pinned_.id != 0 || PinOf(statement, plan) != PinReason::kNone)) {
    begin = std::exchange(next_transaction_, {});  // the connection keeps it for the session
  }
  if (begin.empty()) begin = BeginFor(plan);
  const std::string next = next_transaction_;
  const bool begins = !begin.empty() && !in_transaction_;
  Status sent = co_await Send(statement, plan, text, std::move(begin));
  const Terminator& last = statement.sink->last();
  if (sent && begins && plan.outline.kind == sql::Kind::kUnknown && last.is_error() &&
      last.error_number == kSyntaxError && pins_.empty()) {
    // No statement at all begins nothing.
    co_await Unpin();
    own_diagnostics_ = true;
    next_transaction_ = next;
  }
  co_return sent;
}

// What the statement is to be sent with, so that it runs in a transaction where it is to.
std::string Session::BeginFor(const plan::Plan& plan) {
  if (pinned_.id != 0) return {};
  if (in_transaction_) return begin_text_;
  const sql::Outline& outline = plan.outline;
  // What names no table may use one all the same. What was prepared by a name would run on the
  // connection that has it.
  const bool hides =
      outline.HidesStatements() && (outline.kind != sql::Kind::kExecute || outline.name.empty());
  const bool begins = !outline.tables.empty() || hides || outline.Has(sql::kQualifiedRoutine);
  if (autocommit_ || plan.implicit_commit || !begins) return {};
  begin_read_only_ = false;
  return BeginText();
}

std::string Session::BeginText() const {
  return next_transaction_.empty() ? "START TRANSACTION"
                                   : next_transaction_ + "; START TRANSACTION";
}

Result<record::Target> Session::TargetOf(const plan::Plan& plan) const {
  record::Target target;
  target.type = plan.target.type;
  target.keyspace = plan.target.keyspace;
  target.shard = plan.target.shard;
  const auto& shards = gate_.topology->shards;
  if (plan.route == plan::Route::kAnyKeyspace || target.keyspace.empty() ||
      vschema::IsSystemSchema(target.keyspace)) {
    if (pinned_.id != 0) return pinned_.target;
    if (shards.empty()) {
      return Fail(Code::kUnavailable,
                  "there is no keyspace yet: create one with vtctldclient CreateKeyspace");
    }
    target.keyspace = shards.begin()->first;
    target.shard.clear();
  }
  auto found = shards.find(target.keyspace);
  if (found == shards.end() || found->second.empty()) {
    return Fail(Code::kUnavailable, "keyspace {} has no serving shard yet", target.keyspace);
  }
  RETURN_IF_ERROR(CheckShard(*gate_.topology, target.keyspace, target.shard));
  if (!target.shard.empty()) return target;
  if (found->second.size() > 1) {
    return Fail(Code::kUnimplemented,
                "keyspace {} has {} shards; name one in the target, for example USE `{}:{}`",
                target.keyspace, found->second.size(), target.keyspace, found->second.front());
  }
  target.shard = found->second.front();
  return target;
}

// A connection of the session's own runs its transactions by itself.
port::SettingsPtr Session::ReservedSettings() const {
  SessionSettings settings = settings_;
  settings.SetVariable("autocommit", "0");
  return settings.Current();
}

void Session::TakeUp(const Terminator& end, const plan::Plan& plan, port::QueryEnd&& query_end,
                     bool had_transaction) {
  if (pinned_.id == 0) {
    // A transaction that no tablet has yet is not ended by what ran beside it.
    if (had_transaction) in_transaction_ = false;
    if (had_transaction) begin_text_.clear();
  } else if (!end.is_error()) {
    in_transaction_ = end.in_transaction();
    begin_text_.clear();
  } else {
    // An ERR packet has no flags: without a reservation the tablet keeps only connections in a
    // transaction.
    in_transaction_ = pins_.empty() || in_transaction_;
    begin_text_.clear();
  }
  if (in_transaction_) next_transaction_.clear();
  if (in_transaction_ && pinned_.id != 0 && !end.is_error())
    begin_read_only_ = end.status_flags & mysql::wire::kStatusInTransactionReadOnly;
  if (own_writes_.on()) own_writes_.Wrote(end.gtid);
  insert_id_before_ = values_.last_insert_id;
  if (!end.is_error()) {
    std::optional<uint64_t> found = FoundRowsAfter(plan, end, dialect_.flavor);
    if (found) values_.found_rows = *found;
    if (plan.reads_previous && end.kind == Terminator::Kind::kEof) values_.row_count = -1;
    if (plan.reads_previous) return;
  }
  if (end.is_error()) {
    ++gate_.counters.errors;
    values_.row_count = -1;
    values_.error_count = 1;
    own_diagnostics_ = pinned_.id == 0;
    TakeWarnings(std::move(query_end.warnings), plan);
    if (warnings_.empty()) warnings_.push_back({"Error", end.error_number, end.message});
    values_.warning_count = warnings_.size();
    return;
  }
  if (end.kind == Terminator::Kind::kOk) {
    values_.row_count = static_cast<int64_t>(end.affected_rows);
    if (end.last_insert_id != 0) values_.last_insert_id = end.last_insert_id;
  } else {
    values_.row_count = -1;
    if (end.last_insert_id != 0) values_.last_insert_id = end.last_insert_id;
  }
  // MariaDB forgets its diagnostics only for statements that use tables, as most of SHOW do.
  const bool uses_tables =
      !plan.outline.tables.empty() ||
      (plan.outline.kind == sql::Kind::kShow && plan.outline.show != sql::Show::kCreateDatabase);
  const bool keeps = dialect_.flavor == sql::Flavor::kMariadb && !uses_tables && end.warnings == 0;
  if (keeps) return;
  values_.warning_count = end.warnings;
  values_.error_count = 0;
  own_diagnostics_ = pinned_.id == 0;
  TakeWarnings(std::move(query_end.warnings), plan);
}

// With the names that the client knows.
void Session::TakeWarnings(std::vector<port::Warning> warnings, const plan::Plan& plan) {
  warnings_ = std::move(warnings);
  const std::string& keyspace = pinned_.id != 0 ? pinned_.target.keyspace : plan.target.keyspace;
  const vschema::KeyspaceEntry* entry = gate_.topology->vschema->Find(keyspace);
  if (entry == nullptr) return;
  for (port::Warning& warning : warnings_)
    warning.message = plan::ToClientNames(warning.message, entry->database, entry->name);
}

io::Task<void> Session::Unpin() {
  Pinned pinned = std::exchange(pinned_, {});
  transcript_.reset();
  in_transaction_ = false;
  begin_text_.clear();
  pins_.clear();
  ledger_.Clear();
  if (pinned.id == 0) co_return;
  Status released =
      co_await pinned.on.service->Release(pinned.target, pinned.id, Deadline::In(10s));
  if (!released) {
    LOG_WARNING("releasing a connection of {} on {}: {}", identity_.user,
                pinned.on.alias.ToString(), released.error().ToString());
  }
}

io::Task<Status> Session::Reset() {
  co_await Unpin();
  settings_ = first_settings_;
  dialect_ = first_dialect_;
  own_writes_.Forget(gate_.read_after_write, identity_.user);
  tracking_ = TrackingOf(settings_);
  autocommit_ = true;
  next_transaction_.clear();
  warnings_.clear();
  uint64_t id = values_.connection_id;
  std::string user = values_.user, account = values_.current_user;
  values_ = plan::SessionValues();
  values_.current_user = std::move(account);
  values_.connection_id = id;
  values_.user = std::move(user);
  NewDiagnostics();
  co_return Status();
}

io::Task<void> Session::Close() {
  closing_ = true;
  co_await Unpin();
}

}  // namespace paceline::vtgate
