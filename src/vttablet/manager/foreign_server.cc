#include "vttablet/manager/foreign_server.h"

#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "io/sync.h"
#include "vttablet/manager/import_schema.h"

namespace paceline::vttablet {
namespace {

// So long a statement that holds the read-only switch up may go on.
constexpr Duration kStatementGrace = 250ms;

constexpr uint32_t kLockWaitSeconds = 60;  // ended sooner, by the deadline

bool IsOn(std::string_view text) { return text == "1" || EqualsIgnoreCase(text, "ON"); }

}  // namespace

mysql::ConnectOptions ImportSource::Login() const {
  mysql::ConnectOptions options;
  options.address = io::Address::Tcp(host, port);
  options.user = user;
  options.password = password;
  options.attributes = {{"_client_name", "paceline"}, {"program_name", "paceline import"}};
  return options;
}

io::Task<Result<std::shared_ptr<ForeignServer>>> ForeignServer::Open(ImportSource source,
                                                                     Deadline deadline) {
  mysql::ConnectOptions login = source.Login();
  auto opened = co_await mysql::Connection::Connect(std::move(login), deadline);
  if (!opened)
    co_return Fail(opened.error().Context("connecting to the source " + source.ToString()));
  std::string sql = "SELECT VERSION()";
  Result<mysql::QueryResult> answer = co_await (*opened)->Query(std::move(sql), deadline);
  if (!answer) co_return Fail(answer.error().Context("asking the source for its version"));
  Result<mysqld::ServerVersion> version = mysqld::ParseVersionText(answer->Text(0, size_t{0}));
  if (!version) co_return Fail(version.error().Context("the source " + source.ToString()));
  co_return std::shared_ptr<ForeignServer>(new ForeignServer(std::move(source), *version));
}

io::Task<Result<SourceFacts>> ForeignServer::Facts(Deadline deadline) {
  SourceFacts facts;
  facts.version = replication_.version();
  const bool mariadb = facts.version.mariadb();
  std::string sql =
      "SELECT @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image, "
      "@@global.server_id, @@global.read_only, @@global.lower_case_table_names, ";
  sql +=
      mariadb ? "@@global.log_slave_updates" : "@@global.log_replica_updates, @@global.gtid_mode";
  Result<mysql::QueryResult> rows = co_await admin_.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("asking the source for its settings"));
  facts.log_bin = IsOn(rows->Text(0, size_t{0}));
  facts.binlog_format = rows->Text(0, size_t{1});
  facts.binlog_row_image = rows->Text(0, size_t{2});
  facts.server_id = static_cast<uint32_t>(ParseUint(rows->Text(0, size_t{3})).value_or(0));
  facts.read_only = !rows->Text(0, size_t{4}).starts_with("0") && IsOn(rows->Text(0, size_t{4}));
  facts.lower_case_table_names = static_cast<int>(ParseInt(rows->Text(0, size_t{5})).value_or(0));
  facts.log_updates = IsOn(rows->Text(0, size_t{6}));
  if (!mariadb) facts.gtid_mode = rows->Text(0, size_t{7});
  sql = "SHOW GRANTS";
  Result<mysql::QueryResult> grants = co_await admin_.Query(std::move(sql), deadline);
  if (!grants) co_return Fail(grants.error().Context("asking the source for the account's rights"));
  std::vector<std::string> lines;
  for (size_t i = 0; i < grants->rows.size(); ++i) lines.push_back(grants->Text(i, size_t{0}));
  facts.missing_rights = MissingRights(lines, mariadb);
  // Without the rights the rest cannot be asked, and they are what is to be mended first.
  if (!facts.missing_rights.empty()) {
    facts.databases.insert(source_.database);
    co_return facts;
  }
  Status filled = co_await FillReplication(facts, deadline);
  if (filled) filled = co_await FillDatabases(facts, deadline);
  if (!filled) co_return Fail(filled.error());
  co_return facts;
}

io::Task<Status> ForeignServer::FillReplication(SourceFacts& facts, Deadline deadline) {
  Result<std::optional<mysqld::ReplicationStatus>> replica =
      co_await replication_.Replica(deadline);
  if (!replica) co_return Fail(replica.error().Context("the source"));
  if (*replica)
    facts.replicates_from = fmt::format("{}:{}", (**replica).source_host, (**replica).source_port);
  if (!facts.log_bin) co_return Status();
  std::string sql = replication_.flavor().PrimaryStatusQuery(facts.version);
  Result<mysql::QueryResult> log = co_await admin_.Query(std::move(sql), deadline);
  if (!log) co_return Fail(log.error().Context("asking the source for its binary log"));
  for (const char* filter : {"Binlog_Do_DB", "Binlog_Ignore_DB"}) {
    std::string value = log->rows.empty() ? "" : log->Text(0, filter);
    if (!value.empty()) facts.log_filter += fmt::format("{} = {} ", filter, value);
  }
  co_return Status();
}

io::Task<Status> ForeignServer::FillDatabases(SourceFacts& facts, Deadline deadline) {
  std::string sql = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ";
  sql += kSystemSchemas;
  Result<mysql::QueryResult> rows = co_await admin_.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("asking the source for its databases"));
  for (size_t i = 0; i < rows->rows.size(); ++i) facts.databases.insert(rows->Text(i, size_t{0}));
  sql =
      "SELECT table_schema, table_name, engine, table_type FROM information_schema.tables WHERE "
      "table_schema NOT IN ";
  sql += kSystemSchemas;
  sql +=
      " AND (table_type = 'SYSTEM VERSIONED' OR (table_type = 'BASE TABLE' AND engine <> "
      "'InnoDB'))";
  rows = co_await admin_.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("asking the source for its tables"));
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    std::string name = rows->Text(i, size_t{0}) + "." + rows->Text(i, size_t{1});
    if (rows->Text(i, size_t{3}) == "BASE TABLE") {
      facts.tables_not_innodb.push_back(name + " (" + rows->Text(i, size_t{2}) + ")");
    } else {
      facts.versioned_tables.push_back(std::move(name));
    }
  }
  co_return Status();
}

io::Task<Result<std::string>> ForeignServer::SchemaDigest(mysqld::Admin& admin, Deadline deadline) {
  std::string sql =
      "SELECT table_schema, table_name, column_name, column_type FROM information_schema.columns "
      "WHERE table_schema <> '_vt' AND table_schema NOT IN ";
  sql += kSystemSchemas;
  sql += " ORDER BY table_schema, table_name, ordinal_position";
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("reading the schema"));
  std::string digest;
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    digest += fmt::format("{}.{}.{} {}\n", rows->Text(i, size_t{0}), rows->Text(i, size_t{1}),
                          rows->Text(i, size_t{2}), rows->Text(i, size_t{3}));
  }
  co_return digest;
}

// Runs beside the statement that makes the server read-only, which waits for statements of others.
io::Task<void> ForeignServer::EndStatements(std::shared_ptr<ForeignServer> self,
                                            std::shared_ptr<bool> over, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  if (!pass) co_return;
  Deadline limit = Deadline::In(10s);
  bool open = co_await io::Sleep(gate, Deadline::In(kStatementGrace));
  while (open && !*over && !limit.Passed(io::Loop::Current().Now())) {
    std::string sql =
        "SELECT id FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND "
        "id <> CONNECTION_ID() AND user NOT IN ('system user', 'event_scheduler') AND COALESCE("
        "state, '') NOT LIKE 'Waiting for %lock%' AND COALESCE(info, '') NOT LIKE 'SET SESSION "
        "lock_wait_timeout%'";
    Result<mysql::QueryResult> rows = co_await self->admin_.Query(std::move(sql), Deadline::In(2s));
    for (size_t i = 0; rows && i < rows->rows.size() && !*over; ++i) {
      sql = "KILL QUERY " + rows->Text(i, size_t{0});
      LOG_INFO("ending a statement of the source that runs on: {}", sql);
      Result<mysql::QueryResult> ended =
          co_await self->admin_.Query(std::move(sql), Deadline::In(2s));
      (void)ended;  // it may have ended by itself
    }
    open = co_await io::Sleep(gate, Deadline::In(100ms));
  }
}

// On a session of its own: where it does not end in time it is ended, lest it close the source
// later.
io::Task<Status> ForeignServer::Close(Deadline deadline) {
  mysql::ConnectOptions login = source_.Login();
  auto session = co_await mysql::Connection::Connect(std::move(login), deadline);
  if (!session) co_return Fail(session.error());
  std::string sql = replication_.flavor().SetReadOnly(true, kLockWaitSeconds);
  Result<mysql::QueryResult> closed = co_await (*session)->Query(std::move(sql), deadline);
  if (closed) co_return Status();
  const uint32_t id = (*session)->thread_id();
  Deadline limit = Deadline::In(5s);
  for (;;) {
    sql = fmt::format("KILL {}", id);
    Result<mysql::QueryResult> killed = co_await admin_.Query(std::move(sql), limit);
    (void)killed;  // it may have ended by itself
    sql = fmt::format("SELECT 1 FROM information_schema.processlist WHERE id = {}", id);
    Result<mysql::QueryResult> there = co_await admin_.Query(std::move(sql), limit);
    bool gone = there && there->rows.empty();
    if (gone || limit.Passed(io::Loop::Current().Now())) break;
    co_await io::SleepUntil(Deadline::In(20ms));
  }
  if (closed.error().code() == Code::kDeadlineExceeded) {
    co_return Fail(Code::kDeadlineExceeded,
                   "a session there holds tables locked or cannot be stopped (see its SHOW "
                   "PROCESSLIST)");
  }
  co_return Fail(closed.error());
}

io::Task<Result<gtid::Set>> ForeignServer::Freeze(io::Gate& gate, Deadline deadline) {
  auto over = std::make_shared<bool>(false);
  io::Detach(EndStatements(shared_from_this(), over, gate));
  Status closed = co_await Close(deadline);
  *over = true;
  if (!closed) co_return Fail(closed.error().Context("closing the source " + source_.ToString()));
  Result<gtid::Set> position = co_await replication_.Position(deadline);
  co_return position;
}

io::Task<Status> ForeignServer::Thaw(bool events, Deadline deadline) {
  Status open = co_await replication_.SetReadOnly(false, deadline);
  if (!open) {
    co_return Fail(
        open.error().Context("opening the source " + source_.ToString() +
                             " again (if it stays so: SET GLOBAL read_only = OFF there)"));
  }
  if (!events) co_return Status();
  // Those too that came back from the shard as a replica's.
  Status on = co_await replication_.EnableEvents(deadline);
  if (on) co_return Status();
  // It takes writes, which is what matters.
  LOG_WARNING("enabling the events of {} again: {}", source_.ToString(), on.error().message());
  std::string sql = "SET GLOBAL event_scheduler = ON";
  Result<mysql::QueryResult> runs = co_await admin_.Query(std::move(sql), deadline);
  if (!runs) co_return Fail(runs.error().Context("starting the source's event scheduler again"));
  co_return Status();
}

io::Task<Result<bool>> ForeignServer::EventsRun(Deadline deadline) {
  std::string sql = "SELECT @@global.event_scheduler";
  Result<mysql::QueryResult> rows = co_await admin_.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("asking the source for its event scheduler"));
  co_return IsOn(rows->Text(0, size_t{0}));
}

io::Task<Status> ForeignServer::StopEvents(Deadline deadline) {
  Status stopped = co_await replication_.StopEvents(deadline);
  if (!stopped) co_return Fail(stopped.error().Context("the source " + source_.ToString()));
  co_return Status();
}

io::Task<Status> ForeignServer::Follow(mysqld::SourceOptions primary, Deadline deadline) {
  const std::string where = fmt::format("{}:{}", primary.host, primary.port);
  Status set = co_await replication_.SetSource(std::move(primary), deadline);
  if (set) set = co_await replication_.Start(deadline);
  if (!set) co_return Fail(set.error().Context("the source " + source_.ToString()));
  Error last(Code::kDeadlineExceeded, "it has not connected");
  Deadline limit = Deadline::In(5s).EarlierOf(deadline);
  while (!limit.Passed(io::Loop::Current().Now())) {
    Result<std::optional<mysqld::ReplicationStatus>> now = co_await replication_.Replica(deadline);
    if (!now) co_return Fail(now.error());
    if (*now && (**now).running()) co_return Status();
    if (*now && !(**now).io_error.empty()) last = Error(Code::kUnavailable, (**now).io_error);
    if (*now && !(**now).applier_error.empty())
      last = Error(Code::kFailedPrecondition, (**now).applier_error);
    co_await io::SleepUntil(Deadline::In(50ms));
  }
  co_return Fail(last.Context("the source " + source_.ToString() +
                              " does not replicate from the primary at " + where));
}

io::Task<Status> ForeignServer::Unfollow(Deadline deadline) {
  Result<std::optional<mysqld::ReplicationStatus>> now = co_await replication_.Replica(deadline);
  if (!now) co_return Fail(now.error());
  if (!*now) co_return Status();
  Status stopped = co_await replication_.ForgetSource(deadline);
  if (!stopped) co_return Fail(stopped.error().Context("the source " + source_.ToString()));
  co_return Status();
}

}  // namespace paceline::vttablet
