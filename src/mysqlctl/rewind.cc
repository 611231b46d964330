// mysqlctld's part in bringing an old primary back: kill, rewind, and the history it is judged by.
#include "mysqld/rewind.h"

#include <filesystem>

#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "mysqlctl/agent.h"

namespace paceline::mysqlctl {

Status Mysqlctld::Note(History history) {
  RETURN_IF_ERROR(WriteHistory(instance_.layout(), history, instance_.options().user));
  history_ = history;
  return {};
}

io::Task<Status> Mysqlctld::NoteSemiSync(port::SemiSyncNote note, Deadline) {
  History history = history_;
  if (note.confirmed) {
    history.confirmed = history.on;
    std::error_code failed;
    history.log_bytes = std::filesystem::file_size(instance_.layout().error_log(), failed);
    if (failed) history = {.on = history.on};
  } else if (note.on && note.durable && note.acknowledgements > 0) {
    history.on = true;
  } else {
    history = History();
  }
  co_return Note(history);
}

io::Task<Status> Mysqlctld::Kill(Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return locked;
  Status killed = co_await KillLocked(deadline);
  operation_.Unlock();
  co_return killed;
}

io::Task<Status> Mysqlctld::KillLocked(Deadline deadline) {
  if (!instance_.running()) co_return Status();
  // Whoever sees it die holds it. The disk is asked afterwards, and only for what it lacks: it may
  // be full or stalled, which may be why mysqld is to end.
  const bool known = role_ == Role::kPrimary;
  role_ = Role::kPrimary;
  wanted_ = true;
  Status killed = co_await instance_.Kill(deadline);
  if (killed && !held_) {
    held_ = true;
    Changed();
  }
  if (killed && !known)
    killed = WriteRole(instance_.layout(), Role::kPrimary, instance_.options().user);
  co_return killed;
}

io::Task<Result<port::RewindReport>> Mysqlctld::Rewind(port::RewindOrder order, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Status locked = co_await operation_.Lock(deadline);
  if (!locked) co_return Fail(locked.error());
  Result<port::RewindReport> report = co_await RewindLocked(std::move(order), deadline);
  operation_.Unlock();
  co_return report;
}

io::Task<Result<port::RewindReport>> Mysqlctld::RewindLocked(port::RewindOrder order,
                                                             Deadline deadline) {
  Result<gtid::Set> keep = gtid::Set::ParseEncoded(order.keep);
  if (!keep) co_return Fail(keep.error());
  const std::string& dir = instance_.layout().dir;
  if (instance_.running() && !order.kill) {
    co_return Fail(Code::kAlreadyExists, "mysqld of {} lives: it is rewound when it is dead", dir);
  }
  Status killed = co_await KillLocked(deadline);
  if (!killed) co_return Fail(killed.error());
  if (!instance_.Initialized()) {
    co_return Fail(Code::kFailedPrecondition, "the data of {} is gone; it must be seeded anew",
                   dir);
  }

  std::string index = instance_.layout().bin_log_base() + ".index";
  gtid::Flavor flavor = instance_.options().programs.version.mariadb() ? gtid::Flavor::kMariadb
                                                                       : gtid::Flavor::kMysql;
  std::function<Result<mysqld::BinlogTail>()> find = [index, set = *keep] {
    return mysqld::FindTail(index, set);
  };
  Result<mysqld::BinlogTail> tail =
      co_await io::RunBlocking<Result<mysqld::BinlogTail>>(std::move(find));
  bool no_log =
      !tail && (tail.error().code() == Code::kNotFound || tail.error().code() == Code::kDataLoss);
  if (no_log) {
    co_return Fail(Code::kFailedPrecondition, "{}; it must be seeded anew", tail.error().message());
  }
  if (!tail) co_return Fail(tail.error());
  if (!tail->file.empty() && !tail->lost.empty() && !history_.AllowsRewind() &&
      tail->refused.empty()) {
    tail->refused = "sessions may have been told of it without an acknowledgement";
  }
  if (!tail->lost.empty() && tail->refused.empty() && WasReleased(instance_.layout(), history_)) {
    tail->refused = "semi-sync was off for a while, its error log says";
  }
  if (!tail->refused.empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "what mysqld of {} has beyond its successor must not be cut off: {}; it must be "
                   "seeded anew",
                   dir, tail->refused);
  }
  port::RewindReport report;
  if (!tail->file.empty()) {
    report.transactions = tail->lost.size();
    report.only_sidecar = tail->only_sidecar;
    gtid::Set cut(flavor);
    for (const gtid::Gtid& gtid : tail->lost) cut.Add(gtid.source, {gtid.sequence, gtid.sequence});
    report.cut = cut.ToEncoded();
    std::string name = fmt::format("{}.binlog", loop_.clock().WallNow().unix_ns / 1'000'000);
    std::string folder = dir + "/errant";
    bool keeps_data = !tail->lost.empty();
    std::function<Result<std::string>()> cut_off = [found = *tail, folder, name,
                                                    keeps_data]() -> Result<std::string> {
      std::string path;
      if (keeps_data) {
        ASSIGN_OR_RETURN(path, mysqld::ExportTail(found, folder, name));
      }
      RETURN_IF_ERROR(mysqld::CutTail(found));
      return path;
    };
    Result<std::string> exported =
        co_await io::RunBlocking<Result<std::string>>(std::move(cut_off));
    if (!exported) co_return Fail(exported.error());
    report.export_file = *exported;
    LOG_WARNING("mysqld of {}: {} transactions cut off ({}), kept in {}", dir, report.transactions,
                report.cut, report.export_file);
  }
  Status noted = WriteRole(instance_.layout(), Role::kReplica, instance_.options().user);
  if (noted) noted = Note(History());
  if (!noted) co_return Fail(noted.error());
  role_ = Role::kReplica;
  Status started = co_await StartPlain(deadline);
  if (!started) co_return Fail(started.error());
  co_return report;
}

}  // namespace paceline::mysqlctl
