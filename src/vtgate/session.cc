#include "vtgate/session.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "mysql/wire/ok_packet.h"
#include "vtgate/answers.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;
using plan::GateTask;
using plan::PinReason;

Session::Session(GateContext& gate, SessionIdentity identity, sql::Dialect dialect)
    : gate_(gate),
      identity_(std::move(identity)),
      dialect_(dialect),
      first_dialect_(dialect),
      own_writes_(gate.read_after_write) {
  caller_.principal = identity_.principal;
  caller_.user = identity_.user;
  caller_.groups = identity_.groups;
  values_.connection_id = identity_.connection_id;
  values_.user = identity_.user + "@" + identity_.host;
}

Session::~Session() {
  CHECK_MSG(pinned_.id == 0, "a Session was destroyed while it held a connection");
}

sql::Flavor FlavorOfVersion(std::string_view version) {
  return version.find("MariaDB") != std::string_view::npos ? sql::Flavor::kMariadb
                                                           : sql::Flavor::kMysql;
}

Status CheckDatabase(const TopologyView& topology, std::string_view text) {
  ASSIGN_OR_RETURN(plan::SessionTarget target, plan::ParseTarget(text));
  bool known = target.keyspace.empty() || vschema::IsSystemSchema(target.keyspace) ||
               topology.vschema->Find(target.keyspace) != nullptr;
  if (known) return {};
  return Fail(
      Error::FromMysql(1049, "42000", fmt::format("Unknown database '{}'", target.keyspace)));
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

uint16_t Session::StatusFlags() const {
  return static_cast<uint16_t>((autocommit_ ? mysql::wire::kStatusAutocommit : 0) |
                               (in_transaction_ ? mysql::wire::kStatusInTransaction : 0));
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
  TerminatorContext context{autocommit_, in_transaction_ && pinned_.id == 0, statement.more};
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
}

Status Session::WriteError(const Statement& statement, const Error& error) {
  ++gate_.counters.errors;
  if (statement.sink->begun())
    return Fail(error);  // in the middle of a result: nothing else can be said
  statement.sink->WriteError(error);
  warnings_.assign(1, {"Error", error.mysql_errno(), error.message()});
  values_.warning_count = values_.error_count = 1;
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
  for (size_t i = 0; i < parts.size(); ++i) {
    statement.text = parts[i].In(text);
    statement.more = i + 1 < parts.size();
    Status done = co_await RunOne(statement);
    if (!done) co_return done;
    if (sink.last().is_error() || closing_) break;
  }
  running_.clear();
  co_return Status();
}

io::Task<Status> Session::Prepare(std::string_view text, AnswerSink& sink) {
  Statement statement;
  statement.sink = &sink;
  statement.text = text;
  statement.kind = port::StatementKind::kPrepare;
  statement.deadline = Deadline::In(gate_.query_timeout);
  Result<std::shared_ptr<const plan::Plan>> plan =
      gate_.plans.Get(text, dialect_, target_, gate_.topology->vschema);
  StartAnswer(statement, target_.keyspace);
  if (!plan) co_return WriteError(statement, plan.error());
  bool own = (*plan)->gate != GateTask::kNone && (*plan)->gate != GateTask::kPrepare &&
             (*plan)->gate != GateTask::kExecute && (*plan)->gate != GateTask::kDeallocate;
  if (own && (*plan)->gate != GateTask::kSet && (*plan)->gate != GateTask::kShow) {
    sink.OnPrepared(0, "", 0, "", 0);  // answered here when it is executed
    co_return Status();
  }
  if (own && (*plan)->route == plan::Route::kGate) {
    sink.OnPrepared((*plan)->outline.placeholders, "", 0, "", 0);
    co_return Status();
  }
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

io::Task<Status> Session::RunOne(Statement statement) {
  ++gate_.counters.queries;
  Result<std::shared_ptr<const plan::Plan>> plan =
      gate_.plans.Get(statement.text, dialect_, target_, gate_.topology->vschema);
  StartAnswer(statement, target_.keyspace);
  if (!plan) co_return WriteError(statement, plan.error());
  std::shared_ptr<const plan::Plan> held = std::move(*plan);
  if (held->outline.Has(sql::kMultiple) && statement.kind == port::StatementKind::kText) {
    // A client without CLIENT_MULTI_STATEMENTS; the tablets' connections would run them all.
    size_t end = statement.text.find(';');
    Error error = Error::FromMysql(1064, "42000",
                                   fmt::format("You have an error in your SQL syntax; check the "
                                               "manual that corresponds to your server version "
                                               "for the right syntax to use near '{}' at line 1",
                                               Trim(statement.text.substr(end + 1)).substr(0, 80)));
    co_return WriteError(statement, error);
  }
  Status done = co_await RunPlan(statement, *held);
  co_return done;
}

io::Task<Status> Session::RunPlan(Statement statement, const plan::Plan& plan) {
  if (plan.gate != GateTask::kNone) {
    Status done = co_await RunGateTask(statement, plan);
    co_return done;
  }
  std::string_view text = plan::Render(statement.text, plan, values_, buffer_);
  std::string begin;
  if (pinned_.id == 0) {
    if (in_transaction_) {
      begin = begin_text_;
    } else if (!autocommit_ && !plan.implicit_commit && !plan.outline.tables.empty()) {
      begin = BeginText();
    }
  }
  Status sent = co_await Send(statement, plan, text, std::move(begin));
  co_return sent;
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
  if (!target.shard.empty()) return target;
  auto found = shards.find(target.keyspace);
  if (found == shards.end() || found->second.empty()) {
    return Fail(Code::kUnavailable, "keyspace {} has no serving shard yet", target.keyspace);
  }
  if (found->second.size() > 1) {
    return Fail(Code::kUnimplemented,
                "keyspace {} has {} shards; name one in the target, for example USE `{}:{}`",
                target.keyspace, found->second.size(), target.keyspace, found->second.front());
  }
  target.shard = found->second.front();
  return target;
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
  if (own_writes_.on()) own_writes_.Wrote(end.gtid);
  if (plan.reads_previous) return;
  if (end.is_error()) {
    ++gate_.counters.errors;
    values_.row_count = -1;
    values_.warning_count = values_.error_count = 1;
    warnings_.assign(1, {"Error", end.error_number, end.message});
    return;
  }
  if (end.kind == Terminator::Kind::kOk) {
    values_.row_count = static_cast<int64_t>(end.affected_rows);
    if (end.last_insert_id != 0) values_.last_insert_id = end.last_insert_id;
  } else {
    values_.row_count = -1;
    values_.found_rows = end.row_count;
    if (end.last_insert_id != 0) values_.last_insert_id = end.last_insert_id;
  }
  values_.warning_count = end.warnings;
  values_.error_count = 0;
  warnings_ = std::move(query_end.warnings);
}

io::Task<void> Session::Unpin() {
  Pinned pinned = std::exchange(pinned_, {});
  transcript_.reset();
  in_transaction_ = false;
  begin_text_.clear();
  pins_.clear();
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
  own_writes_.Forget(gate_.read_after_write);
  autocommit_ = true;
  next_transaction_.clear();
  warnings_.clear();
  uint64_t id = values_.connection_id;
  std::string user = values_.user;
  values_ = plan::SessionValues();
  values_.connection_id = id;
  values_.user = std::move(user);
  co_return Status();
}

io::Task<void> Session::Close() {
  closing_ = true;
  co_await Unpin();
}

}  // namespace paceline::vtgate
