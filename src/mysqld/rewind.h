// mysqld/rewind.h - takes a dead primary's binary log back to what its successor has, before mysqld
// starts again. With semi-sync AFTER_SYNC what nobody acknowledged is only prepared in InnoDB, so
// recovery rolls back what the log no longer holds (tried on both flavors:
// docs/decisions/0007-rewinding.md). Works on files of a stopped server; blocks. Threads: any, one
// call for a server at a time. The log is read by mysql/binlog, tagged GTIDs and compressed
// transactions included.
//
// Refused, so that the server must be seeded anew: a tail with anything but transactional row
// changes (DDL, a non-transactional engine, XA), anonymous GTIDs, encrypted logs, and a tail that
// begins before the last file: a server begins a file when what is before it is committed. A crash
// in the middle leaves nothing to mend: the cut is one truncate, and the caller starts over.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "gtid/set.h"

namespace paceline::mysqld {

struct BinlogTail {
  std::string file;              // where the cut falls; empty: nothing is to be cut
  uint64_t offset = 0;           // its first byte that goes
  std::vector<gtid::Gtid> lost;  // what they hold, in order
  bool only_sidecar = true;      // all of them wrote to the sidecar database alone
  std::string refused;           // why it must not be cut; empty: it may
  uint64_t bytes = 0;            // how much goes
};

// What the binary logs named in `index_file` hold beyond `keep`. An incomplete last event, as a
// crash leaves it, belongs to the tail. Errors: kNotFound, kDataLoss naming the file.
Result<BinlogTail> FindTail(const std::string& index_file, const gtid::Set& keep,
                            const std::string& sidecar = "_vt");

// Writes the tail into `folder` as a binary log of its own, which mysqlbinlog prints. Returns the
// file's path. Synced. Errors: kUnavailable naming the file.
Result<std::string> ExportTail(const BinlogTail& tail, const std::string& folder,
                               const std::string& name);

// Truncates the file, synced. REQUIRES: refused is empty; the server is stopped. Errors:
// kUnavailable naming the file.
Status CutTail(const BinlogTail& tail);

}  // namespace paceline::mysqld
