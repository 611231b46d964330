// backup/load.h - a dump (dump_format.h) into a server that holds nothing of it: definitions first,
// rows by several sessions side by side, then programs and accounts. What is written here may come
// cut anywhere; memory is bounded by the sessions. Threads: one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backup/dump_format.h"
#include "io/sink.h"
#include "mysql/client/connection.h"

namespace paceline::backup {

struct LoadOptions {
  mysql::ConnectOptions server;  // an administrator's account
  size_t writers = 3;
  bool log = false;  // into its binary log too, for its replicas
};

struct LoadReport {
  DumpHeader header;
  uint64_t rows = 0;
  std::vector<std::string> left_out;  // views of what is not there, and accounts: with the reason
};

class Loader final : public io::ByteSink {
 public:
  static io::Task<Result<std::unique_ptr<Loader>>> Open(LoadOptions options, Deadline deadline);
  ~Loader() override;
  // Errors: kDataLoss: this is no dump; mysqld's own, naming the object.
  io::Task<Status> Write(std::string_view bytes, Deadline deadline) override;
  // All of it is there. Errors: also kDataLoss: it was cut short.
  io::Task<Result<LoadReport>> Finish(Deadline deadline);
  // REQUIRES: awaited before the end of one that has begun, whatever came of it.
  io::Task<void> Stop();
  // By which the statements go that are one at a time.
  mysql::Connection& session() { return *sessions_.front(); }

 private:
  struct State;
  Loader() = default;
  static io::Task<void> Insert(std::shared_ptr<State> state, mysql::Connection& session);
  io::Task<Status> Take(DumpRecord record, Deadline deadline);
  io::Task<Status> Quiet(Deadline deadline);
  io::Task<Status> Make(DumpRecord record, Deadline deadline);
  io::Task<Status> RunIn(const DumpRecord& record, Deadline deadline);
  io::Task<Status> MakeViews(Deadline deadline);

  std::shared_ptr<State> state_;
  std::vector<std::unique_ptr<mysql::Connection>> sessions_;
  DumpParser parser_;
  LoadReport report_;
  std::vector<DumpRecord> views_;  // that need one which is not there yet
  bool begun_ = false, ended_ = false, same_flavor_ = true;
  std::string schema_;  // of the session
};

}  // namespace paceline::backup
