// topo/cache.h - a local copy of what a process needs from the topology, in one file, so that it
// can start while the topology is away (I6). The file is replaced atomically and synced; a damaged
// one reads as absent. What it holds may be old: whoever starts from it goes on trying the store.
// Threads: one loop. Writes go to a blocking thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "io/sync.h"
#include "io/task.h"
#include "topo/typed_watch.h"

namespace paceline::topo {

class Cache {
 public:
  // Reads `file` if it is there. Blocks shortly: call at start. Never fails: no file, no entries.
  static std::unique_ptr<Cache> Open(std::string file);
  // The same entries, for one more loop of the process that has opened the file: Save writes
  // nothing.
  static std::unique_ptr<Cache> OpenToRead(std::string file);
  ~Cache();

  // Entries are keyed by cell and path (topo/paths.h); the bytes are the stored record's.
  std::optional<std::string> Get(std::string_view cell, std::string_view path) const;
  template <class T>
  std::optional<T> GetRecord(std::string_view cell, std::string_view path) const {
    std::optional<std::string> bytes = Get(cell, path);
    if (!bytes) return std::nullopt;
    Result<T> value = Decode<T>(*bytes);
    if (!value) return std::nullopt;
    return std::move(*value);
  }
  // Every entry of `cell` below `dir`, by path.
  std::map<std::string, std::string> List(std::string_view cell, std::string_view dir) const;
  void Put(std::string_view cell, std::string_view path, std::string_view bytes);
  void Remove(std::string_view cell, std::string_view path);

  // Writes the file if anything changed since the last Save. Errors: kUnavailable naming the file.
  io::Task<Status> Save();
  bool changed() const { return changed_; }
  // When the file was written; zero when there was none.
  WallTime saved_at() const { return saved_at_; }

 private:
  explicit Cache(std::string file) : file_(std::move(file)) {}
  std::string file_;
  bool writes_ = true;
  std::map<std::string, std::string, std::less<>> entries_;  // "<cell>/<path>"
  bool changed_ = false;
  WallTime saved_at_;
  io::Mutex saving_;
};

}  // namespace paceline::topo
