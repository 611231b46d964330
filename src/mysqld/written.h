// mysqld/written.h - what binary and relay logs tell about attempts (port::QueryRequest::attempt):
// which transaction carries which number, and what it changed. The number is MySQL's
// pseudo_thread_id or the marker in the annotated text. Blocks as long as the logs take to read;
// any thread. Logs may grow meanwhile: they are read as far as they went at the start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gtid/set.h"
#include "mysql/binlog/reader.h"

namespace paceline::mysqld {

struct AttemptWrite {
  uint32_t attempt = 0;
  gtid::Gtid gtid;
  uint64_t statements = 0;  // with row images; 0: not known
  std::vector<mysql::binlog::TableChange> changes;
};

struct WrittenLogs {
  std::vector<AttemptWrite> writes;  // in the order of the log
  // All transactions that were read whole and can be told apart: they carry a number, or wrote to
  // the sidecar alone. What is not in here may be anything, an attempt's as well.
  gtid::Set told;
  // Not in `told`: they carry no number, and are marked as written by a procedure that was called
  // (MariaDB, vttablet/query/marking.h).
  gtid::Set procedures;
};

struct WrittenOptions {
  uint32_t attempt_min = 0;  // lower numbers are mysqld's own
  std::string sidecar = "_vt";
  // Of a binary log: transactions in it are not told, and logs of nothing else are not read.
  gtid::Set known;
  bool relay = false;
  uint64_t bytes_max = uint64_t{256} << 20;  // of logs before the newest
  size_t writes_bytes_max = 3 << 20;
  size_t writes_max = 10'000;  // the newest ones; older ones are not told
};

// `index`: of the logs. Errors: kNotFound, kUnimplemented (encrypted), kDataLoss, I/O.
Result<WrittenLogs> ReadWritten(const std::string& index, const WrittenOptions& options);

}  // namespace paceline::mysqld
