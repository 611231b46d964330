#include "base/strings.h"
#include "mysqld/flavor.h"
#include "mysqld/status_reader.h"

namespace paceline::mysqld {
namespace {

class Mariadb final : public Flavor {
 public:
  gtid::Flavor gtid_flavor() const override { return gtid::Flavor::kMariadb; }

  std::string Config(const ServerVersion&, bool small) const override {
    std::string out =
        // Keeps sequence numbers rising within a domain, whoever writes: what comparing positions
        // stands on.
        "gtid_strict_mode = ON\n"
        "log_slave_updates = ON\n"
        "skip_slave_start = ON\n"
        "slave_net_timeout = 8\n"
        // One applier syncs each transaction for itself and falls behind a primary that commits in
        // groups; a failover waits for it. Commits keep their order.
        "slave_parallel_threads = 4\n"
        "binlog_annotate_row_events = ON\n"
        "replicate_annotate_row_events = ON\n"
        // last_gtid tells a session what its commit was called, as session_track_gtids does on
        // MySQL.
        "session_track_system_variables = autocommit,character_set_client,character_set_connection,"
        "character_set_results,time_zone,last_gtid\n"
        "aria_log_file_size = 8M\n"
        "rpl_semi_sync_master_wait_no_slave = ON\n"
        // A receiver that ends connects to its source once more; the least it can be told.
        "rpl_semi_sync_slave_kill_conn_timeout = 1\n"
        // The server's default waits after the commit, when a rewind can no longer take it back.
        "rpl_semi_sync_master_wait_point = AFTER_SYNC\n";
    out += fmt::format("rpl_semi_sync_master_timeout = {}\n", kSemiSyncTimeoutMs);
    if (small) {
      out +=
          "innodb_log_file_size = 48M\n"
          "aria_pagecache_buffer_size = 4M\n";
    }
    return out;
  }

  std::vector<std::string> InitCommand(const Programs& programs, const std::string& my_cnf,
                                       const std::string& init_sql_file) const override {
    return {programs.install_db,
            "--defaults-file=" + my_cnf,
            "--basedir=" + programs.basedir,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--extra-file=" + init_sql_file};
  }

  std::vector<std::string> IdentityFiles() const override { return {}; }
  Statements ExtraGrants(Account account) const override {
    // What REPLICATION CLIENT covers on MySQL.
    if (account == Account::kAllPrivs || account == Account::kFiltered)
      return {"BINLOG MONITOR", "SLAVE MONITOR"};
    return {};
  }
  Statements AppGrants(std::string_view account, std::string_view writes) const override {
    // The entry of a database's own name is used in place of that of `%`.
    return {fmt::format("GRANT PROCESS, SHOW DATABASES, BINLOG MONITOR, SLAVE MONITOR ON *.* TO {}",
                        account),
            fmt::format("GRANT SELECT, SHOW VIEW, {} ON `%`.* TO {}", writes, account),
            fmt::format("GRANT SHOW VIEW ON mysql.* TO {}", account),
            fmt::format("GRANT SELECT ON performance_schema.* TO {}", account),
            fmt::format("GRANT SELECT, SHOW VIEW, EXECUTE ON sys.* TO {}", account),
            fmt::format("GRANT SELECT ON `\\_vt`.* TO {}", account),
            fmt::format("GRANT SELECT ON mysql.proc TO {}", account)};
  }
  // Also for the machine's own name, which DROP USER would have to be told.
  std::string DropRoot() const override {
    return "DELETE FROM mysql.global_priv WHERE user IN ('root', '')";
  }

  Statements ChangeSource(const SourceOptions&) const override { return {}; }
  Statements SetSource(const SourceOptions& options) const override {
    std::string sql = fmt::format(
        "CHANGE MASTER TO MASTER_HOST = {}, MASTER_PORT = {}, MASTER_USER = {}, MASTER_PASSWORD = "
        "{}, "
        "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = {}, MASTER_SSL = {}",
        QuoteText(options.host), options.port, QuoteText(options.user), QuoteText(options.password),
        std::chrono::ceil<std::chrono::seconds>(options.connect_retry).count(),
        options.ssl ? 1 : 0);
    if (options.heartbeat) {
      sql += fmt::format(", MASTER_HEARTBEAT_PERIOD = {:.3f}",
                         std::chrono::duration<double>(*options.heartbeat).count());
    }
    // A former primary's own writes are in its binary log and not in gtid_slave_pos; without this
    // it would fetch them again.
    return {"SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos", sql};
  }
  std::string Start() const override { return "START SLAVE"; }
  std::string Stop() const override { return "STOP SLAVE"; }
  std::string StartIo() const override { return "START SLAVE IO_THREAD"; }
  std::string StopIo() const override { return "STOP SLAVE IO_THREAD"; }
  std::string StartApplier() const override { return "START SLAVE SQL_THREAD"; }
  std::string StopApplier() const override { return "STOP SLAVE SQL_THREAD"; }
  Statements ForgetSource() const override { return {"RESET SLAVE ALL"}; }
  Statements ForgetHistory(const ServerVersion&) const override {
    return {"RESET MASTER", "SET GLOBAL gtid_slave_pos = ''"};
  }
  Statements SetHistory(const gtid::Set& set) const override {
    return {fmt::format("SET GLOBAL gtid_binlog_state = {}", QuoteText(set.ToString())),
            fmt::format("SET GLOBAL gtid_slave_pos = {}", QuoteText(set.ToPosition()))};
  }

  std::string StatusQuery() const override { return "SHOW SLAVE STATUS"; }
  Result<ReplicationStatus> ReadStatus(const mysql::QueryResult& result) const override {
    static constexpr StatusNames kNames{"Master_Host",           "Master_Port",
                                        "Master_User",           "",
                                        "Master_Server_Id",      "Slave_IO_Running",
                                        "Slave_SQL_Running",     "Seconds_Behind_Master",
                                        "Master_Log_File",       "Read_Master_Log_Pos",
                                        "Relay_Master_Log_File", "Exec_Master_Log_Pos",
                                        "Master_SSL_Allowed"};
    StatusReader row(result);
    ReplicationStatus status = row.Common(kNames);
    status.auto_position =
        !row.Text("Using_Gtid").empty() && !EqualsIgnoreCase(row.Text("Using_Gtid"), "No");
    ASSIGN_OR_RETURN(status.received,
                     gtid::Set::Parse(gtid::Flavor::kMariadb, row.Text("Gtid_IO_Pos")));
    return status;
  }
  std::string HeartbeatsQuery() const override {
    return "SHOW GLOBAL STATUS LIKE 'Slave_received_heartbeats'";
  }
  std::string PrimaryStatusQuery(const ServerVersion&) const override {
    return "SHOW MASTER STATUS";
  }
  // The binary log's state has the last sequence of every server; what came by a clone is in
  // gtid_slave_pos alone.
  std::string PositionQuery() const override {
    return "SELECT @@global.gtid_binlog_state, @@global.gtid_slave_pos";
  }
  std::string WaitQuery(const gtid::Set& set, double seconds) const override {
    return fmt::format("SELECT MASTER_GTID_WAIT({}, {:.3f})", QuoteText(set.ToPosition()), seconds);
  }

  std::string DataBytesQuery() const override {
    return "SELECT SUM(file_size) FROM information_schema.innodb_sys_tablespaces";
  }
  // A file begins with the state of all before it.
  std::string LogsCompleteQuery(std::string_view first_log) const override {
    return fmt::format("SHOW BINLOG EVENTS IN {} LIMIT 2", QuoteText(first_log));
  }
  bool ReadLogsComplete(const mysql::QueryResult& result) const override {
    for (size_t row = 0; row < result.rows.size(); ++row) {
      if (result.Text(row, "Event_type") == "Gtid_list") return result.Text(row, "Info") == "[]";
    }
    return false;
  }

  std::string SetReadOnly(bool on, uint32_t lock_wait_s) const override {
    return fmt::format("SET SESSION lock_wait_timeout = {}, GLOBAL read_only = {}", lock_wait_s,
                       on ? "ON" : "OFF");
  }
  std::string ReadOnlyQuery() const override {
    return "SELECT @@global.read_only, @@global.read_only";
  }
  Statements SetSemiSyncSource(bool on, uint32_t) const override {
    if (!on) return {"SET GLOBAL rpl_semi_sync_master_enabled = OFF"};
    return {fmt::format("SET GLOBAL rpl_semi_sync_master_timeout = {}", kSemiSyncTimeoutMs),
            "SET GLOBAL rpl_semi_sync_master_enabled = ON"};
  }
  std::string DurabilityQuery() const override {
    return fmt::format(
        "SELECT @@global.innodb_flush_log_at_trx_commit = 1 AND @@global.sync_binlog = 1 AND "
        "@@global.rpl_semi_sync_master_wait_point = 'AFTER_SYNC' AND "
        "@@global.rpl_semi_sync_master_timeout >= {}",
        kSemiSyncTimeoutMs);
  }
  std::string SetSemiSyncReplica(bool on) const override {
    return fmt::format("SET GLOBAL rpl_semi_sync_slave_enabled = {}", on ? "ON" : "OFF");
  }
  std::string SemiSyncQuery() const override {
    // Half of the time of SHOW VARIABLES and SHOW STATUS.
    return "SELECT 'rpl_semi_sync_master_enabled', @@global.rpl_semi_sync_master_enabled UNION ALL "
           "SELECT 'rpl_semi_sync_slave_enabled', @@global.rpl_semi_sync_slave_enabled UNION ALL "
           "SELECT 'rpl_semi_sync_master_timeout', @@global.rpl_semi_sync_master_timeout UNION ALL "
           "SELECT 'rpl_semi_sync_master_wait_no_slave', "
           "@@global.rpl_semi_sync_master_wait_no_slave UNION ALL "
           "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM information_schema.global_status "
           "WHERE VARIABLE_NAME IN ('Rpl_semi_sync_master_status', 'Rpl_semi_sync_slave_status', "
           "'Rpl_semi_sync_master_clients', 'Rpl_semi_sync_master_wait_sessions')";
  }
};

}  // namespace

const Flavor& MariadbFlavor() {
  static const Mariadb flavor;
  return flavor;
}

}  // namespace paceline::mysqld
