// vtgate/quiet_sink.h - an answer that the client shall not see; only how it ended is kept.
#pragma once

#include <optional>

#include "mysql/wire/ok_packet.h"
#include "vtgate/answer_sink.h"

namespace paceline::vtgate {

class QuietSink final : public AnswerSink {
 public:
  void StartStatement(std::string_view, std::string_view, const TerminatorContext&) override {}
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator& end, bool last) override {
    last_ = end;
    ended_ = last;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  void WriteTerminator(const mysql::wire::Terminator& end) override { OnEnd(end, true); }
  void WriteError(const Error& error) override {
    error_ = error;
    OnEnd(mysql::wire::TerminatorOf(error), true);
  }
  void WriteTable(const OwnTable&) override {}
  bool begun() const override { return ended_; }
  bool ended() const override { return ended_; }
  const mysql::wire::Terminator& last() const override { return last_; }
  // Of the gate; what a server answered is in last().
  const std::optional<Error>& error() const { return error_; }

 private:
  mysql::wire::Terminator last_;
  bool ended_ = false;
  std::optional<Error> error_;
};

}  // namespace paceline::vtgate
