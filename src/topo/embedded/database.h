// topo/embedded/database.h - the topology's SQLite file: schema, statements, one transaction at a
// time. Threads: one (the Conn's worker). Errors: kAborted = another process writes just now,
// nothing was done, try again; kUnavailable = the file cannot be used, naming it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "topo/conn.h"

struct sqlite3;
struct sqlite3_stmt;

namespace paceline::topo::embedded {

// One run of a statement; results end with the object.
class Rows {
 public:
  Rows(sqlite3_stmt* statement, std::string* error) : statement_(statement), error_(error) {}
  Rows(Rows&& other) noexcept
      : statement_(std::exchange(other.statement_, nullptr)), error_(other.error_) {}
  ~Rows();
  Rows& Bind(int index, std::string_view text);
  Rows& BindBlob(int index, std::string_view bytes);
  Rows& Bind(int index, int64_t number);
  // False at the end.
  Result<bool> Step();
  std::string Text(int column) const;
  int64_t Int(int column) const;
  bool Null(int column) const;

 private:
  sqlite3_stmt* statement_;
  std::string* error_;
};

class Database {
 public:
  explicit Database(std::string file) : file_(std::move(file)) {}
  ~Database() { Close(); }
  Database(const Database&) = delete;

  // Opens and makes the schema when needed; cheap when open.
  Status Open();
  void Close();
  // Runs `work` in one transaction, committed when it succeeds. Committed means on disk
  // (synchronous=FULL).
  Status Write(const std::function<Status()>& work);
  Result<Rows> Query(const char* sql);
  // A statement without rows; the number of rows it changed.
  Result<int> Execute(Rows rows);
  // The revision of the store grows by one; inside Write.
  Result<int64_t> NextRevision();
  // True when anything was written by anybody since the last call.
  Result<bool> ChangedSinceLast();
  const std::string& file() const { return file_; }
  // Of this boot: leases of an earlier one are void.
  const std::string& boot_id() const { return boot_id_; }

 private:
  Status Run(const char* sql);
  std::string file_, boot_id_, error_;
  sqlite3* db_ = nullptr;
  std::vector<std::pair<const char*, sqlite3_stmt*>> statements_;  // by address of the literal
  int64_t data_version_ = -1;
  bool wrote_ = true;
};

}  // namespace paceline::topo::embedded
