#include "mysql/server/compressed_stream.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace paceline::mysql {

Status CompressedStream::Unpack(std::string_view bytes) {
  plain_.clear();
  read_ = 0;
  RETURN_IF_ERROR(decompressor_.Feed(bytes, &plain_));
  sequence_ = static_cast<uint8_t>(decompressor_.sequence() + 1);
  return {};
}

Status CompressedStream::Receive() {
  if (!early_.empty()) {
    std::string early = std::exchange(early_, {});
    RETURN_IF_ERROR(Unpack(early));
  }
  // Not the loop's scratch buffer: our caller may be reading into that.
  char local[16 * 1024];
  while (unread() == 0) {
    ASSIGN_OR_RETURN(size_t got, inner_->TryRead(local, sizeof local));
    if (got == 0) return {};
    RETURN_IF_ERROR(Unpack(std::string_view(local, got)));
  }
  return {};
}

Result<size_t> CompressedStream::TryRead(char* buffer, size_t size) {
  RETURN_IF_ERROR(Receive());
  const size_t taken = std::min(size, unread());
  if (taken == 0) return size_t{0};
  memcpy(buffer, plain_.data() + read_, taken);
  read_ += taken;
  if (unread() == 0) {
    // A long command does not keep its memory.
    std::string().swap(plain_);
    read_ = 0;
  }
  return taken;
}

Result<size_t> CompressedStream::TryWrite(const iovec* parts, int count) {
  RETURN_IF_ERROR(Send());
  size_t taken = 0;
  for (int i = 0; i < count; ++i) {
    if (pending_.size() - sent_ > kMostPending) break;
    std::string_view data(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    taken += data.size();
    follower_.Feed(data);
    const bool whole = !follower_.inside();
    if (whole && gathered_.empty()) {
      wire::AppendCompressed(&pending_, data, how_, &sequence_);
    } else {
      gathered_ += data;
      if (!whole && gathered_.size() < kMostGathered) continue;
      wire::AppendCompressed(&pending_, std::exchange(gathered_, {}), how_, &sequence_);
    }
    RETURN_IF_ERROR(Send());
  }
  return taken;
}

Status CompressedStream::Send() {
  if (sent_ < pending_.size()) {
    iovec part{pending_.data() + sent_, pending_.size() - sent_};
    ASSIGN_OR_RETURN(size_t put, inner_->TryWrite(&part, 1));
    sent_ += put;
  }
  if (sent_ == pending_.size()) {
    std::string().swap(pending_);
    sent_ = 0;
  }
  return {};
}

void CompressedStream::OnWritable() {
  if (!Send()) return;  // the next read or write reports it
  if (pending_.empty() && listener_ != nullptr) listener_->OnWritable();
}

io::Task<io::Wake> CompressedStream::WaitReadable(Deadline deadline) {
  if (unread() > 0 || !early_.empty()) co_return io::Wake::kDone;
  io::Wake wake = co_await inner_->WaitReadable(deadline);
  co_return wake;
}

void CompressedStream::Shutdown() {
  (void)Send();
  inner_->Shutdown();
}

}  // namespace paceline::mysql
