// mysql/server/server_connection.h - one client's connection: login, commands in, answers out in
// the client's dialect. It knows the protocol and nothing of sessions. Answers are gathered and
// leave at the end of the loop's tick; a producer of much awaits WaitBelow() between pieces. After
// an error on the stream writes are dropped and status() says why. One reader at a time. Threads:
// the loop's thread.
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
#include "mysql/wire/column.h"
#include "mysql/wire/command.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/server_handshake.h"
#include "mysql/wire/statement.h"
#include "mysql/wire/terminator.h"

namespace paceline::mysql {

struct CommandPacket {
  wire::Command command = wire::Command::kSleep;
  // With the command byte. Valid until the next ReadCommand.
  std::string_view body;
  std::string_view payload() const { return body.substr(1); }
};

class ServerConnection {
 public:
  // A command above `max_command_bytes` ends the connection.
  explicit ServerConnection(std::unique_ptr<io::Socket> socket,
                            size_t max_command_bytes = 64 << 20);
  ~ServerConnection();
  ServerConnection(const ServerConnection&) = delete;

  // Before Handshake, where a load balancer speaks first: peer() is then the client's own address.
  // Errors: kInvalidArgument when it is no PROXY header, kUnavailable, kDeadlineExceeded.
  io::Task<Status> ReadProxyHeader(Deadline deadline);
  // Greets, upgrades to TLS where the client asks and `tls` is given, logs the client in.
  // unix_socket, peer and tls_available of the options are filled in here. Errors: kUnauthenticated
  // (the client has been told), kUnavailable, kDeadlineExceeded, kInvalidArgument.
  io::Task<Status> Handshake(wire::ServerHandshakeOptions options,
                             std::shared_ptr<io::TlsContext> tls, Deadline deadline);
  // Instead of Handshake: tells the client why there is no greeting, e.g. that there are too many
  // connections.
  io::Task<Status> Refuse(Error error, Deadline deadline);
  // Everything below is for logged-in clients.
  // Answers a COM_CHANGE_USER packet; on success session() is the new one. After an error the
  // caller closes.
  io::Task<Status> ChangeUser(std::string body, Deadline deadline);
  bool unix_socket() const { return options_.unix_socket; }
  const wire::ServerSession& session() const { return session_; }

  // The next command. Errors: kUnavailable (the client went away), kCanceled (Shutdown),
  // kDeadlineExceeded, kResourceExhausted and kInvalidArgument (the client has been told; close
  // after a flush).
  io::Task<Result<CommandPacket>> ReadCommand(Deadline deadline);

  // Ends of answers, each as this client reads it.
  void WriteOk(uint16_t status_flags = wire::kStatusAutocommit);
  void WriteTerminator(const wire::Terminator& terminator);
  void WriteEof(uint16_t status_flags, uint16_t warnings = 0);
  void WriteErr(const Error& error);
  // A packet that is text alone (COM_STATISTICS).
  void WriteText(std::string_view text);
  // A whole result of our own making; values are in text form. `binary`: the answer to an EXECUTE.
  // Errors: kInvalidArgument when a value does not fit its field (binary only); nothing has been
  // written then.
  Status WriteResult(const std::vector<value::Field>& fields, const std::vector<value::Row>& rows,
                     const wire::Terminator& end, bool binary = false);

  // Raw answers as port::ResultSink gets them: definitions and rows with their headers, of whatever
  // sequence bytes. `packets` begins with the column count packet.
  void WriteColumns(uint64_t column_count, std::string_view packets, uint16_t status_flags);
  void WriteRows(std::string_view bytes);
  // Whole row packets, as an answer of their own (COM_STMT_FETCH).
  void WriteBufferedRows(std::string_view packets);
  // `parameters` and `columns` are definitions without EOF packets.
  void WritePrepared(const wire::PrepareOk& ok, std::string_view parameters,
                     std::string_view columns, uint16_t status_flags);

  // As part of an answer: asks the client for a file of its own (LOAD DATA LOCAL) and takes what it
  // sends. Errors: kResourceExhausted when it is larger (it has been read to its end), those of
  // ReadCommand.
  io::Task<Result<std::string>> ReadLocalFile(std::string name, size_t most_bytes,
                                              Deadline deadline);

  // Bytes the client has not taken yet.
  size_t backlog() const { return writer_ ? writer_->backlog() : 0; }
  io::Task<Status> WaitBelow(size_t bytes, Deadline deadline);
  io::Task<Status> Flush(Deadline deadline) { return WaitBelow(0, deadline); }
  Status status() const { return writer_ ? writer_->status() : Status(); }
  // Ends every wait; nothing more is read or written.
  void Shutdown();

  io::Stream& stream() { return *stream_; }
  const std::string& peer() const { return peer_; }
  bool is_tls() const { return session_.tls; }

 private:
  io::Task<Status> RunMachine(wire::ServerHandshake* machine, wire::ServerHandshake::Step step,
                              Deadline deadline);
  io::Task<Status> UpgradeToTls(Deadline deadline);
  io::Task<Result<std::string_view>> ReadPacket(wire::PacketAssembler* packets, Deadline deadline);
  void AppendMetadataEof(uint16_t status_flags);
  void AppendPatched(std::string_view packets);
  void Commit();

  io::StreamPtr stream_;
  std::string peer_;
  std::unique_ptr<io::Writer> writer_;  // from the end of the login on
  std::shared_ptr<io::TlsContext> tls_;
  wire::ServerHandshakeOptions options_;
  wire::ServerSession session_;
  wire::PacketAssembler commands_;
  std::string pending_;   // read and not used up
  std::string command_;   // the body ReadCommand gave out
  uint8_t sequence_ = 0;  // of the next packet we write
  wire::SequencePatcher patcher_;
};

}  // namespace paceline::mysql
