#include "rpc/typed_sink.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/column.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "plan/plan.h"

namespace paceline::rpc {
namespace wire = mysql::wire;

void TypedSink::StartStatement(std::string_view database, std::string_view keyspace,
                               const vtgate::TerminatorContext& context) {
  rename_from_ = database;
  rename_to_ = keyspace;
  context_ = context;
  begun_ = ended_ = false;
}

void TypedSink::OnColumns(uint64_t, std::string_view packets) {
  begun_ = true;
  reader_.emplace();
  malformed_ = Status();
  query::QueryResult* room = Room(packets.size());
  if (room == nullptr) return;
  int before = room->fields_size();
  malformed_ = reader_->AddColumns(packets, room);
  if (!rename_from_.empty()) {
    for (int i = before; i < room->fields_size(); ++i) {
      query::Field* field = room->mutable_fields(i);
      if (field->database() == rename_from_) field->set_database(rename_to_);
    }
  }
  OnFields();
}

void TypedSink::OnRows(std::string_view bytes) {
  query::QueryResult* room = Room(bytes.size());
  if (room == nullptr || !malformed_ || !reader_) return;
  malformed_ = reader_->AddRows(bytes, room);
}

void TypedSink::OnEnd(const wire::Terminator& end, bool last) {
  last_ = end;
  begun_ = true;
  ended_ = last;
  if (end.is_error()) {
    wire::Terminator shown = end;
    if (!rename_from_.empty()) {
      shown.message = plan::ToClientNames(shown.message, rename_from_, rename_to_);
    }
    OnFailed(wire::ErrorOf(shown));
  } else if (!malformed_) {
    OnFailed(malformed_.error());
  } else {
    bool has_rows = end.kind == wire::Terminator::Kind::kEof;
    query::QueryResult* room = Room(0);
    if (room != nullptr) ResultReader::AddEnd(end, room);
    OnDone(has_rows, !last || context_.more_statements);
  }
  reader_.reset();
  malformed_ = Status();
}

void TypedSink::OnPrepared(uint16_t parameter_count, std::string_view, uint16_t,
                           std::string_view columns, uint16_t warnings) {
  begun_ = ended_ = true;
  last_ = wire::Terminator();
  last_.warnings = warnings;
  query::QueryResult* room = Room(columns.size());
  std::span<const uint8_t> input = wire::AsBytes(columns);
  wire::PacketAssembler assembler(1u << 24);
  while (room != nullptr && assembler.Feed(&input) == wire::PacketAssembler::Outcome::kPacket) {
    wire::ColumnDefinition column;
    if (!wire::ParseColumnDefinition(assembler.body(), &column)) break;
    if (!rename_from_.empty() && column.schema == rename_from_) column.schema = rename_to_;
    ToProto(wire::ToField(column), room->add_fields());
  }
  OnDefinitions(parameter_count);
  OnDone(true, false);
}

void TypedSink::WriteError(const Error& error) {
  last_ = wire::TerminatorOf(error);
  begun_ = ended_ = true;
  if (rename_from_.empty() || !error.from_mysql()) {
    OnFailed(error);
  } else {
    std::string text = plan::ToClientNames(error.message(), rename_from_, rename_to_);
    OnFailed(Error::FromMysql(error.mysql_errno(), error.sqlstate(), std::move(text)));
  }
}

void TypedSink::WriteTable(const vtgate::OwnTable& table) {
  begun_ = ended_ = true;
  last_ = wire::Terminator();
  last_.kind = wire::Terminator::Kind::kEof;
  last_.row_count = table.rows.size();
  query::QueryResult* room = Room(0);
  for (size_t i = 0; room != nullptr && i < table.columns.size(); ++i) {
    value::Field field = value::MakeField(table.columns[i], value::Type::kVarchar);
    ToProto(field, room->add_fields());
  }
  if (room != nullptr) OnFields();
  for (const auto& values : table.rows) {
    size_t bytes = 0;
    for (const auto& one : values) bytes += one ? one->size() : 0;
    room = Room(bytes);
    if (room == nullptr) break;
    query::Row* row = room->add_rows();
    for (const auto& one : values) {
      row->add_lengths(one ? static_cast<int64_t>(one->size()) : -1);
      if (one) row->mutable_values()->append(*one);
    }
  }
  OnDone(true, context_.more_statements);
}

query::QueryResult* GatherSink::Room(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ <= bytes_max_) return &current_.result;
  current_.result.clear_rows();
  return nullptr;
}

void GatherSink::OnDone(bool, bool) {
  if (bytes_ > bytes_max_) {
    OnFailed(
        Error(Code::kResourceExhausted,
              fmt::format("the result is larger than {} bytes: use StreamExecute", bytes_max_)));
    return;
  }
  answers_.push_back(std::exchange(current_, Answer()));
}

void GatherSink::OnFailed(const Error& error) {
  current_.result.Clear();
  current_.error = error;
  answers_.push_back(std::exchange(current_, Answer()));
}

void GatherSink::OnDefinitions(uint16_t parameter_count) { parameter_count_ = parameter_count; }

void StreamSink::Push(bool more) {
  current_.first = std::exchange(first_, false);
  current_.more = more;
  ready_.push_back(std::exchange(current_, Piece()));
  current_bytes_ = 0;
}

query::QueryResult* StreamSink::Room(size_t bytes) {
  if (current_bytes_ > 0 && current_bytes_ + bytes > kBatchBytes) Push(more_statements());
  current_bytes_ += bytes;
  return &current_.result;
}

void StreamSink::OnFields() { Push(more_statements()); }

void StreamSink::OnDone(bool has_rows, bool more) {
  // An end that adds nothing to the rows needs no message.
  bool bare = has_rows && current_.result.rows_size() == 0 && current_.result.fields_size() == 0 &&
              current_.result.session_state_changes().empty() && !first_;
  if (!bare) Push(more);
  current_ = Piece();
  current_bytes_ = 0;
  first_ = true;
}

void StreamSink::OnFailed(const Error& error) {
  current_.result.Clear();
  current_.error = error;
  Push(false);
  first_ = true;
}

io::Task<Status> StreamSink::WaitNotFull(Deadline deadline) {
  (void)deadline;  // sending ends with the call
  while (delivered_ && !ready_.empty()) {
    Piece piece = std::move(ready_.front());
    ready_.pop_front();
    delivered_ = co_await Deliver(piece);
  }
  if (!delivered_) ready_.clear();
  co_return delivered_;
}

}  // namespace paceline::rpc
