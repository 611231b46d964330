#include "backup/archive_cutter.h"

#include "base/strings.h"
#include "mysql/wire/codec.h"

namespace paceline::backup {

namespace binlog = mysql::binlog;

namespace {

constexpr size_t kStatementBytes = 200;
// Between the session's settings and the text some statements are thousands: a page must bear them.
constexpr size_t kDdlMax = 5000;

// The word is a verb of the schema: not so what a log by statements says about rows.
bool ChangesSchema(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t'))
    text.remove_prefix(1);
  if (text.starts_with("/*")) {
    size_t end = text.find("*/");
    return end != text.npos && ChangesSchema(text.substr(end + 2));
  }
  for (std::string_view verb : {"CREATE ", "ALTER ", "DROP ", "TRUNCATE ", "RENAME "}) {
    if (!StartsWithIgnoreCase(text, verb)) continue;
    // Accounts are none, and their texts hold what a manifest, which is not sealed, shall not show.
    std::string_view object = Trim(text.substr(verb.size(), 40));
    return !StartsWithIgnoreCase(object, "USER") && !StartsWithIgnoreCase(object, "ROLE") &&
           !StartsWithIgnoreCase(object, "OR REPLACE USER");
  }
  return false;
}

}  // namespace

Status TransactionTracker::OnQuery(std::string_view body) {
  ASSIGN_OR_RETURN(binlog::Query query, binlog::ParseQuery(body));
  std::string_view text = query.text;
  bool first = !std::exchange(begun_, true);
  if (first && text == "BEGIN") return {};
  if (StartsWithIgnoreCase(text, "XA ")) {
    ends_ = !StartsWithIgnoreCase(text, "XA START") && !StartsWithIgnoreCase(text, "XA END");
    return {};
  }
  if (text == "COMMIT" || text == "ROLLBACK") {
    ends_ = true;
    return {};
  }
  if (StartsWithIgnoreCase(text, "SAVEPOINT ") || StartsWithIgnoreCase(text, "ROLLBACK TO ") ||
      StartsWithIgnoreCase(text, "RELEASE SAVEPOINT "))
    return {};
  if (ChangesSchema(text)) {
    ddl_ = ArchivedDdl{gtid_.ToString(), unix_s_, std::string(query.database),
                       std::string(text.substr(0, kStatementBytes))};
  }
  ends_ = first || standalone_;
  return {};
}

Result<TransactionTracker::Place> TransactionTracker::OnEvent(const binlog::Header& header,
                                                              std::string_view body) {
  began_ = ends_ = false;
  ddl_.reset();
  switch (header.type) {
    case binlog::kAnonymousGtid:
      return Fail(Code::kFailedPrecondition,
                  "the log holds transactions without a GTID: they cannot be archived");
    case binlog::kGtid:
    case binlog::kTaggedGtid:
    case binlog::kMariaGtid: {
      ASSIGN_OR_RETURN(binlog::GtidEvent event, binlog::ParseGtid(header, body));
      if (open_) {
        return Fail(Code::kDataLoss, "transaction {} begins before {} has ended",
                    event.gtid.ToString(), gtid_.ToString());
      }
      gtid_ = event.gtid;
      unix_s_ = header.unix_s;
      standalone_ = event.standalone;
      // MariaDB has no BEGIN: its GTID event is one, unless a single event follows.
      begun_ = header.type == binlog::kMariaGtid && !event.standalone;
      open_ = began_ = true;
      return Place::kInside;
    }
    case binlog::kFormat:
    case binlog::kRotate:
    case binlog::kStop:
    case binlog::kPreviousGtids:
    case binlog::kMariaGtidList:
    case binlog::kHeartbeat:
    case binlog::kHeartbeatV2:
    case binlog::kMariaCheckpoint:
      return Place::kOutside;
    case binlog::kMariaStartEncryption:
      return Place::kOutside;  // the server sends the events decrypted
    case binlog::kXid:
    case binlog::kXaPrepare:
    case binlog::kTransactionPayload:
      ends_ = true;
      break;
    case binlog::kQuery:
      if (open_) RETURN_IF_ERROR(OnQuery(body));
      break;
    case binlog::kMariaQueryCompressed:
      ends_ = standalone_;
      break;
    default:
      break;
  }
  if (!open_) return Place::kOutside;
  if (!ends_) return Place::kInside;
  open_ = false;
  return Place::kLast;
}

ArchiveCutter::ArchiveCutter(std::string run, gtid::Set position, Compression compression)
    : run_(std::move(run)), compression_(compression), position_(std::move(position)) {
  Begin();
}

void ArchiveCutter::Begin() {
  segment_ = Segment();
  segment_.manifest.run = run_;
  segment_.manifest.number = next_;
  segment_.manifest.before = position_;
  segment_.manifest.compression = compression_;
  cut_ = false;
}

Status ArchiveCutter::OnFirst(const mysql::EventPiece& piece, Time now) {
  if (piece.bytes.size() < binlog::kHeaderSize)
    return Fail(Code::kDataLoss, "an event of the binary log is too short");
  binlog::Header header = binlog::ParseHeader(piece.bytes);
  std::string_view body = piece.bytes.substr(binlog::kHeaderSize);
  bool sums = header.type == binlog::kFormat || checksums_;
  if (piece.last && sums && body.size() >= binlog::kChecksumSize)
    body.remove_suffix(binlog::kChecksumSize);
  keep_ = ends_ = false;
  if (header.type == binlog::kFormat) {
    ASSIGN_OR_RETURN(binlog::Format format, binlog::ParseFormat(body));
    checksums_ = format.checksums;
    server_ = format.server;
    format_event_ = piece.bytes;
    return {};
  }
  if (header.type == binlog::kRotate) {
    constexpr size_t kPositionBytes = 8;
    // An artificial one comes before the Format event, with or without a checksum.
    std::string_view event = piece.bytes;
    if (piece.last && event.size() > binlog::kHeaderSize + kPositionBytes + binlog::kChecksumSize) {
      mysql::wire::Reader sum(event.substr(event.size() - binlog::kChecksumSize));
      std::string_view rest = event.substr(0, event.size() - binlog::kChecksumSize);
      if (binlog::ChecksumOf(rest) == sum.U32()) event = rest;
    }
    if (event.size() < binlog::kHeaderSize + kPositionBytes)
      return Fail(Code::kDataLoss, "a Rotate event is too short");
    log_ = event.substr(binlog::kHeaderSize + kPositionBytes);
    cut_ = !empty();
    return {};
  }
  ASSIGN_OR_RETURN(TransactionTracker::Place place, tracker_.OnEvent(header, body));
  keep_ = place != TransactionTracker::Place::kOutside;
  ends_ = place == TransactionTracker::Place::kLast;
  if (!keep_) return {};
  SegmentManifest& manifest = segment_.manifest;
  if (empty()) {
    since_ = now;
    manifest.log = log_;
    manifest.format = format_event_;
    manifest.server = server_;
    manifest.flavor = tracker_.gtid().source.flavor;
  }
  if (tracker_.began()) {
    if (manifest.first_unix_s == 0) manifest.first_unix_s = tracker_.unix_s();
    manifest.last_unix_s = tracker_.unix_s();
  }
  if (tracker_.ddl() && manifest.ddl.size() < kDdlMax) manifest.ddl.push_back(*tracker_.ddl());
  return {};
}

Status ArchiveCutter::OnPiece(const mysql::EventPiece& piece, Time now) {
  if (piece.first) RETURN_IF_ERROR(OnFirst(piece, now));
  inside_event_ = !piece.last;
  if (!keep_) return {};
  if (empty() && !piece.first) {
    since_ = now;
    segment_.manifest.log = log_;
    segment_.manifest.format = format_event_;
    segment_.manifest.server = server_;
    segment_.manifest.flavor = tracker_.gtid().source.flavor;
  }
  segment_.events += piece.bytes;
  if (piece.last && ends_) {
    position_.Add(tracker_.gtid());
    ++segment_.manifest.transactions;
  }
  return {};
}

Segment ArchiveCutter::Take() {
  segment_.manifest.after = position_;
  if (tracker_.open() || inside_event_) segment_.manifest.open = tracker_.gtid().ToString();
  Segment taken = std::move(segment_);
  ++next_;
  Begin();
  return taken;
}

}  // namespace paceline::backup
