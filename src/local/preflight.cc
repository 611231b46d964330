#include "local/preflight.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>

#include "base/strings.h"
#include "io/process.h"
#include "mysqld/folder.h"
#include "mysqld/instance.h"

namespace paceline::local {
namespace {

io::Task<Status> CheckEtcd(ClusterOptions options, std::string path) {
  std::string program = options.etcd_path;
  for (std::string_view folder : Split(path, ':')) {
    std::string candidate = fmt::format("{}/etcd", folder);
    if (program.empty() && !folder.empty() && access(candidate.c_str(), X_OK) == 0)
      program = candidate;
  }
  if (program.empty()) {
    co_return Fail(Code::kNotFound,
                   "--topo=etcd: found no etcd in PATH: install one (Debian: etcd-server) or name "
                   "it with --etcd");
  }
  io::ProcessOptions command;
  command.argv = {program, "--version"};
  command.new_session = false;
  Result<io::CommandResult> ran = co_await io::RunCommand(command, Deadline::In(10s));
  if (ran && ran->exit.code == 0 && ran->output.find("etcd") != std::string::npos)
    co_return Status();
  std::string why = ran ? std::string(Trim(ran->output)).substr(0, 200) : ran.error().message();
  co_return Fail(Code::kNotFound, "--etcd {}: it does not answer as an etcd does ({})", program,
                 why.empty() ? "no output" : why);
}

// mysqld's user must be able to reach its data.
io::Task<Status> CheckReach(std::string folder, std::string user) {
  if (user.empty() || geteuid() != 0) co_return Status();
  io::ProcessOptions command;
  command.argv = {"test", "-x", folder};
  command.user = user;
  command.new_session = false;
  Result<io::CommandResult> ran = co_await io::RunCommand(command, Deadline::In(10s));
  if (!ran) co_return Fail(ran.error().Context("asking as " + user));
  if (ran->exit.code == 0) co_return Status();
  co_return Fail(Code::kPermissionDenied,
                 "--data-dir {}: mysqld runs as user \"{}\", who cannot enter it: choose another "
                 "folder, or open this one and those above it",
                 folder, user);
}

}  // namespace

io::Task<Status> CheckMachine(ClusterOptions options, mysqlctl::Environment environment) {
  if (options.topo == "etcd") {
    Status etcd = co_await CheckEtcd(options, environment("PATH"));
    if (!etcd) co_return etcd;
  }
  mysqlctl::Environment with_root = [environment, root = options.data_dir](std::string_view name) {
    return name == "VTDATAROOT" ? root : environment(name);
  };
  mysqlctl::Options server;
  server.mysqld = options.mysqld_path;
  server.flavor = options.flavor;
  Result<mysqld::InstanceOptions> found =
      co_await mysqlctl::Resolve(server, with_root, true, Deadline::In(30s));
  if (!found) co_return Fail(found.error());
  Status reach = co_await CheckReach(options.data_dir, found->user);
  if (!reach) co_return reach;
  uint64_t without_data = 0;
  for (int i = 0; i < options.tablets; ++i) {
    mysqld::InstanceOptions one = *found;
    one.config.layout = mysqld::Layout::ForTablet(options.data_dir, 100 + static_cast<uint32_t>(i));
    one.config.socket.clear();
    Status usable = mysqld::Validate(one.config);
    if (usable) usable = mysqld::CheckPathFor(one.config.layout, one.programs);
    mysqld::Instance tablet(io::Loop::Current(), one);
    if (usable) usable = tablet.CheckFlavor();
    if (!usable) co_return usable;
    if (!tablet.Initialized()) ++without_data;
  }
  co_return mysqld::CheckWritable(options.data_dir, without_data * mysqld::kFreeBytesToInit);
}

}  // namespace paceline::local
