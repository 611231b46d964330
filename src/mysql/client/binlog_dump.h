// mysql/client/binlog_dump.h - a server's binary log as it is written, from a GTID position on:
// what a replica asks for, without being registered as one. Threads: the loop's thread. Lifetime:
// Close() ends a wait from outside; destroy it when no call runs.
#pragma once

#include <memory>
#include <string>

#include "gtid/set.h"
#include "mysql/client/connection.h"

namespace paceline::mysql {

// A part of an event, header included, without the protocol's own bytes.
struct EventPiece {
  std::string_view bytes;  // valid until the next call
  bool first = false;      // begins with the event's header
  bool last = false;
};

class BinlogDump {
 public:
  // Events up to this size come whole.
  static constexpr size_t kPieceBytes = 1u << 20;

  // All transactions that are not in `have`. `server_id`: of no other reader, or the server ends
  // one of both. `heartbeat`: how often an idle server says so, as an event. Events have checksums
  // where the log has. Errors: mysqld's own (1236: it has not all that follows `have`),
  // kUnavailable, kDeadlineExceeded.
  static io::Task<Result<std::unique_ptr<BinlogDump>>> Open(ConnectOptions server, gtid::Set have,
                                                            uint32_t server_id, Duration heartbeat,
                                                            Deadline deadline);
  // The next piece. Errors: as Open; each breaks it.
  io::Task<Result<EventPiece>> Next(Deadline deadline);
  void Close() { connection_->Close(); }
  const Connection& connection() const { return *connection_; }

 private:
  explicit BinlogDump(std::unique_ptr<Connection> connection)
      : connection_(std::move(connection)) {}
  // At least `bytes` are there, from at_ on.
  io::Task<Status> Fill(size_t bytes, Deadline deadline);

  std::unique_ptr<Connection> connection_;
  std::string buffer_;
  size_t at_ = 0;
  size_t left_ = 0;         // bytes of the packet under way
  bool continued_ = false;  // by another packet
};

}  // namespace paceline::mysql
