// topo/embedded/operations.h - what the embedded topology does with its file, one call a
// transaction. `root` ends with '/' or is empty and is put before every path. Threads and errors:
// those of Database, and the contract's (topo/conn.h).
#pragma once

#include <string>
#include <vector>

#include "topo/conn.h"
#include "topo/embedded/database.h"

namespace paceline::topo::embedded {

bool PathBelow(std::string_view path, std::string_view dir);

Result<File> ReadFile(Database& db, const std::string& root, const Path& path);
Result<std::vector<DirEntry>> ReadDir(Database& db, const std::string& root, const Path& dir);
Result<Version> CreateFile(Database& db, const std::string& root, const Path& path,
                           const std::string& data);
Result<Version> UpdateFile(Database& db, const std::string& root, const Path& path,
                           const std::string& data, Version expected);
Result<Version> DeleteFile(Database& db, const std::string& root, const Path& path,
                           Version expected);

// Files below a directory, or one file, as of `revision`.
struct Snapshot {
  std::vector<File> files;
  int64_t revision = 0;
};
Result<Snapshot> ReadSnapshot(Database& db, const std::string& root, const Path& path,
                              bool recursive);

struct Change {
  File file;
  bool deleted = false;
};
struct Changes {
  int64_t revision = -1;  // -1: nothing changed
  bool full = false;  // `list` is all that is there, because what was deleted is no longer known so
                      // far back
  std::vector<Change> list;
};
// What changed below `root` after revision `since`. Without `all` only when the file says that
// something was written.
Result<Changes> ReadChanges(Database& db, const std::string& root, int64_t since, bool all);

struct LockSight {
  int64_t id = 0;
  bool ours = false;
  std::string holder;  // the contents of the first in line
};
// Errors: kNotFound, kAlreadyExists when it is held and we do not `wait`.
Result<LockSight> EnqueueLock(Database& db, const std::string& root, const Path& dir,
                              const LockOptions& options, bool wait, Duration lease);
// Errors: kFailedPrecondition when `id` is no longer in line.
Result<LockSight> LookAtLock(Database& db, const std::string& root, const Path& dir, int64_t id);
// False when it was lost.
Result<bool> RenewLock(Database& db, int64_t id, Duration lease);
Result<bool> LockIsHeld(Database& db, int64_t id);
Result<bool> DropLock(Database& db, int64_t id);

}  // namespace paceline::topo::embedded
