#include "mysqld/config.h"

#include <sys/un.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "base/strings.h"
#include "mysqld/flavor.h"

namespace paceline::mysqld {
namespace {

std::string Spelled(std::string_view name) { return ReplaceAll(Lower(Trim(name)), "-", "_"); }

}  // namespace

Layout Layout::ForTablet(const std::string& data_root, uint32_t tablet_uid) {
  return {fmt::format("{}/vt_{:010d}", data_root, tablet_uid)};
}

std::vector<std::string> Layout::folders() const {
  return {dir,           data(),       dir + "/innodb", innodb_data(),
          innodb_logs(), relay_logs(), bin_logs(),      tmp()};
}

std::optional<gtid::Flavor> FlavorOfData(const Layout& layout) {
  std::error_code ignored;
  auto has = [&](const char* file) {
    return std::filesystem::exists(layout.data() + "/" + file, ignored);
  };
  // MySQL first: a MariaDB that was started on its data leaves an aria log before it gives up.
  if (has("mysql.ibd")) return gtid::Flavor::kMysql;
  if (has("aria_log_control") || has("mysql/db.frm")) return gtid::Flavor::kMariadb;
  return std::nullopt;
}

uint32_t NewServerId() { return static_cast<uint32_t>(ThreadRng().Below((1u << 31) - 1)) + 1; }

std::string MyCnf(const Config& config, const Programs& programs) {
  const Layout& at = config.layout;
  std::string out =
      "# Written by mysqlctl; reinit_config writes it anew. Put own settings into EXTRA_MY_CNF "
      "files.\n[mysqld]\n";
  auto set = [&out](std::string_view name, const auto& value) {
    fmt::format_to(std::back_inserter(out), "{} = {}\n", name, value);
  };
  set("basedir", programs.basedir);
  if (!programs.plugin_dir.empty()) set("plugin_dir", programs.plugin_dir);
  set("datadir", at.data());
  set("innodb_data_home_dir", at.innodb_data());
  set("innodb_log_group_home_dir", at.innodb_logs());
  set("tmpdir", at.tmp());
  set("log_error", at.error_log());
  set("log_bin", at.bin_log_base());
  set("relay_log", at.relay_logs() + "/vt-relay");
  set("relay_log_index", at.relay_logs() + "/vt-relay.index");
  set("slow_query_log_file", at.dir + "/slow-query.log");
  set("pid_file", at.pid_file());
  set("socket", config.SocketPath());
  set("bind_address", config.bind_address);
  set("port", config.port);
  set("server_id", config.server_id);
  if (!config.report_host.empty()) {
    set("report_host", config.report_host);
    set("report_port", config.port);
  }
  out += "\n";
  // Row images and durable logs: what failover and rewinding stand on.
  set("binlog_format", "ROW");
  set("sync_binlog", 1);
  set("innodb_flush_log_at_trx_commit", 1);
  set("binlog_expire_logs_seconds", 259200);
  // Off, on both flavors: at a crash of a replica it would throw away what the relay log holds and
  // the source may no longer have. A relay log torn by the machine's crash is replaced by vttablet
  // when the applier reports it.
  set("relay_log_recovery", "OFF");
  // A server starts as nobody's replica and refuses writes, until vttablet says otherwise.
  set("read_only", "ON");
  set("event_scheduler", "OFF");
  set("skip_name_resolve", "ON");
  set("character_set_server", "utf8mb4");
  set("max_connections", 500);
  set("max_allowed_packet", "64M");
  set("connect_timeout", 30);
  set("innodb_lock_wait_timeout", 20);
  set("long_query_time", 2);
  set("slow_query_log", "ON");
  // LOAD DATA LOCAL reads the client's disk, through vtgate; the server's own files stay shut.
  set("local_infile", "ON");
  set("secure_file_priv", at.tmp());
  set("session_track_schema", "ON");
  set("session_track_state_change", "ON");
  set("session_track_transaction_info", "CHARACTERISTICS");
  if (config.small) {
    set("performance_schema", "OFF");
    set("innodb_buffer_pool_size", "48M");
    set("innodb_log_buffer_size", "4M");
    set("key_buffer_size", "1M");
    set("table_open_cache", 400);
    set("table_definition_cache", 500);
  }
  out += "\n";
  out += FlavorOf(programs.version).Config(programs.version, config.small);
  if (!config.extra.empty()) {
    out += "\n# From EXTRA_MY_CNF\n[mysqld]\n" + config.extra;
    if (!out.ends_with('\n')) out += '\n';
  }
  return out;
}

std::string ReadOption(std::string_view my_cnf, std::string_view name) {
  std::string found;
  std::string wanted = Spelled(name);
  for (std::string_view line : Split(my_cnf, '\n')) {
    line = Trim(line);
    if (line.empty() || line[0] == '#' || line[0] == '[') continue;
    size_t equals = line.find('=');
    if (Spelled(line.substr(0, equals)) != wanted) continue;
    found = equals == std::string_view::npos ? "ON" : std::string(Trim(line.substr(equals + 1)));
  }
  return found;
}

Result<std::string> ReadExtraFiles(std::string_view list) {
  std::string joined;
  for (std::string_view name : Split(list, ':')) {
    if (name.empty()) continue;
    std::ifstream file{std::string(name)};
    if (!file) return Fail(Code::kNotFound, "cannot read {}, named in EXTRA_MY_CNF", name);
    std::stringstream text;
    text << file.rdbuf();
    joined += text.str();
    if (!joined.ends_with('\n')) joined += '\n';
  }
  return joined;
}

Status CheckPathFor(const Layout& layout, const Programs& programs) {
  size_t at = layout.dir.find_first_of("#\"'\\\n\r\t");
  if (at != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "the folder \"{}\" has a \"{}\" in its name, which my.cnf cannot hold: choose "
                "another one",
                layout.dir, layout.dir[at]);
  }
  if (programs.version.mariadb() && layout.dir.find(' ') != std::string::npos) {
    return Fail(Code::kInvalidArgument,
                "the folder \"{}\" has a blank in its name, which MariaDB's mariadb-install-db "
                "cannot work with: choose another one",
                layout.dir);
  }
  return {};
}

Status Validate(const Config& config) {
  if (config.server_id == 0)
    return Fail(Code::kInvalidArgument, "server_id is 0; mysqld needs another number");
  if (config.SocketPath().size() >= sizeof(sockaddr_un::sun_path)) {
    return Fail(Code::kInvalidArgument,
                "the socket path {} has {} bytes, the system takes {}: choose a shorter data root "
                "or --mysql_socket",
                config.SocketPath(), config.SocketPath().size(), sizeof(sockaddr_un::sun_path) - 1);
  }
  return {};
}

}  // namespace paceline::mysqld
