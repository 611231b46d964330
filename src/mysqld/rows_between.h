// mysqld/rows_between.h - by how many rows each table grew between two positions of a MariaDB's
// binary log. Blocks as long as the logs take to read; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "gtid/set.h"

namespace paceline::mysqld {

using RowGrowth = std::map<std::pair<std::string, std::string>, int64_t>;  // by schema and table

// `from` and `to` are positions (one GTID for each domain). Nothing where the log does not tell:
// definitions or whole statements were written, or more than `bytes_max` would have to be read.
// Errors: kNotFound, kUnimplemented (encrypted), kDataLoss, I/O.
Result<std::optional<RowGrowth>> RowsBetween(const std::string& index, const gtid::Set& from,
                                             const gtid::Set& to, uint64_t bytes_max);

}  // namespace paceline::mysqld
