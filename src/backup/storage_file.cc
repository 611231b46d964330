#include "backup/storage_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/rng.h"
#include "base/strings.h"

namespace paceline::backup {
namespace {

namespace fs = std::filesystem;

// Objects under way end so; they are no objects.
constexpr std::string_view kUnfinished = ".unfinished";

std::unexpected<Error> Failed(std::string_view doing, const std::string& path, int error) {
  Code code = Code::kUnavailable;
  if (error == ENOSPC || error == EDQUOT) code = Code::kResourceExhausted;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kPermissionDenied;
  if (error == ENOENT) code = Code::kNotFound;
  return Fail(code, "{} {}: {}", doing, path, strerror(error));
}

class FileWriter final : public ObjectWriter {
 public:
  FileWriter(int fd, std::string temporary, std::string path)
      : fd_(fd), temporary_(std::move(temporary)), path_(std::move(path)) {}
  ~FileWriter() override {
    if (fd_ >= 0) close(fd_);
    if (!committed_) unlink(temporary_.c_str());
  }
  Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t wrote = write(fd_, bytes.data(), bytes.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) return Failed("writing", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(wrote));
    }
    return {};
  }
  Status Commit() override {
    if (fsync(fd_) != 0) return Failed("syncing", path_, errno);
    int failed = close(std::exchange(fd_, -1));
    if (failed != 0) return Failed("writing", path_, errno);
    if (rename(temporary_.c_str(), path_.c_str()) != 0) return Failed("writing", path_, errno);
    committed_ = true;
    int folder = open(fs::path(path_).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return Failed("syncing", path_, errno);
    int unsynced = fsync(folder);
    int error = errno;
    close(folder);
    if (unsynced != 0) return Failed("syncing", path_, error);
    return {};
  }

 private:
  int fd_;
  bool committed_ = false;
  std::string temporary_, path_;
};

class FileReader final : public ObjectReader {
 public:
  FileReader(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~FileReader() override { close(fd_); }
  Result<size_t> Read(char* buffer, size_t size) override {
    for (;;) {
      ssize_t got = read(fd_, buffer, size);
      if (got >= 0) return static_cast<size_t>(got);
      if (errno != EINTR) return Failed("reading", path_, errno);
    }
  }

 private:
  int fd_;
  std::string path_;
};

class FileStorage final : public Storage {
 public:
  explicit FileStorage(std::string root) : root_(std::move(root)) {}
  std::string Describe() const override { return "file " + root_; }

  Result<std::unique_ptr<ObjectWriter>> Create(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckRoot());
    std::string whole = root_ + "/" + path;
    std::error_code error;
    fs::create_directories(fs::path(whole).parent_path(), error);
    if (error) return Failed("making the folder of", whole, error.value());
    std::string temporary =
        fmt::format("{}.{:08x}{}", whole, ThreadRng().Below(1u << 31), kUnfinished);
    int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0) return Failed("writing", whole, errno);
    return std::make_unique<FileWriter>(fd, std::move(temporary), std::move(whole));
  }
  Result<std::unique_ptr<ObjectReader>> Open(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    std::string whole = root_ + "/" + path;
    int fd = open(whole.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Failed("opening", whole, errno);
    return std::make_unique<FileReader>(fd, std::move(whole));
  }
  Result<std::vector<std::string>> List(const std::string& folder) override {
    RETURN_IF_ERROR(CheckPath(folder));
    RETURN_IF_ERROR(CheckRoot());
    std::vector<std::string> names;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(root_ + "/" + folder, error)) {
      std::string name = entry.path().filename().string();
      std::error_code ignored;
      bool hollow = name.ends_with(kUnfinished) ||
                    (entry.is_directory(ignored) && fs::is_empty(entry.path(), ignored));
      if (!hollow) names.push_back(std::move(name));
    }
    if (error && error.value() != ENOENT)
      return Failed("listing", root_ + "/" + folder, error.value());
    std::ranges::sort(names);
    return names;
  }
  Status RemoveAll(const std::string& folder) override {
    RETURN_IF_ERROR(CheckPath(folder));
    std::error_code error;
    fs::remove_all(root_ + "/" + folder, error);
    if (error) return Failed("removing", root_ + "/" + folder, error.value());
    return {};
  }

 private:
  Status CheckRoot() const {
    struct stat at;
    if (stat(root_.c_str(), &at) != 0) return Failed("opening backup storage", root_, errno);
    if (!S_ISDIR(at.st_mode)) return Failed("opening backup storage", root_, ENOTDIR);
    return {};
  }
  std::string root_;
};

}  // namespace

Result<std::unique_ptr<Storage>> OpenFileStorage(const std::string& root) {
  if (!root.starts_with('/')) {
    return Fail(Code::kInvalidArgument,
                "--file-backup-storage-root must be a folder's whole path, not \"{}\"", root);
  }
  return std::make_unique<FileStorage>(root);
}

}  // namespace paceline::backup
