// mysql/wire/session_state.h - the session-state-change entries inside an OK packet (capability
// SESSION_TRACK). Source: MySQL's "OK_Packet", section on session state; MariaDB's are the same.
// Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace paceline::mysql::wire {

enum class SessionStateType : uint8_t {
  kSystemVariable = 0,              // name, value
  kSchema = 1,                      // value: the new default database
  kStateChange = 2,                 // value: "1"
  kGtids = 3,                       // value: the GTID set
  kTransactionCharacteristics = 4,  // value: the statements that restore them, or ""
  kTransactionState = 5,            // value: eight characters, "T_______"
};

struct SessionStateEntry {
  SessionStateType type = SessionStateType::kStateChange;
  std::string name;  // kSystemVariable only
  std::string value;
  friend bool operator==(const SessionStateEntry&, const SessionStateEntry&) = default;
};

// nullopt: malformed. Entries of unknown types are left out.
std::optional<std::vector<SessionStateEntry>> ParseSessionState(std::string_view bytes);
void AppendSessionState(std::string* out, const SessionStateEntry& entry);
// The value of the last entry of `type`; empty when there is none or the bytes are malformed.
std::string SessionStateValue(std::string_view bytes, SessionStateType type);
// The same entries with the schema `from` called `to`; what is malformed or different stays as it
// is.
std::string RenameSchemaInSessionState(std::string_view bytes, std::string_view from,
                                       std::string_view to);

}  // namespace paceline::mysql::wire
