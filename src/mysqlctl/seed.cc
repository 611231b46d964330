// mysqlctld's part in seeding: another server's data is fetched beside the old and takes its place.
#include "backup/live.h"
#include "base/log.h"
#include "gtid/set.h"
#include "io/blocking.h"
#include "mysqlctl/agent.h"
#include "mysqld/folder.h"
#include "mysqld/replication.h"

namespace paceline::mysqlctl {
namespace {

constexpr Duration kProgressEvery = 500ms;
constexpr int kStartsOnSeed = 3;

io::Task<Status> Blocking(std::function<Status()> work) {
  Status done = co_await io::RunBlocking<Status>(std::move(work));
  co_return done;
}

}  // namespace

backup::Incoming Mysqlctld::Arriving() const {
  return {instance_.layout(), instance_.options().user};
}

void Mysqlctld::SetUnusable(std::string why) {
  LOG_ERROR("{}: {}: it waits for a seed", instance_.layout().dir, why);
  unusable_ = std::move(why);
  Changed();
}

io::Task<void> Mysqlctld::WatchFetch(Mysqlctld& self, std::shared_ptr<Fetch> fetch) {
  while (!fetch->ended) {
    uint64_t bytes = 0;
    if (!fetch->counted) {
      std::function<uint64_t()> measure = [path = fetch->path] {
        return backup::Incoming::BytesBelow(path);
      };
      bytes = co_await io::RunBlocking<uint64_t>(std::move(measure));
    }
    if (fetch->ended) break;
    port::SeedProgress progress{fetch->phase, fetch->counted.value_or(bytes), fetch->total};
    if (fetch->phase == "preparing") progress = {fetch->phase};
    bool wanted = fetch->sink->OnProgress(progress);
    Deadline pause = Deadline::In(kProgressEvery);
    bool open = co_await io::Sleep(self.gate_, pause);
    if ((!wanted || !open) && !fetch->ended) {
      fetch->canceled = true;
      if (fetch->cancel) fetch->cancel();
      break;
    }
  }
  fetch->unwatched.Set();
}

io::Task<Result<std::string>> Mysqlctld::Seed(port::SeedOrder order, port::SeedSink& sink,
                                              Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(Deadline::In(60s).EarlierOf(deadline));
  if (!locked) co_return Fail(locked.error());
  Result<std::string> position = co_await SeedLocked(std::move(order), sink, deadline);
  operation_.Unlock();
  co_return position;
}

io::Task<Result<std::string>> Mysqlctld::SeedLocked(port::SeedOrder order, port::SeedSink& sink,
                                                    Deadline deadline) {
  backup::Incoming incoming = Arriving();
  if (!incoming.Pending()) {
    std::function<Status()> begin = [incoming]() mutable { return incoming.Begin(); };
    Status begun = co_await Blocking(std::move(begin));
    if (!begun) co_return Fail(begun.error());
    auto fetch = std::make_shared<Fetch>();
    fetch->sink = &sink;
    fetch->path = incoming.raw();
    io::Detach(WatchFetch(*this, fetch));
    Result<std::string> position = co_await FetchData(std::move(order), fetch, deadline);
    fetch->ended = true;
    bool unwatched = co_await fetch->unwatched.Wait(Deadline::Never());
    (void)unwatched;
    if (position && fetch->canceled) position = Fail(Code::kCanceled, "the seed was given up");
    std::function<Status()> end;
    if (position) {
      end = [incoming, at = *position]() mutable -> Status {
        Status complete = incoming.Complete(at);
        if (complete || incoming.Pending()) return complete;
        [[maybe_unused]] Status discarded = incoming.Discard();
        return complete;
      };
    } else {
      end = [incoming]() mutable { return incoming.Discard(); };
    }
    Status ended = co_await Blocking(std::move(end));
    if (!position && fetch->canceled) co_return Fail(Code::kCanceled, "the seed was given up");
    if (!position) co_return position;
    if (!ended) co_return Fail(ended.error());
  }
  port::SeedProgress progress{"starting"};
  sink.OnProgress(progress);
  Result<std::string> placed = co_await PlaceSeed(deadline);
  co_return placed;
}

io::Task<Result<std::string>> Mysqlctld::FetchData(port::SeedOrder order,
                                                   std::shared_ptr<Fetch> fetch,
                                                   Deadline deadline) {
  bool mariadb = instance_.options().programs.version.mariadb();
  if (order.way == port::SeedOrder::Way::kBackup) {
    Result<std::string> position =
        co_await FetchBackup(std::move(order), Arriving(), fetch, deadline);
    co_return position;
  }
  if (order.way == port::SeedOrder::Way::kMariabackup && mariadb) {
    Result<std::string> position = co_await FetchMariabackup(std::move(order), fetch, deadline);
    co_return position;
  }
  if (order.way == port::SeedOrder::Way::kClone && !mariadb) {
    Status cloned = co_await FetchClone(std::move(order), fetch, deadline);
    if (!cloned) co_return Fail(cloned.error());
    co_return std::string();  // a cloned server knows its position
  }
  co_return Fail(Code::kInvalidArgument, "{} is not seeded in this way",
                 instance_.options().programs.version.ToString());
}

mysqld::InstanceOptions Mysqlctld::ScratchOptions(std::string dir) const {
  mysqld::InstanceOptions options = instance_.options();
  options.config.layout.dir = dir;
  options.config.socket = dir + "/m.sock";  // short: a socket's path has 107 bytes
  options.config.port = 0;
  options.config.server_id = mysqld::NewServerId();
  options.config.report_host.clear();
  options.config.small = true;
  options.config.extra = "skip_networking = ON\n";
  if (!options.programs.version.mariadb()) options.config.extra += "disable_log_bin\n";
  return options;
}

io::Task<Status> Mysqlctld::ClearScratch(Deadline deadline) {
  const std::string& dir = instance_.layout().dir;
  Status done;
  for (const char* folder : {"/seed/s", "/backup/s", "/verify/new", "/verify/s"}) {
    mysqld::Instance scratch(loop_, ScratchOptions(dir + folder));
    Status killed = co_await scratch.Kill(deadline);
    if (!killed) done = killed;
  }
  std::function<Status()> clear = [incoming = Arriving(), dir]() mutable {
    Status removed = mysqld::RemoveTree(dir + "/backup");
    if (removed) removed = mysqld::RemoveTree(dir + "/verify");
    if (removed && !incoming.Pending()) removed = incoming.Discard();
    return removed;
  };
  if (done) done = co_await Blocking(std::move(clear));
  co_return done;
}

// A server of its own runs the clone, whatever state ours is in.
io::Task<Status> Mysqlctld::FetchClone(port::SeedOrder order, std::shared_ptr<Fetch> fetch,
                                       Deadline deadline) {
  backup::Incoming incoming = Arriving();
  auto scratch =
      std::make_shared<mysqld::Instance>(loop_, ScratchOptions(incoming.folder() + "/s"));
  struct Killer {
    static io::Task<void> Kill(std::shared_ptr<mysqld::Instance> scratch) {
      Deadline soon = Deadline::In(10s);
      [[maybe_unused]] Status killed = co_await scratch->Kill(soon);
    }
  };
  std::vector<std::string> none;
  Status done = co_await scratch->Init(deadline);
  if (done) done = co_await scratch->Start(std::move(none), deadline);
  if (done && !fetch->canceled) {
    fetch->cancel = [scratch] { io::Detach(Killer::Kill(scratch)); };
    backup::CloneDonor donor{order.host, order.port, order.user, order.password};
    done =
        co_await backup::CloneRemote(scratch->admin(), std::move(donor), incoming.raw(), deadline);
    fetch->cancel = nullptr;
  }
  Deadline soon = Deadline::In(10s);
  Status killed = co_await scratch->Kill(soon);
  if (done && !killed) done = killed;
  co_return done;
}

io::Task<Result<std::string>> Mysqlctld::FetchMariabackup(port::SeedOrder order,
                                                          std::shared_ptr<Fetch> fetch,
                                                          Deadline deadline) {
  backup::Incoming incoming = Arriving();
  const std::string& user = instance_.options().user;
  Status made = mysqld::MakeFolder(incoming.raw(), user);
  if (!made) co_return Fail(made.error());
  std::shared_ptr<port::TabletManager> donor;
  if (call_tablet_) donor = call_tablet_(order.tablet_address);
  if (donor == nullptr)
    co_return Fail(Code::kUnavailable, "tablet {} cannot be called", order.tablet_address);
  auto unpacker = backup::Unpacker::Open(loop_, backup::Packing::kMbstream, incoming.raw(), user);
  if (!unpacker) co_return Fail(unpacker.error());
  // Ends the stream with the next bytes or, where none come, with the next turn of the wait.
  struct Unpack final : io::ByteSink {
    io::Task<Status> Write(std::string_view bytes, Deadline deadline) override {
      if (fetch->canceled) co_return Fail(Code::kCanceled, "the seed was given up");
      Status written;
      if (!bytes.empty()) written = co_await unpacker->Write(bytes, deadline);
      co_return written;
    }
    Fetch* fetch = nullptr;
    backup::Unpacker* unpacker = nullptr;
  } unpack;
  unpack.fetch = fetch.get();
  unpack.unpacker = unpacker->get();
  Status streamed = co_await donor->StreamData(unpack, deadline);
  if (!streamed) co_return Fail(streamed.error().Context("fetching from " + order.tablet_address));
  Status unpacked = co_await (*unpacker)->Finish(deadline);
  if (!unpacked) co_return Fail(unpacked.error());
  fetch->phase = "preparing";
  Result<std::string> position =
      co_await backup::PrepareMariabackup(incoming.raw(), user, deadline);
  co_return position;
}

io::Task<Result<std::string>> Mysqlctld::PlaceSeed(Deadline deadline) {
  placing_ = true;
  Changed();
  Result<std::string> position = co_await StartOnSeed(deadline);
  placing_ = Arriving().Pending().has_value();
  Changed();
  // Whoever asked may be gone.
  if (!position && Arriving().Placed() && !instance_.running()) OnDeath("did not start");
  co_return position;
}

io::Task<Result<std::string>> Mysqlctld::StartOnSeed(Deadline deadline) {
  backup::Incoming incoming = Arriving();
  if (!incoming.Pending()) co_return Fail(Code::kInternal, "no seed stands ready");
  wanted_ = false;
  // What its sessions wait for must not be released by a clean stop.
  Status stopped = co_await instance_.Kill(Deadline::In(30s));
  Status noted = WriteRole(instance_.layout(), Role::kReplica, instance_.options().user);
  if (noted) noted = Note(History());
  if (stopped && !noted) stopped = noted;
  if (!stopped) co_return Fail(stopped.error());
  role_ = Role::kReplica;
  std::function<Status()> place = [incoming]() mutable { return incoming.TakePlace(); };
  Status placed = co_await Blocking(std::move(place));
  // A new server id: the names that the lost data gave to transactions are not given again.
  if (placed) placed = instance_.InitConfig();
  if (placed) placed = instance_.ReinitConfig();
  if (!placed) co_return Fail(placed.error());
  Status started = co_await StartPlain(deadline);
  for (int tries = 1; !started && tries < kStartsOnSeed; ++tries) {
    // It started, and died before it was settled.
    if (started.error().code() != Code::kUnavailable) break;
    LOG_WARNING("starting on the seed: {}", started.error().ToString());
    started = co_await StartPlain(deadline);
  }
  if (!started) {
    if (started.error().code() == Code::kInternal) {
      // Another seed may do better; what is aside stays there.
      [[maybe_unused]] Status forgotten = incoming.Finished();
      SetUnusable("mysqld does not start on its seed: " + started.error().message());
    }
    co_return Fail(started.error().Context("starting on the seed"));
  }
  mysqld::Replication replication(instance_.admin(), instance_.options().programs.version);
  Result<gtid::Set> now = co_await replication.Position(deadline);
  if (!now) co_return Fail(now.error());
  LOG_INFO("{} was seeded, up to {}", instance_.layout().dir, now->ToString());
  co_return now->ToEncoded();
}

io::Task<Status> Mysqlctld::SettleSeed(Deadline deadline) {
  backup::Incoming incoming = Arriving();
  Result<gtid::Set> history = gtid::Set::ParseEncoded(incoming.Pending().value_or(""));
  mysqld::Replication replication(instance_.admin(), instance_.options().programs.version);
  Status done;
  if (!history) done = Fail(history.error());
  if (done) done = co_await replication.ForgetSource(deadline);
  if (done && !history->Empty()) done = co_await replication.ResetHistory(*history, deadline);
  if (done) done = incoming.Finished();
  if (done) {
    placing_ = false;
    co_return done;
  }
  // It does not run on like this: its next start settles it, or tells why not.
  [[maybe_unused]] Status killed = co_await instance_.Kill(Deadline::In(30s));
  Error error = done.error().Context("settling the seed");
  if (done.error().from_mysql()) co_return Fail(Code::kInternal, "{}", error.message());
  co_return Fail(error);
}

io::Task<Status> Mysqlctld::ForgetOldData(bool keep_logs, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  std::string stamp = std::to_string(loop_.clock().WallNow().unix_ns / 1'000'000);
  std::function<Status()> forget = [incoming = Arriving(), keep_logs, stamp]() mutable {
    return incoming.ForgetAside(keep_logs, stamp);
  };
  Status forgotten = co_await Blocking(std::move(forget));
  operation_.Unlock();
  co_return forgotten;
}

// Not under operation_: it changes nothing, and mysqld may die under it.
io::Task<Status> Mysqlctld::StreamData(io::ByteSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  if (!instance_.options().programs.version.mariadb())
    co_return Fail(Code::kUnimplemented, "MySQL's data is cloned, not streamed");
  if (!instance_.running() || held_ || !unusable_.empty())
    co_return Fail(Code::kUnavailable, "mysqld of {} is not running", instance_.layout().dir);
  if (streaming_) {
    co_return Fail(Code::kUnavailable, "the data of {} is being streamed to another tablet",
                   instance_.layout().dir);
  }
  streaming_ = true;
  Result<std::string> streamed =
      co_await backup::StreamMariabackup(loop_, instance_, sink, gate_, deadline);
  streaming_ = false;
  if (!streamed) co_return Fail(streamed.error());
  co_return Status();
}

}  // namespace paceline::mysqlctl
