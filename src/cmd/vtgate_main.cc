#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/log.h"
#include "base/strings.h"
#include "cmd/common_flags.h"
#include "cmd/loop_thread.h"
#include "cmd/mains.h"
#include "cmd/status_pages.h"
#include "cmd/tablet_dialer.h"
#include "cmd/tablet_process.h"
#include "io/signal.h"
#include "rpc/server.h"
#include "rpc/vtgate.h"
#include "rpc/vtgate_front.h"
#include "vtgate/gate.h"
#include "vtgate/query_log.h"
#include "vtgate/statement_stats.h"
#include "vtgate/static_users.h"

namespace paceline::cmd {
namespace {

struct GateFlags {
  CommonFlags common;
  std::vector<std::string> cells_to_watch;
  int mysql_port = 0;
  std::string mysql_bind, mysql_socket, auth = "static", users_file, server_version;
  std::string ssl_cert, ssl_key, ssl_ca;
  bool require_tls = false, proxy_protocol = false;
  Duration reload_interval{0};
  std::string local_copy;
  PeerTlsFlags tablet_tls;
  int64_t threads = 0, connections = 10'000;
  Duration query_timeout = 1h, idle_timeout = 8h, lag_low = 30s, lag_high = 2h, drain = 5s;
  vtgate::BufferOptions buffer;  // of the whole process
  vtgate::FailoverOptions failover;
  vtgate::ReadAfterWriteOptions read_after_write;
  int64_t buffer_size = 1000, buffer_bytes = 64 << 20;
  bool statement_stats = true;
  vtgate::QueryLogOptions query_log;
  int64_t replay_statements = 1000, replay_bytes = 1 << 20, replay_bytes_all = 256 << 20;
};

// What clients are spared when a primary goes.
void DeclareFailover(FlagSet& flags, GateFlags& f) {
  flags.Bool("enable-buffer", &f.buffer.enabled, "requests wait while their shard has no primary");
  flags.Int("buffer-size", &f.buffer_size, "requests that wait at most; more are refused");
  flags.Int("buffer-bytes", &f.buffer_bytes, "bytes of their statements at most");
  flags.Time("buffer-window", &f.buffer.window, "how long one request waits at most");
  flags.Time("buffer-max-failover-duration", &f.buffer.failover_max,
             "how long after the loss of a primary requests wait at most");
  flags.Time("buffer-min-time-between-failovers", &f.buffer.between_failovers,
             "requests do not wait for a failover that follows sooner on the last one");
  flags.TextList("buffer-keyspace-shards", &f.buffer.shards,
                 "keyspaces or keyspace/shards whose requests wait; empty: all");
  flags.Ignored("buffer-drain-concurrency", true);
  flags.Bool("resolve-writes", &f.failover.resolve,
             "writes whose answer was lost are settled by what the new primary's logs prove");
  flags.Time("resolve-timeout", &f.failover.resolve_max, "how long one of them is asked for");
  flags.Bool("rebuild-results", &f.failover.rebuild,
             "committed ones get their result where it is exact, not error 50001");
  flags.Bool("rerun-writes", &f.failover.run_again, "those not committed are run again");
  flags.Bool(
      "replay-transactions", &f.failover.replay,
      "open transactions are run again on the new primary, if all results come out the same");
  flags.Int("replay-max-statements", &f.replay_statements, "of one transaction");
  flags.Int("replay-max-bytes", &f.replay_bytes, "of one transaction's statements");
  flags.Int("replay-max-bytes-total", &f.replay_bytes_all, "of all open transactions");
  flags.Bool(
      "read-after-write", &f.read_after_write.on,
      "reads on replicas wait for what their session wrote; per session: SET read_after_write");
  flags.Time("read-after-write-timeout", &f.read_after_write.timeout, "how long");
  flags.Bool("read-from-replicas", &f.read_after_write.from_replicas,
             "plain reads outside transactions go to replicas, which wait for the session's own "
             "writes; per session: SET read_from_replicas");
  flags.TextList("read-from-replicas-users", &f.read_after_write.from_replicas_users,
                 "the same for the sessions of these users");
  flags.Bool("read-after-write-primary", &f.read_after_write.then_primary,
             "after that time they go to the primary, else they fail");
}

// What operators see of statements.
void DeclareObservation(FlagSet& flags, GateFlags& f) {
  flags.Bool("statement-stats", &f.statement_stats,
             "count statements by shape for /debug/queryz and /debug/query_stats");
  flags.Text("log-queries-to-file", &f.query_log.file,
             "statements as lines of JSON, appended to this file; empty: none");
  flags.Share("querylog-sample-rate", &f.query_log.sample_rate,
              "share of the statements that are logged, 0 to 1");
  flags.Int("querylog-row-threshold", &f.query_log.row_threshold,
            "only statements that returned or changed so many rows");
  flags.Time("querylog-time-threshold", &f.query_log.time_threshold,
             "only statements that took so long");
  flags.Bool("querylog-redact", &f.query_log.redact, "without literals, comments and error texts");
}

void Declare(FlagSet& flags, GateFlags& f) {
  f.common.port = 15001;
  f.common.grpc_port = 15991;
  f.common.AddTo(flags);
  flags.TextList("cells-to-watch", &f.cells_to_watch,
                 "cells whose tablets are used; empty: the own one");
  flags.Port("mysql-server-port", &f.mysql_port, "MySQL port; 0: none");
  flags.Text("mysql-server-bind-address", &f.mysql_bind,
             "address for MySQL; empty: as bind-address");
  flags.Text("mysql-server-socket-path", &f.mysql_socket, "unix socket for MySQL");
  flags.Text("mysql-auth-server-impl", &f.auth,
             "static (users from a file) or none (everybody, loopback only)");
  flags.Text("mysql-auth-server-static-file", &f.users_file, "users, in Vitess's JSON");
  flags.Text("mysql-server-version", &f.server_version,
             "version that clients are told; empty: that of the servers behind");
  flags.Text("mysql-server-ssl-cert", &f.ssl_cert, "certificate for MySQL clients");
  flags.Text("mysql-server-ssl-key", &f.ssl_key, "its key");
  flags.Text("mysql-server-ssl-ca", &f.ssl_ca,
             "CA of client certificates; when given, clients over TLS must have one");
  flags.Bool("proxy-protocol", &f.proxy_protocol,
             "MySQL clients come through a load balancer that speaks the PROXY protocol, 1 or 2");
  flags.Time("mysql-auth-static-reload-interval", &f.reload_interval,
             "how often users and certificates are read anew; 0: only on SIGHUP");
  flags.Bool("mysql-server-require-secure-transport", &f.require_tls, "refuse clients without TLS");
  flags.Text("local-copy", &f.local_copy,
             "file with a copy of the topology, to start from while it is away");
  flags.Int("threads", &f.threads, "0: by the number of cores");
  flags.Int("mysql-server-max-connections", &f.connections, "clients at most");
  flags.Time("query-timeout", &f.query_timeout, "limit for one statement");
  DeclareFailover(flags, f);
  f.tablet_tls.AddTo(flags, "tablet-grpc", "tablets, by gRPC and the native data plane");
  DeclareObservation(flags, f);
  flags.Time("mysql-server-idle-timeout", &f.idle_timeout, "after which idle clients are closed");
  flags.Time("discovery-low-replication-lag", &f.lag_low, "replicas below it are preferred");
  flags.Time("discovery-high-replication-lag-minimum-serving", &f.lag_high,
             "replicas above it are not used");
  flags.Time("onterm-timeout", &f.drain, "how long sessions may finish when the gate is stopped");
  flags.Ignored("tablet-types-to-wait", true);
}

Result<std::shared_ptr<const vtgate::MysqlFrontOptions>> FrontOptions(
    const GateFlags& f, std::shared_ptr<const mysql::wire::RsaKey> rsa_key) {
  auto options = std::make_shared<vtgate::MysqlFrontOptions>();
  options->rsa_key = std::move(rsa_key);
  options->server_version = f.server_version;
  options->require_tls = f.require_tls;
  options->proxy_protocol = f.proxy_protocol;
  options->idle_timeout = f.idle_timeout;
  options->most_connections = static_cast<size_t>(std::max<int64_t>(1, f.connections));
  if (f.auth == "none") {
    const std::string& bind = f.mysql_bind.empty() ? f.common.bind_address : f.mysql_bind;
    bool loopback = bind.starts_with("127.") || bind == "::1" || bind == "localhost";
    if (!loopback && f.mysql_port != 0) {
      return Fail(Code::kInvalidArgument,
                  "--mysql-auth-server-impl none lets everybody in, so it needs "
                  "--mysql-server-bind-address 127.0.0.1");
    }
    options->accept_all = true;
  } else if (f.auth == "static") {
    if (f.users_file.empty()) {
      return Fail(Code::kInvalidArgument,
                  "--mysql-auth-server-impl static needs --mysql-auth-server-static-file");
    }
    ASSIGN_OR_RETURN(std::shared_ptr<const vtgate::StaticUsers> users,
                     vtgate::StaticUsers::Load(f.users_file));
    options->users = users;
  } else {
    return Fail(Code::kInvalidArgument, "--mysql-auth-server-impl \"{}\": use static or none",
                f.auth);
  }
  if (!f.ssl_cert.empty()) {
    io::TlsOptions tls;
    tls.cert_file = f.ssl_cert;
    tls.key_file = f.ssl_key;
    tls.ca_file = f.ssl_ca;
    tls.require_peer_certificate = !f.ssl_ca.empty();
    ASSIGN_OR_RETURN(options->tls, io::TlsContext::Server(tls));
  }
  return options;
}

// One thread of the gate: its own, or a query thread of the tablet of this process.
struct GateThread {
  std::unique_ptr<LoopThread> thread;
  io::Loop* loop = nullptr;
  std::unique_ptr<TabletDialer> dialer;
  std::unique_ptr<vtgate::Gate> gate;
};

io::Task<Status> StartGate(GateThread* t, vtgate::GateOptions options,
                           vtgate::SessionTable* table) {
  t->gate =
      std::make_unique<vtgate::Gate>(io::Loop::Current(), std::move(options), *t->dialer, *table);
  Status started = co_await t->gate->Start(Deadline::In(30s));
  co_return started;
}

io::Task<bool> StopGate(GateThread* t, Deadline deadline) {
  if (t->gate) co_await t->gate->Stop(deadline);
  t->gate.reset();
  t->dialer.reset();
  co_return true;
}

struct Process {
  GateFlags flags;
  std::shared_ptr<const mysql::wire::RsaKey> rsa_key;
  vtgate::SessionTable table;
  TabletProcess* tablet = nullptr;       // of --with-tablet
  std::optional<Status> tablet_started;  // once its start has ended
  vtgate::StatementStats statements;
  std::unique_ptr<vtgate::QueryLog> query_log;
  std::vector<std::unique_ptr<GateThread>> threads;
  std::vector<std::unique_ptr<io::Listener>> listeners;
  size_t next = 0;
  io::Gate accepting;
  std::vector<Metrics::Callback> metrics;
  // The first thread's gate also serves gRPC and the pages.
  std::unique_ptr<rpc::VtgateFront> grpc_front;
  std::unique_ptr<rpc::Server> grpc;
  StatusPages web;
};

// Users and certificates as the files have them now; what cannot be read leaves all as it was.
void Reload(Process& p) {
  Result<std::shared_ptr<const vtgate::MysqlFrontOptions>> fresh = FrontOptions(p.flags, p.rsa_key);
  if (!fresh) {
    LOG_ERROR("users and certificates stay as they were: {}", fresh.error().ToString());
    return;
  }
  for (auto& thread : p.threads) {
    vtgate::Gate* gate = thread->gate.get();
    thread->loop->Post([gate, options = *fresh] { gate->front().SetOptions(options); });
  }
  LOG_DEBUG("users and certificates have been read anew");
}

io::Task<bool> StartFront(Process* p) {
  p->grpc_front->Start();
  co_return true;
}

io::Task<bool> StopFront(Process* p, Deadline deadline) {
  co_await p->grpc_front->Stop(deadline);
  co_return true;
}

// Whether clients should be sent here.
Status Ready(const vtgate::Gate& gate) {
  if (gate.context().topology == nullptr || gate.context().topology->shards.empty()) {
    return Fail(Code::kUnavailable, "vtgate knows no keyspace yet: is the topology reachable?");
  }
  return {};
}

io::Task<Status> StartGrpc(Process& p) {
  GateFlags& f = p.flags;
  GateThread* first = p.threads[0].get();
  if (f.common.grpc_port != 0) {
    rpc::VtgateFrontOptions options;
    if (!f.server_version.empty()) options.flavor = vtgate::FlavorOfVersion(f.server_version);
    p.grpc_front =
        std::make_unique<rpc::VtgateFront>(*first->loop, first->gate->context(), p.table, options);
    Process* process = &p;
    std::function<io::Task<bool>()> start = [process] { return StartFront(process); };
    bool started = co_await CallOn<bool>(*first->loop, std::move(start));
    (void)started;
    p.grpc = std::make_unique<rpc::Server>();
    rpc::AddVtgate(*p.grpc, *first->loop, *p.grpc_front);
    rpc::ServerOptions listen;
    listen.address = f.common.GrpcListenAddress();
    listen.cert_file = f.common.grpc_cert;
    listen.key_file = f.common.grpc_key;
    listen.client_ca_file = f.common.grpc_ca;
    Status listening = p.grpc->Start(listen);
    if (!listening) co_return listening;
  }
  vtgate::Gate* gate = first->gate.get();
  std::string cell = f.common.cell;
  p.web = MakePages(*first->loop, "vtgate", cell, f.common.bind_address, f.common.port,
                    [gate] { return Ready(*gate); });
  if (p.web.server) {
    Metrics& metrics = Metrics::Process();
    const vtgate::SessionTable* table = &p.table;
    p.metrics.push_back(
        metrics.AddCallback("MysqlServerConnCount", "clients connected now", CallbackKind::kGauge,
                            [table] { return static_cast<int64_t>(table->connections()); }));
    p.web.pages->AddGate([gate, cell] { return ViewOf(*gate, cell); },
                         [gate] { return VschemaJson(*gate); });
    if (f.statement_stats)
      p.web.pages->AddStatements([&p] { return StatementRows(p.statements.Top(1000)); });
    AddSessions(*p.web.server, p.table, f.buffer_size);
    Status served = p.web.server->Start();
    if (!served) co_return served;
  }
  co_return Status();
}

io::Task<void> AcceptLoop(Process& p, io::Listener& listener) {
  std::optional<io::Gate::Pass> pass = p.accepting.Enter();
  Counter& accepted = Metrics::Process().AddCounter("MysqlServerConnAccepted", "clients let in");
  while (pass) {
    Result<int> fd = co_await listener.Accept(Deadline::Never());
    if (!fd) co_return;
    GateThread* thread = p.threads[p.next++ % p.threads.size()].get();
    int client = *fd;
    accepted.Add();
    thread->loop->Post([thread, client] { thread->gate->front().Serve(client); });
  }
}

io::Task<Status> Start(Process& p, io::Loop& loop,
                       std::shared_ptr<const vtgate::MysqlFrontOptions> front) {
  GateFlags& f = p.flags;
  vtgate::GateOptions options;
  options.topo = f.common.topo;
  options.cell = f.common.cell;
  options.cells_to_watch =
      f.cells_to_watch.empty() ? std::vector<std::string>{f.common.cell} : f.cells_to_watch;
  options.query_timeout = f.query_timeout;
  options.lag_low = f.lag_low;
  options.lag_high = f.lag_high;
  options.front = front;
  options.local_copy = f.local_copy;
  QueryThreads* query = p.tablet == nullptr ? nullptr : p.tablet->query();
  size_t count = f.threads > 0 ? static_cast<size_t>(f.threads) : DefaultThreads();
  if (query != nullptr) count = query->size();
  auto share = [count](int64_t all) {
    return (static_cast<size_t>(std::max<int64_t>(all, 0)) + count - 1) / count;
  };
  options.buffer = f.buffer;
  options.buffer.requests = share(f.buffer_size);
  options.buffer.bytes = share(f.buffer_bytes);
  options.failover = f.failover;
  options.read_after_write = f.read_after_write;
  if (f.statement_stats) options.statements = &p.statements;
  options.query_log = p.query_log.get();
  options.failover.replay_statements =
      static_cast<size_t>(std::max<int64_t>(f.replay_statements, 0));
  options.failover.replay_bytes = static_cast<size_t>(std::max<int64_t>(f.replay_bytes, 0));
  options.failover.replay_bytes_all = share(f.replay_bytes_all);
  for (size_t i = 0; i < count; ++i) {
    p.threads.push_back(std::make_unique<GateThread>());
    GateThread* thread = p.threads.back().get();
    if (query == nullptr) thread->thread = std::make_unique<LoopThread>();
    thread->loop = query == nullptr ? &thread->thread->loop() : &query->loop(i);
    thread->dialer = query == nullptr
                         ? std::make_unique<TabletDialer>(*thread->loop, f.tablet_tls)
                         : std::make_unique<TabletDialer>(*thread->loop, f.tablet_tls,
                                                          p.tablet->alias(), &query->server(i));
    vtgate::GateOptions own = options;
    own.saves_local_copy = i == 0;
    vtgate::SessionTable* table = &p.table;
    std::function<io::Task<Status>()> make = [thread, own, table] {
      return StartGate(thread, own, table);
    };
    Status started = co_await CallOn<Status>(*thread->loop, std::move(make));
    if (!started) co_return started;
  }
  std::vector<io::Address> addresses;
  std::string bind = f.mysql_bind.empty() ? f.common.bind_address : f.mysql_bind;
  if (f.mysql_port != 0) {
    addresses.push_back(
        io::Address::Tcp(bind.empty() ? "0.0.0.0" : bind, static_cast<uint16_t>(f.mysql_port)));
  }
  if (!f.mysql_socket.empty()) addresses.push_back(io::Address::Unix(f.mysql_socket));
  for (const io::Address& address : addresses) {
    Result<std::unique_ptr<io::Listener>> listener = io::Listener::Listen(loop, address);
    if (!listener) co_return Fail(listener.error());
    p.listeners.push_back(std::move(*listener));
    io::Detach(AcceptLoop(p, *p.listeners.back()));
    LOG_INFO("MySQL on {}", address.ToString());
  }
  Status grpc = co_await StartGrpc(p);
  co_return grpc;
}

io::Task<void> StopThread(io::Gate::Pass pass, GateThread* t, Deadline deadline) {
  io::Gate::Pass held(std::move(pass));
  std::function<io::Task<bool>()> stop = [t, deadline] { return StopGate(t, deadline); };
  [[maybe_unused]] bool stopped = co_await CallOn<bool>(*t->loop, std::move(stop));
}

io::Task<void> Stop(Process& p) {
  for (auto& listener : p.listeners) listener->Close();
  bool left = co_await p.accepting.Close(Deadline::In(2s));
  if (!left) LOG_WARNING("a listener did not close in time");
  Deadline deadline = Deadline::In(p.flags.drain);
  if (p.web.server) p.web.server->Stop();
  p.web = {};
  p.metrics.clear();
  if (p.grpc) {
    Status down = co_await p.grpc->Shutdown(deadline);
    if (!down) LOG_WARNING("{}", down.error().ToString());
  }
  if (p.grpc_front) {
    Process* process = &p;
    std::function<io::Task<bool>()> stop = [process, deadline] {
      return StopFront(process, deadline);
    };
    bool stopped = co_await CallOn<bool>(*p.threads[0]->loop, std::move(stop));
    (void)stopped;
    p.grpc_front.reset();
  }
  // All at once: each has the whole time for its sessions.
  io::Gate stopping;
  for (auto& thread : p.threads) io::Detach(StopThread(*stopping.Enter(), thread.get(), deadline));
  [[maybe_unused]] bool stopped = co_await stopping.Close(Deadline::Never());
}

// Waits for mysqld as long as it takes; the gate does not wait for it.
io::Task<void> StartTablet(Process& p, io::Loop& loop, io::Gate::Pass pass) {
  io::Gate::Pass held(std::move(pass));
  p.tablet_started = co_await p.tablet->Start(loop);
  if (*p.tablet_started) LOG_INFO("{}", p.tablet->About());
}

// Until a signal that ends the process, or the failure of its tablet to start.
io::Task<int> WaitForEnd(Process& p, io::SignalWatch& signals) {
  while (true) {
    Duration every = p.flags.reload_interval;
    Deadline next = every > Duration(0) ? Deadline::In(every) : Deadline::Never();
    bool starting = p.tablet != nullptr && !p.tablet_started;
    if (starting) next = Deadline::In(200ms).EarlierOf(next);
    std::optional<int> number = co_await signals.Wait(next);
    if (p.tablet != nullptr && p.tablet_started && !*p.tablet_started)
      co_return FailWith(p.tablet_started->error().Context("vtgate --with-tablet"));
    if (number && *number != SIGHUP) {
      LOG_INFO("stopping on signal {}", *number);
      co_return 0;
    }
    if (number || !starting) Reload(p);
  }
}

io::Task<int> Serve(Process& p, io::Loop& loop, io::SignalWatch& signals,
                    std::shared_ptr<const vtgate::MysqlFrontOptions> front) {
  io::Gate starting;
  if (p.tablet != nullptr) io::Detach(StartTablet(p, loop, *starting.Enter()));
  Status started;
  if (p.tablet_started && !*p.tablet_started) started = *p.tablet_started;
  if (started) started = co_await Start(p, loop, std::move(front));
  int code = started ? 0 : FailWith(started.error().Context("vtgate"));
  if (started) code = co_await WaitForEnd(p, signals);
  co_await Stop(p);
  // A tablet that still waits for its mysqld serves nothing that would need an orderly end.
  if (p.tablet != nullptr && !p.tablet_started) _exit(code);
  if (p.tablet != nullptr) co_await p.tablet->Stop();
  [[maybe_unused]] bool left = co_await starting.Close(Deadline::In(1s));
  co_return code;
}

}  // namespace

int VtgateMain(const std::vector<std::string>& arguments) {
  TabletProcess tablet;  // outlives the gate, which runs on its query threads
  Process process;
  GateFlags& f = process.flags;
  FlagSet flags("vtgate",
                "--cell <cell> --mysql-server-port <port> [flags] "
                "[--with-tablet <vttablet's flags>]",
                "The one entry for clients: MySQL and gRPC. With --with-tablet, which ends its own "
                "flags, a vttablet runs in the same process and is reached without a hop.");
  Declare(flags, f);
  auto with = std::find(arguments.begin(), arguments.end(), "--with-tablet");
  if (std::optional<int> code = ParseOrExit(flags, {arguments.begin(), with})) return *code;
  if (with != arguments.end()) {
    if (f.threads != 0) {
      return FailWith(Error(Code::kInvalidArgument,
                            "vtgate: with --with-tablet the gate runs on the tablet's threads: "
                            "give --query-threads instead of --threads"));
    }
    if (std::optional<int> code = tablet.Parse({with + 1, arguments.end()})) return *code;
    process.tablet = &tablet;
  }
  Status cell = record::ValidateName("cell", f.common.cell);
  if (!cell) return FailWith(cell.error().Context("vtgate: --cell"));
  Status checked = f.common.CheckTls();
  if (checked) checked = f.tablet_tls.Check("tablet-grpc");
  if (!checked) return FailWith(checked.error().Context("vtgate"));
  if (f.auth == "static") {
    auto rsa_key = mysql::wire::RsaKey::Generate();
    if (!rsa_key) return FailWith(rsa_key.error().Context("vtgate"));
    process.rsa_key = *rsa_key;
  }
  if (!f.query_log.file.empty()) {
    auto log = vtgate::QueryLog::Open(f.query_log);
    if (!log) return FailWith(log.error().Context("vtgate: --log-queries-to-file"));
    process.query_log = std::move(*log);
  }
  auto front = FrontOptions(f, process.rsa_key);
  if (!front) return FailWith(front.error().Context("vtgate"));
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM, SIGHUP});
  StartProgramLog("vtgate", f.common.log_level);
  if (process.tablet != nullptr) UseBackupCredentials();
  return io::RunUntilDone(loop, Serve(process, loop, signals, *front));
}

}  // namespace paceline::cmd
