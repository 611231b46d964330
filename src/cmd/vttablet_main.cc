#include <signal.h>

#include <algorithm>
#include <iostream>

#include "base/log.h"
#include "base/time_text.h"
#include "cmd/admission_files.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/query_threads.h"
#include "cmd/status_pages.h"
#include "cmd/tablet_process.h"
#include "io/signal.h"
#include "mysqld/passwords.h"
#include "rpc/mysqlctl.h"
#include "rpc/query_service.h"
#include "rpc/tablet_manager.h"
#include "vttablet/manager/manager.h"

namespace paceline::cmd {
namespace {

struct TabletFlags {
  CommonFlags common;
  AdmissionFlags admission;
  BackupFlags backups;
  bool archive = false, restore = false;
  std::string disk_purge_below = "15%", disk_refuse_below = "2%";
  vttablet::DiskLimits disk;
  std::string restore_to_pos, restore_to_timestamp;
  std::string tablet_path, hostname, keyspace, shard = "0", type = "replica";
  std::string db_socket, db_name;
  std::string dba_user = "vt_dba", app_user = "vt_app", allprivs_user = "vt_allprivs",
              repl_user = "vt_repl";
  std::string dba_password, app_password, allprivs_password, repl_password;
  std::string credentials_file;
  std::string mysqlctl_socket, native_socket, state_file, mysql_hostname;
  int native_port = 0;
  int mysql_port = 0;
  int64_t threads = 0, pool = 16, transactions = 20, streams = 200;
  PeerTlsFlags manager_tls;
  Duration query_timeout{0}, transaction_timeout = 30s, start_timeout = 5min;
};

void Declare(FlagSet& flags, TabletFlags& f) {
  f.common.port = 15002;
  f.common.grpc_port = 16002;
  f.common.AddTo(flags);
  flags.Text("tablet-path", &f.tablet_path, "alias of this tablet: <cell>-<uid>");
  flags.Text("tablet-hostname", &f.hostname,
             "address that others reach this tablet by; empty: this host's name");
  flags.Text("init-keyspace", &f.keyspace, "keyspace");
  flags.Text("init-shard", &f.shard, "shard");
  flags.Text("init-tablet-type", &f.type, "type while it is no primary: replica, rdonly, spare");
  flags.Text("init-db-name-override", &f.db_name, "database to serve; empty: vt_<keyspace>");
  flags.Text("db-socket", &f.db_socket, "unix socket of mysqld; empty: below VTDATAROOT");
  flags.Text("db-dba-user", &f.dba_user, "user for administration");
  flags.Text("db-dba-password", &f.dba_password, "its password");
  flags.Text("db-app-user", &f.app_user, "user for the application's statements");
  flags.Text("db-app-password", &f.app_password, "its password");
  flags.Text("db-allprivs-user", &f.allprivs_user, "user with all but administrative privileges");
  flags.Text("db-allprivs-password", &f.allprivs_password, "its password");
  flags.Text("db-repl-user", &f.repl_user, "user for replication");
  flags.Text("db-repl-password", &f.repl_password, "its password");
  flags.Text("db-credentials-file", &f.credentials_file,
             "JSON file with these accounts' passwords: {\"vt_repl\": [\"...\"]}");
  flags.Text("mysqlctl-socket", &f.mysqlctl_socket,
             "unix socket of mysqlctld; empty: mysqld is somebody else's business");
  flags.Port("native-port", &f.native_port, "port of the native data plane; 0: a free one");
  flags.Text("native-socket", &f.native_socket,
             "unix socket of the native data plane, for gates on this host");
  flags.Port("mysql-port", &f.mysql_port, "port others reach mysqld by; 0: asked of mysqld");
  flags.Text("mysql-hostname", &f.mysql_hostname,
             "address others reach mysqld by; empty: as tablet-hostname");
  flags.Text("state-file", &f.state_file, "what must survive a crash; empty: below VTDATAROOT");
  flags.Int("query-threads", &f.threads, "0: by the number of cores");
  flags.Int("queryserver-config-pool-size", &f.pool, "connections for single statements");
  flags.Int("queryserver-config-stream-pool-size", &f.streams,
            "connections for large results, which wait for their readers");
  flags.Int("queryserver-config-transaction-cap", &f.transactions, "connections for transactions");
  flags.Time("queryserver-config-query-timeout", &f.query_timeout,
             "limit for one statement; 0: the client's own");
  flags.Time("queryserver-config-transaction-timeout", &f.transaction_timeout,
             "limit for a transaction");
  flags.Time("start-timeout", &f.start_timeout,
             "how long to wait for mysqld and the topology at the start");
  f.admission.AddTo(flags);
  f.manager_tls.AddTo(flags, "tablet-manager-grpc", "other tablets");
  flags.Ignored("init-populate-metadata", false);
  flags.Ignored("health-check-interval", true);
  flags.Text(
      "disk-purge-below", &f.disk_purge_below,
      "with less free than that (a share, or bytes as 20Gi), binary logs are removed that are "
      "archived and that no tablet needs; 0: never");
  flags.Text("disk-refuse-below", &f.disk_refuse_below,
             "with less free than that, statements that make data grow are refused (1021) until "
             "there is room; at twice of it a primary gives way to a replica with room; 0: never");
  f.backups.AddTo(flags);
  f.backups.AddMakingTo(flags);
  flags.Bool("archive-binlogs", &f.archive,
             "the shard's binary logs go to the backup storage all the time");
  flags.Bool("restore-from-backup", &f.restore,
             "in a snapshot keyspace: restore the base keyspace's backup (others seed themselves)");
  flags.Text("restore-to-pos", &f.restore_to_pos,
             "of a snapshot: the position it ends at, or before:<gtid>, or upto:<gtid>");
  flags.Text("restore-to-timestamp", &f.restore_to_timestamp,
             "of a snapshot: the time it ends before, as 2026-11-22T22:40:00Z; empty: the "
             "keyspace's");
}

mysql::ConnectOptions SocketLogin(const std::string& socket, const std::string& user,
                                  const std::string& password) {
  mysql::ConnectOptions options;
  options.address = io::Address::Unix(socket);
  options.user = user;
  options.password = password;
  return options;
}

}  // namespace

struct Tablet {
  TabletFlags flags;
  record::Tablet record;
  std::unique_ptr<topo::Server> topo;
  std::unique_ptr<mysqld::ConnectionAdmin> dba, app, allprivs;
  std::unique_ptr<QueryThreads> query;
  std::unique_ptr<AdmissionFiles> admission;
  std::vector<Metrics::Callback> metrics;
  rpc::ChannelPtr agent_channel;
  std::unique_ptr<port::Mysqlctl> agent;
  std::unique_ptr<vttablet::Manager> manager;
  std::unique_ptr<native::Server> native_server;
  std::unique_ptr<rpc::Server> grpc;
  StatusPages web;
};

namespace {

Status Prepare(Tablet& t) {
  TabletFlags& f = t.flags;
  RETURN_IF_ERROR(f.common.CheckTls());
  RETURN_IF_ERROR(f.manager_tls.Check("tablet-manager-grpc"));
  if (f.tablet_path.empty()) {
    return Fail(Code::kInvalidArgument,
                "--tablet-path is missing: the alias of this tablet, for instance "
                "zone1-0000000100; --help tells all flags");
  }
  ASSIGN_OR_RETURN(t.record.alias, record::ParseTabletAlias(f.tablet_path));
  RETURN_IF_ERROR(record::ValidateName("keyspace", f.keyspace));
  RETURN_IF_ERROR(record::ValidateName("shard", f.shard));
  ASSIGN_OR_RETURN(t.record.type, record::ParseTabletType(f.type));
  if (t.record.type == record::TabletType::kPrimary) {
    return Fail(Code::kInvalidArgument,
                "--init-tablet-type may not be primary: a reparent makes primaries");
  }
  auto threshold = [](const char* flag, const std::string& text,
                      vttablet::DiskThreshold* out) -> Status {
    Result<vttablet::DiskThreshold> parsed = vttablet::ParseDiskThreshold(text);
    if (!parsed) return Fail(parsed.error().Context(flag));
    *out = *parsed;
    return {};
  };
  RETURN_IF_ERROR(threshold("--disk-purge-below", f.disk_purge_below, &f.disk.purge_below));
  RETURN_IF_ERROR(threshold("--disk-refuse-below", f.disk_refuse_below, &f.disk.refuse_below));
  if (!f.credentials_file.empty()) {
    mysqld::Users users;
    users.dba = {f.dba_user, f.dba_password};
    users.app = {f.app_user, f.app_password};
    users.allprivs = {f.allprivs_user, f.allprivs_password};
    users.repl = {f.repl_user, f.repl_password};
    RETURN_IF_ERROR(mysqld::ReadPasswords(f.credentials_file, &users));
    f.dba_password = users.dba.password;
    f.app_password = users.app.password;
    f.allprivs_password = users.allprivs.password;
    f.repl_password = users.repl.password;
  }
  std::string root = EnvironmentText("VTDATAROOT");
  std::string dir = fmt::format("{}/vt_{:010}", root, t.record.alias.uid);
  if (f.db_socket.empty()) f.db_socket = dir + "/mysql.sock";
  if (f.state_file.empty()) f.state_file = dir + "/paceline-state.json";
  if (f.native_socket.empty() && !root.empty()) f.native_socket = dir + "/native.sock";
  t.record.hostname = f.hostname.empty() ? HostName() : f.hostname;
  t.record.keyspace = f.keyspace;
  t.record.shard = f.shard;
  t.record.db_name_override = f.db_name == "vt_" + f.keyspace ? "" : f.db_name;
  t.record.mysql_hostname = f.mysql_hostname.empty() ? t.record.hostname : f.mysql_hostname;
  t.record.port_map["vt"] = f.common.port;
  t.record.port_map["grpc"] = f.common.grpc_port;
  f.common.topo.lock_lease = std::max<Duration>(f.common.topo.lock_lease, 1s);
  return {};
}

// What monitors ask of a tablet beside its queries.
void AddTabletMetrics(Tablet& t) {
  Metrics& process = Metrics::Process();
  vttablet::Manager* manager = t.manager.get();
  auto gauge = [&](const char* name, const char* help,
                   std::function<int64_t(const vttablet::Manager&)> read) {
    t.metrics.push_back(
        process.AddCallback(name, help, CallbackKind::kGauge,
                            [manager, read = std::move(read)] { return read(*manager); }));
  };
  // Vitess's name has a small letter in front.
  gauge("replicationLagSec", "replication lag in seconds", [](const vttablet::Manager& tablet) {
    return std::chrono::duration_cast<std::chrono::seconds>(tablet.lag().value_or(Duration(0)))
        .count();
  });
  gauge("TabletServing", "1 while it serves",
        [](const vttablet::Manager& tablet) -> int64_t { return tablet.serving() ? 1 : 0; });
  gauge("TabletIsPrimary", "1 while it is the shard's primary",
        [](const vttablet::Manager& tablet) -> int64_t {
          return tablet.tablet().type == record::TabletType::kPrimary ? 1 : 0;
        });
  gauge("PromisedTerm", "the reparent term that it obeys", [](const vttablet::Manager& tablet) {
    return static_cast<int64_t>(tablet.promised_term());
  });
  gauge("MysqldRunning", "1 while its mysqld answers",
        [](const vttablet::Manager& tablet) -> int64_t { return tablet.mysqld_running() ? 1 : 0; });
  gauge("ReplicationBroken", "1 while replication is stopped by an error",
        [](const vttablet::Manager& tablet) -> int64_t {
          return tablet.replication_error().empty() ? 0 : 1;
        });
  gauge(
      "DiskLevel", "0: room, 1: archived binary logs go, 2: low, 3: writes refused, 4: deletes too",
      [](const vttablet::Manager& tablet) { return static_cast<int64_t>(tablet.disk().level()); });
  gauge("DiskGrowthBytesPerDay", "how fast the data's volume fills, by the last hours",
        [](const vttablet::Manager& tablet) {
          return static_cast<int64_t>(tablet.disk().trend().Growth().value_or(0) * 86400);
        });
  gauge("DiskSecondsLeft", "until it is full at that rate; -1: it does not fill",
        [](const vttablet::Manager& tablet) -> int64_t {
          std::optional<Duration> left = tablet.disk().trend().TimeLeft(tablet.disk().space());
          return left ? *left / 1s : -1;
        });
  gauge("BinlogsPurged", "archived binary logs removed because the disk was filling",
        [](const vttablet::Manager& tablet) {
          return static_cast<int64_t>(tablet.disk().purged_logs());
        });
  gauge("BinlogBytesPurged", "their bytes", [](const vttablet::Manager& tablet) {
    return static_cast<int64_t>(tablet.disk().purged_bytes());
  });
}

// A tablet of a snapshot keyspace holds the base keyspace's data, under its database's name.
io::Task<Status> LookForSnapshot(Tablet& t, vttablet::ManagerOptions& options) {
  TabletFlags& f = t.flags;
  if (!f.restore) co_return Status();
  auto keyspace = co_await t.topo->GetKeyspace(f.keyspace, Deadline::In(10s));
  if (!keyspace && keyspace.error().code() == Code::kNotFound) co_return Status();
  if (!keyspace) {
    // What it was when it ran last, it is.
    Result<vttablet::DurableState> last = vttablet::DurableStateFile(f.state_file).Load();
    if (!last) co_return Fail(last.error());
    bool ran = *last != vttablet::DurableState();
    if (!ran || (!last->base_keyspace.empty() && last->restored.empty()))
      co_return Fail(keyspace.error().Context("whether this keyspace is a snapshot"));
    options.base_keyspace = last->base_keyspace;
    if (f.db_name.empty() && !last->base_keyspace.empty())
      t.record.db_name_override = "vt_" + last->base_keyspace;
    co_return Status();
  }
  if (keyspace->value.type != record::KeyspaceType::kSnapshot) co_return Status();
  options.base_keyspace = keyspace->value.base_keyspace;
  options.snapshot.kind = backup::RestorePoint::Kind::kTime;
  options.snapshot.unix_s = keyspace->value.snapshot_time.unix_ns / 1'000'000'000;
  if (!f.restore_to_pos.empty()) {
    Result<backup::RestorePoint> point = backup::ParseRestorePoint(f.restore_to_pos);
    if (!point) co_return Fail(point.error().Context("--restore-to-pos"));
    options.snapshot = *point;
  } else if (!f.restore_to_timestamp.empty()) {
    Result<WallTime> at = ParseRfc3339(f.restore_to_timestamp);
    if (!at) co_return Fail(at.error().Context("--restore-to-timestamp"));
    options.snapshot.unix_s = at->unix_ns / 1'000'000'000;
  }
  if (f.db_name.empty()) t.record.db_name_override = "vt_" + options.base_keyspace;
  co_return Status();
}

io::Task<Status> Start(Tablet& t, io::Loop& loop) {
  TabletFlags& f = t.flags;
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(f.common.topo);
  if (!topo) co_return Fail(topo.error());
  t.topo = std::move(*topo);
  vttablet::ManagerOptions options;
  Status looked = co_await LookForSnapshot(t, options);
  if (!looked) co_return looked;
  t.dba = std::make_unique<mysqld::ConnectionAdmin>(
      SocketLogin(f.db_socket, f.dba_user, f.dba_password));
  t.app = std::make_unique<mysqld::ConnectionAdmin>(
      SocketLogin(f.db_socket, f.app_user, f.app_password));
  t.allprivs = std::make_unique<mysqld::ConnectionAdmin>(
      SocketLogin(f.db_socket, f.allprivs_user, f.allprivs_password));

  vttablet::QueryServerOptions query;
  query.alias = t.record.alias;
  query.keyspace = f.keyspace;
  query.shard = f.shard;
  query.query_timeout = f.query_timeout;
  query.transaction_timeout = f.transaction_timeout;
  query.pool.mysqld.address = io::Address::Unix(f.db_socket);
  query.pool.mysqld.user = f.app_user;
  query.pool.mysqld.password = f.app_password;
  query.pool.mysqld.database = t.record.DbName();
  query.pool.statements = static_cast<size_t>(std::max<int64_t>(1, f.pool));
  query.pool.streams = static_cast<size_t>(std::max<int64_t>(1, f.streams));
  query.pool.transactions = static_cast<size_t>(std::max<int64_t>(1, f.transactions));
  size_t threads = f.threads > 0 ? static_cast<size_t>(f.threads) : DefaultThreads();
  t.query = std::make_unique<QueryThreads>(threads, query);
  t.admission = std::make_unique<AdmissionFiles>(f.admission);
  Status admission = co_await t.admission->Load(t.query->group());
  if (!admission) co_return admission;
  t.admission->Start(t.query->group());
  t.metrics = AddQueryMetrics(t.query->group(), f.pool, f.transactions);

  native::ServerOptions native_options;
  std::string native_host = f.common.bind_address.empty() ? "0.0.0.0" : f.common.bind_address;
  native_options.addresses.push_back(
      io::Address::Tcp(native_host, static_cast<uint16_t>(f.native_port)));
  if (!f.native_socket.empty())
    native_options.addresses.push_back(io::Address::Unix(f.native_socket));
  native_options.tablet = t.record.alias;
  Result<std::shared_ptr<io::TlsContext>> native_tls = f.common.NativeTls();
  if (!native_tls) co_return Fail(native_tls.error());
  native_options.tls = *native_tls;
  Result<std::unique_ptr<native::Server>> native_server =
      native::Server::Listen(loop, t.query->Shards(), native_options);
  if (!native_server) co_return Fail(native_server.error().Context("native data plane"));
  t.native_server = std::move(*native_server);
  t.record.port_map["native"] = t.native_server->port();

  if (!f.mysqlctl_socket.empty()) {
    Result<rpc::ChannelPtr> channel =
        rpc::Channel::Open(loop, "unix:" + f.mysqlctl_socket, rpc::ChannelOptions());
    if (!channel) co_return Fail(channel.error());
    t.agent_channel = *channel;
    t.agent = rpc::NewMysqlctlClient(t.agent_channel);
  }
  Deadline deadline = Deadline::In(f.start_timeout);
  t.record.mysql_port = f.mysql_port;

  options.archive = f.archive;
  options.disk = f.disk;
  options.log_reader = SocketLogin(f.db_socket, f.repl_user, f.repl_password);
  options.dba_login = SocketLogin(f.db_socket, f.dba_user, f.dba_password);
  options.backups.storage = f.backups.storage;
  options.backups.root = f.backups.Root();
  options.backups.key_file = f.backups.key_file;
  // Vitess's names for engines that stand for ours.
  if (f.backups.engine != "xtrabackup" && f.backups.engine != "mysqlshell")
    options.backup_engine = f.backups.engine;
  options.backup_compression = f.backups.compression;
  options.backup_count_rows = f.backups.count_rows;
  options.backup_rate = static_cast<uint64_t>(std::max<int64_t>(0, f.backups.rate));
  options.tablet = t.record;
  options.state_file = f.state_file;
  options.app_user = f.app_user;
  options.replication.user = f.repl_user;
  options.replication.password = f.repl_password;
  options.replication.heartbeat = 300ms;
  vttablet::Manager::Needs needs;
  needs.topo = t.topo.get();
  needs.dba = t.dba.get();
  needs.app = t.app.get();
  needs.allprivs = t.allprivs.get();
  needs.agent = t.agent.get();
  needs.query = t.query.get();
  io::Loop* here = &loop;
  rpc::ChannelOptions to_others = f.manager_tls.Channel();
  needs.call_tablet =
      [here, to_others](const record::Tablet& other) -> std::shared_ptr<port::TabletManager> {
    Result<rpc::ChannelPtr> channel = rpc::Channel::Open(*here, other.GrpcAddress(), to_others);
    if (!channel) return nullptr;
    return rpc::NewTabletManagerClient(*channel);
  };
  t.manager = std::make_unique<vttablet::Manager>(loop, options, needs);

  // Listening before registering: whoever reads the record can call.
  t.grpc = std::make_unique<rpc::Server>();
  rpc::AddTabletManager(*t.grpc, loop, *t.manager);
  rpc::AddQueryService(*t.grpc, t.query->loop(0), t.query->server(0));
  rpc::ServerOptions grpc_options;
  grpc_options.address = f.common.GrpcListenAddress();
  grpc_options.cert_file = f.common.grpc_cert;
  grpc_options.key_file = f.common.grpc_key;
  grpc_options.client_ca_file = f.common.grpc_ca;
  Status listening = t.grpc->Start(grpc_options);
  if (!listening) co_return listening;
  vttablet::Manager* manager = t.manager.get();
  std::function<Status()> ready = [manager]() -> Status {
    if (!manager->disk_error().empty())
      return Fail(Code::kUnavailable, "{}", manager->disk_error());
    if (manager->serving()) return {};
    return Fail(Code::kUnavailable, "not serving: {}", manager->why_not_serving());
  };
  t.web = MakePages(loop, "vttablet", t.record.alias.ToString(), f.common.bind_address,
                    f.common.port, ready);
  if (t.web.server) {
    t.web.pages->AddTablet([manager] { return ViewOf(*manager); });
    AddTabletMetrics(t);
    for (Metrics::Callback& metric : DiskMetrics(f.db_socket.substr(0, f.db_socket.rfind('/')))) {
      t.metrics.push_back(std::move(metric));
    }
    Status served = t.web.server->Start();
    if (!served) co_return served;
  }
  Status started = co_await t.manager->Start(deadline);
  co_return started;
}

io::Task<void> Stop(Tablet& t) {
  if (t.web.server) t.web.server->Stop();
  t.web = {};
  if (t.native_server) t.native_server->GoAway("the tablet is shutting down");
  if (t.agent_channel)
    co_await t.agent_channel->Close();  // ends the watch on mysqld, which the manager waits for
  if (t.manager) co_await t.manager->Stop(Deadline::In(10s));
  if (t.query) {
    bool clean = co_await t.query->Drain(Deadline::In(3s));
    if (!clean) LOG_WARNING("statements were killed to shut down");
  }
  if (t.native_server) co_await t.native_server->Close();
  if (t.grpc) {
    Status down = co_await t.grpc->Shutdown(Deadline::In(3s));
    if (!down) LOG_WARNING("{}", down.error().ToString());
  }
  t.metrics.clear();
  if (t.admission) co_await t.admission->Stop(Deadline::In(3s));
  if (t.query) co_await t.query->Close();
  if (t.topo) co_await t.topo->Stop();
}

// The start may wait minutes for mysqld; a signal ends it at once, since nothing is served yet that
// would need an orderly end, and every step of the start bears being cut off.
io::Task<void> EndWithoutStart(std::shared_ptr<bool> started, io::SignalWatch& signals,
                               io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass && !gate.closed() && !*started) {
    std::optional<int> number = co_await signals.Wait(Deadline::In(100ms));
    if (!number || *started) continue;
    LOG_INFO("stopping on signal {} before the start had ended", *number);
    _exit(0);
  }
}

io::Task<int> Serve(TabletProcess& tablet, io::Loop& loop, io::SignalWatch& signals) {
  auto is_started = std::make_shared<bool>(false);
  io::Gate starting;
  io::Detach(EndWithoutStart(is_started, signals, starting));
  Status started = co_await tablet.Start(loop);
  *is_started = true;
  bool left = co_await starting.Close(Deadline::In(1s));
  (void)left;
  int code = 0;
  if (!started) {
    code = FailWith(started.error().Context("vttablet"));
  } else {
    LOG_INFO("{}", tablet.About());
    std::optional<int> number;
    while (!number) number = co_await signals.Wait(Deadline::Never());
    LOG_INFO("stopping on signal {}", *number);
  }
  co_await tablet.Stop();
  co_return code;
}

}  // namespace

TabletProcess::TabletProcess() : tablet_(std::make_unique<Tablet>()) {}
TabletProcess::~TabletProcess() = default;

std::optional<int> TabletProcess::Parse(const std::vector<std::string>& arguments) {
  FlagSet flags("vttablet", "--tablet-path <cell>-<uid> --init-keyspace <keyspace> [flags]",
                "A tablet: serves one mysqld to gates, and keeps its role in the shard.");
  Declare(flags, tablet_->flags);
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return code;
  Status prepared = Prepare(*tablet_);
  if (!prepared) return FailWith(prepared.error().Context("vttablet"));
  return std::nullopt;
}

io::Task<Status> TabletProcess::Start(io::Loop& loop) {
  Status started = co_await cmd::Start(*tablet_, loop);
  if (!started) co_return Fail(started.error().Context(tablet_->flags.tablet_path));
  co_return started;
}

QueryThreads* TabletProcess::query() { return tablet_->query.get(); }
const record::TabletAlias& TabletProcess::alias() const { return tablet_->record.alias; }
const std::string& TabletProcess::log_level() const { return tablet_->flags.common.log_level; }

std::string TabletProcess::About() const {
  return fmt::format("tablet {} of {}/{} listens on {}", tablet_->record.alias.ToString(),
                     tablet_->record.keyspace, tablet_->record.shard,
                     tablet_->flags.common.GrpcListenAddress());
}

io::Task<void> TabletProcess::Stop() { co_await cmd::Stop(*tablet_); }

int VttabletMain(const std::vector<std::string>& arguments) {
  TabletProcess tablet;
  if (std::optional<int> code = tablet.Parse(arguments)) return *code;
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  StartProgramLog("vttablet", tablet.log_level());
  UseBackupCredentials();
  return io::RunUntilDone(loop, Serve(tablet, loop, signals));
}

}  // namespace paceline::cmd
