#include "mysql/client/binlog_dump.h"

#include <algorithm>

#include "base/strings.h"
#include "gtid/sid_block.h"
#include "mysql/wire/codec.h"

namespace paceline::mysql {
namespace {

constexpr size_t kReadBytes = 256 << 10;

Result<std::string> MysqlRequest(const gtid::Set& have, uint32_t server_id) {
  constexpr uint16_t kThroughGtid = 4;
  ASSIGN_OR_RETURN(std::string block, gtid::ToSidBlock(have));
  std::string out;
  wire::PutU16(&out, kThroughGtid);
  wire::PutU32(&out, server_id);
  wire::PutU32(&out, 0);  // no file
  wire::PutU64(&out, 4);
  wire::PutU32(&out, static_cast<uint32_t>(block.size()));
  return out + block;
}

std::string MariadbRequest(uint32_t server_id) {
  constexpr uint16_t kWithAnnotations = 2;
  std::string out;
  wire::PutU32(&out, 4);
  wire::PutU16(&out, kWithAnnotations);
  wire::PutU32(&out, server_id);
  return out;
}

Error RefusalOf(std::string_view packet) {
  wire::Reader in(packet);
  uint16_t number = in.U16();
  std::string_view text = in.TakeRest();
  std::string_view state = "HY000";
  if (text.starts_with('#') && text.size() >= 6) {
    state = text.substr(1, 5);
    text.remove_prefix(6);
  }
  return Error::FromMysql(number, state, std::string(text));
}

}  // namespace

io::Task<Result<std::unique_ptr<BinlogDump>>> BinlogDump::Open(ConnectOptions server,
                                                               gtid::Set have, uint32_t server_id,
                                                               Duration heartbeat,
                                                               Deadline deadline) {
  Result<std::unique_ptr<Connection>> connection =
      co_await Connection::Connect(std::move(server), deadline);
  if (!connection) co_return Fail(connection.error());
  bool mariadb = (*connection)->is_mariadb();
  std::string sql = fmt::format(
      "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', "
      "@master_heartbeat_period = {0}, @source_heartbeat_period = {0}",
      heartbeat.count());
  if (mariadb) {
    sql += fmt::format(
        ", @mariadb_slave_capability = 4, @slave_connect_state = {}, @slave_gtid_strict_mode = 1, "
        "@slave_gtid_ignore_duplicates = 0",
        QuoteText(have.ToPosition()));
  }
  Result<QueryResult> set = co_await (*connection)->Query(std::move(sql), deadline);
  if (!set) co_return Fail(set.error().Context("asking for the binary log"));
  Result<std::string> request =
      mariadb ? Result<std::string>(MariadbRequest(server_id)) : MysqlRequest(have, server_id);
  if (!request) co_return Fail(request.error());
  wire::Command command = mariadb ? wire::Command::kBinlogDump : wire::Command::kBinlogDumpGtid;
  Status sent = co_await (*connection)->SendCommand(command, *request, deadline);
  if (!sent) co_return Fail(sent.error());
  co_return std::unique_ptr<BinlogDump>(new BinlogDump(std::move(*connection)));
}

io::Task<Status> BinlogDump::Fill(size_t bytes, Deadline deadline) {
  if (buffer_.size() - at_ >= bytes) co_return Status();
  buffer_.erase(0, at_);
  at_ = 0;
  while (buffer_.size() < bytes) {
    size_t had = buffer_.size();
    size_t more = std::max(kReadBytes, bytes - had);
    buffer_.resize(had + more);
    Result<size_t> read = co_await connection_->stream().Read(buffer_.data() + had, more, deadline);
    buffer_.resize(had + (read ? *read : 0));
    if (!read) co_return Fail(read.error().Context("reading the binary log"));
  }
  co_return Status();
}

io::Task<Result<EventPiece>> BinlogDump::Next(Deadline deadline) {
  EventPiece piece;
  if (left_ == 0) {
    piece.first = !continued_;
    Status filled = co_await Fill(wire::kPacketHeaderBytes, deadline);
    if (!filled) co_return Fail(filled.error());
    left_ = wire::ReadPacketHeader(buffer_.data() + at_).length;
    at_ += wire::kPacketHeaderBytes;
    continued_ = left_ == wire::kMaxPacketBody;
    if (piece.first) {
      constexpr uint8_t kErr = 0xff, kEof = 0xfe;
      size_t all = std::min(left_, size_t{8} << 10);
      filled = co_await Fill(all, deadline);
      if (!filled) co_return Fail(filled.error());
      uint8_t status = left_ == 0 ? kErr : static_cast<uint8_t>(buffer_[at_]);
      if (status == kErr)
        co_return Fail(RefusalOf(std::string_view(buffer_).substr(at_ + 1, all - 1)));
      if (status == kEof) co_return Fail(Code::kUnavailable, "the server ended the binary log");
      at_ += 1;
      left_ -= 1;
    }
  }
  size_t take = std::min(left_, kPieceBytes);
  Status filled = co_await Fill(take, deadline);
  if (!filled) co_return Fail(filled.error());
  piece.bytes = std::string_view(buffer_).substr(at_, take);
  at_ += take;
  left_ -= take;
  piece.last = left_ == 0 && !continued_;
  co_return piece;
}

}  // namespace paceline::mysql
