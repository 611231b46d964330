#include "topo/embedded/operations.h"

#include <set>

#include "topo/refusals.h"

namespace paceline::topo::embedded {
namespace {

// Deletions are remembered for so many revisions; who has seen less reads everything again.
constexpr int64_t kKeepDeletions = 10'000;

// The names of all paths below "dir/" lie between "dir/" and "dir0" ('0' follows '/').
struct Range {
  std::string from, to;
};
Range RangeBelow(const std::string& root, const Path& dir) {
  std::string full = root + dir;
  if (full.empty()) return {"", "\xff"};
  if (!full.ends_with('/')) full += '/';
  std::string end = full;
  end.back() = '0';
  return {full, end};
}

std::string LockDirOf(const std::string& root, const Path& dir) { return root + dir; }

Result<std::optional<int64_t>> VersionOf(Database& db, const std::string& full) {
  ASSIGN_OR_RETURN(Rows rows,
                   db.Query("SELECT version FROM files WHERE path = ? AND data IS NOT NULL"));
  rows.Bind(1, full);
  ASSIGN_OR_RETURN(bool row, rows.Step());
  if (!row) return std::optional<int64_t>();
  return std::optional<int64_t>(rows.Int(0));
}

Status Store(Database& db, const std::string& full, const std::string* data, int64_t revision) {
  ASSIGN_OR_RETURN(Rows rows,
                   db.Query("INSERT INTO files (path, version, data) VALUES (?, ?, ?)"
                            " ON CONFLICT (path) DO UPDATE SET version = excluded.version,"
                            " data = excluded.data"));
  rows.Bind(1, full).Bind(2, revision);
  if (data != nullptr) rows.BindBlob(3, *data);
  ASSIGN_OR_RETURN(int changed, db.Execute(std::move(rows)));
  (void)changed;
  return {};
}

Result<int64_t> Revision(Database& db, int64_t* compacted) {
  ASSIGN_OR_RETURN(Rows rows, db.Query("SELECT revision, compacted FROM meta"));
  ASSIGN_OR_RETURN(bool row, rows.Step());
  if (!row)
    return Fail(Code::kUnavailable, "topology file {} is damaged: its meta row is missing",
                db.file());
  if (compacted != nullptr) *compacted = rows.Int(1);
  return rows.Int(0);
}

// A read transaction, so that several SELECTs see one state.
template <class T>
Result<T> ReadTogether(Database& db, const std::function<Result<T>()>& work) {
  ASSIGN_OR_RETURN(Rows begin, db.Query("BEGIN"));
  ASSIGN_OR_RETURN(int began, db.Execute(std::move(begin)));
  (void)began;
  Result<T> value = work();
  ASSIGN_OR_RETURN(Rows end, db.Query("COMMIT"));
  ASSIGN_OR_RETURN(int ended, db.Execute(std::move(end)));
  (void)ended;
  return value;
}

Status DropExpired(Database& db, const std::string& dir) {
  ASSIGN_OR_RETURN(Rows rows,
                   db.Query("DELETE FROM locks WHERE dir = ? AND (boot <> ? OR expires_ns <= ?)"));
  rows.Bind(1, dir).Bind(2, db.boot_id()).Bind(3, SystemClock().Now().ns);
  ASSIGN_OR_RETURN(int dropped, db.Execute(std::move(rows)));
  (void)dropped;
  return {};
}

// The first in line that is alive.
Result<std::optional<LockSight>> FirstInLine(Database& db, const std::string& dir) {
  ASSIGN_OR_RETURN(Rows rows, db.Query("SELECT id, contents FROM locks WHERE dir = ? AND boot = ?"
                                       " AND expires_ns > ? ORDER BY id LIMIT 1"));
  rows.Bind(1, dir).Bind(2, db.boot_id()).Bind(3, SystemClock().Now().ns);
  ASSIGN_OR_RETURN(bool row, rows.Step());
  if (!row) return std::optional<LockSight>();
  return LockSight{rows.Int(0), false, rows.Text(1)};
}

}  // namespace

bool PathBelow(std::string_view path, std::string_view dir) {
  if (dir.empty()) return true;
  return path.size() > dir.size() + 1 && path.starts_with(dir) && path[dir.size()] == '/';
}

Result<File> ReadFile(Database& db, const std::string& root, const Path& path) {
  std::string full = root + path;
  {
    ASSIGN_OR_RETURN(
        Rows rows, db.Query("SELECT data, version FROM files WHERE path = ? AND data IS NOT NULL"));
    rows.Bind(1, full);
    ASSIGN_OR_RETURN(bool row, rows.Step());
    if (row) return File{path, rows.Text(0), {rows.Int(1)}};
  }
  size_t slash = full.rfind('/');
  if (slash != std::string::npos && full.substr(0, slash).ends_with("/locks")) {
    ASSIGN_OR_RETURN(
        Rows rows,
        db.Query("SELECT contents, id FROM locks WHERE dir = ? AND CAST(id AS TEXT) = ?"));
    rows.Bind(1, full.substr(0, slash - 6)).Bind(2, full.substr(slash + 1));
    ASSIGN_OR_RETURN(bool row, rows.Step());
    if (row) return File{path, rows.Text(0), {rows.Int(1)}};
  }
  return Absent(path);
}

Result<std::vector<DirEntry>> ReadDir(Database& db, const std::string& root, const Path& dir) {
  Range range = RangeBelow(root, dir);
  std::set<DirEntry> entries;
  auto add = [&](std::string_view full, bool ephemeral) {
    std::string_view rest = full.substr(range.from.size());
    size_t slash = rest.find('/');
    bool is_directory = slash != std::string_view::npos;
    DirEntry entry{std::string(rest.substr(0, slash)), is_directory, ephemeral};
    DirEntry other = entry;
    other.ephemeral = !ephemeral;
    if (!entries.contains(other)) entries.insert(std::move(entry));
  };
  {
    ASSIGN_OR_RETURN(
        Rows rows,
        db.Query("SELECT path FROM files WHERE path >= ? AND path < ? AND data IS NOT NULL"));
    rows.Bind(1, range.from).Bind(2, range.to);
    ASSIGN_OR_RETURN(bool row, rows.Step());
    while (row) {
      add(rows.Text(0), false);
      ASSIGN_OR_RETURN(row, rows.Step());
    }
  }
  ASSIGN_OR_RETURN(Rows rows,
                   db.Query("SELECT dir, id FROM locks WHERE boot = ? AND expires_ns > ?"));
  rows.Bind(1, db.boot_id()).Bind(2, SystemClock().Now().ns);
  ASSIGN_OR_RETURN(bool row, rows.Step());
  while (row) {
    std::string lock_dir = rows.Text(0);
    std::string full = fmt::format("{}/locks/{}", lock_dir, rows.Int(1));
    bool direct = range.from == lock_dir + "/" || range.from == lock_dir + "/locks/";
    if (full.starts_with(range.from)) add(full, direct);
    ASSIGN_OR_RETURN(row, rows.Step());
  }
  if (entries.empty()) return AbsentDir(dir);
  return std::vector<DirEntry>(entries.begin(), entries.end());
}

Result<Version> CreateFile(Database& db, const std::string& root, const Path& path,
                           const std::string& data) {
  std::string full = root + path;
  int64_t revision = 0;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    ASSIGN_OR_RETURN(auto version, VersionOf(db, full));
    if (version) return Exists(path);
    ASSIGN_OR_RETURN(revision, db.NextRevision());
    return Store(db, full, &data, revision);
  }));
  return Version{revision};
}

Result<Version> UpdateFile(Database& db, const std::string& root, const Path& path,
                           const std::string& data, Version expected) {
  std::string full = root + path;
  int64_t revision = 0;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    ASSIGN_OR_RETURN(auto version, VersionOf(db, full));
    if (expected != kAnyVersion && version != expected.number) {
      return Moved(path, expected);
    }
    ASSIGN_OR_RETURN(revision, db.NextRevision());
    return Store(db, full, &data, revision);
  }));
  return Version{revision};
}

Result<Version> DeleteFile(Database& db, const std::string& root, const Path& path,
                           Version expected) {
  std::string full = root + path;
  int64_t revision = 0;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    ASSIGN_OR_RETURN(auto version, VersionOf(db, full));
    if (!version) return Absent(path);
    if (expected != kAnyVersion && version != expected.number) {
      return Moved(path, expected);
    }
    ASSIGN_OR_RETURN(revision, db.NextRevision());
    RETURN_IF_ERROR(Store(db, full, nullptr, revision));
    if (revision <= kKeepDeletions) return {};
    ASSIGN_OR_RETURN(Rows old, db.Query("DELETE FROM files WHERE data IS NULL AND version <= ?"));
    old.Bind(1, revision - kKeepDeletions);
    ASSIGN_OR_RETURN(int dropped, db.Execute(std::move(old)));
    if (dropped == 0) return {};
    ASSIGN_OR_RETURN(Rows mark, db.Query("UPDATE meta SET compacted = ?"));
    mark.Bind(1, revision - kKeepDeletions);
    ASSIGN_OR_RETURN(int marked, db.Execute(std::move(mark)));
    (void)marked;
    return {};
  }));
  return Version{revision};
}

Result<Snapshot> ReadSnapshot(Database& db, const std::string& root, const Path& path,
                              bool recursive) {
  return ReadTogether<Snapshot>(db, [&]() -> Result<Snapshot> {
    Snapshot snapshot;
    ASSIGN_OR_RETURN(snapshot.revision, Revision(db, nullptr));
    Range range = recursive ? RangeBelow(root, path) : Range{root + path, root + path + '\0'};
    ASSIGN_OR_RETURN(Rows rows,
                     db.Query("SELECT path, data, version FROM files WHERE path >= ? AND path < ?"
                              " AND data IS NOT NULL ORDER BY path"));
    rows.Bind(1, range.from).Bind(2, range.to);
    ASSIGN_OR_RETURN(bool row, rows.Step());
    while (row) {
      snapshot.files.push_back({rows.Text(0).substr(root.size()), rows.Text(1), {rows.Int(2)}});
      ASSIGN_OR_RETURN(row, rows.Step());
    }
    return snapshot;
  });
}

Result<Changes> ReadChanges(Database& db, const std::string& root, int64_t since, bool all) {
  ASSIGN_OR_RETURN(bool changed, db.ChangedSinceLast());
  if (!changed && !all) return Changes{};
  return ReadTogether<Changes>(db, [&]() -> Result<Changes> {
    Changes changes;
    int64_t compacted = 0;
    ASSIGN_OR_RETURN(changes.revision, Revision(db, &compacted));
    // A smaller revision: the file was replaced.
    changes.full = since < compacted || changes.revision < since;
    ASSIGN_OR_RETURN(
        Rows rows, db.Query("SELECT path, data, version, data IS NULL FROM files WHERE version > ?"
                            " ORDER BY version"));
    rows.Bind(1, changes.full ? 0 : since);
    ASSIGN_OR_RETURN(bool row, rows.Step());
    while (row) {
      std::string path = rows.Text(0);
      bool deleted = rows.Int(3) != 0;
      if (path.starts_with(root) && !(changes.full && deleted)) {
        changes.list.push_back({{path.substr(root.size()), rows.Text(1), {rows.Int(2)}}, deleted});
      }
      ASSIGN_OR_RETURN(row, rows.Step());
    }
    return changes;
  });
}

Result<LockSight> EnqueueLock(Database& db, const std::string& root, const Path& dir,
                              const LockOptions& options, bool wait, Duration lease) {
  std::string lock_dir = LockDirOf(root, dir);
  LockSight sight;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    if (options.dir_must_exist) {
      Range range = RangeBelow(root, dir);
      ASSIGN_OR_RETURN(
          Rows rows,
          db.Query("SELECT 1 FROM files WHERE path >= ? AND path < ? AND data IS NOT NULL"
                   " LIMIT 1"));
      rows.Bind(1, range.from).Bind(2, range.to);
      ASSIGN_OR_RETURN(bool row, rows.Step());
      if (!row) return NothingToLock(dir);
    }
    RETURN_IF_ERROR(DropExpired(db, lock_dir));
    ASSIGN_OR_RETURN(auto first, FirstInLine(db, lock_dir));
    if (first && !wait) {
      return LockHeld(Code::kAlreadyExists, dir, first->holder);
    }
    ASSIGN_OR_RETURN(
        Rows rows,
        db.Query("INSERT INTO locks (dir, contents, boot, expires_ns) VALUES (?, ?, ?, ?)"
                 " RETURNING id"));
    Time now = SystemClock().Now();
    rows.Bind(1, lock_dir)
        .Bind(2, options.contents)
        .Bind(3, db.boot_id())
        .Bind(4, (now + lease).ns);
    ASSIGN_OR_RETURN(bool row, rows.Step());
    if (!row) return Fail(Code::kInternal, "the lock on {} got no id", dir);
    sight.id = rows.Int(0);
    ASSIGN_OR_RETURN(row, rows.Step());
    sight.ours = !first;
    sight.holder = first ? first->holder : options.contents;
    return {};
  }));
  return sight;
}

Result<LockSight> LookAtLock(Database& db, const std::string& root, const Path& dir, int64_t id) {
  return ReadTogether<LockSight>(db, [&]() -> Result<LockSight> {
    ASSIGN_OR_RETURN(bool in_line, LockIsHeld(db, id));
    if (!in_line)
      return Fail(Code::kFailedPrecondition, "waiting for the lock on {}: the lease ran out", dir);
    ASSIGN_OR_RETURN(auto first, FirstInLine(db, LockDirOf(root, dir)));
    LockSight sight{id, first && first->id == id, first ? first->holder : std::string()};
    return sight;
  });
}

Result<bool> RenewLock(Database& db, int64_t id, Duration lease) {
  bool held = false;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    ASSIGN_OR_RETURN(Rows rows, db.Query("UPDATE locks SET expires_ns = ? WHERE id = ? AND boot = ?"
                                         " AND expires_ns > ?"));
    Time now = SystemClock().Now();
    rows.Bind(1, (now + lease).ns).Bind(2, id).Bind(3, db.boot_id()).Bind(4, now.ns);
    ASSIGN_OR_RETURN(int changed, db.Execute(std::move(rows)));
    held = changed == 1;
    return {};
  }));
  return held;
}

Result<bool> LockIsHeld(Database& db, int64_t id) {
  ASSIGN_OR_RETURN(Rows rows,
                   db.Query("SELECT 1 FROM locks WHERE id = ? AND boot = ? AND expires_ns > ?"));
  rows.Bind(1, id).Bind(2, db.boot_id()).Bind(3, SystemClock().Now().ns);
  return rows.Step();
}

Result<bool> DropLock(Database& db, int64_t id) {
  bool held = false;
  RETURN_IF_ERROR(db.Write([&]() -> Status {
    ASSIGN_OR_RETURN(held, LockIsHeld(db, id));
    ASSIGN_OR_RETURN(Rows rows, db.Query("DELETE FROM locks WHERE id = ?"));
    rows.Bind(1, id);
    ASSIGN_OR_RETURN(int dropped, db.Execute(std::move(rows)));
    (void)dropped;
    return {};
  }));
  return held;
}

}  // namespace paceline::topo::embedded
