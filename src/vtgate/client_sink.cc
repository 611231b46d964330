#include "vtgate/client_sink.h"

#include "mysql/wire/column.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/session_state.h"
#include "plan/plan.h"
#include "value/charset.h"
#include "vtgate/like.h"

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
  if (renames_rows()) renamer_.Start(packets, binary_, rename_from_, rename_to_);
  packets = Renamed(packets, &scratch_);
  std::string show_tables;
  if (!rename_from_.empty()) show_tables = RenameTablesIn(packets);
  client_.WriteColumns(column_count, show_tables.empty() ? packets : show_tables,
                       StatusFlags(0, context_.more_statements));
}

// SHOW TABLES calls its column after the database. Empty when there is none such.
std::string ClientSink::RenameTablesIn(std::string_view packets) const {
  std::string name = "Tables_in_" + rename_from_;
  if (packets.find(name) == std::string_view::npos) return "";
  std::string renamed;
  mysql::wire::PacketWalk walk(packets);
  std::string_view body;
  while (walk.Next(&body)) {
    uint8_t sequence = walk.sequence();
    mysql::wire::ColumnDefinition column;
    if (!mysql::wire::ParseColumnDefinition(body, &column)) {  // the column count
      mysql::wire::AppendPacket(&renamed, body, &sequence);
      continue;
    }
    for (std::string* one : {&column.name, &column.org_name}) {
      if (one->starts_with(name)) *one = "Tables_in_" + rename_to_ + one->substr(name.size());
    }
    mysql::wire::AppendColumnDefinition(&renamed, column, &sequence);
  }
  return renamed;
}

void ClientSink::OnRows(std::string_view bytes) {
  client_.WriteRows(renames_rows() ? renamer_.Feed(bytes) : bytes);
}

void ClientSink::OnEnd(const Terminator& end, bool last) {
  last_ = end;
  begun_ = true;
  ended_ = last;
  bool plain = !end.is_error() && end.session_state.empty() && context_.added_state.empty() &&
               context_.transaction == TerminatorContext::Explicit::kNone;
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
  if (shown.is_error()) {
    shown.message = MessageShown(shown.message);
    return shown;
  }
  static const StateTracking kDefaults = TrackingOf(SessionSettings());
  const StateTracking& tracking = context_.tracking != nullptr ? *context_.tracking : kDefaults;
  shown.session_state = ToldState(shown.session_state, tracking);
  if (!rename_from_.empty()) {
    shown.session_state =
        mysql::wire::RenameSchemaInSessionState(shown.session_state, rename_from_, rename_to_);
  }
  uint16_t flags = StatusFlags(end.status_flags, last && context_.more_statements);
  if (last) {
    shown.session_state += context_.added_state;
    if (!tracking.transaction_state) TellTransaction(flags, &shown.session_state);
  }
  flags &= static_cast<uint16_t>(~mysql::wire::kStatusSessionStateChanged);
  if (!shown.session_state.empty()) flags |= mysql::wire::kStatusSessionStateChanged;
  shown.status_flags = flags;
  return shown;
}

void ClientSink::TellTransaction(uint16_t flags, std::string* session_state) const {
  using Explicit = TerminatorContext::Explicit;
  const bool inside = flags & mysql::wire::kStatusInTransaction;
  std::string state;
  if (context_.transaction == Explicit::kBegins) state = "T_______";
  if (context_.transaction == Explicit::kBeginsWithSnapshot) state = "T_R_____";
  if (context_.transaction == Explicit::kOpen && !inside) state = "________";
  if (state.empty()) return;
  mysql::wire::AppendSessionState(
      session_state, {mysql::wire::SessionStateType::kTransactionState, "", std::move(state)});
}

// Errors of rights name the user of the tablet's pool ('vt_app'@'localhost').
std::string ClientSink::MessageShown(std::string_view message) const {
  std::string shown(message);
  if (!rename_from_.empty()) shown = plan::ToClientNames(shown, rename_from_, rename_to_);
  for (const char quote : {'\'', '`'}) {
    const std::string q(1, quote);
    const std::string pool_host = q + "@" + q + "localhost" + q;
    const size_t host = shown.find(pool_host);
    const size_t user = shown.rfind(q + "vt_", host);
    if (account_.empty() || host == std::string::npos || user == std::string::npos) continue;
    const size_t at = account_.rfind('@');
    return shown.substr(0, user) + q + account_.substr(0, at) + q + "@" + q +
           account_.substr(at + 1) + q + shown.substr(host + pool_host.size());
  }
  return shown;
}

void ClientSink::OnPrepared(uint16_t parameter_count, std::string_view parameters,
                            uint16_t column_count, std::string_view columns, uint16_t warnings) {
  begun_ = ended_ = prepared_ = true;
  parameter_count_ = parameter_count;
  last_ = Terminator();
  last_.warnings = warnings;
  mysql::wire::PrepareOk ok{statement_id_, column_count, parameter_count, warnings};
  std::string parameter_scratch, show_tables;
  columns = Renamed(columns, &scratch_);
  if (!rename_from_.empty()) show_tables = RenameTablesIn(columns);
  client_.WritePrepared(ok, Renamed(parameters, &parameter_scratch),
                        show_tables.empty() ? columns : show_tables, StatusFlags(0, false));
}

void ClientSink::WriteFieldList(std::string_view packets, const std::string& pattern) {
  Result<std::vector<mysql::wire::ColumnDefinition>> columns =
      mysql::wire::ParseColumns(Renamed(packets, &scratch_));
  if (!columns) return;
  std::string definitions;
  uint8_t sequence = 0;
  for (const mysql::wire::ColumnDefinition& column : *columns) {
    if (!MatchesLike(column.name, pattern)) continue;
    std::string one;
    mysql::wire::AppendColumnDefinition(&one, column, &sequence);
    std::string body = one.substr(mysql::wire::kPacketHeaderBytes) + "\xfb";
    --sequence;
    mysql::wire::AppendPacket(&definitions, body, &sequence);
  }
  client_.WriteBufferedRows(definitions);
}

namespace {

// A cursor reads from a temporary table, whose columns are in no key and count nothing up.
std::string WithoutKeys(std::string_view packets) {
  constexpr uint16_t kOfTheTable = 0x0002 | 0x0004 | 0x0008 | 0x0200 | 0x1000 | 0x2000 | 0x4000;
  std::string out;
  mysql::wire::PacketWalk walk(packets);
  std::string_view body;
  while (walk.Next(&body)) {
    uint8_t sequence = walk.sequence();
    mysql::wire::ColumnDefinition column;
    if (!mysql::wire::ParseColumnDefinition(body, &column)) {  // the column count
      mysql::wire::AppendPacket(&out, body, &sequence);
      continue;
    }
    column.flags &= static_cast<uint16_t>(~kOfTheTable);
    mysql::wire::AppendColumnDefinition(&out, column, &sequence);
  }
  return out;
}

}  // namespace

void ClientSink::OpenCursor(uint64_t column_count, std::string_view packets,
                            const Terminator& end) {
  begun_ = ended_ = true;
  last_ = end;
  const uint16_t flags = StatusFlags(end.status_flags, false) | mysql::wire::kStatusCursorExists;
  packets = Renamed(packets, &scratch_);
  std::string show_tables;
  if (!rename_from_.empty()) show_tables = RenameTablesIn(packets);
  client_.WriteColumns(column_count, WithoutKeys(show_tables.empty() ? packets : show_tables),
                       flags);
  if (client_.session().capabilities & mysql::wire::kClientDeprecateEof)
    client_.WriteEof(flags, end.warnings);
}

io::Task<Result<std::string>> ClientSink::ReadLocalFile(std::string name, size_t most_bytes,
                                                        Deadline deadline) {
  Result<std::string> content =
      co_await client_.ReadLocalFile(std::move(name), most_bytes, deadline);
  co_return content;
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
