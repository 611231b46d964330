#include "mysql/client/row_stream.h"

#include "io/loop.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql {

io::Task<Status> RowStream::Start(std::string sql, Deadline deadline) {
  Status sent = co_await connection_.SendCommand(wire::Command::kQuery, sql, deadline);
  if (!sent) co_return sent;
  scanner_.Start(wire::ResponseKind::kQuery, connection_.response_sequence());
  co_return Status();
}

std::unexpected<Error> RowStream::Broken(Error error) {
  connection_.MarkBroken();
  return Fail(std::move(error));
}

bool RowStream::Scan() {
  wire::ScanStep step = scanner_.Scan(input_.data(), input_.size());
  meta_.append(input_, 0, step.meta_bytes);
  if (step.row_bytes > 0) {
    rows_.erase(0, at_);
    at_ = 0;
    rows_.append(input_, step.meta_bytes, step.row_bytes);
  }
  input_.erase(0, step.consumed);
  broken_ = step.event != wire::ScanEvent::kNeedInput && step.event != wire::ScanEvent::kDone;
  ended_ = step.event == wire::ScanEvent::kDone;
  return step.consumed > 0 && !ended_ && !broken_;
}

bool RowStream::TryNext() {
  if (at_ >= rows_.size()) return false;
  if (columns_.empty()) {
    Result<std::vector<wire::ColumnDefinition>> columns = wire::ParseColumns(meta_);
    broken_ = !columns;
    if (broken_) return false;
    columns_ = *std::move(columns);
  }
  std::span<const uint8_t> input = wire::AsBytes(std::string_view(rows_).substr(at_));
  const size_t before = input.size();
  wire::PacketAssembler::Outcome outcome = packets_.Feed(&input);
  at_ += before - input.size();
  if (outcome == wire::PacketAssembler::Outcome::kNeedInput) return false;
  broken_ = outcome != wire::PacketAssembler::Outcome::kPacket ||
            !wire::ParseTextRow(packets_.body(), columns_.size(), &values_);
  return !broken_;
}

io::Task<Result<RowStream::Item>> RowStream::Next(Deadline deadline) {
  for (;;) {
    if (TryNext()) co_return Item::kRow;
    if (broken_) {
      co_return Broken(Error(Code::kInternal, "server broke the protocol in a long result"));
    }
    if (ended_) {
      if (scanner_.terminator().is_error()) co_return Fail(wire::ErrorOf(scanner_.terminator()));
      co_return Item::kEnd;
    }
    if (!input_.empty() && Scan()) continue;
    if (ended_ || broken_ || at_ < rows_.size()) continue;
    Result<size_t> got =
        connection_.stream().TryRead(io::Loop::Current().scratch(), io::Loop::kScratchSize);
    if (!got) co_return Broken(got.error());
    if (*got > 0) {
      input_.append(io::Loop::Current().scratch(), *got);
      continue;
    }
    io::Wake wake = co_await connection_.stream().WaitReadable(deadline);
    if (wake == io::Wake::kDone) continue;
    co_return Broken(wake == io::Wake::kTimeout
                         ? Error(Code::kDeadlineExceeded, "no row arrived in time")
                         : Error(Code::kCanceled, "connection was shut down"));
  }
}

}  // namespace paceline::mysql
