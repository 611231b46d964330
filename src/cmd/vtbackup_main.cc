#include <signal.h>

#include <iostream>

#include "base/log.h"
#include "base/rng.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"
#include "cmd/tablet_channels.h"
#include "io/blocking.h"
#include "mysqlctl/one_shot.h"
#include "mysqld/folder.h"

namespace paceline::cmd {
namespace {

struct BackupJob {
  CommonFlags common;
  BackupFlags backups;
  mysqlctl::Options mysqld;
  mysqlctl::OneShotOptions one_shot;
  PeerTlsFlags tls;
  Duration timeout = std::chrono::hours(4);
  bool keep_data = false;
};

io::Task<Result<mysqlctl::LivePrimary>> AskPrimary(topo::Server& topo, TabletChannels& channels,
                                                   std::string keyspace, std::string shard,
                                                   Deadline deadline) {
  auto found = co_await topo.GetShard(keyspace, shard, deadline);
  if (!found) co_return Fail(found.error());
  if (found->value.primary_alias.cell.empty()) {
    co_return Fail(Code::kFailedPrecondition, "{}/{} has no primary to catch up with", keyspace,
                   shard);
  }
  auto tablet = co_await topo.GetTablet(found->value.primary_alias, deadline);
  if (!tablet) co_return Fail(tablet.error());
  mysqlctl::LivePrimary primary;
  primary.tablet = channels.Connect(tablet->value);
  if (primary.tablet == nullptr) co_return Fail(Code::kUnavailable, "no channel to the primary");
  primary.host = tablet->value.mysql_hostname;
  primary.port = static_cast<uint16_t>(tablet->value.mysql_port);
  co_return primary;
}

io::Task<int> Make(BackupJob job, io::Loop& loop) {
  Deadline deadline = Deadline::In(job.timeout);
  mysqlctl::Environment environment = [](std::string_view name) { return EnvironmentText(name); };
  auto instance = co_await mysqlctl::Resolve(job.mysqld, environment, true, Deadline::In(30s));
  if (!instance) co_return FailWith(instance.error().Context("vtbackup"));
  std::string dir = instance->config.layout.dir;
  if (!mysqld::IsEmptyFolder(dir)) {
    co_return FailWith(Error(Code::kAlreadyExists,
                             fmt::format("vtbackup: {} is not empty: name another --tablet-dir, or "
                                         "remove what an earlier run left",
                                         dir)));
  }
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(job.common.topo);
  if (!topo) co_return FailWith(topo.error().Context("vtbackup"));
  topo::Server* server = topo->get();
  std::string keyspace = job.one_shot.order.place.keyspace;
  std::string shard = job.one_shot.order.place.shard;
  TabletChannels channels(loop, job.tls);
  mysqlctl::FindPrimary find = [server, &channels, keyspace, shard](Deadline until) {
    return AskPrimary(*server, channels, keyspace, shard, until);
  };
  std::function<void(std::string)> say = [](std::string line) { LOG_INFO("{}", line); };
  mysqlctl::Mysqlctld agent(loop, job.mysqld, *instance);
  Status done = co_await agent.Begin(deadline);
  if (done) {
    Result<std::string> name =
        co_await mysqlctl::MakeOneBackup(loop, agent, job.one_shot, find, say, deadline);
    if (!name) done = Fail(name.error());
    if (name && !name->empty()) std::cout << *name << "\n";
  }
  Status killed = co_await agent.Kill(Deadline::In(30s));
  if (!killed) LOG_WARNING("{}", killed.error().ToString());
  Status stopped = co_await agent.Stop(Deadline::In(10s));
  if (!stopped) LOG_WARNING("{}", stopped.error().ToString());
  if (killed && !job.keep_data) {
    Status removed = mysqld::RemoveTree(dir);
    if (!removed) LOG_WARNING("{}", removed.error().ToString());
  }
  co_await channels.Close();
  co_await server->Stop();
  co_return done ? 0 : FailWith(done.error().Context("vtbackup"));
}

}  // namespace

int VtbackupMain(const std::vector<std::string>& arguments) {
  BackupJob job;
  job.mysqld.tablet_uid = 1 + static_cast<int64_t>(ThreadRng().Below(1'000'000'000));
  FlagSet flags("vtbackup", "--init-keyspace <keyspace> [flags]",
                "Makes one backup of a shard with a server of its own, and ends: the newest backup "
                "is restored, catches up with the primary, and is backed up again.");
  job.common.AddTopologyTo(flags);
  mysqlctl::AddFlags(flags, job.mysqld);
  job.backups.AddTo(flags);
  job.backups.AddMakingTo(flags);
  job.tls.AddTo(flags, "tablet-manager-grpc", "tablets");
  port::BackupPlace& place = job.one_shot.order.place;
  place.shard = std::string(1, '0');
  flags.Text("init-keyspace", &place.keyspace, "keyspace");
  flags.Text("init-shard", &place.shard, "shard");
  flags.Bool("initial-backup", &job.one_shot.initial, "back up an empty server, for a new shard");
  flags.Bool("allow-first-backup", &job.one_shot.allow_first,
             "where there is no backup yet, replicate from the beginning");
  flags.Time("min-backup-interval", &job.one_shot.min_interval,
             "make none while the newest is younger; 0: always make one");
  flags.Time("min-retention-time", &job.one_shot.rules.keep_age,
             "backups younger than that are kept; 0: none is removed");
  flags.Int("min-retention-count", &job.one_shot.rules.keep_count,
            "so many are kept however old they are; 0: no count");
  flags.Time("mysql-timeout", &job.timeout, "how long all of it may take");
  flags.Bool("verify", &job.one_shot.verify,
             "restore the new backup beside, check its tables and rows, and fail where it is bad");
  flags.Bool("keep-data", &job.keep_data, "leave the server's folder, for looking into it");
  for (const char* name : {"cell", "concurrency", "keep-alive-timeout", "init-db-name-override"})
    flags.Ignored(name, true);
  for (const char* name : {"upgrade-safe", "restart-before-backup", "disable-redo-log"})
    flags.Ignored(name, false);
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  Status checked = job.tls.Check("tablet-manager-grpc");
  if (!checked) return FailWith(checked.error().Context("vtbackup"));
  if (place.keyspace.empty())
    return FailWith(Error(Code::kInvalidArgument, "vtbackup: --init-keyspace is missing"));
  place.storage = job.backups.storage;
  place.root = job.backups.Root();
  place.key_file = job.backups.key_file;
  port::BackupOrder& order = job.one_shot.order;
  order.alias =
      record::TabletAlias{"vtbackup", static_cast<uint32_t>(job.mysqld.tablet_uid)}.ToString();
  order.engine = job.backups.engine;
  order.compression = job.backups.compression;
  order.count_rows = job.backups.count_rows;
  order.rate = static_cast<uint64_t>(std::max<int64_t>(0, job.backups.rate));
  io::Loop loop;
  StartProgramLog("vtbackup", job.common.log_level);
  UseBackupCredentials();
  return io::RunUntilDone(loop, Make(job, loop));
}

}  // namespace paceline::cmd
