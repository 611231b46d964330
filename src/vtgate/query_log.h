// vtgate/query_log.h - statements as lines of JSON in a file: who ran what, where, how long, with
// what result. Literals are left out unless it is told otherwise. Lines are written by a thread of
// its own; when the disk does not keep up they are dropped and counted, and no statement waits.
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "io/blocking.h"

namespace paceline::vtgate {

struct QueryLogOptions {
  std::string file;
  double sample_rate = 1;      // share of the statements
  int64_t row_threshold = 0;   // only statements of at least so many rows
  Duration time_threshold{0};  // only those that took at least so long
  bool redact = true;
};

struct QueryLogLine {
  std::string_view user, host, keyspace, tablet_type;
  uint64_t connection_id = 0;
  std::string statement;  // redacted where that is wanted
  uint64_t fingerprint = 0;
  Duration time{0};
  uint64_t rows = 0, affected = 0;
  uint16_t error_number = 0;
  std::string error;
  bool prepared = false, in_transaction = false;
};

// The line, without its newline. `error` is left out of redacted logs: it may quote literals.
std::string ToJson(const QueryLogLine& line, WallTime now);

class QueryLog {
 public:
  // Errors: the file cannot be opened to append.
  static Result<std::unique_ptr<QueryLog>> Open(QueryLogOptions options);
  ~QueryLog();

  const QueryLogOptions& options() const { return options_; }
  // Whether this statement is one to write down; `chance` is uniform in [0, 1).
  bool Wants(Duration time, uint64_t rows, double chance) const;
  void Write(const QueryLogLine& line, WallTime now);
  uint64_t dropped() const { return dropped_; }

 private:
  QueryLog(QueryLogOptions options, int fd);
  void Flush();

  const QueryLogOptions options_;
  const int fd_;
  std::mutex mutex_;
  std::string waiting_;
  bool flushing_ = false;
  std::atomic<uint64_t> dropped_{0};
  io::Worker worker_;  // last: it ends before what it uses
};

}  // namespace paceline::vtgate
