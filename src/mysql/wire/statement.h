// mysql/wire/statement.h - what clients send to run statements: COM_QUERY and COM_STMT_EXECUTE with
// their parameters and query attributes, and PREPARE OK. Source: MySQL's "COM_QUERY",
// "COM_STMT_EXECUTE", "COM_STMT_PREPARE Response". Views point into the body that was parsed.
// Threads: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "mysql/wire/capabilities.h"
#include "mysql/wire/result_scanner.h"
#include "value/value.h"

namespace paceline::mysql::wire {

// The type a client bound to a parameter; a gate keeps them from one EXECUTE to the next.
struct ParameterType {
  uint8_t type = 6;  // a MysqlType
  bool is_unsigned = false;
  friend bool operator==(const ParameterType&, const ParameterType&) = default;
};

struct Parameter {
  ParameterType type;
  std::string_view name;  // of query attributes; empty for parameters of a statement
  bool null = false;
  // The value travelled before, by COM_STMT_SEND_LONG_DATA: `bytes` is empty.
  bool long_data = false;
  // As sent, without the length that lenenc values and times carry.
  std::string_view bytes;
};
// The parameter as a typed value in text form. Errors: kInvalidArgument when malformed.
Result<value::Value> ToValue(const Parameter& parameter);

struct QueryCommand {
  std::string_view sql;
  std::vector<Parameter> attributes;
};
// `body` with its command byte. Errors: kInvalidArgument.
Result<QueryCommand> ParseQuery(std::string_view body, Capabilities capabilities);

// Flags of COM_STMT_EXECUTE.
inline constexpr uint8_t kCursorReadOnly = 0x01;
inline constexpr uint8_t kParameterCountAvailable = 0x08;

struct ExecuteCommand {
  uint32_t statement_id = 0;
  uint8_t flags = 0;
  uint32_t iterations = 1;
  bool types_sent = false;            // the client bound types anew
  std::vector<Parameter> parameters;  // as many as the statement has
  std::vector<Parameter> attributes;  // behind them, where QUERY_ATTRIBUTES is on
};
// `known_types`: those of the last EXECUTE, used when this one sends none. `long_data[i]`:
// parameter i came by COM_STMT_SEND_LONG_DATA; may be empty. Errors: kInvalidArgument.
Result<ExecuteCommand> ParseExecute(std::string_view body, size_t parameter_count,
                                    const std::vector<ParameterType>& known_types,
                                    const std::vector<bool>& long_data, Capabilities capabilities);
// What of COM_STMT_EXECUTE follows the statement id: flags, iterations, NULLs, types (always) and
// values, for a backend without QUERY_ATTRIBUTES. `long_data[i]` stands for the value of parameter
// i where it is marked so.
std::string WriteExecuteTail(const ExecuteCommand& command,
                             const std::vector<std::string>& long_data);
// Whether the parameters of such a tail are of the kinds in `known`, one byte each (0: not known
// yet), to which those of new ones are added. NULL is of every kind. MySQL gives a prepared
// statement the types of its first parameters and casts all later ones to them.
bool FitParameterTypes(std::string_view tail, uint16_t count, std::string* known);
// The whole command with its first byte; `tail` is what WriteExecuteTail gave.
std::string WriteExecute(uint32_t statement_id, std::string_view tail);
// The statement id of EXECUTE, CLOSE, RESET, FETCH, SEND_LONG_DATA; nullopt when the body is too
// short.
std::optional<uint32_t> StatementIdOf(std::string_view body);

struct LongDataCommand {
  uint32_t statement_id = 0;
  uint16_t parameter = 0;
  std::string_view bytes;
};
Result<LongDataCommand> ParseLongData(std::string_view body);

void AppendPrepareOk(std::string* out, const PrepareOk& ok, Capabilities capabilities,
                     uint8_t* sequence);

}  // namespace paceline::mysql::wire
