#include "vttablet/manager/sidecar.h"

#include "base/strings.h"

namespace paceline::vttablet {
namespace {

constexpr uint16_t kNoSuchTable = 1146, kNoSuchDatabase = 1049, kNoSuchColumn = 1054;

}  // namespace

io::Task<Status> CreateSidecar(mysqld::Admin& admin, std::string database, Deadline deadline) {
  std::string db = QuoteIdentifier(database);
  std::string known_sql = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = " +
                          QuoteText(database) +
                          " AND ((table_name = 'reparent_journal' AND column_name = 'term') OR "
                          "(table_name = 'heartbeat' AND column_name = 'ts') OR "
                          "(table_name = 'promotion_evidence' AND column_name = 'evidence'))";
  Result<mysql::QueryResult> known = co_await admin.Query(known_sql, deadline);
  if (!known) co_return Fail(known.error());
  if (known->Text(0, size_t{0}) == "3") co_return Status();
  std::vector<std::string> statements;
  statements.push_back("CREATE DATABASE IF NOT EXISTS " + db);
  statements.push_back(
      "CREATE TABLE IF NOT EXISTS " + db +
      ".reparent_journal (time_created_ns bigint unsigned NOT NULL, action_name varbinary(250) NOT "
      "NULL, "
      "primary_alias varbinary(32) NOT NULL, replication_position varbinary(64000) DEFAULT NULL, "
      "PRIMARY KEY (time_created_ns)) ENGINE=InnoDB");
  statements.push_back("CREATE TABLE IF NOT EXISTS " + db +
                       ".heartbeat (keyspaceShard varbinary(256) NOT NULL, tabletUid int unsigned "
                       "NOT NULL, ts bigint "
                       "unsigned NOT NULL, PRIMARY KEY (keyspaceShard)) ENGINE=InnoDB");
  // Ours: what promotions proved about writes in flight (manager/evidence.h).
  statements.push_back("CREATE TABLE IF NOT EXISTS " + db +
                       ".promotion_evidence (term bigint unsigned NOT NULL, evidence longblob NOT "
                       "NULL, PRIMARY KEY (term)) ENGINE=InnoDB");
  std::string term_sql = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = " +
                         QuoteText(database) +
                         " AND table_name = 'reparent_journal' AND column_name = 'term'";
  Result<mysql::QueryResult> term = co_await admin.Query(term_sql, deadline);
  if (!term) co_return Fail(term.error());
  if (term->Text(0, size_t{0}) == "0") {
    statements.push_back("ALTER TABLE " + db +
                         ".reparent_journal ADD COLUMN term bigint unsigned NOT NULL DEFAULT 0");
  }
  Status made = co_await admin.Run(std::move(statements), deadline);
  if (!made) co_return Fail(made.error().Context("creating the tables of " + database));
  co_return Status();
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
