#include "mysqld/locate.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/strings.h"
#include "io/process.h"

namespace paceline::mysqld {
namespace {

namespace fs = std::filesystem;

bool Executable(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

std::string FirstExecutable(const std::vector<std::string>& folders,
                            const std::vector<std::string>& names) {
  for (const std::string& folder : folders) {
    for (const std::string& name : names) {
      std::string path = folder + "/" + name;
      if (Executable(path)) return path;
    }
  }
  return "";
}

std::string FindPlugins(const std::string& basedir) {
  for (const char* place : {"/lib/mysql/plugin", "/lib/plugin", "/lib64/mysql/plugin",
                            "/lib/x86_64-linux-gnu/mysql/plugin"}) {
    std::error_code ignored;
    if (fs::exists(basedir + place + "/semisync_source.so", ignored)) return basedir + place;
  }
  return "";
}

void Complete(Programs& programs) {
  fs::path folder = fs::path(programs.server).parent_path();
  programs.basedir = folder.parent_path().string();
  if (programs.version.mariadb()) {
    std::vector<std::string> folders = {folder.string(), programs.basedir + "/bin",
                                        programs.basedir + "/scripts", "/usr/bin"};
    programs.install_db = FirstExecutable(folders, {"mariadb-install-db", "mysql_install_db"});
    programs.upgrade = FirstExecutable(folders, {"mariadb-upgrade", "mysql_upgrade"});
  } else {
    programs.plugin_dir = FindPlugins(programs.basedir);
  }
}

std::string FlavorWord(std::optional<gtid::Flavor> flavor) {
  if (!flavor) return "mysqld or mariadbd";
  return *flavor == gtid::Flavor::kMysql ? "mysqld (MySQL)" : "mariadbd (MariaDB)";
}

}  // namespace

std::vector<std::string> Candidates(const LocateOptions& options) {
  if (!options.program.empty()) return {options.program};
  std::vector<std::string> folders;
  if (!options.mysql_root.empty()) {
    for (const char* part : {"/sbin", "/bin", "/libexec"})
      folders.push_back(options.mysql_root + part);
  }
  for (std::string_view folder : Split(options.path, ':')) {
    if (!folder.empty()) folders.emplace_back(folder);
  }
  for (const char* folder : {"/usr/sbin", "/usr/local/mysql/bin", "/usr/libexec"})
    folders.emplace_back(folder);
  std::vector<std::string> found;
  // Every mysqld before any mariadbd: a mysqld may be MariaDB's link, which its version tells.
  for (const char* name : {"mysqld", "mariadbd"}) {
    for (const std::string& folder : folders) {
      std::string path = folder + "/" + name;
      if (Executable(path) && std::find(found.begin(), found.end(), path) == found.end())
        found.push_back(path);
    }
  }
  return found;
}

io::Task<Result<Programs>> Locate(LocateOptions options, Deadline deadline) {
  std::vector<std::string> candidates = Candidates(options);
  std::optional<Error> unsupported;
  std::optional<Programs> mariadb;
  std::string other;  // of the flavor that is not wanted
  for (const std::string& candidate : candidates) {
    io::ProcessOptions command;
    command.argv = {candidate, "--no-defaults", "--version"};
    command.user = options.user;
    command.new_session = false;
    Result<io::CommandResult> ran = co_await io::RunCommand(command, deadline);
    if (!ran) {
      unsupported = ran.error().Context(candidate);
      continue;
    }
    Result<ServerVersion> version = ParseVersionBanner(ran->output);
    if (!version) {
      unsupported = version.error().Context(candidate);
      continue;
    }
    if (options.flavor && version->flavor != *options.flavor) {
      if (other.empty()) other = fmt::format("{} is {}", candidate, version->ToString());
      continue;
    }
    Programs programs;
    programs.server = candidate;
    programs.version = *version;
    Complete(programs);
    if (!version->mariadb() || options.flavor) co_return programs;
    if (!mariadb) mariadb = programs;
  }
  if (mariadb) co_return *mariadb;
  if (!other.empty() && !options.program.empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{}, but {} was asked for: name another program, or "
                   "the flavor that this one has",
                   other, FlavorWord(options.flavor));
  }
  if (unsupported) co_return Fail(*unsupported);
  bool mysql_wanted = options.flavor == gtid::Flavor::kMysql;
  co_return Fail(
      Code::kNotFound,
      "found no {}: looked in VT_MYSQL_ROOT, PATH, /usr/sbin and /usr/local/mysql/bin{}; "
      "install one ({}) or give its path with --mysqld",
      FlavorWord(options.flavor), other.empty() ? "" : ", where " + other,
      mysql_wanted ? "Debian has none: tools/mysql97 brings it" : "Debian: mariadb-server");
}

}  // namespace paceline::mysqld
