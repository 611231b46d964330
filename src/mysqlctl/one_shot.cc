#include "mysqlctl/one_shot.h"

#include "io/blocking.h"
#include "mysqld/replication.h"
#include "port/tablet_manager.h"
#include "tabletmanagerdata.pb.h"

namespace paceline::mysqlctl {
namespace {

using Entries = Result<std::vector<backup::BackupEntry>>;

Result<backup::Catalog> Open(const port::BackupPlace& place) {
  ASSIGN_OR_RETURN(auto storage, backup::OpenStorage({place.storage, place.root}));
  return backup::Catalog::Of(std::move(storage), place.keyspace, place.shard);
}

io::Task<Entries> List(port::BackupPlace place) {
  std::function<Entries()> list = [place]() -> Entries {
    ASSIGN_OR_RETURN(backup::Catalog catalog, Open(place));
    ASSIGN_OR_RETURN(std::vector<backup::BackupEntry> entries, catalog.List());
    std::erase_if(entries, [](const backup::BackupEntry& entry) { return !entry.complete; });
    return entries;
  };
  Entries entries = co_await io::RunBlocking<Entries>(std::move(list));
  co_return entries;
}

class Unwatched final : public port::SeedSink {
 public:
  bool OnProgress(const port::SeedProgress&) override { return true; }
};

io::Task<Status> CatchUp(mysqld::Instance& instance, LivePrimary primary, Deadline deadline) {
  mysqld::Replication replication(instance.admin(), instance.options().programs.version);
  mysqld::SourceOptions source;
  source.host = primary.host;
  source.port = primary.port;
  source.user = instance.options().users.repl.name;
  source.password = instance.options().users.repl.password;
  tabletmanagerdata::PrimaryPositionRequest request;
  tabletmanagerdata::PrimaryPositionResponse response;
  Deadline soon = Deadline::In(10s).EarlierOf(deadline);
  Status asked = co_await primary.tablet->PrimaryPosition(request, response, soon);
  if (!asked) co_return asked;
  Result<gtid::Set> target = gtid::Set::ParseEncoded(response.position());
  if (!target) co_return Fail(target.error());
  Status done = co_await replication.SetSource(std::move(source), deadline);
  if (done) done = co_await replication.Start(deadline);
  if (done) done = co_await replication.WaitForPosition(std::move(*target), deadline);
  if (!done) {
    Result<std::optional<mysqld::ReplicationStatus>> status =
        co_await replication.Replica(Deadline::In(5s));
    if (status && *status && !(*status)->io_error.empty())
      done = Fail(done.error().Context((*status)->io_error));
  }
  Status stopped = co_await replication.ForgetSource(Deadline::In(30s));
  if (done && !stopped) done = stopped;
  co_return done;
}

}  // namespace

io::Task<Result<std::string>> MakeOneBackup(io::Loop& loop, Mysqlctld& agent,
                                            OneShotOptions options, FindPrimary find_primary,
                                            std::function<void(std::string)> say,
                                            Deadline deadline) {
  const port::BackupPlace& place = options.order.place;
  Entries entries = co_await List(place);
  if (!entries) co_return Fail(entries.error());
  if (options.initial && !entries->empty()) {
    co_return Fail(Code::kAlreadyExists,
                   "{}/{} has backups already: --initial-backup is for a new shard", place.keyspace,
                   place.shard);
  }
  // One that was found bad is nothing to begin from.
  std::string base;
  WallTime made;
  for (const backup::BackupEntry& entry : *entries) {
    if (!entry.usable()) continue;
    base = entry.name;
    made = entry.parsed.time;
  }
  if (base.empty() && !options.initial && !options.allow_first) {
    co_return Fail(Code::kNotFound,
                   "{}/{} has no backup to begin from: --initial-backup makes one of an empty "
                   "server, --allow-first-backup replicates from the beginning",
                   place.keyspace, place.shard);
  }
  WallTime now = loop.clock().WallNow();
  if (!base.empty() && options.min_interval > Duration(0) &&
      now.unix_ns - made.unix_ns < options.min_interval.count()) {
    say("the newest backup, " + base + ", is young enough");
    co_return std::string();
  }
  Unwatched unwatched;
  if (!base.empty()) {
    say("restoring backup " + base);
    port::SeedOrder order;
    order.way = port::SeedOrder::Way::kBackup;
    order.place = place;
    order.backup = base;
    Result<std::string> seeded = co_await agent.Seed(std::move(order), unwatched, deadline);
    if (!seeded) co_return Fail(seeded.error());
  }
  if (!options.initial) {
    Result<LivePrimary> primary = co_await find_primary(deadline);
    if (!primary) co_return Fail(primary.error());
    say(fmt::format("catching up with {}:{}", primary->host, primary->port));
    Status caught_up = co_await CatchUp(agent.instance(), std::move(*primary), deadline);
    if (!caught_up) co_return Fail(caught_up.error().Context("catching up with the primary"));
  }
  say("making the backup");
  Result<std::string> name = co_await agent.Backup(options.order, unwatched, deadline);
  if (!name) co_return name;
  say("backup " + *name + " is complete");
  if (options.verify) {
    port::VerifyOrder order{place, *name};
    Result<std::string> verdict =
        co_await agent.VerifyBackup(std::move(order), unwatched, deadline);
    if (!verdict) co_return Fail(verdict.error());
    say("backup " + *name + " is good: " + *verdict);
  }
  entries = co_await List(place);
  if (!entries) co_return Fail(entries.error());
  for (const std::string& old : backup::Expired(*entries, options.rules, now)) {
    std::function<Status()> remove = [place, old]() -> Status {
      ASSIGN_OR_RETURN(backup::Catalog catalog, Open(place));
      return catalog.Remove(old);
    };
    Status removed = co_await io::RunBlocking<Status>(std::move(remove));
    if (!removed && removed.error().code() != Code::kNotFound) co_return Fail(removed.error());
    say("backup " + old + " has expired and was removed");
  }
  co_return name;
}

}  // namespace paceline::mysqlctl
