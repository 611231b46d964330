#include "backup/dump.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "backup/dump_format.h"
#include "backup/dump_programs.h"
#include "base/log.h"
#include "base/strings.h"
#include "gtid/set.h"
#include "io/sleep.h"
#include "mysql/client/row_stream.h"
#include "mysqld/flavor.h"

namespace paceline::backup {
namespace {

// Of rows in one record, about.
constexpr size_t kInsertBytes = 1u << 20;
constexpr size_t kPartsMax = 1000;
constexpr int kLockTries = 5;
constexpr uint16_t kLockWaitTimeout = 1205, kTableDefinitionChanged = 1412, kNoSuchTable = 1146,
                   kBadField = 1054;

using Session = std::unique_ptr<mysql::Connection>;

struct Part {
  size_t table = 0;
  std::string where;
  bool cut = false;  // it is a part already
};

// All readers'.
struct Work {
  DumpOptions options;
  io::ByteSink* sink = nullptr;
  io::Gate* gate = nullptr;
  Deadline deadline = Deadline::Never();
  mysqld::ServerVersion version;
  std::vector<DumpTable> tables;
  std::vector<uint64_t> counted;  // rows of each
  std::deque<Part> parts;
  size_t cutting = 0;  // readers that may add parts
  size_t reading = 0;  // readers that have not ended
  io::Event changed;   // pulsed: parts came, or a reader has ended
  io::Mutex writing;
  Status failed;
};

io::Task<Status> Run(mysql::Connection& session, std::string_view statement, Deadline deadline) {
  std::string sql(statement);
  Result<mysql::QueryResult> done = co_await session.Query(std::move(sql), deadline);
  if (!done) co_return Fail(done.error());
  co_return Status();
}

io::Task<Result<mysql::QueryResult>> AskMany(mysql::Connection& session, std::string sql,
                                             Deadline deadline) {
  mysql::QueryLimits limits;
  limits.rows_max = 10'000'000;
  Result<mysql::QueryResult> found = co_await session.Query(std::move(sql), deadline, limits);
  co_return found;
}

io::Task<Status> Write(Work& work, DumpRecord record) {
  if (work.gate->closed()) co_return Fail(Code::kCanceled, "the dump was given up");
  std::string bytes = Encode(record);
  Status locked = co_await work.writing.Lock(work.deadline);
  if (!locked) co_return locked;
  Status written = co_await work.sink->Write(bytes, work.deadline);
  work.writing.Unlock();
  co_return written;
}

// A definition that is not the snapshot's is told as what it is.
Error Told(const DumpTable& table, const Error& error) {
  const uint16_t number = error.from_mysql() ? error.mysql_errno() : 0;
  if (number == kTableDefinitionChanged || number == kNoSuchTable || number == kBadField) {
    return Error(Code::kAborted, fmt::format("{} was altered while it was dumped: try again ({})",
                                             table.Quoted(), error.message()));
  }
  return error.Context("dumping " + table.Quoted());
}

io::Task<Result<Session>> Open(mysql::ConnectOptions options, Deadline deadline) {
  auto opened = co_await mysql::Connection::Connect(std::move(options), deadline);
  if (!opened) co_return Fail(opened.error());
  const bool mariadb = (*opened)->is_mariadb();
  std::vector<std::string> settings = {
      "SET NAMES binary",
      "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 86400, "
      "lock_wait_timeout = 5, sql_quote_show_create = 1",
      mariadb ? "SET SESSION max_statement_time = 0"
              : "SET SESSION max_execution_time = 0, information_schema_stats_expiry = 0, "
                "print_identified_with_as_hex = ON",
      "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"};
  for (size_t i = 0; i < settings.size(); ++i) {
    Status set = co_await Run(**opened, settings[i], deadline);
    if (!set) co_return Fail(set.error().Context("preparing a session for a dump"));
  }
  co_return std::move(*opened);
}

io::Task<Result<gtid::Set>> PositionOf(Work& work, mysql::Connection& session) {
  std::string sql = mysqld::FlavorOf(work.version).PositionQuery();
  Result<mysql::QueryResult> result = co_await session.Query(std::move(sql), work.deadline);
  if (!result) co_return Fail(result.error().Context("reading the position"));
  gtid::Set position(work.version.flavor);
  for (size_t column = 0; column < result->columns.size(); ++column) {
    Result<gtid::Set> part = gtid::Set::Parse(work.version.flavor, result->Text(0, column));
    if (!part) co_return Fail(part.error().Context("reading the position"));
    position = position.Union(*part);
  }
  co_return position;
}

// Definitions stay as they are until the session ends; nobody is stopped from writing rows.
io::Task<void> HoldDefinitions(mysql::Connection& session, Deadline deadline) {
  if (session.is_mariadb()) co_return;
  Status held = co_await Run(session, "LOCK INSTANCE FOR BACKUP", deadline);
  if (!held) LOG_WARNING("dumping without a lock of the definitions: {}", held.error().message());
}

io::Task<Status> LockWrites(mysql::Connection& session, Deadline deadline) {
  for (int tries = 1;; ++tries) {
    Status locked = co_await Run(session, "FLUSH TABLES WITH READ LOCK", deadline);
    if (locked) co_return locked;
    const bool again = locked.error().from_mysql() && tries < kLockTries &&
                       locked.error().mysql_errno() == kLockWaitTimeout;
    if (!again) co_return Fail(locked.error().Context("locking the server for a moment"));
    co_await io::SleepUntil(Deadline::In(std::chrono::milliseconds(200)).EarlierOf(deadline));
  }
}

// Which there are, and their columns later: names alone are quick also where there are thousands.
io::Task<Result<std::vector<std::string>>> ListTables(Work& work, mysql::Connection& session) {
  std::string ask =
      "SELECT table_schema, table_name, table_type, engine FROM information_schema.tables WHERE "
      "table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') AND " +
      InSchemas("table_schema", work.options.schemas) + " ORDER BY table_schema, table_name";
  Result<mysql::QueryResult> found = co_await AskMany(session, std::move(ask), work.deadline);
  if (!found) co_return Fail(found.error().Context("listing the tables"));
  std::vector<std::string> engines;
  for (size_t row = 0; row < found->rows.size(); ++row) {
    DumpTable table;
    table.schema = found->Text(row, size_t{0});
    table.name = found->Text(row, size_t{1});
    work.tables.push_back(std::move(table));
    const bool sequence = found->Text(row, size_t{2}) == "SEQUENCE";
    engines.push_back(sequence ? "sequence" : Lower(found->Text(row, size_t{3})));
  }
  co_return engines;
}

io::Task<Status> ReadColumns(Work& work, mysql::Connection& session) {
  std::map<std::pair<std::string, std::string>, DumpTable*> by_name;
  for (DumpTable& table : work.tables) by_name[{table.schema, table.name}] = &table;
  std::string ask =
      "SELECT table_schema, table_name, column_name, data_type, character_set_name, "
      "collation_name, "
      "extra, generation_expression FROM information_schema.columns WHERE " +
      InSchemas("table_schema", work.options.schemas) +
      " ORDER BY table_schema, table_name, ordinal_position";
  Result<mysql::QueryResult> found = co_await AskMany(session, std::move(ask), work.deadline);
  if (!found) co_return Fail(found.error().Context("reading the columns"));
  for (size_t row = 0; row < found->rows.size(); ++row) {
    auto table = by_name.find({found->Text(row, size_t{0}), found->Text(row, size_t{1})});
    if (table == by_name.end()) continue;  // a view, or one that was made since
    DumpColumn column;
    column.name = found->Text(row, size_t{2});
    column.type = Lower(found->Text(row, size_t{3}));
    column.charset = found->Text(row, size_t{4});
    column.collation = found->Text(row, size_t{5});
    // "DEFAULT_GENERATED" has an expression for its default, and not in this column.
    column.generated = !found->Text(row, size_t{7}).empty();
    table->second->columns.push_back(std::move(column));
  }
  ask =
      "SELECT table_schema, table_name, column_name FROM information_schema.statistics WHERE "
      "index_name = 'PRIMARY' AND seq_in_index = 1 AND sub_part IS NULL AND " +
      InSchemas("table_schema", work.options.schemas);
  found = co_await AskMany(session, std::move(ask), work.deadline);
  if (!found) co_return Fail(found.error().Context("reading the primary keys"));
  for (size_t row = 0; row < found->rows.size(); ++row) {
    auto table = by_name.find({found->Text(row, size_t{0}), found->Text(row, size_t{1})});
    if (table != by_name.end()) table->second->key = found->Text(row, size_t{2});
  }
  ask =
      "SELECT table_schema, table_name, table_rows, data_length FROM information_schema.tables "
      "WHERE table_type = 'BASE TABLE' AND " +
      InSchemas("table_schema", work.options.schemas);
  found = co_await AskMany(session, std::move(ask), work.deadline);
  if (!found) co_return Fail(found.error().Context("reading the sizes of the tables"));
  for (size_t row = 0; row < found->rows.size(); ++row) {
    auto table = by_name.find({found->Text(row, size_t{0}), found->Text(row, size_t{1})});
    if (table == by_name.end()) continue;
    table->second->rows = ParseUint(found->Text(row, size_t{2})).value_or(0);
    table->second->bytes = ParseUint(found->Text(row, size_t{3})).value_or(0);
  }
  co_return Status();
}

io::Task<Status> WriteTable(Work& work, mysql::Connection& session, const DumpTable& table,
                            bool sequence) {
  std::string ask = "SHOW CREATE TABLE " + table.Quoted();
  Result<mysql::QueryResult> made = co_await session.Query(std::move(ask), work.deadline);
  if (!made) co_return Fail(Told(table, made.error()));
  DumpRecord record;
  record.kind = DumpRecord::Kind::kTable;
  record.schema = table.schema;
  record.name = table.name;
  record.sql = made->Text(0, size_t{1});
  record.charset = "utf8mb4";
  record.collation = "utf8mb4_general_ci";
  Status written = co_await Write(work, record);
  if (!written || !sequence) co_return written;
  ask = "SELECT next_not_cached_value FROM " + table.Quoted();
  Result<mysql::QueryResult> next = co_await session.Query(std::move(ask), work.deadline);
  if (!next) co_return Fail(Told(table, next.error()));
  record.kind = DumpRecord::Kind::kSequence;
  record.sql = fmt::format("DO SETVAL({}, {}, 0)", table.Quoted(), next->Text(0, size_t{0}));
  written = co_await Write(work, std::move(record));
  co_return written;
}

// All of a part, into records.
io::Task<Status> ReadPart(Work& work, mysql::Connection& session, Part part) {
  const DumpTable& table = work.tables[part.table];
  mysql::RowStream stream(session);
  InsertWriter insert(table);
  std::deque<std::string> ready;
  std::function<void(const mysql::RowStream::Values&)> take = [&](const auto& row) {
    insert.Add(row);
    ++work.counted[part.table];
    if (insert.bytes() >= kInsertBytes) ready.push_back(insert.Take());
  };
  std::string select = SelectRows(table, part.where);
  Status begun = co_await stream.Begin(std::move(select), work.deadline);
  if (!begun) co_return begun;
  for (bool more = true; more;) {
    Result<bool> came = co_await stream.Next(take, work.deadline);
    if (!came) co_return Fail(Told(table, came.error()));
    more = *came;
    if (!more && insert.rows() > 0) ready.push_back(insert.Take());
    while (!ready.empty()) {
      DumpRecord record;
      record.kind = DumpRecord::Kind::kRows;
      record.schema = table.schema;
      record.name = table.name;
      record.sql = std::move(ready.front());
      ready.pop_front();
      Status written = co_await Write(work, std::move(record));
      if (!written) co_return written;
    }
  }
  co_return Status();
}

// From boundary to boundary along the primary key; each part may be read as soon as it is known.
io::Task<Status> CutOrdered(Work& work, mysql::Connection& session, size_t number) {
  const DumpTable& table = work.tables[number];
  const DumpColumn key = *table.Key();
  const uint64_t each = std::max<uint64_t>(
      1, table.rows / std::clamp<uint64_t>(table.bytes / work.options.part_bytes, 1, kPartsMax));
  std::string from;
  for (;;) {
    std::string ask = "SELECT " + KeyAsked(key) + " FROM " + table.Quoted();
    if (!from.empty()) ask += " WHERE " + QuoteIdentifier(key.name) + " > " + from;
    ask += fmt::format(" ORDER BY {} LIMIT 1 OFFSET {}", QuoteIdentifier(key.name), each);
    Result<mysql::QueryResult> found = co_await session.Query(std::move(ask), work.deadline);
    if (!found) co_return Fail(Told(table, found.error()));
    std::string before;
    if (!found->rows.empty()) before = KeyLiteral(key, found->Text(0, size_t{0}));
    work.parts.push_front({number, Between(table, from, before), true});
    work.changed.Pulse();
    if (before.empty()) co_return Status();
    from = before;
  }
}

io::Task<Status> Cut(Work& work, mysql::Connection& session, size_t number) {
  const DumpTable& table = work.tables[number];
  if (KeyKindOf(table) == KeyKind::kOrdered) {
    Status cut = co_await CutOrdered(work, session, number);
    co_return cut;
  }
  const std::string key = QuoteIdentifier(table.key);
  std::string ask = fmt::format("SELECT MIN({0}), MAX({0}) FROM {1}", key, table.Quoted());
  Result<mysql::QueryResult> ends = co_await session.Query(std::move(ask), work.deadline);
  if (!ends) co_return Fail(Told(table, ends.error()));
  const size_t count = std::min<size_t>(table.bytes / work.options.part_bytes + 1, kPartsMax);
  std::vector<std::string> cuts =
      CutIntegers(table, ends->Text(0, size_t{0}), ends->Text(0, size_t{1}), count);
  for (auto where = cuts.rbegin(); where != cuts.rend(); ++where)
    work.parts.push_front({number, std::move(*where), true});
  co_return Status();
}

io::Task<Status> ReadParts(Work& work, mysql::Connection& session) {
  while (work.failed) {
    if (work.parts.empty()) {
      if (work.cutting == 0) co_return Status();
      bool woken = co_await work.changed.Wait(Deadline::In(1s));
      (void)woken;
      continue;
    }
    Part part = std::move(work.parts.front());
    work.parts.pop_front();
    const DumpTable& table = work.tables[part.table];
    Status done;
    if (!part.cut && table.bytes > work.options.part_bytes && KeyKindOf(table) != KeyKind::kNone) {
      ++work.cutting;
      done = co_await Cut(work, session, part.table);
      --work.cutting;
      work.changed.Pulse();
    } else {
      done = co_await ReadPart(work, session, std::move(part));
    }
    // Or whoever alters a table that was read would wait for the end, and all who read it for him.
    if (done) done = co_await Run(session, "ROLLBACK TO SAVEPOINT snapshot", work.deadline);
    if (!done) co_return done;
  }
  co_return Status();
}

io::Task<void> Reader(Work& work, mysql::Connection& session) {
  Status done = co_await ReadParts(work, session);
  if (!done && work.failed) work.failed = done;
  --work.reading;
  work.changed.Pulse();
}

io::Task<Status> ReadAll(Work& work, std::vector<Session>& readers) {
  work.reading = readers.size();
  for (Session& session : readers) io::Detach(Reader(work, *session));
  while (work.reading > 0) {
    bool woken = co_await work.changed.Wait(Deadline::In(1s));
    if (work.failed && work.gate->closed())
      work.failed = Fail(Code::kCanceled, "the dump was given up");
    // Whoever takes it may have had enough while no rows come.
    if (work.failed && !woken && work.writing.TryLock()) {
      Status wanted = co_await work.sink->Write(std::string_view(), work.deadline);
      work.writing.Unlock();
      if (!wanted) work.failed = wanted;
    }
    if (work.failed) continue;
    for (Session& session : readers) session->Close();
  }
  co_return work.failed;
}

// What the lock is held for: snapshots, the position, the programs, and tables that have no
// snapshots.
io::Task<Status> Freeze(Work& work, mysql::Connection& session, std::vector<Session>& readers,
                        DumpReport& report, std::vector<std::string>& engines,
                        std::vector<DumpRecord>& programs) {
  Status done;
  for (size_t i = 0; i < readers.size() && done; ++i) {
    done = co_await Run(*readers[i], "START TRANSACTION WITH CONSISTENT SNAPSHOT", work.deadline);
    if (done) done = co_await Run(*readers[i], "SAVEPOINT snapshot", work.deadline);
  }
  if (!done) co_return Fail(done.error().Context("opening a snapshot"));
  Result<gtid::Set> position = co_await PositionOf(work, session);
  if (!position) co_return Fail(position.error());
  report.position = position->ToEncoded();
  auto listed = co_await ListTables(work, session);
  if (!listed) co_return Fail(listed.error());
  engines = std::move(*listed);
  auto found = co_await ReadPrograms(session, work.options.schemas, work.deadline);
  if (!found) co_return Fail(found.error());
  programs = std::move(*found);
  if (!work.options.accounts) co_return Status();
  found = co_await ReadAccounts(session, work.deadline);
  if (!found) co_return Fail(found.error());
  for (DumpRecord& account : *found) programs.push_back(std::move(account));
  co_return Status();
}

io::Task<Status> WriteDefinitions(Work& work, mysql::Connection& session, const DumpReport& report,
                                  const std::vector<std::string>& engines) {
  DumpRecord header = ToRecord({work.version.text, report.position});
  Status written = co_await Write(work, std::move(header));
  if (!written) co_return written;
  auto databases = co_await ReadDatabases(session, work.options.schemas, work.deadline);
  if (!databases) co_return Fail(databases.error());
  for (size_t i = 0; i < databases->size() && written; ++i)
    written = co_await Write(work, (*databases)[i]);
  if (written) written = co_await ReadColumns(work, session);
  for (size_t i = 0; i < work.tables.size() && written; ++i)
    written = co_await WriteTable(work, session, work.tables[i], engines[i] == "sequence");
  co_return written;
}

io::Task<Status> DumpAll(Work& work, std::vector<Session>& sessions, DumpReport& report) {
  mysql::Connection& session = *sessions.front();
  std::vector<Session> readers;
  for (size_t i = 1; i < sessions.size(); ++i) readers.push_back(std::move(sessions[i]));
  std::vector<std::string> engines;
  std::vector<DumpRecord> programs;
  co_await HoldDefinitions(session, work.deadline);
  Status done = co_await LockWrites(session, work.deadline);
  if (done) done = co_await Freeze(work, session, readers, report, engines, programs);
  const bool others = std::ranges::any_of(engines, [](const std::string& engine) {
    return engine != "innodb" && engine != "sequence";
  });
  bool defined = false;
  if (done && others) {
    done = co_await WriteDefinitions(work, session, report, engines);
    defined = true;
    work.counted.resize(work.tables.size());
    for (size_t i = 0; i < work.tables.size() && done; ++i) {
      Part whole{i, "", true};
      if (engines[i] != "innodb" && engines[i] != "sequence")
        done = co_await ReadPart(work, session, std::move(whole));
    }
  }
  if (done) done = co_await Run(session, "UNLOCK TABLES", work.deadline);
  if (done && !defined) done = co_await WriteDefinitions(work, session, report, engines);
  if (!done) co_return done;
  work.counted.resize(work.tables.size());
  std::vector<size_t> order;
  for (size_t i = 0; i < work.tables.size(); ++i) {
    if (engines[i] == "innodb") order.push_back(i);
  }
  std::ranges::stable_sort(
      order, [&work](size_t a, size_t b) { return work.tables[a].bytes > work.tables[b].bytes; });
  for (size_t number : order) work.parts.push_back({number, "", false});
  done = co_await ReadAll(work, readers);
  for (size_t i = 0; i < programs.size() && done; ++i)
    done = co_await Write(work, std::move(programs[i]));
  for (size_t i = 0; i < work.tables.size(); ++i) {
    report.rows += work.counted[i];
    if (engines[i] == "innodb")
      report.tables.push_back({work.tables[i].schema, work.tables[i].name, work.counted[i]});
  }
  DumpRecord end = EndRecord(report.rows);
  if (done) done = co_await Write(work, std::move(end));
  co_return done;
}

}  // namespace

io::Task<Result<DumpReport>> DumpServer(DumpOptions options, io::ByteSink& sink, io::Gate& gate,
                                        Deadline deadline) {
  Work work;
  work.sink = &sink;
  work.gate = &gate;
  work.deadline = deadline;
  work.options = std::move(options);
  std::vector<Session> sessions;
  for (size_t i = 0; i < work.options.readers + 1; ++i) {
    Result<Session> opened = co_await Open(work.options.server, deadline);
    if (!opened) co_return Fail(opened.error().Context("connecting to the server to be dumped"));
    sessions.push_back(std::move(*opened));
  }
  Result<mysqld::ServerVersion> version =
      mysqld::ParseVersionText(sessions.front()->server_version());
  if (!version) co_return Fail(version.error());
  work.version = *version;
  DumpReport report;
  report.server_version = version->text;
  Status done = co_await DumpAll(work, sessions, report);
  if (!done) co_return Fail(done.error());
  co_return report;
}

}  // namespace paceline::backup
