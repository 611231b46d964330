// rpc/typed_sink.h - a session's answers as QueryResults: gathered for unary calls, in pieces for
// streams. Further results of one statement (CALL) come as results of their own. Threads: the
// session's loop.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "query.pb.h"
#include "rpc/result_codec.h"
#include "vtgate/answer_sink.h"

namespace paceline::rpc {

class TypedSink : public vtgate::AnswerSink {
 public:
  void StartStatement(std::string_view database, std::string_view keyspace,
                      const vtgate::TerminatorContext& context) override;
  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override;
  void WriteTerminator(const mysql::wire::Terminator& end) override { OnEnd(end, true); }
  void WriteError(const Error& error) override;
  void WriteTable(const vtgate::OwnTable& table) override;
  bool begun() const override { return begun_; }
  bool ended() const override { return ended_; }
  const mysql::wire::Terminator& last() const override { return last_; }

 protected:
  // Where the next `bytes` of the current result go; null: they are not wanted.
  virtual query::QueryResult* Room(size_t bytes) = 0;
  virtual void OnFields() {}
  // The current result is whole, or failed. `more`: another one follows as far as is known.
  virtual void OnDone(bool has_rows, bool more) = 0;
  virtual void OnFailed(const Error& error) = 0;
  virtual void OnDefinitions(uint16_t parameter_count) { (void)parameter_count; }
  bool more_statements() const { return context_.more_statements; }

 private:
  std::string rename_from_, rename_to_;
  vtgate::TerminatorContext context_;
  std::optional<ResultReader> reader_;
  Status malformed_;
  bool begun_ = false;
  bool ended_ = false;
  mysql::wire::Terminator last_;
};

// All of it in memory, at most `bytes_max`: what exceeds is read and dropped, and the answer is
// kResourceExhausted.
class GatherSink final : public TypedSink {
 public:
  struct Answer {
    query::QueryResult result;
    std::optional<Error> error;
  };
  explicit GatherSink(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Of whole results; the last one may be an error.
  std::vector<Answer>& answers() { return answers_; }
  // Of COM_STMT_PREPARE: `answers` then has one result with fields only.
  uint16_t parameter_count() const { return parameter_count_; }
  size_t bytes() const { return bytes_; }

 private:
  query::QueryResult* Room(size_t bytes) override;
  void OnDone(bool has_rows, bool more) override;
  void OnFailed(const Error& error) override;
  void OnDefinitions(uint16_t parameter_count) override;

  size_t bytes_max_;
  size_t bytes_ = 0;
  uint16_t parameter_count_ = 0;
  Answer current_;
  std::vector<Answer> answers_;
};

// Fields at once, then rows in batches; the producer waits while the client is slow.
class StreamSink : public TypedSink {
 public:
  struct Piece {
    query::QueryResult result;
    std::optional<Error> error;
    bool first = false;  // of its result
    bool more = false;   // another result follows
  };
  bool Full() const override { return !ready_.empty(); }
  // Sends what is ready. Errors: those of Deliver, from then on always.
  io::Task<Status> WaitNotFull(Deadline deadline) override;

 protected:
  virtual io::Task<Status> Deliver(Piece& piece) = 0;

 private:
  static constexpr size_t kBatchBytes = 64 * 1024;
  query::QueryResult* Room(size_t bytes) override;
  void OnFields() override;
  void OnDone(bool has_rows, bool more) override;
  void OnFailed(const Error& error) override;
  void Push(bool more);

  Piece current_;
  size_t current_bytes_ = 0;
  bool first_ = true;
  std::deque<Piece> ready_;
  Status delivered_;
};

}  // namespace paceline::rpc
