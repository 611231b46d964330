// backup/archive_replay.h - archived transactions into a server, by its own replication: we are its
// source, and send what lies between its position and a point. So each transaction keeps its GTID,
// time and writer, and is applied as it was at every replica. Threads: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backup/archive.h"
#include "backup/archive_reader.h"
#include "io/stream.h"
#include "io/sync.h"
#include "mysql/server/server_connection.h"
#include "mysqld/replication.h"

namespace paceline::backup {

// A replication source on the loopback interface, for one server.
class ArchiveSource {
 public:
  ArchiveSource(io::Loop& loop, Archive archive, RestorePoint point, mysqld::ServerVersion server);
  ~ArchiveSource();
  Status Start();
  io::Task<void> Stop(Deadline deadline);

  mysqld::SourceOptions address() const;
  // All up to the point was sent; then the server's position shall be `position`.
  bool finished() const { return finished_; }
  const gtid::Set& position() const { return position_; }
  uint64_t transactions() const { return transactions_; }
  uint64_t bytes() const { return bytes_; }
  uint32_t last_unix_s() const { return last_unix_s_; }
  // Why it cannot be sent; empty: it can.
  const std::string& error() const { return error_; }

 private:
  struct User;
  static io::Task<void> Accept(ArchiveSource& self);
  io::Task<Status> Serve(mysql::ServerConnection& client);
  void Answer(mysql::ServerConnection& client, std::string_view sql);
  io::Task<Status> Dump(mysql::ServerConnection& client, gtid::Set have);
  Status Send(mysql::ServerConnection& client, std::string event);

  io::Loop& loop_;
  Archive archive_;
  RestorePoint point_;
  mysqld::ServerVersion server_;
  std::unique_ptr<User> user_;
  std::unique_ptr<io::Listener> listener_;
  mysql::ServerConnection* serving_ = nullptr;
  std::string uuid_;
  uint32_t server_id_ = 0;
  std::string connect_state_;  // MariaDB: where the replica wants to begin
  bool finished_ = false;
  gtid::Set position_;
  uint64_t transactions_ = 0, bytes_ = 0;
  uint32_t last_unix_s_ = 0;
  std::string error_;
  io::Gate gate_;
};

struct ReplayReport {
  gtid::Set position;
  uint64_t transactions = 0;
  uint32_t last_unix_s = 0;  // of the last transaction; 0: there was none
};
// `server` runs, is nobody's replica and no client writes to it; afterwards again. `told` hears how
// far it is; false ends it. Errors: those of the archive and of applying; kCanceled.
io::Task<Result<ReplayReport>> ReplayArchive(io::Loop& loop, mysqld::Replication& server,
                                             Archive archive, RestorePoint point,
                                             std::function<bool(std::string)> told,
                                             Deadline deadline);

}  // namespace paceline::backup
