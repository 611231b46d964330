// mysqlctl/folder_lock.h - one mysqlctld per tablet's folder: two would each take the other's
// restarts for deaths and start mysqld with their own options. Threads: values.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "mysqld/config.h"

namespace paceline::mysqlctl {

// A lock on a file in the folder, held until this is destroyed or the process ends, however it
// ends. mysqld and other children do not inherit it.
class FolderLock {
 public:
  // Makes the folder, for `owner`, where there is none; a folder that another holds is not touched.
  // Errors: kAlreadyExists naming the folder and the holder's process; as mysqld::MakeFolder.
  static Result<FolderLock> Take(const mysqld::Layout& layout, const std::string& owner);
  FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace paceline::mysqlctl
