#include "mysql/binlog/reader.h"

#include <algorithm>

#include "base/strings.h"
#include "mysql/binlog/marker.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql::binlog {

std::unexpected<Error> EventReader::Damaged(std::string_view why) const {
  return Fail(Code::kDataLoss, "{} at byte {}: {}", name_, offset_, why);
}

Status EventReader::Begin() {
  if (source_.size() < kMagic.size()) {
    torn_ = "the file has no head";
    return {};
  }
  ASSIGN_OR_RETURN(std::string_view magic, source_.Read(0, kMagic.size()));
  if (magic == kEncryptedMagic) {
    return Fail(Code::kUnimplemented, "{} is encrypted: it cannot be read here", name_);
  }
  if (magic != kMagic) return Fail(Code::kInvalidArgument, "{} is not a binary log", name_);
  next_ = kMagic.size();
  return {};
}

Result<bool> EventReader::Next() {
  if (!torn_.empty()) return false;
  if (next_ == 0) RETURN_IF_ERROR(Begin());
  if (!torn_.empty()) return false;
  offset_ = next_;
  uint64_t left = source_.size() - offset_;
  if (left == 0) return false;
  if (left < kHeaderSize) {
    torn_ =
        Error(Code::kDataLoss, fmt::format("{} bytes at {} are no event", left, offset_)).message();
    return false;
  }
  ASSIGN_OR_RETURN(std::string_view bytes, source_.Read(offset_, kHeaderSize));
  header_ = ParseHeader(bytes);
  // Zeros are what a machine's crash leaves where the file had grown and its bytes had not come.
  if (header_.size < kHeaderSize || header_.size > left) {
    torn_ = fmt::format("the event at {} has {} bytes of {}", offset_, left, header_.size);
    return false;
  }
  next_ = offset_ + header_.size;
  if (header_.type == kFormat) {
    if (header_.size < kHeaderSize + kChecksumSize) return Damaged("the Format event is too short");
    ASSIGN_OR_RETURN(
        std::string_view body,
        source_.Read(offset_ + kHeaderSize, header_.size - kHeaderSize - kChecksumSize));
    ASSIGN_OR_RETURN(format_, ParseFormat(body));
  }
  if (header_.type == kMariaStartEncryption)
    return Fail(Code::kUnimplemented, "{} is encrypted: it cannot be read here", name_);
  return true;
}

Result<std::string_view> EventReader::Raw() { return source_.Read(offset_, header_.size); }

Result<std::string_view> EventReader::Body() {
  ASSIGN_OR_RETURN(std::string_view raw, Raw());
  bool summed = format_.checksums || header_.type == kFormat;
  if (!summed) return raw.substr(kHeaderSize);
  if (raw.size() < kHeaderSize + kChecksumSize) return Damaged("an event has no checksum");
  std::string_view event = raw.substr(0, raw.size() - kChecksumSize);
  if (format_.checksums) {
    wire::Reader sum(raw.substr(event.size()));
    if (sum.U32() != ChecksumOf(event)) return Damaged("the checksum does not fit");
  }
  return event.substr(kHeaderSize);
}

void TransactionReader::AddDatabase(std::string_view database) {
  std::vector<std::string>& all = current_.databases;
  auto at = std::lower_bound(all.begin(), all.end(), database);
  if (at == all.end() || *at != database) all.emplace(at, database);
}

Status TransactionReader::OnTableMap(std::string_view body) {
  ASSIGN_OR_RETURN(TableMap map, ParseTableMap(body));
  AddDatabase(map.database);
  if (wanted_) {
    uint64_t id = map.id;
    tables_.insert_or_assign(id, std::move(map));
  }
  return {};
}

Status TransactionReader::OnRows(uint8_t type, std::string_view body) {
  current_.traits |= kHasRows;
  if (!Counts()) return {};
  auto table = tables_.find(TableOfRows(body));
  if (table == tables_.end())
    return Fail(Code::kDataLoss, "row images of a table that was not named");
  Result<RowsSummary> rows = SummarizeRows(type, body, table->second);
  if (!rows && rows.error().code() != Code::kUnimplemented) return Fail(rows.error());
  const TableMap& map = table->second;
  auto same = [&map](const TableChange& one) {
    return one.table == map.table && one.database == map.database;
  };
  auto change = std::find_if(current_.changes.begin(), current_.changes.end(), same);
  if (change == current_.changes.end() && rows && current_.changes.size() < kChangesMax) {
    TableChange& added = current_.changes.emplace_back();
    added.database = map.database;
    added.table = map.table;
    added.columns = static_cast<uint32_t>(map.types.size());
    change = current_.changes.end() - 1;
  }
  if (!rows || change == current_.changes.end()) {
    countable_ = false;
    current_.statements = 0;
    return {};
  }
  if (rows->kind == RowsSummary::Kind::kInsert) {
    if (change->inserted == 0) change->first_row = std::move(rows->first_row);
    change->inserted += rows->rows;
  } else {
    (rows->kind == RowsSummary::Kind::kUpdate ? change->updated : change->deleted) += rows->rows;
  }
  if (rows->ends_statement) {
    ++current_.statements;
    tables_.clear();
  }
  return {};
}

Status TransactionReader::OnQuery(std::string_view body) {
  ASSIGN_OR_RETURN(Query query, ParseQuery(body));
  if (current_.thread_id == 0) current_.thread_id = query.thread_id;
  std::string_view text = query.text;
  bool first = !std::exchange(begun_, true);
  if (first && text == "BEGIN") return {};
  if (StartsWithIgnoreCase(text, "XA ")) {
    // START opens, END is followed by a prepare; everything else stands alone.
    current_.traits |= kIsXa;
    bool inside = StartsWithIgnoreCase(text, "XA START") || StartsWithIgnoreCase(text, "XA END");
    if (!inside) current_.complete = true;
    return {};
  }
  if (text == "COMMIT" || text == "ROLLBACK") {
    if ((current_.traits & kHasRows) != 0) current_.traits |= kNotTransactional;
    current_.complete = true;
    return {};
  }
  if (StartsWithIgnoreCase(text, "SAVEPOINT ") || StartsWithIgnoreCase(text, "ROLLBACK TO ") ||
      StartsWithIgnoreCase(text, "RELEASE SAVEPOINT ")) {
    return {};
  }
  AddDatabase(query.database);
  if (current_.marker == 0) current_.marker = MarkerIn(text);
  if (current_.statement.empty()) current_.statement = text.substr(0, kStatementBytesMax);
  current_.traits |= kHasStatements;
  if (first || standalone_) current_.complete = true;
  return {};
}

Status TransactionReader::Inside(const Header& header, std::string_view body) {
  switch (header.type) {
    case kQuery:
      return OnQuery(body);
    case kXid:
      current_.traits |= kEndsInXid;
      current_.complete = true;
      return {};
    case kXaPrepare:
      current_.traits |= kIsXa;
      current_.complete = true;
      return {};
    case kTableMap:
      return OnTableMap(body);
    case kRowsQuery:
    case kMariaAnnotateRows:
      if (current_.marker == 0) current_.marker = MarkerIn(StatementText(header.type, body));
      return {};
    case kIntvar:
    case kRand:
    case kUserVar:
    case kIgnorable:
      return {};
    case kMariaQueryCompressed:
      current_.traits |= kHasStatements | kHasUnknownEvents;
      if (standalone_) current_.complete = true;
      return {};
    case kTransactionPayload:
      return Unpack(body);
    default:
      if (IsRows(header.type)) return OnRows(header.type, body);
      current_.traits |= kHasUnknownEvents;
      return {};
  }
}

Status TransactionReader::Unpack(std::string_view body) {
  current_.traits |= kIsCompressed;
  ASSIGN_OR_RETURN(std::string events, UnpackPayload(body));
  return ForEachInner(events, [this](const Header& header, std::string_view event) -> Status {
    return Inside(header, event.substr(kHeaderSize));
  });
}

Status TransactionReader::Outside(const Header& header) {
  if (header.type == kStop) stopped_ = true;
  if (header.type != kPreviousGtids && header.type != kMariaGtidList) return {};
  ASSIGN_OR_RETURN(std::string_view body, events_.Body());
  ASSIGN_OR_RETURN(previous_, ParsePrevious(header.type, body));
  previous_seen_ = true;
  return {};
}

Result<const Transaction*> TransactionReader::Next() {
  open_ = false;
  for (;;) {
    ASSIGN_OR_RETURN(bool more, events_.Next());
    if (!more) return open_ ? &std::as_const(current_) : nullptr;
    const Header& header = events_.header();
    bool begins = header.type == kGtid || header.type == kAnonymousGtid ||
                  header.type == kTaggedGtid || header.type == kMariaGtid;
    bool ends = header.type == kStop || (header.type == kRotate && open_);
    if (open_ && (begins || ends)) {
      events_.PutBack();
      return &std::as_const(current_);
    }
    if (begins) {
      ASSIGN_OR_RETURN(std::string_view body, events_.Body());
      ASSIGN_OR_RETURN(GtidEvent gtid, ParseGtid(header, body));
      current_ = Transaction();
      tables_.clear();
      countable_ = true;
      current_.gtid = gtid.gtid;
      current_.begin = events_.offset();
      current_.unix_s = header.unix_s;
      if (gtid.xa) current_.traits |= kIsXa;
      if (gtid.ddl) current_.traits |= kHasStatements;
      if (!gtid.transactional) current_.traits |= kNotTransactional;
      standalone_ = gtid.standalone;
      current_.skip_replication =
          header.type == kMariaGtid && (header.flags & kFlagSkipReplication) != 0;
      // MariaDB has no BEGIN: its GTID event is one, unless a single event follows.
      begun_ = header.type == kMariaGtid && !gtid.standalone;
      open_ = true;
    } else if (!open_ || header.type == kFormat || header.type == kRotate ||
               header.type == kPreviousGtids || header.type == kMariaGtidList ||
               header.type == kHeartbeat || header.type == kHeartbeatV2 ||
               header.type == kMariaCheckpoint) {
      RETURN_IF_ERROR(Outside(header));
      continue;
    } else if (IsRows(header.type) && !Counts()) {
      current_.traits |= kHasRows;
    } else {
      ASSIGN_OR_RETURN(std::string_view body, events_.Body());
      if (Status seen = Inside(header, body); !seen)
        return Fail(
            seen.error().Context(fmt::format("{} at byte {}", events_.name(), events_.offset())));
    }
    current_.end = events_.end();
    if (current_.complete) return &std::as_const(current_);
  }
}

}  // namespace paceline::mysql::binlog
