#include "mysqld/binary_logs.h"

#include "base/strings.h"

namespace paceline::mysqld {

io::Task<Result<std::vector<BinaryLog>>> ListBinaryLogs(Replication& server, Deadline deadline) {
  std::string ask = "SHOW BINARY LOGS";
  Result<mysql::QueryResult> answer = co_await server.admin().Query(std::move(ask), deadline);
  if (!answer) co_return Fail(answer.error().Context("listing the binary logs"));
  if (answer->rows.empty())
    co_return Fail(Code::kFailedPrecondition, "the binary log is off on this server");
  std::vector<BinaryLog> logs;
  for (size_t row = 0; row < answer->rows.size(); ++row) {
    logs.push_back(
        {answer->Text(row, "Log_name"), ParseUint(answer->Text(row, "File_size")).value_or(0)});
  }
  co_return logs;
}

io::Task<Result<gtid::Set>> BeforeBinaryLog(Replication& server, std::string log,
                                            Deadline deadline) {
  // The first event tells the format, the second what came before; a crash may leave a log without.
  std::string ask = fmt::format("SHOW BINLOG EVENTS IN {} LIMIT 2", QuoteText(log));
  Result<mysql::QueryResult> answer = co_await server.admin().Query(std::move(ask), deadline);
  if (!answer) co_return Fail(answer.error().Context("looking into binary log " + log));
  for (size_t row = 0; row < answer->rows.size(); ++row) {
    const std::string type = answer->Text(row, "Event_type");
    std::string info = answer->Text(row, "Info");
    if (type == "Previous_gtids") co_return gtid::Set::Parse(gtid::Flavor::kMysql, info);
    if (type != "Gtid_list" || info.size() < 2) continue;
    co_return gtid::Set::Parse(gtid::Flavor::kMariadb, info.substr(1, info.size() - 2));
  }
  co_return Fail(Code::kNotFound, "binary log {} does not say what came before it", log);
}

io::Task<Status> RotateBinaryLog(Replication& server, Deadline deadline) {
  std::vector<std::string> flush = {"FLUSH NO_WRITE_TO_BINLOG BINARY LOGS"};
  Status done = co_await server.admin().Run(std::move(flush), deadline);
  if (!done) co_return Fail(done.error().Context("beginning a new binary log"));
  co_return Status();
}

io::Task<Status> PurgeBinaryLogs(Replication& server, std::string keep, Deadline deadline) {
  std::vector<std::string> purge = {"PURGE BINARY LOGS TO " + QuoteText(keep)};
  Status done = co_await server.admin().Run(std::move(purge), deadline);
  if (!done) co_return Fail(done.error().Context("purging the binary logs before " + keep));
  co_return Status();
}

}  // namespace paceline::mysqld
