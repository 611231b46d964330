#include "vttablet/query/query_server.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "mysql/binlog/marker.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/statement.h"

namespace paceline::vttablet {

using mysql::wire::Command;
using mysql::wire::Terminator;
using port::StatementKind;

namespace {

std::string IdBytes(uint32_t id) {
  std::string bytes;
  mysql::wire::PutU32(&bytes, id);
  return bytes;
}

// What a LOAD DATA LOCAL loads, as the packets that mysqld has asked for.
std::string FilePackets(std::string_view content, uint8_t* sequence) {
  constexpr size_t kPiece = 1 << 20;
  std::string packets;
  for (; !content.empty(); content.remove_prefix(std::min(kPiece, content.size())))
    mysql::wire::AppendPacket(&packets, content.substr(0, kPiece), sequence);
  mysql::wire::AppendPacket(&packets, {}, sequence);
  return packets;
}

// MariaDB does not tell of user variables, nor of system variables set with two at signs ("SET
// @@sql_mode = ...", 10.11), so the text has to.
bool MaySetUnseen(std::string_view text) {
  if (text.find('@') == std::string_view::npos) return false;
  auto same = [](char a, char b) { return (a | 0x20) == b; };
  constexpr std::string_view kSet = "set";
  return std::search(text.begin(), text.end(), kSet.begin(), kSet.end(), same) != text.end();
}

// Whether MySQL would run the statement as one that was prepared for these parameters.
bool FitsTypes(PreparedCache::Entry& entry, std::string_view parameters, bool mariadb) {
  return mariadb || mysql::wire::FitParameterTypes(parameters, entry.parameter_count, &entry.types);
}

}  // namespace

QueryServer::QueryServer(io::Loop& loop, QueryServerOptions options)
    : loop_(loop),
      options_(std::move(options)),
      state_(options_.keyspace, options_.shard),
      pool_(loop, options_.pool, metrics_),
      killer_(options_.pool.mysqld, metrics_),
      pinned_(options_.loop_index) {
  loop_.Post([this] { io::Detach(SweepLoop(this)); });
}

QueryServer::~QueryServer() { CHECK_MSG(gate_.count() == 0, "QueryServer destroyed before Close"); }

void QueryServer::Count(const port::QueryRequest& request, const Running& run, bool pumped,
                        Duration took) {
  int64_t rows = 0, changed = 0;
  const bool answered = pumped && !run.failed;
  if (answered) {
    const Terminator& end = run.connection->scanner().terminator();
    rows = static_cast<int64_t>(end.row_count);
    if (end.kind == Terminator::Kind::kOk) changed = static_cast<int64_t>(end.affected_rows);
  }
  probe_.Count(request.text, took, !answered, rows, changed);
}

io::Task<Result<port::QueryEnd>> QueryServer::Execute(const port::QueryRequest& request,
                                                      port::ResultSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kClusterEvent, "operation not allowed in state SHUTTING_DOWN");
  const Time began = loop_.Now();
  sql::ReplicationSets sets;
  Status admitted = Admit(request, began, &sets);
  if (!admitted) {
    metrics_.refused.Add();
    if (!admitted.error().from_mysql()) co_return Fail(admitted.error());
    // As mysqld itself would say it, under its own number.
    sink.OnEnd(mysql::wire::TerminatorOf(admitted.error()), true);
    co_return port::QueryEnd{request.pinned_id, options_.alias, {}};
  }
  if (options_.query_timeout > Duration(0)) {
    deadline = deadline.EarlierOf(Deadline::At(began + options_.query_timeout));
  }
  Lent lent;
  lent.leased = state_.leased();
  const bool transaction = !request.begin.empty() || request.reserve;
  if (request.pinned_id == 0) {
    uint64_t settings_id = request.settings != nullptr ? request.settings->id : 0;
    lent.connection = pool_.TryTake(transaction, request.found_rows, settings_id);
  }
  if (lent.connection == nullptr) {
    Status taken = co_await TakeConnection(lent, request, sink, &sets, deadline);
    if (!taken) {
      metrics_.failed.Add();
      co_return Fail(taken.error());
    }
    // Setting the session up failed with mysqld's own error, which the sink has got.
    if (lent.connection == nullptr) {
      co_return port::QueryEnd{lent.pinned != nullptr ? lent.pinned->id : 0, options_.alias, {}};
    }
  }
  if (request.attempt != 0 && request.pinned_id == 0 && held_.contains(request.attempt)) {
    PutBack(std::move(lent.connection));
    co_return Fail(Code::kClusterEvent, "attempt {:x} was asked about before it began",
                   request.attempt);
  }
  if (!sets.computed.empty()) {
    Status known = co_await AdmitComputed(*lent.connection, request, std::move(sets.computed),
                                          sets.computed_later, deadline);
    if (!known) {
      metrics_.refused.Add();
      const Code why = known.error().code();
      GiveBack(lent, why != Code::kUnavailable && why != Code::kDeadlineExceeded &&
                         why != Code::kCanceled);
      co_return Fail(known.error());
    }
  }
  // What was waited for took long enough for a drain to begin, which knows of this one only from
  // here on.
  Status still = state_.Check(request.target, request.pinned_id != 0, loop_.Now());
  if (!still) {
    metrics_.refused.Add();
    GiveBack(lent, true);
    co_return Fail(still.error());
  }

  Running run(sink, deadline);
  run.connection = lent.connection.get();
  Marking marking;
  if (request.kind != StatementKind::kPrepare) {
    marking = MarkingOf(*run.connection, request, lent.pinned);
    run.attempt = marking.number;
    run.connection->attempt = marking.number;
  }
  if (lent.pinned != nullptr && lent.pinned->in_transaction) {
    Deadline limit = Deadline::At(lent.pinned->transaction_began + options_.transaction_timeout);
    lent.limited_by_transaction = limit < deadline;
    run.limit = deadline.EarlierOf(limit);
  }
  run.index = running_.size();
  running_.push_back(&run);
  metrics_.queries.Add();
  metrics_.running.Set(static_cast<int64_t>(running_.size()));
  if (request.cancel != nullptr) {
    request.cancel->SetHandler([this, at = &run] { GiveUp(*at, &Running::canceled); });
  }

  Status pumped;
  if (request.kind == StatementKind::kText) {
    // As one command of several statements: when one fails, mysqld does not run the others.
    std::string front;
    if (marking.Sets()) {
      front.append(marking.SetText()).append("; ");
      marking.NoteSet(*run.connection);
      run.skip_mark = true;
      ++run.skip;
    }
    if (!request.begin.empty()) {
      front.append(request.begin).append("; ");
      // SET TRANSACTION ...; START TRANSACTION
      run.skip += 1 + static_cast<int>(std::ranges::count(request.begin, ';'));
    }
    if (marking.comment) front.append(mysql::binlog::MarkerOf(marking.number));
    pumped = front.empty() ? run.connection->Send(Command::kQuery, request.text)
                           : run.connection->Send(Command::kQuery, front, request.text);
    if (pumped) pumped = co_await Pump(run);
    if (pumped && std::exchange(run.wants_file, false)) {
      // It came with the statement; none is an empty one.
      uint8_t sequence = run.connection->scanner().next_sequence();
      std::string packets = FilePackets(request.parameters, &sequence);
      run.connection->scanner().ResumeAfterInfile(sequence);
      pumped = co_await run.connection->stream().WriteAll(packets, run.limit);
      if (pumped) pumped = co_await Pump(run);
    }
  } else {
    pumped = co_await RunPrepared(run, request, marking);
  }
  if (pumped && run.wants_file) {
    pumped =
        Fail(Code::kUnimplemented, "LOAD DATA LOCAL: the file did not come with the statement");
  }

  if (run.connection->is_mariadb() && MaySetUnseen(request.text)) run.connection->tainted = true;
  // SET TRANSACTION for this statement alone, which may have failed before a transaction began.
  if (!request.begin.empty() && !run.saw_transaction) run.connection->tainted = true;
  if (request.cancel != nullptr) request.cancel->SetHandler(nullptr);
  running_[run.index] = running_.back();
  running_[run.index]->index = run.index;
  running_.pop_back();
  metrics_.running.Set(static_cast<int64_t>(running_.size()));
  metrics_.rows_bytes.Add(run.rows_bytes);
  const Time ended = loop_.Now();
  metrics_.query_ns.Add((ended - began).count());
  if (run.failed) metrics_.mysql_errors.Add();
  if (request.kind != StatementKind::kPrepare)
    Count(request, run, pumped.has_value(), ended - began);

  const bool plain = pumped && lent.pinned == nullptr && run.ticket == nullptr && !run.failed &&
                     !run.saw_transaction && !request.reserve && request.begin.empty() &&
                     !run.connection->tainted &&
                     run.connection->scanner().terminator().warnings == 0 &&
                     state_.LeaseHolds(lent.leased, ended) && !closing_;
  if (plain) [[likely]] {
    pool_.Give(std::move(lent.connection));
    running_ended_.Pulse();
    co_return port::QueryEnd{0, options_.alias, {}};
  }
  Result<port::QueryEnd> end = co_await Settle(lent, run, request, pumped);
  if (!end) metrics_.failed.Add();
  running_ended_.Pulse();
  co_return end;
}

// On success with a null connection the sink has got mysqld's error for the settings.
io::Task<Status> QueryServer::TakeConnection(Lent& lent, const port::QueryRequest& request,
                                             port::ResultSink& sink, sql::ReplicationSets* sets,
                                             Deadline deadline) {
  const uint64_t wanted = request.settings != nullptr ? request.settings->id : 0;
  if (request.pinned_id != 0) {
    Result<Pinned*> taken = pinned_.Take(request.pinned_id);
    if (!taken) co_return Fail(taken.error());
    lent.pinned = *taken;
    lent.connection = std::move(lent.pinned->connection);
    const bool same = lent.pinned->reserved || request.settings == nullptr ||
                      wanted == lent.connection->settings_id();
    if (same) co_return Status();
    Result<Terminator> set = co_await lent.connection->ApplyOnTop(request.settings, deadline);
    if (!set) {
      uint64_t id = lent.pinned->id;
      pool_.Discard(std::move(lent.connection));
      pinned_.End(id, "connection to mysqld lost", loop_.clock().WallNow());
      co_return Fail(Code::kUnavailable, "applying settings: {}", set.error().message());
    }
    if (set->is_error()) {
      lent.pinned->connection = std::move(lent.connection);
      lent.pinned->busy = false;
      sink.OnEnd(*set, true);
    }
    co_return Status();
  }
  Pool::Want want{!request.begin.empty() || request.reserve, request.found_rows, request.settings};
  const record::TabletType type = state_.type();
  // A connection may have died between two statements without our knowing: then the next one, a few
  // times.
  for (int attempt = 0;; ++attempt) {
    Result<ConnectionPtr> taken = co_await pool_.Take(want, deadline);
    if (!taken) co_return Fail(taken.error());
    ConnectionPtr connection = std::move(*taken);
    // Waiting may have taken long, and what may run has been decided anew meanwhile.
    Status admitted = state_.Check(request.target, false, loop_.Now());
    if (admitted && type != state_.type())
      admitted = Fail(Code::kClusterEvent, "wrong tablet type: it has changed");
    if (Learn(*connection) && admitted) admitted = Admit(request, loop_.Now(), sets);
    if (!admitted) {
      PutBack(std::move(connection));
      if (!admitted.error().from_mysql()) co_return admitted;
      sink.OnEnd(mysql::wire::TerminatorOf(admitted.error()), true);
      co_return Status();
    }
    if (request.cancel != nullptr && request.cancel->requested()) {
      PutBack(std::move(connection));
      // kCanceled would say that it may have run.
      const Error interrupted =
          Error::FromMysql(1317, "70100", "Query execution was interrupted before it began");
      sink.OnEnd(mysql::wire::TerminatorOf(interrupted), true);
      co_return Status();
    }
    if (connection->settings_id() != wanted) metrics_.resets.Add();
    Status applied = co_await connection->Apply(request.settings, deadline);
    if (applied) {
      lent.connection = std::move(connection);
      co_return Status();
    }
    pool_.Discard(std::move(connection));
    if (applied.error().from_mysql()) {
      Terminator end = mysql::wire::TerminatorOf(applied.error());
      sink.OnEnd(end, true);
      co_return Status();
    }
    if (applied.error().code() == Code::kDeadlineExceeded) co_return Fail(applied.error());
    if (attempt >= 2)
      co_return Fail(Code::kClusterEvent, "no connection to mysqld: {}", applied.error().message());
  }
}

// BEGIN by itself, for commands that cannot be joined with it.
io::Task<Status> QueryServer::RunBegin(Running& run, std::string begin) {
  Result<Terminator> began = co_await run.connection->Run(Command::kQuery, begin, run.limit);
  if (!began)
    co_return Fail(Code::kUnavailable, "starting a transaction: {}", began.error().message());
  run.saw_transaction = !began->is_error() && began->in_transaction();
  if (began->is_error()) {
    run.failed = true;
    if (run.sink != nullptr) run.sink->OnEnd(*began, true);
  }
  co_return Status();
}

Status QueryServer::SendExecute(Running& run, const port::QueryRequest& request,
                                uint32_t statement_id) {
  run.executing = true;
  std::string id = IdBytes(statement_id);
  return run.connection->Send(Command::kStmtExecute, id, request.parameters);
}

void QueryServer::RememberPrepared(Connection& connection, std::string_view text) {
  std::vector<uint32_t> to_close;
  const mysql::wire::PrepareOk& ok = connection.scanner().prepare_ok();
  connection.prepared().Put(text, connection.settings_id(), ok.statement_id, ok.parameter_count,
                            &to_close);
  for (uint32_t old : to_close) connection.SendLater(Command::kStmtClose, IdBytes(old));
}

// Prepared, executed and closed in one go, under a text of its own: MariaDB's log keeps the text
// that was prepared.
io::Task<Status> QueryServer::RunMarkedPrepared(Running& run, const port::QueryRequest& request,
                                                Marking marking) {
  constexpr uint32_t kLastPrepared = 0xffff'ffff;
  Connection& connection = *run.connection;
  metrics_.prepares.Add();
  std::string marker = mysql::binlog::MarkerOf(marking.number);
  if (!connection.is_mariadb()) {  // a rare case there, see MarkingOf
    marker += request.text;
    Result<Terminator> prepared = co_await connection.Run(Command::kStmtPrepare, marker, run.limit);
    if (!prepared) co_return Fail(prepared.error());
    if (prepared->is_error()) {
      run.failed = true;
      if (run.sink != nullptr) run.sink->OnEnd(*prepared, true);
      co_return Status();
    }
    const uint32_t prepared_id = connection.scanner().prepare_ok().statement_id;
    Status executed = SendExecute(run, request, prepared_id);
    run.executing = false;
    if (executed) executed = co_await Pump(run);
    if (executed) connection.SendLater(Command::kStmtClose, IdBytes(prepared_id));
    co_return executed;
  }
  connection.SendAhead(Command::kStmtPrepare, marker, request.text);
  run.prepared_ahead = true;
  std::string id = IdBytes(kLastPrepared);
  Status sent = connection.Send(Command::kStmtExecute, id, request.parameters);
  if (!sent) co_return sent;
  Status pumped = co_await Pump(run);
  if (pumped && !run.ahead_error)
    connection.SendLater(Command::kStmtClose, IdBytes(connection.prepared_ahead_id()));
  co_return pumped;
}

io::Task<Status> QueryServer::RunPrepared(Running& run, const port::QueryRequest& request,
                                          Marking marking) {
  Connection& connection = *run.connection;
  if (!request.begin.empty()) {
    std::string begin(request.begin);
    if (marking.Sets()) {
      begin = marking.SetText() + "; " + begin;
      marking.NoteSet(connection);
    }
    Status began = co_await RunBegin(run, std::move(begin));
    if (!began || run.failed) co_return began;
  }
  if (marking.comment) {
    if (marking.set_procedure) {  // the connection's last statement was a CALL
      std::string set = marking.SetText();
      marking.NoteSet(connection);
      Result<Terminator> done = co_await connection.Run(Command::kQuery, set, run.limit);
      if (!done) co_return Fail(done.error());
    }
    Status ran = co_await RunMarkedPrepared(run, request, marking);
    co_return ran;
  }
  if (request.kind == StatementKind::kPrepare) {
    run.preparing = true;
    metrics_.prepares.Add();
    Status sent = connection.Send(Command::kStmtPrepare, request.text);
    if (!sent) co_return sent;
    Status pumped = co_await Pump(run);
    if (pumped && !run.failed) RememberPrepared(connection, request.text);
    co_return pumped;
  }
  for (bool again = false;; again = true) {
    PreparedCache::Entry* entry =
        connection.prepared().Find(request.text, connection.settings_id());
    uint32_t id = 0;
    if (entry != nullptr && FitsTypes(*entry, request.parameters, connection.is_mariadb())) {
      metrics_.prepare_hits.Add();
      id = entry->statement_id;
    } else {
      metrics_.prepares.Add();
      Result<Terminator> prepared =
          co_await connection.Run(Command::kStmtPrepare, request.text, run.limit);
      if (!prepared) co_return Fail(prepared.error());
      if (prepared->is_error()) {
        run.failed = true;
        if (run.sink != nullptr) run.sink->OnEnd(*prepared, true);
        co_return Status();
      }
      id = connection.scanner().prepare_ok().statement_id;
      RememberPrepared(connection, request.text);
      entry = connection.prepared().Find(request.text, connection.settings_id());
      if (entry != nullptr) FitsTypes(*entry, request.parameters, connection.is_mariadb());
    }
    if (marking.Sets()) {
      connection.SendAhead(Command::kQuery, marking.SetText());
      marking.NoteSet(connection);
    }
    Status sent = SendExecute(run, request, id);
    if (!sent) co_return sent;
    Status pumped = co_await Pump(run);
    if (!pumped || !run.repeat) co_return pumped;
    std::vector<uint32_t> to_close;
    connection.prepared().Drop(request.text, connection.settings_id(), &to_close);
    for (uint32_t old : to_close) connection.SendLater(Command::kStmtClose, IdBytes(old));
    metrics_.prepare_repeats.Add();
    run.repeat = false;
    if (again) {  // twice is enough: the error is the answer
      if (run.sink != nullptr) run.sink->OnEnd(connection.scanner().terminator(), true);
      co_return Status();
    }
  }
}

void QueryServer::GiveUp(Running& run, bool Running::*why) {
  run.*why = true;
  run.sink = nullptr;
  if (run.ticket != nullptr) return;
  run.ticket = std::make_shared<KillTicket>();
  run.ticket->thread_id = run.connection->thread_id();
  killer_.Kill(run.ticket);
}

// Errors: kUnavailable, kInternal: the connection is of no use; kDeadlineExceeded: the answer is
// still to come.
io::Task<Status> QueryServer::Pump(Running& run) {
  Connection& connection = *run.connection;
  if (!connection.flushed()) {
    Status flushed = co_await connection.Flush(run.limit);
    if (!flushed)
      co_return Fail(Code::kUnavailable, "sending the statement: {}", flushed.error().message());
  }
  io::Socket* plain = connection.plain_socket();
  char held[mysql::wire::ResultScanner::kMaxHeldBytes];
  size_t held_size = 0;
  for (;;) {
    // The answer is not there yet when we have just sent: wait first, then read.
    io::Wake wake = io::Wake::kDone;
    if (plain != nullptr) wake = co_await plain->Readable(run.limit);
    char* buffer = loop_.scratch();
    memcpy(buffer, held, held_size);
    size_t taken = 0;
    if (wake == io::Wake::kDone) {
      Result<size_t> got =
          connection.stream().TryRead(buffer + held_size, io::Loop::kScratchSize - held_size);
      if (!got) {
        co_return Fail(Code::kUnavailable, "connection to mysqld lost while the statement ran: {}",
                       got.error().message());
      }
      taken = *got;
      if (taken == 0 && plain == nullptr) {
        wake = co_await connection.stream().WaitReadable(run.limit);
      }
    }
    if (wake == io::Wake::kClosed) {
      co_return Fail(Code::kUnavailable, "closed while the statement ran");
    }
    if (wake == io::Wake::kTimeout) {
      if (run.expired) co_return Fail(Code::kDeadlineExceeded, "the statement does not end");
      GiveUp(run, &Running::expired);
      run.limit = Deadline::After(loop_.clock(), options_.kill_grace);
    }
    if (taken == 0) continue;
    std::string_view input(buffer, held_size + taken);
    Running::Outcome outcome = run.Deliver(&input);
    if (outcome == Running::Outcome::kDone) co_return Status();
    if (outcome == Running::Outcome::kInfile) {
      run.wants_file = true;
      co_return Status();
    }
    if (outcome == Running::Outcome::kBroken || input.size() > sizeof held) {
      co_return Fail(Code::kInternal, "mysqld's answer does not follow the protocol");
    }
    held_size = input.size();
    memcpy(held, input.data(), held_size);
    if (run.sink != nullptr && run.sink->Full()) {
      pool_.Move(*run.connection, Connection::Permit::kStream);
      Status room = co_await run.sink->WaitNotFull(run.limit);
      if (!room && !run.given_up()) {
        const bool late = room.error().code() == Code::kDeadlineExceeded;
        GiveUp(run, late ? &Running::expired : &Running::canceled);
        run.limit = Deadline::After(loop_.clock(), options_.kill_grace);
      }
    }
  }
}

io::Task<Status> QueryServer::Release(record::Target, uint64_t pinned_id, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Status();  // everything ends by itself
  Pinned* pinned = pinned_.Find(pinned_id);
  if (pinned == nullptr) co_return Status();
  if (pinned->busy) {
    pinned->release_wanted = true;
    co_return Status();
  }
  ConnectionPtr connection = std::move(pinned->connection);
  const bool reset = pinned->reserved || connection->tainted;
  pinned_.End(pinned_id, "released", loop_.clock().WallNow());
  PublishPinned();
  Status done;
  if (reset) {
    done = co_await connection->Reset(deadline);
  } else {
    Result<Terminator> end = co_await connection->Run(Command::kQuery, "rollback", deadline);
    if (!end) {
      done = Fail(end.error());
    } else if (end->is_error()) {
      done = Fail(mysql::wire::ErrorOf(*end));
    }
  }
  // A connection that could not be cleaned is closed, by which mysqld rolls back.
  if (done) {
    pool_.Give(std::move(connection));
  } else {
    metrics_.closed_broken.Add();
    pool_.Discard(std::move(connection));
  }
  co_return Status();
}

void QueryServer::SetServing(record::TabletType type, bool serving, std::string reason,
                             uint64_t term, bool leased) {
  const bool ends = !serving || type != state_.type();
  state_.Set(type, serving, reason, term, leased);
  if (!ends) return;
  std::vector<uint64_t> all = pinned_.Select([](const Pinned&) { return true; });
  if (!all.empty())
    KillPinned(all, serving ? "the tablet changed its type" : "the tablet stopped serving");
}

void QueryServer::SetHealth(port::TabletHealth health) {
  health_ = std::move(health);
  ++health_version_;
  health_changed_.Pulse();
}

io::Task<Status> QueryServer::StreamHealth(port::HealthSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the query service is closed");
  while (!closing_) {
    uint64_t version = health_version_;
    port::TabletHealth health = health_;
    sink.OnHealth(health);
    if (version != health_version_) continue;
    if (deadline.Passed(loop_.Now()))
      co_return Fail(Code::kDeadlineExceeded, "the health stream's time is over");
    Deadline beat = Deadline::After(loop_.clock(), options_.health_beat).EarlierOf(deadline);
    [[maybe_unused]] bool changed = co_await health_changed_.Wait(beat);
  }
  co_return Fail(Code::kCanceled, "the query service is closed");
}

}  // namespace paceline::vttablet
