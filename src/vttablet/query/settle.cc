// The second half of QueryServer: where connections go after their statements, and what ends by
// itself.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "io/blocking.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "sql/outline.h"
#include "sql/set.h"
#include "vttablet/query/query_server.h"

namespace paceline::vttablet {

using mysql::wire::Command;
using mysql::wire::Terminator;

namespace {

constexpr Duration kSweepEvery = std::chrono::seconds(1);
constexpr Duration kAfterwards =
    std::chrono::seconds(5);  // for the round trips that follow a statement
constexpr size_t kMaxWarnings = 64;
constexpr size_t kLeftMax = 4096;
constexpr Duration kHeldFor = std::chrono::minutes(10);

// Where it ran in a transaction, that may be committed now.
bool MayBeCommitting(const port::QueryRequest& request, const sql::Dialect& dialect) {
  const sql::Outline outline = sql::Analyze(request.text, dialect);
  switch (outline.kind) {
    case sql::Kind::kCommit:
    case sql::Kind::kBegin:
    case sql::Kind::kXa:
      return true;
    case sql::Kind::kSet: {
      const sql::SetStatement set = sql::ParseSet(request.text, dialect);
      return std::ranges::any_of(
          set.assignments, [](const sql::Assignment& one) { return one.name == "autocommit"; });
    }
    default:
      return outline.ImplicitCommit() || outline.HidesStatements();
  }
}

// Whether the end that came after all is the answer still: whoever killed it came too late, or is
// told mysqld's own error.
bool StillAnswers(const port::QueryRequest& request, const Running& run, const Terminator& last,
                  bool limited_by_transaction) {
  if (run.killed) return false;  // the tablet stops serving, and no longer knows what that is worth
  // Whoever no longer waits would never learn of a connection that is its own from now on.
  const bool pins = !request.begin.empty() || request.reserve || run.saw_transaction;
  if (pins && request.pinned_id == 0) return false;
  if (run.failed) return run.canceled && !run.expired;
  // A transaction whose time is over is rolled back if it is still there.
  return !run.discarded && !(run.expired && limited_by_transaction && last.in_transaction());
}

}  // namespace

Error QueryServer::WhyGivenUp(const Lent& lent, const Running& run,
                              const port::QueryRequest& request) const {
  if (run.killed)
    return Error(Code::kUnavailable, "ended because the tablet stops serving: outcome unknown");
  if (run.canceled) return Error(Code::kCanceled, "canceled by the client");
  const bool withheld = run.ticket != nullptr && run.ticket->withheld;
  const char* note =
      withheld
          ? "; it was being committed, or waits for a semi-sync acknowledgement: outcome unknown"
          : "";
  if (lent.limited_by_transaction) {
    // A commit that waits for an acknowledgement, or for a disk, has not been rolled back.
    const bool commits = withheld || MayBeCommitting(request, dialect_);
    if (commits && !withheld) note = "; it may have been committed: outcome unknown";
    return Error(
        commits ? Code::kDeadlineExceeded : Code::kAborted,
        fmt::format(
            "transaction {}: exceeded timeout: {}s{}", lent.pinned != nullptr ? lent.pinned->id : 0,
            std::chrono::duration_cast<std::chrono::seconds>(options_.transaction_timeout).count(),
            note));
  }
  return Error(Code::kDeadlineExceeded,
               fmt::format("the statement did not end before its deadline{}", note));
}

// Until nothing can hit the connection's next statement any more.
io::Task<Status> QueryServer::AwaitKill(Running& run) {
  run.ticket->over = true;
  Deadline deadline = Deadline::After(loop_.clock(), kAfterwards);
  bool done = co_await run.ticket->done.Wait(deadline);
  if (!done) co_return Fail(Code::kUnavailable, "a KILL QUERY is still on its way");
  if (!run.ticket->sent) co_return Status();
  // A kill that came too late is taken by a statement that does nothing.
  Result<Terminator> taken = co_await run.connection->Run(Command::kQuery, "DO 0", deadline);
  if (!taken) co_return Fail(taken.error());
  co_return Status();
}

io::Task<Result<port::QueryEnd>> QueryServer::Settle(Lent& lent, Running& run,
                                                     const port::QueryRequest& request,
                                                     Status pumped) {
  Connection& connection = *lent.connection;
  const bool was_pinned = lent.pinned != nullptr;
  if (!pumped) {
    const bool in_flight = run.given_up() && pumped.error().code() == Code::kDeadlineExceeded;
    Error error = run.given_up() ? WhyGivenUp(lent, run, request) : pumped.error();
    if (was_pinned) {
      EndPinned(lent.pinned->id, in_flight ? error.message() : "connection to mysqld lost", false);
      lent.pinned = nullptr;
    }
    if (run.ticket != nullptr) run.ticket->over = !in_flight;
    if (in_flight) {
      io::Detach(Outlast(this, std::move(lent.connection), run.ticket));
    } else {
      metrics_.closed_broken.Add();
      // Where mysqld did not close it, it may still run what was sent.
      if (pumped.error().code() != Code::kUnavailable) {
        if (left_.size() >= kLeftMax) left_.pop_front();
        left_.push_back(connection.thread_id());
      }
      pool_.Discard(std::move(lent.connection));
    }
    co_return Fail(std::move(error));
  }

  Terminator last = connection.scanner().terminator();
  const bool answers =
      run.given_up() && StillAnswers(request, run, last, lent.limited_by_transaction);
  Status usable;
  if (run.ticket != nullptr) usable = co_await AwaitKill(run);
  // ERR does not say whether the transaction is still there.
  const bool unsure = run.failed || run.ticket != nullptr;
  if (usable && unsure &&
      (was_pinned || run.saw_transaction || !request.begin.empty() || request.reserve ||
       !(connection.status_flags & mysql::wire::kStatusAutocommit))) {
    Deadline soon = Deadline::After(loop_.clock(), kAfterwards);
    Result<Terminator> ping = co_await connection.Run(Command::kPing, kNoBody, soon);
    if (!ping) usable = Fail(ping.error());
  }
  if (!usable) {
    if (was_pinned) EndPinned(lent.pinned->id, "connection to mysqld lost", false);
    lent.pinned = nullptr;
    metrics_.closed_broken.Add();
    pool_.Discard(std::move(lent.connection));
    if (run.given_up()) {
      if (!answers || last.in_transaction()) co_return Fail(WhyGivenUp(lent, run, request));
      run.asker.OnEnd(last, true);
    }
    // The answer has been given; only what follows it failed.
    co_return port::QueryEnd{0, options_.alias, {}};
  }

  if (answers) {
    run.asker.OnEnd(last, true);
  } else if (run.given_up()) {
    Error error = WhyGivenUp(lent, run, request);
    const bool timed_out = lent.limited_by_transaction && run.expired;
    if (was_pinned && !timed_out && !run.killed) {
      const uint64_t kept = Keep(lent, request);
      if (kept == 0) PutBack(std::move(lent.connection));
    } else {
      if (was_pinned) EndPinned(lent.pinned->id, error.message(), false);
      lent.pinned = nullptr;
      connection.tainted = true;  // a transaction that its session does not know of ends here
      PutBack(std::move(lent.connection));
    }
    co_return Fail(std::move(error));
  }

  port::QueryEnd end{0, options_.alias, {}};
  end.pinned_id = Keep(lent, request);
  if (lent.connection != nullptr) {
    if (last.is_error() || last.warnings > 0) co_await FetchWarnings(connection, &end.warnings);
    PutBack(std::move(lent.connection));
  }
  if (!state_.LeaseHolds(lent.leased, loop_.Now())) {
    // Nobody learns that it is open.
    if (end.pinned_id != 0) EndPinned(end.pinned_id, "the primary's lease ended", true);
    co_return Fail(Code::kUnavailable,
                   "the primary's lease ended while the statement ran: outcome unknown");
  }
  co_return end;
}

// Pins what is in a transaction or reserved and answers its id. Else 0, and the connection is left
// in `lent`.
uint64_t QueryServer::Keep(Lent& lent, const port::QueryRequest& request) {
  Connection& connection = *lent.connection;
  Pinned* pinned = lent.pinned;
  const bool in_transaction = connection.status_flags & mysql::wire::kStatusInTransaction;
  const bool reserved = request.reserve || (pinned != nullptr && pinned->reserved);
  if (!in_transaction && !reserved) {
    if (pinned != nullptr) EndPinned(pinned->id, "transaction committed or rolled back", false);
    lent.pinned = nullptr;
    return 0;
  }
  if (pinned == nullptr) {
    pinned = &pinned_.Add();
    pool_.Move(connection, Connection::Permit::kTransaction);
  }
  if (in_transaction && !pinned->in_transaction) {
    pinned->transaction_began = loop_.Now();
    metrics_.transactions.Add();
  }
  if (!in_transaction) {
    pinned->attempt = 0;
  } else if (pinned->attempt == 0) {
    pinned->attempt = request.attempt;
  }
  pinned->in_transaction = in_transaction;
  pinned->reserved = reserved;
  pinned->used_at = loop_.Now();
  if (!admission_.empty()) {
    if (!pinned->reading) {
      pinned->reading = Reading{dialect_};
      if (request.settings != nullptr) pinned->reading->Follow(request.settings->apply);
    }
    pinned->reading->Follow(request.text);
  }
  pinned->connection = std::move(lent.connection);
  pinned->busy = false;
  const uint64_t id = pinned->id;
  if (pinned->kill_wanted) {
    EndPinned(id, pinned->kill_reason, true);
  } else if (pinned->release_wanted) {
    EndPinned(id, "released", true);
  }
  PublishPinned();
  return id;
}

io::Task<void> QueryServer::FetchWarnings(Connection& connection,
                                          std::vector<port::Warning>* warnings) {
  constexpr size_t kMaxBytes = 256 * 1024;
  Deadline soon = Deadline::After(loop_.clock(), kAfterwards);
  std::string rows;
  std::string show = fmt::format("SHOW WARNINGS LIMIT {}", kMaxWarnings);
  Result<Terminator> shown = co_await connection.Query(show, &rows, kMaxBytes, soon);
  if (!shown) {
    connection.tainted = true;
    connection.Shutdown();
    co_return;
  }
  mysql::wire::PacketWalk walk(rows);
  std::string_view body;
  while (walk.Next(&body)) {
    mysql::wire::Reader row(body);
    port::Warning warning;
    warning.level = row.LenencBytes();
    for (char digit : row.LenencBytes()) {
      warning.code = static_cast<uint16_t>(warning.code * 10 + (digit - '0'));
    }
    warning.message = row.LenencBytes();
    if (row.ok()) warnings->push_back(std::move(warning));
  }
}

AttemptsSight QueryServer::HoldAttempts(const std::vector<uint32_t>& attempts) {
  AttemptsSight sight;
  const Time now = loop_.Now();
  for (uint32_t attempt : attempts) held_[attempt] = now;
  for (uint32_t attempt : attempts) {
    auto runs = [attempt](const Running* run) { return run->attempt == attempt; };
    auto lasts = [attempt](const Connection* one) { return one->attempt == attempt; };
    bool open = !pinned_
                     .Select([attempt](const Pinned& one) {
                       return one.in_transaction && one.attempt == attempt;
                     })
                     .empty();
    sight.runs.push_back(open || std::ranges::any_of(running_, runs) ||
                         std::ranges::any_of(outlasting_, lasts));
  }
  sight.left.assign(left_.begin(), left_.end());
  return sight;
}

io::Task<Result<std::vector<port::AttemptOutcome>>> QueryServer::Resolve(
    record::Target target, std::vector<port::AttemptQuestion> questions, Deadline deadline) {
  using Outcomes = Result<std::vector<port::AttemptOutcome>>;
  struct Answer {
    io::Event given;
    std::optional<Outcomes> outcomes;
  };
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kClusterEvent, "operation not allowed in state SHUTTING_DOWN");
  Status admitted = state_.Check(target, false, loop_.Now());
  if (!admitted) co_return Fail(admitted.error());
  if (state_.type() != record::TabletType::kPrimary)
    co_return Fail(Code::kClusterEvent, "wrong tablet type: attempts are resolved by a primary");
  if (!resolve_) co_return Fail(Code::kUnimplemented, "this tablet keeps no evidence of attempts");
  const uint64_t term = state_.term();
  auto answer = std::make_shared<Answer>();
  std::function<io::Task<Outcomes>()> make = [resolve = resolve_, questions, deadline] {
    return resolve(questions, deadline);
  };
  std::function<void(Outcomes)> done = [home = &loop_, answer](Outcomes outcomes) {
    home->Post([answer, outcomes = std::move(outcomes)]() mutable {
      answer->outcomes = std::move(outcomes);
      answer->given.Set();
    });
  };
  io::StartOn(*resolve_home_, std::move(make), std::move(done));
  [[maybe_unused]] bool in_time = co_await answer->given.Wait(deadline);
  if (!answer->outcomes)
    co_return Fail(Code::kDeadlineExceeded, "attempts were not resolved before the deadline");
  admitted = state_.Check(target, true, loop_.Now());
  if (!admitted) co_return Fail(admitted.error());
  if (term != state_.term()) co_return Fail(Code::kClusterEvent, "the primary's term has ended");
  co_return std::move(*answer->outcomes);
}

void QueryServer::PutBack(ConnectionPtr connection) {
  if (connection->tainted) {
    io::Detach(Recycle(this, std::move(connection)));
  } else {
    pool_.Give(std::move(connection));
  }
}

void QueryServer::GiveBack(Lent& lent, bool good) {
  if (lent.pinned == nullptr) {
    lent.connection->tainted = lent.connection->tainted || !good;
    PutBack(std::move(lent.connection));
    return;
  }
  const uint64_t id = lent.pinned->id;
  lent.pinned->connection = std::move(lent.connection);
  lent.pinned->busy = false;
  if (!good) EndPinned(id, "connection to mysqld lost", true);
  lent.pinned = nullptr;
}

io::Task<void> QueryServer::Recycle(QueryServer* self, ConnectionPtr connection) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) {
    self->pool_.Discard(std::move(connection));
    co_return;
  }
  self->metrics_.resets.Add();
  Deadline deadline = Deadline::After(self->loop_.clock(), kAfterwards);
  Status reset = co_await connection->Reset(deadline);
  if (reset) {
    self->pool_.Give(std::move(connection));
  } else {
    self->metrics_.closed_broken.Add();
    self->pool_.Discard(std::move(connection));
  }
}

// A statement that neither its deadline nor a KILL could end: it waits for an acknowledgement, or
// rolls back long. The connection keeps its permit meanwhile and is closed afterwards.
io::Task<void> QueryServer::Outlast(QueryServer* self, ConnectionPtr connection,
                                    std::shared_ptr<KillTicket> ticket) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (pass) {
    self->outlasting_.push_back(connection.get());
    [[maybe_unused]] Result<Terminator> ended =
        co_await connection->Query(kNoBody, nullptr, 0, Deadline::Never());
    std::erase(self->outlasting_, connection.get());
  }
  ticket->over = true;
  self->metrics_.closed_broken.Add();
  self->pool_.Discard(std::move(connection));
}

// REQUIRES: not busy, or its connection is in the caller's hands.
void QueryServer::EndPinned(uint64_t id, const std::string& reason, bool close) {
  Pinned* pinned = pinned_.Find(id);
  if (pinned == nullptr) return;
  ConnectionPtr connection = std::move(pinned->connection);
  pinned_.End(id, reason, loop_.clock().WallNow());
  PublishPinned();
  running_ended_.Pulse();
  if (connection == nullptr) return;
  if (close) {
    pool_.Discard(std::move(connection));
  } else {
    connection->tainted = true;
    PutBack(std::move(connection));
  }
}

void QueryServer::KillPinned(const std::vector<uint64_t>& ids, const std::string& reason) {
  for (uint64_t id : ids) {
    Pinned* pinned = pinned_.Find(id);
    if (pinned == nullptr) continue;
    metrics_.transactions_killed.Add();
    if (!pinned->busy) {
      // Closed, not reset: mysqld rolls back even when it has no time for us.
      EndPinned(id, reason, true);
      continue;
    }
    pinned->kill_wanted = true;
    pinned->kill_reason = reason;
  }
}

io::Task<bool> QueryServer::Drain(Deadline grace) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return true;
  state_.BeginDrain();
  bool in_time = true;
  while (in_time && (!running_.empty() || pinned_.size() > 0)) {
    // Reservations without a transaction hold nothing that a drain must wait for.
    std::vector<uint64_t> idle =
        pinned_.Select([](const Pinned& one) { return !one.busy && !one.in_transaction; });
    KillPinned(idle, "the tablet stops serving");
    if (running_.empty() && pinned_.size() == 0) break;
    in_time = co_await running_ended_.Wait(grace);
  }
  if (in_time) co_return true;
  std::vector<uint64_t> all = pinned_.Select([](const Pinned&) { return true; });
  KillPinned(all, "the tablet stops serving");
  for (Running* run : running_) GiveUp(*run, &Running::killed);
  Deadline end = Deadline::After(loop_.clock(), options_.kill_grace);
  bool ended = true;
  while (ended && !running_.empty()) ended = co_await running_ended_.Wait(end);
  co_return false;
}

void QueryServer::DropConnections(const std::string& reason) {
  pool_.CloseIdle();
  left_.clear();
  std::vector<uint64_t> all = pinned_.Select([](const Pinned&) { return true; });
  KillPinned(all, reason);
}

io::Task<void> QueryServer::SweepLoop(QueryServer* self) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  for (;;) {
    Deadline next = Deadline::After(self->loop_.clock(), kSweepEvery);
    bool open = co_await io::Sleep(self->gate_, next);
    if (!open) co_return;
    self->Sweep();
  }
}

void QueryServer::Sweep() {
  pool_.Sweep();
  const Time now = loop_.Now();
  std::erase_if(held_, [now](const auto& one) { return now - one.second > kHeldFor; });
  const Duration limit = options_.transaction_timeout;
  std::vector<uint64_t> late = pinned_.Select([&](const Pinned& one) {
    return !one.busy && one.in_transaction && now - one.transaction_began > limit;
  });
  KillPinned(late, fmt::format("exceeded timeout: {}s",
                               std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
  std::vector<uint64_t> idle = pinned_.Select([&](const Pinned& one) {
    return !one.busy && !one.in_transaction && now - one.used_at > options_.reserved_idle_timeout;
  });
  KillPinned(idle, "the reserved connection was idle too long");
}

void QueryServer::PublishPinned() { metrics_.pinned.Set(static_cast<int64_t>(pinned_.size())); }

io::Task<void> QueryServer::Close() {
  closing_ = true;
  health_changed_.Pulse();
  pool_.Close();
  std::vector<uint64_t> all = pinned_.Select([](const Pinned&) { return true; });
  KillPinned(all, "the tablet has shut down");
  // Closing their sockets ends what runs; mysqld rolls back what is not committed.
  for (Running* run : running_) run->connection->Shutdown();
  for (Connection* connection : outlasting_) connection->Shutdown();
  co_await killer_.Close();
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
  pool_.CloseIdle();
}

}  // namespace paceline::vttablet
