// backup/archive_stream.h - one archiver's run: reads a server's binary log and writes segments, at
// most a few megabytes behind. Threads: the loop's thread; storage on blocking threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backup/archive.h"
#include "backup/archive_cutter.h"
#include "io/sync.h"
#include "mysqld/replication.h"

namespace paceline::backup {

struct ArchiveStart {
  gtid::Set from;   // the run goes on after all of this
  std::string gap;  // what the archive will lack, for people; empty: nothing
};
// Where a run of this server continues what is `archived` (nothing: all that its logs hold).
// Errors: kUnavailable: the server lags behind the archive, ask again.
io::Task<Result<ArchiveStart>> WhereToStart(mysqld::Replication& server,
                                            std::optional<gtid::Set> archived, Deadline deadline);

struct ArchiveStreamOptions {
  mysql::ConnectOptions server;
  uint32_t server_id = 0;  // as which it reads; nobody else's
  record::TabletAlias alias;
  Compression compression = Compression::kZstd;
  Duration close_after = 1s;  // a segment that is not full is written when it is so old
  Duration heartbeat = 250ms;
  Duration silence = 10s;  // then the server is given up
};

struct ArchiveProgress {
  gtid::Set position;  // all of it is in the storage
  uint64_t transactions = 0, segments = 0, bytes = 0;
  uint32_t oldest_unix_s = 0;  // of the oldest transaction that is not; 0: none waits
  std::string error;           // of the storage, which is tried again
};

class ArchiveStream {
 public:
  ArchiveStream(io::Loop& loop, Archive archive, ArchiveStreamOptions options)
      : loop_(loop), archive_(std::move(archive)), options_(std::move(options)) {}
  // Until `go_on` says no, asked at least at every heartbeat, or the server goes. What is complete
  // by then is written. Errors: of the server; of the stream.
  io::Task<Status> Run(gtid::Set from, std::function<bool()> go_on);
  const ArchiveProgress& progress() const { return progress_; }

 private:
  io::Task<Status> Pump(mysql::BinlogDump& dump, ArchiveCutter& cutter,
                        const std::function<bool()>& go_on);
  io::Task<Status> WriteOut(ArchiveCutter& cutter, const std::function<bool()>& go_on);
  io::Loop& loop_;
  Archive archive_;
  ArchiveStreamOptions options_;
  ArchiveProgress progress_;
};

}  // namespace paceline::backup
