#include "vttablet/manager/import_copy.h"

#include <algorithm>
#include <deque>
#include <functional>

#include "base/log.h"
#include "base/quantity.h"
#include "base/strings.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "io/together.h"
#include "mysql/client/row_stream.h"

namespace paceline::vttablet {
namespace {

using Kind = ImportObject::Kind;

constexpr Duration kSilence = std::chrono::minutes(5);  // of a server in the middle of a copy
constexpr Duration kSchemaMax = std::chrono::minutes(30);
constexpr int kLockTries = 10;
constexpr size_t kInsertBytes = 1 << 20;
constexpr size_t kInsertRows = 5000;

}  // namespace

io::Task<Result<ImportCopy::Connection>> ImportCopy::OpenSource() {
  mysql::ConnectOptions options = options_.source;
  options.init_statements = ImportSessionStatements();
  // The reader stands still while the tablet writes.
  options.init_statements.emplace_back(
      "SET SESSION net_write_timeout = 3600, wait_timeout = 28800, "
      "lock_wait_timeout = 2");
  options.init_statements.emplace_back("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  Result<Connection> opened = co_await mysql::Connection::Connect(options, Deadline::In(20s));
  if (!opened) co_return Fail(opened.error().Context("connecting to the source"));
  co_return std::move(*opened);
}

io::Task<Result<ImportCopy::Connection>> ImportCopy::OpenTarget() {
  mysql::ConnectOptions options = options_.target;
  options.init_statements = ImportSessionStatements();
  options.init_statements.emplace_back("SET SESSION sql_log_bin = 0, wait_timeout = 28800");
  if (options_.flavor == gtid::Flavor::kMysql) {
    options.init_statements.emplace_back(
        "SET SESSION sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0");
  }
  Result<Connection> opened = co_await mysql::Connection::Connect(options, Deadline::In(20s));
  if (!opened) co_return Fail(opened.error().Context("connecting to the tablet's mysqld"));
  co_return std::move(*opened);
}

io::Task<Result<gtid::Set>> ImportCopy::Run() {
  options_.told("reading the schema");
  Result<Connection> control = co_await OpenSource();
  if (!control) co_return Fail(control.error());
  Result<Connection> target = co_await OpenTarget();
  if (!target) co_return Fail(target.error());
  Result<ImportSchema> schema = co_await ReadImportSchema(**control, Deadline::In(kSchemaMax));
  if (!schema) co_return Fail(schema.error());
  schema_ = *std::move(schema);
  for (const ImportObject& object : schema_.objects) {
    if (object.kind == Kind::kTable) tables_.push_back(&object);
  }
  std::ranges::stable_sort(tables_, std::greater<>(), &ImportObject::bytes);
  Status accounts = co_await MakeAccounts(**control, **target);
  if (!accounts) co_return Fail(accounts.error());
  for (Kind kind : {Kind::kDatabase, Kind::kSequence, Kind::kTable}) {
    Status made = co_await MakeObjects(**target, schema_, kind, Deadline::In(kSchemaMax));
    if (!made) co_return Fail(made.error());
  }
  const size_t sessions = std::clamp<size_t>(tables_.size(), 1, options_.sessions);
  for (size_t i = 0; i < sessions; ++i) {
    Result<Connection> from = co_await OpenSource();
    if (!from) co_return Fail(from.error());
    from_.push_back(std::move(*from));
    Result<Connection> to = co_await OpenTarget();
    if (!to) co_return Fail(to.error());
    to_.push_back(std::move(*to));
  }
  Result<gtid::Set> position = co_await BeginSnapshots(**control);
  if (!position) co_return Fail(position.error());
  Status copied = co_await CopyTables();
  if (!copied) co_return Fail(copied.error());
  Result<ImportSchema> after = co_await ReadImportSchema(**control, Deadline::In(kSchemaMax));
  if (!after) co_return Fail(after.error());
  std::string differs = schema_.DiffersFrom(*after);
  if (!differs.empty()) {
    co_return Fail(Code::kAborted, "{} was made, changed or dropped at the source during the copy",
                   differs);
  }
  for (Kind kind : {Kind::kRoutine, Kind::kView, Kind::kTrigger, Kind::kEvent}) {
    // Views are made only where those who made them may read what they show.
    Status granted;
    if (kind == Kind::kView) granted = co_await GrantRights(**control, **target);
    if (!granted) co_return Fail(granted.error());
    Status made = co_await MakeObjects(**target, schema_, kind, Deadline::In(kSchemaMax));
    if (!made) co_return Fail(made.error());
  }
  Status granted = co_await GrantRights(**control, **target);  // those on views as well
  if (!granted) co_return Fail(granted.error());
  co_return position;
}

// A long statement would make the lock wait, and every write behind it: it is given up after two
// seconds, and asked for again.
io::Task<Result<gtid::Set>> ImportCopy::BeginSnapshots(mysql::Connection& control) {
  options_.told("waiting for a moment without long statements at the source");
  for (int tries = 1;; ++tries) {
    Result<gtid::Set> position = co_await SnapshotsUnderLock(control);
    std::string unlock = "UNLOCK TABLES";
    Result<mysql::QueryResult> unlocked =
        co_await control.Query(std::move(unlock), Deadline::In(5s));
    if (!unlocked) control.Close();  // which unlocks as well
    if (position && !unlocked) co_return Fail(unlocked.error().Context("unlocking the source"));
    constexpr uint16_t kLockWaitTimeout = 1205;
    bool waited = !position && position.error().mysql_errno() == kLockWaitTimeout;
    if (!waited) co_return position;
    if (tries >= kLockTries) {
      co_return Fail(Code::kDeadlineExceeded,
                     "FLUSH TABLES WITH READ LOCK at the source waited {} times for statements "
                     "that run longer than 2 s: see its SHOW PROCESSLIST, and end them",
                     tries);
    }
    co_await io::SleepUntil(Deadline::In(3s));
  }
}

io::Task<Result<gtid::Set>> ImportCopy::SnapshotsUnderLock(mysql::Connection& control) {
  Deadline deadline = Deadline::In(10s);
  std::string sql = "FLUSH TABLES WITH READ LOCK";
  Result<mysql::QueryResult> locked = co_await control.Query(std::move(sql), deadline);
  if (!locked) co_return Fail(locked.error());
  for (Connection& from : from_) {
    sql = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
    Result<mysql::QueryResult> begun = co_await from->Query(std::move(sql), deadline);
    if (!begun) co_return Fail(begun.error().Context("beginning a snapshot"));
  }
  sql = options_.position_query;
  Result<mysql::QueryResult> rows = co_await control.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("reading the source's position"));
  gtid::Set position(options_.flavor);
  for (size_t column = 0; column < rows->columns.size(); ++column) {
    Result<gtid::Set> part = gtid::Set::Parse(options_.flavor, rows->Text(0, column));
    if (!part) co_return Fail(part.error().Context("reading the source's position"));
    position = position.Union(*part);
  }
  if (position.Empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "the source has not written a transaction to its binary log yet, so there is "
                   "no position to begin from: write one");
  }
  co_return position;
}

io::Task<Status> ImportCopy::CopyTables() {
  io::Together workers;
  for (size_t session = 0; session < from_.size(); ++session) workers.Start(CopySome(session));
  co_await workers.Wait();
  if (!failed_) co_return failed_;
  Status sequences = co_await CopySequences(*to_.front());
  co_return sequences;
}

void ImportCopy::Tell() {
  options_.told(fmt::format("{} of {} tables, {} rows, {}", done_, tables_.size(), rows_,
                            BytesText(static_cast<double>(bytes_))));
}

io::Task<void> ImportCopy::CopySome(size_t session) {
  while (next_ < tables_.size() && failed_) {
    const ImportObject& object = *tables_[next_++];
    Status copied = co_await CopyTable(*from_[session], *to_[session], object);
    if (copied) {
      ++done_;
    } else if (failed_) {
      failed_ = Fail(copied.error().Context("copying " + object.table.Quoted()));
    }
  }
}

io::Task<Status> ImportCopy::CopyTable(mysql::Connection& from, mysql::Connection& to,
                                       const ImportObject& object) {
  mysql::RowStream rows(from);
  const std::string head = InsertHead(object.table);
  struct Insert {
    std::string sql;
    size_t rows = 0;
  };
  std::deque<Insert> ready(1);  // the last one is being filled
  std::function<void(const mysql::RowStream::Values&)> take = [&](const auto& row) {
    Insert& insert = ready.back();
    insert.sql += insert.rows++ == 0 ? head : ",";
    AppendRow(object.table, row, &insert.sql);
    if (insert.sql.size() >= kInsertBytes || insert.rows >= kInsertRows) ready.emplace_back();
  };
  std::string select = SelectRows(object.table);
  Status begun = co_await rows.Begin(std::move(select), Deadline::In(kSilence));
  if (!begun) co_return begun;
  for (bool more = true; more;) {
    Result<bool> came = co_await rows.Next(take, Deadline::In(kSilence));
    if (!came) co_return Fail(came.error());
    more = *came;
    while (ready.size() > 1 || (!more && ready.front().rows > 0)) {
      if (options_.canceled()) co_return Fail(Code::kCanceled, "the import was canceled");
      if (!failed_) co_return failed_;
      Insert insert = std::move(ready.front());
      ready.pop_front();
      if (ready.empty()) ready.emplace_back();
      rows_ += insert.rows;
      bytes_ += insert.sql.size();
      Tell();
      Result<mysql::QueryResult> written =
          co_await to.Query(std::move(insert.sql), Deadline::In(kSilence));
      if (!written) co_return Fail(written.error());
    }
  }
  co_return Status();
}

io::Task<Status> ImportCopy::CopySequences(mysql::Connection& to) {
  for (const ImportObject& object : schema_.objects) {
    if (object.kind != Kind::kSequence) continue;
    std::string name = QuoteIdentifier(object.database) + "." + QuoteIdentifier(object.name);
    std::string ask = "SELECT next_not_cached_value FROM " + name;
    Result<mysql::QueryResult> value =
        co_await from_.front()->Query(std::move(ask), Deadline::In(20s));
    if (!value) co_return Fail(value.error().Context("reading sequence " + name));
    std::string set = fmt::format("SELECT SETVAL({}, {}, 0)", name, value->Text(0, size_t{0}));
    Result<mysql::QueryResult> done = co_await to.Query(std::move(set), Deadline::In(20s));
    if (!done) co_return Fail(done.error().Context("setting sequence " + name));
  }
  co_return Status();
}

// The source's accounts, locked: views, routines and triggers run with the rights of those who made
// them, and replicated statements about accounts must find them.
io::Task<Status> ImportCopy::MakeAccounts(mysql::Connection& from, mysql::Connection& to) {
  const std::string all = "SELECT user, host FROM mysql.user WHERE host <> '' AND user <> ''";
  std::string sql = all;
  Result<mysql::QueryResult> theirs = co_await from.Query(std::move(sql), Deadline::In(20s));
  if (!theirs) co_return Fail(theirs.error().Context("reading the source's accounts"));
  sql = all;
  Result<mysql::QueryResult> ours = co_await to.Query(std::move(sql), Deadline::In(20s));
  if (!ours) co_return Fail(ours.error());
  std::vector<std::string> there;
  for (size_t i = 0; i < ours->rows.size(); ++i)
    there.push_back(QuoteAccount(ours->Text(i, size_t{0}), ours->Text(i, size_t{1})));
  for (size_t i = 0; i < theirs->rows.size(); ++i) {
    std::string account = QuoteAccount(theirs->Text(i, size_t{0}), theirs->Text(i, size_t{1}));
    bool system = theirs->Text(i, size_t{0}).starts_with("mysql.") ||
                  theirs->Text(i, size_t{0}) == "mariadb.sys";
    if (system || std::ranges::find(there, account) != there.end()) continue;
    sql = "CREATE USER " + account + " ACCOUNT LOCK";
    Result<mysql::QueryResult> created = co_await to.Query(std::move(sql), Deadline::In(20s));
    if (!created) co_return Fail(created.error().Context("making the account " + account));
    accounts_.push_back(account);
  }
  co_return Status();
}

// Once there is what the rights are on; may be run again.
io::Task<Status> ImportCopy::GrantRights(mysql::Connection& from, mysql::Connection& to) {
  for (const std::string& account : accounts_) {
    std::string sql = "SHOW GRANTS FOR " + account;
    Result<mysql::QueryResult> grants = co_await from.Query(std::move(sql), Deadline::In(20s));
    const bool none = !grants && grants.error().from_mysql();  // an account that may do nothing
    if (none) continue;
    if (!grants) co_return Fail(grants.error().Context("reading the rights of " + account));
    for (size_t i = 0; i < grants->rows.size(); ++i) {
      sql = grants->Text(i, size_t{0});
      Result<mysql::QueryResult> granted = co_await to.Query(std::move(sql), Deadline::In(20s));
      // On what this server does not have or know.
      if (!granted) LOG_INFO("{}: {}", account, granted.error().message());
    }
  }
  co_return Status();
}

}  // namespace paceline::vttablet
