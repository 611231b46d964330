#include "rpc/result_codec.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/column.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/rows.h"
#include "query.pb.h"

namespace paceline::rpc {
namespace wire = mysql::wire;

void ToProto(const value::Field& field, query::Field* out) {
  out->set_name(field.name);
  out->set_type(static_cast<query::Type>(field.type));
  out->set_table(field.table);
  out->set_org_table(field.org_table);
  out->set_database(field.database);
  out->set_org_name(field.org_name);
  out->set_column_length(field.column_length);
  out->set_charset(field.charset);
  out->set_decimals(field.decimals);
  out->set_flags(field.flags);
  out->set_column_type(field.column_type);
}

value::Field FromProto(const query::Field& field) {
  value::Field out;
  out.name = field.name();
  out.type = static_cast<value::Type>(field.type());
  out.table = field.table();
  out.org_table = field.org_table();
  out.database = field.database();
  out.org_name = field.org_name();
  out.column_length = field.column_length();
  out.charset = field.charset();
  out.decimals = field.decimals();
  out.flags = field.flags();
  out.column_type = field.column_type();
  return out;
}

void ToProto(const value::TypedResult& result, query::QueryResult* out) {
  for (const value::Field& field : result.fields) ToProto(field, out->add_fields());
  for (const value::Row& row : result.rows) {
    query::Row* to = out->add_rows();
    to->mutable_lengths()->Add(row.lengths.begin(), row.lengths.end());
    to->set_values(row.values);
  }
  out->set_rows_affected(result.rows_affected);
  out->set_insert_id(result.insert_id);
  out->set_insert_id_changed(result.insert_id_changed);
  out->set_info(result.info);
  out->set_session_state_changes(result.session_state_changes);
}

value::TypedResult FromProto(const query::QueryResult& result) {
  value::TypedResult out;
  for (const query::Field& field : result.fields()) out.fields.push_back(FromProto(field));
  for (const query::Row& row : result.rows()) {
    out.rows.push_back({{row.lengths().begin(), row.lengths().end()}, row.values()});
  }
  out.rows_affected = result.rows_affected();
  out.insert_id = result.insert_id();
  out.insert_id_changed = result.insert_id_changed();
  out.info = result.info();
  out.session_state_changes = result.session_state_changes();
  return out;
}

Status ResultReader::AddColumns(std::string_view packets, query::QueryResult* out) {
  ASSIGN_OR_RETURN(std::vector<wire::ColumnDefinition> columns, wire::ParseColumns(packets));
  columns_ = columns.size();
  for (const wire::ColumnDefinition& column : columns)
    ToProto(wire::ToField(column), out->add_fields());
  return Status();
}

Status ResultReader::AddRows(std::string_view bytes, query::QueryResult* out) {
  std::span<const uint8_t> input = wire::AsBytes(bytes);
  for (;;) {
    wire::PacketAssembler::Outcome outcome = assembler_.Feed(&input);
    if (outcome == wire::PacketAssembler::Outcome::kNeedInput) return Status();
    if (outcome != wire::PacketAssembler::Outcome::kPacket) {
      return Fail(Code::kInternal, "mysqld's rows are not in packets that follow each other");
    }
    wire::Reader reader(assembler_.body());
    query::Row* row = out->add_rows();
    row->mutable_lengths()->Reserve(static_cast<int>(columns_));
    std::string* values = row->mutable_values();
    values->reserve(assembler_.body().size());
    for (size_t column = 0; column < columns_; ++column) {
      if (reader.Peek() == 0xfb && !reader.empty()) {
        reader.Skip(1);
        row->add_lengths(-1);
        continue;
      }
      std::string_view value = reader.LenencBytes();
      row->add_lengths(static_cast<int64_t>(value.size()));
      values->append(value);
    }
    if (!reader.ok() || !reader.empty())
      return Fail(Code::kInternal, "a row of mysqld does not have {} columns", columns_);
  }
}

void ResultReader::AddEnd(const wire::Terminator& end, query::QueryResult* out) {
  out->set_rows_affected(end.affected_rows);
  out->set_insert_id(end.last_insert_id);
  out->set_insert_id_changed(end.last_insert_id != 0);
  out->set_info(end.info);
  out->set_session_state_changes(end.gtid);
}

Status ResultWriter::Write(const query::QueryResult& part, port::ResultSink& sink) {
  if (columns_ == 0 && part.fields_size() > 0) {
    std::vector<wire::ColumnDefinition> columns;
    for (const query::Field& field : part.fields())
      columns.push_back(wire::FromField(FromProto(field)));
    columns_ = columns.size();
    std::string packets;
    wire::AppendColumns(&packets, columns, &sequence_);
    sink.OnColumns(columns_, packets);
  }
  std::string rows;
  for (const query::Row& row : part.rows()) {
    size_t at = wire::BeginPacket(&rows);
    std::string_view rest = row.values();
    for (int64_t length : row.lengths()) {
      if (length < 0) {
        wire::PutU8(&rows, 0xfb);
        continue;
      }
      if (static_cast<uint64_t>(length) > rest.size())
        return Fail(Code::kInternal, "a row's lengths exceed its values");
      wire::PutLenencBytes(&rows, rest.substr(0, static_cast<size_t>(length)));
      rest.remove_prefix(static_cast<size_t>(length));
    }
    if (static_cast<size_t>(row.lengths_size()) != columns_) {
      return Fail(Code::kInternal, "a row has {} values for {} columns", row.lengths_size(),
                  columns_);
    }
    wire::EndPacket(&rows, at, &sequence_);
    ++end_.row_count;
  }
  if (!rows.empty()) sink.OnRows(rows);
  // A stream tells these once, with whichever part.
  end_.affected_rows = std::max<uint64_t>(end_.affected_rows, part.rows_affected());
  if (part.insert_id() != 0) end_.last_insert_id = part.insert_id();
  if (!part.info().empty()) end_.info = part.info();
  if (!part.session_state_changes().empty()) end_.gtid = part.session_state_changes();
  return Status();
}

void ResultWriter::End(uint16_t status_flags, port::ResultSink& sink) {
  end_.kind = columns_ == 0 ? wire::Terminator::Kind::kOk : wire::Terminator::Kind::kEof;
  end_.sequence = sequence_;
  end_.status_flags = status_flags;
  sink.OnEnd(end_, true);
}

void CollectingSink::OnColumns(uint64_t, std::string_view packets) {
  if (results_ > 0 || !status_) return;
  status_ = reader_.AddColumns(packets, out_);
}

void CollectingSink::OnRows(std::string_view bytes) {
  if (results_ > 0 || !status_) return;
  bytes_ += bytes.size();
  if (bytes_ > bytes_max_) {
    out_->clear_rows();
    status_ =
        Fail(Code::kResourceExhausted, "the result is larger than {} bytes: stream it", bytes_max_);
    return;
  }
  status_ = reader_.AddRows(bytes, out_);
}

void CollectingSink::OnEnd(const wire::Terminator& end, bool) {
  in_transaction_ = end.in_transaction();
  if (end.is_error()) {
    status_ = Fail(wire::ErrorOf(end));
  } else if (results_ == 0 && status_) {
    ResultReader::AddEnd(end, out_);
  }
  ++results_;
}

}  // namespace paceline::rpc
