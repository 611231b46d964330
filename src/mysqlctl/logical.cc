// mysqlctld's part in logical backups: what its mysqld holds as statements, and such statements
// loaded into a server of their own, whose files then arrive as those of any other backup.
#include <algorithm>
#include <filesystem>

#include "backup/dump.h"
#include "backup/load.h"
#include "base/log.h"
#include "io/blocking.h"
#include "mysqlctl/agent.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

// Nothing of it needs to survive a crash: it is made anew then. A clean end makes its files whole.
constexpr const char* kLoading =
    "innodb_flush_log_at_trx_commit = 0\n"
    "sync_binlog = 0\n"
    "innodb_doublewrite = 0\n"
    "innodb_buffer_pool_size = 128M\n"
    "max_allowed_packet = 1G\n";

// Its data as the folder that Flatten expects.
Status TakeFiles(const std::string& scratch, const std::string& raw, const std::string& user) {
  RETURN_IF_ERROR(mysqld::MakeFolder(raw, user));
  for (const char* part : {"/data", "/innodb"}) {
    std::error_code error;
    std::filesystem::rename(scratch + part, raw + part, error);
    if (error) return Fail(Code::kInternal, "moving {}{}: {}", scratch, part, error.message());
  }
  return {};
}

}  // namespace

io::Task<Result<std::string>> Mysqlctld::StreamLogical(io::ByteSink& to, Tables* counted,
                                                       Deadline deadline) {
  // A promotion must not wait for the locks of a dump.
  struct WhileReplica final : io::ByteSink {
    io::Task<Status> Write(std::string_view bytes, Deadline deadline) override {
      if (*role != begun) co_return Fail(Code::kCanceled, "the tablet's role changed meanwhile");
      Status written = co_await to->Write(bytes, deadline);
      co_return written;
    }
    io::ByteSink* to = nullptr;
    const Role* role = nullptr;
    Role begun = Role::kReplica;
  } sink;
  sink.to = &to;
  sink.role = &role_;
  sink.begun = role_;
  backup::DumpOptions options;
  options.server = instance_.DbaConnectOptions();
  Result<backup::DumpReport> report =
      co_await backup::DumpServer(std::move(options), sink, gate_, deadline);
  if (!report) co_return Fail(report.error());
  if (counted != nullptr) *counted = std::move(report->tables);
  co_return report->position;
}

io::Task<Status> Mysqlctld::FetchLogical(backup::Catalog catalog, backup::Manifest manifest,
                                         std::string path, backup::FrameOptions frames,
                                         backup::Incoming incoming, std::shared_ptr<Fetch> fetch,
                                         Deadline deadline) {
  const std::string dir = incoming.folder() + "/s";
  mysqld::InstanceOptions options = ScratchOptions(dir);
  options.config.extra += kLoading;
  if (!options.programs.version.mariadb()) options.config.extra += "super_read_only = OFF\n";
  mysqld::Instance scratch(loop_, options);
  fetch->counted = 0;
  const backup::StoredObject object = manifest.objects[0];
  fetch->total = object.raw_bytes;
  Status done = co_await scratch.Init(deadline);
  std::vector<std::string> none;
  if (done) done = co_await scratch.Start(std::move(none), deadline);
  if (done) {
    backup::LoadOptions load;
    load.server = scratch.DbaConnectOptions();
    auto loader = co_await backup::Loader::Open(std::move(load), deadline);
    if (!loader) done = Fail(loader.error());
    if (loader) {
      done =
          co_await ReadBackup(catalog.storage(), path, frames, object, fetch, **loader, deadline);
      Result<backup::LoadReport> report = backup::LoadReport();
      if (done) report = co_await (*loader)->Finish(deadline);
      if (!report) done = Fail(report.error());
      co_await (*loader)->Stop();
      for (size_t i = 0; report && i < report->left_out.size(); ++i)
        LOG_WARNING("left out of what was restored: {}", report->left_out[i]);
    }
  }
  if (done) fetch->phase = "preparing";
  if (done) done = co_await scratch.Shutdown(deadline);
  Deadline soon = Deadline::In(10s);
  [[maybe_unused]] Status killed = co_await scratch.Kill(soon);
  if (!done) co_return done;
  std::function<Status()> take = [incoming, dir, user = options.user]() mutable -> Status {
    RETURN_IF_ERROR(TakeFiles(dir, incoming.raw(), user));
    RETURN_IF_ERROR(incoming.Flatten());
    return mysqld::RemoveTree(dir);
  };
  done = co_await io::RunBlocking<Status>(std::move(take));
  co_return done;
}

}  // namespace paceline::mysqlctl
