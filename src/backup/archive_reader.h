// backup/archive_reader.h - from a position to a point in time: which segments, and their events as
// a server takes them, each transaction once and whole. Threads: calls block; one at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/archive.h"
#include "backup/archive_cutter.h"

namespace paceline::backup {

// Where a restore ends.
struct RestorePoint {
  enum class Kind : uint8_t {
    kLatest,
    kPosition,  // all of `set` and nothing else
    kUpTo,      // with `gtid`, in the order of the log
    kBefore,    // without `gtid` and what follows it
    kTime,      // without the first transaction from `unix_s` on and what follows it
  };
  Kind kind = Kind::kLatest;
  gtid::Set set;
  gtid::Gtid gtid;
  int64_t unix_s = 0;
  std::string ToString() const;
  // Whether data that is at `position` may be the beginning; `finished_unix_s`: it holds nothing
  // later than that.
  bool MayBeginWith(const gtid::Set& position, int64_t finished_unix_s) const;
};
// "before:<gtid>", "upto:<gtid>", or a position in Vitess's encoding, its flavor's name left out
// or not. Errors: kInvalidArgument.
Result<RestorePoint> ParseRestorePoint(std::string_view text);

struct ArchivePlan {
  std::vector<SegmentManifest> segments;  // in the order in which they are read
  std::vector<std::string> incomplete;    // GTIDs that a segment's run does not end
};

class ArchiveReader {
 public:
  // Errors: kDataLoss: segments are missing, or the archive lacks what lies between `have` and its
  // beginning; kNotFound: it is empty, or ends before the point.
  static Result<ArchiveReader> Open(Archive archive, gtid::Set have, RestorePoint point);

  struct Batch {
    std::string log;     // the file that these are of
    std::string format;  // its Format event, as its server sent it
    std::string events;  // whole ones, one behind the other, with or without checksums as `format`
    bool end = false;    // nothing follows
  };
  // Errors: kDataLoss naming the object, or saying what is not in the archive.
  Result<Batch> Next();

  const gtid::Set& position() const { return applied_.set(); }
  uint64_t transactions() const { return transactions_; }
  uint64_t skipped() const { return skipped_; }
  size_t segments() const { return plan_.size(); }
  uint32_t last_unix_s() const { return last_unix_s_; }
  uint64_t bytes() const;

 private:
  struct Item {
    SegmentManifest manifest;
    std::string incomplete;  // a transaction in it that its run does not end
    bool begins_run = false;
  };
  ArchiveReader(Archive archive, gtid::Set have, RestorePoint point)
      : archive_(std::move(archive)), point_(std::move(point)), seen_(have), applied_(have) {}
  Status OnEvent(std::string_view event, Batch& batch);
  // What is read, in order, leads to the point without a gap: told before anything is replaced.
  Status Check() const;
  Error Gap(const SegmentManifest& m, const ArchivePosition& reached) const;
  Error NotReached(const ArchivePosition& reached) const;
  // Whether the transaction that begins is wanted; ends the reading where it is the point.
  bool Wanted(const Item& item);
  Result<Batch> Ended();

  Archive archive_;
  RestorePoint point_;
  ArchivePosition seen_;     // archived or had, wanted or not
  ArchivePosition applied_;  // had or given out
  std::vector<Item> plan_;
  size_t next_ = 0;
  std::string carry_;  // an event's beginning
  TransactionTracker tracker_;
  bool checksums_ = false;
  bool taking_ = false;  // the transaction under way is given out
  bool ended_ = false;
  uint64_t transactions_ = 0, skipped_ = 0;
  uint32_t last_unix_s_ = 0;
};

}  // namespace paceline::backup
