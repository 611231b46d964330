#include "backup/dump_programs.h"

#include "base/strings.h"

namespace paceline::backup {
namespace {

using Kind = DumpRecord::Kind;
using Records = std::vector<DumpRecord>;

struct Program {
  Kind kind;
  std::string type;  // "PROCEDURE"
  std::string schema, name;
};

// The columns of SHOW CREATE differ from one kind to the next by their names alone.
DumpRecord Read(const Program& program, const mysql::QueryResult& shown) {
  DumpRecord record;
  record.kind = program.kind;
  record.schema = program.schema;
  record.name = program.name;
  for (const char* column : {"Create Procedure", "Create Function", "Create View",
                             "SQL Original Statement", "Create Event"}) {
    if (shown.Find(column)) record.sql = shown.Text(0, column);
  }
  record.sql_mode = shown.Text(0, "sql_mode");
  record.charset = shown.Text(0, "character_set_client");
  record.collation = shown.Text(0, "collation_connection");
  record.time_zone = shown.Text(0, "time_zone");
  return record;
}

io::Task<Result<std::vector<Program>>> List(mysql::Connection& session, Kind kind, std::string sql,
                                            Deadline deadline) {
  mysql::QueryLimits limits;
  limits.rows_max = 1'000'000;
  Result<mysql::QueryResult> found = co_await session.Query(std::move(sql), deadline, limits);
  if (!found)
    co_return Fail(found.error().Context(fmt::format("listing each {}", DumpKindName(kind))));
  std::vector<Program> programs;
  for (size_t row = 0; row < found->rows.size(); ++row) {
    programs.push_back({kind, found->Text(row, size_t{0}), found->Text(row, size_t{1}),
                        found->Text(row, size_t{2})});
  }
  co_return programs;
}

io::Task<Result<DumpRecord>> Show(mysql::Connection& session, Program program, Deadline deadline) {
  std::string ask = fmt::format("SHOW CREATE {} {}.{}", program.type,
                                QuoteIdentifier(program.schema), QuoteIdentifier(program.name));
  Result<mysql::QueryResult> shown = co_await session.Query(std::move(ask), deadline);
  const std::string what =
      fmt::format("{} {}.{}", DumpKindName(program.kind), program.schema, program.name);
  if (!shown) co_return Fail(shown.error().Context("reading " + what));
  DumpRecord record = Read(program, *shown);
  // MySQL and MariaDB show NULL to whom they do not trust.
  if (record.sql.empty())
    co_return Fail(Code::kPermissionDenied, "this account may not read {}", what);
  co_return record;
}

}  // namespace

std::string InSchemas(const std::string& column, const std::vector<std::string>& schemas) {
  if (schemas.empty()) {
    return column + " NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')";
  }
  std::vector<std::string> quoted;
  for (const std::string& schema : schemas) quoted.push_back(QuoteText(schema));
  return column + " IN (" + Join(quoted, ", ") + ")";
}

io::Task<Result<Records>> ReadDatabases(mysql::Connection& session,
                                        std::vector<std::string> schemas, Deadline deadline) {
  std::string ask = "SELECT schema_name FROM information_schema.schemata WHERE " +
                    InSchemas("schema_name", schemas) + " ORDER BY schema_name";
  Result<mysql::QueryResult> found = co_await session.Query(std::move(ask), deadline);
  if (!found) co_return Fail(found.error().Context("listing the databases"));
  Records records;
  for (size_t row = 0; row < found->rows.size(); ++row) {
    std::string name = found->Text(row, size_t{0});
    ask = "SHOW CREATE DATABASE IF NOT EXISTS " + QuoteIdentifier(name);
    Result<mysql::QueryResult> shown = co_await session.Query(std::move(ask), deadline);
    if (!shown) co_return Fail(shown.error().Context("reading database " + name));
    DumpRecord record;
    record.kind = Kind::kDatabase;
    record.name = name;
    record.sql = shown->Text(0, size_t{1});
    record.charset = "utf8mb4";
    record.collation = "utf8mb4_general_ci";
    records.push_back(std::move(record));
  }
  co_return records;
}

io::Task<Result<Records>> ReadPrograms(mysql::Connection& session, std::vector<std::string> schemas,
                                       Deadline deadline) {
  struct Asked {
    Kind kind;
    std::string sql;
  };
  std::vector<Asked> asked;
  asked.push_back({Kind::kRoutine,
                   "SELECT routine_type, routine_schema, routine_name FROM "
                   "information_schema.routines WHERE routine_type IN ('PROCEDURE', 'FUNCTION') "
                   "AND " +
                       InSchemas("routine_schema", schemas) + " ORDER BY 2, 1, 3"});
  asked.push_back({Kind::kView,
                   "SELECT 'VIEW', table_schema, table_name FROM information_schema.tables WHERE "
                   "table_type = 'VIEW' AND " +
                       InSchemas("table_schema", schemas) + " ORDER BY 2, 3"});
  // Those of one event run in this order.
  asked.push_back({Kind::kTrigger,
                   "SELECT 'TRIGGER', trigger_schema, trigger_name FROM "
                   "information_schema.triggers WHERE " +
                       InSchemas("trigger_schema", schemas) +
                       " ORDER BY trigger_schema, event_object_table, event_manipulation, "
                       "action_timing, action_order"});
  asked.push_back({Kind::kEvent,
                   "SELECT 'EVENT', event_schema, event_name FROM information_schema.events WHERE "
                   "" + InSchemas("event_schema", schemas) +
                       " ORDER BY 2, 3"});
  Records records;
  for (size_t i = 0; i < asked.size(); ++i) {
    auto listed = co_await List(session, asked[i].kind, std::move(asked[i].sql), deadline);
    if (!listed) co_return Fail(listed.error());
    for (size_t one = 0; one < listed->size(); ++one) {
      Result<DumpRecord> record = co_await Show(session, std::move((*listed)[one]), deadline);
      if (!record) co_return Fail(record.error());
      records.push_back(std::move(*record));
    }
  }
  co_return records;
}

io::Task<Result<Records>> ReadAccounts(mysql::Connection& session, Deadline deadline) {
  const bool mariadb = session.is_mariadb();
  std::string ask = mariadb ? "SELECT user, host, is_role FROM mysql.user WHERE user NOT IN ('', "
                              "'mariadb.sys') ORDER BY is_role DESC, 1, 2"
                            : "SELECT user, host, 'N' FROM mysql.user WHERE user NOT IN ('', "
                              "'mysql.sys', 'mysql.session', 'mysql.infoschema') ORDER BY 1, 2";
  Result<mysql::QueryResult> found = co_await session.Query(std::move(ask), deadline);
  if (!found) co_return Fail(found.error().Context("listing the accounts"));
  Records made, grants;
  for (size_t row = 0; row < found->rows.size(); ++row) {
    const bool role = found->Text(row, size_t{2}) == "Y";
    std::string account = QuoteText(found->Text(row, size_t{0}));
    if (!role) account += "@" + QuoteText(found->Text(row, size_t{1}));
    DumpRecord record;
    record.kind = Kind::kAccount;
    record.name = account;
    record.charset = "utf8mb4";
    record.collation = "utf8mb4_general_ci";
    record.sql = "CREATE ROLE " + account;
    if (!role) {
      ask = "SHOW CREATE USER " + account;
      Result<mysql::QueryResult> shown = co_await session.Query(std::move(ask), deadline);
      if (!shown) co_return Fail(shown.error().Context("reading account " + account));
      record.sql = shown->Text(0, size_t{0});
    }
    made.push_back(record);
    ask = "SHOW GRANTS FOR " + account;
    Result<mysql::QueryResult> allowed = co_await session.Query(std::move(ask), deadline);
    if (!allowed) co_return Fail(allowed.error().Context("reading what " + account + " may do"));
    for (size_t i = 0; i < allowed->rows.size(); ++i) {
      record.sql = allowed->Text(i, size_t{0});
      grants.push_back(record);
    }
  }
  for (DumpRecord& grant : grants) made.push_back(std::move(grant));
  co_return made;
}

}  // namespace paceline::backup
