// mysql/server/compressed_stream.h - a Stream of packets over a Stream of compressed frames, as a
// server speaks it: each answer counts its frames on from the last one that came. Threads: the
// loop's thread.
#pragma once

#include <memory>
#include <string>

#include "io/stream.h"
#include "mysql/wire/compression.h"

namespace paceline::mysql {

class CompressedStream final : public io::Stream, private io::WritableListener {
 public:
  // `early`: compressed bytes that came before.
  CompressedStream(io::StreamPtr inner, wire::Compression how, std::string early)
      : inner_(std::move(inner)), how_(how), decompressor_(how), early_(std::move(early)) {
    inner_->SetWritableListener(this);
  }
  ~CompressedStream() override { inner_->SetWritableListener(nullptr); }

  Result<size_t> TryRead(char* buffer, size_t size) override;
  Result<size_t> TryWrite(const iovec* parts, int count) override;
  void SetWritableListener(io::WritableListener* listener) override { listener_ = listener; }
  io::Task<io::Wake> WaitReadable(Deadline deadline) override;
  void Shutdown() override;
  io::Socket& socket() override { return inner_->socket(); }

 private:
  static constexpr size_t kMostPending = 256 * 1024;
  static constexpr size_t kMostGathered = 12 << 20;

  void OnWritable() override;
  Status Send();
  Status Receive();
  Status Unpack(std::string_view bytes);
  size_t unread() const { return plain_.size() - read_; }

  io::StreamPtr inner_;
  wire::Compression how_;
  wire::Decompressor decompressor_;
  std::string early_;
  uint8_t sequence_ = 0;
  std::string plain_;  // unpacked and not yet read, from read_ on
  size_t read_ = 0;
  // A packet leaves in one piece: MySQL Connector/Python reads none that spans more than two.
  wire::PacketFollower follower_;
  std::string gathered_;  // the beginning of one
  std::string pending_;   // packed and not yet taken, from sent_ on
  size_t sent_ = 0;
  io::WritableListener* listener_ = nullptr;
};

}  // namespace paceline::mysql
