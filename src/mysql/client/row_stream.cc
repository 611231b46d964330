#include "mysql/client/row_stream.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql {

namespace {

// So much is read before rows are handed out, where so much has arrived.
constexpr size_t kBatchBytes = 512 * 1024;

}  // namespace

RowStream::~RowStream() {
  if (open_) connection_.MarkBroken();
}

io::Task<Status> RowStream::Begin(std::string sql, Deadline deadline) {
  Status sent = co_await connection_.SendCommand(wire::Command::kQuery, sql, deadline);
  if (!sent) co_return sent;
  scanner_.Start(wire::ResponseKind::kQuery, connection_.response_sequence());
  open_ = true;
  co_return Status();
}

Status RowStream::TakeRows(std::string_view bytes, const std::function<void(const Values&)>& take) {
  std::span<const uint8_t> input = wire::AsBytes(bytes);
  while (!input.empty()) {
    wire::PacketAssembler::Outcome outcome = rows_.Feed(&input);
    if (outcome == wire::PacketAssembler::Outcome::kNeedInput) break;
    if (outcome == wire::PacketAssembler::Outcome::kTooLarge)
      return Fail(Code::kResourceExhausted, "a row is larger than this program takes");
    if (outcome != wire::PacketAssembler::Outcome::kPacket ||
        !wire::ParseTextRow(rows_.body(), scanner_.column_count(), &values_))
      return Fail(Code::kInternal, "malformed row in a result");
    take(values_);
  }
  return {};
}

// What has arrived, and at least something.
io::Task<Status> RowStream::Fill(Deadline deadline) {
  const size_t before = buffer_.size();
  while (buffer_.size() < before + kBatchBytes) {
    char* scratch = io::Loop::Current().scratch();
    Result<size_t> got = connection_.stream().TryRead(scratch, io::Loop::kScratchSize);
    if (!got) co_return Fail(got.error());
    buffer_.append(scratch, *got);
    if (*got > 0) continue;
    if (buffer_.size() > before) break;
    io::Wake wake = co_await connection_.stream().WaitReadable(deadline);
    if (wake == io::Wake::kTimeout)
      co_return Fail(Code::kDeadlineExceeded, "no more rows before the deadline");
    if (wake == io::Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
  }
  co_return Status();
}

io::Task<Result<bool>> RowStream::Next(std::function<void(const Values&)> take, Deadline deadline) {
  while (open_) {
    wire::ScanStep step = scanner_.Scan(buffer_.data(), buffer_.size());
    std::string_view rows(buffer_.data() + step.meta_bytes, step.row_bytes);
    Status taken = TakeRows(rows, take);
    buffer_.erase(0, step.consumed);
    if (!taken) co_return Fail(taken.error());
    if (step.event == wire::ScanEvent::kDone) {
      open_ = false;
      if (scanner_.terminator().is_error()) co_return Fail(wire::ErrorOf(scanner_.terminator()));
      break;
    }
    if (step.event != wire::ScanEvent::kNeedInput)
      co_return Fail(Code::kInternal, "server broke the protocol in its answer");
    if (step.row_bytes > 0) co_return true;
    Status filled = co_await Fill(deadline);
    if (!filled) co_return Fail(filled.error());
  }
  co_return false;
}

}  // namespace paceline::mysql
