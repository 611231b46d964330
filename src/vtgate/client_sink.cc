#include "vtgate/client_sink.h"

#include <algorithm>

#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/session_state.h"
#include "plan/plan.h"
#include "vtgate/definitions.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;

void ClientSink::StartCommand(uint8_t first_sequence) {
  next_sequence_ = first_sequence;
  begun_ = ended_ = false;
}

void ClientSink::StartStatement(std::string_view from, std::string_view to, const TerminatorContext& context) {
  if (rename_from_ != from) rename_from_ = from;
  if (rename_to_ != to) rename_to_ = to;
  context_ = context;
  begun_ = ended_ = false;
  packet_left_ = 0;
  header_have_ = 0;
}

void ClientSink::AppendRenumbered(std::string_view packets) {
  std::string& out = out_.buffer();
  size_t at = out.size();
  out.append(packets);
  while (at + mysql::wire::kPacketHeaderBytes <= out.size()) {
    uint32_t length = mysql::wire::ReadPacketHeader(out.data() + at).length;
    out[at + 3] = static_cast<char>(next_sequence_++);
    at += mysql::wire::kPacketHeaderBytes + length;
  }
}

void ClientSink::AppendDefinitions(std::string_view packets) {
  if (rename_from_.empty() || packets.find(rename_from_) == std::string_view::npos) {
    AppendRenumbered(packets);
    return;
  }
  scratch_.clear();
  RenameSchemaInDefinitions(packets, rename_from_, rename_to_, scratch_);
  AppendRenumbered(scratch_);
}

void ClientSink::OnColumns(uint64_t column_count, std::string_view packets) {
  begun_ = true;
  size_t count_packet = 4 + mysql::wire::LenencSize(column_count);
  if (capabilities_ & mysql::wire::kClientOptionalMetadata) {
    std::string& out = out_.buffer();
    size_t at = mysql::wire::BeginPacket(&out);
    mysql::wire::PutU8(&out, 1);  // RESULTSET_METADATA_FULL: the definitions follow
    mysql::wire::PutLenenc(&out, column_count);
    mysql::wire::EndPacket(&out, at, &next_sequence_);
  } else {
    AppendRenumbered(packets.substr(0, count_packet));
  }
  AppendDefinitions(packets.substr(count_packet));
  mysql::wire::AppendMetadataEof(&out_.buffer(), StatusFlags(0), 0, capabilities_, &next_sequence_);
  packet_left_ = 0;
  header_have_ = 0;
  out_.Changed();
}

void ClientSink::OnRows(std::string_view bytes) {
  begun_ = true;
  std::string& out = out_.buffer();
  size_t at = out.size();
  out.append(bytes);
  size_t end = out.size();
  // Walks the packet headers, which may be cut anywhere, and writes the sequence the client expects.
  while (at < end) {
    if (packet_left_ > 0) {
      size_t skip = std::min<size_t>(packet_left_, end - at);
      packet_left_ -= static_cast<uint32_t>(skip);
      at += skip;
      continue;
    }
    auto byte = static_cast<uint8_t>(out[at]);
    if (header_have_ < 3) {
      header_length_ = (header_have_ == 0 ? 0 : header_length_) | uint32_t{byte} << (8 * header_have_);
      ++header_have_;
    } else {
      out[at] = static_cast<char>(next_sequence_++);
      packet_left_ = header_length_;
      header_have_ = 0;
    }
    ++at;
  }
  out_.Changed();
}

uint16_t ClientSink::StatusFlags(uint16_t flags) const {
  if (context_.autocommit) {
    flags |= mysql::wire::kStatusAutocommit;
  } else {
    flags &= static_cast<uint16_t>(~mysql::wire::kStatusAutocommit);
  }
  if (context_.in_transaction) flags |= mysql::wire::kStatusInTransaction;
  return flags;
}

void ClientSink::OnEnd(const Terminator& end, bool last) {
  last_ = end;
  begun_ = true;
  ended_ = last;
  Send(end, last);
}

void ClientSink::WriteTerminator(const Terminator& end) {
  begun_ = ended_ = true;
  last_ = end;
  Send(end, true);
}

void ClientSink::WriteError(const Error& error) { WriteTerminator(mysql::wire::TerminatorOf(error)); }

void ClientSink::Send(Terminator end, bool last) {
  if (!rename_from_.empty() && end.is_error()) {
    end.message = plan::ToClientNames(end.message, rename_from_, rename_to_);
  } else if (!rename_from_.empty() && !end.session_state.empty()) {
    end.session_state = mysql::wire::RenameSchemaInSessionState(end.session_state, rename_from_, rename_to_);
  }
  end.status_flags = StatusFlags(end.status_flags);
  if (last && context_.more_statements && !end.is_error()) end.status_flags |= mysql::wire::kStatusMoreResults;
  mysql::wire::AppendTerminator(&out_.buffer(), end, capabilities_, &next_sequence_);
  out_.Changed();
}

void ClientSink::WriteTable(const OwnTable& table) {
  namespace wire = mysql::wire;
  begun_ = true;
  std::string& out = out_.buffer();
  size_t at = wire::BeginPacket(&out);
  if (capabilities_ & wire::kClientOptionalMetadata) wire::PutU8(&out, 1);
  wire::PutLenenc(&out, table.columns.size());
  wire::EndPacket(&out, at, &next_sequence_);
  for (const std::string& column : table.columns) {
    at = wire::BeginPacket(&out);
    AppendTextColumn(column, out);
    wire::EndPacket(&out, at, &next_sequence_);
  }
  wire::AppendMetadataEof(&out, StatusFlags(0), 0, capabilities_, &next_sequence_);
  for (const auto& row : table.rows) {
    at = wire::BeginPacket(&out);
    if (binary_) {
      wire::PutU8(&out, 0);
      std::string nulls((row.size() + 2 + 7) / 8, '\0');
      for (size_t i = 0; i < row.size(); ++i) {
        if (!row[i]) nulls[(i + 2) / 8] = static_cast<char>(nulls[(i + 2) / 8] | 1 << ((i + 2) % 8));
      }
      out += nulls;
    }
    for (const auto& value : row) {
      if (value) {
        wire::PutLenencBytes(&out, *value);
      } else if (!binary_) {
        wire::PutU8(&out, 0xfb);
      }
    }
    wire::EndPacket(&out, at, &next_sequence_);
  }
  Terminator end;
  end.kind = Terminator::Kind::kEof;
  end.row_count = table.rows.size();
  WriteTerminator(end);
}

void ClientSink::OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                            std::string_view columns, uint16_t warnings) {
  begun_ = ended_ = true;
  parameter_count_ = parameter_count;
  prepared_column_count_ = column_count;
  last_ = Terminator();
  last_.warnings = warnings;
  std::string& out = out_.buffer();
  size_t at = mysql::wire::BeginPacket(&out);
  mysql::wire::PutU8(&out, 0);
  mysql::wire::PutU32(&out, statement_id_);
  mysql::wire::PutU16(&out, column_count);
  mysql::wire::PutU16(&out, parameter_count);
  mysql::wire::PutU8(&out, 0);
  mysql::wire::PutU16(&out, warnings);
  if (capabilities_ & mysql::wire::kClientOptionalMetadata) mysql::wire::PutU8(&out, 1);
  mysql::wire::EndPacket(&out, at, &next_sequence_);
  if (parameter_count > 0) {
    AppendDefinitions(parameters);
    mysql::wire::AppendMetadataEof(&out, StatusFlags(0), 0, capabilities_, &next_sequence_);
  }
  if (column_count > 0) {
    AppendDefinitions(columns);
    mysql::wire::AppendMetadataEof(&out, StatusFlags(0), 0, capabilities_, &next_sequence_);
  }
  out_.Changed();
}

}  // namespace paceline::vtgate
