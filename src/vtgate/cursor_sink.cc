#include "vtgate/cursor_sink.h"

#include "mysql/wire/packet.h"

namespace paceline::vtgate {

using mysql::wire::Terminator;

std::string_view Cursor::Fetch(uint32_t count, bool* ended) {
  const size_t begin = at_;
  *ended = false;
  for (uint32_t fetched = 0; fetched < count; ++fetched) {
    if (at_ + mysql::wire::kPacketHeaderBytes > rows_.size()) {
      *ended = true;
      break;
    }
    for (bool more = true; more;) {
      mysql::wire::PacketHeader header = mysql::wire::ReadPacketHeader(rows_.data() + at_);
      at_ += mysql::wire::kPacketHeaderBytes + header.length;
      more = header.length == mysql::wire::kMaxPacketBody;
    }
  }
  return std::string_view(rows_).substr(begin, at_ - begin);
}

void CursorSink::StartStatement(std::string_view database, std::string_view keyspace,
                                const TerminatorContext& context) {
  column_count_ = 0;
  too_large_ = false;
  columns_.clear();
  rows_.clear();
  client_.StartStatement(database, keyspace, context);
}

void CursorSink::OnColumns(uint64_t column_count, std::string_view packets) {
  column_count_ = column_count;
  columns_ = packets;
}

void CursorSink::OnRows(std::string_view bytes) {
  too_large_ = too_large_ || rows_.size() + bytes.size() > most_bytes_;
  if (!too_large_) rows_.append(bytes);
}

void CursorSink::OnEnd(const Terminator& end, bool last) {
  const bool opens = column_count_ != 0 && !end.is_error() && last;
  if (!opens) {
    // A procedure's results are sent at once, as mysqld sends them.
    if (column_count_ != 0 && !end.is_error()) {
      client_.OnColumns(column_count_, columns_);
      client_.OnRows(rows_);
    }
    column_count_ = 0;
    rows_.clear();
    client_.OnEnd(end, last);
    return;
  }
  if (too_large_) {
    client_.WriteError(
        Error(Code::kResourceExhausted,
              fmt::format("the cursor's result exceeds {} bytes: read it without a cursor",
                          most_bytes_)));
    return;
  }
  client_.OpenCursor(column_count_, columns_, end);
  cursor_ = std::make_unique<Cursor>(std::move(rows_));
  column_count_ = 0;
}

}  // namespace paceline::vtgate
