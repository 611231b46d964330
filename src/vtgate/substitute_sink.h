// vtgate/substitute_sink.h - a tablet's answer whose rows are the gate's own: SHOW WARNINGS and
// SHOW DATABASES have the very columns that the server of this flavor and character set gives them.
// Threads: the session's loop.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mysql/wire/column.h"
#include "vtgate/answer_sink.h"

namespace paceline::vtgate {

class SubstituteSink final : public AnswerSink {
 public:
  // `binary`: the answer to an EXECUTE.
  SubstituteSink(AnswerSink& client, std::vector<std::vector<std::optional<std::string>>> rows,
                 bool binary)
      : client_(client), rows_(std::move(rows)), binary_(binary) {}

  void StartStatement(std::string_view database, std::string_view keyspace,
                      const TerminatorContext& context) override {
    client_.StartStatement(database, keyspace, context);
  }
  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override {
    client_.OnPrepared(parameter_count, parameters, column_count, columns, warnings);
  }
  void WriteTerminator(const mysql::wire::Terminator& end) override {
    client_.WriteTerminator(end);
  }
  void WriteError(const Error& error) override { client_.WriteError(error); }
  void WriteTable(const OwnTable& table) override { client_.WriteTable(table); }
  bool begun() const override { return client_.begun(); }
  bool ended() const override { return client_.ended(); }
  const mysql::wire::Terminator& last() const override { return client_.last(); }

 private:
  AnswerSink& client_;
  std::vector<std::vector<std::optional<std::string>>> rows_;
  bool binary_;
  bool has_columns_ = false;
  std::vector<mysql::wire::ColumnDefinition> columns_;
};

}  // namespace paceline::vtgate
