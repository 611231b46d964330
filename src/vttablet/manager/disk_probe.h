// vttablet/manager/disk_probe.h - writes a little to the tablet's disk every second and sees
// whether it arrives: that a disk is full or stalled only its own host can tell. Threads: one loop;
// the writing is done on a blocking thread, which a stalled disk may hold for as long as it stalls.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/loop.h"
#include "io/sync.h"
#include "io/task.h"
#include "vttablet/manager/disk_level.h"

namespace paceline::vttablet {

struct DiskProbeOptions {
  std::string file;  // written over and over; empty: nothing is probed
  Duration every = std::chrono::seconds(1);
  // Not less: a disk under a heavy load of writes takes seconds for an fsync.
  Duration stalled_after = std::chrono::seconds(5);
  // What the volume has, each time it was asked.
  std::function<void(const DiskSpace&)> seen = {};
};

class DiskProbe {
 public:
  static constexpr uint64_t kFullBelow = 1 << 20;  // the next extent of a log does not fit

  // `changed` is called when Error() has become another.
  DiskProbe(io::Loop& loop, DiskProbeOptions options, std::function<void()> changed);
  // Until the gate closes; a write that has not ended is left behind.
  static io::Task<void> Loop(DiskProbe& self, io::Gate& gate);

  // Why the disk takes no writes, with what to do; empty: it does. A write that failed counts when
  // the next one has failed too.
  const std::string& Error() const { return error_; }
  // Error() is that there is no room, or that the file system is read-only or answers with I/O
  // errors: nothing can be written, where a stall may end by itself.
  bool full() const { return full_; }
  const std::string& folder() const { return folder_; }
  // Looks four times as often.
  void Hurry(bool hurry) { hurry_ = hurry; }

 private:
  struct Round;
  void Look();

  io::Loop& loop_;
  DiskProbeOptions options_;
  std::string folder_;
  std::function<void()> changed_;
  std::shared_ptr<Round> round_;  // the newest
  int failed_ = 0;                // rounds in a row
  std::string error_;
  bool full_ = false;
  bool hurry_ = false;
};

}  // namespace paceline::vttablet
