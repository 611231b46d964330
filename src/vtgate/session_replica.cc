// Reads on replicas after the session's own writes.
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"
#include "vtgate/session_send.h"

namespace paceline::vtgate {
namespace {

// Whether the one value of the answer is 0.
class ZeroSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view bytes) override {
    if (bytes_.size() < 64) bytes_ += bytes.substr(0, 64);
  }
  void OnEnd(const mysql::wire::Terminator& end, bool) override {
    if (end.is_error()) error_ = end.message;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  const std::string& error() const { return error_; }
  bool IsZero() const {
    if (!error_.empty() || bytes_.size() <= mysql::wire::kPacketHeaderBytes) return false;
    mysql::wire::Reader row(std::string_view(bytes_).substr(mysql::wire::kPacketHeaderBytes));
    return row.LenencBytes() == "0";
  }

 private:
  std::string bytes_, error_;
};

}  // namespace

bool Session::ReadsReplica(const Statement& statement, const Run& run) const {
  constexpr uint64_t kNotPlain = sql::kUsesGetLock | sql::kUsesReleaseLock |
                                 sql::kUsesReleaseAllLocks | sql::kUsesLockQuestion |
                                 sql::kWritesUserVariable | sql::kSystemSchema | sql::kIntoFile |
                                 sql::kIntoVariable | sql::kLocksForUpdate | sql::kLocksForShare |
                                 sql::kSequenceCall | sql::kQualifiedRoutine | sql::kSleeps;
  if (!own_writes_.from_replicas()) return false;
  if (pinned_.id != 0 || in_transaction_ || !autocommit_ || !run.begin.empty()) return false;
  const plan::Plan& plan = run.plan;
  return statement.kind != port::StatementKind::kPrepare && !run.request.reserve &&
         run.request.target.type == record::TabletType::kPrimary && plan.replica_ok &&
         plan.route == plan::Route::kShard && plan.gate == plan::GateTask::kNone &&
         plan.outline.kind == sql::Kind::kSelect && !plan.outline.tables.empty() &&
         !plan.outline.Has(kNotPlain);
}

io::Task<Status> Session::AwaitOwnWrites(Run* run) {
  std::string question = own_writes_.Question(dialect_.flavor);
  port::QueryRequest request;
  request.target = run->request.target;
  request.caller = caller_;
  request.text = question;
  request.cancel = &run->cancel;
  gate_.metrics->read_waits.Add();
  ZeroSink answer;
  Deadline deadline = Deadline::In(own_writes_.timeout() + 1s).EarlierOf(run->statement.deadline);
  Result<port::QueryEnd> end = co_await run->on.service->Execute(request, answer, deadline);
  if (end && answer.IsZero()) {
    own_writes_.Confirmed(run->on.alias);
    co_return Status();
  }
  if (!end && end.error().code() == Code::kCanceled) co_return Fail(end.error());
  const bool elsewhere = !end && (end.error().code() == Code::kClusterEvent ||
                                  end.error().code() == Code::kUnavailable);
  if (elsewhere) {
    run->refused = true;
    co_return Status();
  }
  gate_.metrics->read_waits_expired.Add();
  if (!own_writes_.then_primary()) {
    std::string why = !end ? end.error().message() : answer.error();
    co_return Fail(Code::kDeadlineExceeded,
                   "replica {} does not have what this session wrote yet{}{}; read again, or set "
                   "read_after_write_timeout higher",
                   run->on.alias.ToString(), why.empty() ? "" : ": ", why);
  }
  run->request.target.type = record::TabletType::kPrimary;
  co_return Status();
}

}  // namespace paceline::vtgate
