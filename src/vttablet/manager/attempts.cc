// The manager's part in resolving writes in flight: what a promotion reads and keeps, and who
// answers.
#include "base/log.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/sidecar.h"

namespace paceline::vttablet {

io::Task<void> Manager::Prepare(bool read_relay_log, Deadline deadline) {
  if (read_relay_log) co_await ReadRelayLog(deadline);
  // The tables are known when all that was received is applied.
  bool applied = co_await preparation_.applied.Wait(deadline);
  if (!applied) co_return;
  if (preparation_.relay_log) {
    preparation_.keys = co_await ReadInsertKeys(*needs_.dba, *preparation_.relay_log,
                                                Deadline::In(1s).EarlierOf(deadline));
  }
  preparation_.database_complete =
      co_await DatabaseComplete(*needs_.dba, options_.sidecar, tablet_.DbName(), deadline);
}

io::Task<void> Manager::ReadRelayLog(Deadline deadline) {
  if (needs_.agent == nullptr) co_return;
  // A promotion does not wait for it longer: then nothing is proven, and attempts stay unknown.
  port::WrittenQuery query;
  query.received = true;
  Result<port::Written> written =
      co_await needs_.agent->ReadWritten(std::move(query), Deadline::In(2s).EarlierOf(deadline));
  if (written) {
    preparation_.relay_log = std::move(*written);
  } else {
    LOG_WARNING("what was received proves nothing about writes in flight: {}",
                written.error().ToString());
  }
}

std::vector<std::string> Manager::EvidenceOf(const JournalEntry& entry) {
  std::vector<std::string> statements;
  if (!preparation_.relay_log) return statements;
  Result<gtid::Set> position = gtid::Set::ParseEncoded(entry.position);
  if (!position) return statements;
  Result<LogProof> proof =
      ProofOf(*preparation_.relay_log, std::move(*position), preparation_.keys);
  if (!proof) {
    LOG_WARNING("what was received proves nothing about writes in flight: {}",
                proof.error().ToString());
    return statements;
  }
  LOG_INFO("term {}: the relay log tells of {} writes; not told: {}", entry.term,
           proof->attempts.size(), proof->untold.ToString());
  Promotion promotion;
  promotion.term = entry.term;
  promotion.primary = tablet_.alias;
  promotion.created_ns = entry.created_ns;
  promotion.proof = std::move(*proof);
  statements = StoreEvidence(options_.sidecar, promotion);
  return statements;
}

io::Task<Result<std::vector<port::AttemptOutcome>>> Manager::ResolveAttempts(
    std::vector<port::AttemptQuestion> questions, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || replication_ == nullptr || resolver_ == nullptr || !is_primary() || !serving_)
    co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
  Result<std::vector<port::AttemptOutcome>> outcomes =
      co_await resolver_->Resolve(*replication_, std::move(questions), deadline);
  co_return outcomes;
}

io::Task<void> Manager::LookAtPosition() {
  if (!is_primary() || !role_known_ || replication_ == nullptr) co_return;
  Result<gtid::Set> position = co_await replication_->Position(Deadline::In(1s));
  if (!position || !is_primary() || !role_known_) co_return;
  std::string encoded = position->ToEncoded();
  if (encoded == position_) co_return;
  position_ = std::move(encoded);
  TellHealth();
}

}  // namespace paceline::vttablet
