#include "vtgate/client_sink.h"

#include "mysql/wire/column.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/session_state.h"
#include "plan/plan.h"
#include "value/charset.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;

void ClientSink::StartCommand(bool binary) {
  binary_ = binary;
  begun_ = ended_ = prepared_ = false;
}

void ClientSink::StartStatement(std::string_view database, std::string_view keyspace,
                                const TerminatorContext& context) {
  if (rename_from_ != database) rename_from_ = database;
  if (rename_to_ != keyspace) rename_to_ = keyspace;
  context_ = context;
  begun_ = ended_ = false;
}

uint16_t ClientSink::StatusFlags(uint16_t flags, bool more) const {
  if (context_.autocommit) {
    flags |= mysql::wire::kStatusAutocommit;
  } else {
    flags &= static_cast<uint16_t>(~mysql::wire::kStatusAutocommit);
  }
  if (context_.in_transaction) flags |= mysql::wire::kStatusInTransaction;
  if (more) flags |= mysql::wire::kStatusMoreResults;
  return flags;
}

std::string_view ClientSink::Renamed(std::string_view packets, std::string* scratch) const {
  if (rename_from_.empty() || packets.find(rename_from_) == std::string_view::npos) return packets;
  scratch->clear();
  mysql::wire::RenameSchemaInColumns(packets, rename_from_, rename_to_, scratch);
  return *scratch;
}

void ClientSink::OnColumns(uint64_t column_count, std::string_view packets) {
  begun_ = true;
  packets = Renamed(packets, &scratch_);
  std::string show_tables;
  if (!rename_from_.empty()) show_tables = RenameTablesIn(packets);
  client_.WriteColumns(column_count, show_tables.empty() ? packets : show_tables,
                       StatusFlags(0, false));
}

// SHOW TABLES calls its column after the database. Empty when there is none such.
std::string ClientSink::RenameTablesIn(std::string_view packets) const {
  std::string name = "Tables_in_" + rename_from_;
  if (packets.find(name) == std::string_view::npos) return "";
  Result<std::vector<mysql::wire::ColumnDefinition>> columns = mysql::wire::ParseColumns(packets);
  if (!columns) return "";
  for (mysql::wire::ColumnDefinition& column : *columns) {
    if (column.name.starts_with(name))
      column.name = "Tables_in_" + rename_to_ + column.name.substr(name.size());
  }
  std::string renamed;
  uint8_t sequence = 1;
  mysql::wire::AppendColumns(&renamed, *columns, &sequence);
  return renamed;
}

void ClientSink::OnRows(std::string_view bytes) { client_.WriteRows(bytes); }

void ClientSink::OnEnd(const Terminator& end, bool last) {
  last_ = end;
  begun_ = true;
  ended_ = last;
  bool plain = rename_from_.empty() || (!end.is_error() && end.session_state.empty());
  if (!plain) {
    client_.WriteTerminator(Shown(end, last));
    return;
  }
  uint16_t flags = last_.status_flags;
  last_.status_flags = StatusFlags(flags, last && context_.more_statements && !end.is_error());
  client_.WriteTerminator(last_);
  last_.status_flags = flags;
}

Terminator ClientSink::Shown(const Terminator& end, bool last) const {
  Terminator shown = end;
  if (!rename_from_.empty() && shown.is_error()) {
    shown.message = plan::ToClientNames(shown.message, rename_from_, rename_to_);
  } else if (!rename_from_.empty() && !shown.session_state.empty()) {
    shown.session_state =
        mysql::wire::RenameSchemaInSessionState(shown.session_state, rename_from_, rename_to_);
  }
  shown.status_flags =
      StatusFlags(end.status_flags, last && context_.more_statements && !end.is_error());
  return shown;
}

void ClientSink::OnPrepared(uint16_t parameter_count, std::string_view parameters,
                            uint16_t column_count, std::string_view columns, uint16_t warnings) {
  begun_ = ended_ = prepared_ = true;
  parameter_count_ = parameter_count;
  last_ = Terminator();
  last_.warnings = warnings;
  mysql::wire::PrepareOk ok{statement_id_, column_count, parameter_count, warnings};
  std::string parameter_scratch;
  client_.WritePrepared(ok, Renamed(parameters, &parameter_scratch), Renamed(columns, &scratch_),
                        StatusFlags(0, false));
}

void ClientSink::WriteTerminator(const Terminator& end) {
  begun_ = ended_ = true;
  last_ = end;
  client_.WriteTerminator(Shown(end, true));
}

void ClientSink::WriteError(const Error& error) {
  WriteTerminator(mysql::wire::TerminatorOf(error));
}

void ClientSink::WriteTable(const OwnTable& table) {
  begun_ = ended_ = true;
  std::vector<value::Field> fields;
  for (const std::string& name : table.columns) {
    value::Field field;
    field.name = name;
    field.type = value::Type::kVarchar;
    field.charset = value::kUtf8mb4GeneralCi;
    field.column_length = 65535;
    fields.push_back(std::move(field));
  }
  std::vector<value::Row> rows;
  for (const auto& values : table.rows) {
    value::Row row;
    for (const auto& one : values) {
      if (one) {
        row.Append(*one);
      } else {
        row.AppendNull();
      }
    }
    rows.push_back(std::move(row));
  }
  last_ = Terminator();
  last_.kind = Terminator::Kind::kEof;
  last_.row_count = table.rows.size();
  Status written = client_.WriteResult(fields, rows, Shown(last_, true), binary_);
  if (!written) WriteError(written.error());
}

}  // namespace paceline::vtgate
