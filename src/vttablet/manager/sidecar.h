// vttablet/manager/sidecar.h - the tables of `_vt` that a tablet needs; they create and upgrade
// themselves on the primary and replicate from there. Names and columns that Vitess has are
// Vitess's. Threads: the loop's thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "io/task.h"
#include "mysqld/admin.h"

namespace paceline::vttablet {

// REQUIRES: writable. Errors: mysqld's own.
io::Task<Status> CreateSidecar(mysqld::Admin& admin, std::string database, Deadline deadline);
// The keyspace's database, where it is missing. Asks first: CREATE ... IF NOT EXISTS goes to the
// binary log even where it does nothing, as a transaction that no rewind cuts off and that tells
// nothing of the writes beside it. Like the above else.
io::Task<Status> CreateDatabase(mysqld::Admin& admin, std::string name, Deadline deadline);
// Whether the two above would find nothing to do; false where that cannot be read.
io::Task<bool> DatabaseComplete(mysqld::Admin& admin, std::string sidecar, std::string name,
                                Deadline deadline);

struct JournalEntry {
  uint64_t term = 0;
  std::string action, primary_alias, position;
  int64_t created_ns = 0;
};
// `more`: statements of the same transaction.
io::Task<Status> WriteJournal(mysqld::Admin& admin, std::string database, JournalEntry entry,
                              std::vector<std::string> more, Deadline deadline);
// The row of the highest term; term 0 when there is none yet.
io::Task<Result<JournalEntry>> ReadJournal(mysqld::Admin& admin, std::string database,
                                           Deadline deadline);

}  // namespace paceline::vttablet
