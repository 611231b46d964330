#include "base/strings.h"
#include "mysqld/flavor.h"
#include "mysqld/status_reader.h"

namespace paceline::mysqld {
namespace {

class Mysql final : public Flavor {
 public:
  gtid::Flavor gtid_flavor() const override { return gtid::Flavor::kMysql; }

  std::string Config(const ServerVersion& version, bool small) const override {
    std::string out =
        "super_read_only = ON\n"
        "gtid_mode = ON\n"
        "enforce_gtid_consistency = ON\n"
        "log_replica_updates = ON\n"
        "skip_replica_start = ON\n"
        "replica_net_timeout = 8\n"
        "replica_preserve_commit_order = ON\n"
        // While every worker is taken, the thread that hands out transactions spins: with 9.7's
        // four a core for each replica that catches up, which starves the others of a small machine
        // (16 writers: 80 writes a second in bad seconds, 1,600 in good ones). 64 are enough for
        // these, at 9 MB each.
        "replica_parallel_workers = 64\n"
        // The text of a statement travels with its rows: failover finds out by it whether a write
        // was committed.
        "binlog_rows_query_log_events = ON\n"
        "session_track_gtids = OWN_GTID\n"
        "mysqlx = OFF\n"
        // The application's account is kept out of `mysql` alone.
        "partial_revokes = ON\n"
        // Notes, too: among them, whether semi-sync was switched off by somebody, on which a rewind
        // depends. MariaDB writes them by default.
        "log_error_verbosity = 3\n"
        "plugin_load_add = semisync_source.so\n"
        "plugin_load_add = semisync_replica.so\n"
        // Other tablets are seeded from here, and backups are taken, while it serves.
        "plugin_load_add = mysql_clone.so\n";
    // loose: --initialize loads no plugins and would not know these.
    out += fmt::format(
        "loose_rpl_semi_sync_source_timeout = {}\n"
        "loose_rpl_semi_sync_source_wait_no_replica = ON\n"
        "loose_rpl_semi_sync_source_wait_point = AFTER_SYNC\n",
        kSemiSyncTimeoutMs);
    if (small) {
      out += version.AtLeast(8, 0, 30) ? "innodb_redo_log_capacity = 64M\n"
                                       : "innodb_log_file_size = 32M\n";
      out += "temptable_max_ram = 16M\n";
    }
    return out;
  }

  std::vector<std::string> InitCommand(const Programs& programs, const std::string& my_cnf,
                                       const std::string& init_sql_file) const override {
    return {programs.server,         "--defaults-file=" + my_cnf, "--initialize-insecure",
            "--super_read_only=OFF", "--read_only=OFF",           "--init-file=" + init_sql_file};
  }

  std::vector<std::string> IdentityFiles() const override { return {"auto.cnf"}; }

  Statements ExtraGrants(Account account) const override {
    // vttablet numbers its connections (pseudo_thread_id), so that a write in flight can be found
    // in a relay log.
    if (account == Account::kAllPrivs) return {"SESSION_VARIABLES_ADMIN"};
    // A new tablet clones with it.
    if (account == Account::kRepl) return {"BACKUP_ADMIN"};
    return {};
  }
  Statements AppGrants(std::string_view account, std::string_view writes) const override {
    return {
        // FLUSH_TABLES: mysqldump asks for it. SESSION_VARIABLES_ADMIN: vttablet numbers its
        // connections (pseudo_thread_id), so that a write in flight can be found in a relay log.
        fmt::format("GRANT SELECT, SHOW VIEW, {}, PROCESS, SHOW DATABASES, REPLICATION CLIENT, "
                    "FLUSH_TABLES, FLUSH_STATUS, FLUSH_OPTIMIZER_COSTS, SHOW_ROUTINE, "
                    "SESSION_VARIABLES_ADMIN ON *.* TO {}",
                    writes, account),
        fmt::format("REVOKE SELECT, {} ON mysql.* FROM {}", writes, account),
        fmt::format("REVOKE {} ON `_vt`.* FROM {}", writes, account)};
  }
  std::string DropRoot() const override { return "DROP USER IF EXISTS 'root'@'localhost'"; }

  Statements SetSource(const SourceOptions& options) const override {
    Statements statements = ChangeSource(options);
    statements[0] += ", SOURCE_AUTO_POSITION = 1";  // refused while the applier runs
    return statements;
  }
  Statements ChangeSource(const SourceOptions& options) const override {
    std::string sql = fmt::format(
        "CHANGE REPLICATION SOURCE TO SOURCE_HOST = {}, SOURCE_PORT = {}, SOURCE_USER = {}, "
        "SOURCE_PASSWORD = {}, "
        "SOURCE_CONNECT_RETRY = {}, SOURCE_RETRY_COUNT = 0, "
        "GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = {}",
        QuoteText(options.host), options.port, QuoteText(options.user), QuoteText(options.password),
        std::chrono::ceil<std::chrono::seconds>(options.connect_retry).count(),
        options.ssl ? 1 : 0);
    if (options.heartbeat) {
      sql += fmt::format(", SOURCE_HEARTBEAT_PERIOD = {:.3f}",
                         std::chrono::duration<double>(*options.heartbeat).count());
    }
    return {sql};
  }
  std::string Start() const override { return "START REPLICA"; }
  std::string Stop() const override { return "STOP REPLICA"; }
  std::string StartIo() const override { return "START REPLICA IO_THREAD"; }
  std::string StopIo() const override { return "STOP REPLICA IO_THREAD"; }
  std::string StartApplier() const override { return "START REPLICA SQL_THREAD"; }
  std::string StopApplier() const override { return "STOP REPLICA SQL_THREAD"; }
  Statements ForgetSource() const override { return {"RESET REPLICA ALL"}; }
  Statements ForgetHistory(const ServerVersion& version) const override {
    return {version.AtLeast(8, 2) ? "RESET BINARY LOGS AND GTIDS" : "RESET MASTER"};
  }
  Statements SetHistory(const gtid::Set& set) const override {
    return {fmt::format("SET GLOBAL gtid_purged = {}", QuoteText(set.ToString()))};
  }

  std::string StatusQuery() const override { return "SHOW REPLICA STATUS"; }
  Result<ReplicationStatus> ReadStatus(const mysql::QueryResult& result) const override {
    static constexpr StatusNames kNames{
        "Source_Host",         "Source_Port",           "Source_User",
        "Source_UUID",         "Source_Server_Id",      "Replica_IO_Running",
        "Replica_SQL_Running", "Seconds_Behind_Source", "Source_Log_File",
        "Read_Source_Log_Pos", "Relay_Source_Log_File", "Exec_Source_Log_Pos",
        "Source_SSL_Allowed"};
    StatusReader row(result);
    ReplicationStatus status = row.Common(kNames);
    status.auto_position = row.Text("Auto_Position") == "1";
    ASSIGN_OR_RETURN(status.received,
                     gtid::Set::Parse(gtid::Flavor::kMysql, row.Text("Retrieved_Gtid_Set")));
    return status;
  }
  std::string HeartbeatsQuery() const override {
    return "SELECT COUNT_RECEIVED_HEARTBEATS FROM "
           "performance_schema.replication_connection_status";
  }
  std::string PrimaryStatusQuery(const ServerVersion& version) const override {
    return version.AtLeast(8, 2) ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS";
  }
  std::string PositionQuery() const override { return "SELECT @@global.gtid_executed"; }
  std::string WaitQuery(const gtid::Set& set, double seconds) const override {
    return fmt::format("SELECT WAIT_FOR_EXECUTED_GTID_SET({}, {:.3f})", QuoteText(set.ToString()),
                       seconds);
  }

  std::string DataBytesQuery() const override {
    return "SELECT SUM(file_size) FROM information_schema.innodb_tablespaces";
  }
  std::string LogsCompleteQuery(std::string_view) const override {
    return "SELECT @@global.gtid_purged = ''";
  }
  bool ReadLogsComplete(const mysql::QueryResult& result) const override {
    return result.Text(0, size_t{0}) == "1";
  }

  std::string SetReadOnly(bool on, uint32_t lock_wait_s) const override {
    // Switching read_only off switches super_read_only off with it, and super on brings read_only.
    return on ? fmt::format("SET SESSION lock_wait_timeout = {}, GLOBAL super_read_only = ON",
                            lock_wait_s)
              : fmt::format("SET SESSION lock_wait_timeout = {}, GLOBAL read_only = OFF",
                            lock_wait_s);
  }
  std::string ReadOnlyQuery() const override {
    return "SELECT @@global.read_only, @@global.super_read_only";
  }
  Statements SetSemiSyncSource(bool on, uint32_t acks) const override {
    if (!on) return {"SET GLOBAL rpl_semi_sync_source_enabled = OFF"};
    return {fmt::format("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = {}",
                        acks == 0 ? 1 : acks),
            fmt::format("SET GLOBAL rpl_semi_sync_source_timeout = {}", kSemiSyncTimeoutMs),
            "SET GLOBAL rpl_semi_sync_source_enabled = ON"};
  }
  std::string DurabilityQuery() const override {
    return fmt::format(
        "SELECT @@global.innodb_flush_log_at_trx_commit = 1 AND @@global.sync_binlog = 1 AND "
        "@@global.rpl_semi_sync_source_wait_point = 'AFTER_SYNC' AND "
        "@@global.rpl_semi_sync_source_timeout >= {}",
        kSemiSyncTimeoutMs);
  }
  std::string SetSemiSyncReplica(bool on) const override {
    return fmt::format("SET GLOBAL rpl_semi_sync_replica_enabled = {}", on ? "ON" : "OFF");
  }
  std::string SemiSyncQuery() const override {
    // A fourth of the time of SHOW VARIABLES and SHOW STATUS, which fill all of their tables.
    return "SELECT 'rpl_semi_sync_source_enabled', @@global.rpl_semi_sync_source_enabled UNION ALL "
           "SELECT 'rpl_semi_sync_replica_enabled', @@global.rpl_semi_sync_replica_enabled "
           "UNION ALL SELECT 'rpl_semi_sync_source_wait_for_replica_count', "
           "@@global.rpl_semi_sync_source_wait_for_replica_count UNION ALL "
           "SELECT 'rpl_semi_sync_source_timeout', @@global.rpl_semi_sync_source_timeout "
           "UNION ALL SELECT 'rpl_semi_sync_source_wait_no_replica', "
           "@@global.rpl_semi_sync_source_wait_no_replica UNION ALL "
           "SELECT VARIABLE_NAME, VARIABLE_VALUE FROM performance_schema.global_status "
           "WHERE VARIABLE_NAME IN ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_replica_status', "
           "'Rpl_semi_sync_source_clients', 'Rpl_semi_sync_source_wait_sessions')";
  }
};

}  // namespace

const Flavor& MysqlFlavor() {
  static const Mysql flavor;
  return flavor;
}

}  // namespace paceline::mysqld
