// vtgate/field_list_sink.h - the columns of an empty result as the answer to COM_FIELD_LIST.
// Default values are left out (told as NULL): no driver reads them. Threads: the session's loop.
#pragma once

#include <string>

#include "base/strings.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/column.h"
#include "vtgate/client_sink.h"
#include "vtgate/like.h"

namespace paceline::vtgate {

class FieldListSink final : public AnswerSink {
 public:
  // `wildcard`: a LIKE pattern of column names; empty: all.
  FieldListSink(ClientSink& client, std::string wildcard)
      : client_(client), wildcard_(std::move(wildcard)) {}

  void StartStatement(std::string_view database, std::string_view keyspace,
                      const TerminatorContext& context) override {
    client_.StartStatement(database, keyspace, context);
  }
  void OnColumns(uint64_t, std::string_view packets) override { columns_ = packets; }
  void OnRows(std::string_view) override {}
  void OnEnd(const mysql::wire::Terminator& end, bool last) override {
    if (!end.is_error()) client_.WriteFieldList(columns_, wildcard_.empty() ? "%" : wildcard_);
    client_.OnEnd(end, last);
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  void WriteTerminator(const mysql::wire::Terminator& end) override {
    client_.WriteTerminator(end);
  }
  void WriteError(const Error& error) override { client_.WriteError(error); }
  void WriteTable(const OwnTable&) override {}
  bool begun() const override { return client_.begun(); }
  bool ended() const override { return client_.ended(); }
  const mysql::wire::Terminator& last() const override { return client_.last(); }

 private:
  ClientSink& client_;
  std::string wildcard_, columns_;
};

}  // namespace paceline::vtgate
