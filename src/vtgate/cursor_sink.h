// vtgate/cursor_sink.h - the answer to an EXECUTE that asks for a cursor: the definitions go to the
// client, the rows stay here until it fetches them. As with mysqld, which keeps them in a temporary
// table, other statements may run meanwhile. Threads: the session's loop.
#pragma once

#include <memory>
#include <string>

#include "vtgate/client_sink.h"

namespace paceline::vtgate {

// The rows of an open cursor.
class Cursor {
 public:
  explicit Cursor(std::string rows) : rows_(std::move(rows)) {}
  // The next `count` rows at most, whole packets. *ended: there were fewer.
  std::string_view Fetch(uint32_t count, bool* ended);

 private:
  std::string rows_;
  size_t at_ = 0;
};

class CursorSink final : public AnswerSink {
 public:
  // A result of more than `most_bytes` is refused: the client is told to read without a cursor.
  CursorSink(ClientSink& client, size_t most_bytes) : client_(client), most_bytes_(most_bytes) {}

  // Null when the statement gave no rows; its answer has gone to the client then.
  std::unique_ptr<Cursor> Take() { return std::move(cursor_); }

  void StartStatement(std::string_view database, std::string_view keyspace,
                      const TerminatorContext& context) override;
  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  void WriteTerminator(const mysql::wire::Terminator& end) override {
    client_.WriteTerminator(end);
  }
  void WriteError(const Error& error) override { client_.WriteError(error); }
  void WriteTable(const OwnTable& table) override { client_.WriteTable(table); }
  bool begun() const override { return client_.begun(); }
  bool ended() const override { return client_.ended(); }
  const mysql::wire::Terminator& last() const override { return client_.last(); }

 private:
  ClientSink& client_;
  size_t most_bytes_;
  uint64_t column_count_ = 0;  // 0: no result with rows is open
  bool too_large_ = false;
  std::string columns_, rows_;
  std::unique_ptr<Cursor> cursor_;
};

}  // namespace paceline::vtgate
