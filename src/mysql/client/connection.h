// mysql/client/connection.h - one authenticated connection to a mysqld.
// Typed calls (Query, Ping, ...) are for administration: whole results in memory, bounded. The data
// plane uses the raw side: SendCommand, then its own pump over stream() with wire::ResultScanner
// (the connection always has DEPRECATE_EOF and SESSION_TRACK).
//
// One call at a time. Errors: what mysqld says comes as Error::from_mysql() and leaves the
// connection usable; anything else (kUnavailable, kDeadlineExceeded, kInternal) breaks it: usable()
// is false and every further call fails at once. Nothing waits beyond its deadline. Threads: the
// loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/stream.h"
#include "io/task.h"
#include "io/tls.h"
#include "mysql/client/query_result.h"
#include "mysql/wire/client_handshake.h"
#include "mysql/wire/command.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/result_scanner.h"

namespace paceline::mysql {

struct ConnectOptions {
  io::Address address;
  std::string user;
  std::string password;
  std::string database;
  bool found_rows = false;                      // CLIENT_FOUND_ROWS
  uint8_t charset = value::kUtf8mb4GeneralCi;   // known to both flavors
  wire::TlsMode tls = wire::TlsMode::kOff;      // ignored on a unix socket
  std::shared_ptr<io::TlsContext> tls_context;  // needed unless kOff
  wire::ConnectAttributes attributes = {{"_client_name", "paceline"}};
  std::vector<std::string> init_statements;  // run in order before Connect returns
};

// Bounds of a typed result. More than that is an error, after the rest has been read and dropped.
struct QueryLimits {
  size_t rows_max = 100'000;
  size_t bytes_max = 256 << 20;
};

class Connection {
 public:
  // Errors: kUnavailable (nobody listens, connection lost), kDeadlineExceeded, kUnauthenticated or
  // mysqld's own.
  // REQUIRES of the owner: it is not destroyed while a call runs; Close() and wait.
  static io::Task<Result<std::unique_ptr<Connection>>> Connect(ConnectOptions options,
                                                               Deadline deadline);
  ~Connection();
  Connection(const Connection&) = delete;

  // The only result of `sql`, or the last one where there are several.
  io::Task<Result<QueryResult>> Query(std::string sql, Deadline deadline, QueryLimits limits = {});
  // All results, in order. The first error ends it.
  io::Task<Result<std::vector<QueryResult>>> QueryAll(std::string sql, Deadline deadline,
                                                      QueryLimits limits = {});
  io::Task<Status> Ping(Deadline deadline);
  // COM_RESET_CONNECTION: as new, but the default database stays.
  io::Task<Status> Reset(Deadline deadline);
  io::Task<Status> ChangeUser(std::string user, std::string password, std::string database,
                              Deadline deadline);
  io::Task<Status> UseDatabase(std::string database, Deadline deadline);
  // Says goodbye where that needs no waiting, and shuts the stream down. Ends a call that runs,
  // from outside, with kCanceled or kUnavailable.
  void Close();

  // Raw side. `payload` follows the command byte; both must stay valid until the task ends.
  io::Task<Status> SendCommand(wire::Command command, std::string_view payload, Deadline deadline);
  // The sequence byte of the first packet that answers the last command: for ResultScanner::Start.
  uint8_t response_sequence() const { return response_sequence_; }
  io::Stream& stream() { return *stream_; }
  // The raw user of the stream says that it broke or was left in the middle of a response.
  void MarkBroken() { usable_ = false; }

  bool usable() const { return usable_; }
  const std::string& server_version() const { return handshake_->greeting().server_version; }
  bool is_mariadb() const { return handshake_->greeting().is_mariadb(); }
  uint32_t thread_id() const { return handshake_->greeting().connection_id; }
  wire::Capabilities capabilities() const { return handshake_->capabilities(); }
  const ConnectOptions& options() const { return options_; }

 private:
  Connection(ConnectOptions options, io::StreamPtr stream);
  io::Task<Status> Login(std::unique_ptr<wire::ClientHandshake> machine, bool change_user,
                         Deadline deadline);
  io::Task<Status> UpgradeToTls(Deadline deadline);
  io::Task<Status> Simple(wire::Command command, std::string payload, Deadline deadline);
  io::Task<Result<std::vector<QueryResult>>> ReadResults(QueryLimits limits, Deadline deadline);
  io::Task<Status> FillBuffer(Deadline deadline);
  std::unexpected<Error> Broken(Error error);

  ConnectOptions options_;
  io::StreamPtr stream_;
  std::unique_ptr<wire::ClientHandshake> handshake_;
  wire::ResultScanner scanner_;
  std::string buffer_;  // read and not used up: empty between calls
  uint8_t response_sequence_ = 1;
  bool usable_ = true;
};

}  // namespace paceline::mysql
