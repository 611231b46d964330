// etcdmember/folder.h - what a member keeps: its etcd's data with a note about it inside, so that
// they are lost together, and snapshots beside. Blocks shortly, for files are small; Restore and
// Check are for blocking threads. Threads: one at a time.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "etcdmember/decide.h"

namespace paceline::etcdmember {

struct Note {
  std::string nonce, agreed, agreed_digest, founded;
  uint64_t added_id = 0;
  uint64_t cluster_id = 0, member_id = 0;
  bool data_seen = false;
  friend bool operator==(const Note&, const Note&) = default;
};

class Folder {
 public:
  explicit Folder(std::string data_dir) : data_dir_(std::move(data_dir)) {}
  const std::string& data_dir() const { return data_dir_; }
  // One wrapper per folder. Errors: kAlreadyExists.
  Status Lock();
  // etcd's log is there.
  bool HasData() const;
  // The note; a missing or damaged one reads as that of an empty folder, with a nonce of its own,
  // and is written.
  Result<Note> Read();
  // On disk when it returns.
  Status Write(const Note& note);
  // What there is goes to a name beside; of such, the two newest are kept.
  Status SetAside(WallTime now);
  // Data that a tool made in `made` becomes this folder's.
  Status TakeOver(const std::string& made);

 private:
  std::string data_dir_;
};

class Snapshots {
 public:
  explicit Snapshots(std::string dir) : dir_(std::move(dir)) {}
  const std::string& dir() const { return dir_; }
  // Empty digest: none.
  SnapshotId Newest() const;
  // Empty: it is not here.
  std::string FileOf(const std::string& digest) const;
  // A name to write to, on the same file system.
  Result<std::string> Fresh() const;
  // The digest that etcd puts at the end, when it fits what stands before. Errors: kDataLoss.
  static Result<std::string> Check(const std::string& file);
  // `fresh` becomes snapshot `id`; older than the `keep` newest are deleted.
  Status Adopt(const std::string& fresh, const SnapshotId& id, size_t keep = 3);

 private:
  std::vector<std::pair<SnapshotId, std::string>> List() const;  // oldest first
  std::string dir_;
};

}  // namespace paceline::etcdmember
