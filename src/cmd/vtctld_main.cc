#include <signal.h>

#include "base/log.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/status_pages.h"
#include "cmd/tablet_channels.h"
#include "io/blocking.h"
#include "io/signal.h"
#include "rpc/administration.h"
#include "rpc/server.h"
#include "rpc/vtctld.h"
#include "vtctld/vtctld.h"

namespace paceline::cmd {
namespace {

io::Task<int> Serve(CommonFlags flags, BackupFlags backups, PeerTlsFlags tls, AccessFlags access,
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
  if (listening && web.server) {
    web.pages->AddCluster(ClusterSource(**topo));
    listening = web.server->Start();
  }
  int code = 0;
  if (!listening) {
    code = FailWith(listening.error().Context("vtctld"));
  } else {
    LOG_INFO("vtctld listens on {}", listen.address);
    std::optional<int> number;
    while (!number) number = co_await signals.Wait(Deadline::Never());
    LOG_INFO("stopping on signal {}", *number);
  }
  if (web.server) web.server->Stop();
  web = {};
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
  PeerTlsFlags tls;
  tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  AccessFlags access;
  access.AddTo(flags);
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  Status checked = common.CheckTls();
  if (checked) checked = tls.Check("tablet-manager-grpc");
  if (!checked) return FailWith(checked.error().Context("vtctld"));
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  StartProgramLog("vtctld", common.log_level);
  UseBackupCredentials();
  return io::RunUntilDone(loop, Serve(common, backups, tls, access, loop, signals));
}

}  // namespace paceline::cmd
