#include <signal.h>

#include <filesystem>
#include <iostream>

#include "base/log.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/status_pages.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "io/stream.h"
#include "mysqlctl/agent.h"
#include "mysqlctl/folder_lock.h"
#include "rpc/mysqlctl.h"
#include "rpc/server.h"
#include "rpc/tablet_manager.h"

namespace paceline::cmd {
namespace {

std::vector<Metrics::Callback> AddMysqldMetrics(const mysqlctl::Mysqlctld& agent) {
  Metrics& process = Metrics::Process();
  const mysqlctl::Mysqlctld* one = &agent;
  std::vector<Metrics::Callback> metrics;
  auto add = [&](const char* name, const char* help, CallbackKind kind,
                 int64_t (*read)(const port::MysqldState&)) {
    metrics.push_back(
        process.AddCallback(name, help, kind, [one, read] { return read(one->state()); }));
  };
  add("MysqldRunning", "1 while mysqld runs", CallbackKind::kGauge,
      [](const port::MysqldState& state) -> int64_t { return state.running ? 1 : 0; });
  add("MysqldHeld", "1 while mysqld died as primary and waits for a new term", CallbackKind::kGauge,
      [](const port::MysqldState& state) -> int64_t { return state.held ? 1 : 0; });
  add("MysqldUnusable", "1 while its data cannot be used", CallbackKind::kGauge,
      [](const port::MysqldState& state) -> int64_t { return state.unusable.empty() ? 0 : 1; });
  add("MysqldStarts", "how often mysqld was seen to start", CallbackKind::kCounter,
      [](const port::MysqldState& state) { return static_cast<int64_t>(state.start_count); });
  return metrics;
}

io::Task<int> Serve(mysqlctl::Options options, io::Loop& loop, io::SignalWatch& signals) {
  mysqlctl::Environment environment = [](std::string_view name) { return EnvironmentText(name); };
  auto instance = co_await mysqlctl::Resolve(options, environment, true, Deadline::In(30s));
  if (!instance) co_return FailWith(instance.error().Context("mysqlctld"));
  // Before anything is touched.
  Result<mysqlctl::FolderLock> lock =
      mysqlctl::FolderLock::Take(instance->config.layout, instance->user);
  if (!lock) co_return FailWith(lock.error().Context("mysqlctld"));
  mysqlctl::Mysqlctld agent(loop, options, *instance);
  io::Loop* here = &loop;
  PeerTlsFlags tls{options.tablet_ca, options.tablet_cert, options.tablet_key,
                   options.tablet_server_name};
  Status checked = tls.Check("tablet-manager-grpc");
  if (!checked) co_return FailWith(checked.error().Context("mysqlctld"));
  rpc::ChannelOptions to_tablets = tls.Channel();
  agent.SetCallTablet(
      [here, to_tablets](const std::string& address) -> std::shared_ptr<port::TabletManager> {
        Result<rpc::ChannelPtr> channel = rpc::Channel::Open(*here, address, to_tablets);
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
    io::Address here = io::Address::Unix(options.socket_file);
    Result<std::unique_ptr<io::Socket>> other = co_await io::Connect(here, Deadline::In(1s));
    if (other) {
      co_return FailWith(
          Error(Code::kAlreadyExists,
                fmt::format("mysqlctld: another program listens on {}: stop it, or choose another "
                            "--socket-file",
                            options.socket_file)));
    }
    std::filesystem::remove(options.socket_file, ignored);
    listen.address = "unix:" + options.socket_file;
  } else {
    std::string host = options.grpc_bind_address.empty() ? "127.0.0.1" : options.grpc_bind_address;
    listen.address = fmt::format("{}:{}", host, options.grpc_port);
  }
  Status listening = grpc.Start(listen);
  std::function<Status()> ready = [&agent]() -> Status {
    const port::MysqldState state = agent.state();
    if (state.running) return {};
    return Fail(Code::kUnavailable, "mysqld does not run: {}",
                state.held               ? "it died as primary and is held"
                : state.unusable.empty() ? state.last_exit
                                         : state.unusable);
  };
  StatusPages web = MakePages(loop, "mysqlctld", std::to_string(options.tablet_uid),
                              options.web_bind_address, options.web_port, ready);
  std::vector<Metrics::Callback> metrics = AddMysqldMetrics(agent);
  if (listening && web.server) listening = web.server->Start();
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
  if (web.server) web.server->Stop();
  web = {};
  metrics.clear();
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
