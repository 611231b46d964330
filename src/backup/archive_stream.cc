#include "backup/archive_stream.h"

#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "mysqld/binary_logs.h"

namespace paceline::backup {
namespace {

constexpr Duration kRetryFirst = 100ms, kRetryMax = 5s;

// What the server's logs do not hold any more.
io::Task<Result<gtid::Set>> BeforeItsLogs(mysqld::Replication& server, Deadline deadline) {
  if (server.version().mariadb()) {
    auto logs = co_await mysqld::ListBinaryLogs(server, deadline);
    if (!logs) co_return Fail(logs.error());
    std::string first = logs->front().name;
    Result<gtid::Set> before = co_await mysqld::BeforeBinaryLog(server, first, deadline);
    // The very first log of a server has no list.
    if (!before && before.error().code() == Code::kNotFound)
      co_return gtid::Set(gtid::Flavor::kMariadb);
    co_return before;
  }
  std::string ask = "SELECT @@global.gtid_purged";
  Result<mysql::QueryResult> answer = co_await server.admin().Query(std::move(ask), deadline);
  if (!answer) co_return Fail(answer.error().Context("looking for the first binary log"));
  co_return gtid::Set::Parse(gtid::Flavor::kMysql, answer->Text(0, size_t{0}));
}

}  // namespace

io::Task<Result<ArchiveStart>> WhereToStart(mysqld::Replication& server,
                                            std::optional<gtid::Set> archived, Deadline deadline) {
  Result<gtid::Set> purged = co_await BeforeItsLogs(server, deadline);
  if (!purged) co_return Fail(purged.error());
  ArchiveStart start;
  start.from = *purged;
  if (!archived) co_return start;
  Result<gtid::Set> executed = co_await server.Position(deadline);
  if (!executed) co_return Fail(executed.error());
  ArchivePosition has(*archived);
  if (!has.Covers(*purged)) {
    start.gap = has.Lacks(*purged);
    start.from = purged->Union(archived->Intersection(*executed));
    co_return start;
  }
  if (!ArchivePosition(*executed).Covers(*archived)) {
    co_return Fail(Code::kUnavailable, "the server has not yet all that is archived ({}): {}",
                   archived->ToPosition(), executed->ToPosition());
  }
  start.from = *archived;
  co_return start;
}

io::Task<Status> ArchiveStream::WriteOut(ArchiveCutter& cutter,
                                         const std::function<bool()>& go_on) {
  auto segment = std::make_shared<Segment>(cutter.Take());
  segment->manifest.written = loop_.clock().WallNow();
  Duration pause = kRetryFirst;
  bool last_try = false;
  for (;;) {
    std::function<Status()> write = [archive = archive_, segment] {
      return archive.Write(*segment);
    };
    Status written = co_await io::RunBlocking<Status>(std::move(write));
    if (written) break;
    progress_.error = written.error().ToString();
    if (last_try) co_return Fail(written.error().Context("archiving"));
    LOG_WARNING("archiving, tried again: {}", progress_.error);
    co_await io::SleepUntil(Deadline::In(pause));
    pause = std::min(pause * 2, kRetryMax);
    last_try = !go_on();
  }
  progress_.error.clear();
  progress_.position = segment->manifest.after;
  progress_.transactions += segment->manifest.transactions;
  progress_.segments += 1;
  progress_.bytes += segment->events.size();
  progress_.oldest_unix_s = 0;
  co_return Status();
}

io::Task<Status> ArchiveStream::Pump(mysql::BinlogDump& dump, ArchiveCutter& cutter,
                                     const std::function<bool()>& go_on) {
  while (go_on()) {
    Deadline patience = Deadline::In(options_.silence);
    Result<mysql::EventPiece> piece = co_await dump.Next(patience);
    if (!piece) co_return Fail(piece.error());
    Status fed = cutter.OnPiece(*piece, loop_.Now());
    if (!fed) co_return fed;
    if (cutter.empty()) continue;
    progress_.oldest_unix_s = cutter.oldest_unix_s();
    bool old = cutter.between() && loop_.Now() - cutter.since() >= options_.close_after;
    if (!cutter.full() && !old) continue;
    Status written = co_await WriteOut(cutter, go_on);
    if (!written) co_return written;
  }
  co_return Status();
}

io::Task<Status> ArchiveStream::Run(gtid::Set from, std::function<bool()> go_on) {
  progress_ = ArchiveProgress();
  progress_.position = from;
  auto dump = co_await mysql::BinlogDump::Open(options_.server, from, options_.server_id,
                                               options_.heartbeat, Deadline::In(options_.silence));
  if (!dump) co_return Fail(dump.error());
  ArchiveCutter cutter(FormatRun(loop_.clock().WallNow(), options_.alias), std::move(from),
                       options_.compression);
  Status pumped = co_await Pump(**dump, cutter, go_on);
  (*dump)->Close();
  if (cutter.empty()) co_return pumped;
  // Its end is in the next run from its beginning.
  Status written = co_await WriteOut(cutter, go_on);
  co_return pumped ? written : pumped;
}

}  // namespace paceline::backup
