#include <algorithm>

#include "cli/client.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/tablet_channels.h"
#include "vtctld/vtctld.h"

namespace paceline::cmd {
namespace {

// What --server=internal takes of vtctld's flags.
struct InternalFlags {
  CommonFlags common;
  BackupFlags backups;
  PeerTlsFlags tls;
  FlagSet flags{"vtctldclient --server=internal", "", ""};
  InternalFlags() {
    common.AddTo(flags);
    backups.AddTo(flags);
    tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  }
};

std::optional<bool> NeedsValue(const std::string& name) {
  InternalFlags internal;
  std::vector<std::string> names = internal.flags.Names();
  if (std::ranges::find(names, name) == names.end()) return std::nullopt;
  return !internal.flags.ParseFlagsOnly({"--" + name});
}

// vtctld without a server.
io::Task<Status> UseInternal(io::Loop& loop, std::vector<std::string> arguments,
                             std::function<io::Task<Status>(port::Vtctld&)> run) {
  InternalFlags given;
  const BackupFlags& backups = given.backups;
  Status parsed = given.flags.ParseFlagsOnly(arguments);
  if (!parsed) co_return parsed;
  UseBackupCredentials();
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(given.common.topo);
  if (!topo) co_return Fail(topo.error());
  TabletChannels channels(loop, given.tls);
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
  return cli::VtctldclientMain(arguments, {NeedsValue, UseInternal});
}
int VtctlclientMain(const std::vector<std::string>& arguments) {
  return cli::VtctlclientMain(arguments);
}

}  // namespace paceline::cmd
