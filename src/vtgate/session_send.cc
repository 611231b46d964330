// A statement's way to a tablet: which one, what it is marked with, and what its answer or its loss
// does to the session.
#include "vtgate/session_send.h"

#include "mysql/wire/ok_packet.h"
#include "vtgate/answer_digest.h"
#include "vtgate/rebuild.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;
using plan::GateTask;
using plan::PinReason;
using port::StatementKind;

void Session::KillQuery() {
  if (run_ == nullptr) return;
  run_->cancel.Request();
  run_->place.Interrupt();
}

io::Task<Status> Session::Send(Statement statement, const plan::Plan& plan, std::string_view text,
                               std::string begin) {
  Result<record::Target> target = TargetOf(plan);
  if (!target) co_return WriteError(statement, target.error());
  if (pinned_.id != 0 && pinned_.target != *target) {
    Error error(Code::kFailedPrecondition,
                fmt::format("this session holds a connection to {} ({}); end it before using {}",
                            pinned_.target.ToString(), PinnedBecause(), target->ToString()));
    co_return WriteError(statement, error);
  }
  Run run(statement, plan);
  run.begin = std::move(begin);
  run.request.target = std::move(*target);
  run.request.caller = caller_;
  run.request.found_rows = identity_.found_rows;
  run.request.kind = statement.kind;
  run.request.text = text;
  run.request.parameters = statement.parameters;
  const PinReason pin = PinOf(statement, plan);
  run.request.reserve = pins_.empty() && pin != PinReason::kNone;
  run.request.cancel = &run.cancel;
  const bool reads_replica = ReadsReplica(statement, run);
  if (reads_replica) run.request.target.type = record::TabletType::kReplica;
  run_ = &run;
  StartAnswer(statement, run.request.target.keyspace);
  Status outcome;
  for (;;) {
    if (pinned_.id != 0) {
      run.on = pinned_.on;
    } else {
      std::optional<Chosen> picked = gate_.gateway->Pick(run.request.target, run.place);
      if (reads_replica && run.request.target.type == record::TabletType::kReplica &&
          (!picked || run.refused)) {
        run.refused = false;
        run.request.target.type = record::TabletType::kPrimary;
        continue;
      }
      if (!picked || run.refused) {
        const bool refused = std::exchange(run.refused, false) && picked.has_value();
        Status waited = co_await gate_.gateway->Wait(run.request.target, refused, &run.place,
                                                     statement.deadline);
        if (!waited) {
          outcome = WriteError(statement, waited.error());
          break;
        }
        continue;
      }
      run.on = std::move(*picked);
      if (run.request.target.type != record::TabletType::kPrimary &&
          own_writes_.MustAsk(run.on.alias)) {
        Status there = co_await AwaitOwnWrites(&run);
        if (!there) {
          outcome = WriteError(statement, there.error());
          break;
        }
        if (run.refused || run.request.target.type == record::TabletType::kPrimary) continue;
      }
    }
    StartTry(run);
    std::optional<AnswerDigest> digest;
    if (Records(run)) digest.emplace(statement.sink);
    port::ResultSink* sink = statement.sink;
    if (digest) sink = &*digest;
    Result<port::QueryEnd> end =
        co_await run.on.service->Execute(run.request, *sink, statement.deadline);
    if (end) [[likely]] {
      const bool had_transaction = run.request.pinned_id != 0 || !run.begin.empty();
      if (end->pinned_id != 0) {
        pinned_ = {end->pinned_id, run.on, run.request.target};
        if (pin != PinReason::kNone) pins_.insert(pin);
      } else if (had_transaction || pinned_.id != 0) {
        pinned_ = {};
        pins_.clear();
      }
      const bool prepared =
          statement.kind == StatementKind::kPrepare && !statement.sink->last().is_error();
      if (prepared) {
        // Which alone changes no answer of LAST_INSERT_ID() and its like.
        // MariaDB keeps its diagnostics where a statement uses no tables.
        const bool keeps = dialect_.flavor == sql::Flavor::kMariadb && end->warnings.empty() &&
                           plan.outline.tables.empty() && plan.outline.kind != sql::Kind::kShow;
        if (!plan.reads_previous && !keeps) {
          warnings_ = std::move(end->warnings);
          values_.warning_count = warnings_.size();
          values_.error_count = 0;
        }
      } else {
        TakeUp(statement.sink->last(), plan, std::move(*end), had_transaction);
      }
      if (pinned_.id != 0 || transcript_ != nullptr) Remember(run, digest ? &*digest : nullptr);
      break;
    }
    run.error = end.error();
    Loss loss = LossOf(run);
    Remedy remedy = co_await Recover(&run, loss);
    if (remedy == Remedy::kAgain) {
      ++gate_.counters.retries;
      run.refused = pinned_.id == 0;
      continue;
    }
    outcome = Tell(run, loss, remedy);
    break;
  }
  run_ = nullptr;
  co_return outcome;
}

void Session::StartTry(Run& run) {
  port::QueryRequest& request = run.request;
  request.pinned_id = pinned_.id;
  request.begin = run.begin;
  request.settings = pins_.empty() ? settings_.Current() : nullptr;
  if (request.reserve && !autocommit_) request.settings = ReservedSettings();
  request.attempt = 0;
  if (run.statement.kind == StatementKind::kPrepare || !gate_.failover.resolve) return;
  if (request.target.type != record::TabletType::kPrimary) return;
  bool marked = false;
  if (!run.begin.empty()) {
    marked = !begin_read_only_;
  } else if (pinned_.id == 0 || !in_transaction_) {
    // In a transaction all is marked by its beginning. One that another's end begins on the same
    // connection (COMMIT AND CHAIN) keeps no mark of its own, so its fate cannot be asked.
    marked = MayWrite(run.plan);
  }
  if (!marked) return;
  request.attempt = gate_.attempts.Next();
  run.attempt = {request.attempt, run.on.alias, run.on.primary};
}

bool Session::Records(const Run& run) const {
  if (run.statement.kind == StatementKind::kPrepare || !gate_.failover.replay) return false;
  if (!pins_.empty() || (run.begin.empty() && !in_transaction_)) return false;
  if (run.begin.empty() && pinned_.id == 0) return false;
  return transcript_ == nullptr || transcript_->why_not().empty();
}

void Session::Remember(Run& run, const AnswerDigest* digest) {
  if (!in_transaction_ || pinned_.id == 0) {
    transcript_.reset();
    return;
  }
  if (run.statement.kind == StatementKind::kPrepare && transcript_ != nullptr) return;
  const bool chained = run.plan.outline.Has(sql::kAndChain);
  const bool begins = run.plan.gate == GateTask::kBegin && run.begin.empty();
  if (transcript_ == nullptr || !run.begin.empty() || begins || chained) {
    std::string begin = run.begin;
    if (chained && transcript_ != nullptr) begin = transcript_->begin();
    if (begin.empty()) begin = "START TRANSACTION";
    if (begins) begin = run.request.text;
    if (run.request.attempt == 0) run.attempt = {};
    transcript_ = std::make_unique<Transcript>(std::move(run.attempt), std::move(begin),
                                               gate_.failover, &gate_.transcript_bytes);
  }
  if (begins || chained) return;
  if (MayWrite(run.plan)) transcript_->NoteWrite();
  std::string_view why = WhyNotReplayed(run.plan);
  if (!pins_.empty()) why = "the session holds state that only its connection has";
  if (digest == nullptr && why.empty()) why = "it is not recorded";
  if (!why.empty()) {
    transcript_->GiveUp(why);
    return;
  }
  Transcript::Entry entry;
  entry.kind = run.request.kind;
  entry.text = run.request.text;
  entry.parameters = run.request.parameters;
  entry.settings = run.request.settings;
  entry.digest = digest->Value();
  const sql::Kind kind = run.plan.outline.kind;
  const bool inserts = kind == sql::Kind::kInsert || kind == sql::Kind::kReplace;
  if (inserts && !digest->failed() && !run.plan.outline.Has(sql::kSetsLastInsertId)) {
    entry.insert_id = digest->last_insert_id();
  }
  transcript_->Add(std::move(entry));
}

Loss Session::LossOf(const Run& run) const {
  const plan::Plan& plan = run.plan;
  const FailoverOptions& allowed = gate_.failover;
  const bool prepare = run.statement.kind == StatementKind::kPrepare;
  Loss loss;
  loss.code = run.error.code();
  loss.pinned = run.request.pinned_id != 0;
  loss.reserved = loss.pinned && !pins_.empty();
  loss.in_transaction = (loss.pinned && in_transaction_) || !run.begin.empty();
  loss.timed_out = loss.code == Code::kAborted &&
                   run.error.message().find("exceeded timeout") != std::string::npos;
  loss.commit = !prepare && (plan.gate == GateTask::kCommit || plan.gate == GateTask::kBegin ||
                             run.statement.commits);
  const bool wrote = transcript_ != nullptr && transcript_->may_have_written();
  const bool hides = plan.outline.HidesStatements();
  const bool xa = plan.outline.kind == sql::Kind::kXa;
  loss.ends = loss.commit ? wrote : !prepare && (plan.implicit_commit || hides || xa);
  loss.rollback = plan.gate == GateTask::kRollback;
  loss.may_write =
      !prepare && MayWrite(plan) && run.request.target.type == record::TabletType::kPrimary;
  loss.one_write = !hides && plan.outline.kind != sql::Kind::kTableCare;
  loss.begun = run.statement.sink->begun();
  const bool of_transaction = loss.pinned && in_transaction_;
  const uint32_t attempt = of_transaction
                               ? (transcript_ != nullptr ? transcript_->attempt().number : 0)
                               : run.attempt.number;
  loss.can_resolve = allowed.resolve && attempt != 0 && !(xa && loss.in_transaction);
  loss.can_run_again = allowed.run_again;
  loss.can_replay = allowed.replay;
  if (of_transaction) {
    loss.can_replay = loss.can_replay && transcript_ != nullptr && transcript_->why_not().empty();
  }
  return loss;
}

Status Session::Tell(Run& run, const Loss& loss, Remedy remedy) {
  FailoverMetrics& metrics = *gate_.metrics;
  switch (remedy) {
    case Remedy::kDone:
      TellDone(run);
      return {};
    case Remedy::kResult:
      return TellResult(run, loss);
    case Remedy::kRolledBack: {
      if (!run.why_not_replayed.empty()) {
        metrics.replay_refused.Add();
      }
      std::string why = run.why_not_replayed.empty() ? "" : "; not replayed: ";
      return WriteError(
          run.statement,
          Error::FromMysql(1213, "40001",
                           fmt::format("the transaction was rolled back, run it "
                                       "again: {}{}{}",
                                       run.error.message(), why, run.why_not_replayed)));
    }
    case Remedy::kStateLost:
      metrics.state_lost.Add();
      return WriteError(
          run.statement,
          Error(kStateLost, fmt::format("temporary tables, locks, user variables or what else only "
                                        "its connection had is gone, and its open transaction was "
                                        "rolled back; the session begins anew: {}",
                                        run.error.message())));
    case Remedy::kClose:
      ++gate_.counters.errors;
      if (loss.MayHaveRun() && (loss.may_write || loss.ends)) metrics.unknown.Add();
      return Fail(run.error);
    default:
      return WriteError(run.statement, run.error);
  }
}

// COMMIT, ROLLBACK, or BEGIN in a transaction: what they ask for has happened.
void Session::TellDone(Run& run) {
  const plan::Plan& plan = run.plan;
  own_writes_.Wrote(run.outcome.gtid);
  if (plan.gate == GateTask::kBegin) {
    in_transaction_ = true;
    begin_text_ = run.request.text;
  } else if (plan.outline.Has(sql::kAndChain)) {
    in_transaction_ = true;
    if (begin_text_.empty()) begin_text_ = "START TRANSACTION";
  }
  WriteOk(run.statement);
}

Status Session::TellResult(Run& run, const Loss& loss) {
  const Statement& statement = run.statement;
  const bool state_lost = loss.reserved && loss.ConnectionGone();
  std::optional<Terminator> ok;
  if (gate_.failover.rebuild && !state_lost) {
    ok = RebuildOk(run.plan, statement.text, statement.parameters, dialect_, identity_.found_rows,
                   run.outcome);
  }
  if (!ok) {
    gate_.metrics->result_lost.Add();
    return WriteError(
        statement,
        Error(kResultLost,
              fmt::format("the statement was committed{} before its result came, which cannot be "
                          "told exactly; do not run it again{}",
                          run.outcome.gtid.empty() ? "" : " as " + run.outcome.gtid,
                          state_lost ? "; the session's temporary tables, locks and user variables "
                                       "went with its connection"
                                     : "")));
  }
  gate_.metrics->result_rebuilt.Add();
  StartAnswer(statement, run.request.target.keyspace);
  ok->status_flags = StatusFlags();
  statement.sink->WriteTerminator(*ok);
  TakeUp(*ok, run.plan, port::QueryEnd(), false);
  return {};
}

}  // namespace paceline::vtgate
