// vttablet/manager/evidence.h - what logs prove about attempts (port::AttemptQuestion), and the
// judgement over it. A promotion keeps what its relay log proved in `_vt.promotion_evidence`,
// written in the transaction of its journal row, so it replicates and outlives the relay log. Pure
// but for the two that read and the texts of SQL. See docs/decisions/0008-attempts.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "gtid/set.h"
#include "io/task.h"
#include "mysqld/admin.h"
#include "port/mysqlctl.h"
#include "port/query_service.h"

namespace paceline::vttablet {

struct AttemptEvidence {
  uint32_t attempt = 0;
  gtid::Gtid gtid;
  port::AttemptOutcome outcome;  // kCommitted
};

// One reading of a log that holds a position.
struct LogProof {
  gtid::Set position;
  // The part of it that was not read or cannot be told: an attempt sent after `since` is not in
  // `position` when it was not found and `since` contains this.
  gtid::Set untold;
  // The part of it that procedures wrote: no attempt but a CALL (MariaDB).
  gtid::Set procedures;
  std::vector<AttemptEvidence> attempts;
};
// `position`: read before the log was, when no asked attempt could run any more. `keys`: see
// InsertKeys.
struct InsertKey {
  std::string database, table;
  uint32_t column = 0;   // of AUTO_INCREMENT, from 1 on; 0: none
  uint32_t columns = 0;  // how many the table has
};
Result<LogProof> ProofOf(const port::Written& written, gtid::Set position,
                         const std::vector<InsertKey>& keys);
// Of all tables in `written`. What cannot be read is missing.
io::Task<std::vector<InsertKey>> ReadInsertKeys(mysqld::Admin& admin, const port::Written& written,
                                                Deadline deadline);

// AttemptOutcome::Change::integer_keys of "database.table"; none where it cannot be read.
io::Task<std::vector<std::string>> ReadIntegerKeys(mysqld::Admin& admin, std::string table,
                                                   Deadline deadline);

struct Promotion {
  uint64_t term = 0;
  record::TabletAlias primary;
  int64_t created_ns = 0;
  std::optional<LogProof> proof;
};
// Newest first: every row of the journal, at most kPromotionsRead, those that have it with proof.
inline constexpr uint64_t kPromotionsRead = 256, kPromotionsKept = 16;
io::Task<Result<std::vector<Promotion>>> ReadPromotions(mysqld::Admin& admin, std::string sidecar,
                                                        Deadline deadline);
// Statements that store it; to be run in the transaction of the journal's row.
std::vector<std::string> StoreEvidence(const std::string& sidecar, const Promotion& promotion);

// What is known of one attempt, by everything that was read. `own`: from this tablet's binary log,
// only where the attempt was sent to this tablet and cannot run any more; null: not read. Fate
// kCommitted by `own` alone must be confirmed by an acknowledged commit.
struct Judgement {
  port::AttemptOutcome outcome;
  bool by_own_log = false;
};
Judgement Judge(const port::AttemptQuestion& question, const std::vector<Promotion>& promotions,
                const LogProof* own, int64_t now_ns);

}  // namespace paceline::vttablet
