// mysqld/status_reader.h - a row of SHOW REPLICA STATUS by column names, for the two flavors.
// Threads: values.
#pragma once

#include <string_view>

#include "base/strings.h"
#include "mysql/client/query_result.h"
#include "mysqld/status.h"

namespace paceline::mysqld {

// Column names in the flavor's spelling: MySQL says Source and Replica where MariaDB says Master
// and Slave.
struct StatusNames {
  std::string_view host, port, user, uuid, server_id, io, applier, lag, file, read_offset,
      executed_file, executed_offset, ssl;
};

class StatusReader {
 public:
  explicit StatusReader(const mysql::QueryResult& result) : result_(result) {}
  std::string Text(std::string_view column) const { return result_.Text(0, column); }
  uint64_t Number(std::string_view column) const { return ParseUint(Text(column)).value_or(0); }
  // All that both flavors have.
  ReplicationStatus Common(const StatusNames& names) const;

 private:
  const mysql::QueryResult& result_;
};

}  // namespace paceline::mysqld
