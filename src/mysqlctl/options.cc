#include "mysqlctl/options.h"

#include <pwd.h>
#include <unistd.h>

#include "base/strings.h"
#include "mysqld/folder.h"
#include "mysqld/passwords.h"

namespace paceline::mysqlctl {
namespace {

void AddUser(FlagSet& flags, const std::string& role, mysqld::Users::One& user) {
  std::string dashed = ReplaceAll(role, "_", "-");
  flags.Text("db-" + dashed + "-user", &user.name, "name of the " + role + " account");
  flags.Text("db-" + dashed + "-password", &user.password,
             "password of the " + role + " account, set by init");
}

Status FillFromMyCnf(const Options& options, std::string_view my_cnf, mysqld::Config& config) {
  uint64_t port = options.mysql_port > 0
                      ? static_cast<uint64_t>(options.mysql_port)
                      : ParseUint(mysqld::ReadOption(my_cnf, "port")).value_or(3306);
  if (port > 65535) return Fail(Code::kInvalidArgument, "--mysql-port={} is not a port", port);
  config.port = static_cast<uint16_t>(port);
  config.socket =
      options.mysql_socket.empty() ? mysqld::ReadOption(my_cnf, "socket") : options.mysql_socket;
  if (config.socket == config.layout.socket()) config.socket.clear();
  config.bind_address = options.bind_address.empty() ? mysqld::ReadOption(my_cnf, "bind_address")
                                                     : options.bind_address;
  if (config.bind_address.empty())
    config.bind_address = std::string("*");  // gcc 12 warns of the plain literal at -O2
  config.report_host =
      options.report_host.empty() ? mysqld::ReadOption(my_cnf, "report_host") : options.report_host;
  config.server_id =
      static_cast<uint32_t>(ParseUint(mysqld::ReadOption(my_cnf, "server_id")).value_or(0));
  if (config.server_id == 0) config.server_id = mysqld::NewServerId();
  return {};
}

std::string MysqldUser(const Options& options, const Environment& environment) {
  if (geteuid() != 0) return "";
  std::string user =
      options.mysqld_user.empty() ? environment("PACELINE_MYSQLD_USER") : options.mysqld_user;
  if (!user.empty()) return user;
  return getpwnam("paceline") != nullptr ? "paceline" : "mysql";
}

}  // namespace

void AddFlags(FlagSet& flags, Options& options) {
  flags.Int("tablet-uid", &options.tablet_uid, "uid of the tablet, which names its folder");
  flags.Text("tablet-dir", &options.tablet_dir, "folder below VTDATAROOT instead of vt_<uid>");
  flags.Port("mysql-port", &options.mysql_port, "port of mysqld");
  flags.Text("mysql-socket", &options.mysql_socket, "unix socket of mysqld");
  flags.Text("mysql-bind-address", &options.bind_address, "address that mysqld listens on");
  flags.Text("mysqld", &options.mysqld, "path of mysqld or mariadbd");
  flags.Text("flavor", &options.flavor, "mysql or mariadb; MySQL before MariaDB when not given");
  flags.Text("mysqld-user", &options.mysqld_user,
             "user that runs mysqld when this program runs as root");
  flags.Text("report-host", &options.report_host,
             "name by which mysqld makes itself known to its source");
  flags.Text("init-db-sql-file", &options.init_db_sql_file,
             "SQL to run at init instead of our own");
  flags.Bool("mysql-small", &options.small, "small buffers, for many servers on one machine");
  flags.Bool("bench-user", &options.bench_user,
             "make vt_bench for direct measurements (local clusters; implies --mysql-small)");
  flags.Text("bench-password", &options.bench_password, "password of vt_bench");
  flags.Text("init-template-dir", &options.template_dir,
             "make data directories once here and copy them");
  AddUser(flags, "dba", options.users.dba);
  AddUser(flags, "app", options.users.app);
  AddUser(flags, "appdebug", options.users.app_debug);
  AddUser(flags, "allprivs", options.users.allprivs);
  AddUser(flags, "repl", options.users.repl);
  AddUser(flags, "filtered", options.users.filtered);
  flags.Text("db-credentials-file", &options.credentials_file,
             "JSON file with the accounts' passwords: {\"vt_repl\": [\"...\"]}");
  flags.Port("port", &options.web_port, "HTTP port of mysqlctld's status pages; 0: none");
  flags.Text("bind-address", &options.web_bind_address, "address of that port; empty: every one");
  flags.Time("wait-time", &options.wait_time, "how long to wait for mysqld to start, or to stop");
  flags.Time("shutdown-wait-time", &options.shutdown_wait_time,
             "how long to wait for mysqld to stop");
  for (const char* name :
       {"db-charset", "mysqlctl-mycnf-template", "mysqlctl-socket", "log-dir", "stderrthreshold",
        "v", "mysql-server-version", "service-map", "dba-pool-size", "dba-idle-timeout",
        "replication-connect-retry", "onterm-timeout", "lameduck-period"}) {
    flags.Ignored(name, true);
  }
  for (const char* name : {"logtostderr", "alsologtostderr", "db-dba-use-ssl"})
    flags.Ignored(name, false);
}

io::Task<Result<mysqld::InstanceOptions>> Resolve(Options options, Environment environment,
                                                  bool need_programs, Deadline deadline) {
  std::string root = environment("VTDATAROOT");
  if (root.empty())
    co_return Fail(Code::kFailedPrecondition,
                   "VTDATAROOT is not set: it names the folder of all tablets");
  if (options.tablet_uid < 0 || options.tablet_uid > UINT32_MAX) {
    co_return Fail(Code::kInvalidArgument, "--tablet-uid={} is not in 0..{}", options.tablet_uid,
                   UINT32_MAX);
  }
  mysqld::InstanceOptions instance;
  mysqld::Config& config = instance.config;
  config.layout = mysqld::Layout::ForTablet(root, static_cast<uint32_t>(options.tablet_uid));
  if (!options.tablet_dir.empty()) config.layout.dir = root + "/" + options.tablet_dir;
  std::string my_cnf = mysqld::ReadFileFrom(config.layout.my_cnf(), 0, 1 << 20);
  Status filled = FillFromMyCnf(options, my_cnf, config);
  if (!filled) co_return Fail(filled.error());
  Result<std::string> extra = mysqld::ReadExtraFiles(environment("EXTRA_MY_CNF"));
  if (!extra) co_return Fail(extra.error());
  config.extra = *extra;
  config.small = options.small || options.bench_user;
  instance.users = options.users;
  if (!options.credentials_file.empty()) {
    Status read = mysqld::ReadPasswords(options.credentials_file, &instance.users);
    if (!read) co_return Fail(read.error());
  }
  instance.users.with_bench = options.bench_user;
  instance.users.bench.password = options.bench_password;
  instance.init_sql_file = options.init_db_sql_file;
  instance.user = MysqldUser(options, environment);
  instance.template_dir = options.template_dir;
  if (instance.template_dir.empty() && options.bench_user)
    instance.template_dir = root + "/mysqld-template";
  if (!need_programs) co_return instance;

  mysqld::LocateOptions locate;
  locate.program = options.mysqld;
  locate.mysql_root = environment("VT_MYSQL_ROOT");
  locate.path = environment("PATH");
  locate.user = instance.user;
  if (EqualsIgnoreCase(options.flavor, "mariadb")) {
    locate.flavor = gtid::Flavor::kMariadb;
  } else if (EqualsIgnoreCase(options.flavor, "mysql")) {
    locate.flavor = gtid::Flavor::kMysql;
  } else if (!options.flavor.empty()) {
    co_return Fail(Code::kInvalidArgument, "--flavor={}: mysql or mariadb", options.flavor);
  }
  Result<mysqld::Programs> programs = co_await mysqld::Locate(locate, deadline);
  if (!programs) co_return Fail(programs.error());
  instance.programs = std::move(*programs);
  co_return instance;
}

}  // namespace paceline::mysqlctl
