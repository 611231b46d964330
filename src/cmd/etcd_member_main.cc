#include <signal.h>

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "base/strings.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "etcdmember/member.h"
#include "io/blocking.h"
#include "io/signal.h"

namespace paceline::cmd {
namespace {

io::Task<int> Serve(etcdmember::MemberOptions options, io::Loop& loop, io::SignalWatch& signals) {
  std::string name = options.name;
  etcdmember::MemberKeeper keeper(loop, std::move(options));
  Status started = keeper.Start();
  int code = 0;
  if (!started) {
    code = FailWith(started.error().Context("etcd-member " + name));
  } else {
    std::optional<int> number;
    while (!number) number = co_await signals.Wait(Deadline::Never());
    LOG_INFO("stopping on signal {}", *number);
  }
  co_await keeper.Stop();
  co_return code;
}

}  // namespace

int EtcdMemberMain(const std::vector<std::string>& arguments) {
  etcdmember::MemberOptions options;
  std::vector<std::string> members;
  std::string secret_file, log_level = "info";
  FlagSet flags("etcd-member",
                "--name <name> --members <name>=<host>:<client>:<peer>:<exchange>,... "
                "--data-dir <folder> [flags]",
                "One member of etcd: founds the cluster with the others, starts etcd, takes a new "
                "place when its disk was lost.");
  flags.Text("name", &options.name, "which of the members this is");
  flags.TextList("members", &members, "all members: name=host:client port:peer port:exchange port");
  flags.Text("data-dir", &options.data_dir, "etcd's data");
  flags.Text("snapshot-dir", &options.snapshot_dir,
             "snapshots; may be shared by the members; empty: beside the data");
  flags.Time("snapshot-every", &options.snapshot_every, "when something has changed");
  flags.Text("bind-address", &options.bind_address, "an IP address to listen on; empty: every one");
  flags.Text("secret-file", &secret_file, "what the members know each other by");
  flags.Text("etcd", &options.etcd, "the etcd to run");
  flags.Text("etcdctl", &options.etcdctl, "the etcdctl that restores snapshots");
  flags.TextList("etcd-args", &options.etcd_args, "more flags for etcd");
  flags.Text("tls-cert", &options.tls_cert, "certificate of etcd, for clients and peers");
  flags.Text("tls-key", &options.tls_key, "its key");
  flags.Text("tls-ca", &options.tls_ca,
             "their CA; clients and peers must show a certificate of it");
  flags.Time("hung-after", &options.hung_after, "an etcd silent for so long is started anew");
  flags.Text("log-level", &log_level, "debug, info, warning or error");
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  for (const std::string& text : members) {
    Result<etcdmember::MemberAddress> member = etcdmember::ParseMember(text);
    if (!member) return FailWith(member.error());
    options.members.push_back(std::move(*member));
  }
  if (options.data_dir.empty())
    return FailWith(Error(Code::kInvalidArgument, "--data-dir is needed"));
  while (options.data_dir.size() > 1 && options.data_dir.back() == '/') options.data_dir.pop_back();
  if (!secret_file.empty()) {
    std::ifstream file(secret_file);
    std::stringstream text;
    text << file.rdbuf();
    options.secret = std::string(Trim(text.str()));
    if (options.secret.size() < 16) {
      return FailWith(Error(Code::kInvalidArgument,
                            fmt::format("--secret-file {} holds no 16 characters", secret_file)));
    }
  }
  StartProgramLog("etcd-member", log_level);
  io::Loop loop;
  io::SignalWatch signals(loop, {SIGINT, SIGTERM});
  return io::RunUntilDone(loop, Serve(std::move(options), loop, signals));
}

}  // namespace paceline::cmd
