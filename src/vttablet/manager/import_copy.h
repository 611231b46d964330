// vttablet/manager/import_copy.h - one logical copy of a foreign server that goes on being written:
// its databases with all they hold, as they were at one position, into an empty server. Writes at
// the source stand still for the moment in which the snapshots begin. Threads: the loop's thread.
// Lifetime: Run() has ended before it is destroyed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtid/set.h"
#include "mysql/client/connection.h"
#include "vttablet/manager/import_schema.h"

namespace paceline::vttablet {

class ImportCopy {
 public:
  struct Options {
    mysql::ConnectOptions source, target;
    gtid::Flavor flavor = gtid::Flavor::kMysql;
    std::string position_query;  // of the flavor; its columns are joined
    size_t sessions = 4;         // tables at a time
    std::function<bool()> canceled;
    std::function<void(std::string)> told;  // how far it is
  };
  explicit ImportCopy(Options options) : options_(std::move(options)) {}
  // The position of what was copied. REQUIRES: the target is empty and may be written. Errors:
  // kAborted: the source's schema changed meanwhile; kDeadlineExceeded: no moment without long
  // statements was found; mysqld's own.
  io::Task<Result<gtid::Set>> Run();
  // Made on the target, locked: definers of views and routines. Also where Run() has failed.
  const std::vector<std::string>& accounts() const { return accounts_; }

 private:
  using Connection = std::unique_ptr<mysql::Connection>;
  io::Task<Result<Connection>> OpenSource();
  io::Task<Result<Connection>> OpenTarget();
  io::Task<Result<gtid::Set>> BeginSnapshots(mysql::Connection& control);
  io::Task<Result<gtid::Set>> SnapshotsUnderLock(mysql::Connection& control);
  io::Task<Status> CopyTables();
  io::Task<void> CopySome(size_t session);
  io::Task<Status> CopyTable(mysql::Connection& from, mysql::Connection& to,
                             const ImportObject& object);
  io::Task<Status> CopySequences(mysql::Connection& to);
  io::Task<Status> MakeAccounts(mysql::Connection& from, mysql::Connection& to);
  io::Task<Status> GrantRights(mysql::Connection& from, mysql::Connection& to);
  void Tell();

  Options options_;
  ImportSchema schema_;
  std::vector<const ImportObject*> tables_;  // largest first
  size_t next_ = 0, done_ = 0;
  uint64_t rows_ = 0, bytes_ = 0;
  std::vector<Connection> from_, to_;
  Status failed_;
  std::vector<std::string> accounts_;
};

}  // namespace paceline::vttablet
