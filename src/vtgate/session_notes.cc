// What is noted of each statement that a session has run: statistics, and the query log.
#include "io/loop.h"
#include "vtgate/query_log.h"
#include "vtgate/session.h"
#include "vtgate/statement_stats.h"

namespace paceline::vtgate {
namespace {

constexpr size_t kMostText = 64 << 10;  // of one statement

}  // namespace

void Session::NoteStatement(const Statement& statement, const plan::Plan& plan, Duration took) {
  if (plan.fingerprint == nullptr) {
    plan.fingerprint = std::make_shared<const sql::Fingerprint>(
        sql::FingerprintOf(statement.text.substr(0, kMostText), dialect_));
  }
  const mysql::wire::Terminator& end = statement.sink->last();
  const std::string& keyspace =
      plan.target.keyspace.empty() ? target_.keyspace : plan.target.keyspace;
  StatementStats::Run run;
  run.fingerprint = plan.fingerprint->hash;
  run.digest = plan.fingerprint->digest;
  run.keyspace = keyspace;
  run.time = took;
  run.failed = end.is_error();
  if (!run.failed) {
    const bool rows = end.kind == mysql::wire::Terminator::Kind::kEof;
    run.rows = rows ? end.row_count : 0;
    run.affected = rows ? 0 : end.affected_rows;
  }
  if (gate_.statements != nullptr) gate_.statements->Note(run);
  if (gate_.query_log == nullptr) return;
  const double chance = static_cast<double>(ThreadRng().Next() >> 11) * 0x1.0p-53;
  if (!gate_.query_log->Wants(took, run.rows + run.affected, chance)) return;
  const bool redact = gate_.query_log->options().redact;
  QueryLogLine line;
  line.user = identity_.user;
  line.host = identity_.host;
  line.connection_id = identity_.connection_id;
  line.keyspace = keyspace;
  line.tablet_type = record::TabletTypeName(plan.target.type);
  const std::string_view text = statement.text.substr(0, kMostText);
  line.statement = redact ? sql::Redact(text, dialect_) : std::string(text);
  line.fingerprint = run.fingerprint;
  line.time = took;
  line.rows = run.rows;
  line.affected = run.affected;
  line.error_number = end.is_error() ? end.error_number : 0;
  if (end.is_error() && !redact) line.error = end.message;
  line.prepared = statement.kind == port::StatementKind::kExecute;
  line.in_transaction = in_transaction_;
  gate_.query_log->Write(line, io::Loop::Current().clock().WallNow());
}

}  // namespace paceline::vtgate
