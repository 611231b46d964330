// backup/table_check.h - what a server holds, counted; and whether a server on restored files holds
// the same, each table checked. Threads: the connection's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/task.h"
#include "mysql/client/connection.h"

namespace paceline::backup {

struct TableRows {
  std::string schema, table;
  std::optional<uint64_t> rows;  // none: it was not counted
  friend bool operator==(const TableRows&, const TableRows&) = default;
};

// InnoDB's tables but for the server's own, in order of their names, as the connection's
// transaction sees them. What is not counted by `until`, or changed its definition meanwhile, has
// no rows. Errors: the connection's.
io::Task<Result<std::vector<TableRows>>> CountRows(mysql::Connection& connection, Deadline until);
// On MariaDB, after a backup ended at `position` (Vitess's encoding): what was there at that
// position. A snapshot is counted, and what the binary log (`log_index`) says was written between
// is taken off. Empty where that cannot be told exactly: tables were made or changed in between.
io::Task<Result<std::vector<TableRows>>> CountRowsAt(mysql::Connection& connection,
                                                     std::string position, std::string log_index,
                                                     Deadline until);

struct CheckReport {
  uint64_t tables = 0;              // checked
  uint64_t counted = 0;             // whose rows were held against what was expected
  uint64_t rows = 0;                // in them
  std::vector<std::string> faults;  // kFaultsMax at most
};
inline constexpr size_t kFaultsMax = 10;
// CHECK TABLE on every table there is, and rows where they are known. `told`: how many of how many;
// false ends it with kCanceled. Errors: the connection's.
io::Task<Result<CheckReport>> CheckTables(mysql::Connection& connection,
                                          std::vector<TableRows> expected,
                                          std::function<bool(size_t, size_t)> told,
                                          Deadline deadline);

}  // namespace paceline::backup
