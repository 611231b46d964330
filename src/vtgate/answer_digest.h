// vtgate/answer_digest.h - passes a tablet's answer on and takes the digest of what a client sees
// of it: columns, rows, and the values of each terminator (XXH3, 64 bits). Left out is what tells
// of the server and not of the data: GTIDs, session state, hints in the status flags. Lifetime: the
// sink it passes to outlives it. Threads: one loop.
#pragma once

#include <cstdint>
#include <memory>

#include "port/query_service.h"

namespace paceline::vtgate {

class AnswerDigest final : public port::ResultSink {
 public:
  // `to`: null: nobody sees the answer.
  explicit AnswerDigest(port::ResultSink* to);
  ~AnswerDigest() override;

  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override;
  bool Full() const override { return to_ != nullptr && to_->Full(); }
  io::Task<Status> WaitNotFull(Deadline deadline) override;

  // Of the answer so far.
  uint64_t Value() const;
  // Of the last terminator.
  uint64_t last_insert_id() const { return last_insert_id_; }
  bool failed() const { return failed_; }
  bool had_rows() const { return had_rows_; }

 private:
  struct State;
  void Take(const void* bytes, size_t size);
  void TakePackets(std::string_view bytes);

  port::ResultSink* to_;
  std::unique_ptr<State> state_;
  char header_[4] = {};  // of the packet that begins
  size_t header_size_ = 0;
  size_t left_ = 0;  // of the packet's body
  uint64_t last_insert_id_ = 0;
  bool failed_ = false;
  bool had_rows_ = false;
};

}  // namespace paceline::vtgate
