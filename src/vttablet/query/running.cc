#include "vttablet/query/running.h"

#include "mysql/wire/codec.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/session_state.h"

namespace paceline::vttablet {

using mysql::wire::ScanEvent;
using mysql::wire::ScanStep;
using mysql::wire::SessionStateType;
using mysql::wire::Terminator;

namespace {

constexpr size_t kMaxMetadata = 16 * 1024 * 1024;
constexpr std::string_view kLastGtid = "last_gtid";

// Errors after which the statement must be prepared anew on this connection: unknown handler, needs
// re-preparing.
bool WantsNewPrepare(uint16_t number) { return number == 1243 || number == 1615; }

// Whether a session state change must not pass on to another session; takes MariaDB's GTID out on
// the way.
bool Taints(std::string_view state, std::string* gtid, bool* schema_changed) {
  bool taints = false;
  mysql::wire::Reader in(state);
  while (in.ok() && !in.empty()) {
    auto type = static_cast<SessionStateType>(in.U8());
    mysql::wire::Reader entry(in.LenencBytes());
    if (type == SessionStateType::kSystemVariable) {
      std::string_view name = entry.LenencBytes();
      if (name == kLastGtid) {
        *gtid = entry.LenencBytes();
      } else {
        taints = true;
      }
    } else if (type == SessionStateType::kSchema) {
      taints = *schema_changed = true;
    } else if (type == SessionStateType::kStateChange) {
      taints = true;
    }
  }
  return taints;
}

}  // namespace

Running::Outcome Running::Deliver(std::string_view* input) {
  if (connection->ahead() != nullptr) {
    Outcome passed = PassAhead(input);
    if (passed != Outcome::kDone) return passed;
  }
  mysql::wire::ResultScanner& scanner = connection->scanner();
  for (;;) {
    ScanStep step = scanner.Scan(input->data(), input->size());
    std::string_view fresh = input->substr(0, step.meta_bytes);
    std::string_view rows = input->substr(step.meta_bytes, step.row_bytes);
    input->remove_prefix(step.consumed);
    const bool ended = step.event == ScanEvent::kResultEnd || step.event == ScanEvent::kDone;
    if (!rows.empty() || ended) {
      // Columns are complete once something follows them.
      const bool failed_here = ended && scanner.terminator().is_error();
      if (!preparing) {
        DeliverColumns(fresh);
      } else if (ended && !failed_here) {
        DeliverPrepared(fresh);
      }
      meta.clear();
      if (!rows.empty() && sink != nullptr) {
        rows_bytes += static_cast<int64_t>(rows.size());
        sink->OnRows(rows);
      }
      discarded = discarded || (!rows.empty() && sink == nullptr);
    } else if (!fresh.empty()) {
      if (meta.size() + fresh.size() > kMaxMetadata) return Outcome::kBroken;
      meta.append(fresh);
    }
    switch (step.event) {
      case ScanEvent::kNeedInput:
        return Outcome::kMore;
      case ScanEvent::kResultEnd:
        OnTerminator(false);
        break;
      case ScanEvent::kDone:
        OnTerminator(true);
        return Outcome::kDone;
      case ScanEvent::kLocalInfile:
        return Outcome::kInfile;
      case ScanEvent::kBroken:
        return Outcome::kBroken;
    }
  }
}

// The answer to what was sent ahead; kDone: the statement's own comes next.
Running::Outcome Running::PassAhead(std::string_view* input) {
  mysql::wire::ResultScanner& scanner = *connection->ahead();
  for (;;) {
    ScanStep step = scanner.Scan(input->data(), input->size());
    input->remove_prefix(step.consumed);
    if (step.event == ScanEvent::kNeedInput) return Outcome::kMore;
    if (step.event == ScanEvent::kResultEnd) continue;
    if (step.event != ScanEvent::kDone) return Outcome::kBroken;
    if (scanner.terminator().is_error()) ahead_error = scanner.terminator();
    connection->AheadEnded();
    return Outcome::kDone;
  }
}

void Running::DeliverColumns(std::string_view fresh) {
  if (fresh.empty() && meta.empty()) return;
  discarded = discarded || sink == nullptr;
  if (sink == nullptr) return;
  delivered = true;
  if (meta.empty()) {
    sink->OnColumns(connection->scanner().column_count(), fresh);
  } else {
    meta.append(fresh);
    sink->OnColumns(connection->scanner().column_count(), meta);
  }
}

void Running::DeliverPrepared(std::string_view fresh) {
  discarded = discarded || sink == nullptr;
  if (sink == nullptr) return;
  meta.append(fresh);
  const mysql::wire::PrepareOk& ok = connection->scanner().prepare_ok();
  mysql::wire::PacketWalk walk(meta);
  std::string_view body;
  walk.Next(&body);  // PREPARE OK itself
  const size_t begin = meta.size() - walk.rest().size();
  for (int i = 0; i < ok.parameter_count; ++i) walk.Next(&body);
  const size_t middle = meta.size() - walk.rest().size();
  std::string_view all = meta;
  delivered = true;
  sink->OnPrepared(ok.parameter_count, all.substr(begin, middle - begin), ok.column_count,
                   all.substr(middle), ok.warnings);
}

void Running::OnTerminator(bool last) {
  Terminator& end = connection->scanner().terminator();
  if (prepared_ahead && ahead_error) end = *ahead_error;
  failed = end.is_error();
  if (skip > 0 && skip_mark) {
    skip_mark = false;
    --skip;
    if (!failed && !last) return;
  }
  if (!failed && !preparing) {
    connection->status_flags = end.status_flags;
    saw_transaction = saw_transaction || end.in_transaction();
    if (!end.session_state.empty() &&
        Taints(end.session_state, &end.gtid, &connection->schema_changed)) {
      connection->tainted = true;
    }
  }
  if (skip > 0) {
    --skip;
    if (!failed && !last) return;
  }
  if (failed && executing && !delivered && WantsNewPrepare(end.error_number)) {
    repeat = true;
    return;
  }
  if (preparing && !failed) return;  // OnPrepared was the end
  discarded = discarded || (sink == nullptr && !last);
  if (sink == nullptr) return;
  delivered = true;
  sink->OnEnd(end, last);
}

}  // namespace paceline::vttablet
