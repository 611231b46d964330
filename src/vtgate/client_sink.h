// vtgate/client_sink.h - relays a tablet's answer to one MySQL client, in that client's dialect: row packets undecoded,
// terminators written anew from the session's state, sequence bytes patched where they shift, and the database's name
// (vt_<keyspace>) shown as the keyspace. Threads: the session's loop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/stream.h"
#include "mysql/wire/capabilities.h"
#include "mysql/wire/terminator.h"
#include "vtgate/answer_sink.h"

namespace paceline::vtgate {

class ClientSink final : public AnswerSink {
 public:
  ClientSink(io::Writer& out, mysql::wire::Capabilities capabilities)
      : out_(out), capabilities_(capabilities) {}

  // A new command: the next packet to the client has this sequence byte.
  void StartCommand(uint8_t first_sequence);
  // Rows of the gate's own tables are written in the binary protocol (COM_STMT_EXECUTE).
  void SetBinary(bool binary) { binary_ = binary; }
  void StartStatement(std::string_view database, std::string_view keyspace,
                      const TerminatorContext& context) override;
  // COM_STMT_PREPARE: the id the client gets.
  void SetStatementId(uint32_t id) { statement_id_ = id; }

  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override;
  bool Full() const override { return out_.backlog() > kMostWaiting; }
  io::Task<Status> WaitNotFull(Deadline deadline) override { return out_.WaitBelow(kMostWaiting / 2, deadline); }

  void WriteTerminator(const mysql::wire::Terminator& end) override;
  void WriteError(const Error& error) override;
  void WriteTable(const OwnTable& table) override;

  bool begun() const override { return begun_; }
  bool ended() const override { return ended_; }
  const mysql::wire::Terminator& last() const override { return last_; }
  uint8_t next_sequence() const { return next_sequence_; }
  void set_next_sequence(uint8_t sequence) { next_sequence_ = sequence; }
  uint16_t parameter_count() const { return parameter_count_; }
  uint16_t prepared_column_count() const { return prepared_column_count_; }

 private:
  static constexpr size_t kMostWaiting = 256 * 1024;
  // Appends whole packets with new sequence bytes.
  void AppendRenumbered(std::string_view packets);
  void AppendDefinitions(std::string_view packets);
  void Send(mysql::wire::Terminator end, bool last);
  // As this client shall see them.
  uint16_t StatusFlags(uint16_t flags) const;

  io::Writer& out_;
  mysql::wire::Capabilities capabilities_;
  std::string rename_from_, rename_to_;
  TerminatorContext context_;
  uint8_t next_sequence_ = 1;
  uint32_t statement_id_ = 0;
  uint16_t parameter_count_ = 0;
  uint16_t prepared_column_count_ = 0;
  bool binary_ = false;
  bool begun_ = false;
  bool ended_ = false;
  uint32_t packet_left_ = 0;  // of the row packet under way
  uint8_t header_have_ = 0;
  uint32_t header_length_ = 0;
  std::string scratch_;
  mysql::wire::Terminator last_;
};

}  // namespace paceline::vtgate
