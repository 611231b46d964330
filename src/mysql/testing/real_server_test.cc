// The fixture of real_server.h; compiled into the test program only.
#include "mysql/testing/real_server.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/testing.h"

extern char** environ;

namespace paceline::mysql::testing {
namespace {

namespace fs = std::filesystem;

std::string Environment(std::string_view name) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    if (text.starts_with(name) && text.substr(name.size()).starts_with('=')) {
      return std::string(text.substr(name.size() + 1));
    }
  }
  return {};
}

io::Task<Result<io::CommandResult>> Run(std::vector<std::string> argv, std::string user) {
  io::ProcessOptions options;
  options.argv = std::move(argv);
  options.user = std::move(user);
  Result<io::CommandResult> result = co_await io::RunCommand(options, Deadline::In(120s));
  co_return result;
}

std::string FindProgram(Flavor flavor) {
  std::vector<std::string> places;
  if (flavor == Flavor::kMariadb) {
    places = {Environment("PACELINE_MARIADBD"), "/usr/sbin/mariadbd", "/usr/local/sbin/mariadbd"};
  } else {
    places = {Environment("PACELINE_MYSQLD"),
              Environment("PACELINE_PEERS") + "/mysql97/root/bin/mysqld"};
    for (fs::path at = fs::current_path(); at.has_relative_path(); at = at.parent_path()) {
      places.push_back(at / ".cache/mysql97/root/bin/mysqld");
    }
    places.push_back("/usr/sbin/mysqld");
  }
  for (const std::string& place : places) {
    std::error_code ignored;
    if (place.empty() || !fs::exists(place, ignored)) continue;
    if (flavor == Flavor::kMariadb) return place;
    // Debian's MariaDB also answers to the name mysqld.
    io::Loop loop;
    Result<io::CommandResult> version =
        io::RunUntilDone(loop, Run({place, "--no-defaults", "--version"}, ""));
    if (version && version->exit.code == 0 && version->output.find("MariaDB") == std::string::npos)
      return place;
  }
  return {};
}

// A user that may run mysqld, which refuses to be root.
std::string UserToRunAs() {
  if (geteuid() != 0) return {};
  for (const char* name : {"paceline", "peers", "mysql", "nobody"}) {
    if (getpwnam(name) != nullptr) return name;
  }
  return {};
}

io::Task<Status> WaitUntilUp(ConnectOptions options, io::Process* process, Deadline deadline) {
  io::Gate gate;
  for (;;) {
    Result<std::unique_ptr<Connection>> connection =
        co_await Connection::Connect(options, deadline);
    if (connection) co_return Status();
    if (!process->running()) co_return Fail(Code::kUnavailable, "the server ended while starting");
    if (deadline.Passed(SystemClock().Now())) co_return Fail(connection.error());
    bool open = co_await io::Sleep(gate, Deadline::In(50ms));
    if (!open) co_return Fail(Code::kCanceled, "gate closed");
  }
}

io::Task<bool> WaitGone(io::Process* process) {
  std::optional<io::ExitStatus> exit = co_await process->WaitExit(Deadline::In(10s));
  co_return exit.has_value();
}

}  // namespace

std::string FindClient(Flavor flavor) {
  std::string server = FindProgram(flavor);
  if (server.empty()) return {};
  std::string name = flavor == Flavor::kMysql ? "mysql" : "mariadb";
  std::error_code ignored;
  for (const fs::path& place :
       {fs::path(server).parent_path() / name, fs::path("/usr/bin") / name}) {
    if (fs::exists(place, ignored)) return place;
  }
  return {};
}

RealServer* RealServer::Get(Flavor flavor) {
  static std::unique_ptr<RealServer> servers[2];
  static bool looked[2];
  size_t at = flavor == Flavor::kMysql ? 0 : 1;
  if (looked[at]) return servers[at].get();
  looked[at] = true;
  std::string program = FindProgram(flavor);
  if (program.empty()) return nullptr;
  servers[at].reset(new RealServer(flavor));
  Status started = servers[at]->Start(program);
  CHECK_MSG(started.has_value(), program + ": " + (started ? "" : started.error().ToString()));
  return servers[at].get();
}

Status RealServer::Start(const std::string& program) {
  char pattern[] = "/tmp/paceline-wire-XXXXXX";
  CHECK(mkdtemp(pattern) != nullptr);
  directory_ = pattern;
  std::string user = UserToRunAs();
  if (const passwd* entry = user.empty() ? nullptr : getpwnam(user.c_str())) {
    CHECK(chown(pattern, entry->pw_uid, entry->pw_gid) == 0);
  }
  port_ = io::FreePortForTest();
  const std::string data = "--datadir=" + directory_ + "/data";
  std::vector<std::string> common = {"--no-defaults", data};
  fs::path basedir = fs::path(program).parent_path().parent_path();
  bool unpacked = fs::exists(basedir / "lib/mysql/plugin") && basedir.filename() == "root";
  if (unpacked) common.push_back("--basedir=" + basedir.string());
  std::vector<std::string> init;
  if (flavor_ == Flavor::kMysql) {
    init = {program};
    init.insert(init.end(), common.begin(), common.end());
    for (const char* option : {"--initialize-insecure", "--mysqlx=OFF", "--secure-file-priv="})
      init.push_back(option);
  } else {
    init = {"mariadb-install-db", "--no-defaults", data, "--auth-root-authentication-method=normal",
            "--skip-test-db"};
  }
  Result<io::CommandResult> ran = io::RunUntilDone(loop_, Run(init, user));
  if (!ran) return Fail(ran.error());
  if (ran->exit.code != 0) return Fail(Code::kInternal, "{} failed: {}", init[0], ran->output);

  io::ProcessOptions options;
  options.user = user;
  options.output_file = directory_ + "/log";
  // The kernel ends it when the test dies, however it dies.
  options.argv = {"setpriv", "--pdeathsig", "KILL", program};
  options.argv.insert(options.argv.end(), common.begin(), common.end());
  if (flavor_ == Flavor::kMysql)
    options.argv.insert(options.argv.end(), {"--mysqlx=OFF", "--performance-schema=OFF"});
  if (unpacked) options.argv.push_back("--plugin-dir=" + (basedir / "lib/mysql/plugin").string());
  for (std::string option :
       {std::string("--secure-file-priv="), "--socket=" + directory_ + "/sock",
        "--pid-file=" + directory_ + "/pid", "--port=" + std::to_string(port_),
        std::string("--bind-address=127.0.0.1"), std::string("--innodb-buffer-pool-size=32M"),
        std::string("--max-allowed-packet=64M"), std::string("--local-infile=ON")}) {
    options.argv.push_back(option);
  }
  Result<std::unique_ptr<io::Process>> process = io::Process::Start(loop_, options);
  if (!process) return Fail(process.error());
  process_ = *std::move(process);
  return io::RunUntilDone(loop_, WaitUntilUp(Root(), process_.get(), Deadline::In(60s)));
}

RealServer::~RealServer() {
  if (process_ != nullptr) {
    (void)process_->Signal(SIGKILL);
    io::RunUntilDone(loop_, WaitGone(process_.get()));
    process_.reset();
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

ConnectOptions RealServer::BySocket(std::string user, std::string password) const {
  ConnectOptions options;
  options.address = io::Address::Unix(directory_ + "/sock");
  options.user = std::move(user);
  options.password = std::move(password);
  return options;
}

ConnectOptions RealServer::ByTcp(std::string user, std::string password) const {
  ConnectOptions options = BySocket(std::move(user), std::move(password));
  options.address = io::Address::Tcp("127.0.0.1", port_);
  return options;
}

ConnectOptions RealServer::Root() const { return BySocket("root", ""); }

}  // namespace paceline::mysql::testing
