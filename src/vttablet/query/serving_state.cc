#include "vttablet/query/serving_state.h"

#include <utility>

#include "base/strings.h"

namespace paceline::vttablet {

ServingState::ServingState(std::string keyspace, std::string shard)
    : keyspace_(std::move(keyspace)), shard_(std::move(shard)) {}

void ServingState::Set(record::TabletType type, bool serving, std::string reason, uint64_t term,
                       bool leased) {
  type_ = type;
  serving_ = serving;
  draining_ = false;
  reason_ = std::move(reason);
  term_ = term;
  leased_ = leased;
}

Status ServingState::Check(const record::Target& target, bool pinned, Time now) const {
  const bool matches =
      target.type == type_ && target.keyspace == keyspace_ && target.shard == shard_;
  if (matches && serving_ && !draining_ && LeaseHolds(leased_, now)) [[likely]]
    return {};
  return Refuse(target, pinned, now);
}

Status ServingState::Refuse(const record::Target& target, bool pinned, Time now) const {
  auto because = [this] { return reason_.empty() ? std::string() : ": " + reason_; };
  if (!serving_) {
    return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING{}", because());
  }
  if (!LeaseHolds(leased_, now)) {
    return Fail(Code::kClusterEvent,
                "operation not allowed in state NOT_SERVING: the primary's lease has ended");
  }
  if (draining_ && !pinned) {
    return Fail(Code::kClusterEvent, "operation not allowed in state SHUTTING_DOWN{}", because());
  }
  if (target.keyspace != keyspace_) {
    return Fail(Code::kClusterEvent, "invalid keyspace {} does not match expected {}",
                target.keyspace, keyspace_);
  }
  if (target.shard != shard_) {
    return Fail(Code::kClusterEvent, "invalid shard {} does not match expected {}", target.shard,
                shard_);
  }
  if (target.type != type_) {
    return Fail(Code::kClusterEvent, "wrong tablet type: {}, want: {} or []",
                Upper(record::TabletTypeName(target.type)), Upper(record::TabletTypeName(type_)));
  }
  return {};
}

}  // namespace paceline::vttablet
