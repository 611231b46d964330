// mysqld/admin.h - how the verbs reach a server: whole statements in, whole results out. Threads:
// the loop's thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/sync.h"
#include "io/task.h"
#include "mysql/client/connection.h"

namespace paceline::mysqld {

class Admin {
 public:
  virtual ~Admin() = default;
  // Several calls may run at once, each on a session of its own. Errors: mysqld's own
  // (Error::from_mysql), kUnavailable, kDeadlineExceeded.
  virtual io::Task<Result<mysql::QueryResult>> Query(std::string sql, Deadline deadline) = 0;
  // All statements on one session, in order, ending at the first error.
  virtual io::Task<Status> Run(std::vector<std::string> statements, Deadline deadline) = 0;
  // Every result of a text of several statements.
  virtual io::Task<Result<std::vector<mysql::QueryResult>>> QueryAll(std::string sql,
                                                                     Deadline deadline) = 0;
};

// Opens sessions as they are needed (at most kSessionsMax at a time, further callers wait) and
// keeps a few idle ones.
class ConnectionAdmin final : public Admin {
 public:
  static constexpr size_t kSessionsMax = 8;
  explicit ConnectionAdmin(mysql::ConnectOptions options) : options_(std::move(options)) {}
  io::Task<Result<mysql::QueryResult>> Query(std::string sql, Deadline deadline) override;
  io::Task<Status> Run(std::vector<std::string> statements, Deadline deadline) override;
  io::Task<Result<std::vector<mysql::QueryResult>>> QueryAll(std::string sql,
                                                             Deadline deadline) override;
  // Forgets idle sessions, as after mysqld went away.
  void CloseIdle() { idle_.clear(); }

 private:
  using Session = std::unique_ptr<mysql::Connection>;
  io::Task<Result<Session>> Take(Deadline deadline);
  void Return(Session session);
  mysql::ConnectOptions options_;
  io::Semaphore sessions_{kSessionsMax};
  std::vector<Session> idle_;
};

}  // namespace paceline::mysqld
