#include "backup/stored_stream.h"

#include <openssl/evp.h>

#include "base/strings.h"
#include "io/blocking.h"

namespace paceline::backup {
namespace {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string Hex() {
    std::string digest(32, '\0');
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()), &size);
    return HexEncode(digest);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

struct StoredWriter::State {
  std::shared_ptr<Storage> storage;
  std::string path;
  FrameOptions options;
  // Used by one batch at a time.
  std::unique_ptr<ObjectWriter> writer;
  Sha256 sum;
  StoredObject object;
  bool working = false;
  Status status;
  io::Event idle;

  Status Store(std::string_view raw, bool last) {
    if (writer == nullptr) {
      ASSIGN_OR_RETURN(writer, storage->Create(path));
    }
    do {
      std::string_view one = raw.substr(0, kFrameBytes);
      raw.remove_prefix(one.size());
      ASSIGN_OR_RETURN(std::string frame,
                       MakeFrame(options, object.frames, one, last && raw.empty()));
      sum.Add(frame);
      RETURN_IF_ERROR(writer->Append(frame));
      ++object.frames;
      object.raw_bytes += one.size();
      object.stored_bytes += frame.size();
    } while (!raw.empty());
    return last ? writer->Commit() : Status();
  }
};

StoredWriter::StoredWriter(std::shared_ptr<Storage> storage, std::string path, FrameOptions options,
                           uint64_t rate)
    : state_(std::make_shared<State>()), rate_(rate), began_(io::Loop::Current().Now()) {
  state_->storage = std::move(storage);
  state_->path = std::move(path);
  state_->options = std::move(options);
}

StoredWriter::~StoredWriter() = default;

uint64_t StoredWriter::stored_bytes() const { return state_->object.stored_bytes; }

io::Task<void> StoredWriter::Work(std::shared_ptr<State> state, std::string raw, bool last) {
  std::function<Status()> store = [state, &raw, last] { return state->Store(raw, last); };
  Status stored = co_await io::RunBlocking<Status>(std::move(store));
  state->working = false;
  if (!stored) state->status = stored;
  state->idle.Pulse();
}

io::Task<Status> StoredWriter::HandOver(bool last, Deadline deadline) {
  while (state_->working) {
    bool woken = co_await state_->idle.Wait(deadline);
    if (!woken) co_return Fail(Code::kDeadlineExceeded, "storing {}", state_->path);
  }
  if (!state_->status) co_return Fail(state_->status.error().Context("storing a backup"));
  state_->working = true;
  io::Detach(Work(state_, std::exchange(filling_, {}), last));
  while (last && state_->working) {
    bool woken = co_await state_->idle.Wait(deadline);
    if (!woken) co_return Fail(Code::kDeadlineExceeded, "storing {}", state_->path);
  }
  if (!state_->status) co_return Fail(state_->status.error().Context("storing a backup"));
  co_return Status();
}

io::Task<Status> StoredWriter::Write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    size_t room = kBatchBytes - filling_.size();
    std::string_view now = bytes.substr(0, room);
    filling_.append(now);
    bytes.remove_prefix(now.size());
    raw_bytes_ += now.size();
    if (filling_.size() < kBatchBytes) break;
    if (rate_ > 0) {
      io::Gate never_closed;
      auto due = began_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(
                              static_cast<double>(raw_bytes_) / static_cast<double>(rate_)));
      Deadline pause = Deadline::At(due);
      [[maybe_unused]] bool slept = co_await io::Sleep(never_closed, pause);
    }
    Status handed = co_await HandOver(false, deadline);
    if (!handed) co_return handed;
  }
  co_return Status();
}

io::Task<Result<StoredObject>> StoredWriter::Finish(Deadline deadline) {
  Status handed = co_await HandOver(true, deadline);
  if (!handed) co_return Fail(handed.error());
  StoredObject object = state_->object;
  object.sha256 = state_->sum.Hex();
  object.name = state_->path.substr(state_->path.rfind('/') + 1);
  co_return object;
}

namespace {

// The reading end: used by one batch at a time.
struct Source {
  std::shared_ptr<Storage> storage;
  std::string path;
  FrameOptions options;
  StoredObject expected;
  std::unique_ptr<ObjectReader> reader;
  Sha256 sum;
  uint64_t frames = 0, raw_bytes = 0;
  bool ended = false;
  // The batch that was read last.
  std::string raw;
  Status status;
  bool working = false;
  io::Event idle;

  std::unexpected<Error> Damaged(std::string_view why) const {
    return Fail(Code::kDataLoss, "{} in {}: frame {}: {}", path, storage->Describe(), frames, why);
  }
  Result<size_t> ReadFull(char* buffer, size_t size) {
    size_t at = 0;
    while (at < size) {
      ASSIGN_OR_RETURN(size_t got, reader->Read(buffer + at, size - at));
      if (got == 0) break;
      at += got;
    }
    return at;
  }
  Status ReadFrame() {
    char header_bytes[kFrameHeaderBytes];
    ASSIGN_OR_RETURN(size_t got, ReadFull(header_bytes, sizeof header_bytes));
    if (got < sizeof header_bytes) return Damaged("the object ends too early");
    std::string_view header_text(header_bytes, sizeof header_bytes);
    Result<FrameHeader> header = ReadFrameHeader(header_text);
    if (!header) return Damaged(header.error().message());
    std::string stored(header->stored_bytes, '\0');
    ASSIGN_OR_RETURN(got, ReadFull(stored.data(), stored.size()));
    if (got < stored.size()) return Damaged("the object ends too early");
    Result<std::string> opened = OpenFrame(options, frames, header_text, stored);
    if (!opened && opened.error().code() == Code::kPermissionDenied) {
      return Fail(Code::kPermissionDenied, "{} in {}: {}", path, storage->Describe(),
                  opened.error().message());
    }
    if (!opened) return Damaged(opened.error().message());
    sum.Add(header_text);
    sum.Add(stored);
    ++frames;
    raw_bytes += opened->size();
    raw += *opened;
    if (!header->last) return {};
    ended = true;
    bool same = frames == expected.frames && raw_bytes == expected.raw_bytes &&
                sum.Hex() == expected.sha256;
    if (!same) return Damaged("the object is not the one that the manifest names");
    return {};
  }
  Status ReadBatch() {
    if (reader == nullptr) {
      ASSIGN_OR_RETURN(reader, storage->Open(path));
    }
    raw.clear();
    while (!ended && raw.size() + kFrameBytes <= kBatchBytes) RETURN_IF_ERROR(ReadFrame());
    return {};
  }
  static io::Task<void> Work(std::shared_ptr<Source> self) {
    std::function<Status()> read = [self] { return self->ReadBatch(); };
    self->status = co_await io::RunBlocking<Status>(std::move(read));
    self->working = false;
    self->idle.Pulse();
  }
};

}  // namespace

io::Task<Status> ReadStored(std::shared_ptr<Storage> storage, std::string path,
                            FrameOptions options, StoredObject expected, io::ByteSink& sink,
                            Deadline deadline) {
  auto source = std::make_shared<Source>();
  source->storage = std::move(storage);
  source->path = std::move(path);
  source->options = std::move(options);
  source->expected = std::move(expected);
  source->working = true;
  io::Detach(Source::Work(source));
  for (;;) {
    while (source->working) {
      bool woken = co_await source->idle.Wait(deadline);
      if (!woken) co_return Fail(Code::kDeadlineExceeded, "reading {}", source->path);
    }
    if (!source->status) co_return source->status;
    std::string raw = std::exchange(source->raw, {});
    bool last = source->ended;
    if (!last) {
      source->working = true;
      io::Detach(Source::Work(source));
    }
    Status written = co_await sink.Write(raw, deadline);
    if (!written || last) co_return written;
  }
}

}  // namespace paceline::backup
