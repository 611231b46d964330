// backup/archive_cutter.h - a server's binary log, event by event, to segments of an archive; pure.
// What is between transactions (rotations, heartbeats, heads of files) is not kept. Bounded: what
// is gathered is handed out when it is full, in the middle of an event if need be.
#pragma once

#include <optional>
#include <string>

#include "backup/archive.h"
#include "mysql/binlog/event.h"
#include "mysql/client/binlog_dump.h"

namespace paceline::backup {

// Where transactions begin and end in a stream of events. Used by writer and reader.
class TransactionTracker {
 public:
  enum class Place : uint8_t { kOutside, kInside, kLast };
  // `body`: between header and checksum, its beginning at least. Errors: kDataLoss,
  // kFailedPrecondition for transactions without a GTID.
  Result<Place> OnEvent(const mysql::binlog::Header& header, std::string_view body);
  bool open() const { return open_; }
  // Of the transaction that is open or ended last.
  const gtid::Gtid& gtid() const { return gtid_; }
  uint32_t unix_s() const { return unix_s_; }
  // The event just seen began it.
  bool began() const { return began_; }
  // Of an event that changes the schema; until the next event.
  const std::optional<ArchivedDdl>& ddl() const { return ddl_; }

 private:
  Status OnQuery(std::string_view body);
  gtid::Gtid gtid_;
  uint32_t unix_s_ = 0;
  bool open_ = false, begun_ = false, standalone_ = false, began_ = false, ends_ = false;
  std::optional<ArchivedDdl> ddl_;
};

class ArchiveCutter {
 public:
  static constexpr size_t kSegmentBytes = 4u << 20;

  // `position`: all that is archived already.
  ArchiveCutter(std::string run, gtid::Set position, Compression compression);

  // Errors: kDataLoss; kUnimplemented for what cannot be archived (encrypted streams).
  Status OnPiece(const mysql::EventPiece& piece, Time now);
  // A segment should be taken before more is fed.
  bool full() const { return cut_ || segment_.events.size() >= kSegmentBytes; }
  bool empty() const { return segment_.events.empty(); }
  // Since when what is gathered waits. REQUIRES: !empty().
  Time since() const { return since_; }
  // Between transactions: a segment taken now is whole.
  bool between() const { return !tracker_.open() && !inside_event_; }
  // The commit time of the oldest transaction that waits, by its server's clock.
  uint32_t oldest_unix_s() const { return segment_.manifest.first_unix_s; }
  // What is gathered; it is empty afterwards. REQUIRES: !empty().
  Segment Take();
  // All that was handed out or waits and is complete.
  const gtid::Set& position() const { return position_; }
  // The server's file.
  const std::string& log() const { return log_; }

 private:
  Status OnFirst(const mysql::EventPiece& piece, Time now);
  void Begin();
  std::string run_;
  Compression compression_;
  gtid::Set position_;
  TransactionTracker tracker_;
  std::string log_, format_event_, server_;
  bool checksums_ = false;
  bool inside_event_ = false;  // its last piece has not come
  bool keep_ = false;          // the event under way goes into the segment
  bool ends_ = false;          // and ends its transaction
  bool cut_ = false;           // another file begins: its events are another segment's
  Segment segment_;
  Time since_{};
  uint64_t next_ = 0;
};

}  // namespace paceline::backup
