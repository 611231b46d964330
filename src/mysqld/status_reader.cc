#include "mysqld/status_reader.h"

namespace paceline::mysqld {
namespace {

ThreadState ReadThread(std::string_view text) {
  if (EqualsIgnoreCase(text, "Yes")) return ThreadState::kRunning;
  // MariaDB says "Preparing" while the IO thread asks for its place.
  if (EqualsIgnoreCase(text, "Connecting") || EqualsIgnoreCase(text, "Preparing"))
    return ThreadState::kConnecting;
  return ThreadState::kStopped;
}

}  // namespace

ReplicationStatus StatusReader::Common(const StatusNames& names) const {
  ReplicationStatus status;
  status.source_host = Text(names.host);
  status.source_port = static_cast<uint16_t>(Number(names.port));
  status.source_user = Text(names.user);
  if (!names.uuid.empty()) status.source_uuid = Text(names.uuid);
  status.source_server_id = static_cast<uint32_t>(Number(names.server_id));
  status.io = ReadThread(Text(names.io));
  status.applier = ReadThread(Text(names.applier));
  status.io_errno = static_cast<uint32_t>(Number("Last_IO_Errno"));
  status.applier_errno = static_cast<uint32_t>(Number("Last_SQL_Errno"));
  status.io_error = Text("Last_IO_Error");
  status.applier_error = Text("Last_SQL_Error");
  if (auto seconds = ParseUint(Text(names.lag))) status.lag = std::chrono::seconds(*seconds);
  for (const char* filter :
       {"Replicate_Do_DB", "Replicate_Ignore_DB", "Replicate_Do_Table", "Replicate_Ignore_Table",
        "Replicate_Wild_Do_Table", "Replicate_Wild_Ignore_Table"}) {
    if (!Text(filter).empty()) status.has_filters = true;
  }
  status.ssl = EqualsIgnoreCase(Text(names.ssl), "Yes");
  status.connect_retry_s = static_cast<uint32_t>(Number("Connect_Retry"));
  status.delay_s = static_cast<uint32_t>(Number("SQL_Delay"));
  status.read = {Text(names.file), Number(names.read_offset)};
  status.executed_of_source = {Text(names.executed_file), Number(names.executed_offset)};
  status.relay_log = {Text("Relay_Log_File"), Number("Relay_Log_Pos")};
  return status;
}

}  // namespace paceline::mysqld
