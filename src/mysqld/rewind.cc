#include "mysqld/rewind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/strings.h"

namespace paceline::mysqld {
namespace {

constexpr size_t kHeader = 19;
constexpr std::string_view kMagic(
    "\xfe"
    "bin",
    4);

enum EventType : uint8_t {
  kQuery = 2,
  kRotate = 4,
  kFormat = 15,
  kXid = 16,
  kRowsQuery = 29,
  kGtid = 33,
  kAnonymousGtid = 34,
  kPreviousGtids = 35,
  kXaPrepare = 38,
  kTaggedGtid = 42,
  kMariadbAnnotate = 160,
  kMariadbGtid = 162,
  kMariadbGtidList = 163,
  kMariadbStartEncryption = 164,
};
constexpr uint8_t kStandalone = 1, kTransactional = 4, kDdl = 32, kXa = 64 | 128;

uint64_t Little(std::string_view bytes, size_t at, size_t count) {
  uint64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file) return Fail(Code::kNotFound, "cannot read {}: {}", path, strerror(errno));
  return text.str();
}

Status SyncPath(const std::string& path, int flags) {
  int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return Fail(Code::kUnavailable, "cannot open {}: {}", path, strerror(errno));
  bool synced = fsync(fd) == 0;
  int error = errno;
  close(fd);
  if (!synced) return Fail(Code::kUnavailable, "cannot sync {}: {}", path, strerror(error));
  return {};
}

std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

struct Event {
  uint8_t type = 0;
  uint32_t server_id = 0;
  std::string_view body;  // with the checksum, where there is one
};

// One log file, event by event.
class LogScan {
 public:
  LogScan(gtid::Flavor flavor, const gtid::Set& keep, BinlogTail& tail)
      : flavor_(flavor), keep_(keep), tail_(tail) {}

  Status File(const std::string& path, std::string_view bytes) {
    if (!bytes.starts_with(kMagic)) {
      if (bytes.starts_with(std::string_view("\xfd"
                                             "bin",
                                             4)))
        Refuse("the log is encrypted");
      if (tail_.refused.empty() && bytes.size() >= kMagic.size())
        return Fail(Code::kDataLoss, "{} is no binary log", path);
      return {};
    }
    size_t at = kMagic.size();
    while (at < bytes.size()) {
      size_t left = bytes.size() - at;
      size_t size = left < kHeader ? 0 : Little(bytes, at + 9, 4);
      if (size < kHeader || size > left) {  // torn by the crash
        Cut(path, at);
        break;
      }
      Event event{static_cast<uint8_t>(bytes[at + 4]),
                  static_cast<uint32_t>(Little(bytes, at + 5, 4)),
                  bytes.substr(at + kHeader, size - kHeader)};
      Take(path, at, event);
      at += size;
    }
    if (!tail_.file.empty()) tail_.bytes += bytes.size() - (path == tail_.file ? tail_.offset : 0);
    return {};
  }
  bool seen_kept() const { return seen_kept_; }

 private:
  void Refuse(std::string why) {
    if (tail_.refused.empty()) tail_.refused = std::move(why);
  }
  void Cut(const std::string& path, uint64_t at) {
    if (tail_.file.empty()) {
      tail_.file = path;
      tail_.offset = at;
    }
  }
  bool InTail() const { return !tail_.file.empty(); }

  void Take(const std::string& path, uint64_t at, const Event& event) {
    switch (event.type) {
      case kGtid:
      case kMariadbGtid:
        TakeGtid(path, at, event);
        return;
      case kAnonymousGtid:
        Cut(path, at);
        Refuse("it holds a transaction without a GTID");
        return;
      case kTaggedGtid:
        // Where it falls cannot be told here: only what comes before the cut may have tags.
        if (InTail()) Refuse("it holds a tagged GTID");
        tagged_ = true;
        return;
      case kMariadbStartEncryption:
        Refuse("the log is encrypted");
        return;
      case kXaPrepare:
        if (InTail()) Refuse("it holds an XA transaction");
        return;
      case kQuery:
        if (InTail()) TakeQuery(event);
        return;
      default:
        return;
    }
  }

  void TakeGtid(const std::string& path, uint64_t at, const Event& event) {
    gtid::Gtid gtid;
    uint8_t flags = 0;
    if (flavor_ == gtid::Flavor::kMysql) {
      if (event.body.size() < 25) return Refuse("it holds a GTID event that cannot be read");
      gtid.source.flavor = flavor_;
      std::copy_n(event.body.begin() + 1, 16, gtid.source.id.begin());
      gtid.sequence = Little(event.body, 17, 8);
    } else {
      if (event.body.size() < 13) return Refuse("it holds a GTID event that cannot be read");
      gtid.sequence = Little(event.body, 0, 8);
      gtid.source =
          gtid::Source::Mariadb(static_cast<uint32_t>(Little(event.body, 8, 4)), event.server_id);
      flags = static_cast<uint8_t>(event.body[12]);
    }
    if (keep_.Contains(gtid)) {
      if (InTail())
        Refuse(fmt::format("{} is to be kept and comes after what is not", gtid.ToString()));
      seen_kept_ = true;
      return;
    }
    if (tagged_ && !InTail()) Refuse("the log has tagged GTIDs");
    Cut(path, at);
    tail_.lost.push_back(gtid);
    if (flavor_ == gtid::Flavor::kMariadb) {
      if ((flags & kStandalone) || (flags & kDdl)) Refuse(gtid.ToString() + " is a DDL statement");
      if (!(flags & kTransactional)) Refuse(gtid.ToString() + " is not transactional");
      if (flags & kXa) Refuse(gtid.ToString() + " is an XA transaction");
    }
  }

  // MySQL: thread_id 4, exec_time 4, database's length 1, error 2, status variables' length 2, then
  // both, a zero byte, and the statement.
  void TakeQuery(const Event& event) {
    if (flavor_ == gtid::Flavor::kMariadb) {
      // Its flags have told of DDL; a COMMIT here ends what no transactional engine took part in.
      if (event.body.find("COMMIT") != std::string_view::npos && event.body.size() < 200)
        Refuse("it holds a change of a non-transactional table");
      return;
    }
    if (event.body.size() < 13) return Refuse("it holds a statement that cannot be read");
    size_t skip = 13 + Little(event.body, 11, 2) + static_cast<uint8_t>(event.body[8]) + 1;
    if (skip > event.body.size()) return Refuse("it holds a statement that cannot be read");
    std::string_view text = event.body.substr(skip);
    if (text.starts_with("BEGIN") && text.size() <= 9) return;  // and the checksum
    Refuse(fmt::format("it holds the statement {}", text.substr(0, 40)));
  }

  gtid::Flavor flavor_;
  const gtid::Set& keep_;
  BinlogTail& tail_;
  bool tagged_ = false;
  bool seen_kept_ = false;
};

// The index's lines as absolute paths.
Result<std::vector<std::string>> LogFiles(const std::string& index_file) {
  ASSIGN_OR_RETURN(std::string text, ReadWhole(index_file));
  std::vector<std::string> files;
  for (std::string_view line : Split(text, '\n')) {
    line = Trim(line);
    if (line.empty()) continue;
    bool absolute = line.starts_with('/');
    std::string name(
        line.substr(line.rfind('/') == std::string_view::npos ? 0 : line.rfind('/') + 1));
    files.push_back(absolute ? std::string(line) : FolderOf(index_file) + "/" + name);
  }
  return files;
}

}  // namespace

Result<BinlogTail> FindTail(const std::string& index_file, gtid::Flavor flavor,
                            const gtid::Set& keep) {
  ASSIGN_OR_RETURN(std::vector<std::string> files, LogFiles(index_file));
  if (files.empty()) return Fail(Code::kDataLoss, "{} names no file", index_file);
  BinlogTail tail;
  for (size_t i = files.size(); i-- > 0;) {
    ASSIGN_OR_RETURN(std::string bytes, ReadWhole(files[i]));
    BinlogTail here;
    LogScan scan(flavor, keep, here);
    RETURN_IF_ERROR(scan.File(files[i], bytes));
    bool last = i + 1 == files.size();
    if (last) {
      tail = std::move(here);
    } else if (!here.file.empty()) {
      tail.refused = "its tail begins in " + files[i] + ", which is not the last log";
    }
    if (scan.seen_kept() || !tail.refused.empty()) break;
  }
  return tail;
}

Result<std::string> ExportTail(const BinlogTail& tail, const std::string& folder,
                               const std::string& name) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string path = folder + "/" + name;
  ASSIGN_OR_RETURN(std::string first, ReadWhole(tail.file));
  // The head of the file, up to its first transaction, tells mysqlbinlog how to read the rest.
  size_t head = kMagic.size();
  while (head + kHeader <= first.size() && head < tail.offset) {
    auto type = static_cast<uint8_t>(first[head + 4]);
    size_t size = Little(first, head + 9, 4);
    bool description = type == kFormat || type == kPreviousGtids || type == kMariadbGtidList;
    if (!description || size < kHeader) break;
    head += size;
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << first.substr(0, head) << first.substr(tail.offset);
  file.close();
  if (!file) return Fail(Code::kUnavailable, "cannot write {}: is the disk full?", path);
  RETURN_IF_ERROR(SyncPath(path, O_RDONLY));
  RETURN_IF_ERROR(SyncPath(folder, O_RDONLY | O_DIRECTORY));
  return path;
}

Status CutTail(const BinlogTail& tail) {
  if (tail.file.empty()) return {};
  if (truncate(tail.file.c_str(), static_cast<off_t>(tail.offset)) != 0)
    return Fail(Code::kUnavailable, "cannot cut {}: {}", tail.file, strerror(errno));
  RETURN_IF_ERROR(SyncPath(tail.file, O_RDONLY));
  return SyncPath(FolderOf(tail.file), O_RDONLY | O_DIRECTORY);
}

}  // namespace paceline::mysqld
