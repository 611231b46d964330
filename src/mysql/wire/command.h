// mysql/wire/command.h - the first byte of what a client sends. Source: MySQL's "Command Phase".
#pragma once

#include <cstdint>
#include <string_view>

namespace paceline::mysql::wire {

enum class Command : uint8_t {
  kSleep = 0x00,
  kQuit = 0x01,
  kInitDb = 0x02,
  kQuery = 0x03,
  kFieldList = 0x04,
  kCreateDb = 0x05,
  kDropDb = 0x06,
  kRefresh = 0x07,
  kShutdown = 0x08,
  kStatistics = 0x09,
  kProcessInfo = 0x0a,
  kProcessKill = 0x0c,
  kDebug = 0x0d,
  kPing = 0x0e,
  kChangeUser = 0x11,
  kBinlogDump = 0x12,
  kRegisterReplica = 0x15,
  kStmtPrepare = 0x16,
  kStmtExecute = 0x17,
  kStmtSendLongData = 0x18,
  kStmtClose = 0x19,
  kStmtReset = 0x1a,
  kSetOption = 0x1b,
  kStmtFetch = 0x1c,
  kBinlogDumpGtid = 0x1e,
  kResetConnection = 0x1f,
  kClone = 0x20,
  kStmtBulkExecute = 0xfa,  // MariaDB
};

// "Query", "Prepare"... as SHOW PROCESSLIST spells them; empty when unknown.
std::string_view CommandName(Command command);

}  // namespace paceline::mysql::wire
