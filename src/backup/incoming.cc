#include "backup/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "mysqld/folder.h"

namespace paceline::backup {
namespace {

namespace fs = std::filesystem;

constexpr const char* kParts[] = {"data", "innodb", "bin-logs", "relay-logs"};

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

Status Move(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return {};
  return Fail(errno == ENOSPC ? Code::kResourceExhausted : Code::kInternal, "moving {} to {}: {}",
              from, to, strerror(errno));
}

void SyncFolder(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

// The file system that holds `path`, all of it: thousands of files, one call.
Status SyncDisk(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Fail(Code::kInternal, "opening {}: {}", path, strerror(errno));
  int failed = syncfs(fd);
  int error = errno;
  close(fd);
  if (failed == 0) return {};
  return Fail(error == ENOSPC ? Code::kResourceExhausted : Code::kInternal, "syncing {}: {}", path,
              strerror(error));
}

enum class Place : uint8_t { kData, kInnodbData, kInnodbLogs, kDrop };

Place PlaceOf(std::string_view name) {
  if (name.starts_with("ibdata") || name.ends_with(".dblwr") || name.ends_with(".bdblwr"))
    return Place::kInnodbData;
  if (name.starts_with("ib_logfile") || name == "#innodb_redo") return Place::kInnodbLogs;
  bool drop = name.starts_with("ibtmp") || name.starts_with("xtrabackup_") ||
              name.starts_with("mariadb_backup_") || name == "backup-my.cnf" ||
              name == "auto.cnf" || name == "#innodb_temp" || name == "aria_log_control.old";
  return drop ? Place::kDrop : Place::kData;
}

}  // namespace

Status Incoming::Begin() {
  if (Pending()) {
    return Fail(Code::kFailedPrecondition, "{} holds a seed that has not taken its place yet",
                layout_.dir);
  }
  RETURN_IF_ERROR(Discard());
  return mysqld::MakeFolder(folder(), owner_);
}

Status Incoming::Discard() { return mysqld::RemoveTree(folder()); }

Status Incoming::Sort() {
  mysqld::Layout made = sorted();
  for (const std::string& one : made.folders()) {
    if (one == made.tmp()) continue;
    RETURN_IF_ERROR(mysqld::MakeFolder(one, owner_));
  }
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(raw(), error)) {
    std::string name = entry.path().filename().string();
    std::string from = entry.path().string();
    switch (PlaceOf(name)) {
      case Place::kInnodbData:
        RETURN_IF_ERROR(Move(from, made.innodb_data() + "/" + name));
        break;
      case Place::kInnodbLogs:
        RETURN_IF_ERROR(Move(from, made.innodb_logs() + "/" + name));
        break;
      case Place::kData:
        RETURN_IF_ERROR(Move(from, made.data() + "/" + name));
        break;
      case Place::kDrop:
        break;
    }
  }
  if (error) return Fail(Code::kInternal, "reading {}: {}", raw(), error.message());
  if (mysqld::IsEmptyFolder(made.data()))
    return Fail(Code::kDataLoss, "what arrived in {} holds no data", raw());
  return {};
}

Status Incoming::Flatten() {
  for (const char* part : {"/innodb/data", "/innodb/logs", "/data"}) {
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator(raw() + part, error)) {
      std::string name = entry.path().filename().string();
      // A database may be called as the folder that it leaves.
      std::string to = raw() + "/" + name;
      // A clone leaves these beside the data, where its server does not look for them; after a
      // clean end neither holds anything that is needed.
      bool needless =
          name.ends_with(".dblwr") || name.ends_with(".bdblwr") || name == "ib_buffer_pool";
      if (needless && Exists(to)) {
        RETURN_IF_ERROR(mysqld::RemoveTree(entry.path().string()));
        continue;
      }
      if (Exists(to)) return Fail(Code::kDataLoss, "{} holds {} twice", raw(), name);
      RETURN_IF_ERROR(Move(entry.path().string(), to));
    }
    if (error) return Fail(Code::kDataLoss, "reading {}{}: {}", raw(), part, error.message());
  }
  RETURN_IF_ERROR(mysqld::RemoveTree(raw() + "/innodb"));
  return mysqld::RemoveTree(raw() + "/data");
}

Status Incoming::Complete(const std::string& position) {
  RETURN_IF_ERROR(Sort());
  RETURN_IF_ERROR(SyncDisk(folder()));
  return mysqld::WriteFileDurably(Marker(), position + "\n", owner_);
}

std::optional<std::string> Incoming::Pending() const {
  if (!Exists(Marker())) return std::nullopt;
  std::string text = mysqld::ReadFileFrom(Marker(), 0, 1 << 20);
  return text.substr(0, text.find('\n'));
}

bool Incoming::Placed() const { return Exists(Marker()) && !Exists(folder()); }

Status Incoming::TakePlace() {
  RETURN_IF_ERROR(mysqld::MakeFolder(Aside(), owner_));
  for (const char* part : kParts) {
    std::string made = folder() + "/new/" + part;
    if (!Exists(made)) continue;  // an earlier call has placed it
    std::string live = layout_.dir + "/" + part, aside = Aside() + "/" + part;
    if (Exists(live)) {
      RETURN_IF_ERROR(Exists(aside) ? mysqld::RemoveTree(live) : Move(live, aside));
    }
    RETURN_IF_ERROR(Move(made, live));
  }
  SyncFolder(layout_.dir);
  RETURN_IF_ERROR(mysqld::RemoveTree(folder()));
  // An init that was cut short left this: what stands here now is whole.
  unlink(layout_.unfinished_file().c_str());
  return {};
}

Status Incoming::Finished() {
  if (unlink(Marker().c_str()) != 0 && errno != ENOENT)
    return Fail(Code::kInternal, "removing {}: {}", Marker(), strerror(errno));
  SyncFolder(layout_.dir);
  return {};
}

bool Incoming::HasAside() const { return Exists(Aside()); }

Status Incoming::ForgetAside(bool keep_logs, const std::string& stamp) {
  if (!HasAside()) return {};
  std::string logs = Aside() + "/bin-logs";
  if (keep_logs && !mysqld::IsEmptyFolder(logs)) {
    RETURN_IF_ERROR(mysqld::MakeFolder(layout_.dir + "/errant", owner_));
    RETURN_IF_ERROR(Move(logs, layout_.dir + "/errant/bin-logs-" + stamp));
  }
  return mysqld::RemoveTree(Aside());
}

uint64_t Incoming::BytesBelow(const std::string& path) {
  uint64_t bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator at(path, error), end;
  while (!error && at != end) {
    struct stat file;
    if (lstat(at->path().c_str(), &file) == 0 && S_ISREG(file.st_mode))
      bytes += static_cast<uint64_t>(file.st_blocks) * 512;
    at.increment(error);
  }
  return bytes;
}

}  // namespace paceline::backup
