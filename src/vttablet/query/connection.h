// vttablet/query/connection.h - one connection to mysqld as the pools keep it: what session state
// it holds, what is prepared on it, and raw commands out. Answers to statements are read by
// QueryServer::Pump and handed on by query/running.h. Threads: its loop's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/stream.h"
#include "io/task.h"
#include "mysql/wire/command.h"
#include "mysql/wire/result_scanner.h"
#include "port/query_service.h"
#include "sql/dialect.h"
#include "vttablet/query/prepared_cache.h"

namespace paceline::vttablet {

struct MysqldOptions {
  io::Address address;
  std::string user, password, database;
  Duration connect_timeout = std::chrono::seconds(5);
  size_t prepared_statements = 64;  // per connection; mysqld's max_prepared_stmt_count is for all
};

// For commands that are their first byte alone; as a text of Query: what was sent already.
inline constexpr std::string_view kNoBody;

class Connection;
using ConnectionPtr = std::unique_ptr<Connection>;

class Connection {
 public:
  // Logs in and sets the session up. Errors: kUnavailable, kDeadlineExceeded, kUnauthenticated;
  // mysqld's own.
  static io::Task<Result<ConnectionPtr>> Dial(MysqldOptions options, bool found_rows,
                                              Deadline deadline);

  // Sends one command whose body is `command` and `parts`; long ones in several packets. At once,
  // as far as the socket takes it; when something is left, await Flush before reading. Prepares
  // scanner() for the answer.
  Status Send(mysql::wire::Command command, std::string_view part, std::string_view more = {});
  // Sends a command that has no answer, together with the next one.
  void SendLater(mysql::wire::Command command, std::string_view body);
  // Sends a command together with the next one; its answer comes first, and ahead() scans it.
  // REQUIRES: none is ahead.
  void SendAhead(mysql::wire::Command command, std::string_view part, std::string_view more = {});
  mysql::wire::ResultScanner* ahead() { return has_ahead_ ? &ahead_ : nullptr; }
  void AheadEnded() { has_ahead_ = false; }
  uint32_t prepared_ahead_id() const { return ahead_.prepare_ok().statement_id; }
  bool flushed() const { return writer_.backlog() == 0; }
  io::Task<Status> Flush(Deadline deadline) { return writer_.Flush(deadline); }

  // Sends and reads to the end, rows thrown away; answers the last terminator. Errors:
  // kUnavailable, kDeadlineExceeded: the connection is then of no use.
  io::Task<Result<mysql::wire::Terminator>> Run(mysql::wire::Command command, std::string_view body,
                                                Deadline deadline);
  // The same, with the rows of a text result as packets behind each other, at most `limit` bytes.
  io::Task<Result<mysql::wire::Terminator>> Query(std::string_view sql, std::string* rows,
                                                  size_t limit, Deadline deadline);
  // Brings the session to `wanted` (null: clean), by one SET or, where something must be undone,
  // through COM_RESET_CONNECTION. Error answers of mysqld come back as such; the session is then in
  // no known state.
  io::Task<Status> Apply(port::SettingsPtr wanted, Deadline deadline);
  // On top of what the session has, where nothing may be undone (a transaction is open): resets it
  // later. Errors: the way to mysqld; mysqld's own comes as the terminator.
  io::Task<Result<mysql::wire::Terminator>> ApplyOnTop(port::SettingsPtr wanted, Deadline deadline);
  // Ends a transaction and forgets all session state.
  io::Task<Status> Reset(Deadline deadline);

  // False when the peer has closed or sent something unasked. Costs no system call unless something
  // happened.
  bool LooksAlive();
  void Shutdown() { stream_->Shutdown(); }

  mysql::wire::ResultScanner& scanner() { return scanner_; }
  io::Stream& stream() { return *stream_; }
  io::Socket* plain_socket() { return plain_; }
  uint32_t thread_id() const { return thread_id_; }
  bool is_mariadb() const { return mariadb_; }
  // Of the server, with a clean session.
  const sql::Dialect& dialect() const { return dialect_; }
  bool found_rows() const { return found_rows_; }
  // Whether the session may set what marks its writes (marking.h), and what it has set. MySQL:
  // pseudo_thread_id, 0 for the connection's own number; MariaDB: skip_replication.
  bool can_mark() const { return can_mark_; }
  uint32_t marked() const { return marked_; }
  // MySQL. `thread`: what was sent to be set.
  void SetMarked(uint32_t thread) { marked_ = thread == thread_id_ ? 0 : thread; }
  void SetMarkedProcedure(bool on) { marked_ = on ? 1 : 0; }
  Time made_at() const { return made_at_; }
  PreparedCache& prepared() { return prepared_; }
  const port::SettingsPtr& settings() const { return settings_; }
  uint64_t settings_id() const { return settings_ != nullptr ? settings_->id : 0; }

  // Set by who uses it:
  bool tainted = false;  // session state beyond `settings` may be there: Reset before others use it
  bool schema_changed = false;  // the default database is another one
  uint16_t status_flags = 0;    // of the last OK or EOF
  uint32_t attempt = 0;         // of the statement that ran last
  Time idle_since;
  enum class Permit : uint8_t { kNone, kQuery, kTransaction, kStream } permit = Permit::kNone;

 private:
  Connection(io::StreamPtr stream, size_t prepared_statements);
  io::Task<Status> Login(const MysqldOptions& options, bool found_rows, Deadline deadline);
  std::string SetUp() const;
  io::Task<Status> RunSetUp(Deadline deadline);

  io::StreamPtr stream_;
  io::Socket* plain_;
  io::Writer writer_;
  mysql::wire::ResultScanner scanner_, ahead_;
  bool has_ahead_ = false;
  bool can_mark_ = false;
  uint32_t marked_ = 0;
  uint32_t thread_id_ = 0;
  bool mariadb_ = false;
  sql::Dialect dialect_;
  bool found_rows_ = false;
  std::string database_;
  Time made_at_;
  port::SettingsPtr settings_;
  PreparedCache prepared_;
};

}  // namespace paceline::vttablet
