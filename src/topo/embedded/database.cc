#include "topo/embedded/database.h"

#include <sqlite3.h>

#include <filesystem>
#include <fstream>

namespace paceline::topo::embedded {
namespace {

// Another writer is waited for by the caller, who can meanwhile read; this only bridges a commit of
// theirs.
constexpr int kBusyMs = 2;

std::unexpected<Error> SqliteError(int code, std::string_view file, const char* text) {
  int primary = code & 0xff;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    return Fail(Code::kAborted, "topology file {} is being written by another process", file);
  }
  return Fail(Code::kUnavailable,
              "topology file {}: {} (SQLite error {}): check disk and permissions", file, text,
              code);
}

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS meta (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER "
    "NOT NULL,"
    " compacted INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO meta VALUES (1, 0, 0);"
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, version INTEGER NOT NULL, data BLOB) "
    "WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS files_by_version ON files (version);"
    "CREATE TABLE IF NOT EXISTS locks (id INTEGER PRIMARY KEY AUTOINCREMENT, dir TEXT NOT NULL,"
    " contents TEXT NOT NULL, boot TEXT NOT NULL, expires_ns INTEGER NOT NULL);";

}  // namespace

Rows::~Rows() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Rows& Rows::Bind(int index, std::string_view text) {
  sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
Rows& Rows::BindBlob(int index, std::string_view bytes) {
  // An empty blob is not NULL: NULL marks a deleted file.
  sqlite3_bind_blob64(statement_, index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                      SQLITE_TRANSIENT);
  return *this;
}
Rows& Rows::Bind(int index, int64_t number) {
  sqlite3_bind_int64(statement_, index, number);
  return *this;
}

Result<bool> Rows::Step() {
  int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(code, *error_, sqlite3_errmsg(sqlite3_db_handle(statement_)));
}

std::string Rows::Text(int column) const {
  const void* data = sqlite3_column_blob(statement_, column);
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}
int64_t Rows::Int(int column) const { return sqlite3_column_int64(statement_, column); }
bool Rows::Null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

Status Database::Run(const char* sql) {
  int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return SqliteError(code, file_, sqlite3_errmsg(db_));
}

Status Database::Open() {
  if (db_ != nullptr) return {};
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(file_).parent_path(), ignored);
  int code =
      sqlite3_open_v2(file_.c_str(), &db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) {
    auto failed = SqliteError(code, file_, db_ == nullptr ? "out of memory" : sqlite3_errmsg(db_));
    Close();
    return failed;
  }
  sqlite3_busy_timeout(db_, kBusyMs);
  error_ = file_;
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  std::getline(boot, boot_id_);
  Status made = Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
  // The schema is only written when it is not there: starting must not need the writer's lock.
  if (made &&
      !Run(
          "SELECT revision FROM meta; SELECT 1 FROM files LIMIT 1; SELECT 1 FROM locks LIMIT 1;")) {
    made = Run("BEGIN IMMEDIATE");
    if (made) made = Run(kSchema);
    if (made) made = Run("COMMIT");
  }
  if (!made) Close();
  return made;
}

void Database::Close() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  statements_.clear();
  sqlite3_close_v2(db_);
  db_ = nullptr;
  data_version_ = -1;
}

Result<Rows> Database::Query(const char* sql) {
  for (auto& [known, statement] : statements_) {
    if (known == sql) return Rows(statement, &error_);
  }
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return SqliteError(code, file_, sqlite3_errmsg(db_));
  statements_.emplace_back(sql, statement);
  return Rows(statement, &error_);
}

Result<int> Database::Execute(Rows rows) {
  ASSIGN_OR_RETURN(bool row, rows.Step());
  while (row) {
    ASSIGN_OR_RETURN(row, rows.Step());
  }
  return sqlite3_changes(db_);
}

Status Database::Write(const std::function<Status()>& work) {
  RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
  Status done = work();
  if (done) done = Run("COMMIT");
  if (done) {
    wrote_ = true;
  } else if (!sqlite3_get_autocommit(db_)) {
    Status undone = Run("ROLLBACK");
    if (!undone) Close();
  }
  return done;
}

Result<int64_t> Database::NextRevision() {
  ASSIGN_OR_RETURN(Rows rows, Query("UPDATE meta SET revision = revision + 1 RETURNING revision"));
  ASSIGN_OR_RETURN(bool row, rows.Step());
  if (!row)
    return Fail(Code::kUnavailable, "topology file {} is damaged: its meta row is missing", file_);
  int64_t revision = rows.Int(0);
  ASSIGN_OR_RETURN(row, rows.Step());
  return revision;
}

Result<bool> Database::ChangedSinceLast() {
  ASSIGN_OR_RETURN(Rows rows, Query("PRAGMA data_version"));
  ASSIGN_OR_RETURN(bool row, rows.Step());
  int64_t now = row ? rows.Int(0) : -1;
  bool changed = wrote_ || now != data_version_;
  data_version_ = now;
  wrote_ = false;
  return changed;
}

}  // namespace paceline::topo::embedded
