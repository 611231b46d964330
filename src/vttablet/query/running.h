// vttablet/query/running.h - one statement on its way through a connection, and how its answer is
// handed on. Internal to the room; threads: its loop's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vttablet/query/connection.h"
#include "vttablet/query/killer.h"

namespace paceline::vttablet {

struct Running {
  Running(port::ResultSink& to, Deadline until) : asker(to), sink(&to), limit(until) {}

  Connection* connection = nullptr;
  port::ResultSink& asker;
  port::ResultSink* sink;  // `asker`; null once it was given up
  Deadline limit;          // the request's, or its transaction's; after it, of the grace to end in
  bool preparing = false;  // the answer is one to COM_STMT_PREPARE
  bool executing = false;  // to COM_STMT_EXECUTE: some errors mean that it must be prepared again
  int skip = 0;            // results of SET and BEGIN in front of the statement's own
  bool skip_mark = false;  // the first of them is that of SET, which changes nothing to the session
  // What was sent ahead is this statement's PREPARE: its error is the answer.
  bool prepared_ahead = false;
  std::optional<mysql::wire::Terminator> ahead_error;
  uint32_t attempt = 0;
  bool expired = false, canceled = false, killed = false;  // why the rest is thrown away
  bool repeat = false;  // prepare again and execute once more: nothing was handed on
  bool delivered = false;
  bool discarded = false;   // some of the answer, its last end apart, came after it was given up
  bool wants_file = false;  // mysqld waits for the file of a LOAD DATA LOCAL
  bool saw_transaction = false;  // some result left the session in a transaction
  bool failed = false;           // the answer ended with ERR, which carries no status
  std::shared_ptr<KillTicket> ticket;
  std::string meta;  // metadata of which more is to come
  size_t index = 0;  // in QueryServer's list
  int64_t rows_bytes = 0;

  bool given_up() const { return expired || canceled || killed; }

  enum class Outcome : uint8_t { kMore, kDone, kBroken, kInfile };
  // Hands on what `input` holds; what is left of it must come again in front of the next bytes.
  Outcome Deliver(std::string_view* input);

 private:
  void DeliverColumns(std::string_view fresh);
  void DeliverPrepared(std::string_view fresh);
  void OnTerminator(bool last);
  Outcome PassAhead(std::string_view* input);
};

}  // namespace paceline::vttablet
