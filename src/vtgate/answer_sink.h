// vtgate/answer_sink.h - where a session's answers go: a tablet's raw results (ResultSink) and the
// gate's own. The MySQL front writes packets (client_sink.h), the gRPC front gathers typed rows.
// Threads: the session's loop.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/wire/terminator.h"
#include "port/query_service.h"
#include "vtgate/state_tracking.h"

namespace paceline::vtgate {

// What the session adds to each terminator.
struct TerminatorContext {
  bool autocommit = true;
  bool in_transaction = false;   // begun by the client, though no tablet knows yet
  bool more_statements = false;  // a further statement of the same command follows
  bool rename_rows = false;      // the rows speak of databases
  // MySQL tells of explicit transactions even where session_track_transaction_info is off.
  enum class Explicit : uint8_t { kNone, kBegins, kBeginsWithSnapshot, kOpen };
  Explicit transaction = Explicit::kNone;
  const StateTracking* tracking = nullptr;  // null: mysqld's defaults; outlives the statement
  std::string added_state;  // session state entries of the gate's own, for the statement's last OK
};

// A small table that the gate answers by itself; all columns are texts.
struct OwnTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;
  // The columns are those that a server gives this statement; only the rows are ours.
  bool server_columns = false;
};

class AnswerSink : public port::ResultSink {
 public:
  // Before each statement; `database` is shown as `keyspace` in what the server says ("": nothing
  // to rename).
  virtual void StartStatement(std::string_view database, std::string_view keyspace,
                              const TerminatorContext& context) = 0;
  // Answers of the gate itself.
  virtual void WriteTerminator(const mysql::wire::Terminator& end) = 0;
  virtual void WriteError(const Error& error) = 0;
  virtual void WriteTable(const OwnTable& table) = 0;
  // The content of a file on the client's machine, for LOAD DATA LOCAL. Errors: kUnimplemented,
  // kResourceExhausted (larger than `most_bytes`; the client is ready for an answer), those of the
  // connection.
  virtual io::Task<Result<std::string>> ReadLocalFile(std::string name, size_t most_bytes,
                                                      Deadline deadline) {
    (void)name, (void)most_bytes, (void)deadline;
    co_return Fail(Code::kUnimplemented, "this client cannot send a file");
  }

  // Of the statement now running: whether the client has been sent a part of its answer, and all of
  // it.
  virtual bool begun() const = 0;
  virtual bool ended() const = 0;
  // The last terminator as the tablet or the gate made it.
  virtual const mysql::wire::Terminator& last() const = 0;
};

}  // namespace paceline::vtgate
