// The first part of QueryServer: what may run at all, before and after there is a connection.
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "vttablet/query/query_server.h"

namespace paceline::vttablet {

using mysql::wire::Terminator;

namespace {

constexpr size_t kMaxPreparedText = 16 * 1024 * 1024;

Status Judge(const sql::ReplicationSets& sets) {
  if (sets.variable.empty()) return {};
  if (sql::IsOfAccount(sets))
    return Fail(Code::kPermissionDenied, "the tablet's own account cannot be changed through it");
  return Fail(Code::kPermissionDenied,
              "{} cannot be set through a tablet: replication stands on it", sets.variable);
}

}  // namespace

Status QueryServer::Admit(const port::QueryRequest& request, Time now, sql::ReplicationSets* sets) {
  RETURN_IF_ERROR(state_.Check(request.target, request.pinned_id != 0, now));
  *sets = sql::FindReplicationSetsAnyMode(request.text, dialect_);
  RETURN_IF_ERROR(Judge(*sets));
  if (request.settings != nullptr && request.settings != checked_settings_) {
    const sql::ReplicationSets of_settings =
        sql::FindReplicationSetsAnyMode(request.settings->apply, dialect_);
    RETURN_IF_ERROR(Judge(of_settings));
    checked_reading_ = {dialect_};
    checked_reading_.Follow(request.settings->apply);
    checked_settings_ = request.settings;
  }
  if (disk_ != nullptr && disk_->load(std::memory_order_relaxed) != DiskRefusal::kNothing)
      [[unlikely]] {
    RETURN_IF_ERROR(AskDisk(request));
  }
  if (admission_.empty()) [[likely]]
    return {};
  RETURN_IF_ERROR(AskAdmission(request));
  for (const std::string& literal : sets->literals) {
    port::QueryRequest prepared = request;
    prepared.text = literal;
    RETURN_IF_ERROR(AskAdmission(prepared));
  }
  return {};
}

Reading QueryServer::ReadingOf(const port::QueryRequest& request) {
  Pinned* pinned = request.pinned_id != 0 ? pinned_.Find(request.pinned_id) : nullptr;
  // What a reserved session set by itself is newer than what comes with its requests.
  if (pinned != nullptr && pinned->reading && (pinned->reserved || request.settings == nullptr))
    return *pinned->reading;
  return request.settings != nullptr ? checked_reading_ : Reading{dialect_};
}

Status QueryServer::AskAdmission(const port::QueryRequest& request) {
  for (const sql::Dialect& dialect : ReadingOf(request).Each()) {
    for (const Admission* one : admission_) RETURN_IF_ERROR(one->Admit(request, dialect));
  }
  return {};
}

Status QueryServer::AskDisk(const port::QueryRequest& request) {
  const DiskRefusal refusal = disk_->load(std::memory_order_relaxed);
  for (const sql::Dialect& dialect : ReadingOf(request).Each())
    RETURN_IF_ERROR(RefuseOnDisk(refusal, request.text, dialect, options_.alias));
  return {};
}

bool QueryServer::Learn(const Connection& connection) {
  if (connection.dialect() == dialect_) return false;
  dialect_ = connection.dialect();
  checked_settings_ = nullptr;
  return true;
}

io::Task<Status> QueryServer::AdmitComputed(Connection& connection,
                                            const port::QueryRequest& request,
                                            std::vector<std::string> computed, bool later,
                                            Deadline deadline) {
  // Where mysqld itself refuses what must not be set, only table ACLs and rules want to know.
  if (!connection.can_mark() && admission_.empty()) co_return Status();
  for (const std::string& from : computed) {
    if (!from.starts_with('@') || later) {
      co_return Fail(Code::kPermissionDenied,
                     "the text of a PREPARE must be known before it runs: give a literal or a user "
                     "variable, in a statement by itself");
    }
    std::string ask = "SELECT " + from, rows;
    Result<Terminator> asked = co_await connection.Query(ask, &rows, kMaxPreparedText, deadline);
    if (!asked) co_return Fail(asked.error());
    mysql::wire::PacketWalk walk(rows);
    std::string_view body;
    // Without a value mysqld itself has the error.
    if (asked->is_error() || !walk.Next(&body)) continue;
    mysql::wire::Reader row(body);
    constexpr uint8_t kNull = 0xfb;
    if (row.Peek() == kNull) continue;
    const std::string text(row.LenencBytes());
    sql::ReplicationSets sets;
    port::QueryRequest prepared = request;
    prepared.text = text;
    Status admitted = Admit(prepared, loop_.Now(), &sets);
    if (!admitted) co_return admitted;
    if (!sets.computed.empty())
      co_return Fail(Code::kPermissionDenied, "a PREPARE within a PREPARE cannot be judged");
  }
  co_return Status();
}

}  // namespace paceline::vttablet
