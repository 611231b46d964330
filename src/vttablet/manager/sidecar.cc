#include "vttablet/manager/sidecar.h"

#include <set>

#include "base/strings.h"

namespace paceline::vttablet {
namespace {

constexpr uint16_t kNoSuchTable = 1146, kNoSuchDatabase = 1049, kNoSuchColumn = 1054;

struct Column {
  std::string_view name, definition;
};
struct Table {
  std::string_view name;
  std::vector<Column> columns;
  std::string_view key;
};

// What this version needs. What a table has besides, of Vitess or of a later version, stays.
const std::vector<Table>& Wanted() {
  static const std::vector<Table> kTables = {
      {"reparent_journal",
       {{"time_created_ns", "bigint unsigned NOT NULL"},
        {"action_name", "varbinary(250) NOT NULL"},
        {"primary_alias", "varbinary(32) NOT NULL"},
        {"replication_position", "varbinary(64000) DEFAULT NULL"},
        {"term", "bigint unsigned NOT NULL DEFAULT 0"}},
       "time_created_ns"},
      {"heartbeat",
       {{"keyspaceShard", "varbinary(256) NOT NULL"},
        {"tabletUid", "int unsigned NOT NULL"},
        {"ts", "bigint unsigned NOT NULL"}},
       "keyspaceShard"},
      // Ours: what promotions proved about writes in flight (manager/evidence.h).
      {"promotion_evidence",
       {{"term", "bigint unsigned NOT NULL"}, {"evidence", "longblob NOT NULL"}},
       "term"},
  };
  return kTables;
}

// What makes of what is there what is wanted. `known`: "table.column" in lower case.
std::vector<std::string> Upgrades(std::string_view database, const std::set<std::string>& known) {
  std::vector<std::string> statements;
  for (const Table& table : Wanted()) {
    const std::string name = QuoteIdentifier(database) + "." + QuoteIdentifier(table.name);
    std::vector<std::string> missing;
    for (const Column& column : table.columns) {
      if (known.contains(Lower(fmt::format("{}.{}", table.name, column.name)))) continue;
      missing.push_back(fmt::format("{} {}", QuoteIdentifier(column.name), column.definition));
    }
    if (missing.size() == table.columns.size()) {
      missing.push_back(fmt::format("PRIMARY KEY ({})", QuoteIdentifier(table.key)));
      statements.push_back(fmt::format("CREATE TABLE IF NOT EXISTS {} ({}) ENGINE=InnoDB", name,
                                       Join(missing, ", ")));
    } else if (!missing.empty()) {
      statements.push_back(
          fmt::format("ALTER TABLE {} ADD COLUMN {}", name, Join(missing, ", ADD COLUMN ")));
    }
  }
  return statements;
}

// The statements that CreateSidecar runs.
io::Task<Result<std::vector<std::string>>> MissingFrom(mysqld::Admin& admin, std::string database,
                                                       Deadline deadline) {
  std::string ask =
      "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = " +
      QuoteText(database);
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(ask), deadline);
  if (!rows) co_return Fail(rows.error());
  std::set<std::string> known;
  for (size_t i = 0; i < rows->rows.size(); ++i)
    known.insert(Lower(rows->Text(i, size_t{0}) + "." + rows->Text(i, size_t{1})));
  std::vector<std::string> statements = Upgrades(database, known);
  if (!statements.empty()) {
    statements.insert(statements.begin(),
                      "CREATE DATABASE IF NOT EXISTS " + QuoteIdentifier(database));
  }
  co_return statements;
}

io::Task<Result<bool>> IsThere(mysqld::Admin& admin, std::string name, Deadline deadline) {
  std::string ask =
      "SELECT 1 FROM information_schema.schemata WHERE schema_name = " + QuoteText(name);
  Result<mysql::QueryResult> there = co_await admin.Query(std::move(ask), deadline);
  if (!there) co_return Fail(there.error());
  co_return !there->rows.empty();
}

}  // namespace

io::Task<Status> CreateSidecar(mysqld::Admin& admin, std::string database, Deadline deadline) {
  Result<std::vector<std::string>> statements = co_await MissingFrom(admin, database, deadline);
  if (!statements) co_return Fail(statements.error());
  if (statements->empty()) co_return Status();
  Status made = co_await admin.Run(std::move(*statements), deadline);
  if (!made) co_return Fail(made.error().Context("creating the tables of " + database));
  co_return Status();
}

io::Task<Status> CreateDatabase(mysqld::Admin& admin, std::string name, Deadline deadline) {
  Result<bool> there = co_await IsThere(admin, name, deadline);
  if (there && *there) co_return Status();
  std::string sql = "CREATE DATABASE IF NOT EXISTS " + QuoteIdentifier(name);
  Result<mysql::QueryResult> made = co_await admin.Query(std::move(sql), deadline);
  if (!made) co_return Fail(made.error().Context("creating the keyspace's database"));
  co_return Status();
}

io::Task<bool> DatabaseComplete(mysqld::Admin& admin, std::string sidecar, std::string name,
                                Deadline deadline) {
  Result<std::vector<std::string>> missing =
      co_await MissingFrom(admin, std::move(sidecar), deadline);
  if (!missing || !missing->empty()) co_return false;
  Result<bool> there = co_await IsThere(admin, std::move(name), deadline);
  if (!there) co_return false;
  co_return *there;
}

io::Task<Status> WriteJournal(mysqld::Admin& admin, std::string database, JournalEntry entry,
                              std::vector<std::string> more, Deadline deadline) {
  std::string sql = fmt::format(
      "INSERT INTO {}.reparent_journal (time_created_ns, action_name, primary_alias, "
      "replication_position, term) VALUES "
      "({}, {}, {}, {}, {})",
      QuoteIdentifier(database), entry.created_ns, QuoteText(entry.action),
      QuoteText(entry.primary_alias), QuoteText(entry.position), entry.term);
  std::vector<std::string> statements = {"START TRANSACTION", std::move(sql)};
  for (std::string& one : more) statements.push_back(std::move(one));
  statements.emplace_back("COMMIT");
  Status done = co_await admin.Run(std::move(statements), deadline);
  if (!done) co_return Fail(done.error().Context("writing the reparent journal"));
  co_return Status();
}

io::Task<Result<JournalEntry>> ReadJournal(mysqld::Admin& admin, std::string database,
                                           Deadline deadline) {
  std::string sql =
      "SELECT term, action_name, primary_alias, replication_position, time_created_ns FROM " +
      QuoteIdentifier(database) +
      ".reparent_journal ORDER BY term DESC, time_created_ns DESC LIMIT 1";
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(sql), deadline);
  JournalEntry entry;
  if (!rows) {
    uint16_t number = rows.error().mysql_errno();
    bool none = rows.error().from_mysql() &&
                (number == kNoSuchTable || number == kNoSuchDatabase || number == kNoSuchColumn);
    if (none) co_return entry;
    co_return Fail(rows.error());
  }
  if (rows->rows.empty()) co_return entry;
  entry.term = ParseUint(rows->Text(0, size_t{0})).value_or(0);
  entry.action = rows->Text(0, size_t{1});
  entry.primary_alias = rows->Text(0, size_t{2});
  entry.position = rows->Text(0, size_t{3});
  entry.created_ns = ParseInt(rows->Text(0, size_t{4})).value_or(0);
  co_return entry;
}

}  // namespace paceline::vttablet
