// backup/dump.h - what a running server holds, as it is at one moment, read over SQL connections
// and told as a stream (dump_format.h): nothing but an account there is needed. Tables are cut by
// their primary keys and read side by side in snapshots that were opened together under a global
// read lock, which is held for as long as it takes to open them, to read the programs' definitions
// and whatever is not InnoDB. Memory is bounded by the readers. Threads: one loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backup/dump_table.h"
#include "backup/table_check.h"
#include "io/sink.h"
#include "io/sync.h"
#include "mysql/client/connection.h"

namespace paceline::backup {

struct DumpOptions {
  // An account that may read all there is and lock (RELOAD; MySQL: BACKUP_ADMIN too, else
  // definitions may change meanwhile, which ends the dump).
  mysql::ConnectOptions server;
  size_t readers = 3;
  std::vector<std::string> schemas;  // none: all but the server's own
  bool accounts = true;
  uint64_t part_bytes = 32u << 20;  // larger tables are cut into parts of about so much
};

struct DumpReport {
  std::string server_version;
  std::string position;           // Vitess's encoding
  std::vector<TableRows> tables;  // in order of their names
  uint64_t rows = 0;
};

// Ends soon after `gate` closes or `sink` fails; what was written then is no dump. Errors:
// kAborted: a definition changed meanwhile; kPermissionDenied and others as mysqld says; of `sink`.
io::Task<Result<DumpReport>> DumpServer(DumpOptions options, io::ByteSink& sink, io::Gate& gate,
                                        Deadline deadline);

}  // namespace paceline::backup
