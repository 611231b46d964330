#include "backup/table_check.h"

#include <algorithm>

#include "base/strings.h"
#include "gtid/set.h"
#include "io/blocking.h"
#include "mysqld/rows_between.h"

namespace paceline::backup {
namespace {

// More than what is written while a snapshot is opened.
constexpr uint64_t kLogBytesMax = uint64_t{64} << 20;

std::string Quoted(const std::string& schema, const std::string& table) {
  return QuoteIdentifier(schema) + "." + QuoteIdentifier(table);
}

io::Task<Result<std::vector<TableRows>>> ListTables(mysql::Connection& connection,
                                                    std::string condition, Deadline deadline) {
  std::string ask =
      "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE "
      "TABLE' AND table_schema NOT IN ('information_schema', 'performance_schema', 'sys'" +
      condition + " ORDER BY table_schema, table_name";
  mysql::QueryLimits limits;
  limits.rows_max = 10'000'000;
  Result<mysql::QueryResult> found = co_await connection.Query(std::move(ask), deadline, limits);
  if (!found) co_return Fail(found.error().Context("listing the tables"));
  std::vector<TableRows> tables;
  for (size_t row = 0; row < found->rows.size(); ++row)
    tables.push_back({found->Text(row, size_t{0}), found->Text(row, size_t{1}), std::nullopt});
  co_return tables;
}

io::Task<Result<std::optional<uint64_t>>> CountOne(mysql::Connection& connection, TableRows table,
                                                   Deadline deadline) {
  std::string ask = "SELECT COUNT(*) FROM " + Quoted(table.schema, table.table);
  Result<mysql::QueryResult> counted = co_await connection.Query(std::move(ask), deadline);
  if (counted) co_return ParseUint(counted->Text(0, size_t{0}));
  // It went, or has another definition than the snapshot's; what else mysqld says is as little a
  // number.
  if (counted.error().from_mysql()) co_return std::optional<uint64_t>();
  co_return Fail(
      counted.error().Context("counting the rows of " + Quoted(table.schema, table.table)));
}

// What CHECK TABLE says of one; empty: it is whole.
io::Task<Result<std::string>> CheckOne(mysql::Connection& connection, TableRows table,
                                       Deadline deadline) {
  std::string ask = "CHECK TABLE " + Quoted(table.schema, table.table);
  Result<mysql::QueryResult> checked = co_await connection.Query(std::move(ask), deadline);
  if (!checked && checked.error().from_mysql()) co_return checked.error().message();
  if (!checked)
    co_return Fail(checked.error().Context("checking " + Quoted(table.schema, table.table)));
  std::string fault;
  for (size_t row = 0; row < checked->rows.size(); ++row) {
    std::string type = Lower(checked->Text(row, "Msg_type")), text = checked->Text(row, "Msg_text");
    bool bad = type == "error" ||
               (type == "status" && text != "OK" && text != "Table is already up to date");
    if (bad) fault += (fault.empty() ? "" : "; ") + text;
  }
  co_return fault;
}

}  // namespace

io::Task<Result<std::vector<TableRows>>> CountRows(mysql::Connection& connection, Deadline until) {
  Deadline listing = Deadline::In(60s);
  Result<std::vector<TableRows>> tables =
      co_await ListTables(connection, ", 'mysql') AND engine = 'InnoDB'", listing);
  if (!tables) co_return tables;
  for (TableRows& table : *tables) {
    if (until.Passed(io::Loop::Current().Now())) break;
    Result<std::optional<uint64_t>> rows = co_await CountOne(connection, table, until);
    // A connection that was left in the middle answers no more.
    if (!rows && rows.error().code() == Code::kDeadlineExceeded) break;
    if (!rows) co_return Fail(rows.error());
    table.rows = *rows;
  }
  co_return tables;
}

io::Task<Result<std::vector<TableRows>>> CountRowsAt(mysql::Connection& connection,
                                                     std::string position, std::string log_index,
                                                     Deadline until) {
  std::string ask = "START TRANSACTION WITH CONSISTENT SNAPSHOT";
  Result<mysql::QueryResult> done = co_await connection.Query(std::move(ask), until);
  if (!done) co_return Fail(done.error().Context("opening a snapshot"));
  ask = "SHOW STATUS LIKE 'binlog_snapshot_%'";
  Result<mysql::QueryResult> at = co_await connection.Query(std::move(ask), until);
  if (!at) co_return Fail(at.error().Context("the snapshot's position"));
  std::string file, offset;
  for (size_t row = 0; row < at->rows.size(); ++row) {
    std::string name = Lower(at->Text(row, size_t{0}));
    if (name == "binlog_snapshot_file") file = at->Text(row, size_t{1});
    if (name == "binlog_snapshot_position") offset = at->Text(row, size_t{1});
  }
  if (file.empty() || !ParseUint(offset)) co_return std::vector<TableRows>();  // no binary log
  ask = fmt::format("SELECT BINLOG_GTID_POS({}, {})", QuoteText(file), offset);
  Result<mysql::QueryResult> gtids = co_await connection.Query(std::move(ask), until);
  if (!gtids) co_return Fail(gtids.error().Context("the snapshot's position"));
  Result<gtid::Set> from = gtid::Set::ParseEncoded(position);
  if (!from) co_return Fail(from.error());
  Result<gtid::Set> to = gtid::Set::Parse(gtid::Flavor::kMariadb, gtids->Text(0, size_t{0}));
  if (!to) co_return Fail(to.error());
  using Growth = Result<std::optional<mysqld::RowGrowth>>;
  std::function<Growth()> read = [log_index, from = *from, to = *to] {
    return mysqld::RowsBetween(log_index, from, to, kLogBytesMax);
  };
  Growth growth = co_await io::RunBlocking<Growth>(std::move(read));
  if (!growth) co_return Fail(growth.error().Context("what was written since the backup"));
  if (!*growth) co_return std::vector<TableRows>();
  Result<std::vector<TableRows>> tables = co_await CountRows(connection, until);
  if (!tables) co_return tables;
  for (TableRows& table : *tables) {
    auto grown = (*growth)->find({table.schema, table.table});
    if (!table.rows || grown == (*growth)->end()) continue;
    int64_t rows = static_cast<int64_t>(*table.rows) - grown->second;
    table.rows.reset();
    if (rows >= 0) table.rows = static_cast<uint64_t>(rows);
  }
  co_return tables;
}

io::Task<Result<CheckReport>> CheckTables(mysql::Connection& connection,
                                          std::vector<TableRows> expected,
                                          std::function<bool(size_t, size_t)> told,
                                          Deadline deadline) {
  Result<std::vector<TableRows>> tables = co_await ListTables(connection, ")", deadline);
  if (!tables) co_return Fail(tables.error());
  CheckReport report;
  auto fault = [&report](const TableRows& table, std::string_view why) {
    if (report.faults.size() < kFaultsMax)
      report.faults.push_back(Quoted(table.schema, table.table) + ": " + std::string(why));
  };
  auto less = [](const TableRows& a, const TableRows& b) {
    return std::tie(a.schema, a.table) < std::tie(b.schema, b.table);
  };
  std::ranges::sort(*tables, less);
  for (const TableRows& one : expected) {
    if (one.rows && !std::ranges::binary_search(*tables, one, less)) fault(one, "is missing");
  }
  std::ranges::sort(expected, less);
  for (const TableRows& table : *tables) {
    if (!told(report.tables, tables->size()))
      co_return Fail(Code::kCanceled, "the check was given up");
    Result<std::string> bad = co_await CheckOne(connection, table, deadline);
    if (!bad) co_return Fail(bad.error());
    ++report.tables;
    if (!bad->empty()) fault(table, *bad);
    auto one = std::ranges::lower_bound(expected, table, less);
    if (one == expected.end() || less(table, *one) || !one->rows) continue;
    Result<std::optional<uint64_t>> rows = co_await CountOne(connection, table, deadline);
    if (!rows) co_return Fail(rows.error());
    ++report.counted;
    report.rows += rows->value_or(0);
    if (*rows != one->rows)
      fault(table, fmt::format("has {} rows, {} when it was backed up",
                               *rows ? std::to_string(**rows) : "no", *one->rows));
  }
  co_return report;
}

}  // namespace paceline::backup
