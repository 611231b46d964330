// mysqld/status.h - what a server says about its replication, in one form for both flavors.
// Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "gtid/set.h"

namespace paceline::mysqld {

enum class ThreadState : uint8_t { kStopped, kConnecting, kRunning };

struct FilePosition {
  std::string file;
  uint64_t offset = 0;
  friend bool operator==(const FilePosition&, const FilePosition&) = default;
};

struct ReplicationStatus {
  std::string source_host;
  uint16_t source_port = 0;
  std::string source_user;
  std::string source_uuid;  // MySQL
  uint32_t source_server_id = 0;
  ThreadState io = ThreadState::kStopped;
  ThreadState applier = ThreadState::kStopped;
  uint32_t io_errno = 0, applier_errno = 0;
  std::string io_error, applier_error;
  std::optional<Duration> lag;  // unknown while a thread is stopped
  gtid::Set executed;           // see Replication::Position
  gtid::Set received;           // executed, and what waits in the relay log
  bool auto_position = false;
  bool has_filters = false;
  bool ssl = false;
  uint32_t connect_retry_s = 0;
  uint32_t delay_s = 0;  // a replica delayed on purpose
  FilePosition read, executed_of_source, relay_log;

  bool running() const { return io == ThreadState::kRunning && applier == ThreadState::kRunning; }
  bool healthy() const { return running() && io_errno == 0 && applier_errno == 0; }
};

struct PrimaryStatus {
  FilePosition file;
  gtid::Set executed;
};

struct SemiSyncStatus {
  bool source_enabled = false, replica_enabled = false;  // what is set
  bool source_active = false, replica_active = false;    // what works now
  uint32_t acks_required = 1;                            // MariaDB knows 1 only
  uint32_t replicas = 0;                                 // connected as semi-sync replicas
  uint32_t waiting_sessions = 0;
  uint64_t timeout_ms = 0;
  bool wait_for_no_replica = true;
};

struct SourceOptions {
  std::string host;
  uint16_t port = 0;
  std::string user, password;
  Duration connect_retry = std::chrono::seconds(1);
  std::optional<Duration> heartbeat;  // how often an idle source speaks; empty: the server's own
  bool ssl = false;
};

}  // namespace paceline::mysqld
