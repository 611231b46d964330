#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>

#include <filesystem>
#include <iostream>

#include "base/log.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "mysqlctl/agent.h"
#include "rpc/mysqlctl.h"
#include "rpc/server.h"
#include "rpc/tablet_manager.h"

namespace paceline::cmd {
namespace {

io::Task<int> Serve(mysqlctl::Options options, io::Loop& loop, io::SignalWatch& signals) {
  mysqlctl::Environment environment = [](std::string_view name) { return EnvironmentText(name); };
  auto instance = co_await mysqlctl::Resolve(options, environment, true, Deadline::In(30s));
  if (!instance) co_return FailWith(instance.error().Context("mysqlctld"));
  mysqlctl::Mysqlctld agent(loop, options, *instance);
  io::Loop* here = &loop;
  agent.SetCallTablet([here](const std::string& address) -> std::shared_ptr<port::TabletManager> {
    Result<rpc::ChannelPtr> channel = rpc::Channel::Open(*here, address, rpc::ChannelOptions());
    if (!channel) return nullptr;
    return rpc::NewTabletManagerClient(*channel);
  });
  rpc::Server grpc;
  rpc::AddMysqlctl(grpc, loop, agent);
  rpc::ServerOptions listen;
  if (!options.socket_file.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(options.socket_file).parent_path(),
                                        ignored);
    // Two agents of one mysqld would each take the other's restarts for deaths.
    static int lock = -1;  // held until the process ends
    lock = open((options.socket_file + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
      co_return FailWith(
          Error(Code::kInvalidArgument, fmt::format("mysqlctld: cannot write {}.lock: {}",
                                                    options.socket_file, strerror(errno))));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
      co_return FailWith(Error(
          Code::kAlreadyExists,
          fmt::format("mysqlctld: another mysqlctld already serves {}: stop it, or choose another "
                      "--tablet-uid and --socket-file",
                      options.socket_file)));
    }
    std::filesystem::remove(options.socket_file, ignored);
    listen.address = "unix:" + options.socket_file;
  } else {
    std::string host = options.grpc_bind_address.empty() ? "127.0.0.1" : options.grpc_bind_address;
    listen.address = fmt::format("{}:{}", host, options.grpc_port);
  }
  Status listening = grpc.Start(listen);
  int code = 0;
  if (!listening) {
    code = FailWith(listening.error().Context("mysqlctld"));
  } else {
    Status begun = co_await agent.Begin(Deadline::In(options.wait_time));
    if (!begun) {
      code = FailWith(begun.error().Context("mysqlctld"));
    } else {
      LOG_INFO("mysqld of tablet {} {}", options.tablet_uid,
               agent.state().held ? "is held" : "runs");
      std::optional<int> number;
      while (!number) number = co_await signals.Wait(Deadline::Never());
    }
  }
  Status down = co_await grpc.Shutdown(Deadline::In(2s));
  Status stopped = co_await agent.Stop(Deadline::In(10s));
  if (!down || !stopped) LOG_WARNING("{}", (down ? stopped : down).error().ToString());
  co_return code;
}

}  // namespace

int MysqlctldMain(const std::vector<std::string>& arguments) {
  auto parsed = mysqlctl::ParseMysqlctldFlags(arguments);
  if (!parsed) {
    std::cerr << parsed.error().ToString() << "\n";
    return 2;
  }
  if (parsed->help) {
    std::cout << parsed->help_text;
    return 0;
  }
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  StartProgramLog("mysqlctld", "info");
  UseBackupCredentials();
  return io::RunUntilDone(loop, Serve(parsed->options, loop, signals));
}

}  // namespace paceline::cmd
