// mysqlctl/options.h - what both programs are told by flags and environment, and the mysqld that
// follows from it.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/flags.h"
#include "io/loop.h"
#include "io/task.h"
#include "mysqld/instance.h"

namespace paceline::mysqlctl {

// Value of an environment variable, "" when unset. Read: VTDATAROOT, VT_MYSQL_ROOT, EXTRA_MY_CNF,
// PATH, PACELINE_MYSQLD_USER.
using Environment = std::function<std::string(std::string_view name)>;

struct Options {
  int64_t tablet_uid = 41983;
  std::string tablet_dir;    // below VTDATAROOT; empty: vt_%010d
  int mysql_port = 0;        // 0: that of the my.cnf that is there, else 3306
  std::string mysql_socket;  // empty: that of my.cnf, else mysql.sock in the tablet's folder
  std::string bind_address;  // empty: that of my.cnf, else every address
  std::string mysqld;        // path of the program
  std::string flavor;        // "mysql", "mariadb"; empty: MySQL before MariaDB
  std::string mysqld_user;   // who runs mysqld when we are root
  std::string report_host;
  std::string init_db_sql_file;
  bool small = false;       // small buffers, for local clusters
  bool bench_user = false;  // vt_bench; implies `small` and a shared template
  std::string bench_password;
  std::string template_dir;
  mysqld::Users users;
  std::string credentials_file;  // their passwords
  Duration wait_time = std::chrono::minutes(5);
  Duration shutdown_wait_time = std::chrono::minutes(5);
  // mysqlctld
  std::string socket_file;  // unix socket of its gRPC server
  int grpc_port = 0;
  std::string grpc_bind_address;
  std::string pid_file;
  int web_port = 0;  // of its status pages; 0: none
  std::string web_bind_address;
  // TLS to the vttablets it fetches data from (--tablet-manager-grpc-ca and so on).
  std::string tablet_ca, tablet_cert, tablet_key, tablet_server_name;
};

// Vitess's names, ours, and those of Vitess that have no effect here.
void AddFlags(FlagSet& flags, Options& options);

// The mysqld that `options` mean; what they leave open is taken from its my.cnf. `need_programs`:
// fails where no server is found; commands that only stop or look do not need one. Errors: as
// mysqld::Locate; kInvalidArgument naming the flag; kFailedPrecondition without VTDATAROOT.
io::Task<Result<mysqld::InstanceOptions>> Resolve(Options options, Environment environment,
                                                  bool need_programs, Deadline deadline);

}  // namespace paceline::mysqlctl
