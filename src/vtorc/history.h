// vtorc/history.h - what vtorc did and why: each recovery with its timeline, the newest ones in
// memory, and in a SQLite file where one is named, so that a restart keeps them. Threads: one loop;
// the file is written by a thread of its own.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline::vtorc {

struct Stage {
  WallTime at;
  std::string name;  // detect, term, fence, elect, catch up, attach, promote, publish, first write
  std::string text;
};

struct Recovery {
  int64_t id = 0;
  std::string shard, analysis, remedy;
  std::string tablet;     // what was wrong with it
  std::string successor;  // who leads afterwards, where that changed
  std::string error;      // why it failed; empty: healed, or under way
  WallTime began, ended;  // ended: 0 while under way
  std::vector<Stage> stages;
};

class History {
 public:
  static constexpr size_t kKept = 200;       // in memory
  static constexpr int64_t kStored = 2'000;  // in the file

  History();
  ~History();  // finishes what is being written
  // Before anything is added. Errors: what SQLite says; then there is no file.
  Status Open(const std::string& file);

  Recovery& Begin(WallTime now);
  // The one with that id, if it is still kept.
  Recovery* Find(int64_t id);
  // It has changed: written.
  void Store(const Recovery& recovery);
  const std::deque<Recovery>& list() const { return list_; }

 private:
  struct File;
  std::deque<Recovery> list_;  // the oldest first
  int64_t next_ = 1;
  std::unique_ptr<File> file_;
};

// For the API: times in milliseconds, and each stage's distance from the beginning.
std::string ToJson(const Recovery& recovery);

}  // namespace paceline::vtorc
