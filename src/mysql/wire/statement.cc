#include "mysql/wire/statement.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/command.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql::wire {
namespace {

constexpr uint8_t kUnsignedBit = 0x80;
// MySQL allows 65535 parameters; attributes come on top.
constexpr uint64_t kMaxParameters = 1 << 17;

bool Bit(std::string_view bitmap, size_t at) {
  return static_cast<uint8_t>(bitmap[at / 8]) >> (at % 8) & 1;
}

// NULL bitmap, types and values of `count` parameters, as EXECUTE and QUERY share them.
bool ReadParameters(Reader* reader, size_t count, bool names,
                    const std::vector<ParameterType>& known_types,
                    const std::vector<bool>& long_data, bool* types_sent,
                    std::vector<Parameter>* out) {
  std::string_view nulls = reader->Bytes((count + 7) / 8);
  *types_sent = reader->U8() == 1;
  if (!reader->ok()) return false;
  out->resize(count);
  for (size_t i = 0; i < count; ++i) {
    Parameter& parameter = (*out)[i];
    if (*types_sent) {
      parameter.type.type = reader->U8();
      parameter.type.is_unsigned = reader->U8() & kUnsignedBit;
      if (names) parameter.name = reader->LenencBytes();
    } else if (i < known_types.size()) {
      parameter.type = known_types[i];
    } else {
      return false;
    }
  }
  for (size_t i = 0; i < count && reader->ok(); ++i) {
    Parameter& parameter = (*out)[i];
    if (i < long_data.size() && long_data[i]) {
      parameter.long_data = true;
    } else if (Bit(nulls, i) ||
               parameter.type.type == static_cast<uint8_t>(value::MysqlType::kNull)) {
      parameter.null = true;
    } else {
      parameter.bytes = TakeBinaryValue(reader, parameter.type.type);
    }
  }
  return reader->ok();
}

bool IsLenenc(uint8_t type) {
  // A value that takes one byte when empty is one with a length in front, whichever way that is
  // written.
  Reader reader(std::string_view("\0", 1));
  return TakeBinaryValue(&reader, type).empty() && reader.ok() && reader.empty();
}

}  // namespace

Result<value::Value> ToValue(const Parameter& parameter) {
  if (parameter.null) return value::Value::Null();
  uint32_t flags = 0;
  if (parameter.type.is_unsigned) flags = value::kFlagUnsigned;
  std::optional<value::Type> type = value::TypeFromMysql(parameter.type.type, flags);
  BinaryType binary{parameter.type.type, parameter.type.is_unsigned};
  std::optional<std::string> text = BinaryToText(parameter.bytes, binary);
  if (!type || !text) {
    return Fail(Code::kInvalidArgument, "malformed parameter of type {}", parameter.type.type);
  }
  return value::Value{*type, *std::move(text)};
}

Result<QueryCommand> ParseQuery(std::string_view body, Capabilities capabilities) {
  QueryCommand command;
  Reader reader(body);
  reader.Skip(1);
  if (capabilities & kClientQueryAttributes) {
    uint64_t count = reader.Lenenc();
    reader.Lenenc();  // sets of parameters: always one
    bool types_sent = false;
    if (!reader.ok() || count > kMaxParameters ||
        (count > 0 && !ReadParameters(&reader, static_cast<size_t>(count), true, {}, {},
                                      &types_sent, &command.attributes))) {
      return Fail(Code::kInvalidArgument, "malformed query attributes");
    }
  }
  command.sql = reader.TakeRest();
  if (!reader.ok()) return Fail(Code::kInvalidArgument, "malformed query packet");
  return command;
}

Result<ExecuteCommand> ParseExecute(std::string_view body, size_t parameter_count,
                                    const std::vector<ParameterType>& known_types,
                                    const std::vector<bool>& long_data, Capabilities capabilities) {
  ExecuteCommand command;
  Reader reader(body);
  reader.Skip(1);
  command.statement_id = reader.U32();
  command.flags = reader.U8();
  command.iterations = reader.U32();
  bool attributes = capabilities & kClientQueryAttributes;
  bool counted = attributes && (command.flags & kParameterCountAvailable);
  uint64_t count = parameter_count;
  if (reader.ok() && attributes && (parameter_count > 0 || counted)) {
    if (counted) count = reader.Lenenc();
  }
  if (!reader.ok() || count < parameter_count || count > kMaxParameters) {
    return Fail(Code::kInvalidArgument, "malformed EXECUTE packet");
  }
  if (count > 0 && !ReadParameters(&reader, static_cast<size_t>(count), attributes, known_types,
                                   long_data, &command.types_sent, &command.parameters)) {
    return Fail(Code::kInvalidArgument, "malformed parameters in an EXECUTE packet");
  }
  command.attributes.assign(command.parameters.begin() + static_cast<ptrdiff_t>(parameter_count),
                            command.parameters.end());
  command.parameters.resize(parameter_count);
  return command;
}

std::string WriteExecuteTail(const ExecuteCommand& command,
                             const std::vector<std::string>& long_data) {
  std::string out;
  PutU8(&out, command.flags & ~kParameterCountAvailable);
  PutU32(&out, command.iterations);
  const std::vector<Parameter>& parameters = command.parameters;
  if (parameters.empty()) return out;
  size_t nulls_at = out.size();
  out.append((parameters.size() + 7) / 8, '\0');
  PutU8(&out, 1);
  for (size_t i = 0; i < parameters.size(); ++i) {
    ParameterType type = parameters[i].type;
    // Long data are bytes whatever type was bound; only types with a length can carry them in line.
    if (parameters[i].long_data && !IsLenenc(type.type)) {
      type.type = static_cast<uint8_t>(value::MysqlType::kBlob);
    }
    PutU8(&out, type.type);
    PutU8(&out, type.is_unsigned ? kUnsignedBit : 0);
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    if (parameter.long_data) {
      PutLenencBytes(&out,
                     i < long_data.size() ? std::string_view(long_data[i]) : std::string_view());
    } else if (parameter.null) {
      out[nulls_at + i / 8] = static_cast<char>(out[nulls_at + i / 8] | 1 << (i % 8));
    } else if (IsLenenc(parameter.type.type)) {
      PutLenencBytes(&out, parameter.bytes);
    } else {
      out += parameter.bytes;
    }
  }
  return out;
}

namespace {

// Types whose values MySQL treats alike in a prepared statement; 0 for NULL.
char KindOf(uint8_t type, uint8_t flags) {
  using value::MysqlType;
  switch (static_cast<MysqlType>(type)) {
    case MysqlType::kNull:
      return 0;
    case MysqlType::kTiny:
    case MysqlType::kShort:
    case MysqlType::kInt24:
    case MysqlType::kLong:
    case MysqlType::kLongLong:
      return flags & kUnsignedBit ? 'u' : 'i';
    case MysqlType::kVarchar:
    case MysqlType::kVarString:
    case MysqlType::kString:
      return 's';
    default:
      return static_cast<char>(type | 0x80);
  }
}

}  // namespace

bool FitParameterTypes(std::string_view tail, uint16_t count, std::string* known) {
  if (count == 0) return true;
  Reader reader(tail);
  reader.Skip(5 + (count + 7u) / 8);  // flags, iterations, NULLs
  if (reader.U8() != 1 || !reader.ok()) return true;
  known->resize(count);
  bool fits = true;
  for (char& one : *known) {
    const uint8_t type = reader.U8();
    const char kind = KindOf(type, reader.U8());
    if (!reader.ok()) return fits;
    fits = fits && (one == 0 || kind == 0 || one == kind);
    if (one == 0) one = kind;
  }
  return fits;
}

std::string WriteExecute(uint32_t statement_id, std::string_view tail) {
  std::string out;
  PutU8(&out, static_cast<uint8_t>(Command::kStmtExecute));
  PutU32(&out, statement_id);
  out += tail;
  return out;
}

std::optional<uint32_t> StatementIdOf(std::string_view body) {
  Reader reader(body);
  reader.Skip(1);
  uint32_t id = reader.U32();
  if (!reader.ok()) return std::nullopt;
  return id;
}

Result<LongDataCommand> ParseLongData(std::string_view body) {
  LongDataCommand command;
  Reader reader(body);
  reader.Skip(1);
  command.statement_id = reader.U32();
  command.parameter = reader.U16();
  command.bytes = reader.TakeRest();
  if (!reader.ok()) return Fail(Code::kInvalidArgument, "malformed SEND_LONG_DATA packet");
  return command;
}

void AppendPrepareOk(std::string* out, const PrepareOk& ok, Capabilities capabilities,
                     uint8_t* sequence) {
  size_t at = BeginPacket(out);
  PutU8(out, 0x00);
  PutU32(out, ok.statement_id);
  PutU16(out, ok.column_count);
  PutU16(out, ok.parameter_count);
  PutU8(out, 0);
  PutU16(out, ok.warnings);
  if (capabilities & kClientOptionalMetadata) PutU8(out, 1);
  EndPacket(out, at, sequence);
}

}  // namespace paceline::mysql::wire
