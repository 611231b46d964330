#include "backup/archive_reader.h"

#include <algorithm>

#include "base/strings.h"
#include "base/time_text.h"

namespace paceline::backup {

namespace binlog = mysql::binlog;

namespace {

Result<gtid::Gtid> ParseGtidOfEither(std::string_view text) {
  bool mariadb = text.find(':') == text.npos;
  return gtid::Gtid::Parse(mariadb ? gtid::Flavor::kMariadb : gtid::Flavor::kMysql, text);
}

}  // namespace

Result<RestorePoint> ParseRestorePoint(std::string_view text) {
  RestorePoint point;
  for (auto [prefix, kind] : {std::pair(std::string_view("before:"), RestorePoint::Kind::kBefore),
                              std::pair(std::string_view("upto:"), RestorePoint::Kind::kUpTo)}) {
    if (!text.starts_with(prefix)) continue;
    ASSIGN_OR_RETURN(point.gtid, ParseGtidOfEither(Trim(text.substr(prefix.size()))));
    point.kind = kind;
    return point;
  }
  if (Trim(text).empty()) return Fail(Code::kInvalidArgument, "the position is empty");
  point.kind = RestorePoint::Kind::kPosition;
  if (text.find('/') != text.npos) {
    ASSIGN_OR_RETURN(point.set, gtid::Set::ParseEncoded(text));
  } else {
    bool mariadb = text.find(':') == text.npos;
    ASSIGN_OR_RETURN(
        point.set, gtid::Set::Parse(mariadb ? gtid::Flavor::kMariadb : gtid::Flavor::kMysql, text));
  }
  return point;
}

std::string RestorePoint::ToString() const {
  switch (kind) {
    case Kind::kLatest:
      return "the end of the archive";
    case Kind::kPosition:
      return "position " + set.ToEncoded();
    case Kind::kUpTo:
      return "transaction " + gtid.ToString() + ", with it";
    case Kind::kBefore:
      return "just before transaction " + gtid.ToString();
    case Kind::kTime:
      return "just before " + Rfc3339({unix_s * 1'000'000'000});
  }
  return "";
}

bool RestorePoint::MayBeginWith(const gtid::Set& position, int64_t finished_unix_s) const {
  switch (kind) {
    case Kind::kLatest:
      return true;
    case Kind::kPosition:
      return ArchivePosition(set).Covers(position);
    case Kind::kUpTo:
    case Kind::kBefore:
      return !ArchivePosition(position).Has(gtid);
    case Kind::kTime:
      return finished_unix_s < unix_s;
  }
  return false;
}

Result<ArchiveReader> ArchiveReader::Open(Archive archive, gtid::Set have, RestorePoint point) {
  ArchiveReader reader(std::move(archive), std::move(have), std::move(point));
  ASSIGN_OR_RETURN(std::vector<SegmentManifest> manifests,
                   reader.archive_.Manifests(reader.seen_.set()));
  if (manifests.empty() && reader.seen_.set().Empty()) {
    return Fail(Code::kNotFound, "{} is empty: no binary log was archived",
                reader.archive_.Describe());
  }
  ArchivePosition reached = reader.seen_;
  for (size_t i = 0; i < manifests.size(); ++i) {
    const SegmentManifest& manifest = manifests[i];
    // What a run leaves open at its end begins anew in another.
    std::string incomplete;
    size_t last = i;
    while (last + 1 < manifests.size() && manifests[last + 1].run == manifest.run) ++last;
    incomplete = manifests[last].open;
    bool begins_run = i == 0 || manifests[i - 1].run != manifest.run;
    reader.plan_.push_back({manifest, incomplete, begins_run});
  }
  // Whole segments at the beginning that hold nothing new are not read, as far as they are whole.
  auto old = [&](const Item& item) {
    return reached.Covers(item.manifest.after) && item.manifest.open.empty();
  };
  size_t skip = 0;
  while (skip + 1 < reader.plan_.size() && old(reader.plan_[skip])) ++skip;
  while (skip > 0 && !reader.plan_[skip - 1].manifest.open.empty()) --skip;
  reader.plan_.erase(reader.plan_.begin(), reader.plan_.begin() + static_cast<ptrdiff_t>(skip));
  // What comes wholly after the point need not be there, nor what lies after a gap behind it.
  if (reader.point_.kind == RestorePoint::Kind::kTime) {
    auto late = [&](const Item& item) {
      return item.begins_run && item.manifest.first_unix_s != 0 &&
             item.manifest.first_unix_s >= reader.point_.unix_s;
    };
    auto first_late = std::ranges::find_if(reader.plan_, late);
    if (first_late != reader.plan_.end() && first_late != reader.plan_.begin())
      reader.plan_.erase(first_late + 1, reader.plan_.end());
  }
  RETURN_IF_ERROR(reader.Check());
  return reader;
}

Status ArchiveReader::Check() const {
  using Kind = RestorePoint::Kind;
  const bool by_gtid = point_.kind == Kind::kUpTo || point_.kind == Kind::kBefore;
  ArchivePosition reached = seen_;
  uint32_t last_unix_s = 0;
  auto there = [&] {
    if (point_.kind == Kind::kPosition) return reached.Covers(point_.set);
    if (by_gtid) return reached.Has(point_.gtid);
    return point_.kind == Kind::kTime && last_unix_s >= point_.unix_s;
  };
  for (const Item& item : plan_) {
    if (there()) return {};
    const SegmentManifest& m = item.manifest;
    if (!reached.Covers(m.before)) return Fail(Gap(m, reached));
    reached.Add(m.after);
    last_unix_s = std::max(last_unix_s, m.last_unix_s);
  }
  if (there() || point_.kind == Kind::kLatest) return {};
  if (point_.kind == Kind::kTime) {
    return Fail(Code::kNotFound,
                "the last transaction of the archive is of {}: nothing shows that it reaches {}; "
                "its end is --restore-to-pos {}",
                Rfc3339({last_unix_s * 1'000'000'000LL}), point_.ToString(),
                reached.set().ToEncoded());
  }
  return Fail(NotReached(reached));
}

Error ArchiveReader::Gap(const SegmentManifest& m, const ArchivePosition& reached) const {
  return Error(Code::kDataLoss,
               fmt::format("the archive has a gap before {}: {} is neither in it nor in the backup",
                           archive_.PathOf(m.run, m.number), reached.Lacks(m.before)));
}

Error ArchiveReader::NotReached(const ArchivePosition& reached) const {
  if (point_.kind == RestorePoint::Kind::kPosition) {
    return Error(Code::kNotFound, fmt::format("the archive ends before {}: it lacks {}",
                                              point_.set.ToEncoded(), reached.Lacks(point_.set)));
  }
  return Error(Code::kNotFound,
               fmt::format("transaction {} is not in the archive, which ends at {}",
                           point_.gtid.ToString(), reached.set().ToPosition()));
}

uint64_t ArchiveReader::bytes() const {
  uint64_t sum = 0;
  for (const Item& item : plan_) sum += item.manifest.bytes;
  return sum;
}

bool ArchiveReader::Wanted(const Item& item) {
  const gtid::Gtid& gtid = tracker_.gtid();
  if (gtid.ToString() == item.incomplete) return false;
  if (seen_.Has(gtid)) {
    ++skipped_;
    return false;
  }
  switch (point_.kind) {
    case RestorePoint::Kind::kLatest:
    case RestorePoint::Kind::kUpTo:
      return true;
    case RestorePoint::Kind::kPosition:
      return ArchivePosition(point_.set).Has(gtid);
    case RestorePoint::Kind::kBefore:
      ended_ = gtid == point_.gtid;
      return !ended_;
    case RestorePoint::Kind::kTime:
      ended_ = tracker_.unix_s() >= point_.unix_s;
      return !ended_;
  }
  return false;
}

Status ArchiveReader::OnEvent(std::string_view event, Batch& batch) {
  binlog::Header header = binlog::ParseHeader(event);
  std::string_view body = event.substr(binlog::kHeaderSize);
  if (checksums_ && body.size() >= binlog::kChecksumSize) body.remove_suffix(binlog::kChecksumSize);
  ASSIGN_OR_RETURN(TransactionTracker::Place place, tracker_.OnEvent(header, body));
  const Item& item = plan_[next_];
  if (tracker_.began()) taking_ = Wanted(item);
  if (ended_) return {};
  if (taking_) batch.events += event;
  if (place != TransactionTracker::Place::kLast) return {};
  const gtid::Gtid& gtid = tracker_.gtid();
  if (gtid.ToString() != item.incomplete) seen_.Add(gtid);
  if (taking_) {
    applied_.Add(gtid);
    ++transactions_;
    last_unix_s_ = tracker_.unix_s();
    ended_ = point_.kind == RestorePoint::Kind::kUpTo && gtid == point_.gtid;
  }
  taking_ = false;
  return {};
}

Result<ArchiveReader::Batch> ArchiveReader::Ended() {
  Batch batch;
  batch.end = true;
  bool by_gtid =
      point_.kind == RestorePoint::Kind::kUpTo || point_.kind == RestorePoint::Kind::kBefore;
  bool short_of_it = point_.kind == RestorePoint::Kind::kPosition && !applied_.Covers(point_.set);
  if ((by_gtid && !ended_) || short_of_it) return Fail(NotReached(applied_));
  return batch;
}

Result<ArchiveReader::Batch> ArchiveReader::Next() {
  if (ended_ || next_ == plan_.size()) return Ended();
  const Item& item = plan_[next_];
  const SegmentManifest& m = item.manifest;
  if (item.begins_run) {
    carry_.clear();
    tracker_ = TransactionTracker();
    taking_ = false;
  }
  bool satisfied = point_.kind == RestorePoint::Kind::kPosition && applied_.Covers(point_.set);
  if (satisfied) {
    next_ = plan_.size();
    return Ended();
  }
  if (!seen_.Covers(m.before)) {
    return Fail(Gap(m, seen_));
  }
  ASSIGN_OR_RETURN(Segment segment, archive_.Read(m.run, m.number));
  Batch batch;
  batch.log = m.log;
  batch.format = m.format;
  if (m.format.size() < binlog::kHeaderSize + binlog::kChecksumSize)
    return Fail(Code::kDataLoss, "{} has no Format event", archive_.PathOf(m.run, m.number));
  std::string_view format_body = std::string_view(m.format).substr(binlog::kHeaderSize);
  format_body.remove_suffix(binlog::kChecksumSize);
  ASSIGN_OR_RETURN(binlog::Format format, binlog::ParseFormat(format_body));
  checksums_ = format.checksums;
  carry_ += segment.events;
  std::string_view rest = carry_;
  while (!ended_ && rest.size() >= binlog::kHeaderSize) {
    binlog::Header header = binlog::ParseHeader(rest);
    if (header.size < binlog::kHeaderSize)
      return Fail(Code::kDataLoss, "{} holds no events", archive_.PathOf(m.run, m.number));
    if (rest.size() < header.size) break;
    Status seen = OnEvent(rest.substr(0, header.size), batch);
    if (!seen) return Fail(seen.error().Context(archive_.PathOf(m.run, m.number)));
    rest.remove_prefix(header.size);
  }
  carry_.erase(0, carry_.size() - rest.size());
  ++next_;
  return batch;
}

}  // namespace paceline::backup
