#include "native/link.h"

#include <utility>

#include "io/loop.h"

namespace paceline::native {
namespace {

// Reads in a row before other descriptors get their turn.
constexpr int kReadsPerTurn = 16;

struct NextTick {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    io::Loop::Current().Post([handle] { handle.resume(); });
  }
  void await_resume() const {}
};

}  // namespace

Link::Link(io::StreamPtr stream)
    : stream_(std::move(stream)), counting_(*stream_), writer_(counting_) {}

io::Task<Status> Link::ReadAll(Handler& handler, const Deadline& deadline) {
  io::Loop& loop = io::Loop::Current();
  // A plain socket is waited for without a coroutine frame per wait.
  auto* plain = dynamic_cast<io::Socket*>(stream_.get());
  for (int reads = 0;; ++reads) {
    Result<size_t> got = stream_->TryRead(loop.scratch(), io::Loop::kScratchSize);
    if (!got) co_return Fail(got.error());
    if (*got == 0) {
      reads = 0;
      io::Wake wake = io::Wake::kDone;
      if (plain != nullptr) {
        wake = co_await plain->Readable(deadline);
      } else {
        wake = co_await stream_->WaitReadable(deadline);
      }
      if (wake == io::Wake::kTimeout) co_return Fail(Code::kDeadlineExceeded, "timed out reading");
      if (wake == io::Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
      continue;
    }
    std::string_view input(loop.scratch(), *got);
    FrameSplitter::Piece piece;
    for (;;) {
      FrameSplitter::Outcome outcome = splitter_.Next(&input, &piece);
      if (outcome == FrameSplitter::Outcome::kNeedInput) break;
      if (outcome == FrameSplitter::Outcome::kBroken) {
        co_return Fail(Code::kUnavailable, "native connection: malformed frame of type {} and {} bytes",
                       static_cast<int>(piece.header.type), piece.header.length);
      }
      Status handled = handler.OnPiece(piece);
      if (!handled) {
        handler.OnBatchEnd();
        co_return Fail(handled.error());
      }
    }
    handler.OnBatchEnd();
    if (reads >= kReadsPerTurn) {
      reads = 0;
      NextTick turn;
      co_await turn;
    }
  }
}

void Link::Shutdown() {
  shut_ = true;
  writer_.FlushNow();
  stream_->Shutdown();
}

}  // namespace paceline::native
