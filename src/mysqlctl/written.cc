// mysqlctld's part in resolving writes in flight: it owns the log files.
#include "mysqld/written.h"

#include "io/blocking.h"
#include "mysqlctl/agent.h"
#include "port/query_service.h"

namespace paceline::mysqlctl {
namespace {

port::Written Told(mysqld::WrittenLogs logs) {
  port::Written written;
  written.told = logs.told.ToEncoded();
  written.procedures = logs.procedures.ToEncoded();
  for (mysqld::AttemptWrite& write : logs.writes) {
    port::WrittenAttempt& attempt = written.attempts.emplace_back();
    attempt.attempt = write.attempt;
    attempt.gtid = write.gtid.ToString();
    attempt.statements = write.statements;
    for (mysql::binlog::TableChange& change : write.changes) {
      attempt.changes.push_back({std::move(change.database), std::move(change.table),
                                 change.inserted, change.updated, change.deleted, change.columns,
                                 std::move(change.first_row)});
    }
  }
  return written;
}

}  // namespace

io::Task<Result<port::Written>> Mysqlctld::ReadWritten(port::WrittenQuery query, Deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "mysqlctld is stopping");
  Result<gtid::Set> known = gtid::Set::ParseEncoded(query.known);
  if (!known) co_return Fail(known.error());
  const mysqld::Layout& layout = instance_.layout();
  mysqld::WrittenOptions options;
  options.attempt_min = port::kAttemptMin;
  options.known = std::move(*known);
  options.relay = query.received;
  std::string index =
      query.received ? layout.relay_logs() + "/vt-relay.index" : layout.bin_log_base() + ".index";
  std::function<Result<port::Written>()> read = [index, options]() -> Result<port::Written> {
    ASSIGN_OR_RETURN(mysqld::WrittenLogs logs, mysqld::ReadWritten(index, options));
    return Told(std::move(logs));
  };
  Result<port::Written> written = co_await io::RunBlocking<Result<port::Written>>(std::move(read));
  co_return written;
}

}  // namespace paceline::mysqlctl
