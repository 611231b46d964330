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

Status NothingCame(io::Wake wake) {
  if (wake == io::Wake::kTimeout) return Fail(Code::kDeadlineExceeded, "timed out reading");
  return Fail(Code::kCanceled, "connection was shut down");
}

}  // namespace

Link::Link(io::StreamPtr stream)
    : stream_(std::move(stream)), counting_(*stream_), writer_(counting_) {}

io::Task<Status> Link::ReadAll(Handler& handler, const Deadline& deadline) {
  io::Loop& loop = io::Loop::Current();
  // A plain socket is waited for without a coroutine frame per wait.
  auto* plain = dynamic_cast<io::Socket*>(stream_.get());
  for (int reads = 0;; ++reads) {
    if (plain != nullptr) {
      // Ready at once when the last read left something: no system call finds that nothing is
      // there.
      io::Socket::ReadableAwaiter readable = plain->Readable(deadline);
      if (!readable.await_ready()) reads = 0;
      io::Wake wake = co_await readable;
      if (wake != io::Wake::kDone) co_return NothingCame(wake);
    }
    Result<size_t> got = stream_->TryRead(loop.scratch(), io::Loop::kScratchSize);
    if (!got) co_return Fail(got.error());
    if (*got == 0) {
      reads = 0;
      if (plain != nullptr) continue;
      io::Wake wake = co_await stream_->WaitReadable(deadline);
      if (wake != io::Wake::kDone) co_return NothingCame(wake);
      continue;
    }
    std::string_view input(loop.scratch(), *got);
    FrameSplitter::Piece piece;
    for (;;) {
      FrameSplitter::Outcome outcome = splitter_.Next(&input, &piece);
      if (outcome == FrameSplitter::Outcome::kNeedInput) break;
      if (outcome == FrameSplitter::Outcome::kBroken) {
        co_return Fail(Code::kUnavailable,
                       "native connection: malformed frame of type {} and {} bytes",
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
