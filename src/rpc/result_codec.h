// rpc/result_codec.h - MySQL's packets to query.QueryResult and back. Typed rows exist only here
// and where they are used: lengths and values are exactly those of the text protocol. Threads: one
// at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/terminator.h"
#include "port/query_service.h"
#include "value/value.h"

namespace query {
class Field;
class QueryResult;
}  // namespace query

namespace paceline::rpc {

void ToProto(const value::Field& field, query::Field* out);
value::Field FromProto(const query::Field& field);
void ToProto(const value::TypedResult& result, query::QueryResult* out);
value::TypedResult FromProto(const query::QueryResult& result);

// Packets of a text result to a QueryResult, piece by piece.
class ResultReader {
 public:
  // `packets` as ResultSink::OnColumns has them. Errors: kInternal when malformed.
  Status AddColumns(std::string_view packets, query::QueryResult* out);
  // `bytes` as ResultSink::OnRows has them. Errors: kInternal when malformed.
  Status AddRows(std::string_view bytes, query::QueryResult* out);
  // REQUIRES: !end.is_error().
  static void AddEnd(const mysql::wire::Terminator& end, query::QueryResult* out);

 private:
  size_t columns_ = 0;
  mysql::wire::PacketAssembler assembler_{1u << 30};
};

// A QueryResult, or the parts of a streamed one, to the calls of a ResultSink.
class ResultWriter {
 public:
  // Fields (once) and rows. Errors: kInternal when lengths and values of a row do not fit.
  Status Write(const query::QueryResult& part, port::ResultSink& sink);
  // The last call. `status_flags` are what the connection's state asks for.
  void End(uint16_t status_flags, port::ResultSink& sink);

 private:
  uint8_t sequence_ = 1;
  size_t columns_ = 0;
  mysql::wire::Terminator end_;
};

// What a tablet's gRPC side makes of one statement's raw answer: its first result, whole. Further
// results of a multi-statement or CALL are dropped, as the contract has no place for them.
class CollectingSink : public port::ResultSink {
 public:
  CollectingSink(query::QueryResult* out, size_t bytes_max) : out_(out), bytes_max_(bytes_max) {}
  void OnColumns(uint64_t column_count, std::string_view packets) override;
  void OnRows(std::string_view bytes) override;
  void OnEnd(const mysql::wire::Terminator& end, bool last) override;
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}

  // kOk until the statement failed: mysqld's error, kResourceExhausted above `bytes_max`,
  // kInternal.
  const Status& status() const { return status_; }
  bool in_transaction() const { return in_transaction_; }

 private:
  query::QueryResult* out_;
  size_t bytes_max_;
  size_t bytes_ = 0;
  size_t results_ = 0;
  bool in_transaction_ = false;
  ResultReader reader_;
  Status status_;
};

}  // namespace paceline::rpc
