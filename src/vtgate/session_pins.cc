// How a session gets free of its connection again.
#include "base/log.h"
#include "base/strings.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet_walk.h"
#include "vtgate/session.h"

namespace paceline::vtgate {

using plan::PinReason;

namespace {

// Values of small results, NULL as an empty text.
class RowsSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override {}
  void OnRows(std::string_view bytes) override { bytes_ += bytes; }
  void OnEnd(const mysql::wire::Terminator& end, bool) override { failed_ = end.is_error(); }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  std::vector<std::vector<std::string>> Rows() const {
    std::vector<std::vector<std::string>> rows;
    mysql::wire::PacketWalk walk(bytes_);
    std::string_view body;
    while (!failed_ && walk.Next(&body)) {
      std::vector<std::string>& row = rows.emplace_back();
      mysql::wire::Reader reader(body);
      while (reader.ok() && !reader.empty()) {
        bool null = static_cast<uint8_t>(reader.rest()[0]) == 0xfb;
        row.emplace_back(null ? reader.Bytes(1).substr(1) : reader.LenencBytes());
      }
    }
    return rows;
  }

 private:
  std::string bytes_;
  bool failed_ = true;
};

}  // namespace

PinReason Session::PinOf(const Statement& statement, const plan::Plan& plan) const {
  if (statement.kind == port::StatementKind::kPrepare) return PinReason::kNone;
  if (plan.pin == PinReason::kNone && pinned_.id == 0 && WantsProbe(plan))
    return PinReason::kDiagnostics;
  return plan.pin;
}

bool Session::WantsProbe(const plan::Plan& plan) const {
  bool inserts =
      plan.outline.kind == sql::Kind::kInsert || plan.outline.kind == sql::Kind::kReplace;
  return plan.fetch_last_insert_id || plan.fetch_found_rows || (inserts && reads_insert_ids_);
}

io::Task<std::vector<std::vector<std::string>>> Session::Ask(std::string text, Deadline deadline) {
  port::QueryRequest request;
  request.target = pinned_.target;
  request.caller = caller_;
  request.found_rows = identity_.found_rows;
  request.settings = pins_.empty() ? settings_.Current() : nullptr;
  request.text = text;
  request.pinned_id = pinned_.id;
  RowsSink sink;
  Result<port::QueryEnd> end = co_await pinned_.on.service->Execute(request, sink, deadline);
  std::vector<std::vector<std::string>> rows;
  if (end) rows = sink.Rows();
  co_return rows;
}

io::Task<void> Session::Probe(Deadline deadline) {
  if (values_.warning_count > 0 && !own_diagnostics_) {
    // What is asked next takes the place of the statement's warnings.
    std::vector<std::vector<std::string>> rows = co_await Ask("SHOW WARNINGS LIMIT 64", deadline);
    warnings_.clear();
    for (std::vector<std::string>& row : rows) {
      if (row.size() != 3) continue;
      warnings_.push_back({row[0], static_cast<uint16_t>(ParseUint(row[1]).value_or(0)), row[2]});
    }
  }
  own_diagnostics_ = true;
  std::vector<std::vector<std::string>> rows =
      co_await Ask("SELECT LAST_INSERT_ID(), FOUND_ROWS()", deadline);
  if (rows.size() != 1 || rows[0].size() != 2) co_return;
  probed_insert_id_ = ParseUint(rows[0][0]).value_or(0);
  probed_found_rows_ = ParseUint(rows[0][1]).value_or(0);
}

io::Task<Status> Session::Settle(Statement statement, const plan::Plan& plan) {
  if (pinned_.id == 0) {
    ledger_.Clear();
    co_return Status();
  }
  const bool failed = statement.sink->last().is_error();
  if (!failed) ledger_.Ran(statement.text, plan, dialect_);
  if (!failed && WantsProbe(plan)) {
    co_await Probe(statement.deadline);
    // An INSERT of a number that the client chose reports it, and changes no LAST_INSERT_ID().
    const bool generated = statement.sink->last().last_insert_id == probed_insert_id_;
    if (plan.fetch_last_insert_id) {
      values_.last_insert_id = probed_insert_id_;
    } else if (!generated) {
      values_.last_insert_id = insert_id_before_;
    }
    if (plan.fetch_found_rows) values_.found_rows = probed_found_rows_;
  }
  if (in_transaction_ || pins_.empty()) co_return Status();  // let go of with it, or later
  if (ledger_.asks_for_locks() && pins_.contains(PinReason::kGetLock)) {
    std::string text = "SELECT 0";
    for (const std::string& name : ledger_.locks())
      text += " OR IFNULL(IS_USED_LOCK(" + name + ") = CONNECTION_ID(), 0)";
    own_diagnostics_ = true;
    std::vector<std::vector<std::string>> rows = co_await Ask(std::move(text), statement.deadline);
    bool known = rows.size() == 1 && rows[0].size() == 1;
    ledger_.LocksHeld(!known || rows[0][0] != "0");
  }
  if (ledger_.holds_for_ever()) co_return Status();
  for (PinReason reason : pins_) {
    if (ledger_.Holds(reason)) co_return Status();
  }
  co_await Unpin();
  co_return Status();
}

}  // namespace paceline::vtgate
