// backup/archive.h - the continuous archive of a shard's binary logs:
//
//   <keyspace>/<shard>/archive/<run>/<number>     one segment, whole or not there
//
// A run is what one archiver wrote from one start to its end, "<unix ms>-<alias>"; its segments,
// numbered from 0, are one stream of events, cut anywhere. Each holds a manifest (JSON) and the
// bytes of its events in frames (frame.h):
//
//   "PLA1", bytes of the manifest u32 little endian, XXH3-64 of the manifest, manifest, frames
//
// Runs may overlap and so hold a transaction twice; readers know by GTID. A transaction that a run
// does not end is in a later run from its beginning. Threads: calls block, as storage.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/frame.h"
#include "backup/storage.h"
#include "base/time.h"
#include "gtid/set.h"
#include "record/record.h"

namespace paceline::backup {

// A statement that changes the schema.
struct ArchivedDdl {
  std::string gtid;  // "uuid:5", "0-1-5"
  uint32_t unix_s = 0;
  std::string database, statement;  // its beginning
  friend bool operator==(const ArchivedDdl&, const ArchivedDdl&) = default;
};

struct SegmentManifest {
  std::string run;
  uint64_t number = 0;
  gtid::Flavor flavor = gtid::Flavor::kMysql;
  std::string server;  // its version, as in the log
  std::string log;     // the server's file from which the events are
  std::string format;  // the Format event of that file, as it came
  // All that the archive, or what came before it, holds when this segment begins and ends: the
  // segment has the ends of the transactions between.
  gtid::Set before, after;
  uint64_t transactions = 0;
  std::string open;  // GTID of the transaction that goes on in the next segment; empty: none
  uint32_t first_unix_s = 0, last_unix_s = 0;  // of the transactions that begin here; 0: none
  WallTime written;
  std::vector<ArchivedDdl> ddl;
  Compression compression = Compression::kZstd;
  std::string salt;  // hexadecimal; empty: not encrypted
  uint64_t bytes = 0;
  uint32_t frames = 0;
  friend bool operator==(const SegmentManifest&, const SegmentManifest&) = default;
};
struct Segment {
  SegmentManifest manifest;
  std::string events;
};

// How far one has come. MySQL: a set. MariaDB: the last sequence of each domain, since
// gtid_strict_mode lets them rise only, whoever writes.
class ArchivePosition {
 public:
  explicit ArchivePosition(gtid::Set set) : set_(std::move(set)) {}
  bool Has(const gtid::Gtid& gtid) const;
  bool Covers(const gtid::Set& other) const;
  void Add(const gtid::Gtid& gtid) { set_.Add(gtid); }
  void Add(const gtid::Set& set) { set_ = set_.Union(set); }
  // What of `other` is lacking, for people.
  std::string Lacks(const gtid::Set& other) const;
  const gtid::Set& set() const { return set_; }

 private:
  gtid::Set set_;
};

std::string FormatRun(WallTime start, const record::TabletAlias& alias);

struct ArchiveRun {
  std::string name;
  std::vector<uint64_t> segments;  // sorted
};

class Archive {
 public:
  // `secret`: of --backup-encryption-key-file; empty: segments are not sealed. Errors:
  // kInvalidArgument for names that are no part of a path.
  static Result<Archive> Of(std::shared_ptr<Storage> storage, const std::string& keyspace,
                            const std::string& shard, std::string secret);
  // Oldest first.
  Result<std::vector<ArchiveRun>> Runs() const;
  // Durable when it returns; repeating it is safe.
  Status Write(const Segment& segment) const;
  // Errors: kNotFound, kDataLoss and kPermissionDenied naming the object.
  Result<SegmentManifest> ReadManifest(const std::string& run, uint64_t number) const;
  Result<Segment> Read(const std::string& run, uint64_t number) const;
  // All that the archive holds or began after; nothing when there is no archive.
  Result<std::optional<gtid::Set>> Position() const;
  // The manifests of all runs in their order, but of those that hold nothing beyond `have`. Errors:
  // also kDataLoss: a segment is missing.
  Result<std::vector<SegmentManifest>> Manifests(const gtid::Set& have) const;
  // Removes runs from the oldest on, as far as each holds nothing beyond `position`; the newest
  // stays. One that is cut short leaves no hole. Returns how many.
  Result<size_t> Prune(const gtid::Set& position) const;
  std::string PathOf(const std::string& run, uint64_t number) const;
  bool encrypted() const { return !secret_.empty(); }
  std::string Describe() const { return storage_->Describe() + "/" + folder_; }

 private:
  Archive(std::shared_ptr<Storage> storage, std::string folder, std::string secret)
      : storage_(std::move(storage)), folder_(std::move(folder)), secret_(std::move(secret)) {}
  std::shared_ptr<Storage> storage_;
  std::string folder_;
  std::string secret_;
};

}  // namespace paceline::backup
