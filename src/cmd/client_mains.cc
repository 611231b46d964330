#include "cli/client.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/tablet_channels.h"
#include "vtctld/vtctld.h"

namespace paceline::cmd {
namespace {

// vtctld without a server, for --server=internal.
io::Task<Status> UseInternal(io::Loop& loop, std::vector<std::string> arguments,
                             std::function<io::Task<Status>(port::Vtctld&)> run) {
  CommonFlags common;
  BackupFlags backups;
  FlagSet flags("vtctldclient --server=internal", "", "");
  common.AddTo(flags);
  backups.AddTo(flags);
  PeerTlsFlags tls;
  tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  Status parsed = flags.ParseFlagsOnly(arguments);
  if (!parsed) co_return parsed;
  UseBackupCredentials();
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(common.topo);
  if (!topo) co_return Fail(topo.error());
  TabletChannels channels(loop, tls);
  drive::Connect connect = [&channels](const record::Tablet& tablet) {
    return channels.Connect(tablet);
  };
  vtctld::Vtctld vtctld(**topo, connect, {backups.storage, backups.Root()});
  Status done = co_await run(vtctld);
  co_await channels.Close();
  co_await (*topo)->Stop();
  co_return done;
}

}  // namespace

int VtctldclientMain(const std::vector<std::string>& arguments) {
  return cli::VtctldclientMain(arguments, UseInternal);
}
int VtctlclientMain(const std::vector<std::string>& arguments) {
  return cli::VtctlclientMain(arguments);
}

}  // namespace paceline::cmd
