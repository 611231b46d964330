// port/query_service.h - a tablet as vtgate sees it: statements in, raw MySQL packets out, and a
// stream of health. Implemented by vttablet/query, by native (client end), by rpc (Vitess gRPC) and
// by test doubles. Threads: one object per loop, used on that loop alone. Lifetime: outlives the
// calls it runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"
#include "mysql/wire/terminator.h"
#include "record/record.h"

namespace paceline::port {

// Who asks, for ACLs, limits and logs.
struct Caller {
  std::string principal;  // the effective caller id of gRPC clients
  std::string user;       // the MySQL user
  std::vector<std::string> groups;
};

// Session settings that a statement needs: one canonical text of SET statements and its hash.
// Immutable, shared.
struct Settings {
  uint64_t id = 0;  // hash of `apply`; equal ids mean equal texts
  std::string
      apply;  // "SET @@sql_mode = '...', @@time_zone = '...'"; what a fresh connection must run
};
using SettingsPtr = std::shared_ptr<const Settings>;

// Ends a running statement from outside. The one who runs it sets the handler; Cancel calls it at
// most once.
class Cancel {
 public:
  bool requested() const { return requested_; }
  void Request() {
    requested_ = true;
    if (handler_) std::exchange(handler_, nullptr)();
  }
  void SetHandler(std::function<void()> handler) {
    handler_ = std::move(handler);
    if (requested_ && handler_) std::exchange(handler_, nullptr)();
  }

 private:
  bool requested_ = false;
  std::function<void()> handler_;
};

enum class StatementKind : uint8_t {
  kText = 1,     // COM_QUERY
  kPrepare = 2,  // COM_STMT_PREPARE: the sink gets the parameters' and the columns' definitions,
                 // see OnPrepared
  kExecute = 3,  // COM_STMT_EXECUTE of `text`, prepared on the chosen connection when it is not yet
};

struct QueryRequest {
  record::Target target;
  Caller caller;
  uint64_t pinned_id = 0;  // the connection of an earlier QueryEnd; 0: any of the pool
  // Null: the defaults. On a connection in a transaction they are put on by SET, which ends
  // nothing; ignored on a reserved one, which holds its own state. A SET that the server refuses is
  // answered to the sink as the statement's ERR.
  SettingsPtr settings;
  std::string_view
      begin;  // not empty: run first on the same connection, e.g. "start transaction read only"
  bool reserve = false;     // keep the connection for this session until Release
  bool found_rows = false;  // CLIENT_FOUND_ROWS: another class of connections
  StatementKind kind = StatementKind::kText;
  std::string_view text;  // views must stay valid until the call returns
  std::string_view
      parameters;  // kExecute: what follows the statement id in COM_STMT_EXECUTE, types included
  Cancel* cancel = nullptr;
  // Not 0: what this statement writes, and all that the transaction it begins writes, is marked
  // with this number in the binary log, so that Resolve can tell afterwards whether it was
  // committed. At least kAttemptMin; the caller gives no number twice within minutes.
  uint32_t attempt = 0;
};

// Numbers from here on are never those of mysqld's own connections (MySQL marks by
// pseudo_thread_id).
inline constexpr uint32_t kAttemptMin = 0x8000'0000;

inline constexpr size_t kQuestionsMax = 1024;  // of one Resolve
// A write whose answer was lost.
struct AttemptQuestion {
  uint32_t attempt = 0;
  record::TabletAlias sent_to;
  // What that primary had before the attempt was sent (TabletHealth::position); empty: not known,
  // then absence proves nothing.
  std::string since;
  // It may have called a procedure, which MariaDB's log tells by one bit alone.
  bool procedure = true;
};

// What the shard's logs prove about it.
struct AttemptOutcome {
  enum class Fate : uint8_t { kUnknown, kNotCommitted, kCommitted };
  // Row images of one table in the attempt's transaction.
  struct Change {
    std::string table;  // "database.table"
    uint64_t inserted = 0, updated = 0, deleted = 0;
    // The AUTO_INCREMENT column of the first inserted row; 0: the table has none. Empty: not known.
    std::optional<uint64_t> first_insert_id;
    // Where one row was updated and nothing else: integer columns that are a unique key each.
    std::vector<std::string> integer_keys;
  };
  Fate fate = Fate::kUnknown;
  std::string gtid;             // kCommitted
  uint64_t statements = 0;      // with row images in the transaction; 0: not known
  std::vector<Change> changes;  // in order of first appearance
  std::string why;              // kUnknown: what is missing
};

// A line of SHOW WARNINGS.
struct Warning {
  std::string level;  // "Note", "Warning", "Error"
  uint16_t code = 0;
  std::string message;
};

struct QueryEnd {
  // The connection that is now this session's: it is in a transaction or reserved. 0: it went back
  // to the pool.
  uint64_t pinned_id = 0;
  // The tablet that answered, for SHOW and logs; empty from foreign tablets.
  record::TabletAlias tablet;
  // The diagnostics of the statement, at most 64: filled when its last terminator counted warnings
  // and the connection went back to the pool, since nobody can ask for them later.
  std::vector<Warning> warnings;
};

// Where a statement's answer goes. Calls come in order on the caller's loop; a statement gives one
// or more results, each either OnColumns, OnRows..., OnEnd or OnEnd alone.
class ResultSink {
 public:
  virtual ~ResultSink() = default;
  // The column count packet and the definitions, whole packets with their headers, with no EOF
  // packet after them.
  virtual void OnColumns(uint64_t column_count, std::string_view packets) = 0;
  // Row packets as the server sent them; may begin and end inside a packet.
  virtual void OnRows(std::string_view bytes) = 0;
  // The end of a result: OK, EOF or ERR, parsed. `last`: nothing follows.
  virtual void OnEnd(const mysql::wire::Terminator& end, bool last) = 0;
  // kPrepare: definitions are whole packets with headers, without EOF packets.
  virtual void OnPrepared(uint16_t parameter_count, std::string_view parameters,
                          uint16_t column_count, std::string_view columns, uint16_t warnings) = 0;
  // True while the sink has more than it wants; the producer stops reading and awaits WaitNotFull.
  virtual bool Full() const { return false; }
  virtual io::Task<Status> WaitNotFull(Deadline) { co_return Status(); }
};

struct TabletHealth {
  record::TabletAlias alias;
  record::Target target;
  bool serving = false;
  WallTime primary_term_start;
  uint64_t term = 0;  // the promised term; 0 from foreign tablets
  Duration replication_lag{0};
  std::string error;  // why it is not serving or not healthy
  double qps = 0;
  std::string position;                     // GTID position, Vitess's encoding; may be empty
  std::vector<std::string> changed_tables;  // since the last message
};

class HealthSink {
 public:
  virtual ~HealthSink() = default;
  virtual void OnHealth(const TabletHealth& health) = 0;
};

class QueryService {
 public:
  virtual ~QueryService() = default;

  // Runs one statement. An error that mysqld answers goes to the sink's OnEnd and the call
  // succeeds. Errors of the call:
  // - kClusterEvent: refused before mysqld saw it (not serving, other type, shutting down), safe
  //   to run elsewhere.
  // - kResourceExhausted: pool or queue full, never ran.
  // - kAborted: pinned_id is unknown, its transaction or reservation ended, and why.
  // - kDeadlineExceeded: ended by its deadline; a write or COMMIT may have been applied.
  // - kUnavailable: the connection broke after the statement was sent; outcome unknown.
  // - kCanceled: by `cancel`, and what mysqld answered, if it did, cannot be told; a write or
  //   COMMIT may have been applied. Where it can be told the call succeeds: with OK when the
  //   cancel came too late, else with mysqld's own error.
  virtual io::Task<Result<QueryEnd>> Execute(const QueryRequest& request, ResultSink& sink,
                                             Deadline deadline) = 0;

  // Gives a pinned connection back: rolls back, and resets a reserved one. Unknown ids are no
  // error.
  virtual io::Task<Status> Release(record::Target target, uint64_t pinned_id,
                                   Deadline deadline) = 0;

  // Whether attempts were committed, one outcome for each question (kQuestionsMax at most), in
  // order. Asked of a serving primary, whoever took the attempts. Fate::kNotCommitted is final: the
  // attempt cannot run any more, and nothing later will show it. Waits for what still runs until
  // the deadline. Errors: kUnimplemented from foreign tablets; kClusterEvent, kUnavailable as
  // Execute.
  virtual io::Task<Result<std::vector<AttemptOutcome>>> Resolve(
      record::Target target, std::vector<AttemptQuestion> questions, Deadline deadline) {
    (void)target, (void)questions, (void)deadline;
    co_return Fail(Code::kUnimplemented, "this tablet keeps no evidence of attempts");
  }

  // State at once, each change at once, a beat at least every 250 ms. Ends with an error when the
  // stream breaks, or kCanceled when Close was called.
  virtual io::Task<Status> StreamHealth(HealthSink& sink, Deadline deadline) = 0;

  // Ends what runs (kUnavailable: its outcome is unknown; health streams: kCanceled) and lets
  // nothing new start (kClusterEvent).
  virtual io::Task<void> Close() = 0;
};
using QueryServicePtr = std::shared_ptr<QueryService>;

}  // namespace paceline::port
