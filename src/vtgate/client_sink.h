// vtgate/client_sink.h - relays a tablet's answer to one MySQL client: row packets undecoded,
// terminators written anew from the session's state, and the database's name (vt_<keyspace>) shown
// as the keyspace. Threads: the session's loop.
#pragma once

#include <string>
#include <string_view>

#include "mysql/server/server_connection.h"
#include "vtgate/answer_sink.h"
#include "vtgate/row_renamer.h"

namespace paceline::vtgate {

class ClientSink final : public AnswerSink {
 public:
  explicit ClientSink(mysql::ServerConnection& client) : client_(client) {}

  // A new command. `binary`: rows of the gate's own tables go in the binary protocol
  // (COM_STMT_EXECUTE).
  void StartCommand(bool binary);
  // The account that the client knows itself by ("app@%"), for errors that name the pool's own.
  void SetAccount(std::string account) { account_ = std::move(account); }
  // COM_STMT_PREPARE: the id that the client gets.
  void SetStatementId(uint32_t id) { statement_id_ = id; }

  void StartStatement(std::string_view database, std::string_view keyspace,
                      const TerminatorContext& context) override;
  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override;
  bool Full() const override { return client_.backlog() > kMostWaiting; }
  io::Task<Status> WaitNotFull(Deadline deadline) override {
    return client_.WaitBelow(kMostWaiting / 2, deadline);
  }

  // Definitions alone, of the columns that the LIKE pattern matches (COM_FIELD_LIST).
  void WriteFieldList(std::string_view packets, const std::string& pattern);
  // The start of an answer whose rows wait for COM_STMT_FETCH; `end`: how the statement ended.
  void OpenCursor(uint64_t column_count, std::string_view packets,
                  const mysql::wire::Terminator& end);
  io::Task<Result<std::string>> ReadLocalFile(std::string name, size_t most_bytes,
                                              Deadline deadline) override;

  void WriteTerminator(const mysql::wire::Terminator& end) override;
  void WriteError(const Error& error) override;
  void WriteTable(const OwnTable& table) override;
  bool begun() const override { return begun_; }
  bool ended() const override { return ended_; }
  const mysql::wire::Terminator& last() const override { return last_; }

  uint16_t parameter_count() const { return parameter_count_; }
  bool prepared() const { return prepared_; }

 private:
  static constexpr size_t kMostWaiting = 256 * 1024;
  // As this client shall see them.
  uint16_t StatusFlags(uint16_t flags, bool more) const;
  mysql::wire::Terminator Shown(const mysql::wire::Terminator& end, bool last) const;
  std::string_view Renamed(std::string_view packets, std::string* scratch) const;
  std::string RenameTablesIn(std::string_view packets) const;
  bool renames_rows() const { return context_.rename_rows && !rename_from_.empty(); }
  void TellTransaction(uint16_t flags, std::string* session_state) const;
  std::string MessageShown(std::string_view message) const;

  mysql::ServerConnection& client_;
  std::string rename_from_, rename_to_, scratch_;
  std::string account_;
  TerminatorContext context_;
  RowRenamer renamer_;
  uint32_t statement_id_ = 0;
  uint16_t parameter_count_ = 0;
  bool prepared_ = false;
  bool binary_ = false;
  bool begun_ = false;
  bool ended_ = false;
  mysql::wire::Terminator last_;
};

}  // namespace paceline::vtgate
