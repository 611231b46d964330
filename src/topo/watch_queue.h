// topo/watch_queue.h - between a backend that learns of changes and the Watch that tells them: one
// pending event per file, nothing told twice, differences found by itself when a whole state is
// given. Threads: one loop.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/sync.h"
#include "topo/conn.h"

namespace paceline::topo {

class WatchQueue {
 public:
  // Versions other than the one told last are news; equal ones are dropped.
  void Value(File file);
  void Deleted(const Path& path);
  // The whole current state: what is missing in it is told as deleted, unless it is that of another
  // store.
  void Replace(std::vector<File> files, bool other_store = false);
  // For a watch on one file that is not there: the first event must say so.
  void Absent(const Path& path);
  void Synced();
  // Next gives this error once all pending events are told.
  void Fail(Error error);
  void Close();
  bool closed() const { return closed_; }

  io::Task<Result<WatchEvent>> Next(Deadline deadline);

 private:
  void Push(WatchEvent event);
  std::map<Path, Version> known_;  // files that exist as far as was offered
  std::map<Path, WatchEvent> pending_;
  std::deque<Path> order_;  // of pending_; "" is kSynced
  std::optional<Error> failed_;
  bool closed_ = false;
  io::Event news_;
};

}  // namespace paceline::topo
