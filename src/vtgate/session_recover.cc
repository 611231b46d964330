// After a loss: settling what was in flight by evidence, and bringing open transactions to the next
// primary.
#include "base/log.h"
#include "vtgate/answer_digest.h"
#include "vtgate/session_send.h"

namespace paceline::vtgate {
namespace {

// A refusal ends nothing: a primary whose lease has lapsed keeps what is open, with all its locks,
// and may serve again. A tablet that has gone is not waited for.
io::Task<void> LetGo(port::QueryServicePtr service, record::Target target, uint64_t id) {
  Status released = co_await service->Release(target, id, Deadline::In(10s));
  if (!released) LOG_DEBUG("letting go of a lost transaction: {}", released.error().ToString());
}

}  // namespace

void Session::LoseConnection(const Loss& loss, Remedy remedy) {
  if (!loss.ConnectionGone()) return;
  if (pinned_.id != 0) io::Detach(LetGo(pinned_.on.service, pinned_.target, pinned_.id));
  pinned_ = {};
  pins_.clear();
  if (remedy == Remedy::kReplay || remedy == Remedy::kResolve) return;
  if (loss.in_transaction) {
    in_transaction_ = false;
    begin_text_.clear();
  }
  transcript_.reset();
}

io::Task<Remedy> Session::Recover(Run* run, Loss loss) {
  FailoverMetrics& metrics = *gate_.metrics;
  Remedy remedy = RemedyFor(loss);
  if (transcript_ != nullptr) run->why_not_replayed = transcript_->why_not();
  LoseConnection(loss, remedy);
  // What may have to be replayed goes first from the start: others' writes would take its ids.
  if (loss.in_transaction && loss.can_replay)
    gate_.gateway->BeginReplay(run->request.target, &run->place);
  if (remedy == Remedy::kResolve) {
    run->outcome = co_await ResolveAttempt(run);
    remedy = RemedyAfter(loss, run->outcome.fate);
    if (run->outcome.fate == WriteFate::kCommitted) metrics.resolved_committed.Add();
    if (run->outcome.fate == WriteFate::kNotCommitted) metrics.resolved_not_committed.Add();
    if (remedy == Remedy::kAgain) metrics.run_again.Add();
    if (!run->outcome.why.empty()) {
      LOG_WARNING("the fate of a write of {} on {} is not known: {}", identity_.user,
                  run->on.alias.ToString(), run->outcome.why);
    }
    if (remedy == Remedy::kDone && run->plan.outline.Has(sql::kAndChain) && transcript_) {
      begin_text_ = transcript_->begin();
    }
  }
  if (remedy != Remedy::kReplay) {
    run->place.EndReplay();
  } else {
    Status replayed = co_await Replay(run);
    run->place.EndReplay();
    if (replayed) co_return Remedy::kAgain;
    run->why_not_replayed = replayed.error().message();
    remedy = Remedy::kRolledBack;
  }
  if (remedy == Remedy::kAgain) co_return remedy;
  // Whatever else: the transaction is over.
  if (loss.in_transaction && remedy != Remedy::kTell) {
    std::string begin = std::move(begin_text_);
    co_await Unpin();
    begin_text_ = std::move(begin);
    if (remedy != Remedy::kDone) begin_text_.clear();
  }
  co_return remedy;
}

namespace {

// The same words as in vttablet/query/marking.cc: these never begin with CALL.
bool CallsNoProcedure(const sql::Outline& outline) {
  switch (outline.kind) {
    case sql::Kind::kInsert:
    case sql::Kind::kReplace:
    case sql::Kind::kUpdate:
    case sql::Kind::kDelete:
    case sql::Kind::kDdl:
      return true;
    default:
      return false;
  }
}

}  // namespace

io::Task<port::AttemptOutcome> Session::ResolveAttempt(Run* run) {
  const bool of_transaction = run->request.pinned_id != 0 && in_transaction_;
  const Attempt& attempt =
      of_transaction && transcript_ != nullptr ? transcript_->attempt() : run->attempt;
  Deadline until = Deadline::In(gate_.failover.resolve_max).EarlierOf(run->statement.deadline);
  port::AttemptOutcome outcome;
  bool refused = false;
  for (;;) {
    if (run->cancel.requested()) {
      outcome.why = "the client did not wait for it";
      co_return outcome;
    }
    std::optional<Chosen> picked = gate_.gateway->Pick(run->request.target, run->place);
    if (!picked || refused) {
      refused = refused && picked.has_value();
      Status waited =
          co_await gate_.gateway->Wait(run->request.target, refused, &run->place, until);
      if (!waited) {
        outcome.why = waited.error().message();
        co_return outcome;
      }
      refused = false;
      continue;
    }
    std::vector<port::AttemptQuestion> questions;
    questions.push_back(attempt.Question());
    questions.back().procedure = of_transaction
                                     ? transcript_ == nullptr || !transcript_->why_not().empty() ||
                                           run->plan.outline.HidesStatements()
                                     : !CallsNoProcedure(run->plan.outline);
    Result<std::vector<port::AttemptOutcome>> outcomes =
        co_await picked->service->Resolve(run->request.target, std::move(questions), until);
    if (outcomes && outcomes->size() == 1) co_return std::move(outcomes->front());
    if (outcomes) {
      outcome.why = "the tablet did not answer what it was asked";
      co_return outcome;
    }
    const Code code = outcomes.error().code();
    if (code != Code::kClusterEvent && code != Code::kUnavailable) {
      outcome.why = outcomes.error().message();
      co_return outcome;
    }
    refused = true;
  }
}

io::Task<Status> Session::Replay(Run* run) {
  if (!run->begin.empty() || transcript_ == nullptr)
    co_return Status();  // it begins again by itself
  bool refused = false;
  for (;;) {
    std::optional<Chosen> picked = gate_.gateway->Pick(run->request.target, run->place);
    if (!picked || refused) {
      refused = refused && picked.has_value();
      Status waited = co_await gate_.gateway->Wait(run->request.target, refused, &run->place,
                                                   run->statement.deadline);
      if (!waited) co_return waited;
      refused = false;
      continue;
    }
    Attempt attempt{gate_.failover.resolve ? gate_.attempts.Next() : 0, picked->alias,
                    picked->primary};
    Status done = co_await ReplayOn(run, *picked, attempt);
    if (done) {
      gate_.metrics->replayed.Add();
      co_return done;
    }
    const Code code = done.error().code();
    const bool lost =
        code == Code::kClusterEvent || code == Code::kUnavailable || code == Code::kAborted;
    if (!lost) {
      co_await Unpin();
      co_return done;
    }
    if (pinned_.id != 0) io::Detach(LetGo(pinned_.on.service, pinned_.target, pinned_.id));
    pinned_ = {};
    refused = true;
  }
}

io::Task<Status> Session::ReplayOn(Run* run, Chosen on, Attempt attempt) {
  const Transcript& transcript = *transcript_;
  port::QueryRequest request;
  request.target = run->request.target;
  request.caller = caller_;
  request.found_rows = identity_.found_rows;
  request.cancel = &run->cancel;
  request.begin = transcript.begin();
  request.attempt = attempt.number;
  size_t next = 0;
  bool insert_id_set = false;
  std::string set_insert_id;
  do {
    // One that is to give the same AUTO_INCREMENT value again is told so first. A transaction in
    // which nothing was run yet still begins.
    const Transcript::Entry* entry =
        next < transcript.entries().size() ? &transcript.entries()[next] : nullptr;
    const bool prelude = entry == nullptr || (entry->insert_id != 0 && !insert_id_set);
    request.kind = prelude ? port::StatementKind::kText : entry->kind;
    request.parameters = prelude ? std::string_view() : std::string_view(entry->parameters);
    request.settings = entry != nullptr ? entry->settings : settings_.Current();
    if (entry == nullptr) {
      request.text = "DO 0";
    } else if (prelude) {
      set_insert_id = fmt::format("SET insert_id = {}", entry->insert_id);
      request.text = set_insert_id;
    } else {
      request.text = entry->text;
    }
    AnswerDigest digest(nullptr);
    Result<port::QueryEnd> end =
        co_await on.service->Execute(request, digest, run->statement.deadline);
    if (!end) co_return Fail(end.error());
    if (end->pinned_id != 0) pinned_ = {end->pinned_id, on, request.target};
    const bool same = prelude ? !digest.failed() : digest.Value() == entry->digest;
    if (!same || end->pinned_id == 0) {
      if (end->pinned_id == 0) pinned_ = {};
      gate_.metrics->replay_differed.Add();
      co_return Fail(Code::kFailedPrecondition, "its statement {} gave another result than before",
                     next + 1);
    }
    request.pinned_id = pinned_.id;
    request.begin = {};
    request.attempt = 0;
    insert_id_set = prelude;
    if (!prelude) ++next;
    if (entry == nullptr) break;
  } while (next < transcript.entries().size());
  transcript_->MovedTo(std::move(attempt));
  co_return Status();
}

}  // namespace paceline::vtgate
