// mysqlctld's part in backups: made while mysqld serves, and taken back as a seed.
#include "backup/live.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "mysqlctl/agent.h"
#include "mysqld/folder.h"
#include "mysqld/replication.h"

namespace paceline::mysqlctl {
namespace {

// An interrupted backup of a tablet that is gone is swept by the others after a day.
constexpr Duration kSweepAfter = std::chrono::hours(24);

Result<backup::Catalog> OpenCatalog(const port::BackupPlace& place) {
  ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> storage,
                   backup::OpenStorage({place.storage, place.root}));
  return backup::Catalog::Of(std::move(storage), place.keyspace, place.shard);
}

Result<backup::FrameOptions> Frames(const port::BackupPlace& place, const std::string& compression,
                                    const std::string& salt) {
  backup::FrameOptions frames;
  ASSIGN_OR_RETURN(frames.compression, backup::ParseCompression(compression));
  if (salt.empty()) return frames;
  if (place.key_file.empty()) {
    return Fail(Code::kPermissionDenied,
                "the backup is encrypted: give --backup-encryption-key-file");
  }
  ASSIGN_OR_RETURN(frames.secret, backup::ReadSecret(place.key_file));
  std::optional<std::string> bytes = HexDecode(salt);
  if (!bytes) return Fail(Code::kDataLoss, "the backup's salt is damaged");
  frames.salt = *bytes;
  return frames;
}

// Longer, and what is left goes uncounted.
constexpr Duration kCountMax = std::chrono::minutes(10);

// As the server has them, or, with a position, as they were there.
io::Task<Result<std::vector<backup::TableRows>>> CountNow(mysqld::Instance& instance,
                                                          std::string position, Deadline deadline) {
  mysql::ConnectOptions options = instance.DbaConnectOptions();
  Deadline until = Deadline::In(kCountMax).EarlierOf(deadline);
  auto connection = co_await mysql::Connection::Connect(std::move(options), until);
  if (!connection) co_return Fail(connection.error());
  mysql::Connection& session = **connection;
  if (position.empty()) {
    auto rows = co_await backup::CountRows(session, until);
    co_return rows;
  }
  std::string index = instance.layout().bin_log_base() + ".index";
  auto rows = co_await backup::CountRowsAt(session, std::move(position), std::move(index), until);
  co_return rows;
}

std::string DefaultEngine(const mysqld::ServerVersion& version) {
  return version.mariadb() ? "mariabackup" : "clone";
}

}  // namespace

// Counts what passes, and ends it when nobody wants it any more.
class Mysqlctld::Counted final : public io::ByteSink {
 public:
  Counted(io::ByteSink& to, port::SeedSink& told, io::Loop& loop)
      : to_(to), told_(told), loop_(loop) {}
  void Expect(uint64_t total) { total_ = total; }
  void TellWhole() {
    port::SeedProgress whole{"copying", bytes_, bytes_};
    told_.OnProgress(whole);
  }
  io::Task<Status> Write(std::string_view bytes, Deadline deadline) override {
    bytes_ += bytes.size();
    if (loop_.Now() - last_ > 500ms) {
      last_ = loop_.Now();
      port::SeedProgress progress{"copying", bytes_, total_};
      if (!told_.OnProgress(progress)) co_return Fail(Code::kCanceled, "it was given up");
    }
    if (bytes.empty()) co_return Status();
    Status written = co_await to_.Write(bytes, deadline);
    co_return written;
  }

 private:
  io::ByteSink& to_;
  port::SeedSink& told_;
  io::Loop& loop_;
  uint64_t bytes_ = 0, total_ = 0;
  Time last_;
};

io::Task<Result<std::string>> Mysqlctld::Backup(port::BackupOrder order, port::SeedSink& sink,
                                                Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  if (!instance_.running() || held_ || !unusable_.empty())
    co_return Fail(Code::kUnavailable, "mysqld of {} is not running", instance_.layout().dir);
  if (streaming_) {
    co_return Fail(Code::kAlreadyExists,
                   "a backup of {} runs, or its data is streamed to another tablet",
                   instance_.layout().dir);
  }
  streaming_ = true;
  Result<std::string> name = co_await BackupAlone(std::move(order), sink, deadline);
  streaming_ = false;
  co_return name;
}

io::Task<Result<std::string>> Mysqlctld::BackupAlone(port::BackupOrder order, port::SeedSink& sink,
                                                     Deadline deadline) {
  const mysqld::ServerVersion& version = instance_.options().programs.version;
  backup::Manifest manifest;
  manifest.engine = order.engine.empty() ? DefaultEngine(version) : order.engine;
  bool fits = manifest.engine == DefaultEngine(version) || manifest.engine == "builtin" ||
              manifest.engine == "logical";
  if (!fits) {
    co_return Fail(Code::kInvalidArgument, "backup engine \"{}\": {} has {}, builtin and logical",
                   manifest.engine, version.ToString(), DefaultEngine(version));
  }
  Result<record::TabletAlias> alias = record::ParseTabletAlias(order.alias);
  if (!alias) co_return Fail(alias.error());
  Result<backup::Catalog> catalog = OpenCatalog(order.place);
  if (!catalog) co_return Fail(catalog.error());
  if (!order.place.key_file.empty()) manifest.salt = HexEncode(RandomBytes(16));
  Result<backup::FrameOptions> frames = Frames(order.place, order.compression, manifest.salt);
  if (!frames) co_return Fail(frames.error());
  manifest.keyspace = order.place.keyspace;
  manifest.shard = order.place.shard;
  manifest.alias = order.alias;
  manifest.server_version = version.text;
  manifest.compression = order.compression;
  manifest.began = loop_.clock().WallNow();
  WallTime old{manifest.began.unix_ns - kSweepAfter.count()};
  std::function<Status()> sweep = [catalog = *catalog, alias = *alias, old]() -> Status {
    ASSIGN_OR_RETURN(std::vector<std::string> swept, catalog.Sweep(alias, old));
    for (const std::string& one : swept) LOG_INFO("interrupted backup {} was removed", one);
    return {};
  };
  Status swept = co_await io::RunBlocking<Status>(std::move(sweep));
  if (!swept) co_return Fail(swept.error());
  // A second has one name: another backup of it stays what it is.
  std::function<std::string()> choose = [catalog = *catalog, alias = *alias, at = manifest.began] {
    backup::BackupName wanted{at, alias};
    while (catalog.Read(backup::FormatBackupName(wanted)))
      wanted.time.unix_ns += Duration(1s).count();
    return backup::FormatBackupName(wanted);
  };
  std::string name = co_await io::RunBlocking<std::string>(std::move(choose));

  backup::StoredWriter writer(catalog->storage(), catalog->Folder(name) + "/data", *frames,
                              order.rate);
  Counted counted(writer, sink, loop_);
  std::function<uint64_t()> measure = [layout = instance_.layout()] {
    return backup::DataBytes(layout);
  };
  uint64_t expected = co_await io::RunBlocking<uint64_t>(std::move(measure));
  counted.Expect(expected);
  Result<std::string> position = std::string();
  Tables* tables = order.count_rows ? &manifest.tables : nullptr;
  if (manifest.engine == "mariabackup") {
    position = co_await backup::StreamMariabackup(loop_, instance_, counted, gate_, deadline);
    if (position && tables != nullptr) {
      std::string at = *position;
      Result<Tables> rows = co_await CountNow(instance_, std::move(at), deadline);
      if (rows) *tables = std::move(*rows);
      if (!rows) LOG_WARNING("backup {}: counting rows: {}", name, rows.error().ToString());
    }
  } else if (manifest.engine == "clone") {
    position = co_await StreamClone(counted, sink, tables, deadline);
  } else if (manifest.engine == "logical") {
    position = co_await StreamLogical(counted, tables, deadline);
  } else {
    position = co_await StreamStopped(counted, tables, deadline);
  }
  if (!position) co_return Fail(position.error().Context("backup " + name));
  manifest.position = *position;
  Result<backup::StoredObject> object = co_await writer.Finish(deadline);
  if (!object) co_return Fail(object.error().Context("backup " + name));
  manifest.objects.push_back(std::move(*object));
  manifest.finished = loop_.clock().WallNow();
  counted.TellWhole();
  std::function<Status()> commit = [catalog = *catalog, name, manifest] {
    return catalog.Write(name, manifest);
  };
  Status committed = co_await io::RunBlocking<Status>(std::move(commit));
  if (!committed) co_return Fail(committed.error().Context("backup " + name));
  LOG_INFO("backup {} up to {}", name, manifest.position);
  co_return name;
}

// A clone beside the data, started once: that gives its position, and proves that it starts.
io::Task<Result<std::string>> Mysqlctld::StreamClone(Counted& to, port::SeedSink& sink,
                                                     Tables* counted, Deadline deadline) {
  std::string folder = instance_.layout().dir + "/backup";
  const std::string& user = instance_.options().user;
  std::function<Status()> make = [folder, user]() -> Status {
    RETURN_IF_ERROR(mysqld::RemoveTree(folder));
    RETURN_IF_ERROR(mysqld::MakeFolder(folder, user));
    return mysqld::MakeFolder(folder + "/s", user);
  };
  std::function<Status()> clean = [folder] { return mysqld::RemoveTree(folder); };
  Status done = co_await io::RunBlocking<Status>(std::move(make));
  Result<std::string> position = std::string();
  if (done) {
    auto fetch = std::make_shared<Fetch>();
    fetch->sink = &sink;
    fetch->phase = "cloning";
    fetch->path = folder;
    std::function<uint64_t()> measure = [layout = instance_.layout()] {
      return backup::DataBytes(layout);
    };
    fetch->total = co_await io::RunBlocking<uint64_t>(std::move(measure));
    io::Detach(WatchFetch(*this, fetch));
    done = co_await backup::CloneLocal(instance_.admin(), folder + "/s/data", deadline);
    fetch->ended = true;
    bool unwatched = co_await fetch->unwatched.Wait(Deadline::Never());
    (void)unwatched;
    if (fetch->canceled) done = Fail(Code::kCanceled, "it was given up");
  }
  if (done) {
    position = co_await StartClone(folder + "/s", counted, deadline);
    if (!position) done = Fail(position.error());
  }
  std::vector<std::string> all = {"."};
  std::function<uint64_t()> measure = [folder] {
    return backup::Incoming::BytesBelow(folder + "/s/data");
  };
  uint64_t expected = co_await io::RunBlocking<uint64_t>(std::move(measure));
  to.Expect(expected);
  if (done)
    done = co_await backup::StreamFiles(loop_, folder + "/s/data", std::move(all), user,
                                        folder + "/tar.log", to, gate_, deadline);
  Status cleaned = co_await io::RunBlocking<Status>(std::move(clean));
  if (!cleaned) LOG_WARNING("{}", cleaned.error().ToString());
  if (!done) co_return Fail(done.error());
  co_return position;
}

io::Task<Result<std::string>> Mysqlctld::StartClone(std::string dir, Tables* counted,
                                                    Deadline deadline) {
  mysqld::InstanceOptions options = ScratchOptions(dir);
  options.config.extra +=
      fmt::format("innodb_data_home_dir = {0}/data\ninnodb_log_group_home_dir = {0}/data\n", dir);
  mysqld::Instance scratch(loop_, options);
  Status done = scratch.InitConfig();
  std::vector<std::string> none;
  if (done) done = co_await scratch.Start(std::move(none), deadline);
  Result<std::string> position = std::string();
  if (done) {
    mysqld::Replication replication(scratch.admin(), options.programs.version);
    Result<gtid::Set> set = co_await replication.Position(deadline);
    if (set) position = set->ToEncoded();
    if (!set) done = Fail(set.error());
  }
  if (done && counted != nullptr) {
    std::string as_it_is;
    Result<Tables> rows = co_await CountNow(scratch, std::move(as_it_is), deadline);
    if (rows) *counted = std::move(*rows);
    if (!rows) done = Fail(rows.error());
  }
  // Cleanly: what is stored needs no recovery then.
  if (done) done = co_await scratch.Shutdown(deadline);
  Deadline soon = Deadline::In(10s);
  [[maybe_unused]] Status killed = co_await scratch.Kill(soon);
  if (!done) co_return Fail(done.error().Context("starting the clone"));
  co_return position;
}

// The files of a stopped server, which is a replica.
io::Task<Result<std::string>> Mysqlctld::StreamStopped(io::ByteSink& to, Tables* counted,
                                                       Deadline deadline) {
  if (role_ == Role::kPrimary) {
    co_return Fail(
        Code::kFailedPrecondition,
        "the engine builtin stops mysqld, and this one leads: take a replica, or another "
        "engine");
  }
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return Fail(locked.error());
  mysqld::Replication replication(instance_.admin(), instance_.options().programs.version);
  Status done = co_await replication.Stop(deadline);
  Result<gtid::Set> position = gtid::Set();
  if (done) position = co_await replication.Position(deadline);
  if (!position) done = Fail(position.error());
  if (done && counted != nullptr) {
    std::string as_it_is;
    Result<Tables> rows = co_await CountNow(instance_, std::move(as_it_is), deadline);
    if (rows) *counted = std::move(*rows);
    if (!rows) done = Fail(rows.error());
  }
  wanted_ = false;
  if (done) done = co_await instance_.Shutdown(deadline);
  std::vector<std::string> names = {"data", "innodb"};
  if (done)
    done = co_await backup::StreamFiles(loop_, instance_.layout().dir, std::move(names),
                                        instance_.options().user,
                                        instance_.layout().tmp() + "/tar.log", to, gate_, deadline);
  Status started = co_await StartPlain(Deadline::In(options_.wait_time));
  operation_.Unlock();
  if (!done) co_return Fail(done.error());
  if (!started) co_return Fail(started.error().Context("starting again after the backup"));
  co_return position->ToEncoded();
}

io::Task<Status> Mysqlctld::ReadBackup(std::shared_ptr<backup::Storage> storage, std::string path,
                                       backup::FrameOptions frames, backup::StoredObject object,
                                       std::shared_ptr<Fetch> fetch, io::ByteSink& to,
                                       Deadline deadline) {
  struct Counted final : io::ByteSink {
    io::Task<Status> Write(std::string_view bytes, Deadline deadline) override {
      if (fetch->canceled) co_return Fail(Code::kCanceled, "the seed was given up");
      fetch->counted = fetch->counted.value_or(0) + bytes.size();
      Status written = co_await to->Write(bytes, deadline);
      co_return written;
    }
    Fetch* fetch = nullptr;
    io::ByteSink* to = nullptr;
  } counted;
  counted.fetch = fetch.get();
  counted.to = &to;
  Status read = co_await backup::ReadStored(std::move(storage), std::move(path), std::move(frames),
                                            std::move(object), counted, deadline);
  if (!read && read.error().code() == Code::kNotFound)
    read = Fail(Code::kDataLoss, "a part is missing: {}", read.error().message());
  co_return read;
}

io::Task<Result<std::string>> Mysqlctld::FetchBackup(port::SeedOrder order,
                                                     backup::Incoming incoming,
                                                     std::shared_ptr<Fetch> fetch,
                                                     Deadline deadline) {
  Result<backup::Catalog> catalog = OpenCatalog(order.place);
  if (!catalog) co_return Fail(catalog.error());
  std::function<Result<backup::Manifest>()> read = [catalog = *catalog, name = order.backup] {
    return catalog.Read(name);
  };
  Result<backup::Manifest> manifest =
      co_await io::RunBlocking<Result<backup::Manifest>>(std::move(read));
  if (!manifest) co_return Fail(manifest.error());
  const mysqld::ServerVersion& own = instance_.options().programs.version;
  Result<mysqld::ServerVersion> theirs = mysqld::ParseVersionText(manifest->server_version);
  const bool logical = manifest->engine == "logical";  // of any version
  bool fits = theirs && theirs->flavor == own.flavor &&
              (logical || (theirs->major == own.major &&
                           own.AtLeast(theirs->major, theirs->minor, theirs->patch)));
  if (!fits) {
    co_return Fail(Code::kFailedPrecondition, "backup {} is of {}, this tablet runs {}",
                   order.backup, manifest->server_version, own.ToString());
  }
  if (manifest->objects.size() != 1)
    co_return Fail(Code::kDataLoss, "backup {} has {} objects, not one", order.backup,
                   manifest->objects.size());
  Result<backup::FrameOptions> frames = Frames(order.place, manifest->compression, manifest->salt);
  if (!frames) co_return Fail(frames.error());
  if (logical) {
    std::string path = catalog->Folder(order.backup) + "/" + manifest->objects[0].name;
    Status loaded = co_await FetchLogical(*catalog, *manifest, std::move(path), *frames, incoming,
                                          fetch, deadline);
    if (!loaded) co_return Fail(loaded.error().Context("restoring backup " + order.backup));
    co_return manifest->position;
  }
  const std::string& user = instance_.options().user;
  Status made = mysqld::MakeFolder(incoming.raw(), user);
  if (!made) co_return Fail(made.error());
  bool mariabackup = manifest->engine == "mariabackup";
  auto unpacker = backup::Unpacker::Open(
      loop_, mariabackup ? backup::Packing::kMbstream : backup::Packing::kTar, incoming.raw(),
      user);
  if (!unpacker) co_return Fail(unpacker.error());
  const backup::StoredObject& object = manifest->objects[0];
  fetch->counted = 0;
  fetch->total = object.raw_bytes;
  std::string path = catalog->Folder(order.backup) + "/" + object.name;
  Status restored =
      co_await ReadBackup(catalog->storage(), path, *frames, object, fetch, **unpacker, deadline);
  if (!restored) co_return Fail(restored.error().Context("restoring backup " + order.backup));
  Status unpacked = co_await (*unpacker)->Finish(deadline);
  if (!unpacked) co_return Fail(unpacked.error());
  if (mariabackup) {
    fetch->phase = "preparing";
    Result<std::string> position =
        co_await backup::PrepareMariabackup(incoming.raw(), user, deadline);
    co_return position;
  }
  if (manifest->engine == "builtin") {
    std::function<Status()> flatten = [incoming]() mutable { return incoming.Flatten(); };
    Status flat = co_await io::RunBlocking<Status>(std::move(flatten));
    if (!flat) co_return Fail(flat.error());
  }
  // MySQL knows its position by itself.
  if (!own.mariadb()) co_return std::string();
  co_return manifest->position;
}

}  // namespace paceline::mysqlctl
