#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <filesystem>

namespace paceline::io {

namespace {

Code CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Code::kResourceExhausted;
    case EROFS:
    case EIO:
      return Code::kDataLoss;
    default:
      return Code::kUnavailable;
  }
}

}  // namespace

Status ReplaceFile(const std::string& file, std::string_view text) {
  auto failed = [&](const char* doing) {
    const int error = errno;
    return Fail(CodeOf(error), "{} {}: {}", doing, file, strerror(error));
  };
  std::error_code ignored;
  std::string folder = std::filesystem::path(file).parent_path().string();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  std::string fresh = file + ".new";
  int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("cannot create");
  size_t written = 0;
  while (written < text.size()) {
    ssize_t some = write(fd, text.data() + written, text.size() - written);
    if (some < 0 && errno == EINTR) continue;
    if (some < 0) {
      auto error = failed("cannot write");
      close(fd);
      return error;
    }
    written += static_cast<size_t>(some);
  }
  if (fsync(fd) != 0) {
    auto error = failed("cannot sync");
    close(fd);
    return error;
  }
  close(fd);
  if (rename(fresh.c_str(), file.c_str()) != 0) return failed("cannot replace");
  int dir = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    fsync(dir);
    close(dir);
  }
  return {};
}

}  // namespace paceline::io
