// mysql/binlog/reader.h - a log file as a sequence of events, then of transactions. Bodies are read
// only when asked for, so that rows are passed over unread. Threads: one at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mysql/binlog/event.h"
#include "mysql/binlog/rows.h"

namespace paceline::mysql::binlog {

// A file's bytes by offset.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // Exactly `size` bytes, valid until the next call. REQUIRES: they are inside. Errors: I/O.
  virtual Result<std::string_view> Read(uint64_t offset, size_t size) = 0;
};

class EventReader {
 public:
  // `name` goes into errors. `source` outlives the reader.
  EventReader(ByteSource& source, std::string name) : source_(source), name_(std::move(name)) {}

  // The next event; false at the end of the file or where it cannot be read on (torn()). Errors:
  // kInvalidArgument (no binary log), kUnimplemented (encrypted, other format), kDataLoss, I/O.
  Result<bool> Next();
  const Header& header() const { return header_; }
  uint64_t offset() const { return offset_; }  // of the event
  uint64_t end() const { return offset_ + header_.size; }
  // Between header and checksum, which is verified; valid until the next call. Errors: kDataLoss,
  // I/O.
  Result<std::string_view> Body();
  // The whole event as it stands in the file.
  Result<std::string_view> Raw();
  // The event is read again by the next Next().
  void PutBack() { next_ = offset_; }

  // Why the file ends in the middle of an event; empty: it does not.
  const std::string& torn() const { return torn_; }
  const Format& format() const { return format_; }
  const std::string& name() const { return name_; }
  std::unexpected<Error> Damaged(std::string_view why) const;

 private:
  Status Begin();
  ByteSource& source_;
  std::string name_;
  Header header_;
  Format format_;
  uint64_t offset_ = 0, next_ = 0;
  std::string torn_;
};

// What stands in a transaction.
enum Trait : uint32_t {
  kHasRows = 1,
  kEndsInXid = 2,         // committed by a transactional engine
  kHasStatements = 4,     // DDL, or changes as statements
  kNotTransactional = 8,  // ended by a COMMIT without an engine's number
  kIsXa = 16,
  kIsCompressed = 32,
  kHasUnknownEvents = 64,
};

// Row images of one table in a transaction.
struct TableChange {
  std::string database, table;
  uint64_t inserted = 0, updated = 0, deleted = 0;
  uint32_t columns = 0;
  // See RowsSummary; of the first inserted row.
  std::vector<std::pair<uint32_t, uint64_t>> first_row;
};

struct Transaction {
  gtid::Gtid gtid;              // sequence 0: anonymous
  uint64_t begin = 0, end = 0;  // offsets in the file
  uint32_t unix_s = 0;
  uint32_t thread_id = 0;  // of MySQL's BEGIN or its statement; 0: not told
  uint32_t marker = 0;     // the first in its texts, see binlog/marker.h; 0: none
  uint32_t traits = 0;
  bool skip_replication = false;  // MariaDB: the session's, when it began
  bool complete = false;          // its last event is there
  // Of the first Query event that is none of BEGIN, COMMIT and savepoints; its beginning.
  std::string statement;
  std::vector<std::string> databases;  // of its tables and statements, sorted, each once
  // With CountRows, in order of first appearance, kChangesMax at most, and statements with row
  // images; 0 and what was seen so far: not all could be counted.
  std::vector<TableChange> changes;
  uint64_t statements = 0;
};
inline constexpr size_t kChangesMax = 64;
inline constexpr size_t kStatementBytesMax = 80;

class TransactionReader {
 public:
  explicit TransactionReader(EventReader& events) : events_(events) {}
  // Asked before a transaction's first row images, once what names it is known.
  using Wanted = std::function<bool(const Transaction&)>;
  void CountRows(Wanted wanted) { wanted_ = std::move(wanted); }

  // The next transaction; null at the end or where the file is torn, after what is incomplete.
  // Errors: as EventReader.
  Result<const Transaction*> Next();
  // What Next was at when it failed; meaningful where open().
  const Transaction& current() const { return current_; }
  bool open() const { return open_; }

  // The set in the log's head, once it was passed.
  const gtid::Set& previous() const { return previous_; }
  bool previous_seen() const { return previous_seen_; }
  bool stopped() const { return stopped_; }  // the server was shut down cleanly

 private:
  Status Outside(const Header& header);
  Status Inside(const Header& header, std::string_view body);
  Status Unpack(std::string_view body);
  Status OnQuery(std::string_view body);
  void AddDatabase(std::string_view database);
  Status OnTableMap(std::string_view body);
  Status OnRows(uint8_t type, std::string_view body);
  bool Counts() const { return wanted_ && countable_ && wanted_(current_); }

  EventReader& events_;
  Wanted wanted_;
  std::map<uint64_t, TableMap> tables_;  // of the statement being read
  bool countable_ = true;
  Transaction current_;
  bool open_ = false, standalone_ = false, begun_ = false;
  gtid::Set previous_;
  bool previous_seen_ = false, stopped_ = false;
};

}  // namespace paceline::mysql::binlog
