// mysqld/log_file.h - binary and relay log files on this machine: their index, their bytes, and
// files written so that they outlive a crash. Each call blocks; use from a blocking thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "mysql/binlog/reader.h"

namespace paceline::mysqld {

// The paths that an index file lists, oldest first; relative ones are meant from its folder.
// Errors: kNotFound.
Result<std::vector<std::string>> ReadLogIndex(const std::string& index);

// Reads through a buffer; the size is that at Open, so a log that grows is read up to there.
class LogFile final : public mysql::binlog::ByteSource {
 public:
  static Result<std::unique_ptr<LogFile>> Open(const std::string& path);
  ~LogFile() override;
  LogFile(const LogFile&) = delete;
  uint64_t size() const override { return size_; }
  Result<std::string_view> Read(uint64_t offset, size_t size) override;

 private:
  LogFile(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  std::string path_;
  int fd_;
  uint64_t size_;
  std::string buffer_;
  uint64_t buffered_at_ = 0;
};

// A file that is there wholly or not at all: written beside its name, synced, renamed.
class DurableFile {
 public:
  // `owner` as in folder.h.
  static Result<std::unique_ptr<DurableFile>> Create(std::string path, std::string owner);
  // Removes what was not finished.
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  Status Append(std::string_view text);
  Status Finish();

 private:
  DurableFile(std::string path, std::string owner, int fd)
      : path_(std::move(path)), owner_(std::move(owner)), fd_(fd) {}
  Status Flush();
  std::string path_, owner_;
  int fd_;
  std::string buffer_;
};

}  // namespace paceline::mysqld
