#include "mysqlctl/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

// The file may have been removed, with its folder, between open and flock.
bool IsStillThere(int fd, const std::string& path) {
  struct stat ours, there;
  return fstat(fd, &ours) == 0 && stat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

}  // namespace

Result<FolderLock> FolderLock::Take(const mysqld::Layout& layout, const std::string& owner) {
  const std::string path = layout.lock_file();
  int why = 0;  // nothing but open has failed when the attempts are used up
  for (int attempt = 0; attempt < 3; ++attempt) {
    int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
      why = errno;
      // Makes the folder where it is missing, else says why nothing can be written there.
      RETURN_IF_ERROR(mysqld::MakeFolder(layout.dir, owner));
      RETURN_IF_ERROR(mysqld::CheckWritable(layout.dir, 0));
      continue;
    }
    FolderLock lock(fd);
    RETURN_IF_ERROR(mysqld::GiveTo(path, owner));  // the next one may run as that user
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      std::string holder(Trim(mysqld::ReadFileFrom(path, 0, 32)));
      return Fail(
          Code::kAlreadyExists,
          "{} belongs to mysqlctld (process {}), which runs: stop that one first, or choose "
          "another --tablet-uid",
          layout.dir, holder.empty() ? "unknown" : holder);
    }
    if (!IsStillThere(fd, path)) continue;
    // For people and for the other's refusal; the lock holds without it, on a full disk too.
    std::string pid = std::to_string(getpid()) + "\n";
    [[maybe_unused]] bool noted =
        ftruncate(fd, 0) == 0 && pwrite(fd, pid.data(), pid.size(), 0) > 0;
    return lock;
  }
  return Fail(Code::kInternal, "cannot lock {}: {}", path,
              why == 0 ? "its folder is removed again and again" : strerror(why));
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace paceline::mysqlctl
