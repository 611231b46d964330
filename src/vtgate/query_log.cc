#include "vtgate/query_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace paceline::vtgate {
namespace {

constexpr size_t kMostWaiting = 4 << 20;

}  // namespace

std::string ToJson(const QueryLogLine& line, WallTime now) {
  nlohmann::ordered_json json;
  json["time_unix_ms"] = now.unix_ns / 1'000'000;
  json["user"] = line.user;
  json["host"] = line.host;
  json["connection_id"] = line.connection_id;
  json["keyspace"] = line.keyspace;
  json["tablet_type"] = line.tablet_type;
  json["statement"] = line.statement;
  json["fingerprint"] = fmt::format("{:016x}", line.fingerprint);
  json["duration_ms"] = std::chrono::duration<double, std::milli>(line.time).count();
  json["rows"] = line.rows;
  json["affected"] = line.affected;
  json["error_number"] = line.error_number;
  if (!line.error.empty()) json["error"] = line.error;
  json["prepared"] = line.prepared;
  json["in_transaction"] = line.in_transaction;
  // Statements in other character sets are no UTF-8.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::unique_ptr<QueryLog>> QueryLog::Open(QueryLogOptions options) {
  const int fd = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd < 0) return Fail(Code::kInvalidArgument, "{}: {}", options.file, strerror(errno));
  return std::unique_ptr<QueryLog>(new QueryLog(std::move(options), fd));
}

QueryLog::QueryLog(QueryLogOptions options, int fd)
    : options_(std::move(options)), fd_(fd), worker_("query-log") {}

QueryLog::~QueryLog() {
  worker_.Post([fd = fd_] { ::close(fd); });
}

bool QueryLog::Wants(Duration time, uint64_t rows, double chance) const {
  return chance < options_.sample_rate && time >= options_.time_threshold &&
         rows >= static_cast<uint64_t>(std::max<int64_t>(0, options_.row_threshold));
}

void QueryLog::Write(const QueryLogLine& line, WallTime now) {
  std::string text = ToJson(line, now);
  std::lock_guard lock(mutex_);
  if (waiting_.size() + text.size() > kMostWaiting) {
    ++dropped_;
    return;
  }
  waiting_ += text;
  waiting_ += '\n';
  if (std::exchange(flushing_, true)) return;
  worker_.Post([this] { Flush(); });
}

void QueryLog::Flush() {
  for (;;) {
    std::string lines;
    {
      std::lock_guard lock(mutex_);
      lines.swap(waiting_);
      flushing_ = !lines.empty();
      if (!flushing_) return;
    }
    for (std::string_view rest = lines; !rest.empty();) {
      const ssize_t written = ::write(fd_, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        ++dropped_;
        LOG_WARNING("query log {}: {}", options_.file, strerror(errno));
        break;
      }
      rest.remove_prefix(static_cast<size_t>(written));
    }
  }
}

}  // namespace paceline::vtgate
