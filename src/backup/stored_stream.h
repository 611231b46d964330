// backup/stored_stream.h - between streams of bytes and objects in a storage: frames (frame.h) made
// and opened on blocking threads while the stream goes on, a few megabytes at a time. Threads: the
// loop's thread. Lifetime: the storage outlives what is made here, and what still runs of it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backup/frame.h"
#include "backup/storage.h"
#include "io/sink.h"
#include "io/sync.h"

namespace paceline::backup {

// As the manifest has it.
struct StoredObject {
  std::string name;
  uint64_t raw_bytes = 0, stored_bytes = 0, frames = 0;
  std::string sha256;  // of what is stored, hexadecimal
  friend bool operator==(const StoredObject&, const StoredObject&) = default;
};

// At most this many raw bytes wait, and as many are worked on.
inline constexpr size_t kBatchBytes = 4 * kFrameBytes;

class StoredWriter final : public io::ByteSink {
 public:
  // `rate`: raw bytes a second at most; 0: no limit.
  StoredWriter(std::shared_ptr<Storage> storage, std::string path, FrameOptions options,
               uint64_t rate);
  ~StoredWriter() override;
  io::Task<Status> Write(std::string_view bytes, Deadline deadline) override;
  // The object is there when it returns. Without it nothing stays.
  io::Task<Result<StoredObject>> Finish(Deadline deadline);
  uint64_t raw_bytes() const { return raw_bytes_; }
  uint64_t stored_bytes() const;

 private:
  struct State;
  static io::Task<void> Work(std::shared_ptr<State> state, std::string raw, bool last);
  io::Task<Status> HandOver(bool last, Deadline deadline);
  std::shared_ptr<State> state_;
  std::string filling_;
  uint64_t raw_bytes_ = 0;
  uint64_t rate_;
  Time began_;
};

// All of an object into `sink`. Errors: kDataLoss naming the object and the frame: damaged, cut
// short, or not what `expected` says; kPermissionDenied for the key. Part of it may have been
// written then.
io::Task<Status> ReadStored(std::shared_ptr<Storage> storage, std::string path,
                            FrameOptions options, StoredObject expected, io::ByteSink& sink,
                            Deadline deadline);

}  // namespace paceline::backup
