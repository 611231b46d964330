#include "mysql/wire/command.h"

namespace paceline::mysql::wire {

std::string_view CommandName(Command command) {
  switch (command) {
    case Command::kSleep:
      return "Sleep";
    case Command::kQuit:
      return "Quit";
    case Command::kInitDb:
      return "Init DB";
    case Command::kQuery:
      return "Query";
    case Command::kFieldList:
      return "Field List";
    case Command::kCreateDb:
      return "Create DB";
    case Command::kDropDb:
      return "Drop DB";
    case Command::kRefresh:
      return "Refresh";
    case Command::kShutdown:
      return "Shutdown";
    case Command::kStatistics:
      return "Statistics";
    case Command::kProcessInfo:
      return "Processlist";
    case Command::kProcessKill:
      return "Kill";
    case Command::kDebug:
      return "Debug";
    case Command::kPing:
      return "Ping";
    case Command::kChangeUser:
      return "Change user";
    case Command::kBinlogDump:
      return "Binlog Dump";
    case Command::kRegisterReplica:
      return "Register Replica";
    case Command::kStmtPrepare:
      return "Prepare";
    case Command::kStmtExecute:
      return "Execute";
    case Command::kStmtSendLongData:
      return "Long Data";
    case Command::kStmtClose:
      return "Close stmt";
    case Command::kStmtReset:
      return "Reset stmt";
    case Command::kSetOption:
      return "Set option";
    case Command::kStmtFetch:
      return "Fetch";
    case Command::kBinlogDumpGtid:
      return "Binlog Dump GTID";
    case Command::kResetConnection:
      return "Reset Connection";
    case Command::kClone:
      return "Clone";
    case Command::kStmtBulkExecute:
      return "Bulk Execute";
  }
  return {};
}

}  // namespace paceline::mysql::wire
