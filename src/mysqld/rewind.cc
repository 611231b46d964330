#include "mysqld/rewind.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/strings.h"
#include "mysql/binlog/reader.h"
#include "mysqld/folder.h"
#include "mysqld/log_file.h"

namespace paceline::mysqld {
namespace {

namespace binlog = mysql::binlog;

constexpr size_t kCopyBytes = 256 << 10;

std::string FolderOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

// Why a transaction cannot be taken back; empty: it can.
std::string WhyKept(const binlog::Transaction& transaction) {
  std::string name = transaction.gtid.ToString();
  if (transaction.gtid.sequence == 0) return "it holds a transaction without a GTID";
  if (transaction.traits & binlog::kIsXa) return name + " is an XA transaction";
  if (transaction.traits & binlog::kNotTransactional) return name + " is not transactional";
  if (transaction.traits & binlog::kHasStatements)
    return fmt::format("{} holds the statement {}", name, transaction.statement);
  if (transaction.traits & binlog::kHasUnknownEvents)
    return name + " holds events that are not known";
  if (!(transaction.traits & binlog::kEndsInXid))
    return name + " was not committed by a transactional engine";
  return "";
}

// One log's part of the tail.
class LogScan {
 public:
  LogScan(const gtid::Set& keep, const std::string& sidecar, BinlogTail& tail)
      : keep_(keep), sidecar_(sidecar), tail_(tail) {}

  Status File(const std::string& path) {
    ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(path));
    if (file->size() < binlog::kMagic.size()) return {};
    binlog::EventReader events(*file, path);
    binlog::TransactionReader reader(events);
    for (;;) {
      Result<const binlog::Transaction*> next = reader.Next();
      if (!next && next.error().code() == Code::kUnimplemented) {
        Refuse(next.error().message());
        return {};
      }
      if (!next && next.error().code() == Code::kDataLoss) {
        // What a crash left of the newest events; where it is older, nothing after it is read.
        Cut(path, reader.open() ? reader.current().begin : events.offset());
        break;
      }
      if (!next) return Fail(next.error());
      if (*next == nullptr) {
        if (!events.torn().empty()) Cut(path, events.offset());
        break;
      }
      Take(path, **next);
    }
    if (!tail_.file.empty()) tail_.bytes += file->size() - (path == tail_.file ? tail_.offset : 0);
    return {};
  }
  bool seen_kept() const { return seen_kept_; }

 private:
  void Refuse(std::string why) {
    if (tail_.refused.empty()) tail_.refused = std::move(why);
  }
  void Cut(const std::string& path, uint64_t at) {
    if (!tail_.file.empty()) return;
    tail_.file = path;
    tail_.offset = at;
  }

  void Take(const std::string& path, const binlog::Transaction& transaction) {
    const gtid::Gtid& gtid = transaction.gtid;
    if (!transaction.complete) return Cut(path, transaction.begin);  // written during the crash
    if (gtid.sequence != 0 && keep_.Contains(gtid)) {
      if (!tail_.file.empty())
        Refuse(fmt::format("{} is to be kept and comes after what is not", gtid.ToString()));
      seen_kept_ = true;
      return;
    }
    Cut(path, transaction.begin);
    if (gtid.sequence != 0) tail_.lost.push_back(gtid);
    for (const std::string& database : transaction.databases)
      tail_.only_sidecar = tail_.only_sidecar && database == sidecar_;
    if (std::string why = WhyKept(transaction); !why.empty()) Refuse(std::move(why));
  }

  const gtid::Set& keep_;
  const std::string& sidecar_;
  BinlogTail& tail_;
  bool seen_kept_ = false;
};

// The events that tell how the others are to be read.
Result<uint64_t> EndOfHead(LogFile& file, const BinlogTail& tail) {
  binlog::EventReader events(file, tail.file);
  uint64_t end = binlog::kMagic.size();
  while (end < tail.offset) {
    ASSIGN_OR_RETURN(bool more, events.Next());
    const uint8_t type = more ? events.header().type : uint8_t{0};
    const bool describes =
        type == binlog::kFormat || type == binlog::kPreviousGtids || type == binlog::kMariaGtidList;
    if (!describes) break;
    end = events.end();
  }
  return std::min(end, tail.offset);
}

}  // namespace

Result<BinlogTail> FindTail(const std::string& index_file, const gtid::Set& keep,
                            const std::string& sidecar) {
  ASSIGN_OR_RETURN(std::vector<std::string> files, ReadLogIndex(index_file));
  if (files.empty()) return Fail(Code::kDataLoss, "{} names no file", index_file);
  BinlogTail tail;
  for (size_t i = files.size(); i-- > 0;) {
    BinlogTail here;
    LogScan scan(keep, sidecar, here);
    RETURN_IF_ERROR(scan.File(files[i]));
    if (i + 1 == files.size()) {
      tail = std::move(here);
    } else if (!here.refused.empty()) {
      tail.refused = std::move(here.refused);
    } else if (!here.file.empty()) {
      tail.refused = "its tail begins in " + files[i] + ", which is not the last log";
    }
    if (scan.seen_kept() || !tail.refused.empty()) break;
  }
  return tail;
}

Result<std::string> ExportTail(const BinlogTail& tail, const std::string& folder,
                               const std::string& name) {
  RETURN_IF_ERROR(MakeFolder(folder, ""));
  std::string path = folder + "/" + name;
  ASSIGN_OR_RETURN(std::unique_ptr<LogFile> log, LogFile::Open(tail.file));
  ASSIGN_OR_RETURN(uint64_t head, EndOfHead(*log, tail));
  ASSIGN_OR_RETURN(std::unique_ptr<DurableFile> out, DurableFile::Create(path, ""));
  ASSIGN_OR_RETURN(std::string_view bytes, log->Read(0, head));
  RETURN_IF_ERROR(out->Append(bytes));
  for (uint64_t at = tail.offset; at < log->size();) {
    ASSIGN_OR_RETURN(bytes, log->Read(at, std::min<uint64_t>(kCopyBytes, log->size() - at)));
    RETURN_IF_ERROR(out->Append(bytes));
    at += bytes.size();
  }
  RETURN_IF_ERROR(out->Finish());
  return path;
}

Status CutTail(const BinlogTail& tail) {
  if (tail.file.empty()) return {};
  int fd = open(tail.file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Fail(Code::kUnavailable, "cannot open {}: {}", tail.file, strerror(errno));
  bool cut = ftruncate(fd, static_cast<off_t>(tail.offset)) == 0 && fsync(fd) == 0;
  int error = errno;
  close(fd);
  if (!cut) return Fail(Code::kUnavailable, "cannot cut {}: {}", tail.file, strerror(error));
  return SyncFolder(FolderOf(tail.file));
}

}  // namespace paceline::mysqld
