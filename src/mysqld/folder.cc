#include "mysqld/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>

namespace paceline::mysqld {
namespace {

namespace fs = std::filesystem;

std::unexpected<Error> Failed(std::string_view doing, const std::string& path, int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Fail(Code::kResourceExhausted, "{} {}: the disk is full", doing, path);
    case EROFS:
      return Fail(Code::kPermissionDenied, "{} {}: the file system is read-only", doing, path);
    case EACCES:
    case EPERM:
      return Fail(Code::kPermissionDenied, "{} {}: permission denied", doing, path);
    case ENOENT:
      return Fail(Code::kNotFound, "{} {}: {}", doing, path, strerror(error));
    default:
      return Fail(Code::kInternal, "{} {}: {}", doing, path, strerror(error));
  }
}

}  // namespace

Status GiveTo(const std::string& path, const std::string& owner) {
  if (owner.empty() || geteuid() != 0) return {};
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16 * 1024, '\0');
  if (getpwnam_r(owner.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return Fail(Code::kNotFound, "there is no user \"{}\" on this machine", owner);
  }
  if (chown(path.c_str(), entry.pw_uid, entry.pw_gid) != 0)
    return Failed("giving away", path, errno);
  return {};
}

Status SyncFolder(const std::string& path) {
  int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return Failed("syncing", path, errno);
  int error = fsync(folder) == 0 ? 0 : errno;
  close(folder);
  return error == 0 ? Status() : Failed("syncing", path, error);
}

Status MakeFolder(const std::string& path, const std::string& owner) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return Failed("creating folder", path, error.value());
  if (mkdir(path.c_str(), 0750) != 0 && errno != EEXIST)
    return Failed("creating folder", path, errno);
  return GiveTo(path, owner);
}

Status WriteFileDurably(const std::string& path, const std::string& text,
                        const std::string& owner) {
  std::string temporary = path + ".new";
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return Failed("writing", path, errno);
  int error = 0;
  for (size_t at = 0; at < text.size() && error == 0;) {
    ssize_t wrote = write(fd, text.data() + at, text.size() - at);
    if (wrote < 0 && errno != EINTR) error = errno;
    if (wrote > 0) at += static_cast<size_t>(wrote);
  }
  if (error == 0 && fsync(fd) != 0) error = errno;
  close(fd);
  if (error == 0) {
    RETURN_IF_ERROR(GiveTo(temporary, owner));
    if (rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  }
  if (error != 0) {
    unlink(temporary.c_str());
    return Failed("writing", path, error);
  }
  int folder = open(fs::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return {};
}

Status TouchFile(const std::string& path, const std::string& owner) {
  int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) return Failed("writing", path, errno);
  close(fd);
  return GiveTo(path, owner);
}

std::string ReadFileFrom(const std::string& path, uint64_t offset, size_t bytes_max) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string text(bytes_max, '\0');
  ssize_t got = pread(fd, text.data(), text.size(), static_cast<off_t>(offset));
  close(fd);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

Status RemoveTree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return Failed("removing", path, error.value());
  return {};
}

bool IsEmptyFolder(const std::string& path) {
  std::error_code error;
  return !fs::exists(path, error) || fs::is_empty(path, error);
}

Status CheckWritable(const std::string& folder, uint64_t bytes_min) {
  std::string probe = folder + "/.writable";
  int fd = open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("writing to", folder, errno);
  close(fd);
  unlink(probe.c_str());
  struct statvfs space;
  if (statvfs(folder.c_str(), &space) != 0) return Failed("measuring", folder, errno);
  uint64_t free_bytes = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  if (free_bytes < bytes_min) {
    return Fail(Code::kResourceExhausted,
                "writing to {}: the disk is full ({} MB free, {} MB needed)", folder,
                free_bytes >> 20, bytes_min >> 20);
  }
  return {};
}

}  // namespace paceline::mysqld
