#include "vttablet/manager/disk_probe.h"

#include <atomic>
#include <filesystem>

#include "base/strings.h"
#include "io/blocking.h"
#include "io/file.h"
#include "io/sleep.h"

namespace paceline::vttablet {

struct DiskProbe::Round {
  Time began;
  // Written before `ended`.
  DiskSpace space{0, UINT64_MAX};  // where that cannot be known
  std::string error;
  bool no_room = false, refuses = false;  // what `error` means, where it is known
  std::atomic<bool> ended{false};
};

DiskProbe::DiskProbe(io::Loop& loop, DiskProbeOptions options, std::function<void()> changed)
    : loop_(loop),
      options_(std::move(options)),
      folder_(std::filesystem::path(options_.file).parent_path().string()),
      changed_(std::move(changed)) {}

io::Task<void> DiskProbe::Loop(DiskProbe& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass && !self.options_.file.empty()) {
    self.Look();
    if (self.round_ == nullptr) {
      auto round = std::make_shared<Round>();
      round->began = self.loop_.Now();
      self.round_ = round;
      io::PostBlocking([round, file = self.options_.file, folder = self.folder_] {
        std::error_code unknown;
        std::filesystem::space_info space = std::filesystem::space(folder, unknown);
        if (!unknown) round->space = {space.capacity, space.available};
        Status written = io::ReplaceFile(file, std::string(4096, 'p'));
        if (!written) {
          round->error = written.error().message();
          round->no_room = written.error().code() == Code::kResourceExhausted;
          round->refuses = written.error().code() == Code::kDataLoss;
        }
        round->ended.store(true, std::memory_order_release);
      });
    }
    const Duration pause = self.options_.every / (self.hurry_ ? 4 : 1);
    bool open = co_await io::Sleep(gate, Deadline::In(pause));
    if (!open) co_return;
  }
}

// Takes up what came of the newest round.
void DiskProbe::Look() {
  if (round_ == nullptr) return;
  std::string error = error_;
  if (round_->ended.load(std::memory_order_acquire)) {
    std::shared_ptr<Round> round = std::exchange(round_, nullptr);
    bool full = round->no_room || round->space.free < kFullBelow;
    if (options_.seen && round->space.bytes > 0) options_.seen(round->space);
    failed_ = full || !round->error.empty() ? failed_ + 1 : 0;
    if (failed_ == 0) error.clear();
    if (failed_ >= 2) {
      full_ = full || round->refuses;
      error = full ? fmt::format("the disk of {} is full: make room, or grow the volume", folder_)
                   : fmt::format("the disk of {} takes no writes: {}", folder_, round->error);
      // Bytes are free: inodes or a quota are not.
      if (full && round->space.free >= kFullBelow) error += " (" + round->error + ")";
    }
  } else if (loop_.Now() - round_->began >= options_.stalled_after) {
    full_ = false;
    error = fmt::format("the disk of {} is stalled: a write of 4 KiB has not ended for {} s",
                        folder_, options_.stalled_after / std::chrono::seconds(1));
  }
  if (error.empty()) full_ = false;
  if (error == error_) return;
  error_ = std::move(error);
  changed_();
}

}  // namespace paceline::vttablet
