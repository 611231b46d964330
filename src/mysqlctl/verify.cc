// mysqlctld's part in verification: a backup is restored beside the data, a server of its own
// starts on it, and each table is checked. The tablet's own server and data are not touched.
#include "backup/table_check.h"
#include "base/log.h"
#include "io/blocking.h"
#include "mysqlctl/agent.h"
#include "mysqld/folder.h"
#include "mysqld/replication.h"

namespace paceline::mysqlctl {
namespace {

// What a restored server writes before it is looked at, and what the tablet's own is to keep.
constexpr uint64_t kRoomBeside = uint64_t{512} << 20;

// What says something of the backup, and not of this machine.
bool IsVerdict(const Error& error) {
  return error.code() == Code::kDataLoss &&
         error.message().find("No space") == std::string_view::npos;
}

}  // namespace

io::Task<Result<std::string>> Mysqlctld::VerifyBackup(port::VerifyOrder order, port::SeedSink& sink,
                                                      Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  if (verifying_) {
    co_return Fail(Code::kAlreadyExists, "a backup is being verified in {} already",
                   instance_.layout().dir);
  }
  verifying_ = true;
  Result<std::string> verdict = co_await VerifyAlone(std::move(order), sink, deadline);
  verifying_ = false;
  co_return verdict;
}

io::Task<Result<std::string>> Mysqlctld::VerifyAlone(port::VerifyOrder order, port::SeedSink& sink,
                                                     Deadline deadline) {
  using Opened = Result<backup::Catalog>;
  std::function<Opened()> open = [place = order.place]() -> Opened {
    ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> storage,
                     backup::OpenStorage({place.storage, place.root}));
    return backup::Catalog::Of(std::move(storage), place.keyspace, place.shard);
  };
  Opened catalog = co_await io::RunBlocking<Opened>(std::move(open));
  if (!catalog) co_return Fail(catalog.error());
  std::string name = order.backup;
  Result<std::string> found = co_await Judge(*catalog, std::move(order), sink, deadline);
  if (!found && !IsVerdict(found.error()))
    co_return Fail(found.error().Context("verifying backup " + name));
  backup::Verdict verdict{found.has_value(), loop_.clock().WallNow(),
                          found ? *found : found.error().message()};
  std::function<Status()> write = [catalog = *catalog, name, verdict] {
    return catalog.WriteVerdict(name, verdict);
  };
  Status written = co_await io::RunBlocking<Status>(std::move(write));
  if (!written) co_return Fail(written.error().Context("the verdict on backup " + name));
  if (!found) {
    LOG_ERROR("backup {} is bad: {}", name, verdict.text);
    co_return Fail(found.error().Context("backup " + name + " is bad"));
  }
  LOG_INFO("backup {} is good: {}", name, verdict.text);
  co_return verdict.text;
}

io::Task<Result<std::string>> Mysqlctld::Judge(backup::Catalog catalog, port::VerifyOrder order,
                                               port::SeedSink& sink, Deadline deadline) {
  using Read = Result<backup::Manifest>;
  std::function<Read()> read = [catalog, name = order.backup] { return catalog.Read(name); };
  Read manifest = co_await io::RunBlocking<Read>(std::move(read));
  if (!manifest) co_return Fail(manifest.error());
  uint64_t bytes = kRoomBeside;
  for (const backup::StoredObject& object : manifest->objects) bytes += object.raw_bytes;
  Status begun = mysqld::CheckWritable(instance_.layout().dir, bytes);
  backup::Incoming incoming(instance_.layout(), instance_.options().user, "verify");
  std::function<Status()> begin = [incoming]() mutable { return incoming.Begin(); };
  if (begun) begun = co_await io::RunBlocking<Status>(std::move(begin));
  if (!begun) co_return Fail(begun.error());
  auto fetch = std::make_shared<Fetch>();
  fetch->sink = &sink;
  fetch->path = incoming.raw();
  io::Detach(WatchFetch(*this, fetch));
  port::SeedOrder seed;
  seed.way = port::SeedOrder::Way::kBackup;
  seed.place = std::move(order.place);
  seed.backup = order.backup;
  Result<std::string> found = co_await FetchBackup(std::move(seed), incoming, fetch, deadline);
  if (found) {
    std::string position = *found;
    found = co_await CheckArrived(*manifest, incoming, std::move(position), fetch, deadline);
  }
  fetch->ended = true;
  bool unwatched = co_await fetch->unwatched.Wait(Deadline::Never());
  (void)unwatched;
  if (fetch->canceled) found = Fail(Code::kCanceled, "the check was given up");
  std::function<Status()> discard = [incoming]() mutable { return incoming.Discard(); };
  Status discarded = co_await io::RunBlocking<Status>(std::move(discard));
  if (!discarded) LOG_WARNING("{}", discarded.error().ToString());
  co_return found;
}

io::Task<Result<std::string>> Mysqlctld::CheckArrived(backup::Manifest manifest,
                                                      backup::Incoming incoming,
                                                      std::string position,
                                                      std::shared_ptr<Fetch> fetch,
                                                      Deadline deadline) {
  fetch->phase = "preparing";
  std::function<Status()> sort = [incoming]() mutable { return incoming.Sort(); };
  Status done = co_await io::RunBlocking<Status>(std::move(sort));
  if (!done) co_return Fail(done.error());
  mysqld::InstanceOptions options = ScratchOptions(incoming.sorted().dir);
  options.config.socket = incoming.folder() + "/m.sock";  // short: see ScratchOptions
  mysqld::Instance scratch(loop_, options);
  done = scratch.InitConfig();
  std::vector<std::string> none;
  if (done) done = co_await scratch.Start(std::move(none), deadline);
  if (!done && done.error().code() == Code::kInternal)
    done = Fail(Code::kDataLoss, "mysqld does not start on it: {}", done.error().message());
  backup::CheckReport report;
  if (done) {
    mysql::ConnectOptions connect = scratch.DbaConnectOptions();
    auto connection = co_await mysql::Connection::Connect(std::move(connect), deadline);
    if (!connection) done = Fail(connection.error());
    if (done && position.empty()) {
      mysqld::Replication replication(scratch.admin(), options.programs.version);
      Result<gtid::Set> set = co_await replication.Position(deadline);
      if (set) position = set->ToEncoded();
      if (!set) done = Fail(set.error());
    }
    if (done) {
      fetch->phase = "checking";
      fetch->counted = 0;
      fetch->total = 0;
      std::function<bool(size_t, size_t)> told = [fetch](size_t at, size_t all) {
        fetch->phase = fmt::format("checking table {} of {}", at + 1, all);
        return !fetch->canceled;
      };
      mysql::Connection& session = **connection;
      Result<backup::CheckReport> checked =
          co_await backup::CheckTables(session, manifest.tables, std::move(told), deadline);
      if (checked) report = std::move(*checked);
      if (!checked) done = Fail(checked.error());
    }
    if (!done && !scratch.running())
      done = Fail(Code::kDataLoss, "mysqld ended with {} on it: {}", scratch.last_exit(),
                  done.error().message());
  }
  Deadline soon = Deadline::In(10s);
  [[maybe_unused]] Status killed = co_await scratch.Kill(soon);
  if (!done) co_return Fail(done.error());
  if (position != manifest.position) {
    report.faults.push_back(fmt::format("it is at {}, not at {}", position, manifest.position));
  }
  if (!report.faults.empty()) {
    std::string faults;
    for (const std::string& fault : report.faults) faults += (faults.empty() ? "" : "; ") + fault;
    co_return Fail(Code::kDataLoss, "{}", faults);
  }
  co_return fmt::format("{} tables are whole, {} of them with the {} rows that were counted",
                        report.tables, report.counted, report.rows);
}

}  // namespace paceline::mysqlctl
