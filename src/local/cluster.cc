#include "local/cluster.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/flags.h"
#include "base/rng.h"
#include "base/strings.h"
#include "io/file.h"
#include "io/sleep.h"
#include "io/stream.h"
#include "local/certificates.h"
#include "mysql/client/connection.h"

namespace paceline::local {
namespace {

constexpr const char* kHost = "127.0.0.1";

void Add(std::vector<std::string>& argv, std::initializer_list<std::string> more) {
  argv.insert(argv.end(), more.begin(), more.end());
}
void Add(std::vector<std::string>& argv, const std::vector<std::string>& more) {
  argv.insert(argv.end(), more.begin(), more.end());
}

}  // namespace

std::string ProgramDir() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

std::string ReadTextFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Cluster::Cluster(ClusterOptions options) : layout_(std::move(options)) {}

std::map<std::string, std::string> Cluster::Env() const {
  return {{"VTDATAROOT", layout_.options().data_dir}};
}

ProcessSpec Cluster::Etcd(int member) const {
  std::string name = fmt::format("etcd-{}", member);
  std::string members;
  for (int i = 0; i < 3; ++i) {
    members += fmt::format("{}etcd-{}={}:{}:{}:{}", i == 0 ? "" : ",", i, kHost,
                           layout_.EtcdClient(i), layout_.EtcdPeer(i), layout_.EtcdExchange(i));
  }
  ProcessSpec spec{name, {ProgramDir() + "/etcd-member"}, {}};
  Add(spec.argv,
      {"--name", name, "--members", members, "--data-dir", layout_.options().data_dir + "/" + name,
       "--bind-address", kHost, "--secret-file", layout_.EtcdSecretFile()});
  if (layout_.options().tls) {
    Add(spec.argv, {"--tls-cert", layout_.TlsFile("node"), "--tls-key", layout_.TlsFile("node-key"),
                    "--tls-ca", layout_.TlsFile("ca")});
  }
  if (!layout_.options().etcd_path.empty()) Add(spec.argv, {"--etcd", layout_.options().etcd_path});
  return spec;
}

ProcessSpec Cluster::Vtctld() const {
  ProcessSpec spec{"vtctld", {ProgramDir() + "/vtctld"}, Env()};
  Add(spec.argv,
      {"--cell", layout_.options().cell, "--bind-address", kHost, "--port",
       std::to_string(layout_.VtctldWeb()), "--grpc-port", std::to_string(layout_.VtctldGrpc())});
  Add(spec.argv, {"--vtgate-addresses", fmt::format("{}:{}", kHost, layout_.VtgateWeb())});
  for (int i = 0; i < layout_.options().vtorcs; ++i) {
    Add(spec.argv, {"--vtorc-addresses", fmt::format("{}:{}", kHost, layout_.VtorcWeb(i))});
  }
  Add(spec.argv, layout_.BackupFlags());
  Add(spec.argv, layout_.TopoFlags());
  Add(spec.argv, layout_.TlsServerFlags());
  Add(spec.argv, layout_.TlsClientFlags("tablet-manager-grpc"));
  Add(spec.argv, Layout::MoreFlags(layout_.options().vtctld_flags));
  return spec;
}

ProcessSpec Cluster::Vtorc(int index) const {
  ProcessSpec spec{fmt::format("vtorc-{}", index), {ProgramDir() + "/vtorc"}, Env()};
  Add(spec.argv,
      {"--cell", layout_.options().cell, "--bind-address", kHost, "--port",
       std::to_string(layout_.VtorcWeb(index)), "--sqlite-data-file", layout_.HistoryFile(index),
       "--local-copy", fmt::format("{}/vtorc-{}.topo", layout_.options().data_dir, index)});
  Add(spec.argv, layout_.TopoFlags());
  Add(spec.argv, layout_.TlsClientFlags("tablet-manager-grpc"));
  return spec;
}

ProcessSpec Cluster::Mysqlctld(int index) const {
  ProcessSpec spec{
      fmt::format("mysqlctld-{}", layout_.Uid(index)), {ProgramDir() + "/mysqlctld"}, Env()};
  Add(spec.argv,
      {"--tablet-uid", std::to_string(layout_.Uid(index)), "--mysql-port",
       std::to_string(layout_.Mysqld(index)), "--mysql-bind-address", kHost, "--mysql-socket",
       layout_.MysqldSocket(index), "--socket-file", layout_.MysqlctlSocket(index), "--bench-user",
       "--bind-address", kHost, "--port", std::to_string(layout_.MysqlctldWeb(index))});
  Add(spec.argv, layout_.TlsClientFlags("tablet-manager-grpc"));
  if (!layout_.options().flavor.empty()) Add(spec.argv, {"--flavor", layout_.options().flavor});
  if (!layout_.options().mysqld_path.empty())
    Add(spec.argv, {"--mysqld", layout_.options().mysqld_path});
  return spec;
}

ProcessSpec Cluster::Vttablet(int index) const {
  ProcessSpec spec{
      fmt::format("vttablet-{}", layout_.Uid(index)), {ProgramDir() + "/vttablet"}, Env()};
  if (index == 0 && layout_.options().gate_in_tablet) {
    spec.argv = Vtgate().argv;
    spec.argv.push_back("--with-tablet");
  }
  Add(spec.argv, {"--tablet-path",
                  layout_.Alias(index),
                  "--init-keyspace",
                  layout_.options().keyspace,
                  "--init-shard",
                  "0",
                  "--init-tablet-type",
                  "replica",
                  "--tablet-hostname",
                  kHost,
                  "--bind-address",
                  kHost,
                  "--port",
                  std::to_string(layout_.TabletWeb(index)),
                  "--grpc-port",
                  std::to_string(layout_.TabletGrpc(index)),
                  "--native-port",
                  std::to_string(layout_.TabletNative(index)),
                  "--native-socket",
                  layout_.NativeSocket(index),
                  "--db-socket",
                  layout_.MysqldSocket(index),
                  "--mysqlctl-socket",
                  layout_.MysqlctlSocket(index)});
  if (layout_.options().archive) Add(spec.argv, {"--archive-binlogs"});
  Add(spec.argv, layout_.BackupFlags());
  Add(spec.argv, layout_.TopoFlags());
  Add(spec.argv, layout_.TlsServerFlags());
  Add(spec.argv, layout_.TlsClientFlags("tablet-manager-grpc"));
  Add(spec.argv, Layout::MoreFlags(layout_.options().vttablet_flags));
  return spec;
}

ProcessSpec Cluster::SnapshotTablet(size_t place, const Snapshot& snapshot) const {
  ProcessSpec spec =
      Vttablet(static_cast<int>(layout_.options().tablets) + static_cast<int>(place));
  auto keyspace = std::ranges::find(spec.argv, "--init-keyspace");
  *(keyspace + 1) = snapshot.keyspace;
  std::erase(spec.argv, "--archive-binlogs");
  Add(spec.argv, {"--restore-from-backup"});
  if (!snapshot.position.empty()) Add(spec.argv, {"--restore-to-pos", snapshot.position});
  if (!snapshot.timestamp.empty()) Add(spec.argv, {"--restore-to-timestamp", snapshot.timestamp});
  return spec;
}

Status Cluster::KeepSnapshots(Supervisor& supervisor, size_t* kept) const {
  std::vector<Snapshot> snapshots = LoadSnapshots(layout_);
  for (; *kept < snapshots.size(); ++*kept) {
    int index = static_cast<int>(layout_.options().tablets) + static_cast<int>(*kept);
    RETURN_IF_ERROR(supervisor.Keep(Mysqlctld(index)));
    RETURN_IF_ERROR(supervisor.Keep(SnapshotTablet(*kept, snapshots[*kept])));
  }
  return {};
}

int Cluster::AllTablets() const {
  return static_cast<int>(layout_.options().tablets) +
         static_cast<int>(LoadSnapshots(layout_).size());
}

ProcessSpec Cluster::Vtgate() const {
  ProcessSpec spec{"vtgate", {ProgramDir() + "/vtgate"}, Env()};
  Add(spec.argv, {"--cell",
                  layout_.options().cell,
                  "--cells-to-watch",
                  layout_.options().cell,
                  "--bind-address",
                  kHost,
                  "--port",
                  std::to_string(layout_.VtgateWeb()),
                  "--grpc-port",
                  std::to_string(layout_.VtgateGrpc()),
                  "--mysql-server-port",
                  std::to_string(layout_.VtgateMysql()),
                  "--mysql-server-bind-address",
                  kHost,
                  "--mysql-server-socket-path",
                  layout_.options().data_dir + "/vtgate.sock",
                  "--mysql-auth-server-impl",
                  "none",
                  "--local-copy",
                  layout_.options().data_dir + "/vtgate.topo",
                  "--threads",
                  std::to_string(layout_.options().vtgate_threads)});
  Add(spec.argv, layout_.TopoFlags());
  Add(spec.argv, layout_.TlsServerFlags());
  Add(spec.argv, layout_.TlsClientFlags("tablet-grpc"));
  if (layout_.options().tls) {
    Add(spec.argv, {"--mysql-server-ssl-cert", layout_.TlsFile("node"), "--mysql-server-ssl-key",
                    layout_.TlsFile("node-key")});
  }
  return spec;
}

io::Task<Result<std::string>> Cluster::Vtctldclient(std::vector<std::string> arguments,
                                                    Duration limit) const {
  io::ProcessOptions options;
  options.argv = {ProgramDir() + "/vtctldclient", "--server",
                  fmt::format("{}:{}", kHost, layout_.VtctldGrpc())};
  Add(options.argv, layout_.TlsClientFlags("vtctld-grpc", "client"));
  Add(options.argv, arguments);
  Result<io::CommandResult> done = co_await io::RunCommand(options, Deadline::In(limit));
  if (!done) co_return Fail(done.error());
  if (done->exit.code != 0) {
    co_return Fail(Code::kUnknown, "{}: {}", arguments[0], Trim(done->output));
  }
  co_return std::move(done->output);
}

io::Task<Status> Cluster::WaitForTcp(const Supervisor& supervisor, int port, std::string what,
                                     Duration limit) const {
  Deadline deadline = Deadline::In(limit);
  for (;;) {
    io::Address address = io::Address::Tcp(kHost, static_cast<uint16_t>(port));
    Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(address, Deadline::In(1s));
    if (socket) co_return Status();
    Status starts = supervisor.MayWaitOn();
    if (!starts) co_return starts;
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     "{} does not listen on port {} after {}: its log is {}", what, port,
                     DurationText(limit), layout_.LogFile(what));
    }
    co_await io::SleepUntil(Deadline::In(50ms));
  }
}

namespace {

bool SaysItExists(const Error& error) {
  return error.message().find("exists") != std::string::npos;
}

}  // namespace

io::Task<Status> Cluster::CreateTopology() {
  const ClusterOptions& o = layout_.options();
  std::vector<std::string> topo = layout_.TopoFlags();
  std::vector<std::string> add_cell = {"AddCellInfo",      "--root", "/vitess/" + o.cell,
                                       "--server-address", topo[3],  o.cell};
  Result<std::string> cell = co_await Vtctldclient(add_cell, 20s);
  if (!cell && !SaysItExists(cell.error())) co_return Fail(cell.error());
  std::string durability = o.tablets > 1 ? "semi_sync" : "none";
  std::vector<std::string> create = {"CreateKeyspace", "--durability-policy", durability,
                                     o.keyspace};
  Result<std::string> keyspace = co_await Vtctldclient(create, 20s);
  if (!keyspace && !SaysItExists(keyspace.error())) co_return Fail(keyspace.error());
  co_return Status();
}

io::Task<Status> Cluster::WaitForTablets(const Supervisor& supervisor) {
  Deadline deadline = Deadline::In(90s);
  std::vector<std::string> list = {"GetTablets", "--keyspace", layout_.options().keyspace};
  for (;;) {
    Result<std::string> tablets = co_await Vtctldclient(list, 20s);
    if (!tablets) co_return Fail(tablets.error());
    long lines = std::count(tablets->begin(), tablets->end(), '\n');
    if (lines >= layout_.options().tablets) co_return Status();
    Status starts = supervisor.MayWaitOn();
    if (!starts) co_return starts;
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     "only {} of {} tablets have registered: see the logs in {}/log", lines,
                     layout_.options().tablets, layout_.options().data_dir);
    }
    co_await io::SleepUntil(Deadline::In(100ms));
  }
}

io::Task<Status> Cluster::ElectFirstPrimary(const Supervisor& supervisor) {
  std::string name = layout_.options().keyspace + "/0";
  std::vector<std::string> get = {"GetShard", name};
  Result<std::string> shard = co_await Vtctldclient(get, 20s);
  if (!shard) co_return Fail(shard.error());
  nlohmann::json json = nlohmann::json::parse(*shard, nullptr, false);
  bool has_primary = json.is_object() && json.contains("shard") &&
                     json["shard"].contains("primary_alias") &&
                     json["shard"]["primary_alias"].is_object();
  if (has_primary) co_return Status();
  std::vector<std::string> elect = {"PlannedReparentShard", name, "--new-primary",
                                    layout_.Alias(0)};
  for (Deadline deadline = Deadline::In(30s);;) {
    Result<std::string> elected = co_await Vtctldclient(elect, 60s);
    if (elected) co_return Status();
    Status on = supervisor.MayWaitOn();
    if (!on) co_return on;
    if (deadline.Passed(io::Loop::Current().Now())) co_return Fail(elected.error());
    // a tablet may still be taking up its role
    co_await io::SleepUntil(Deadline::In(200ms));
  }
}

io::Task<Status> Cluster::ApplySchema() {
  const ClusterOptions& o = layout_.options();
  if (o.schema_file.empty()) co_return Status();
  std::vector<std::string> apply = {"ApplySchema", "--sql-file", o.schema_file, o.keyspace};
  Result<std::string> applied = co_await Vtctldclient(apply, 60s);
  if (!applied && !SaysItExists(applied.error())) co_return Fail(applied.error());
  co_return Status();
}

io::Task<Status> Cluster::WaitForGate(const Supervisor& supervisor) {
  Deadline deadline = Deadline::In(30s);
  for (;;) {
    mysql::ConnectOptions options;
    options.address = io::Address::Tcp(kHost, static_cast<uint16_t>(layout_.VtgateMysql()));
    options.user = "root";
    options.database = layout_.options().keyspace;
    Error last(Code::kUnavailable, "not asked");
    auto connection = co_await mysql::Connection::Connect(options, Deadline::In(2s));
    if (connection) {
      auto answer = co_await (*connection)->Query("SELECT 1", Deadline::In(2s));
      if (answer) co_return Status();
      last = answer.error();
    } else {
      last = connection.error();
    }
    Status starts = supervisor.MayWaitOn();
    if (!starts) co_return starts;
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "vtgate does not serve {}: {} (log: {})",
                     layout_.options().keyspace, last.ToString(), layout_.LogFile("vtgate"));
    }
    co_await io::SleepUntil(Deadline::In(50ms));
  }
}

io::Task<Status> Cluster::Start(Supervisor& supervisor, std::function<void(std::string)> say) {
  const ClusterOptions& o = layout_.options();
  if (o.tls) {
    Status certificates = MakeCertificates(layout_);
    if (!certificates) co_return Fail(certificates.error().Context("certificates"));
  }
  if (o.topo == "etcd") {
    say("etcd: three members");
    std::error_code error;
    if (!std::filesystem::exists(layout_.EtcdSecretFile(), error)) {
      std::string secret = HexEncode(RandomBytes(24)) + "\n";
      Status written = io::ReplaceFile(layout_.EtcdSecretFile(), secret);
      if (!written) co_return written;
    }
    for (int i = 0; i < 3; ++i) {
      Status kept = supervisor.Keep(Etcd(i));
      if (!kept) co_return kept;
    }
    for (int i = 0; i < 3; ++i) {
      Status up =
          co_await WaitForTcp(supervisor, layout_.EtcdClient(i), fmt::format("etcd-{}", i), 20s);
      if (!up) co_return up;
    }
  }
  say(fmt::format("{} x mysqld under mysqlctld", o.tablets));
  for (int i = 0; i < o.tablets; ++i) {
    Status kept = supervisor.Keep(Mysqlctld(i));
    if (!kept) co_return kept;
  }
  say("vtctld");
  Status kept = supervisor.Keep(Vtctld());
  if (!kept) co_return kept;
  Status up = co_await WaitForTcp(supervisor, layout_.VtctldGrpc(), "vtctld", 30s);
  if (!up) co_return up;
  if (o.init) {
    say("keyspace " + o.keyspace);
    Status made = co_await CreateTopology();
    if (!made) co_return made;
  }
  if (!o.gate_in_tablet) {
    say("vtgate");
    kept = supervisor.Keep(Vtgate());
    if (!kept) co_return kept;
  }
  say(fmt::format("{} x vttablet", o.tablets));
  for (int i = 0; i < o.tablets; ++i) {
    kept = supervisor.Keep(Vttablet(i));
    if (!kept) co_return kept;
  }
  Status tablets = co_await WaitForTablets(supervisor);
  if (!tablets || !o.init) co_return tablets;
  say("electing the first primary");
  Status elected = co_await ElectFirstPrimary(supervisor);
  if (!elected) co_return elected;
  say("waiting for vtgate to serve " + o.keyspace);
  Status serving = co_await WaitForGate(supervisor);
  if (!serving) co_return serving;
  Status applied = co_await ApplySchema();
  if (!applied || o.vtorcs == 0) co_return applied;
  say(fmt::format("{} x vtorc", o.vtorcs));
  for (int i = 0; i < o.vtorcs && kept; ++i) kept = supervisor.Keep(Vtorc(i));
  co_return kept;
}

io::Task<void> Cluster::Stop(Supervisor& supervisor, std::function<void(std::string)> say) {
  say("vtorc, vtgate, vtctld");  // first whoever would heal what is being stopped
  for (int i = 0; i < layout_.options().vtorcs; ++i) {
    co_await supervisor.StopKeeping(Vtorc(i).name, Deadline::In(10s));
  }
  co_await supervisor.StopKeeping("vtgate", Deadline::In(10s));
  co_await supervisor.StopKeeping("vtctld", Deadline::In(10s));
  for (int i = 0; i < AllTablets(); ++i) {
    say(Vttablet(i).name);
    co_await supervisor.StopKeeping(Vttablet(i).name, Deadline::In(15s));
  }
  for (int i = 0; i < AllTablets(); ++i) {
    say(Mysqlctld(i).name + " and its mysqld");
    io::ProcessOptions options;
    options.argv = {ProgramDir() + "/mysqlctl", "--tablet-uid", std::to_string(layout_.Uid(i)),
                    "shutdown"};
    options.env = Env();
    co_await supervisor.StopKeeping(Mysqlctld(i).name, Deadline::In(15s));
    Result<io::CommandResult> stopped = co_await io::RunCommand(options, Deadline::In(60s));
    if (!stopped || stopped->exit.code != 0) {
      say(fmt::format("mysqld of tablet {} did not shut down: {}", layout_.Uid(i),
                      stopped ? std::string(Trim(stopped->output)) : stopped.error().ToString()));
    }
  }
  for (int i = 0; layout_.options().topo == "etcd" && i < 3; ++i) {
    co_await supervisor.StopKeeping(fmt::format("etcd-{}", i), Deadline::In(10s));
  }
}

std::string Cluster::HowToConnect() const {
  const ClusterOptions& o = layout_.options();
  std::string tls = Join(layout_.TlsClientFlags("vtctld-grpc", "client"), " ");
  if (!tls.empty()) tls.insert(0, " ");
  return fmt::format(
      "  MySQL       mysql -h {0} -P {1} -u root {2}\n"
      "  gRPC        vtgate {0}:{3}\n"
      "  vtctld      {4}/vtctldclient --server {0}:{5}{8} GetTablets\n"
      "  web         http://{0}:{6}/\n"
      "  logs        {7}/log\n"
      "  stop        {4}/paceline down --data-dir {7}\n",
      kHost, layout_.VtgateMysql(), o.keyspace, layout_.VtgateGrpc(), ProgramDir(),
      layout_.VtctldGrpc(), layout_.VtctldWeb(), o.data_dir, tls);
}

Status CheckPortsFree(const Layout& layout) {
  std::vector<std::string> taken;
  io::Loop loop;  // only to probe: a listener needs one
  for (int port : layout.AllPorts()) {
    io::Address address = io::Address::Tcp(kHost, static_cast<uint16_t>(port));
    Result<std::unique_ptr<io::Listener>> listener = io::Listener::Listen(loop, address);
    if (!listener) taken.push_back(std::to_string(port));
  }
  if (taken.empty()) return {};
  size_t more = taken.size() > 5 ? taken.size() - 5 : 0;
  taken.resize(taken.size() - more);
  return Fail(Code::kAlreadyExists,
              "port {}{} on {} is in use by another program: stop it, or choose other ports with "
              "--base-port",
              Join(taken, ", "), more > 0 ? fmt::format(" and {} more", more) : "", kHost);
}

}  // namespace paceline::local
