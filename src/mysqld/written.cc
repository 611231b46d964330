#include "mysqld/written.h"

#include <deque>

#include "mysqld/log_file.h"

namespace paceline::mysqld {
namespace {

namespace binlog = mysql::binlog;

// The set in a log's head; nothing where it has none yet.
Result<std::optional<gtid::Set>> HeadOf(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(path));
  binlog::EventReader events(*file, path);
  for (int i = 0; i < 4; ++i) {  // Format, on MariaDB encryption's start, then the set
    ASSIGN_OR_RETURN(bool more, events.Next());
    if (!more) break;
    const uint8_t type = events.header().type;
    if (type != binlog::kPreviousGtids && type != binlog::kMariaGtidList) continue;
    ASSIGN_OR_RETURN(std::string_view body, events.Body());
    ASSIGN_OR_RETURN(gtid::Set set, binlog::ParsePrevious(type, body));
    return std::optional(std::move(set));
  }
  return std::optional<gtid::Set>();
}

// The index of the log to begin with.
Result<size_t> FirstLog(const std::vector<std::string>& logs, const WrittenOptions& options) {
  size_t first = logs.size() - 1;
  for (uint64_t bytes = 0;; --first) {
    if (!options.relay) {
      ASSIGN_OR_RETURN(std::optional<gtid::Set> head, HeadOf(logs[first]));
      if (head && options.known.Contains(*head)) return first;
    }
    if (first == 0) return first;
    ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(logs[first - 1]));
    bytes += file->size();
    if (bytes > options.bytes_max) return first;
  }
}

class Collector {
 public:
  explicit Collector(const WrittenOptions& options) : options_(options) {}

  uint32_t NumberOf(const binlog::Transaction& transaction) const {
    uint32_t number =
        transaction.marker >= options_.attempt_min ? transaction.marker : transaction.thread_id;
    return number >= options_.attempt_min ? number : 0;
  }

  Status File(const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(path));
    binlog::EventReader events(*file, path);
    binlog::TransactionReader reader(events);
    reader.CountRows([this](const binlog::Transaction& transaction) {
      return NumberOf(transaction) != 0 && !Known(transaction.gtid);
    });
    for (;;) {
      ASSIGN_OR_RETURN(const binlog::Transaction* transaction, reader.Next());
      if (transaction == nullptr) return {};
      const bool counts = transaction->complete && transaction->gtid.sequence != 0;
      if (counts && !Known(transaction->gtid)) Take(*transaction);
    }
  }

  WrittenLogs Finish() {
    WrittenLogs out;
    for (AttemptWrite& write : writes_) {
      Tell(out.told, write.gtid);
      out.writes.push_back(std::move(write));
    }
    for (const gtid::Gtid& gtid : sidecar_) Tell(out.told, gtid);
    for (const gtid::Gtid& gtid : procedures_) Tell(out.procedures, gtid);
    return out;
  }

 private:
  // Nobody asks for these, of which a log may hold any number.
  bool Known(const gtid::Gtid& gtid) const {
    return !options_.relay && !options_.known.Empty() && options_.known.Contains(gtid);
  }
  static void Tell(gtid::Set& set, const gtid::Gtid& gtid) {
    set.Add(gtid.source, {gtid.sequence, gtid.sequence});
  }

  // About what it takes to be told.
  static size_t BytesOf(const AttemptWrite& write) {
    size_t bytes = 64;
    for (const binlog::TableChange& change : write.changes)
      bytes += 64 + change.database.size() + change.table.size() + 12 * change.first_row.size();
    return bytes;
  }

  void Take(const binlog::Transaction& transaction) {
    // A table that changes its columns no longer tells which of the older values was which.
    if (transaction.traits & binlog::kHasStatements) {
      for (AttemptWrite& write : writes_) {
        for (binlog::TableChange& change : write.changes) change.columns = 0;
      }
    }
    uint32_t number = NumberOf(transaction);
    if (number != 0) {
      writes_.push_back({number, transaction.gtid, transaction.statements, transaction.changes});
      bytes_ += BytesOf(writes_.back());
      while (writes_.size() > options_.writes_max || bytes_ > options_.writes_bytes_max) {
        bytes_ -= BytesOf(writes_.front());
        writes_.pop_front();
      }
      return;
    }
    const bool sidecar =
        transaction.databases.size() == 1 && transaction.databases.front() == options_.sidecar;
    if (!sidecar && !transaction.skip_replication) return;
    std::deque<gtid::Gtid>& list = sidecar ? sidecar_ : procedures_;
    list.push_back(transaction.gtid);
    if (list.size() > options_.writes_max) list.pop_front();
  }

  const WrittenOptions& options_;
  std::deque<AttemptWrite> writes_;
  size_t bytes_ = 0;
  std::deque<gtid::Gtid> sidecar_, procedures_;
};

Result<WrittenLogs> ReadOnce(const std::string& index, const WrittenOptions& options) {
  ASSIGN_OR_RETURN(std::vector<std::string> logs, ReadLogIndex(index));
  if (logs.empty()) return WrittenLogs();
  ASSIGN_OR_RETURN(size_t first, FirstLog(logs, options));
  Collector collector(options);
  for (size_t i = first; i < logs.size(); ++i) RETURN_IF_ERROR(collector.File(logs[i]));
  return collector.Finish();
}

}  // namespace

Result<WrittenLogs> ReadWritten(const std::string& index, const WrittenOptions& options) {
  constexpr int kTries = 5;
  for (int i = 1;; ++i) {
    Result<WrittenLogs> read = ReadOnce(index, options);
    // The applier may delete a relay log between our reading of the index and of the log.
    const bool purged = !read && read.error().code() == Code::kNotFound && i < kTries;
    if (!purged) return read;
  }
}

}  // namespace paceline::mysqld
