#include "mysqld/rows_between.h"

#include <algorithm>

#include "mysqld/log_file.h"

namespace paceline::mysqld {
namespace {

namespace binlog = mysql::binlog;

// The last sequence of each domain, whoever wrote it.
std::map<uint32_t, uint64_t> Ends(const gtid::Set& position) {
  std::map<uint32_t, uint64_t> ends;
  for (const gtid::Set::Entry& entry : position.entries()) {
    uint64_t& end = ends[entry.source.domain()];
    end = std::max(end, entry.intervals.back().last);
  }
  return ends;
}

bool Within(const std::map<uint32_t, uint64_t>& ends, const gtid::Gtid& gtid) {
  auto end = ends.find(gtid.source.domain());
  return end != ends.end() && gtid.sequence <= end->second;
}

// Adds what a log holds of the range. False: it does not tell.
Result<bool> AddLog(const std::string& path, const std::map<uint32_t, uint64_t>& from,
                    const std::map<uint32_t, uint64_t>& to, RowGrowth& growth, gtid::Set* head) {
  ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(path));
  binlog::EventReader events(*file, path);
  binlog::TransactionReader reader(events);
  auto wanted = [&](const binlog::Transaction& transaction) {
    return !Within(from, transaction.gtid) && Within(to, transaction.gtid);
  };
  reader.CountRows(wanted);
  for (;;) {
    ASSIGN_OR_RETURN(const binlog::Transaction* transaction, reader.Next());
    if (transaction == nullptr) break;
    if (!wanted(*transaction)) continue;
    constexpr uint32_t kOpaque = binlog::kHasStatements | binlog::kIsXa | binlog::kHasUnknownEvents;
    bool rows = (transaction->traits & binlog::kHasRows) != 0;
    if (!transaction->complete || (transaction->traits & kOpaque) != 0 ||
        (rows && transaction->statements == 0))
      return false;
    for (const binlog::TableChange& change : transaction->changes) {
      growth[{change.database, change.table}] +=
          static_cast<int64_t>(change.inserted) - static_cast<int64_t>(change.deleted);
    }
  }
  *head = reader.previous();
  return reader.previous_seen();
}

}  // namespace

Result<std::optional<RowGrowth>> RowsBetween(const std::string& index, const gtid::Set& from,
                                             const gtid::Set& to, uint64_t bytes_max) {
  const std::map<uint32_t, uint64_t> begins = Ends(from), ends = Ends(to);
  RowGrowth growth;
  if (begins == ends) return growth;
  ASSIGN_OR_RETURN(std::vector<std::string> logs, ReadLogIndex(index));
  uint64_t bytes = 0;
  for (size_t i = logs.size(); i-- > 0;) {
    ASSIGN_OR_RETURN(std::unique_ptr<LogFile> file, LogFile::Open(logs[i]));
    bytes += file->size();
    if (bytes > bytes_max) return std::nullopt;
    gtid::Set head;
    ASSIGN_OR_RETURN(bool told, AddLog(logs[i], begins, ends, growth, &head));
    if (!told) return std::nullopt;
    // All that older logs hold is before `from`.
    bool reaches = std::ranges::all_of(Ends(head), [&](const auto& end) {
      auto begin = begins.find(end.first);
      return begin != begins.end() && end.second <= begin->second;
    });
    if (reaches) return growth;
  }
  return std::nullopt;
}

}  // namespace paceline::mysqld
