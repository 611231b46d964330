#include <signal.h>

#include <fstream>

#include "base/log.h"
#include "base/rng.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/status_pages.h"
#include "cmd/tablet_channels.h"
#include "cmd/tablet_dialer.h"
#include "console/console.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "rpc/administration.h"
#include "rpc/server.h"
#include "rpc/vtctld.h"
#include "vtctld/backup_keeper.h"
#include "vtctld/volumes.h"
#include "vtctld/vtctld.h"

namespace paceline::cmd {
namespace {

// Who makes tablets' volumes larger.
struct ResizeFlags {
  std::string command;
  bool kubernetes = false;
  vtctld::KubernetesOptions claims;

  void AddTo(FlagSet& flags) {
    const std::string account = "/var/run/secrets/kubernetes.io/serviceaccount/";
    claims.token_file = account + "token";
    claims.ca_file = account + "ca.crt";
    flags.Text("resize-storage-command", &command,
               "what ResizeStorage runs, with a tablet's alias, its folder, its old and its new "
               "number of bytes; grows volume and file system");
    flags.Bool("resize-storage-kubernetes", &kubernetes,
               "ResizeStorage patches the tablets' PersistentVolumeClaims");
    flags.Text("resize-storage-claim", &claims.claim,
               "name of a tablet's claim; {pod} is the first part of its host name");
    flags.Text("kubernetes-api", &claims.api,
               "address of the API server; empty: that of the cluster that vtctld runs in");
    flags.Text("kubernetes-namespace", &claims.name_space,
               "where the claims are; empty: where vtctld runs");
    flags.Text("kubernetes-token-file", &claims.token_file, "of the service account; empty: none");
    flags.Text("kubernetes-ca-file", &claims.ca_file,
               "who signed the API server's certificate; empty: as the system says");
  }
  // Null: neither. Errors: kInvalidArgument, kNotFound.
  Result<std::unique_ptr<vtctld::Volumes>> Make() {
    if (!command.empty() && kubernetes) {
      return Fail(Code::kInvalidArgument,
                  "--resize-storage-command and --resize-storage-kubernetes: give one of them");
    }
    if (!command.empty()) return vtctld::CommandVolumes(command);
    if (!kubernetes) return nullptr;
    if (claims.api.empty()) {
      const std::string host = EnvironmentText("KUBERNETES_SERVICE_HOST");
      if (host.empty()) {
        return Fail(Code::kNotFound,
                    "--resize-storage-kubernetes: not in a pod of Kubernetes, so name the API "
                    "server by --kubernetes-api");
      }
      const bool v6 = host.find(':') != std::string::npos;
      claims.api = "https://" + (v6 ? "[" + host + "]" : host) + ":" +
                   EnvironmentText("KUBERNETES_SERVICE_PORT");
    }
    if (claims.name_space.empty()) {
      std::ifstream file("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
      if (!(file >> claims.name_space)) {
        return Fail(Code::kNotFound,
                    "--resize-storage-kubernetes: name the claims' namespace by "
                    "--kubernetes-namespace");
      }
    }
    return vtctld::KubernetesVolumes(claims);
  }
};

struct ConsoleFlags {
  std::vector<std::string> vtorcs, vtgates;
};

io::Task<int> Serve(CommonFlags flags, BackupFlags backups, PeerTlsFlags tls, AccessFlags access,
                    ConsoleFlags seen, backup::BackupRules rules, ResizeFlags resize,
                    io::Loop& loop, io::SignalWatch& signals) {
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(flags.topo);
  if (!topo) co_return FailWith(topo.error().Context("vtctld"));
  Result<std::shared_ptr<access::Guard>> guard =
      access::Guard::Make(access.guard, Metrics::Process());
  if (!guard) co_return FailWith(guard.error().Context("vtctld"));
  if (access.guard.open) LOG_WARNING("--access-open: everybody who reaches vtctld is admin");
  TabletChannels channels(loop, tls);
  drive::Connect connect = [&channels](const record::Tablet& tablet) {
    return channels.Connect(tablet);
  };
  vtctld::Vtctld vtctld(**topo, connect, {backups.storage, backups.Root()});
  Result<std::unique_ptr<vtctld::Volumes>> volumes = resize.Make();
  if (!volumes) co_return FailWith(volumes.error().Context("vtctld"));
  vtctld.UseVolumes(volumes->get());
  vtctld::BackupKeeper keeper(loop, **topo, vtctld, {backups.storage, backups.Root()}, rules);
  rpc::Server grpc;
  rpc::AddVtctld(grpc, loop, vtctld);
  rpc::ServerOptions listen;
  listen.address = flags.GrpcListenAddress();
  listen.cert_file = flags.grpc_cert;
  listen.key_file = flags.grpc_key;
  listen.client_ca_file = flags.grpc_ca;
  listen.guard = *guard;
  listen.describe = rpc::DescribeAdministration;
  Status listening = grpc.Start(listen);
  StatusPages web = MakePages(
      loop, "vtctld", "", flags.bind_address, flags.port, [] { return Status(); }, *guard);
  TabletDialer dialer(loop, tls);
  std::unique_ptr<console::Console> console;
  if (listening && web.server) {
    web.pages->AddCluster(ClusterSource(**topo));
    console::ConsoleOptions options;
    options.vtorcs = seen.vtorcs;
    options.vtgates = seen.vtgates;
    options.cell = flags.cell;
    options.guard = *guard;
    console = std::make_unique<console::Console>(*web.server, **topo, vtctld, dialer, ThreadRng(),
                                                 options);
    listening = console->Start();
    if (listening) listening = web.server->Start();
  }
  int code = 0;
  if (!listening) {
    code = FailWith(listening.error().Context("vtctld"));
  } else {
    LOG_INFO("vtctld listens on {}", listen.address);
    keeper.Start();
    std::optional<int> number;
    while (!number) number = co_await signals.Wait(Deadline::Never());
    LOG_INFO("stopping on signal {}", *number);
  }
  if (web.server) web.server->Stop();
  if (console) co_await console->Stop();
  console.reset();
  web = {};
  co_await keeper.Stop(Deadline::In(3s));
  Status down = co_await grpc.Shutdown(Deadline::In(5s));
  if (!down) LOG_WARNING("{}", down.error().ToString());
  co_await channels.Close();
  co_await (*topo)->Stop();
  co_return code;
}

}  // namespace

int VtctldMain(const std::vector<std::string>& arguments) {
  CommonFlags common;
  common.port = 15000;
  common.grpc_port = 15999;
  FlagSet flags("vtctld", "--cell <cell> [flags]",
                "The administration of a cluster, for vtctldclient and vtctlclient.");
  common.AddTo(flags);
  BackupFlags backups;
  backups.AddTo(flags);
  // Tablets make them; who hands all of his flags of backups to every program need not sort them.
  for (const char* name : {"backup-engine-implementation", "compression-engine-name",
                           "backup-rate-limit", "backup-encryption-key-file"})
    flags.Ignored(name, true);
  flags.Ignored("backup-count-rows", false);
  PeerTlsFlags tls;
  tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  AccessFlags access;
  access.AddTo(flags);
  ConsoleFlags seen;
  flags.TextList(
      "vtorc-addresses", &seen.vtorcs,
      "host:port of each vtorc's web port, or of a name that stands for all, for the console");
  flags.TextList(
      "vtgate-addresses", &seen.vtgates,
      "host:port of each vtgate's web port, or of a name that stands for all, for the console");
  ResizeFlags resize;
  resize.AddTo(flags);
  backup::BackupRules rules;
  flags.Time("backup-schedule-interval", &rules.every,
             "each shard gets a backup when its newest is so old; 0: only when asked");
  flags.Time("backup-verify-interval", &rules.verify_every,
             "one of the backups of each such time is restored and checked; 0: only when asked");
  flags.Int("backup-retention-count", &rules.keep_count,
            "so many of a shard's backups stay, the newest; 0: any number");
  flags.Time("backup-retention-age", &rules.keep_age,
             "backups younger than that stay, however many; 0: no age");
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  Status checked = common.CheckTls();
  if (checked) checked = tls.Check("tablet-manager-grpc");
  if (!checked) return FailWith(checked.error().Context("vtctld"));
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  StartProgramLog("vtctld", common.log_level);
  UseBackupCredentials();
  return io::RunUntilDone(loop,
                          Serve(common, backups, tls, access, seen, rules, resize, loop, signals));
}

}  // namespace paceline::cmd
