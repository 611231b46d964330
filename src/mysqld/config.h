// mysqld/config.h - a tablet's directory and its my.cnf. Threads: values; the functions that write
// block for milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "mysqld/locate.h"

namespace paceline::mysqld {

// Vitess's names: <root>/vt_%010d/..., one layout for both flavors.
struct Layout {
  std::string dir;  // without a slash at its end

  static Layout ForTablet(const std::string& data_root, uint32_t tablet_uid);
  std::string data() const { return dir + "/data"; }
  std::string innodb_data() const { return dir + "/innodb/data"; }
  std::string innodb_logs() const { return dir + "/innodb/logs"; }
  std::string relay_logs() const { return dir + "/relay-logs"; }
  std::string bin_logs() const { return dir + "/bin-logs"; }
  std::string tmp() const { return dir + "/tmp"; }
  std::string socket() const { return dir + "/mysql.sock"; }
  std::string pid_file() const { return dir + "/mysql.pid"; }
  std::string my_cnf() const { return dir + "/my.cnf"; }
  std::string error_log() const { return dir + "/error.log"; }
  std::string bin_log_base() const { return bin_logs() + "/vt-bin"; }
  // Ours: pid and start ticks of the mysqld that was started last.
  std::string process_file() const { return dir + "/mysqld.process"; }
  // Ours: there while init runs, so that what a killed init left is told from data.
  std::string unfinished_file() const { return dir + "/init-unfinished"; }
  // Ours: locked by the mysqlctld that owns this directory, with its pid inside.
  std::string lock_file() const { return dir + "/mysqlctld.lock"; }
  std::vector<std::string> folders() const;
};

// Which server wrote the data directory, by files that only one of them makes. Empty where there is
// no data, or none that tells.
std::optional<gtid::Flavor> FlavorOfData(const Layout& layout);

struct Config {
  Layout layout;
  std::string socket;                      // empty: layout.socket()
  std::string bind_address = "127.0.0.1";  // an address or "*"
  uint16_t port = 3306;
  uint32_t server_id = 0;   // not 0; see NewServerId
  std::string report_host;  // empty: not reported
  bool small = false;       // local clusters: small buffers and no performance_schema
  std::string extra;        // contents of the EXTRA_MY_CNF files, last, so that they win

  std::string SocketPath() const { return socket.empty() ? layout.socket() : socket; }
};

// Random in [1, 2^31). A directory made anew gets a new one: MariaDB names transactions by it, and
// a server that lost its data must not reuse the names of what it lost.
uint32_t NewServerId();
// The whole my.cnf.
std::string MyCnf(const Config& config, const Programs& programs);
// One option of [mysqld] in a my.cnf, "" when absent; dashes and underscores alike, the last one
// wins.
std::string ReadOption(std::string_view my_cnf, std::string_view name);
// Joins the files of EXTRA_MY_CNF (separated by ':'). Errors: kNotFound naming the file.
Result<std::string> ReadExtraFiles(std::string_view list);
// Whether the server's own programs can work with the directory's name. Errors: kInvalidArgument.
Status CheckPathFor(const Layout& layout, const Programs& programs);
// Errors: kInvalidArgument for what cannot work: a socket path that is too long, server id 0.
Status Validate(const Config& config);

}  // namespace paceline::mysqld
