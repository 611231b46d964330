// native/link.h - one native connection, either end: cuts what comes into frames, gathers what a
// tick writes. Threads: its loop's. Lifetime: outlives ReadAll.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "io/stream.h"
#include "io/task.h"
#include "native/frame.h"

namespace paceline::native {

class Link {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // An error ends the connection. Must not start work that reads: `piece` lies in the loop's
    // scratch buffer.
    virtual Status OnPiece(const FrameSplitter::Piece& piece) = 0;
    // All that was read has been handed on; now work may start.
    virtual void OnBatchEnd() = 0;
  };

  explicit Link(io::StreamPtr stream);

  // Until the connection breaks; answers why. Ends with kDeadlineExceeded when nothing comes until
  // `deadline`, which is asked for anew before each wait.
  io::Task<Status> ReadAll(Handler& handler, const Deadline& deadline);

  // For encoding in place: append whole frames, then call Wrote().
  std::string& out() { return writer_.buffer(); }
  void Wrote() { writer_.Changed(); }
  io::Writer& writer() { return writer_; }
  bool broken() const { return !writer_.status() || shut_; }
  // Bytes since the start that the kernel has taken, and that were appended. REQUIRES for
  // appended(): !broken().
  uint64_t taken() const { return counting_.taken; }
  uint64_t appended() const { return counting_.taken + writer_.backlog(); }

  void Shutdown();
  io::Socket& socket() { return stream_->socket(); }

 private:
  // Knows how far the output got, which decides whether a request was surely not sent.
  class CountingStream final : public io::Stream {
   public:
    explicit CountingStream(io::Stream& inner) : inner_(inner) {}
    Result<size_t> TryRead(char* buffer, size_t size) override {
      return inner_.TryRead(buffer, size);
    }
    Result<size_t> TryWrite(const iovec* parts, int count) override {
      Result<size_t> put = inner_.TryWrite(parts, count);
      if (put) taken += *put;
      return put;
    }
    void SetWritableListener(io::WritableListener* l) override { inner_.SetWritableListener(l); }
    io::Task<io::Wake> WaitReadable(Deadline d) override { return inner_.WaitReadable(d); }
    void Shutdown() override { inner_.Shutdown(); }
    io::Socket& socket() override { return inner_.socket(); }
    uint64_t taken = 0;

   private:
    io::Stream& inner_;
  };

  io::StreamPtr stream_;
  CountingStream counting_;
  io::Writer writer_;
  FrameSplitter splitter_;
  bool shut_ = false;
};

}  // namespace paceline::native
