#include "mysqld/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/check.h"
#include "base/strings.h"
#include "mysqld/folder.h"

namespace paceline::mysqld {
namespace {

constexpr size_t kBufferSize = 256 << 10;

std::unexpected<Error> Failed(std::string_view doing, const std::string& path) {
  Code code = errno == ENOENT   ? Code::kNotFound
              : errno == ENOSPC ? Code::kResourceExhausted
              : errno == EACCES ? Code::kPermissionDenied
                                : Code::kInternal;
  return Fail(code, "{} {}: {}", doing, path, strerror(errno));
}

}  // namespace

Result<std::vector<std::string>> ReadLogIndex(const std::string& index) {
  std::ifstream file(index);
  if (!file) return Fail(Code::kNotFound, "cannot read {}, the list of logs", index);
  std::filesystem::path folder = std::filesystem::path(index).parent_path();
  std::vector<std::string> logs;
  for (std::string line; std::getline(file, line);) {
    std::string_view name = Trim(line);
    if (!name.empty()) logs.push_back((folder / name).lexically_normal().string());
  }
  return logs;
}

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("reading", path);
  struct stat facts;
  if (fstat(fd, &facts) != 0) {
    close(fd);
    return Failed("reading", path);
  }
  return std::unique_ptr<LogFile>(new LogFile(path, fd, static_cast<uint64_t>(facts.st_size)));
}

LogFile::~LogFile() { close(fd_); }

Result<std::string_view> LogFile::Read(uint64_t offset, size_t size) {
  CHECK(offset <= size_ && size <= size_ - offset);
  bool there = offset >= buffered_at_ && offset + size <= buffered_at_ + buffer_.size();
  if (!there) {
    buffer_.resize(std::min<uint64_t>(std::max(size, kBufferSize), size_ - offset));
    buffered_at_ = offset;
    for (size_t got = 0; got < buffer_.size();) {
      ssize_t more =
          pread(fd_, buffer_.data() + got, buffer_.size() - got, static_cast<off_t>(offset + got));
      if (more < 0 && errno == EINTR) continue;
      if (more <= 0) {
        buffer_.clear();
        if (more == 0) return Fail(Code::kDataLoss, "{} became shorter while it was read", path_);
        return Failed("reading", path_);
      }
      got += static_cast<size_t>(more);
    }
  }
  return std::string_view(buffer_).substr(offset - buffered_at_, size);
}

Result<std::unique_ptr<DurableFile>> DurableFile::Create(std::string path, std::string owner) {
  std::string temporary = path + ".new";
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return Failed("writing", temporary);
  return std::unique_ptr<DurableFile>(new DurableFile(std::move(path), std::move(owner), fd));
}

DurableFile::~DurableFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink((path_ + ".new").c_str());
}

Status DurableFile::Append(std::string_view text) {
  buffer_.append(text);
  return buffer_.size() < kBufferSize ? Status() : Flush();
}

Status DurableFile::Flush() {
  for (size_t at = 0; at < buffer_.size();) {
    ssize_t wrote = write(fd_, buffer_.data() + at, buffer_.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Failed("writing", path_);
    at += static_cast<size_t>(wrote);
  }
  buffer_.clear();
  return {};
}

Status DurableFile::Finish() {
  RETURN_IF_ERROR(Flush());
  std::string temporary = path_ + ".new";
  if (fsync(fd_) != 0) return Failed("writing", path_);
  RETURN_IF_ERROR(GiveTo(temporary, owner_));
  if (rename(temporary.c_str(), path_.c_str()) != 0) return Failed("writing", path_);
  close(std::exchange(fd_, -1));
  return SyncFolder(std::filesystem::path(path_).parent_path());
}

}  // namespace paceline::mysqld
