// topo/carried.h - the global topology as a tablet carries it (I6): a copy in a file, kept up by a
// watch, and the way back into a store that was founded anew. Tablets put back what is missing by
// themselves; where copies differ, a person looks at RebuildTopology. Threads: the Server's loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/sync.h"
#include "record/record.h"
#include "topo/cache.h"
#include "topo/server.h"

namespace paceline::topo {

struct CarriedFile {
  Path path;
  std::string data;
  std::string identity;  // of the store it was read from (Conn::Identity)
  Version version;       // there
  WallTime received;
};

class Carried {
 public:
  // Reads `file`. `shard` and `cell`: the tablet's own.
  Carried(Server& topo, std::string file, record::KeyspaceShard shard, std::string cell);

  // Keeps the copy up until the gate closes.
  static io::Task<void> Follow(Carried& self, io::Gate& gate);
  // The store is no longer the one this was copied from: RestoreOwn is due.
  bool StoreChanged() const;
  // Puts what the tablet's own records stand on (cell, keyspace, shard) into a store that was
  // founded anew, where it is missing. Does nothing in the store that is known.
  io::Task<Status> RestoreOwn(Deadline deadline);
  // The rest is due. The primary of a shard does that: it is the one that surely was not cut off.
  bool rest_pending() const { return rest_pending_; }
  io::Task<Status> RestoreRest(Deadline deadline);
  std::vector<CarriedFile> Files() const;

 private:
  io::Task<Status> CreateMissing(Path path, std::string data, Deadline deadline);
  io::Task<Status> Remember(std::string identity, bool rest_pending);
  void Take(const File& file);
  void Drop(const Path& path);

  Server& topo_;
  std::unique_ptr<Cache> cache_;
  record::KeyspaceShard shard_;
  std::string cell_;
  std::string identity_;  // empty: nothing was copied yet
  bool rest_pending_ = false;
};

}  // namespace paceline::topo
