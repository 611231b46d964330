#include "mysqld/replication.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/strings.h"
#include "io/sleep.h"

namespace paceline::mysqld {
namespace {

double SecondsLeft(Deadline deadline) {
  if (deadline.never()) return 3600;
  return std::chrono::duration<double>(deadline.Left(SystemClock().Now())).count();
}

constexpr uint16_t kUnknownVariable = 1193;

bool SaysOn(std::string_view text) { return EqualsIgnoreCase(text, "ON") || text == "1"; }

// Names without the flavor's words: "rpl_semi_sync_master_clients" becomes
// "rpl_semi_sync_source_clients".
std::string CommonName(std::string_view name) {
  return ReplaceAll(ReplaceAll(Lower(name), "_master_", "_source_"), "_slave", "_replica");
}

}  // namespace

io::Task<Status> Replication::One(const char* doing, std::string sql, Deadline deadline) {
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context(doing));
  co_return Status();
}

io::Task<Status> Replication::Many(const char* doing, Statements statements, Deadline deadline) {
  Status ran = co_await admin_.Run(std::move(statements), deadline);
  if (!ran) co_return Fail(ran.error().Context(doing));
  co_return Status();
}

io::Task<Result<gtid::Set>> Replication::Position(Deadline deadline) {
  std::string sql = flavor_.PositionQuery();
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context("reading the position"));
  gtid::Set position(version_.flavor);
  for (size_t column = 0; column < result->columns.size(); ++column) {
    Result<gtid::Set> part = gtid::Set::Parse(version_.flavor, result->Text(0, column));
    if (!part) co_return Fail(part.error().Context("reading the position"));
    position = position.Union(*part);
  }
  co_return position;
}

io::Task<Result<std::optional<ReplicationStatus>>> Replication::Replica(Deadline deadline) {
  std::string sql = flavor_.StatusQuery();
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context("reading the replication status"));
  if (result->rows.empty()) co_return std::optional<ReplicationStatus>();
  Result<ReplicationStatus> status = flavor_.ReadStatus(*result);
  if (!status) co_return Fail(status.error().Context("reading the replication status"));
  Result<gtid::Set> position = co_await Position(deadline);
  if (!position) co_return Fail(position.error());
  status->executed = *position;
  status->received = status->received.Union(*position);
  co_return std::optional<ReplicationStatus>(std::move(*status));
}

io::Task<Result<std::string>> Replication::StreamMark(ReplicationStatus status, Deadline deadline) {
  std::string sql = flavor_.HeartbeatsQuery();
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context("reading the heartbeats received"));
  std::string beats;
  if (!result->rows.empty()) beats = result->Text(0, result->columns.size() - 1);
  co_return fmt::format("{}:{} {} {}", status.read.file, status.read.offset,
                        status.received.ToEncoded(), beats);
}

io::Task<Result<PrimaryStatus>> Replication::Primary(Deadline deadline) {
  std::string sql = flavor_.PrimaryStatusQuery(version_);
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context("reading the binary log's state"));
  if (result->rows.empty())
    co_return Fail(Code::kFailedPrecondition, "the binary log is off on this server");
  Result<gtid::Set> position = co_await Position(deadline);
  if (!position) co_return Fail(position.error());
  PrimaryStatus status;
  status.file = {result->Text(0, "File"), ParseUint(result->Text(0, "Position")).value_or(0)};
  status.executed = std::move(*position);
  co_return status;
}

io::Task<Status> Replication::SetSource(SourceOptions options, Deadline deadline) {
  Statements change = flavor_.ChangeSource(options);
  if (!change.empty()) {
    Status io = co_await StopIo(deadline);
    if (!io) co_return io;
    Result<std::optional<ReplicationStatus>> now = co_await Replica(deadline);
    if (!now) co_return Fail(now.error());
    // What waits in the relay log may be what the new source never gets: a stop drops it.
    if (*now && (**now).auto_position && (**now).applier == ThreadState::kRunning &&
        (**now).executed.Contains((**now).received)) {
      Status changed =
          co_await Many("pointing replication at its source", std::move(change), deadline);
      co_return changed;
    }
  }
  Status stopped = co_await Stop(deadline);
  if (!stopped) co_return stopped;
  Statements statements = flavor_.SetSource(options);
  Status done =
      co_await Many("pointing replication at its source", std::move(statements), deadline);
  co_return done;
}

io::Task<Status> Replication::Stop(Deadline deadline) {
  if (flavor_.gtid_flavor() == gtid::Flavor::kMysql) {
    Status io = co_await StopIo(deadline);
    if (!io) co_return io;
    co_await EndUnfinishedGroup(deadline);
  }
  std::string sql = flavor_.Stop();
  Status stopped = co_await One("stopping replication", std::move(sql), deadline);
  co_return stopped;
}

io::Task<Status> Replication::StopUnlessIdle(bool drained, Deadline deadline) {
  Result<std::optional<ReplicationStatus>> status = co_await Replica(deadline);
  if (!status) co_return Fail(status.error());
  if (!*status) co_return Status();
  const ReplicationStatus& now = **status;
  bool idle = now.io == ThreadState::kStopped && now.applier == ThreadState::kRunning &&
              (drained || now.read == now.executed_of_source) &&
              now.executed.Contains(now.received);
  if (idle) co_return Status();
  Status stopped = co_await Stop(deadline);
  co_return stopped;
}

// Where the relay log ends in the middle of a transaction, MySQL's applier waits for the rest of it
// for 60 s before it stops (SLAVE_WAIT_GROUP_DONE of its rpl_replica.cc, seen on 9.7.4), unless it
// was killed before it was told to stop. The server calls that an error (1756) in its log; what was
// begun is rolled back, and fetched again.
io::Task<void> Replication::EndUnfinishedGroup(Deadline deadline) {
  const Deadline patience = Deadline::In(300ms).EarlierOf(deadline);
  while (!patience.Passed(SystemClock().Now())) {
    Result<std::optional<ReplicationStatus>> status = co_await Replica(patience);
    if (!status || !*status) co_return;
    const ReplicationStatus& now = **status;
    // The applier's own position lags by its checkpoints: a killed one too many does no harm.
    if (now.applier == ThreadState::kStopped || now.read == now.executed_of_source) co_return;
    std::string at_the_end =
        co_await KillThread("", " has read all relay log; waiting for more updates", patience);
    if (!at_the_end.empty()) co_return;
    // One that reads on may be there when it is told to stop; with more than that before it, it
    // stops after one of the transactions there.
    gtid::Set received = now.received;
    Status reached = co_await WaitForPosition(received, Deadline::In(50ms).EarlierOf(patience));
    (void)reached;
  }
}

// Under semi-sync a receiver of MariaDB that ends connects to its source, to end the dump there
// (kill_connection of its semisync_slave.cc). Before a source that does not answer only STOP SLAVE
// wakes it, and one that comes before that connection does so two seconds later (10.11).
io::Task<void> Replication::LetReceiverEnd(std::string id, Deadline deadline) {
  const Deadline patience = Deadline::In(20ms).EarlierOf(deadline);
  const std::string find = "SELECT 1 FROM information_schema.processlist WHERE id = " + id;
  while (!patience.Passed(SystemClock().Now())) {
    std::string ask = find;
    Result<mysql::QueryResult> there = co_await admin_.Query(std::move(ask), deadline);
    if (!there || there->rows.empty()) co_return;
    co_await io::SleepUntil(Deadline::In(1ms));
  }
}

io::Task<std::string> Replication::KillThread(std::string begin, std::string end,
                                              Deadline deadline) {
  std::string killed;
  std::string list = "SHOW PROCESSLIST";
  Result<mysql::QueryResult> threads = co_await admin_.Query(std::move(list), deadline);
  for (size_t row = 0; threads && row < threads->rows.size(); ++row) {
    std::string state = threads->Text(row, "State");
    if (!state.starts_with(begin) || !state.ends_with(end)) continue;
    killed = threads->Text(row, "Id");
    std::string kill = "KILL " + killed;
    Result<mysql::QueryResult> done = co_await admin_.Query(std::move(kill), deadline);
    (void)done;  // it may have ended by itself
  }
  co_return killed;
}

io::Task<Status> Replication::StopIo(Deadline deadline) {
  // A thread that waits for its source takes up to two seconds to notice that it is to stop; one
  // that is killed ends at once, and leaves the relay log as a stop does.
  std::string killed = co_await KillThread("Waiting for ", " to send event", deadline);
  if (!killed.empty() && flavor_.gtid_flavor() == gtid::Flavor::kMariadb)
    co_await LetReceiverEnd(std::move(killed), deadline);
  std::string stop = flavor_.StopIo();
  Status stopped = co_await One("stopping the IO thread", std::move(stop), deadline);
  co_return stopped;
}

io::Task<Status> Replication::ForgetSource(Deadline deadline) {
  Status stopped = co_await Stop(deadline);
  if (!stopped) co_return stopped;
  Statements statements = flavor_.ForgetSource();
  Status done = co_await Many("ending replication", std::move(statements), deadline);
  co_return done;
}

io::Task<Status> Replication::ResetHistory(gtid::Set history, Deadline deadline) {
  Status forgotten = co_await ForgetSource(deadline);
  if (!forgotten) co_return forgotten;
  Statements statements = flavor_.ForgetHistory(version_);
  if (!history.Empty()) {
    for (std::string& sql : flavor_.SetHistory(history)) statements.push_back(std::move(sql));
  }
  Status done = co_await Many("resetting the GTID history", std::move(statements), deadline);
  co_return done;
}

io::Task<Status> Replication::WaitForPosition(gtid::Set set, Deadline deadline) {
  for (;;) {
    Result<gtid::Set> position = co_await Position(deadline);
    if (!position) co_return Fail(position.error());
    if (position->Contains(set)) co_return Status();
    double left = SecondsLeft(deadline);
    if (left <= 0.02) {
      co_return Fail(Code::kDeadlineExceeded, "waiting for position {}: the server stands at {}",
                     set.ToEncoded(), position->ToEncoded());
    }
    // In slices, since a MariaDB that became a primary meanwhile has the position without its wait
    // ending; and never close to the deadline, since a late answer would cost the session and the
    // reason.
    double slice = std::min(1.0, left / 2);
    std::string sql = flavor_.WaitQuery(set, slice);
    Result<mysql::QueryResult> waited = co_await admin_.Query(std::move(sql), deadline);
    if (!waited) co_return Fail(waited.error().Context("waiting for position " + set.ToEncoded()));
    if (waited->Text(0, size_t{0}) == "0") co_return Status();
  }
}

io::Task<Result<gtid::Set>> Replication::WaitForRelayLog(Deadline deadline) {
  for (;;) {
    Result<std::optional<ReplicationStatus>> status = co_await Replica(deadline);
    if (!status) co_return Fail(status.error());
    if (!*status) {
      Result<gtid::Set> position = co_await Position(deadline);
      co_return position;
    }
    const ReplicationStatus& now = **status;
    if (now.executed.Contains(now.received)) co_return now.executed;
    if (now.applier == ThreadState::kStopped) {
      co_return Fail(Code::kFailedPrecondition,
                     "the applier has stopped with {} of the relay log not applied: error {}: {}",
                     now.received.Subtract(now.executed).ToString(), now.applier_errno,
                     now.applier_error);
    }
    gtid::Set received = now.received;
    Deadline slice = Deadline::In(500ms).EarlierOf(deadline);
    Status reached = co_await WaitForPosition(received, slice);
    if (reached) continue;
    if (reached.error().code() != Code::kDeadlineExceeded || deadline.Passed(SystemClock().Now())) {
      co_return Fail(reached.error().Context("applying the relay log"));
    }
  }
}

io::Task<Status> Replication::SetReadOnly(bool on, Deadline deadline) {
  auto wait_s = static_cast<uint32_t>(std::clamp(std::ceil(SecondsLeft(deadline)), 1.0, 86400.0));
  const char* doing = on ? "making the server read-only" : "making the server writable";
  std::string sql = flavor_.SetReadOnly(on, wait_s);
  Status done = co_await One(doing, std::move(sql), deadline);
  co_return done;
}

io::Task<Result<ReadOnly>> Replication::GetReadOnly(Deadline deadline) {
  std::string sql = flavor_.ReadOnlyQuery();
  Result<mysql::QueryResult> result = co_await admin_.Query(std::move(sql), deadline);
  if (!result) co_return Fail(result.error().Context("reading read_only"));
  ReadOnly state;
  state.read_only = SaysOn(result->Text(0, size_t{0}));
  state.super_read_only = SaysOn(result->Text(0, size_t{1}));
  co_return state;
}

io::Task<Status> Replication::SetSemiSyncSource(bool on, uint32_t acks, Deadline deadline) {
  SemiSyncChange change{on, on ? acks : 0, false};
  if (!on && journal_) {
    Status noted = co_await journal_(change, deadline);
    if (!noted) co_return Fail(noted.error().Context("journaling the end of semi-sync"));
  }
  Statements statements = flavor_.SetSemiSyncSource(on, acks);
  Status done = co_await Many("setting semi-sync of a source", std::move(statements), deadline);
  if (!done || !on || !journal_) co_return done;
  std::string sql = flavor_.DurabilityQuery();
  Result<mysql::QueryResult> durable = co_await admin_.Query(std::move(sql), deadline);
  if (!durable) co_return Fail(durable.error().Context("reading the settings of durability"));
  change.durable = durable->Text(0, size_t{0}) == "1";
  Status noted = co_await journal_(change, deadline);
  if (!noted) co_return Fail(noted.error().Context("journaling the start of semi-sync"));
  co_return Status();
}

io::Task<Status> Replication::SetSemiSyncReplica(bool on, bool restart_io, Deadline deadline) {
  std::string sql = flavor_.SetSemiSyncReplica(on);
  Status done = co_await One("setting semi-sync of a replica", std::move(sql), deadline);
  if (!done || !restart_io) co_return done;
  Result<std::optional<ReplicationStatus>> status = co_await Replica(deadline);
  if (!status) co_return Fail(status.error());
  if (!*status || (*status)->io == ThreadState::kStopped) co_return Status();
  Status stopped = co_await StopIo(deadline);
  if (!stopped) co_return stopped;
  Status started = co_await StartIo(deadline);
  co_return started;
}

io::Task<Result<SemiSyncStatus>> Replication::GetSemiSync(Deadline deadline) {
  std::string sql = flavor_.SemiSyncQuery();
  Result<std::vector<mysql::QueryResult>> results =
      co_await admin_.QueryAll(std::move(sql), deadline);
  if (!results && results.error().mysql_errno() == kUnknownVariable) {
    // A server that others have set up: other plugins, or none.
    std::string show =
        "SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync_%'; SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_%'";
    results = co_await admin_.QueryAll(std::move(show), deadline);
  }
  if (!results) co_return Fail(results.error().Context("reading the semi-sync state"));
  std::map<std::string, std::string> values;
  for (const mysql::QueryResult& result : *results) {
    for (size_t row = 0; row < result.rows.size(); ++row) {
      values[CommonName(result.Text(row, size_t{0}))] = result.Text(row, size_t{1});
    }
  }
  auto number = [&values](const char* name) { return ParseUint(values[name]).value_or(0); };
  SemiSyncStatus status;
  status.source_enabled = SaysOn(values["rpl_semi_sync_source_enabled"]);
  status.replica_enabled = SaysOn(values["rpl_semi_sync_replica_enabled"]);
  status.source_active = SaysOn(values["rpl_semi_sync_source_status"]);
  status.replica_active = SaysOn(values["rpl_semi_sync_replica_status"]);
  status.acks_required = static_cast<uint32_t>(
      std::max<uint64_t>(1, number("rpl_semi_sync_source_wait_for_replica_count")));
  status.replicas = static_cast<uint32_t>(number("rpl_semi_sync_source_clients"));
  status.waiting_sessions = static_cast<uint32_t>(number("rpl_semi_sync_source_wait_sessions"));
  status.timeout_ms = number("rpl_semi_sync_source_timeout");
  status.wait_for_no_replica = SaysOn(values["rpl_semi_sync_source_wait_no_replica"]);
  co_return status;
}

io::Task<Status> Replication::EnableEvents(Deadline deadline) {
  std::string find =
      "SELECT event_schema, event_name, definer FROM information_schema.events "
      "WHERE status IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')";
  Result<mysql::QueryResult> events = co_await admin_.Query(std::move(find), deadline);
  if (!events) co_return Fail(events.error().Context("listing events"));
  Statements statements;
  for (size_t row = 0; row < events->rows.size(); ++row) {
    // Without its definer, ALTER EVENT makes the event ours.
    std::string definer = events->Text(row, size_t{2});
    size_t at = definer.rfind('@');
    statements.push_back(
        fmt::format("ALTER DEFINER = {}@{} EVENT {}.{} ENABLE", QuoteText(definer.substr(0, at)),
                    QuoteText(at == std::string::npos ? "%" : definer.substr(at + 1)),
                    QuoteIdentifier(events->Text(row, size_t{0})),
                    QuoteIdentifier(events->Text(row, size_t{1}))));
  }
  statements.push_back("SET GLOBAL event_scheduler = ON");
  Status done = co_await Many("enabling events", std::move(statements), deadline);
  co_return done;
}

io::Task<Status> Replication::StopEvents(Deadline deadline) {
  std::string sql = "SET GLOBAL event_scheduler = OFF";
  Status done = co_await One("stopping the event scheduler", std::move(sql), deadline);
  co_return done;
}

io::Task<Result<Replication::SeedFacts>> Replication::GetSeedFacts(Deadline deadline) {
  SeedFacts facts;
  std::string ask = flavor_.DataBytesQuery();
  Result<mysql::QueryResult> bytes = co_await admin_.Query(std::move(ask), deadline);
  if (!bytes) co_return Fail(bytes.error().Context("measuring the data"));
  facts.data_bytes = ParseUint(bytes->Text(0, size_t{0})).value_or(0);
  ask = "SHOW BINARY LOGS";
  Result<mysql::QueryResult> logs = co_await admin_.Query(std::move(ask), deadline);
  if (!logs) co_return Fail(logs.error().Context("measuring the binary logs"));
  for (size_t row = 0; row < logs->rows.size(); ++row)
    facts.log_bytes += ParseUint(logs->Text(row, "File_size")).value_or(0);
  if (logs->rows.empty()) co_return facts;
  ask = flavor_.LogsCompleteQuery(logs->Text(0, "Log_name"));
  Result<mysql::QueryResult> complete = co_await admin_.Query(std::move(ask), deadline);
  if (!complete) co_return Fail(complete.error().Context("looking into the first binary log"));
  facts.logs_complete = flavor_.ReadLogsComplete(*complete);
  co_return facts;
}

}  // namespace paceline::mysqld
