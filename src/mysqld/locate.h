// mysqld/locate.h - which mysqld to run, and what belongs to it. Threads: the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"
#include "mysqld/version.h"

namespace paceline::mysqld {

struct LocateOptions {
  std::string program;                 // a path given by flag: nothing else is tried
  std::string mysql_root;              // VT_MYSQL_ROOT: its sbin, bin and libexec, before `path`
  std::string path;                    // PATH's text; /usr/sbin and /usr/local/mysql/bin follow it
  std::optional<gtid::Flavor> flavor;  // only this one; else MySQL before MariaDB
  std::string user;  // asks the program for its version as this user (see io::ProcessOptions)
};

struct Programs {
  std::string server;      // mysqld or mariadbd; may be a script that sets a library path
  std::string install_db;  // mariadb-install-db; empty for MySQL
  std::string
      upgrade;  // mariadb-upgrade; empty where there is none (MySQL upgrades itself at start)
  std::string
      basedir;  // the folder above the program's own: share and plugins are looked for from here
  std::string plugin_dir;  // empty: the server's own default
  ServerVersion version;
};

// The programs to try, in order. Pure but for asking the file system what can be executed.
std::vector<std::string> Candidates(const LocateOptions& options);
// The first candidate of the wanted flavor whose version we support. Errors: kNotFound saying where
// was looked; kFailedPrecondition when what was found is not supported.
io::Task<Result<Programs>> Locate(LocateOptions options, Deadline deadline);

}  // namespace paceline::mysqld
