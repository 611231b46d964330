// mysqld/binary_logs.h - a server's binary logs as files: which there are, what was written before
// each, and the removal of the oldest. Errors: mysqld's own with what was being done before them,
// kDeadlineExceeded, kUnavailable. Threads: the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mysqld/replication.h"

namespace paceline::mysqld {

struct BinaryLog {
  std::string name;
  uint64_t bytes = 0;
};

// Oldest first; the last is written to. Errors: also kFailedPrecondition, the binary log is off.
io::Task<Result<std::vector<BinaryLog>>> ListBinaryLogs(Replication& server, Deadline deadline);
// All that the server had when it began that log, as the log itself says.
io::Task<Result<gtid::Set>> BeforeBinaryLog(Replication& server, std::string log,
                                            Deadline deadline);
// Begins a new one, written to no log.
io::Task<Status> RotateBinaryLog(Replication& server, Deadline deadline);
// Removes those before `keep`. A log that a replica is reading, and those after it, stay.
io::Task<Status> PurgeBinaryLogs(Replication& server, std::string keep, Deadline deadline);

}  // namespace paceline::mysqld
