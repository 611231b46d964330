// vttablet/manager/foreign_server.h - the server that a shard is imported from: what it says of
// itself, and the verbs of switching over, there and back. Each is safe to repeat. Errors: mysqld's
// own and kUnavailable, naming the source. Threads: the loop's thread.
#pragma once

#include <memory>
#include <string>

#include "io/sync.h"
#include "mysqld/admin.h"
#include "mysqld/replication.h"
#include "vttablet/manager/import_text.h"

namespace paceline::vttablet {

struct ImportSource {
  std::string host;
  uint16_t port = 0;
  std::string user, password, database;
  // Without the password.
  std::string ToString() const { return fmt::format("{}@{}:{}", user, host, port); }
  mysql::ConnectOptions Login() const;
};

class ForeignServer : public std::enable_shared_from_this<ForeignServer> {
 public:
  // Errors: also kUnauthenticated, kInvalidArgument for a server of an unknown kind.
  static io::Task<Result<std::shared_ptr<ForeignServer>>> Open(ImportSource source,
                                                               Deadline deadline);

  io::Task<Result<SourceFacts>> Facts(Deadline deadline);
  // One line for each column of each table, in order: two servers with the same hold the same
  // tables.
  static io::Task<Result<std::string>> SchemaDigest(mysqld::Admin& admin, Deadline deadline);

  // No client's write is acknowledged any more; statements that run on are ended after a moment.
  // Returns all that was ever acknowledged. The caller thaws it where this fails.
  // Something of it may run on for a moment, as long as the gate is open.
  io::Task<Result<gtid::Set>> Freeze(io::Gate& gate, Deadline deadline);
  // `events`: its event scheduler ran before.
  io::Task<Status> Thaw(bool events, Deadline deadline);
  io::Task<Result<bool>> EventsRun(Deadline deadline);
  io::Task<Status> StopEvents(Deadline deadline);

  // It replicates from `primary`; returns once it does. Errors: also its replication's own.
  io::Task<Status> Follow(mysqld::SourceOptions primary, Deadline deadline);
  io::Task<Status> Unfollow(Deadline deadline);

  mysqld::Replication& replication() { return replication_; }
  mysqld::Admin& admin() { return admin_; }

 private:
  ForeignServer(ImportSource source, mysqld::ServerVersion version)
      : source_(std::move(source)), admin_(source_.Login()), replication_(admin_, version) {}
  io::Task<Status> Close(Deadline deadline);
  static io::Task<void> EndStatements(std::shared_ptr<ForeignServer> self,
                                      std::shared_ptr<bool> over, io::Gate& gate);
  io::Task<Status> FillReplication(SourceFacts& facts, Deadline deadline);
  io::Task<Status> FillDatabases(SourceFacts& facts, Deadline deadline);

  ImportSource source_;
  mysqld::ConnectionAdmin admin_;
  mysqld::Replication replication_;
};

}  // namespace paceline::vttablet
