// The one binary: the name it is called by, or its first argument, says which program it is.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "base/log.h"
#include "cmd/mains.h"
#include "local/commands.h"
#include "mysqlctl/command.h"

namespace paceline::cmd {

std::string EnvironmentText(std::string_view name) {
  const char* value = getenv(std::string(name).c_str());
  return value == nullptr ? "" : value;
}

std::string HostName() {
  char name[256] = "localhost";
  gethostname(name, sizeof name - 1);
  return name;
}

void StartProgramLog(std::string program, std::string_view level) {
  LogOptions options;
  options.program = std::move(program);
  if (level == "debug") options.level = LogLevel::kDebug;
  if (level == "warning") options.level = LogLevel::kWarning;
  if (level == "error") options.level = LogLevel::kError;
  StartLog(options);
}

std::string VersionLine() { return "Version: 0.1.0 (Paceline)"; }

namespace {

int MysqlctlRole(const std::vector<std::string>& arguments) {
  return mysqlctl::MysqlctlMain(arguments,
                                [](std::string_view name) { return EnvironmentText(name); });
}

int UpRole(const std::vector<std::string>& arguments) {
  return local::UpMain(arguments, [](std::string_view name) { return EnvironmentText(name); });
}

struct Role {
  std::string_view name;
  int (*run)(const std::vector<std::string>&);
  std::string_view what;
};

constexpr Role kRoles[] = {
    {"up", UpRole, "start a local cluster"},
    {"status", local::StatusMain, "show a local cluster"},
    {"down", local::DownMain, "stop a local cluster"},
    {"restore", local::RestoreMain, "bring back the past of a local cluster beside it"},
    {"demo", local::DemoMain, "show what clients see when a local cluster's primary is lost"},
    {"vtgate", VtgateMain, "the entry for clients"},
    {"vttablet", VttabletMain, "serves one mysqld"},
    {"vtctld", VtctldMain, "administration server"},
    {"vtorc", VtorcMain, "watches shards and heals them"},
    {"vtctldclient", VtctldclientMain, "administration, today's commands"},
    {"vtctlclient", VtctlclientMain, "administration, legacy commands"},
    {"mysqlctl", MysqlctlRole, "one command on one mysqld"},
    {"mysqlctld", MysqlctldMain, "owns one mysqld's process"},
    {"vtbackup", VtbackupMain, "makes one backup of a shard, and ends"},
    {"etcd-member", EtcdMemberMain, "one member of etcd, which heals by itself"},
    {"access-token", AccessTokenMain, "make a token for who administers a cluster"},
};

int Help(std::ostream& out) {
  out << "Paceline: a replicated, self-healing MySQL cluster\n\nUsage: paceline <program> "
         "[flags]\n\n";
  for (const Role& role : kRoles) {
    out << "  " << role.name << std::string(14 - role.name.size(), ' ') << role.what << "\n";
  }
  out << "\nEach program answers --help. Start with: paceline up\n";
  return &out == &std::cout ? 0 : 2;
}

int Main(std::vector<std::string> arguments) {
  std::string name = arguments.empty() ? "paceline" : arguments[0];
  if (!arguments.empty()) arguments.erase(arguments.begin());
  name = name.substr(name.rfind('/') + 1);
  if (name == "paceline") {
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help")
      return Help(std::cout);
    name = arguments[0];
    if (name == "--version" || name == "version") {
      std::cout << VersionLine() << "\n";
      return 0;
    }
    arguments.erase(arguments.begin());
  }
  bool version =
      arguments.size() == 1 && (arguments[0] == "--version" || arguments[0] == "-version");
  if (version) {
    std::cout << VersionLine() << "\n";
    return 0;
  }
  for (const Role& role : kRoles) {
    if (role.name == name) return role.run(arguments);
  }
  std::cerr << "paceline: there is no program \"" << name << "\"\n\n";
  return Help(std::cerr);
}

}  // namespace
}  // namespace paceline::cmd

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  return paceline::cmd::Main(std::vector<std::string>(argv, argv + argc));
}
