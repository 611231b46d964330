#include "vttablet/manager/evidence.h"

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "paceline_agent.pb.h"

namespace paceline::vttablet {
namespace {

using Fate = port::AttemptOutcome::Fate;

// Without `since` a number is looked for in promotions of so long only: numbers come again.
constexpr int64_t kNumberHoldsNs = 10ll * 60 * 1'000'000'000;

const InsertKey* FindKey(const std::vector<InsertKey>& keys, const port::WrittenChange& change) {
  auto same = [&change](const InsertKey& key) {
    return key.table == change.table && key.database == change.database;
  };
  auto found = std::find_if(keys.begin(), keys.end(), same);
  return found == keys.end() ? nullptr : &*found;
}

std::optional<uint64_t> FirstInsertId(const port::WrittenChange& change, const InsertKey* key) {
  if (change.inserted == 0 || key == nullptr || change.columns == 0 ||
      key->columns != change.columns) {
    return std::nullopt;
  }
  if (key->column == 0) return 0;
  for (const auto& [column, value] : change.first_row) {
    if (column == key->column) return value;
  }
  return std::nullopt;
}

agent::PromotionEvidence ToProto(const LogProof& proof) {
  agent::PromotionEvidence out;
  out.set_untold(proof.untold.ToEncoded());
  out.set_procedures(proof.procedures.ToEncoded());
  out.set_position(proof.position.ToEncoded());
  for (const AttemptEvidence& one : proof.attempts) {
    agent::EvidenceOfAttempt* attempt = out.add_attempts();
    attempt->set_attempt(one.attempt);
    attempt->set_gtid(one.outcome.gtid);
    attempt->set_statements(one.outcome.statements);
    for (const port::AttemptOutcome::Change& from : one.outcome.changes) {
      agent::EvidenceOfChange* change = attempt->add_changes();
      change->set_table(from.table);
      change->set_inserted(from.inserted);
      change->set_updated(from.updated);
      change->set_deleted(from.deleted);
      if (from.first_insert_id) change->set_first_insert_id(*from.first_insert_id);
    }
  }
  return out;
}

Result<LogProof> FromProto(const agent::PromotionEvidence& in) {
  LogProof proof;
  ASSIGN_OR_RETURN(proof.untold, gtid::Set::ParseEncoded(in.untold()));
  ASSIGN_OR_RETURN(proof.procedures, gtid::Set::ParseEncoded(in.procedures()));
  ASSIGN_OR_RETURN(proof.position, gtid::Set::ParseEncoded(in.position()));
  for (const agent::EvidenceOfAttempt& from : in.attempts()) {
    AttemptEvidence& one = proof.attempts.emplace_back();
    one.attempt = from.attempt();
    ASSIGN_OR_RETURN(one.gtid, gtid::Gtid::Parse(proof.position.flavor(), from.gtid()));
    one.outcome.fate = Fate::kCommitted;
    one.outcome.gtid = from.gtid();
    one.outcome.statements = from.statements();
    for (const agent::EvidenceOfChange& change : from.changes()) {
      port::AttemptOutcome::Change& to = one.outcome.changes.emplace_back();
      to.table = change.table();
      to.inserted = change.inserted();
      to.updated = change.updated();
      to.deleted = change.deleted();
      if (change.has_first_insert_id()) to.first_insert_id = change.first_insert_id();
    }
  }
  return proof;
}

std::string Hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "x'";
  out.reserve(bytes.size() * 2 + 3);
  for (char one : bytes) {
    out += kDigits[static_cast<uint8_t>(one) >> 4];
    out += kDigits[static_cast<uint8_t>(one) & 15];
  }
  out += '\'';
  return out;
}

}  // namespace

Result<LogProof> ProofOf(const port::Written& written, gtid::Set position,
                         const std::vector<InsertKey>& keys) {
  LogProof proof;
  ASSIGN_OR_RETURN(gtid::Set told, gtid::Set::ParseEncoded(written.told));
  proof.untold = position.Subtract(told);
  ASSIGN_OR_RETURN(proof.procedures, gtid::Set::ParseEncoded(written.procedures));
  for (const port::WrittenAttempt& from : written.attempts) {
    AttemptEvidence& one = proof.attempts.emplace_back();
    one.attempt = from.attempt;
    ASSIGN_OR_RETURN(one.gtid, gtid::Gtid::Parse(position.flavor(), from.gtid));
    one.outcome.fate = Fate::kCommitted;
    one.outcome.gtid = from.gtid;
    one.outcome.statements = from.statements;
    for (const port::WrittenChange& change : from.changes) {
      one.outcome.changes.push_back({change.database + "." + change.table, change.inserted,
                                     change.updated, change.deleted,
                                     FirstInsertId(change, FindKey(keys, change))});
    }
  }
  proof.position = std::move(position);
  return proof;
}

io::Task<std::vector<InsertKey>> ReadInsertKeys(mysqld::Admin& admin, const port::Written& written,
                                                Deadline deadline) {
  constexpr size_t kTablesMax = 500;
  std::map<std::pair<std::string, std::string>, bool> tables;
  for (const port::WrittenAttempt& attempt : written.attempts) {
    for (const port::WrittenChange& change : attempt.changes) {
      if (change.inserted > 0 && tables.size() < kTablesMax)
        tables[{change.database, change.table}] = true;
    }
  }
  std::vector<InsertKey> keys;
  if (tables.empty()) co_return keys;
  std::string sql =
      "SELECT table_schema, table_name, COUNT(*), MAX(IF(extra LIKE '%auto_increment%', "
      "ordinal_position, 0)) FROM information_schema.columns WHERE ";
  bool first = true;
  for (const auto& [name, wanted] : tables) {
    sql += first ? "" : " OR ";
    first = false;
    sql += fmt::format("(table_schema = {} AND table_name = {})", QuoteText(name.first),
                       QuoteText(name.second));
  }
  sql += " GROUP BY table_schema, table_name";
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(sql), deadline);
  if (!rows) co_return keys;
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    InsertKey& key = keys.emplace_back();
    key.database = rows->Text(i, size_t{0});
    key.table = rows->Text(i, size_t{1});
    key.columns = static_cast<uint32_t>(ParseUint(rows->Text(i, size_t{2})).value_or(0));
    key.column = static_cast<uint32_t>(ParseUint(rows->Text(i, size_t{3})).value_or(0));
  }
  co_return keys;
}

io::Task<std::vector<std::string>> ReadIntegerKeys(mysqld::Admin& admin, std::string table,
                                                   Deadline deadline) {
  const size_t dot = table.find('.');
  std::string of = fmt::format("table_schema = {} AND table_name = {}",
                               QuoteText(table.substr(0, dot)), QuoteText(table.substr(dot + 1)));
  std::string sql = fmt::format(
      "SELECT DISTINCT s.column_name FROM information_schema.statistics s JOIN "
      "information_schema.columns c USING (table_schema, table_name, column_name) WHERE {0} AND "
      "s.non_unique = 0 AND c.data_type IN ('tinyint', 'smallint', 'mediumint', 'int', 'bigint') "
      "AND s.index_name NOT IN (SELECT index_name FROM information_schema.statistics WHERE {0} AND "
      "seq_in_index > 1)",
      of);
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(sql), deadline);
  std::vector<std::string> keys;
  if (!rows) co_return keys;
  for (size_t i = 0; i < rows->rows.size(); ++i) keys.emplace_back(rows->Text(i, size_t{0}));
  co_return keys;
}

std::vector<std::string> StoreEvidence(const std::string& sidecar, const Promotion& promotion) {
  std::vector<std::string> statements;
  if (!promotion.proof) return statements;
  std::string table = QuoteIdentifier(sidecar) + ".promotion_evidence";
  statements.push_back(fmt::format("REPLACE INTO {} (term, evidence) VALUES ({}, {})", table,
                                   promotion.term,
                                   Hex(ToProto(*promotion.proof).SerializeAsString())));
  if (promotion.term > kPromotionsKept) {
    statements.push_back(
        fmt::format("DELETE FROM {} WHERE term <= {}", table, promotion.term - kPromotionsKept));
  }
  return statements;
}

io::Task<Result<std::vector<Promotion>>> ReadPromotions(mysqld::Admin& admin, std::string sidecar,
                                                        Deadline deadline) {
  std::string db = QuoteIdentifier(sidecar);
  std::string sql = fmt::format(
      "SELECT j.term, j.primary_alias, j.time_created_ns, e.evidence FROM {0}.reparent_journal j "
      "LEFT JOIN {0}.promotion_evidence e ON e.term = j.term ORDER BY j.term DESC, "
      "j.time_created_ns LIMIT {1}",
      db, kPromotionsRead);
  Result<mysql::QueryResult> rows = co_await admin.Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error().Context("reading what promotions proved"));
  std::vector<Promotion> promotions;
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    Promotion& promotion = promotions.emplace_back();
    promotion.term = ParseUint(rows->Text(i, size_t{0})).value_or(0);
    Result<record::TabletAlias> alias = record::ParseTabletAlias(rows->Text(i, size_t{1}));
    if (alias) promotion.primary = *alias;
    promotion.created_ns = ParseInt(rows->Text(i, size_t{2})).value_or(0);
    std::optional<std::string_view> bytes = rows->Get(i, size_t{3});
    agent::PromotionEvidence evidence;
    if (!bytes || !evidence.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
      continue;
    Result<LogProof> proof = FromProto(evidence);
    if (proof) promotion.proof = std::move(*proof);
  }
  co_return promotions;
}

Judgement Judge(const port::AttemptQuestion& question, const std::vector<Promotion>& promotions,
                const LogProof* own, int64_t now_ns) {
  Judgement judgement;
  port::AttemptOutcome& outcome = judgement.outcome;
  Result<gtid::Set> parsed = gtid::Set::ParseEncoded(question.since);
  const bool since_known = parsed && !parsed->Empty() && !question.sent_to.empty();
  const gtid::Set since = since_known ? *parsed : gtid::Set();

  std::vector<const AttemptEvidence*> found;
  auto look = [&](const LogProof& proof) {
    bool any = false;
    for (const AttemptEvidence& one : proof.attempts) {
      if (one.attempt != question.attempt || (since_known && since.Contains(one.gtid))) continue;
      any = true;
      auto same = [&one](const AttemptEvidence* other) { return other->gtid == one.gtid; };
      if (std::none_of(found.begin(), found.end(), same)) found.push_back(&one);
    }
    return any;
  };
  // The newest term in which the tablet led: what it was asked then, it was asked before the terms
  // that follow.
  uint64_t led = 0;
  bool by_promotion = false, absent = false;
  for (const Promotion& promotion : promotions) {
    if (promotion.primary == question.sent_to) led = std::max(led, promotion.term);
    const bool recent = since_known || now_ns - promotion.created_ns < kNumberHoldsNs;
    if (promotion.proof && recent) by_promotion = look(*promotion.proof) || by_promotion;
  }
  auto proves_absence = [&](const LogProof& proof) {
    if (!since_known || !proof.position.Contains(since)) return false;
    if (question.procedure || proof.procedures.Empty()) return since.Contains(proof.untold);
    return since.Contains(proof.untold.Subtract(proof.procedures));
  };
  for (const Promotion& promotion : promotions) {
    if (!promotion.proof || promotion.term <= led) continue;
    absent = absent || proves_absence(*promotion.proof);
  }
  if (own != nullptr) {
    look(*own);
    absent = absent || proves_absence(*own);
  }

  if (found.size() > 1) {
    outcome.why = fmt::format("it committed {} transactions, and whether it ended is not known",
                              found.size());
  } else if (found.size() == 1) {
    outcome = found.front()->outcome;
    judgement.by_own_log = !by_promotion;
  } else if (absent) {
    outcome.fate = Fate::kNotCommitted;
  } else {
    outcome.why = since_known
                      ? "the logs that were read do not cover the time since it was sent, or "
                        "hold transactions without a number"
                      : "what its primary had before it was sent is not known";
  }
  return judgement;
}

}  // namespace paceline::vttablet
